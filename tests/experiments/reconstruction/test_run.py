from pathlib import Path

from microdesign.core.progress import silent
from microdesign.experiments.reconstruction.config import ReconstructionExperiment
from microdesign.experiments.reconstruction.run import run
from microdesign.microstructure.data.dataset import Dataset


def test_a_second_run_reuses_scores_and_discs(bundle_folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    config = ReconstructionExperiment(
        folder=str(tmp_path),
        train={"dataset": str(dataset.folder), "properties": ()},
        models={"one": str(bundle_folder), "other": str(bundle_folder)},
        circles={"size": 16, "images": 1, "steps": 5, "losses": ("cess",)},
        lines={"size": 32, "spacing": 10, "named": (11,), "losses": ("cess",)},
    )
    result = run(config, tmp_path, "sqlite:///unused.db", silent)
    assert {"models", "wins_excess_cess", "samples", "circles", "lines"} <= set(result.tables)
    assert {"comparison", "class_GRF", "outliers", "circles", "lines"} <= set(result.figures)
    assert len(result.tables["samples"].rows) == len(dataset.load("test"))
    assert result.metrics["other_beats_one_excess_cess"] == 0.5  # ties are halves
    cached = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert len(cached) == 2
    again = run(config, tmp_path, "sqlite:///unused.db", silent)
    assert again == result
    assert cached == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
