"""The classifiers that judge decodes: of stripes and noise, which anybody can tell apart."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from microdesign.experiments.fidelity.config import FidelityConfig
from microdesign.experiments.fidelity.draws import DrawKind
from microdesign.experiments.fidelity.image_classifier import ImageClassifier
from microdesign.experiments.fidelity.judges import judge
from microdesign.experiments.fidelity.recognition import train_recognition
from microdesign.experiments.fidelity.two_sample import crops, two_sample_accuracy, two_sample_table
from microdesign.microstructure.data.container import Microstructures

SIZE = 16


def stripes(n: int, seed: int, size: int = SIZE) -> np.ndarray:
    image = (np.arange(size) % 8 < 4).astype(np.uint8)[:, None].repeat(size, 1)
    shifts = np.random.default_rng(seed).integers(0, size, n)
    return np.stack([np.roll(image, shift, 0) for shift in shifts])


def noise(n: int, seed: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (n, size, size)).astype(np.uint8)


def batch(n: int, seed: int) -> Microstructures:
    labels = np.concatenate([stripes(n, seed), noise(n, seed)])
    return Microstructures(labels=labels, n_phases=2, classes=("stripes",) * n + ("noise",) * n)


def test_the_classifier_is_seeded_and_takes_any_size_and_phases() -> None:
    for size, phases in [((20, 16), 3), ((16, 16), 2)]:
        stream = np.random.default_rng(0)
        images = stream.integers(0, phases, (12, *size)).astype(np.uint8)
        images[:6] = images[:6, :, :1]  # stripes along y
        classes = np.repeat((0, 1), 6)
        one, again = (ImageClassifier(phases, 2).fit(images, classes, 60).assign(images) for _ in range(2))
        assert (one == again).all(), size
        assert (one == classes).mean() > 0.9, size
    assert len(ImageClassifier(2, 2).assign(images[:0])) == 0


def test_recognition() -> None:
    found = train_recognition(batch(30, 0), batch(20, 1), steps=60, most=50)
    assert found is not None
    assert found.names == ("noise", "stripes")
    assert found.accuracy > 0.9
    assert found.share(noise(10, 2), ["noise"] * 10) > 0.9
    assert found.share(noise(10, 2), ["stripes"] * 10) < 0.1
    assert np.isnan(found.share(noise(2, 2), ["cells"] * 2))
    one = Microstructures(labels=noise(4, 0), n_phases=2, classes=("noise",) * 4)
    assert train_recognition(one, one, steps=1, most=4) is None


def test_two_samples_are_told_apart_only_where_they_differ() -> None:
    for view in ("whole", "crops"):
        assert two_sample_accuracy(noise(30, 0), stripes(30, 0), 2, steps=30, view=view) > 0.9, view
        assert 0.3 < two_sample_accuracy(noise(60, 0), noise(60, 1), 2, steps=10, view=view) < 0.7, view
    assert crops(noise(3, 0), seed=0).shape == (12, 8, 8)
    rows = two_sample_table({"draws": np.array([0.9, 0.8]), "data": np.array([0.5, 0.52])}, {"draws": 100, "data": 9})
    assert [(row.value, row.data) for row in rows[::2]] == [(0.9, 0.5), (0.8, 0.52)]
    assert rows[1].value == pytest.approx(0.5 + 1.645 * 0.5 / 200**0.5)


def test_judges_reuse_what_was_judged(tmp_path: Path) -> None:
    training, held_out = batch(20, 0), batch(12, 1)
    direct = np.stack([stripes(2, 3), *[noise(2, seed) for seed in range(23)]])
    draws = {kind: SimpleNamespace(labels=direct) for kind in DrawKind}
    config = FidelityConfig(recognition_steps=60, two_sample_steps=4, realism_draws=2)
    lines: list[str] = []

    def run(settings: FidelityConfig = config, data: Microstructures = training) -> dict[str, float | None]:
        rows = judge(data, held_out, held_out, held_out.labels, draws, settings, lines.append, tmp_path)
        return {row.name: row.value for row in rows}

    found = run()
    assert found["recognised, reconstructions"] == found["recognised, held-out images"]
    assert found["recognised, draws"] < 0.7  # half of the targets are stripes and nearly all draws noise
    assert found["reconstructions told from held-out images, whole"] == 0.5  # copies
    assert len(list(tmp_path.iterdir())) == 2
    assert run() == found
    assert len(list(tmp_path.iterdir())) == 2
    assert run(config.model_copy(update={"recognition_steps": 0, "two_sample_steps": 0})) == {}
    one = Microstructures(labels=training.labels, n_phases=2)
    assert not any("recognised" in name for name in run(data=one))
    assert any("recognition is left out" in line for line in lines)
