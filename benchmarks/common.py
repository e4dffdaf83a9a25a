"""What the benchmarks share: a parser, the head of their output, and timers. It imports nothing that takes long.

A benchmark parses its options before it imports what it measures, so that `--help` answers at once; what it measures
is in `measurements/`, and what it is compared with in `peers/`.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_ENVIRONMENT = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "THP_MEM_ALLOC_ENABLE")


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser whose help shows a benchmark's docstring as it is written."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def print_head(settings: argparse.Namespace, *packages: str) -> None:
    """Prints hardware, versions of the packages and settings, each on a line, before a table."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"hardware: {processor()}, {cores()} cores{load}{_gpu()}")
    versions = [f"{name} {version(name)}" for name in ("microdesign", *packages)]
    print(f"versions: Python {platform.python_version()}, {', '.join(versions)}")
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    print("settings:", *(f"{name}={value}" for name, value in (vars(settings) | environment).items()), end="\n\n")


def processor() -> str:
    """Name of the processor as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def version(package: str) -> str:
    """The version of an installed package, or `not installed`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


class Timing(NamedTuple):
    """Wall and CPU time in s, the least of each over the repeats, and what the function returned."""

    wall: float
    cpu: float
    result: Any


def timed(function: Callable[[], Any], repeats: int) -> Timing:
    """Times a function after a first call that compiles and plans; other work on the machine only ever adds."""
    result = function()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return Timing(min(walls), min(cpus), result)


def _gpu() -> str:
    torch = sys.modules.get("torch")
    return f", {torch.cuda.get_device_name()}" if torch is not None and torch.cuda.is_available() else ""
