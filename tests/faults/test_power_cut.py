"""Whatever was reported is there after a power cut: files, their names and the folders above them are synced before."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from microdesign.design.campaign.ledger import read_trials
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import DatasetWriter
from tests.faults.power_cut import Disk, replay, traceable, traced
from tests.mlflow_database import database
from tests.system.settings import wait_until

pytestmark = pytest.mark.skipif(not traceable(), reason="needs strace, and leave to use it")

WRITE = "import os\ndef sync(path):\n    place = os.open(path, os.O_RDONLY); os.fsync(place); os.close(place)\n"
CARELESS = {
    "nothing is synced": ("open('a', 'w').write('x'); os.rename('a', 'b')", ["b: name"]),
    "a folder is not synced": ("open('a', 'w').write('x'); sync('a'); os.rename('a', 'b')", ["b: name"]),
    "a file is not synced": ("open('a', 'w').write('x'); os.rename('a', 'b'); sync('.')", ["b: content"]),
    "written after it was synced": (
        "f = open('a', 'w'); os.fsync(f.fileno()); f.write('x'); f.close(); sync('.')",
        ["a: content"],
    ),
    "a new folder is not synced": (
        "os.mkdir('c'); open('c/a', 'w').write('x'); sync('c/a'); sync('c')",
        ["c: name"],
    ),
    "an older name is still there": (
        "open('a', 'w').write('x'); sync('a'); sync('.')\nopen('b', 'w').write('y'); sync('b'); os.replace('b', 'a')",
        ["a: name"],
    ),
    "all is synced": (
        "os.mkdir('c'); sync('.'); open('c/a', 'w').write('x'); sync('c/a'); os.rename('c/a', 'c/b'); sync('c')",
        [],
    ),
}


def run(code: str, tmp_path: Path, *arguments: str) -> tuple[Path, Path]:
    """Runs Python code in a folder, traced; returns the folder and its traces."""
    folder, traces = tmp_path / "folder", tmp_path / "traces"
    folder.mkdir(parents=True)
    traces.mkdir()
    process = traced([sys.executable, *arguments, "-c", code], traces, cwd=folder, stdout=subprocess.PIPE)
    process.communicate(timeout=300)
    assert process.returncode == 0
    return folder.resolve(), traces


def test_what_is_not_synced_is_lost(tmp_path: Path) -> None:
    for number, (name, (code, lost)) in enumerate(CARELESS.items()):
        folder, traces = run(WRITE + code, tmp_path / str(number), "-I", "-S")
        disk = replay(traces, folder)
        assert disk.lost() == lost, name
        left = tmp_path / f"left-{number}"
        disk.left(left)
        if "content" in str(lost):
            (path,) = left.iterdir()
            assert path.read_bytes() == b"", name
        elif not lost:
            assert (left / "c" / "b").read_bytes() == b"x"


REPORTS = """
import sys
from pathlib import Path
import numpy as np
import pyarrow.fs
from microdesign.core.files import lock_folder, write_json
from microdesign.design.campaign.ledger import Ledger
from microdesign.design.campaign.trials import Trial, TrialState
from microdesign.learning.training.workers.durable_storage import durable_storage
from microdesign.microstructure.data.dataset import DatasetWriter
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.writers import write
from microdesign.model.bundle import Description, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.physics.execution.store import ResultStore

def say(what):
    sys.stdout.write(what)
    sys.stdout.flush()

lock_folder("runs/campaign")
ledger = Ledger("runs/campaign", {"seed": 0})
say("campaign begun")
for number in range(3):
    trial = Trial(number, str(number), np.zeros((4, 4), np.uint8), np.zeros(2), 0, 0, "draw", "", "m", {})
    ledger.record([trial])
    ledger.record([trial.moved(TrialState.RUNNING), trial.moved(TrialState.RUNNING).moved(TrialState.SUCCEEDED)])
    say("answer")
write_json("runs/campaign/result.json", {})
say("result")
store = ResultStore("runs/labelled/store")
store.add(["%064x" % 1], {"Ex": np.ones(1), "error": np.array([""])})
say("labels")
images = Microstructures(labels=np.eye(16, dtype=np.uint8)[None], n_phases=2, classes=("eye",))
writer = DatasetWriter("runs/data", settings={})
writer.write_shard("first", images)
say("shard")
writer.finish()
say("data set")
for name in ("a.npy", "a.npz", "a.h5", "a.vti", "pictures"):
    write(f"made/{name}", images)
    say(name)
config = ModelConfig(network=NetworkConfig(size=32, widths=(8, 8), latent=4, hidden=8))
standardization = Standardization(names=("Ex",), units=("1",), offsets=(1.0,), scales=(1.0,))
description = Description(model=config, standardization=standardization)
save_bundle("runs/bundle", VAERegression(config, 1), description)
say("bundle")
Path("local").mkdir()
Path("local/state.pt").write_bytes(b"state")
disk, here = durable_storage(), Path.cwd()
for number in range(3):
    disk.create_dir(f"{here}/runs/train/checkpoint_{number}")
    pyarrow.fs.copy_files("local", f"{here}/runs/train/checkpoint_{number}", destination_filesystem=disk)
    with disk.open_output_stream(f"{here}/runs/train/list.json") as stream:
        stream.write(b"[]")
    if number:
        disk.delete_dir(f"{here}/runs/train/checkpoint_{number - 1}")
    say("checkpoint")
"""


def test_what_was_reported_is_synced(tmp_path: Path) -> None:
    folder, traces = run(REPORTS, tmp_path)
    said: dict[str, list[str]] = {}

    def look(text: str, disk: Disk) -> None:
        said[text] = [each for each in disk.lost() if not each.startswith("local")]

    disk = replay(traces, folder, look)
    assert {"answer", "result", "labels", "data set", "a.h5", "pictures", "bundle", "checkpoint"} <= set(said)
    assert {what: lost for what, lost in said.items() if lost} == {}
    disk.left(tmp_path / "left")
    assert len(read_trials(str(tmp_path / "left" / "runs" / "campaign"))[0].succeeded) == 3


LOOP = {"epochs": 40, "batch_size": 16, "model": {"network": {"size": 16, "widths": [8, 8], "latent": 4, "hidden": 16}}}


@pytest.mark.skipif("MICRODESIGN_OUTAGES" not in os.environ, reason="minutes; set MICRODESIGN_OUTAGES=1")
def test_a_training_goes_on_after_a_power_cut(tmp_path: Path) -> None:
    """Killed at epoch 4; of what was synced then, the same command goes on from the checkpoint of epoch 3 or later."""
    stream = np.random.default_rng(0)
    phi = stream.uniform(0.2, 0.8, 120)
    labels = (stream.random((120, 16, 16)) < phi[:, None, None]).astype(np.uint8)
    writer = DatasetWriter(tmp_path / "data", settings={})
    writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties={"Ex": 1 + 9 * phi}))
    writer.finish()
    settings = {"dataset": str(tmp_path / "data"), "properties": ["Ex"], "loop": LOOP, "resources": {"cpus": 0.5}}
    (tmp_path / "train.yaml").write_text(json.dumps(settings | {"tracking": {"minimum_r2": None}}))
    folder, traces = tmp_path.resolve() / "folder", tmp_path / "traces"
    folder.mkdir()
    traces.mkdir()
    environment = os.environ | {"MLFLOW_TRACKING_URI": database(tmp_path)}
    command = [Path(sys.executable).parent / "microdesign", "train", tmp_path / "train.yaml"]
    log = (tmp_path / "log").open("w+")
    process = traced(command, traces, cwd=folder, env=environment, stderr=log)
    wait_until(lambda: "epoch 4/" in (tmp_path / "log").read_text() or process.poll() is not None, 300)
    psutil.Process(process.pid).children()[0].kill()
    process.wait(240)  # until Ray's processes have seen that their driver is gone

    lost: dict[str, list[str]] = {}

    def look(text: str, disk: Disk) -> None:
        if found := re.search(r"epoch \d", text):
            lost[found[0]] = disk.lost()

    disk = replay(traces, folder, look)
    print(*lost.items(), sep="\n")
    assert len(lost) >= 4
    # What is being written at that moment may be lost, as the next checkpoint; the one before is not.
    disk.left(tmp_path / "left")
    (noted,) = (tmp_path / "left" / "runs").glob("*/checkpoint_manager_snapshot.json")
    latest = json.loads(noted.read_text())["latest_checkpoint_result"]["checkpoint_dir_name"]
    assert torch.load(noted.parent / latest / "state.pt", weights_only=True)["epoch"] >= 3
    again = subprocess.run(
        command, cwd=tmp_path / "left", env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert again.returncode == 0, again.stderr
    epochs = [int(number) for number in re.findall(r"epoch (\d+)/", again.stderr)]
    print(epochs)
    assert epochs[0] >= 4
    assert epochs[-1] == 40
