"""Fixtures of the boot tests: a LAN, the servers' programs, and machines that boot on it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import debs
from tests.boot import machine, mok
from tests.boot.lan import Lan
from tests.boot.machine import BANNER, BIOS, UEFI, Firmware, Machine

Boot = Callable[..., Machine]
Variables = Callable[[Firmware], Path]

# Only in "make test-all": slow, and most of them the same on the other firmware, which always runs.
THOROUGH = (
    "test_boots_on[uefi-x86_64-spanning tree",
    "test_boots_on[bios-DHCP answers after 12 s",
    "test_boots_on[uefi-x86_64-DHCP answers after 12 s",
    "test_boots_on[bios-IPv6 only, SLAAC",
    "test_boots_on[uefi-x86_64-IPv6's DNS",
    "test_finds_the_card[bios-two silent",
    "test_finds_the_card[uefi-x86_64-two unplugged",
    "test_finds_the_card[uefi-x86_64-three cards, the first",
    "test_finds_the_card[bios-three cards, the second",
    "test_finds_the_card[uefi-x86_64-three cards, the last",
    "test_slow_server_behind_the_second_card[uefi",
    "test_iscsi_after_a_failed_try[uefi",
    "test_iscsi_second_stage[uefi",
    "test_boots_on[uefi-x86_64-IPv6 only, DHCPv6",
    "test_dhcp_without_dns[uefi",
    "test_no_link[uefi",
    "test_mute_server_and_an_unplugged_card[",
    "test_script_that_fails_is_diagnosed_and_then_the_mended_one_runs[uefi",
    "test_boots_without_a_key_once_it_is_mended[",
    "test_server_starts_three_minutes_after_the_machine[",
    "test_a_key_opens_the_shell[bios",
    "test_a_key_opens_the_shell[uefi-x86_64-no link",
    "test_a_key_opens_the_shell[uefi-x86_64-no DHCP",
    "test_a_key_opens_the_shell[uefi-x86_64-no name",
    "test_a_key_opens_the_shell[uefi-x86_64-bad script",
    "test_power_comes_back_for_five_machines",
    "test_installed_machine_goes_on[",
    "test_every_character[uefi",
    "test_finds_its_menu_file[bios-bty-server",
    "test_finds_its_menu_file[uefi-x86_64-bty-server",
    "test_server_not_there[uefi-x86_64-tftp",
    "test_query_port_and_settings_reach_the_server[bios",
    "test_no_dhcp[uefi",
    "test_ipxe_does_with_each_url_what_is_said_of_it[uefi",
    "test_iscsi_target_of_any_name[uefi",
    "test_url_that_dhcp_gives[bios",
    "test_three_cards_each_with_its_own_trouble_on_one_screen[uefi",
    "test_server_not_there[bios-silent host",
    "test_server_not_there[uefi-x86_64-404",
    "test_server_not_there[uefi-x86_64-refused",
    "test_server_is_faulty[bios-mute",
    "test_server_is_faulty[bios-stalls",
    "test_server_is_faulty[uefi-x86_64-stalls",
    "test_server_is_faulty[uefi-x86_64-status",
    "test_server_is_faulty[bios-empty",
    "test_server_is_faulty[uefi-x86_64-dies",
    "test_script_that_ends_hands_over_to_the_next_boot_device[uefi-x86_64-exit]",
    "test_script_that_ends_hands_over_to_the_next_boot_device[uefi-x86_64-exit 0",
    "test_script_that_ends_hands_over_to_the_next_boot_device[bios-exit 0",
    "test_script_that_ends_hands_over_to_the_next_boot_device[bios-echo",
    "test_menu_that_returns[uefi",
    "test_redirects[uefi",
    "test_url_of_the_greatest_length[uefi",
    "test_first_boot_is_refused_and_waits_for_the_operator[uefi-arm64",
    "test_enrolled_once_it_boots_from_every_url[uefi-arm64",
    "test_enrolls_by_a_usb_2_keyboard",
    "test_https_wants_the_second_build_enrolled_for_ecdsa[RSA",
    "test_https_wants_the_second_build_enrolled_for_ecdsa[ECDSA-uefi-arm64",
    "test_https_on_arm64[RSA",
    "test_https_of_a_ca_that_stands_behind",
    "test_boots[P-384",
    "test_boots[RSA of a CA",
    "test_refuses[RSA-another name",
    "test_refuses[ECDSA-expired",
    "test_three_cards_the_last_is_good",
    "test_script_that_fails_is_diagnosed[",
    "test_finds_the_card[bios-eight",
    "test_finds_the_card[uefi-x86_64-eight",
    "test_finds_the_card[bios-twenty",
    "test_finds_the_card[uefi-x86_64-twenty",
    "test_needs_one_of_microsofts_cas_for_others",
    "test_new_firmware_asks_once_more",
    "test_unsigned_programs_are_refused_and_signed_ones_run",
    "test_signed_linux_runs_and_mokutil_undoes_it",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what only `make test-all` runs."""
    for item in items:
        if item.name.startswith(THOROUGH):
            item.add_marker("thorough")


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Variables:
    """Return a function that gives the UEFI variables of a machine on which iPXE's hash is enrolled."""
    stores: dict[str, Path] = {}

    def variables(firmware: Firmware) -> Path:
        if firmware.name not in stores:
            stores[firmware.name] = mok.enrolled_variables(firmware, tmp_path_factory.mktemp(firmware.name))
        return stores[firmware.name]

    return variables


@pytest.fixture(scope="session")
def servers() -> Path:
    """Return where the servers' programs lie."""
    return debs.unpack(machine.SERVERS)


@pytest.fixture(params=[UEFI, BIOS], ids=lambda firmware: firmware.name)
def firmware(request: pytest.FixtureRequest) -> Firmware:
    """Return each of the two kinds of PC."""
    firmware: Firmware = request.param
    return firmware


@pytest.fixture
def lan(tmp_path: Path, servers: Path) -> Iterator[Lan]:
    """Return a LAN of the test's own, still empty."""
    with Lan(tmp_path, servers) as empty:
        yield empty


@pytest.fixture
def boot(lan: Lan, firmware: Firmware, request: pytest.FixtureRequest) -> Iterator[Boot]:
    """Return a function that boots a machine on the LAN from the image for a URL, up to iPXE's banner."""
    with ExitStack() as running:

        def start(url: str, *more: str) -> Machine:
            booted = running.enter_context(lan.machine(firmware, url, request.node.name.replace("/", "-"), *more))
            booted.banner = booted.wait_for(BANNER, firmware.seconds)
            return booted

        yield start
