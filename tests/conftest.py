"""Fixtures, marks and summary lines for all tests."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from lab.namespaces import NoNamespacesError
from lab.recording_server import RecordingServer, serve
from tests.pinned_packages import UNPINNED

# No deadline for a Hypothesis example, because emulated machines slow these tests down. The profile is loaded here and
# not in tests/unit, because tests/boot imports tests/unit modules before pytest would load a conftest.py there.
settings.register_profile("boots-from", deadline=None)
settings.load_profile("boots-from")

# A shell starts background commands with SIGINT ignored, and nohup starts them with SIGHUP ignored. The command leaves
# ignored signals alone, and processes that tests start would inherit that. The tests themselves survive a hangup.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# The tests read messages of public tools. They must be in English, also where the host lacks the locale of the user.
os.environ["LC_ALL"] = "C.UTF-8"
os.environ.pop("LANGUAGE", None)

# Like the Python of a user, which buffers its output when it is not a terminal.
os.environ.pop("PYTHONUNBUFFERED", None)

NEEDS_NAMESPACES = "needs network namespaces"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Skip a test whose fixtures need namespaces, such as `lan`, where the host refuses them."""
    yield from _skip_without_namespaces()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip a test that needs namespaces in its body."""
    yield from _skip_without_namespaces()


def _skip_without_namespaces() -> Iterator[None]:
    try:
        yield
    except NoNamespacesError as error:
        # Default capabilities and seccomp profiles of containers forbid namespaces.
        pytest.skip(f"{NEEDS_NAMESPACES}, which this host refuses ({error}). In a container, use --privileged.")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Print how many tests were skipped for lack of namespaces, and which packages are not the pinned ones."""
    yield  # these lines come after the list of skipped tests
    if reasons := _namespace_skips(terminalreporter.config):
        needed = f"{len(reasons)} tests need" if len(reasons) > 1 else "1 test needs"
        line = f"SKIPPED: {reasons[0].replace(NEEDS_NAMESPACES, f'{needed} network namespaces', 1)}"
        terminalreporter.write_line(line, yellow=True)
    for package in UNPINNED:
        terminalreporter.write_line(f"UNPINNED PACKAGE: {package}", yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Restrict the marks `thorough` and `integration` to the parameters that they name.

    thorough("uefi") holds only for parameters whose id begins with "uefi"; thorough(but=("bios",)) holds for all except
    those whose id begins with "bios".
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
    """Fail in CI if a test was skipped for lack of namespaces, because CI machines have them."""
    if os.environ.get("CI") and _namespace_skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _namespace_skips(config: pytest.Config) -> list[str]:
    """Return the reason of each skip for lack of namespaces; always empty in an xdist worker, which has no reporter."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    reasons = [str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped]
    return [reason for reason in reasons if reason.startswith(NEEDS_NAMESPACES)]


@pytest.fixture
def recording_server() -> Iterator[RecordingServer]:
    """Return a running HTTP server, one for each test, that machines reach over the user network of QEMU."""
    with serve() as running:
        yield running
