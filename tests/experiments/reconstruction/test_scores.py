from pathlib import Path

import numpy as np

from microdesign.experiments.reconstruction.scores import SCORES, Scores, score, score_models
from microdesign.experiments.reconstruction.tables import metrics
from microdesign.learning.evaluation.held_out import reconstruction_excess
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels


def test_scores_are_those_of_the_decodes(bundle: Bundle, dataset: Dataset) -> None:
    data, surrogate = dataset.load("test"), LocalSurrogate(bundle)
    values = score(bundle, data)
    z = surrogate.encode(data.labels)[0]
    np.testing.assert_allclose(values["excess_cess"], reconstruction_excess(surrogate, data), rtol=1e-6)
    np.testing.assert_allclose(values["wrong_pixels"], (decode_labels(surrogate, z) != data.labels).mean((1, 2)))
    soft = surrogate.decode(z)[:, 0]
    np.testing.assert_allclose(values["pixel_error"], ((soft - data.labels) ** 2).mean((1, 2)), rtol=1e-5)


def test_cached_scores_are_reused(bundle: Bundle, dataset: Dataset, tmp_path: Path) -> None:
    data = dataset.load("test")
    first, again = (score_models({"a": bundle}, data, tmp_path).values for _ in range(2))
    assert all((first[name] == again[name]).all() for name in SCORES)
    (file,) = tmp_path.iterdir()
    np.savez(file, **{name: np.full(len(data), 7.0) for name in SCORES})
    assert (score_models({"a": bundle}, data, tmp_path).values["excess_cess"] == 7).all()


def test_the_pairwise_matrix_counts_images() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0], [0.5, 1.0, 2.0, 5.0]])
    scores = Scores(("mse", "mse+cess"), dict.fromkeys(SCORES, values))
    assert metrics(scores)["mse_and_cess_beats_mse_excess_cess"] == 0.75
    assert scores.comparison("excess_cess").wins.tolist() == [[0.5, 0.25], [0.75, 0.5]]
    assert scores.worst("mse", 2).tolist() == [3, 2]
