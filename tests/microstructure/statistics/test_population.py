"""Likeness to populations of stripes, of discs and of noise."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.population import Population


def stripes(n: int, shape: tuple[int, ...] = (64, 64), seed: int = 0) -> np.ndarray:
    """Periods of 7 to 12 pixels with jitter, along y."""
    stream = np.random.default_rng(seed)
    images = np.zeros((n, *shape), np.uint8)
    for image in images:
        at = stream.integers(0, 8)
        while at < shape[0]:
            width = stream.integers(3, 6)
            image[at : at + width] = 1
            at += width + stream.integers(4, 7)
    return images


def discs(n: int, size: int = 64, seed: int = 0) -> np.ndarray:
    return generate("Circles", n, (size, size), seed=seed).labels


def test_members_are_within_and_others_are_not() -> None:
    round_ones = Population.fit(discs(40))
    own = round_ones.distance(discs(40, seed=1))
    assert (own <= 1).mean() >= 0.8
    assert (round_ones.distance(stripes(10)) > 2).all()
    lines = Population.fit(stripes(40))
    assert (lines.distance(stripes(40, seed=1)) <= 1).mean() >= 0.8
    assert (lines.distance(discs(10)) > 2).all()
    assert (lines.distance(stripes(10, seed=1).transpose(0, 2, 1)) > 2).all()  # along x
    part = Population.fit(discs(40))
    assert (part.distance(discs(40)[:10]) <= 1).mean() >= 0.9


def test_shifts_and_mirrors_are_as_alike() -> None:
    population, images = Population.fit(discs(20)), discs(4, seed=2)
    given = population.distance(images)
    for moved in (np.roll(images, (5, 11), (1, 2)), images[:, ::-1], images[:, :, ::-1]):
        np.testing.assert_allclose(population.distance(moved), given, rtol=1e-3)


def test_another_fraction_is_no_other_material() -> None:
    """Likeness is at the image's own fraction: the mean over noise of any share of phase 1 is that of its own."""
    stream = np.random.default_rng(0)
    shares = np.linspace(0.35, 0.65, 40)[:, None, None]
    population = Population.fit((stream.random((40, 48, 48)) < shares).astype(np.uint8))
    few = (stream.random((10, 48, 48)) < 0.32).astype(np.uint8)  # fewer than any member has
    assert np.median(population.distance(few)) < 1.5
    assert (population.distance(discs(5, 48)) > 3).all()


def test_classes_are_groups() -> None:
    """Beside their own classes, images between these belong to neither."""
    images, names = np.concatenate([stripes(20), stripes(20).transpose(0, 2, 1)]), ["y"] * 20 + ["x"] * 20
    both, one = Population.fit(images, classes=names), Population.fit(images)
    between = (np.add.outer(np.arange(64), np.arange(64)) % 8 < 4).astype(np.uint8)[None]
    assert both.distance(between)[0] > 1.5 * one.distance(between)[0]
    assert (both.distance(stripes(10, seed=1)) < 2).all()


def test_windows_of_one_micrograph_are_a_population() -> None:
    """Larger images are cut into windows of the size to compare, of several sizes and not periodic ones as well."""
    first, second = stripes(1, (200, 130)), stripes(1, (128, 160), seed=3)
    population = Population.fit([first, second], periodic=False, shape=(64, 64))
    assert population.window == (64, 64)
    assert population.members > 9
    own = stripes(20, (70, 64), seed=5)[:, :64]
    assert np.median(population.distance(own, periodic=False)) < 1
    assert (population.distance(discs(5)) > 2).all()


def test_one_image_of_the_size_is_a_population_of_smaller_windows() -> None:
    image = (np.random.default_rng(0).random((1, 64, 64)) < 0.5).astype(np.uint8)
    population = Population.fit(image)
    assert population.window == (32, 32)
    assert population.distance(image)[0] < 1
    other = (np.random.default_rng(1).random((10, 64, 64)) < 0.5).astype(np.uint8)
    assert np.median(population.distance(other)) < 1.5
    assert (population.distance(discs(3)) > 3).all()


def test_volumes_and_several_phases() -> None:
    stream = np.random.default_rng(0)
    for shape, phases in [((16, 16, 16), 2), ((32, 32), 3)]:
        images = stream.integers(0, phases, (30, *shape)).astype(np.uint8)
        population = Population.fit(images[:20], phases)
        assert np.median(population.distance(images[20:])) < 1.2
        layers = (np.arange(shape[0]) // 4 % phases).astype(np.uint8)
        layered = np.broadcast_to(layers.reshape(-1, *[1] * (len(shape) - 1)), shape)
        assert population.distance(layered[None])[0] > 3


def test_learned_features_count_too() -> None:
    """What descriptors do not see: here the position in the image."""
    images = discs(30)
    population = Population.fit(images, features=lambda labels: labels[:, :2, :2].reshape(len(labels), -1) * 1.0)
    assert (population.distance(images) <= 1).mean() > 0.8
    moved = Population.fit(images, features=lambda labels: np.full((len(labels), 3), float(len(labels) == 1)))
    assert moved.distance(images[:1])[0] > Population.fit(images).distance(images[:1])[0]


def test_what_is_no_population() -> None:
    images = discs(20)
    flat = images.copy()
    flat[3] = 0
    with_shape = {"shape": (128, 128)}
    for given, options, message in [
        (flat, {}, "image 3 of the population is of one phase"),
        (images[:0], {}, "has no images"),
        (images, with_shape, "have 64 x 64 pixels; expected at least 128 x 128"),
        (images + 1, {}, "labels up to 2; expected phases 0 to 1"),
        (images[:1, :24, :24], {}, "too few or too small, 1 of 24 x 24 pixels"),
        (images[:1], {"features": lambda labels: labels.reshape(len(labels), -1)}, "learned features need images"),
    ]:
        with pytest.raises(InputError, match=message):
            Population.fit(given, **options)
    population = Population.fit(images)
    with pytest.raises(InputError, match="32 x 32 pixels cannot be compared; the population is for 64 x 64"):
        population.distance(images[:, :32, :32])
    assert population.distance(flat[3:4]).tolist() == [np.inf]
