"""Fixtures of several kinds of tests, and what a run says in its last lines."""

import os
from collections.abc import Iterator

import pytest

from tests.boot import server
from tests.namespaces import LEFT_OUT
from tests.pinned import MOVED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say what was left out and why, and what was tested where it is not what is pinned."""
    yield  # behind the summary of the skipped ones
    if reasons := _left_out(terminalreporter.config):
        terminalreporter.write_line(f"LEFT OUT: {len(reasons)} tests: {reasons[0]}", yellow=True)
    for line in MOVED:
        terminalreporter.write_line(f"NOT THE PINNED FIRMWARE: {line}", yellow=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where CI is set, as .ci/run sets it, and a test was left out: its machines have namespaces."""
    if os.environ.get("CI") and _left_out(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _left_out(config: pytest.Config) -> list[str]:
    """Return for each test that wants namespaces, and got none, the reason; one of several workers has counted none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    reasons = [str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped]
    return [reason for reason in reasons if reason.startswith(LEFT_OUT)]


@pytest.fixture
def boot_server() -> Iterator[server.BootServer]:
    """Return a running boot server of the test's own, for QEMU's user network."""
    with server.boot_server() as running:
        yield running
