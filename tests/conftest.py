"""Fixtures of several kinds of tests, and what a run says in its last lines."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from lab.namespaces import NoNamespacesError
from lab.recording_server import RecordingServer, serve
from tests.pinned_packages import UNPINNED

# No deadline for one example: emulated machines run beside these tests. It is set here, since tests/boot imports tests
# of tests/unit before the conftest.py there is read.
settings.register_profile("boots-from", deadline=None)
settings.load_profile("boots-from")

LEFT_OUT = "no namespaces to be had here"


# A shell ignores SIGINT for what runs in the background, and the tests' own processes would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Leave a test out that wants a LAN, where there are no namespaces to make one of."""
    yield from _or_left_out()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Likewise for one that wants other namespaces."""
    yield from _or_left_out()


def _or_left_out() -> Iterator[None]:
    try:
        yield
    except NoNamespacesError as error:
        # A container's default capabilities and seccomp profile forbid them.
        pytest.skip(f"{LEFT_OUT} ({error}): in a container run it with --privileged")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say what was left out and why, and what was tested where it is not what is pinned."""
    yield  # behind the summary of the skipped ones
    if reasons := _left_out(terminalreporter.config):
        terminalreporter.write_line(f"LEFT OUT: {len(reasons)} tests: {reasons[0]}", yellow=True)
    for line in UNPINNED:
        terminalreporter.write_line(f"NOT THE PINNED PACKAGES: {line}", yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the mark thorough("uefi") hold for parameters whose id begins so; thorough(but=("bios",)) for all others.

    The mark integration is read likewise.
    """
    for item in items:
        for mark in [
            mark for mark in item.own_markers if mark.name in ("thorough", "integration") and (mark.args or mark.kwargs)
        ]:
            begins = str(getattr(item, "callspec").id).startswith(mark.args or mark.kwargs["but"])  # noqa: B009
            if begins != bool(mark.args):
                item.own_markers.remove(mark)


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
def recording_server() -> Iterator[RecordingServer]:
    """Return a running boot server of the test's own, for QEMU's user network."""
    with serve() as running:
        yield running
