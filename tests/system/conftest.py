"""Commands as a user types them, in one folder, on a cluster started with `ray start --head`."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.mlflow_database import database
from tests.system.settings import BIN, MATERIALS, ROOT, Command, answers, free_port, wait_until


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole-way")


@pytest.fixture(scope="package")
def environment(folder: Path) -> dict[str, str]:
    values = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_"))}
    path = os.pathsep.join((str(BIN), values.get("PATH", "")))
    python_path = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    (folder / "evaluated").mkdir()
    return values | {
        "PATH": path,
        "PYTHONPATH": python_path,
        "MLFLOW_TRACKING_URI": database(folder),
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one process less in every training
        "RAY_USAGE_STATS_ENABLED": "0",  # and in every labelling
        "EVALUATED": str(folder / "evaluated"),  # what `slow_physics` notes
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
    }


@pytest.fixture(scope="package")
def cluster(environment: dict[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """A cluster of one node: the addresses of Ray and of its job server."""
    for left in (1, 0):
        port, dashboard, agent, client = (free_port() for _ in range(4))
        command = [BIN / "ray", "start", "--head", "--block", "--num-cpus=2", f"--port={port}"]
        command += ["--include-dashboard=true", f"--dashboard-port={dashboard}"]
        command += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"]
        # Short, for it holds sockets; its own, for Ray's usual one tells other programs of this user where to connect.
        place = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        command += [f"--temp-dir={place}", "--disable-usage-stats"]
        log = (folder / "ray.log").open("w")
        head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        if _is_up(head, (port, dashboard)) or not left:
            break
        _stop(head, place)  # beside other tests a port may have been taken meanwhile, or the start have lasted too long
    assert head.poll() is None, (folder / "ray.log").read_text()
    yield {"RAY_ADDRESS": f"127.0.0.1:{port}", "jobs": f"http://127.0.0.1:{dashboard}"}
    _stop(head, place)


def _is_up(head: subprocess.Popen[bytes], ports: tuple[int, ...]) -> bool:
    """Whether a head answers at its ports within a minute and a half, and still does a little later."""
    try:
        wait_until(lambda: all(map(answers, ports)) or head.poll() is not None, 90)
    except AssertionError:
        return False
    time.sleep(3)
    return head.poll() is None and all(map(answers, ports))


def _stop(head: subprocess.Popen[bytes], place: str) -> None:
    """Ends a head; its daemons live and die with the process that started them."""
    with suppress(ProcessLookupError):
        os.killpg(head.pid, signal.SIGKILL)
    head.wait()
    shutil.rmtree(place, ignore_errors=True)


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
