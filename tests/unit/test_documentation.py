"""The pages quote the command and the boot script as they are."""

import re
import subprocess
from pathlib import Path

import boots_from
from template.paths import CHECKOUT

README = (CHECKOUT / "README.md").read_text()


def test_quick_start_shows_the_output_of_the_command(tmp_path: Path) -> None:
    """Except for the size and the hash, which newer packages change."""
    (url, output) = re.findall(r"^\$ make iso URL='(.*?)'\n(.*?)^\$ ", README, re.MULTILINE | re.DOTALL)[0]
    command = ["python3", CHECKOUT / "src", url]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    printed, output = (
        re.sub("[0-9a-f]{64}|[0-9.]+(?= MB)|[0-9,]+(?= bytes)", "...", text) for text in (printed, output)
    )
    assert printed == output


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 120


def test_page_has_every_reason_of_the_boot_script() -> None:
    script = Path(boots_from.__file__).with_name("boot.ipxe").read_text()
    reasons = set(re.findall(r"^set e[0-9a-f]{8} (.*)$", script, re.MULTILINE))
    reasons |= {line for line in re.findall(r"^set why\$\{i\} (.*)$", script, re.MULTILINE) if "${words}" not in line}
    reasons |= set(re.findall(r"\|\| set words (.*)$", script, re.MULTILINE))
    reasons = {reason.replace("${buildarch}.efi", "...") for reason in reasons}
    assert len(reasons) > 25
    page = (CHECKOUT / "docs/reference/failure-screens.md").read_text()
    table = page.partition("<!-- the reasons are checked")[2]
    assert reasons == set(re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^\| (`.*?`) \| ", table, re.MULTILINE))))
