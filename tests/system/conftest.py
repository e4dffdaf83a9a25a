"""Commands as a user types them, in one folder, on a cluster started with `ray start --head`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

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


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole-way")


@pytest.fixture(scope="package")
def environment(folder: Path) -> dict[str, str]:
    values = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_"))}
    path = os.pathsep.join((str(BIN), values.get("PATH", "")))
    python_path = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    return values | {"PATH": path, "PYTHONPATH": python_path, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}


@pytest.fixture(scope="package")
def cluster(environment: dict[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """A cluster of one node: the addresses of Ray and of its job server."""
    port, dashboard, client = (free_port() for _ in range(3))
    command = [BIN / "ray", "start", "--head", "--block", "--num-cpus=2", f"--port={port}", "--include-dashboard=true"]
    command += [f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}", "--disable-usage-stats"]
    log = (folder / "ray.log").open("w")
    head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = {"RAY_ADDRESS": f"127.0.0.1:{port}", "jobs": f"http://127.0.0.1:{dashboard}"}
    wait_until(lambda: answers(dashboard) or head.poll() is not None, 90)
    assert head.poll() is None, (folder / "ray.log").read_text()
    yield address
    os.killpg(head.pid, signal.SIGTERM)
    try:
        head.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(head.pid, signal.SIGKILL)


@pytest.fixture(scope="package")
def command(environment: dict[str, str], cluster: dict[str, str], folder: Path) -> Command:
    """Runs `microdesign ...` in the folder, on the cluster; fails the test unless it exits with `code`."""

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        line = [BIN / "microdesign", *map(str, arguments)]
        values = environment | {"RAY_ADDRESS": cluster["RAY_ADDRESS"]}
        done = subprocess.run(line, cwd=folder, env=values, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="package")
def labelled(command: Command, folder: Path) -> Path:
    """A labelled data set of 320 images."""
    (folder / "materials.yaml").write_text(yaml.safe_dump(MATERIALS))
    command("data", "generate", "images", "--set", "count_per_family=80", "--set", "size=32")
    command("data", "label", "images", "labelled", "--materials", "materials.yaml")
    return folder / "labelled"


@pytest.fixture(scope="package")
def bundle(command: Command, labelled: Path, folder: Path) -> Path:
    """A trained and registered model."""
    settings = {"dataset": str(labelled), "loop": SMALL_LOOP, "storage": str(folder / "runs")}
    (folder / "train.yaml").write_text(yaml.safe_dump(settings))
    return Path(json.loads(command("train", "train.yaml", "--json").stdout)["bundle"])


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
