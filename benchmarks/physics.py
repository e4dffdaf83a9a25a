"""Effective stiffness and conductivity: ours beside muGrid, scikit-fem, TauFactor, muSpectre. `benchmarks/physics.py`.

    pip install --constraint constraints.txt --editable '.[benchmarks]'
    python -m venv muspectre && muspectre/bin/pip install muSpectre==0.27.0
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 MKL_NUM_THREADS=1 \\
        python benchmarks/physics.py --muspectre muspectre/bin/python

CPU time a structure, all load cases, after a first call that compiles and plans; the mean over a few images. Equal
accuracy: the largest error of an entry of the tensor, in parts of the largest entry and over all images, is at most
1e-4 against our float64 solve at 1e-8. Peers that iterate are compared in two ways, the same for both sides:

- `tuned`: each stops at the loosest of a few tolerances that is accurate enough for all images of the row, which is a
  choice that only one who knows the answer can make;
- `as set`: one setting for every row, as users have it: ours at its estimated error of 1e-4, the peer at a residual of
  1e-6 in float64 (at contrast 1000 muGrid needs one that it cannot reach in float32 at contrast 10).

muGrid's loop for conduction is ours, from its gradient. scikit-fem is solved directly and by algebraic multigrid
(pyamg, smoothed aggregation in conjugate gradients to 1e-6), of images both physics together, on the first structure
alone; TauFactor, likewise, stops as it is made to. `FFT x` is our time over that of the transforms alone (iterations x
one pair for each component and load case), `MiB` the most memory that our arrays took.

muSpectre has no q1 and takes odd grids, so that it has a table of its own, of the `rotated` discretisation that both
have. The last table is the wall time a structure of `homogenize`, both physics, for batches and threads.
"""

import argparse
import functools
import importlib.metadata
import json
import os
import platform
import resource
import runpy
import subprocess
import tempfile
import time
import tracemalloc
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import torch
from peers import scikit_fem_volumes, taufactor_peer
from peers.mugrid import MuGridConduction, MuGridElasticity
from peers.scikit_fem_volumes import Multigrid

from microdesign.microstructure.generators.registry import generate
from microdesign.physics.materials import Materials
from microdesign.physics.solver.equations import Conduction, Elasticity, Equations
from microdesign.physics.solver.homogenization import homogenize

TOLERANCES = (0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5)
RESIDUALS = (0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-4
PHYSICS = {"elastic": Elasticity, "conductive": Conduction}
PEERS = {"elastic": MuGridElasticity, "conductive": MuGridConduction}


def materials(contrast: float, plane: str = "stress") -> Materials:
    """Two phases, 1 and `contrast`."""
    phases = [{"E": e, "nu": 0.3, "k": e} for e in (1.0, contrast)]
    return Materials.model_validate({"plane": plane, "phases": phases})


def solver(physics: str, shape: tuple[int, ...], phases: Materials, dtype: str, scheme: str = "q1") -> Equations:
    """Our equations of one physics."""
    return PHYSICS[physics](phases, shape, np.ones(len(shape)), scheme, dtype)


def cpu_seconds(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """The least CPU time of `function` and what it returns."""
    result, times = function(), []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result


def error(tensor: np.ndarray, reference: np.ndarray) -> float:
    """Largest error of an entry, in parts of the largest."""
    return float(np.abs(tensor - reference).max() / np.abs(reference).max())


def fft_seconds(shape: tuple[int, ...], fields: int, repeats: int) -> float:
    """CPU time of one forward and one inverse transform of `fields` float32 fields, the faster of two libraries."""
    x = np.random.default_rng(0).random((fields, *shape), np.float32)
    t, axes = torch.from_numpy(x), tuple(range(1, len(shape) + 1))

    def scipy_pair() -> None:
        scipy.fft.irfftn(scipy.fft.rfftn(x, axes=axes), s=shape, axes=axes)

    def torch_pair() -> None:
        torch.fft.irfftn(torch.fft.rfftn(t, dim=axes), s=shape, dim=axes)

    return min(cpu_seconds(pair, repeats)[0] for pair in (scipy_pair, torch_pair))


def moduli(physics: str, phases: Materials, dims: int) -> np.ndarray:
    """What muGrid takes of the phases."""
    return phases.lame_moduli_of(dims) if physics == "elastic" else phases.conductivities


def loosest(choices: Sequence[float], error_at: Callable[[float], float]) -> float | None:
    """The first of the choices, loosest first, that is accurate enough; none if none is."""
    first = bisect_left(choices, True, key=lambda choice: error_at(choice) <= TOLERANCE)
    return choices[first] if first < len(choices) else None


def tuned(
    solve: Callable[[np.ndarray, float], np.ndarray],
    choices: Sequence[float],
    images: np.ndarray,
    exact: Sequence[np.ndarray],
    repeats: int,
) -> tuple[float, float]:
    """CPU time a structure at the loosest tolerance of `solve` that is accurate enough, and that tolerance."""

    def error_at(choice: float) -> float:
        try:
            return max(error(solve(image, choice), tensor) for image, tensor in zip(images, exact, strict=True))
        except RuntimeError:  # below what muGrid can reach in float32
            return float("inf")

    choice = loosest(choices, error_at)
    if choice is None:
        return float("inf"), float("nan")
    return timed(lambda image: solve(image, choice), images, exact, repeats)[0], choice


def timed(
    solve: Callable[[np.ndarray], np.ndarray], images: np.ndarray, exact: Sequence[np.ndarray], repeats: int
) -> tuple[float, float]:
    """CPU time a structure and largest error."""
    runs = [cpu_seconds(functools.partial(solve, image), repeats) for image in images]
    errors = [error(tensor, reference) for (_, tensor), reference in zip(runs, exact, strict=True)]
    return float(np.mean([seconds for seconds, _ in runs])), max(errors)


def scikit_fem(image: np.ndarray, contrast: float, multigrid: bool) -> float:
    """CPU time of scikit-fem, assembly included: of an image both physics, of a volume elasticity."""
    if image.ndim == 3:
        return cpu_seconds(lambda: scikit_fem_volumes.stiffness(image, np.array([1.0, contrast]), 0.3), 1)[0]
    phases = [{"E": e, "nu": 0.3, "k": e} for e in (1.0, contrast)]
    properties = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "finite_elements.py"))["properties"]
    if multigrid:
        properties.__globals__["splu"] = Multigrid
    return cpu_seconds(lambda: properties(image, {"phases": phases}), 1)[0]


def peak_mebibytes(function: Callable[[], Any]) -> float:
    """The most memory that the arrays made in `function` took at once."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def ours(image: np.ndarray, physics: str, phases: Materials, repeats: int) -> tuple[float, Any]:
    """CPU time of ours, in float32, and what it returns: the tensor and the solution."""
    equations = solver(physics, image.shape, phases, "float32")
    return cpu_seconds(lambda: equations.solve(image, TOLERANCE, 2000), repeats)


def row(images: np.ndarray, physics: str, contrast: float, settings: argparse.Namespace) -> None:
    """Prints one line of the table."""
    phases, repeats = materials(contrast), settings.repeats if images.ndim == 3 else 1
    image, shape = images[0], images.shape[1:]
    dims = len(shape)
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
    peers = [
        (*tuned(peer.tensor, choices, images, exact, repeats), dtype.__name__)
        for dtype, choices in ((np.float32, RESIDUALS[:-1]), (np.float64, RESIDUALS))
        for peer in [PEERS[physics](shape, moduli(physics, phases, dims), dtype)]
    ]
    peer, residual, name = min(peers)
    others[0] = f"{1e3 * peer:8.0f} {peer / best:5.1f}x {residual:.0e} {name}"
    same_for_all = PEERS[physics](shape, moduli(physics, phases, dims), np.float64)
    peer, reached = timed(functools.partial(same_for_all.tensor, tolerance=1e-6), images, exact, 1)
    others[1] = f"{1e3 * peer:7.0f} {peer / seconds:5.1f}x {reached:.0e}"
    if physics == "elastic":
        own = runs[0][0] + (ours(image, "conductive", phases, repeats)[0] if dims == 2 else 0)
        for place, multigrid in ((2, False), (3, True)):
            if dims == 2 or (multigrid and settings.scikit_fem_volumes):
                peer = scikit_fem(image, contrast, multigrid)
                others[place] = f"{1e3 * peer:8.0f} {peer / own:5.0f}x"
    if dims == 2 and physics == "conductive":
        peer, _ = cpu_seconds(lambda: taufactor_peer.conductivity(image, np.array([1.0, contrast])), 1)
        others[4] = f"{1e3 * peer:8.0f} {peer / (runs[0][0] / dims):5.0f}x"
    widths = (30, 20, 15, 15, 15)
    print(
        " ".join(cells), *(f"{cell:{width}}" for cell, width in zip(others, widths, strict=True)), sep=" | ", flush=True
    )


def muspectre(python: str, images: np.ndarray, contrast: float) -> None:
    """Prints a line beside muSpectre, by the interpreter that has it: elastic, plane strain, rotated."""
    phases = materials(contrast, plane="strain")
    shape = images.shape[1:]
    exact = [solver("elastic", shape, phases, "float64", "rotated").solve(image, 1e-8, 5000)[0] for image in images]
    script = Path(__file__).parent / "peers" / "muspectre_peer.py"

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
    seconds, worst = timed(lambda image: equations.solve(image, TOLERANCE, 2000)[0], images, exact, 3)
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


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=4, help="images of a shape")
    parser.add_argument("--volumes", type=int, default=2, help="volumes of a shape")
    parser.add_argument("--scikit-fem-volumes", action="store_true", help="minutes and gigabytes a volume")
    parser.add_argument("--muspectre", metavar="PYTHON", help="an interpreter that has muSpectre: its table")
    parser.add_argument("--shapes", nargs="*", default=["256x256", "51x51x51", "64x64x64"])
    parser.add_argument("--contrasts", nargs="*", type=float, default=[10, 100, 1000])
    parser.add_argument("--batches", action=argparse.BooleanOptionalAction, default=True, help="the second table too")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    names = ("microdesign", "numpy", "numba", "torch", "muGrid", "scikit-fem", "pyamg", "taufactor")
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}; Python", end=" ")
    print(f"{platform.python_version()}, " + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
    print(
        f"one thread, CPU time, best of {settings.repeats}, of volumes one run; the first GRF images and FilteredNoise "
        "volumes of seed 0\n"
    )
    print(f"{'shape':15} {'physics':10} {'contr.':>6} {'iter.':>5} {'ours ms':>8} {'error':>8} {'FFT x':>5}", end=" ")
    print(f"{'MiB':>5} {'tuned ms':>8} at   ", end=" ")
    others = (f"{'muGrid as set ms':20}", "scikit-fem     ", "with multigrid ", "TauFactor, 1 d.")
    print("", f"{'muGrid tuned ms, ratio, at':30}", *others, sep=" | ")
    shapes = [tuple(int(n) for n in text.split("x")) for text in settings.shapes]
    families = {2: "GRF", 3: "FilteredNoise"}
    for shape in shapes:
        count = settings.images if len(shape) == 2 else settings.volumes
        images = generate(families[len(shape)], count, (shape[0],) * len(shape)).labels
        for physics in ("elastic", "conductive"):
            for contrast in settings.contrasts:
                row(images, physics, contrast, settings)
    if settings.muspectre:
        print(
            f"\nrotated, elastic {'contr.':>6} {'ours ms':>8} muSpectre, tuned {'':15}{'ours ms':>8} muSpectre, as set"
        )
        for shape in shapes:
            odd = [n - 1 + n % 2 for n in shape]
            count = settings.images if len(odd) == 2 else 1
            images = generate(families[len(odd)], count, (odd[0],) * len(odd)).labels
            for contrast in settings.contrasts:
                muspectre(settings.muspectre, images, contrast)
    if settings.batches:
        counts = [f"{count} on {threads}" for count in (1, 8, 32) for threads in (1, 2)]
        print(f"\n{'ms a structure':15} {'contr.':>6}", *(f"{text:>11}" for text in counts))
        for shape in shapes:
            batches(shape, families[len(shape)], 100)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
