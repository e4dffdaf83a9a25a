"""EDAX's `.ang` (TSL OIM): a header of lines with `#`, then a line for each point, angles in radians.

Columns: phi1, Phi, phi2, x, y, image quality, confidence index, phase, ...; the steps are in micrometers.
"""

import math
import re
from pathlib import Path

import numpy as np

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.ebsd.scan import CrystalPhase, EbsdScan, made_scan, read_table

_CONFIDENCE, _PHASE = 6, 7
_LAUE = {
    "1": "-1", "2": "2/m", "20": "2/m", "22": "mmm", "4": "4/m", "42": "4/mmm", "3": "-3", "32": "-3m", "6": "6/m",
    "62": "6/mmm", "23": "m-3", "43": "m-3m",
}  # fmt: skip
"""Laue group of EDAX's symmetry codes, the rotation groups without their points."""


def read_ang(path: Path) -> EbsdScan:
    """Reads an `.ang` file.

    A point is not indexed where its confidence index is -1, where its angles are EDAX's mark 4 pi, or where its phase
    is below 1; where a file has one phase alone, it is called 0 throughout.

    Raises:
        InputError: The grid is hexagonal, the header lacks an entry, or the table does not fit it.
    """
    header: list[str] = []
    with path.open(encoding="latin-1") as file:
        for line in file:
            if not line.startswith("#"):
                break
            header.append(line[1:].strip())
    entries = {}
    for line in header:
        key, *value = re.split(r"[:\s]+", line, maxsplit=1)
        entries[key.upper()] = value[0].strip() if value else ""
    grid = entries.get("GRID", "")
    if grid.lower().startswith("hex"):
        raise InputError(
            f"{path}: has a hexagonal grid; expected a square one, to which OIM Analysis converts it on export."
        )
    rows = _number(entries, "NROWS", path)
    columns = _number(entries, "NCOLS_ODD", path)
    phases = _phases(header, path)
    table = read_table(path, len(header), [0, 1, 2, _CONFIDENCE, _PHASE])
    euler, confidence, phase = table[:, :3], table[:, 3], table[:, 4].copy()
    if len(phases) == 1 and not phase.any():
        phase += 1
    marked = np.isclose(euler, 4 * math.pi, atol=1e-3).all(axis=1)
    phase[(confidence == -1) | marked | (phase < 1)] = 0
    return made_scan(
        path,
        {"phase": phase, "euler": euler},
        (int(columns), int(rows)),
        (_number(entries, "XSTEP", path), _number(entries, "YSTEP", path)),
        phases,
        frame="edax",
        x_along_a=True,
    )


def _number(entries: dict[str, str], key: str, path: Path) -> float:
    try:
        return float(entries[key])
    except (KeyError, ValueError):
        raise InputError(f"{path}: has no number {key} in its header; expected an .ang file of EDAX OIM.") from None


def _phases(header: list[str], path: Path) -> list[CrystalPhase]:
    """The phases by their numbers, which need not be in order."""
    found: dict[int, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in header:
        key, _, value = line.partition(" ") if " " in line else line.partition("\t")
        if key == "Phase" and value.strip().isdecimal():
            current = found.setdefault(int(value), {})
        elif key.rstrip(":") in ("MaterialName", "Symmetry"):
            current.setdefault(key.rstrip(":"), value.strip())
    phases = []
    for number in range(1, len(found) + 1):
        entry = found.get(number, {})
        symmetry = entry.get("Symmetry", "")
        if symmetry not in _LAUE:
            raise InputError(
                f"{path}: phase {number} has the symmetry '{symmetry}'; expected one of: {', '.join(_LAUE)}."
            )
        phases.append(CrystalPhase(entry.get("MaterialName") or f"phase {number}", _LAUE[symmetry]))
    if not phases:
        raise InputError(f"{path}: lists no phases in its header; expected '# Phase 1' and its symmetry.")
    return phases
