"""Rows of the tables of `benchmarks/physics.py`: this library beside other solvers, at equal accuracy.

A peer that is not installed leaves its cells empty.
"""

import functools
import json
import runpy
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from common import timed
from measurements.solvers import (
    RESIDUALS,
    TOLERANCE,
    TOLERANCES,
    cpu_and_error,
    error,
    fft_seconds,
    loosest,
    materials,
    ours,
    peak_mebibytes,
    solver,
    tuned,
)

from microdesign.microstructure.generators.registry import generate
from microdesign.physics.materials import Materials
from microdesign.physics.solver.homogenization import homogenize

HEADINGS = (
    f"{'shape':15} {'physics':10} {'contr.':>6} {'iter.':>5} {'ours ms':>8} {'error':>8} {'FFT x':>5} {'MiB':>5} "
    f"{'tuned ms':>8} at   ",
    f"{'muGrid tuned ms, ratio, at':30}",
    f"{'muGrid as set ms':20}",
    "scikit-fem     ",
    "with multigrid ",
    "TauFactor, 1 d.",
)
"""Columns of `row`: ours, and a column for each peer."""


def row(images: np.ndarray, physics: str, contrast: float, repeats: int, fem_volumes: bool) -> None:
    """Prints one line: ours on images or volumes `(n, *N)`, and every installed peer."""
    phases, repeats = materials(contrast), repeats if images.ndim == 3 else 1
    image, shape, dims = images[0], images.shape[1:], images.ndim - 1
    exact = [solver(physics, shape, phases, "float64").solve(image, 1e-8, 5000)[0] for image in images]
    runs = [ours(image, physics, phases, repeats) for image in images]
    seconds = float(np.mean([run[0] for run in runs]))
    iterations = [float(solution.iterations) for _, (_, solution) in runs]
    worst = max(error(tensor, reference) for (_, (tensor, _)), reference in zip(runs, exact, strict=True))
    fields = (3 * dims - 3) * dims if physics == "elastic" else dims
    floor = float(np.mean(iterations)) * fft_seconds(shape, fields, repeats)
    equations = solver(physics, shape, phases, "float32")
    best, tolerance = tuned(
        lambda image, tolerance: equations.solve(image, tolerance, 2000)[0], TOLERANCES, images, exact, repeats
    )
    cells = [f"{' x '.join(map(str, shape)):15}", f"{physics:10}", f"{contrast:6g}", f"{max(iterations):5.0f}"]
    cells += [f"{1e3 * seconds:8.1f}", f"{worst:8.1e}", f"{seconds / floor:5.2f}"]
    cells += [f"{peak_mebibytes(lambda: ours(image, physics, phases, 1)):5.0f}", f"{1e3 * best:8.1f} {tolerance:.0e}"]

    others = [""] * 5
    if find_spec("muGrid"):
        others[:2] = _mugrid(images, physics, phases, exact, repeats, best, seconds)
    if physics == "elastic":
        own = runs[0][0] + (ours(image, "conductive", phases, repeats)[0] if dims == 2 else 0)
        for place, multigrid in ((2, False), (3, True)):
            installed = find_spec("skfem") and (find_spec("pyamg") or not multigrid)
            if installed and (dims == 2 or (multigrid and fem_volumes)):
                peer = _scikit_fem(image, contrast, multigrid)
                others[place] = f"{1e3 * peer:8.0f} {peer / own:5.0f}x"
    elif dims == 2 and find_spec("taufactor"):
        from peers import taufactor_peer

        peer = timed(lambda: taufactor_peer.conductivity(image, np.array([1.0, contrast])), 1).cpu
        others[4] = f"{1e3 * peer:8.0f} {peer / (runs[0][0] / dims):5.0f}x"
    padded = (f"{cell:{len(heading)}}" for cell, heading in zip(others, HEADINGS[1:], strict=True))
    print(" ".join(cells), *padded, sep=" | ", flush=True)


def _mugrid(
    images: np.ndarray,
    physics: str,
    phases: Materials,
    exact: list[np.ndarray],
    repeats: int,
    best: float,
    seconds: float,
) -> tuple[str, str]:
    """muGrid's cells, `tuned` and `as set`, beside our times of both."""
    from peers.mugrid import MuGridConduction, MuGridElasticity

    shape = images.shape[1:]
    kind = MuGridElasticity if physics == "elastic" else MuGridConduction
    moduli = phases.lame_moduli_of(len(shape)) if physics == "elastic" else phases.conductivities
    peers = [
        (*tuned(kind(shape, moduli, dtype).tensor, choices, images, exact, repeats), dtype.__name__)
        for dtype, choices in ((np.float32, RESIDUALS[:-1]), (np.float64, RESIDUALS))
    ]
    peer, residual, name = min(peers)
    same_for_all = kind(shape, moduli, np.float64)
    set_peer, reached = cpu_and_error(functools.partial(same_for_all.tensor, tolerance=1e-6), images, exact, 1)
    return (
        f"{1e3 * peer:8.0f} {peer / best:5.1f}x {residual:.0e} {name}",
        f"{1e3 * set_peer:7.0f} {set_peer / seconds:5.1f}x {reached:.0e}",
    )


def _scikit_fem(image: np.ndarray, contrast: float, multigrid: bool) -> float:
    """CPU time of scikit-fem, assembly included: of an image both physics, of a volume elasticity."""
    if image.ndim == 3:
        from peers import scikit_fem_volumes

        return timed(lambda: scikit_fem_volumes.stiffness(image, np.array([1.0, contrast]), 0.3), 1).cpu
    phases = [{"E": e, "nu": 0.3, "k": e} for e in (1.0, contrast)]
    properties = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "finite_elements.py"))["properties"]
    if multigrid:
        from peers.scikit_fem_volumes import Multigrid

        properties.__globals__["splu"] = Multigrid
    return timed(lambda: properties(image, {"phases": phases}), 1).cpu


def muspectre(python: str, images: np.ndarray, contrast: float) -> None:
    """Prints a line beside muSpectre, by the interpreter that has it: elastic, plane strain, rotated."""
    phases = materials(contrast, plane="strain")
    shape = images.shape[1:]
    exact = [solver("elastic", shape, phases, "float64", "rotated").solve(image, 1e-8, 5000)[0] for image in images]
    script = Path(__file__).parents[1] / "peers" / "muspectre_peer.py"

    def theirs(residual: float) -> tuple[float, float]:
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file.name, images)
            command = [python, str(script), file.name, f"1,{contrast:g}", "0.3", str(residual)]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return float(np.mean(result["seconds"])), max(map(error, map(np.array, result["tensors"]), exact))

    theirs_at = functools.cache(theirs)
    residual = loosest(RESIDUALS, lambda residual: theirs_at(residual)[1])
    equations = solver("elastic", shape, phases, "float32", "rotated")
    best, tolerance = tuned(
        lambda image, tolerance: equations.solve(image, tolerance, 2000)[0], TOLERANCES, images, exact, 3
    )
    seconds, worst = cpu_and_error(lambda image: equations.solve(image, TOLERANCE, 2000)[0], images, exact, 3)
    assert residual is not None
    their_best, (their_own, reached) = theirs_at(residual)[0], theirs_at(1e-6)
    print(f"{' x '.join(map(str, shape)):15} {contrast:6g}", end=" ")
    print(
        f"{1e3 * best:8.1f} {1e3 * their_best:8.0f} {their_best / best:6.1f}x ({tolerance:.0e}, {residual:.0e})",
        end=" ",
    )
    print(
        f"{1e3 * seconds:8.1f} {1e3 * their_own:8.0f} {their_own / seconds:6.1f}x ({worst:.0e}, {reached:.0e})",
        flush=True,
    )


def batches(shape: tuple[int, ...], family: str, contrast: float) -> None:
    """Prints the wall time a structure for batches of 1, 8 and 32 on 1 and 2 threads."""
    cells = []
    for count in (1, 8, 32) if len(shape) == 2 else (1, 8):
        images = generate(family, count, (shape[0],) * len(shape)).labels
        for threads in (1, 2):
            with ThreadPoolExecutor(threads) as pool:
                solve = functools.partial(homogenize, materials=materials(contrast), dims=len(shape))
                list(pool.map(solve, images[:1].repeat(threads, 0)))
                start = time.perf_counter()
                list(pool.map(solve, [part for part in np.array_split(images, threads) if len(part)]))
                cells.append(f"{1e3 * (time.perf_counter() - start) / count:11.1f}")
    print(f"{' x '.join(map(str, shape)):15} {contrast:6g}", *cells, flush=True)
