"""Fixtures of several kinds of tests; what was left out fails a run of CI."""

import os
from collections.abc import Iterator

import pytest
from _pytest.terminal import TerminalReporter

from tests.boot import server


@pytest.fixture
def boot_server() -> Iterator[server.BootServer]:
    """Return a running boot server of the test's own, for QEMU's user network."""
    with server.boot_server() as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where CI is set, as .ci/run does, and a test was left out."""
    if _left_out(session.config) and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say it in the last lines; why is in the lines above, by pytest's -ra."""
    if left_out := _left_out(terminalreporter.config):
        failed = "; CI fails for it" if os.environ.get("CI") else ""
        terminalreporter.write_line(f"{left_out} tests were left out{failed}")


def _left_out(config: pytest.Config) -> int:
    """Return how many tests were left out, as the reporter has counted; a worker of several has none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", [])) if reporter else 0
