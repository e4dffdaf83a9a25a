"""Effective stiffness and conductivity: ours against muGrid, scikit-fem and TauFactor. `python benchmarks/physics.py`.

    pip install --constraint constraints.txt --editable '.[benchmarks]'
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/physics.py

CPU time a structure, all load cases, after a first call that compiles and plans; the mean over a few images. Equal
accuracy: the largest error of an entry of the tensor, in parts of the largest entry and over all images, is at most
1e-4 against our float64 solve at 1e-8. Ours stops at its estimated error of 1e-4. muGrid stops at a residual, in
float32, at the loosest of those tried that is enough for all images: a choice that its user cannot make without knowing
the answer; and beside it with one setting for every row, as ours has: float64 at 1e-6, since at contrast 1000 it needs
a residual that it cannot reach in float32 at contrast 10. Its loop for conduction is ours, from its
gradient. scikit-fem is solved directly and by algebraic multigrid (pyamg, smoothed aggregation in conjugate gradients
to 1e-6), both physics together, on the first image alone; TauFactor, likewise, stops as it is made to. `FFT x` is our
time over that of the transforms alone (iterations x one pair for each component and load case), `MiB` the most memory
that our arrays took. muSpectre is left out: it solves other equations (Fourier, odd grids).

The second table is the wall time a structure of `homogenize`, both physics, for batches and threads.
"""

import argparse
import importlib.metadata
import os
import platform
import resource
import runpy
import time
import tracemalloc
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyamg
import scipy.fft
import scipy.sparse
import torch
from peers import taufactor_peer
from peers.mugrid import MuGridConduction, MuGridElasticity

from microdesign.microstructure.generators import generate
from microdesign.physics.equations import Conduction, Elasticity, Equations
from microdesign.physics.materials import Materials
from microdesign.physics.solver import homogenize

RESIDUALS = (0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-4
PHYSICS = {"elastic": Elasticity, "conductive": Conduction}
PEERS = {"elastic": MuGridElasticity, "conductive": MuGridConduction}


def materials(contrast: float) -> Materials:
    """Two phases, 1 and `contrast`."""
    return Materials.model_validate({"phases": [{"E": e, "nu": 0.3, "k": e} for e in (1.0, contrast)]})


def solver(physics: str, shape: tuple[int, ...], phases: Materials, dtype: str) -> Equations:
    """Our equations of one physics."""
    return PHYSICS[physics](phases, shape, np.ones(len(shape)), "q1", dtype)


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


def mugrid(
    images: np.ndarray, physics: str, phases: Materials, exact: Sequence[np.ndarray], repeats: int
) -> tuple[float, float, float]:
    """CPU time a structure, error and residual of muGrid at the loosest residual that is accurate enough for all."""
    shape = images.shape[1:]
    for dtype in (np.float32, np.float64):
        peer = PEERS[physics](shape, moduli(physics, phases, len(shape)), dtype)

        def enough(residual: float, peer: Any = peer) -> bool:
            try:
                return (
                    max(error(peer.tensor(i, residual), tensor) for i, tensor in zip(images, exact, strict=True))
                    <= TOLERANCE
                )
            except RuntimeError:  # below what float32 can reach
                return False

        residuals = [residual for residual in RESIDUALS if dtype == np.float64 or residual >= 1e-5]
        first = bisect_left(residuals, True, key=enough)
        if first < len(residuals):
            return *timed(partial(peer.tensor, tolerance=residuals[first]), images, exact, repeats), residuals[first]
    return float("nan"), float("nan"), float("nan")


def timed(
    solve: Callable[[np.ndarray], np.ndarray], images: np.ndarray, exact: Sequence[np.ndarray], repeats: int
) -> tuple[float, float]:
    """CPU time a structure and largest error."""
    runs = [cpu_seconds(partial(solve, image), repeats) for image in images]
    errors = [error(tensor, reference) for (_, tensor), reference in zip(runs, exact, strict=True)]
    return float(np.mean([seconds for seconds, _ in runs])), max(errors)


class Multigrid:
    """Takes the place of scipy's `splu` in the example."""

    def __init__(self, K: scipy.sparse.csc_matrix) -> None:
        self.levels = pyamg.smoothed_aggregation_solver(K.tocsr())

    def solve(self, f: np.ndarray) -> np.ndarray:
        """Solves for each column of f."""
        return np.stack([self.levels.solve(column, tol=1e-6, accel="cg") for column in f.T], axis=1)


def scikit_fem(image: np.ndarray, contrast: float, multigrid: bool) -> float:
    """CPU time of scikit-fem, assembly included; both physics come together there."""
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


def ours(image: np.ndarray, phases: Materials, physics: str, repeats: int) -> tuple[float, Any]:
    """CPU time of ours, in float32, and what it returns: the tensor and the solution."""
    equations = solver(physics, image.shape, phases, "float32")
    return cpu_seconds(lambda: equations.solve(image, TOLERANCE, 2000), repeats)


def row(images: np.ndarray, physics: str, contrast: float, settings: argparse.Namespace) -> None:
    """Prints one line of the table."""
    phases, repeats = materials(contrast), settings.repeats if images.ndim == 3 else 1
    image, shape = images[0], images.shape[1:]
    dims = len(shape)
    exact = [solver(physics, shape, phases, "float64").solve(image, 1e-8, 5000)[0] for image in images]
    runs = [ours(image, phases, physics, repeats) for image in images]
    seconds = float(np.mean([run[0] for run in runs]))
    iterations = [float(solution.iterations) for _, (_, solution) in runs]
    worst = max(error(tensor, reference) for (_, (tensor, _)), reference in zip(runs, exact, strict=True))
    fields = (3 * dims - 3) * dims if physics == "elastic" else dims
    floor = float(np.mean(iterations)) * fft_seconds(shape, fields, repeats)
    cells = [f"{' x '.join(map(str, shape)):15}", f"{physics:10}", f"{contrast:6g}", f"{max(iterations):5.0f}"]
    cells += [f"{1e3 * seconds:9.1f}", f"{worst:9.1e}", f"{seconds / floor:6.2f}"]
    cells += [f"{peak_mebibytes(lambda: ours(image, phases, physics, 1)):6.1f}"]
    others = ["", "", "", "", ""]
    peer, reached, residual = mugrid(images, physics, phases, exact, repeats)
    others[0] = f"{1e3 * peer:8.0f} {peer / seconds:5.1f}x {reached:.0e} at {residual:.0e}"
    same_for_all = PEERS[physics](shape, moduli(physics, phases, dims), np.float64)
    peer, reached = timed(partial(same_for_all.tensor, tolerance=1e-6), images, exact, 1)
    others[1] = f"{1e3 * peer:6.0f} {peer / seconds:4.1f}x {reached:.0e}"
    if dims == 2 and physics == "elastic":
        both = runs[0][0] + ours(image, phases, "conductive", repeats)[0]
        for place, multigrid in ((2, False), (3, True)):
            peer = scikit_fem(image, contrast, multigrid)
            others[place] = f"{1e3 * peer:8.0f} {peer / both:5.0f}x"
    if dims == 2 and physics == "conductive":
        peer, _ = cpu_seconds(lambda: taufactor_peer.conductivity(image, np.array([1.0, contrast])), 1)
        others[4] = f"{1e3 * peer:8.0f} {peer / (runs[0][0] / dims):5.0f}x"
    widths = (31, 19, 15, 15, 15)
    print(
        " ".join(cells), *(f"{cell:{width}}" for cell, width in zip(others, widths, strict=True)), sep=" | ", flush=True
    )


def batches(shape: tuple[int, ...], family: str, contrast: float) -> None:
    """Prints the wall time a structure for batches of 1, 8 and 32 on 1 and 2 threads."""
    cells = []
    for count in (1, 8, 32) if len(shape) == 2 else (1, 8):
        images = generate(family, 0, count, shape[0], 0, dims=len(shape)).labels
        for threads in (1, 2):
            with ThreadPoolExecutor(threads) as pool:
                solve = partial(homogenize, materials=materials(contrast), dims=len(shape))
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
    print(f"{'shape':15} {'physics':10} {'contr.':>6} {'iter.':>5} {'ours ms':>9} {'error':>9} {'FFT x':>6}", end=" ")
    print(f"{'MiB':>6}", end=" ")
    others = (f"{'float64 at 1e-6':19}", "scikit-fem     ", "with multigrid ", "TauFactor, 1 d.")
    print("", f"{'muGrid ms, ratio, error, resid.':31}", *others, sep=" | ")
    shapes = [tuple(int(n) for n in text.split("x")) for text in settings.shapes]
    families = {2: "GRF", 3: "FilteredNoise"}
    for shape in shapes:
        count = settings.images if len(shape) == 2 else settings.volumes
        images = generate(families[len(shape)], 0, count, shape[0], 0, dims=len(shape)).labels
        for physics in ("elastic", "conductive"):
            for contrast in settings.contrasts:
                row(images, physics, contrast, settings)
    if settings.batches:
        counts = [f"{count} on {threads}" for count in (1, 8, 32) for threads in (1, 2)]
        print(f"\n{'ms a structure':15} {'contr.':>6}", *(f"{text:>11}" for text in counts))
        for shape in shapes:
            batches(shape, families[len(shape)], 100)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
