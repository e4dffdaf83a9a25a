"""Oxford's `.ctf` (HKL Channel 5): a header of lines with tabs, then a line for each point, angles in degrees."""

from pathlib import Path

import numpy as np

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.ebsd.scan import (
    LAUE_GROUPS,
    CrystalPhase,
    EbsdScan,
    made_scan,
    read_table,
)

_COLUMNS = ("Phase", "Euler1", "Euler2", "Euler3")
_MOST_LINES = 300


def read_ctf(path: Path) -> EbsdScan:
    """Reads a `.ctf` file; decimal commas, which some languages write, are taken too.

    Phase 0 is not indexed. Where the file states acquisition angles (AcqE1 to AcqE3) that are not 0, its Euler angles
    refer to a sample that was turned on the stage, and `EbsdScan.rotations` needs a frame.

    Raises:
        InputError: The file is no grid, its header lacks an entry, or the table does not fit it.
    """
    lines = _head(path)
    entries = {parts[0]: parts[1] for parts in lines if len(parts) > 1}
    if entries.get("JobMode", "Grid") != "Grid":
        raise InputError(f"{path}: has the job mode '{entries['JobMode']}'; expected a map on a square grid, 'Grid'.")
    count = int(_number(entries, "Phases", path))
    start = next(number for number, parts in enumerate(lines) if parts[0] == "Phases") + 1
    phases = [_phase(parts, path) for parts in lines[start : start + count]]
    names = lines[start + count] if len(lines) > start + count else []
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise InputError(f"{path}: its table has no column '{missing[0]}'; expected a .ctf file of Oxford Channel 5.")
    decimal = "," if any("," in part for part in lines[-1]) else "."
    table = read_table(path, start + count + 1, [names.index(name) for name in _COLUMNS], decimal)
    turned = [_number(entries, name, path) for name in ("AcqE1", "AcqE2", "AcqE3") if name in entries]
    return made_scan(
        path,
        {"phase": table[:, 0], "euler": np.radians(table[:, 1:])},
        (int(_number(entries, "XCells", path)), int(_number(entries, "YCells", path))),
        (_number(entries, "XStep", path), _number(entries, "YStep", path)),
        phases,
        frame="oxford",
        x_along_a=False,
        rotated=f"states acquisition angles {turned}, by which the sample was turned" if any(turned) else "",
    )


def _head(path: Path) -> list[list[str]]:
    """The lines of the header and the first of the table, split at tabs."""
    lines = []
    with path.open(encoding="latin-1") as file:
        for line in file:
            lines.append([part.strip() for part in line.rstrip("\r\n").split("\t")])
            if len(lines) > 1 and lines[-2][0] == "Phase" and "Euler1" in lines[-2]:
                break
            if len(lines) == _MOST_LINES:
                break
    if not lines or lines[0][0] != "Channel Text File":
        raise InputError(f"{path}: does not begin with 'Channel Text File'; expected a .ctf file of Oxford Channel 5.")
    return lines


def _number(entries: dict[str, str], key: str, path: Path) -> float:
    try:
        return float(entries[key].replace(",", "."))
    except (KeyError, ValueError):
        raise InputError(
            f"{path}: has no number {key} in its header; expected a .ctf file of Oxford Channel 5."
        ) from None


def _phase(parts: list[str], path: Path) -> CrystalPhase:
    group = parts[3] if len(parts) > 3 else ""
    if not group.isdecimal() or not 1 <= int(group) <= len(LAUE_GROUPS):
        raise InputError(f"{path}: has a phase of Laue group '{group}'; expected 1 to {len(LAUE_GROUPS)}.")
    return CrystalPhase(parts[2], LAUE_GROUPS[int(group) - 1])
