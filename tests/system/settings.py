"""What the system tests share besides fixtures: where things are, small settings, waiting."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MATERIALS = {"phases": [{"E": 1.0, "nu": 0.3, "k": 1.0}, {"E": 10.0, "nu": 0.3, "k": 10.0}]}
SMALL_LOOP = {
    "epochs": 4,
    "batch_size": 16,
    "model": {
        "network": {"size": 32, "widths": [8, 8, 16], "latent": 6, "hidden": 32},
        "prior": {"components": 2, "hidden": 16},
    },
}

Command = Callable[..., subprocess.CompletedProcess[str]]


def campaign_settings(labelled: Path, model: str, folder: str, **changes: Any) -> dict[str, Any]:
    """A small campaign for a target that the labelled images surround."""
    return {
        "target": {"properties": {"Ex": 3.0, "Ey": 3.0, "kx": 3.0}, "tolerance": 0.5},
        "model": model,
        "dataset": str(labelled),
        "folder": folder,
        "samples": 64,
        "screened": 8,
        "per_round": 6,
        "evaluations": 26,
        "candidates": 2,
        "goal": 0.0001,
        "refinement": {"pool": 16},
        **changes,
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.2)
