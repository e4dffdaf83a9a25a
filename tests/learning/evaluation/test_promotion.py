"""A champion is replaced only after a comparison; predictions for files."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.learning.evaluation.comparison import compare
from microdesign.learning.evaluation.prediction import predict_files
from microdesign.learning.evaluation.promotion import promote
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle, save_bundle
from microdesign.tracking import default_uri, find_version, register_bundle, start_run


def test_a_worse_one_is_refused_and_a_better_one_taken(
    tmp_path: Path, bundle: Bundle, other_bundle: Bundle, dataset: Dataset
) -> None:
    uri = default_uri(tmp_path)
    comparison = compare({"a": bundle, "b": other_bundle}, dataset)
    better, worse = (bundle, other_bundle) if comparison.is_worse("b", "a", "mape") else (other_bundle, bundle)
    run = start_run("tests", "contest", uri)
    for number, each in enumerate((better, worse)):
        save_bundle(tmp_path / str(number), each.model, each.description, each.reference_set)
        version, alias = register_bundle(run.child(str(number)), tmp_path / str(number), "contest")
    assert (version.number, alias) == (2, "challenger")

    with pytest.raises(InputError, match="contest version 2 is worse than the champion and stays what it is"):
        promote("contest", dataset.folder, by="mape", tracking_uri=uri)
    assert find_version("models:/contest@champion", uri).number == 1
    forced = promote("contest", dataset.folder, by="mape", force=True, tracking_uri=uri)
    assert forced["promoted"] == 2
    assert forced["metrics"]["contest version 2"]["mape"] > forced["metrics"]["contest version 1"]["mape"]
    assert find_version("models:/contest@champion", uri).number == 2
    again = promote("contest", dataset.folder, version=1, by="mape", tracking_uri=uri)
    assert "contest version 1 is champion now" in again["outcome"]
    assert "another data set" not in again["outcome"]
    with pytest.raises(InputError, match="contest version 1 is the champion already"):
        promote("contest", dataset.folder, version=1, tracking_uri=uri)
    with pytest.raises(InputError, match="models:/contest@challenger: is not registered"):
        promote("contest", dataset.folder, tracking_uri=uri)


def test_files_are_predicted_with_bounds_and_a_warning(tmp_path: Path, bundle: Bundle, dataset: Dataset) -> None:
    save_bundle(tmp_path / "bundle", bundle.model, bundle.description, bundle.reference_set)
    images = np.concatenate((dataset.load("test").labels[:1], np.indices((1, 32, 32))[1] // 4 % 2)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    _, rows = predict_files(str(tmp_path / "bundle"), [tmp_path / "images.npy"])
    assert [row["image"] for row in rows] == [f"{tmp_path / 'images.npy'}[{i}]" for i in range(2)]
    for row in rows:
        assert set(row["properties"]) == {"Ex", "kx"}
        for found in row["properties"].values():
            assert found["lower"] < found["mean"] < found["upper"]
    assert rows[1]["out_of_distribution"] == 1 > rows[0]["out_of_distribution"]
    np.save(tmp_path / "small.npy", images[:, :8, :8])
    with pytest.raises(InputError, match=r"small\.npy\[0\]: Images of shape"):
        predict_files(str(tmp_path / "bundle"), [tmp_path / "small.npy"])
