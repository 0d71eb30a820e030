"""Boot every machine from every medium: python -m docgen.matrix_table, which make matrix runs.

Writes docs/reference/matrix.md.
"""

import subprocess

from lab import debian
from lab.boot_matrix import Results, boot_all, cell_at, names
from template.paths import CHECKOUT

PAGE = CHECKOUT / "docs/reference/matrix.md"


def table(results: Results, reasons: dict[str, int], corner: str = "|") -> str:
    """Return a Markdown table.

    Args:
        results: the seconds of each cell, row by row; combinations without a cell stay empty.
        reasons: reason why a cell does not boot to its number in the notes; new reasons are added.
        corner: the start of the line of headings, above the names of the rows.
    """
    columns = dict.fromkeys((cell.column for cell in results), "")
    rows = {cell.row: dict(columns) for cell in results}
    for cell, seconds in results.items():
        rows[cell.row][cell.column] = (
            f"no ({reasons.setdefault(cell.why_not, len(reasons) + 1)})" if seconds is None else f"{seconds:.1f}"
        )
    lines = [f"{corner} | {' | '.join(columns)} |", f"| --- | {' | '.join('---:' for _ in columns)} |"]
    lines += [f"| {row} | {' | '.join(texts.values())} |" for row, texts in rows.items()]
    return "\n".join(lines)


def notes(reasons: dict[str, int]) -> str:
    """Return the numbered reasons, one per line."""
    return "\n".join(f"{number}. {reason[0].upper()}{reason[1:]}." for reason, number in reasons.items())


def _page(results: Results) -> str:
    """Return docs/reference/matrix.md."""
    reasons: dict[str, int] = {}
    return _PAGE.format(
        booted=sum(seconds is not None for seconds in results.values()),
        all=len(results),
        table=table(results, reasons, "| medium"),
        notes=notes(reasons),
        machines=", ".join(_versions()),
    )


def _versions() -> list[str]:
    names = ["qemu-system-x86", "qemu-system-arm", "seabios", "ovmf", "qemu-efi-aarch64"]
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names]
    installed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    unpacked = debian.versions(debian.unpack(debian.MACHINES))
    return installed + [line for line in unpacked if line.startswith(("qemu-", "opensbi"))]


_PAGE = """\
# Boot matrix

<!-- written by make matrix -->

One image, {all} combinations of machine and medium: {booted} boot. Each number is the seconds from power on to the
first request at the server, under software emulation, two machines at a time. "no" has a footnote with the reason. An
empty cell means that this machine cannot have this medium.

{table}

{notes}

Secure Boot: the hash of iPXE was enrolled before, and the machine asked nothing. "ISO over HTTP": another iPXE boots
first, and then uses the image as a disk over HTTP, block by block. Its time also counts from power on.

Machines: {machines}.
"""


def main() -> int:
    """Boot the cells and write the page; return 1, without writing it, if a cell has an unexpected result."""
    results = boot_all(cell_at(column, row) for column, row in names())
    if results is None:
        return 1
    PAGE.write_text(_page(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
