"""From one micrograph to a report by one command, which is killed within training and goes on."""

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from microdesign.design.report.result import read_result
from microdesign.physics.effective_properties import homogenize
from tests.system.settings import BIN, MATERIALS, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PERIODS = 7, 9
"""Of the micrograph's pattern, whose windows differ in phase and so in their fractions."""


def micrograph() -> np.ndarray:
    """Blobs on a distorted grid, 80 x 72, not periodic."""
    x, y = np.indices((80, 72))
    field = np.sin(2 * np.pi * x / PERIODS[0] + np.sin(y / 5)) + np.sin(2 * np.pi * y / PERIODS[1] + np.sin(x / 6))
    return (field + 0.4 * np.sin(x / 11) > 0.2).astype(np.uint8)


def test_from_a_micrograph_to_a_report(environment: dict[str, str], cluster: dict[str, str], tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", micrograph())
    (tmp_path / "materials.yaml").write_text(yaml.safe_dump(MATERIALS))
    small = {"candidates": 1, "samples": 32, "screened": 4, "evaluations": 5, "random_baseline": False}
    small |= {"robustness": {"draws": 1}, "refinement": {"pool": 16}, "minutes": 5}
    settings = {"draws": 48, "within": 4.0, "size": 32, "cpus": 1, "campaign": small}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    line = [BIN / "microdesign", "design", "--from", "scan.npy", "settings.yaml", "--materials", "materials.yaml"]
    line += ["--target", "Ex=1.05x", "--target", "kx=match", "--minutes", "0.2", "--json"]
    values = environment | {"RAY_ADDRESS": cluster["RAY_ADDRESS"]}
    folder, log = tmp_path / "microdesign-from-scan", tmp_path / "log"
    with log.open("w") as stream:
        first = subprocess.Popen(line, cwd=tmp_path, env=values, stdout=stream, stderr=stream)
    wait_until(lambda: "train: starts" in log.read_text() or first.poll() is not None, 240)
    assert first.poll() is None, log.read_text()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    shards = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.parquet")}
    assert len([path for path in shards if path.parent.name.startswith(("draws-", "labelled-"))]) == 2

    done = subprocess.run(line, cwd=tmp_path, env=values, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode in (0, 3), done.stderr  # 3: so little training may meet no target
    assert {path: path.stat().st_mtime_ns for path in shards} == shards
    document = json.loads(done.stdout)
    assert set(document["stages"]) == {"windows", "fine-tune", "draw", "label", "train", "design"}
    own = homogenize(micrograph(), MATERIALS, boundary="mirror")
    target = document["target"]["properties"]
    assert target == pytest.approx({"Ex": 1.05 * own.Ex, "kx": own.kx}, rel=1e-3)
    assert document["reference"]["properties"]["kx"] == pytest.approx(own.kx, rel=1e-3)
    assert document["target"]["constraints"]["similar_to"]["within"] == 4
    result = read_result(Path(document["folder"]))
    assert result.search.evaluations > 0
    assert np.array_equal(result.labels(result.reference.image)[0], micrograph())
    assert "Micrograph" in Path(document["report"]).read_text()
