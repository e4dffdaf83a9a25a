"""Small EBSD scans as the instruments' programs write them; arrays are indexed x, y."""

from pathlib import Path

import h5py
import numpy as np

Phases = tuple[tuple[str, str], ...]
NICKEL: Phases = (("Nickel", "m-3m"),)
_EDAX = {"m-3m": "43", "6/mmm": "62", "-3m": "32"}
_OXFORD = {"m-3m": 11, "6/mmm": 9, "-3m": 7}


def write_ang(path: Path, phase: np.ndarray, euler: np.ndarray, phases: Phases = NICKEL, grid: str = "SqrGrid") -> Path:
    """`euler` in degrees; where `phase` is 0 the point is not indexed."""
    X, Y = phase.shape
    lines = ["# TEM_PIXperUM          1.000000", "# x-star 0.5", "#"]
    for number, (name, laue) in reversed(list(enumerate(phases, start=1))):
        lines += [
            f"# Phase {number}",
            f"# MaterialName  \t{name}",
            "# Formula     \tX",
            f"# Symmetry              {_EDAX[laue]}",
        ]
        lines += ["# LatticeConstants      3.560 3.560 3.560  90.000  90.000  90.000", "#"]
    lines += [f"# GRID: {grid}", "# XSTEP: 0.500000", "# YSTEP: 0.250000", f"# NCOLS_ODD: {X}", f"# NCOLS_EVEN: {X}"]
    lines += [f"# NROWS: {Y}", "#", "# OPERATOR: \tµ", "#"]
    for y in range(Y):
        for x in range(X):
            angles = np.radians(euler[x, y]) if phase[x, y] else np.full(3, 4 * np.pi)
            shown = 0 if len(phases) == 1 else phase[x, y]
            confidence = 0.9 if phase[x, y] else -1
            lines.append(
                "  ".join(f"{a:.5f}" for a in angles) + f"  {x / 2:.5f} {y / 4:.5f} 60.0 {confidence} {shown} 1 1.2"
            )
    path.write_text("\n".join(lines) + "\n", encoding="latin-1")
    return path


def write_ctf(path: Path, phase: np.ndarray, euler: np.ndarray, phases: Phases = NICKEL, comma: bool = False) -> Path:
    """`euler` in degrees."""
    X, Y = phase.shape
    lines = ["Channel Text File", "Prj\tunnamed", "Author\t[Unknown]", "JobMode\tGrid", f"XCells\t{X}", f"YCells\t{Y}"]
    lines += ["XStep\t0.5", "YStep\t0.25", "AcqE1\t0", "AcqE2\t0", "AcqE3\t0"]
    lines += [
        "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t500\tCoverage\t100",
        f"Phases\t{len(phases)}",
    ]
    lines += [f"3.524;3.524;3.524\t90;90;90\t{name}\t{_OXFORD[laue]}\t225" for name, laue in phases]
    lines.append("Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS")
    for y in range(Y):
        for x in range(X):
            angles = "\t".join(f"{a:.4f}" for a in euler[x, y])
            lines.append(f"{phase[x, y]}\t{x / 2:.4f}\t{y / 4:.4f}\t8\t0\t{angles}\t0.5000\t120\t200")
    text = "\n".join(lines)
    path.write_text(text.replace(".", ",") if comma else text, encoding="latin-1", newline="\r\n")
    return path


def write_h5oina(path: Path, phase: np.ndarray, euler: np.ndarray, phases: Phases = NICKEL, name: str = "1") -> Path:
    """`euler` in degrees."""
    with h5py.File(path, "a") as file:
        data, header = file.create_group(f"{name}/EBSD/Data"), file.create_group(f"{name}/EBSD/Header")
        data["Phase"] = phase.T.reshape(-1, 1).astype(np.uint8)
        data["Euler"] = np.radians(euler).swapaxes(0, 1).reshape(-1, 3).astype(np.float32)
        for axis, (count, step) in enumerate(zip(phase.shape, (0.5, 0.25), strict=True)):
            header[f"{'XY'[axis]} Cells"] = np.array([count], np.int32)
            header[f"{'XY'[axis]} Step"] = np.array([step], np.float32)
        for number, (title, laue) in enumerate(phases, start=1):
            group = header.create_group(f"Phases/{number}")
            group["Phase Name"] = np.array([title], dtype=object)
            group["Laue Group"] = np.array([_OXFORD[laue]], np.int32)
            group["Laue Group"].attrs["Symbol"] = laue
    return path


WRITERS = {".ang": write_ang, ".ctf": write_ctf, ".h5oina": write_h5oina}
