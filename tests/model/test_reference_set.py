"""Out-of-distribution scores: distances and densities against closed forms, ranks against other families."""

import math

import numpy as np
import pytest

from microdesign.microstructure.data.container import Microstructures
from microdesign.model.reference_set import MOST_SAMPLES, ReferenceSet


def noise(n: int, fraction: float, seed: int, shape: tuple[int, ...] = (16, 16), phases: int = 2) -> Microstructures:
    stream = np.random.default_rng(seed)
    labels = np.where(stream.random((n, *shape)) < fraction, stream.integers(1, phases, (n, *shape)), 0)
    return Microstructures(labels=labels.astype(np.uint8), n_phases=phases)


def posterior(n: int, seed: int, shift: float = 0.0, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    stream = np.random.default_rng(seed)
    return shift + stream.standard_normal((n, d)), np.full((n, d), 0.5)


@pytest.fixture(scope="module")
def reference() -> ReferenceSet:
    return ReferenceSet.fit(noise(700, 0.3, 0), posterior(700, 0), noise(400, 0.3, 1), posterior(400, 1))


def test_distance_to_a_training_image_is_zero_and_never_negative(reference: ReferenceSet) -> None:
    training = noise(700, 0.3, 0)
    distances = reference.distance(training)
    assert len(reference.statistics) == MOST_SAMPLES
    assert (distances < 1e-4).sum() == MOST_SAMPLES
    assert reference.image_score(training.select(distances < 1e-4)).max() == 0


def test_ranks_of_the_same_kind_are_even_and_of_another_are_one(reference: ReferenceSet) -> None:
    ranks = reference.image_score(noise(300, 0.3, 5))
    assert np.mean(ranks) == pytest.approx(0.5, abs=0.08)
    assert np.mean(ranks > 0.9) == pytest.approx(0.1, abs=0.06)
    assert (reference.image_score(noise(50, 0.6, 5)) == 1).all()
    stripes = np.zeros((1, 16, 16), np.uint8)
    stripes[:, :5] = 1
    assert reference.image_score(Microstructures(labels=stripes, n_phases=2)) == 1


def test_density_is_that_of_the_mixture(reference: ReferenceSet) -> None:
    z = np.random.default_rng(9).standard_normal((5, 3))
    mean, std = reference.mean.double().numpy(), reference.log_std.double().exp().numpy()
    each = np.exp(-0.5 * (((z[:, None] - mean) / std) ** 2).sum(-1)) / (std.prod(-1) * (2 * math.pi) ** 1.5)
    assert reference.log_density(z) == pytest.approx(np.log(each.mean(1)), abs=1e-6)


def test_latents_far_away_are_out_of_distribution(reference: ReferenceSet) -> None:
    stream = np.random.default_rng(4)
    # Means and draws from them: the aggregate posterior has the variance 1 + 0.25.
    ranks = reference.latent_score(math.sqrt(1.25) * stream.standard_normal((2000, 3)))
    assert np.mean(ranks) == pytest.approx(0.5, abs=0.06)
    assert (reference.latent_score(np.full((2, 3), 9.0)) == 1).all()


def test_it_comes_back(reference: ReferenceSet) -> None:
    again = ReferenceSet.from_tensors(reference.tensors())
    images = noise(5, 0.35, 8)
    assert np.array_equal(again.image_score(images), reference.image_score(images))
    with pytest.raises(TypeError):
        ReferenceSet.from_tensors({"statistics": reference.statistics})
