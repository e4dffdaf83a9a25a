"""Generate, label, train, sweep, serve, design: each by its command, over real Ray, MLflow and HTTP."""

import hashlib
import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from microdesign.design.campaign.ledger import read_trials
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials
from microdesign.physics.properties import engineering_constants
from microdesign.physics.solver.homogenization import homogenize
from tests.system.settings import BIN, ROOT, SMALL_LOOP, Command, answers, campaign_settings, free_port, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def verify(document: dict) -> None:
    """Homogenizes every candidate's image again, to a tighter tolerance than the campaign's."""
    assert document["candidates"]
    materials = Materials.model_validate(document["materials"])
    for candidate in document["candidates"]:
        labels = np.load(candidate["files"]["npy"], allow_pickle=False)
        result = homogenize(labels, materials, tolerance=1e-6)
        constants = engineering_constants(result.stiffness, result.conductivity)
        errors = [abs(constants[name][0] - value) / value for name, value in document["target"]["properties"].items()]
        assert candidate["error"] == pytest.approx(max(errors), abs=5e-4)
        for name, value in candidate["verified"].items():
            assert value == pytest.approx(constants[name][0], rel=5e-4)
    assert document["search"]["evaluations"] >= len(document["candidates"])


def answered_images(parts: Path) -> set[str]:
    """Digests of the images that a campaign's record holds physics for."""
    rows = [row for path in sorted(parts.glob("part-*")) for row in pq.read_table(path).to_pylist()]
    return {hashlib.sha256(row["image"]).hexdigest() for row in rows if row["state"] == "succeeded"}


def test_labels_are_the_solver_s(labelled: Path) -> None:
    data = Dataset.open(labelled).read_shard(0).select(slice(0, 5))
    result = homogenize(data.labels, Materials.model_validate(Dataset.open(labelled).manifest.materials))
    for name, values in engineering_constants(result.stiffness, result.conductivity).items():
        assert data.properties[name] == pytest.approx(values, rel=1e-3)


@pytest.fixture(scope="module")
def trained(
    command: Command, environment: dict[str, str], cluster: dict[str, str], labelled: Path, folder: Path
) -> tuple[Path, str]:
    """A registered model, whose training was killed within its third epoch, and what the command said that went on."""
    settings = {"dataset": str(labelled), "loop": SMALL_LOOP, "storage": str(folder / "runs")}
    settings["tracking"] = {"minimum_r2": None}  # so small a model may predict no better than the mean
    (folder / "train.yaml").write_text(yaml.safe_dump(settings))
    options, log = ["train", "train.yaml", "--json"], folder / "killed-training.log"
    values = environment | {"RAY_ADDRESS": cluster["RAY_ADDRESS"]}
    with log.open("w") as stream:
        first = subprocess.Popen([BIN / "microdesign", *options], cwd=folder, env=values, stderr=stream)

    def kept() -> bool:
        """An epoch is told of as it ends; its checkpoint counts from when Ray has noted it, up to a second later."""
        noted = any((folder / "runs").glob("*/checkpoint_manager_snapshot.json"))
        return noted and "epoch 2/4" in log.read_text()

    wait_until(lambda: kept() or first.poll() is not None, 240)
    first.kill()
    assert first.wait() == -signal.SIGKILL, log.read_text()
    done = command(*options)
    return Path(json.loads(done.stdout)["bundle"]), done.stderr


@pytest.fixture(scope="module")
def bundle(trained: tuple[Path, str]) -> Path:
    return trained[0]


def test_a_killed_training_goes_on_is_recorded_registered_and_not_repeated(
    command: Command, trained: tuple[Path, str], environment: dict[str, str]
) -> None:
    bundle, said = trained
    assert "epoch 1/4" not in said
    assert "epoch 4/4" in said
    uri = environment["MLFLOW_TRACKING_URI"]
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    version = client.get_model_version_by_alias("microdesign", "champion")
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["dataset"] == json.loads((bundle / "model.json").read_text())["dataset"]
    assert {"r2_Ex", "mape_kx", "components_used", "reconstruction_excess_cess_median"} <= set(run.data.metrics)
    assert {metric.step for metric in client.get_metric_history(version.run_id, "loss")} == {1, 2, 3, 4}
    assert {f.path for f in client.list_artifacts(run.info.run_id)} >= {"parity.png", "bundle", "config.yaml"}
    again = command("train", "train.yaml", "--json")
    assert "trained already" in again.stderr
    assert client.get_model_version_by_alias("microdesign", "champion").version == version.version


def test_a_challenger_that_is_no_worse_is_promoted(
    command: Command, bundle: Path, environment: dict[str, str], labelled: Path
) -> None:
    uri = environment["MLFLOW_TRACKING_URI"]
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    champion = client.get_model_version_by_alias("microdesign", "champion")
    challenger = client.create_model_version("microdesign", champion.source, champion.run_id).version
    client.set_registered_model_alias("microdesign", "challenger", challenger)
    promoted = command("promote", "microdesign", "--dataset", labelled, "--by", "mape", "--json")
    versions = {f"microdesign version {n}" for n in (champion.version, challenger)}
    assert set(json.loads(promoted.stdout)["metrics"]) == versions
    assert client.get_model_version_by_alias("microdesign", "champion").version == challenger


@pytest.fixture(scope="module")
def submitted(
    command: Command, cluster: dict[str, str], labelled: Path, bundle: Path, folder: Path
) -> tuple[str, dict[str, Any]]:
    """What a job on the cluster printed, and the result of its campaign with the registry's champion."""
    settings = campaign_settings(
        labelled,
        "models:/microdesign@champion",
        str(folder / "runs" / "submitted"),
        evaluations=14,
        use_jacobian=False,  # an endpoint, to which it is compared, has none
    )
    (folder / "submitted.yaml").write_text(yaml.safe_dump(settings))
    done = command("submit", cluster["jobs"], "design", "submitted.yaml")
    return done.stderr, json.loads((folder / "runs" / "submitted" / "result.json").read_text())


def test_campaign_submitted_to_the_cluster(
    command: Command, cluster: dict[str, str], submitted: tuple[str, dict[str, Any]], labelled: Path, folder: Path
) -> None:
    printed, document = submitted
    assert "14 evaluations" in printed
    verify(document)
    assert document["search"]["evaluations"] == 14
    assert document["baselines"]["random"]["of"] == 14
    assert "data:image/png" in Path(document["report"]).read_text()
    settings = yaml.safe_load((folder / "submitted.yaml").read_text())
    settings["target"]["properties"]["Ex"] = 11.0
    (folder / "refused.yaml").write_text(yaml.safe_dump(settings))
    assert "out of reach" in command("submit", cluster["jobs"], "design", "refused.yaml", code=1).stderr


def test_campaign_over_http(
    command: Command,
    environment: dict[str, str],
    cluster: dict[str, str],
    submitted: tuple[str, dict[str, Any]],
    labelled: Path,
    folder: Path,
) -> None:
    port = free_port()
    config = yaml.safe_load((ROOT / "serving" / "serve.yaml").read_text())
    config["applications"][0]["args"]["bundle"] = "models:/microdesign@champion"
    config["applications"][0]["args"]["cpus"] = 0.1
    config["applications"][0]["args"]["tracking_uri"] = environment["MLFLOW_TRACKING_URI"]
    config["http_options"] = {"host": "127.0.0.1", "port": port}
    (folder / "serve.yaml").write_text(yaml.safe_dump(config))
    values = environment | {"RAY_ADDRESS": cluster["RAY_ADDRESS"], "RAY_DASHBOARD_ADDRESS": cluster["jobs"]}
    serve = [BIN / "serve", "deploy", "serve.yaml", "--address", cluster["jobs"]]
    subprocess.run(serve, cwd=folder, env=values, check=True, capture_output=True, timeout=120)

    def healthy() -> bool:
        try:
            return answers(port) and httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(healthy, 240)
    settings = campaign_settings(labelled, f"http://127.0.0.1:{port}", "runs/http", evaluations=14)
    (folder / "http.yaml").write_text(yaml.safe_dump(settings))
    remote = json.loads(command("design", "http.yaml", "--json").stdout)
    verify(remote)
    _, local = submitted
    assert remote["model"] == local["model"]
    served, loaded = (read_trials(str(folder / "runs" / name))[0].trials[0] for name in ("http", "submitted"))
    assert served.z == pytest.approx(loaded.z, rel=1e-4, abs=1e-5)  # the first proposal, whatever was answered first
    assert served.verified == pytest.approx(loaded.verified, rel=1e-3)
    shutdown = [BIN / "serve", "shutdown", "-y", "--address", cluster["jobs"]]
    subprocess.run(shutdown, env=values, check=True, capture_output=True, timeout=120)


def test_a_killed_campaign_goes_on(
    environment: dict[str, str], cluster: dict[str, str], labelled: Path, bundle: Path, folder: Path
) -> None:
    settings = campaign_settings(labelled, str(bundle), "runs/killed", evaluator="slow_physics:SlowPhysics")
    (folder / "killed.yaml").write_text(yaml.safe_dump(settings))
    evaluated = Path(environment["EVALUATED"])
    values = environment | {"RAY_ADDRESS": cluster["RAY_ADDRESS"]}
    line = [BIN / "microdesign", "design", "killed.yaml", "--json"]
    parts = folder / "runs" / "killed" / "evaluations"

    log = folder / "killed.log"
    with log.open("w") as stream:
        first = subprocess.Popen(line, cwd=folder, env=values, stdout=stream, stderr=stream, start_new_session=True)
    wait_until(lambda: len(list(evaluated.iterdir())) >= 12 or first.poll() is not None, 240)
    assert first.poll() is None, f"the campaign ended before it could be killed\n{log.read_text()}"
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    recorded = {path.name: path.read_bytes() for path in parts.glob("part-*")}
    answered = answered_images(parts)

    done = subprocess.run(line, cwd=folder, env=values, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert 8 <= document["search"]["resumed_evaluations"] == len(answered) < document["search"]["evaluations"] == 26
    for name, content in recorded.items():
        assert (parts / name).read_bytes() == content
    # What was in flight when the driver died is computed again; what was on record must not be. Candidates are also
    # compared with the solver's other discretization.
    counts = Counter(tuple(path.name.split("-")[:2]) for path in evaluated.iterdir())
    assert {counts[image, FFTEvaluator().discretization] for image in answered} == {1}
    candidates = [np.load(candidate["files"]["npy"], allow_pickle=False) for candidate in document["candidates"]]
    compared = {image for image, discretization in counts if discretization == "rotated"}
    # So are training images that would count, and designs that then did not.
    assert {hashlib.sha256(image.tobytes()).hexdigest() for image in candidates} <= compared
    verify(document)
