"""The deck, solved by what it says alone and by CalculiX, against the package's own solver."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import microdesign as md
from microdesign.core.errors import InputError
from microdesign.export.calculix import read_stiffness
from microdesign.physics.tensors import isotropic_stiffness
from tests.cases import case
from tests.export.decks import solve_deck

ISOTROPIC: list[dict[str, Any]] = [{"E": 1, "nu": 0.3}, {"E": 10, "nu": 0.2}]
CUBIC = {"stiffness": (isotropic_stiffness(3, 1, 3) + np.diag([0, 0, 0, 2, 2, 2.0])).tolist(), "euler": [20, 30, 40]}
VOIDS: list[dict[str, Any]] = [{"E": 0}, {"E": 10, "nu": 0.2}]
PLANE = [0, 1, 5]


def noise(*shape: int, share: float = 0.5) -> np.ndarray:
    return (np.random.default_rng(0).random(shape) < share).astype(np.uint8)


def deck(folder: Path, labels: np.ndarray, phases: Any, **options: Any) -> Path:
    (done,) = md.export(labels, "inp", folder, phases, **options)
    return done.files[0]


def sheet_stiffness(image: np.ndarray, phases: list[dict[str, Any]]) -> np.ndarray:
    """A plate with free faces repeats along z with as much void above it: the same elements solved by FFT."""
    layers = np.stack([image, np.full_like(image, len(phases))], axis=2)
    return 2 * md.homogenize(layers, [*phases, {"E": 0}], dims=3, tolerance=1e-8).stiffness[np.ix_(PLANE, PLANE)]


CASES: dict[str, tuple[np.ndarray, Any, dict[str, Any], float]] = {
    "voxels that are no cubes": (noise(4, 3, 5), ISOTROPIC, {"dims": 3, "pixel_size": "1,2,1.5um"}, 1e-7),
    "three phases, one a crystal": (
        noise(4, 3, 2) + 2 * noise(4, 3, 2, share=0.3),
        [*ISOTROPIC, CUBIC, CUBIC],
        {"dims": 3},
        1e-7,
    ),
    "voids": (noise(4, 4, 4, share=0.8), VOIDS, {"dims": 3}, 1e-5),
    "a long body": (noise(5, 4), {"plane": "strain", "phases": ISOTROPIC}, {}, 1e-7),
    "a thin sheet": (noise(5, 4), {"plane": "stress", "phases": ISOTROPIC}, {}, 1e-7),
}


def expected(labels: np.ndarray, phases: Any, options: dict[str, Any]) -> np.ndarray:
    if labels.ndim == 2:
        if phases["plane"] == "stress":
            return sheet_stiffness(labels, phases["phases"])
        return md.homogenize(labels, phases, tolerance=1e-8).stiffness
    spacing = (1, 2, 1.5) if "pixel_size" in options else None
    return md.homogenize(labels, phases, dims=3, spacing=spacing, tolerance=1e-8).stiffness


def same(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    if len(found) > len(wanted):  # the long body has the loads along z, too
        found = found[np.ix_(PLANE, PLANE)]
    np.testing.assert_allclose(found, wanted, atol=tolerance * np.abs(wanted).max())


def test_the_deck_holds_the_problem_that_q1_solves(tmp_path: Path) -> None:
    for name, (labels, phases, options, tolerance) in CASES.items():
        with case(name=name):
            path = deck(tmp_path / name, labels, phases, **options)
            same(solve_deck(path.read_text()), expected(labels, phases, options), tolerance)


@pytest.mark.skipif(shutil.which("ccx") is None, reason="CalculiX is not installed (Debian: calculix-ccx)")
def test_calculix_runs_the_deck_and_agrees_with_q1(tmp_path: Path) -> None:
    for name, (labels, phases, options, _) in CASES.items():
        with case(name=name):
            path = deck(tmp_path / name, labels, phases, **options)
            subprocess.run(["ccx", path.stem], cwd=path.parent, check=True, capture_output=True, timeout=60)
            edges = [1, 2, 1.5] if "pixel_size" in options else [1, 1, 1]
            lengths = np.array([*labels.shape, 1][:3]) * edges
            same(read_stiffness(path.with_suffix(".dat"), lengths.tolist()), expected(labels, phases, options), 1e-5)


def test_what_cannot_be_a_deck_is_refused(tmp_path: Path) -> None:
    refused: list[tuple[str, Any, dict[str, Any], str]] = [
        ("no materials", None, {}, "give them by --materials"),
        ("no stiffness", [{"k": 1}, {"k": 2}], {}, "expected E and nu"),
        ("a phase too few", [{"E": 1, "nu": 0.3}], {}, "has a phase 1, but the materials have 1"),
        ("not periodic", ISOTROPIC, {"periodic": False}, "say --periodic"),
        ("smoothed", ISOTROPIC, {"smooth": 1.0}, "--smooth has no meaning for --to inp"),
    ]
    for name, phases, options, message in refused:
        with case(name=name), pytest.raises(InputError, match=message):
            md.export(noise(4, 4), "inp", tmp_path / "out", phases, **options)
    assert not list(tmp_path.rglob("*.inp"))


def test_results_without_forces_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text("nothing\n")
    with pytest.raises(InputError, match="has 0 total forces"):
        read_stiffness(tmp_path / "a.dat", (1, 1, 1))
