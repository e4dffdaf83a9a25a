"""What every family keeps: seeding, periodicity, all phases present, and what the register refuses."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.generators import FAMILIES, Drawn, Sample, generate, register

ALL = list(FAMILIES)
VOLUMES = [name for name, family in FAMILIES.items() if 3 in family.dims]
MICRO2D = [
    "AngEllipse",
    "GRF",
    "NBSA",
    "RandomEllipse",
    "VoidSmall",
    "VoidSmallBig",
    "VoronoiLarge",
    "VoronoiMedium",
    "VoronoiMediumSpaced",
    "VoronoiSmall",
]
WIDE = ["GRF", "AngEllipse", "RandomEllipse", "VoronoiMedium", "VoronoiSmall", "VoronoiLarge", "NBSA"]
"""Families whose volume fraction covers nearly all of 0 to 1."""
UNRESOLVED = {"Lines", "FilteredNoise"}
"""Families that may have features of a pixel, and say so."""


def changes(labels: np.ndarray, axis: int) -> np.ndarray:
    """Whether each pixel differs from the next one along a spatial axis, around the image."""
    return np.roll(labels, -1, axis) != labels


def test_the_classes_of_micro2d_are_there() -> None:
    assert set(MICRO2D) < set(ALL)
    assert set(VOLUMES) > {"GRF", "Spinodal", "FilteredNoise", "NBSA", "VoidSmall", "VoronoiMedium", "Polycrystal"}


@pytest.mark.parametrize(("family", "dims"), [(name, d) for name, f in FAMILIES.items() for d in f.dims])
def test_a_sample_depends_on_seed_and_index_alone(family: str, dims: int) -> None:
    size = 32 if dims == 2 else 18
    whole = generate(family, 0, 8, size, seed=3, dims=dims)
    parts = [generate(family, 5, 3, size, seed=3, dims=dims), generate(family, 2, 1, size, seed=3, dims=dims)]
    np.testing.assert_array_equal(whole.labels[5:8], parts[0].labels)
    np.testing.assert_array_equal(whole.labels[2:3], parts[1].labels)
    assert whole.generation[5:8] == parts[0].generation
    other = generate(family, 0, 8, size, seed=4, dims=dims).labels
    assert (other != whole.labels).reshape(8, -1).any(axis=1).all()
    assert len({image.tobytes() for image in whole.labels}) == 8


DIGEST = """
import hashlib
from microdesign.microstructure.generators import FAMILIES, generate
for name, family in sorted(FAMILIES.items()):
    for dims in family.dims:
        batch = generate(name, 1030, 2, 20, 7, dims=dims)
        print(name, dims, hashlib.sha256(batch.labels.tobytes() + repr(batch.generation).encode()).hexdigest())
"""


def test_another_process_draws_the_same() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, timeout=300, env=environment
    )
    there = dict(line.rsplit(" ", 1) for line in run.stdout.splitlines())
    for name, family in FAMILIES.items():
        # Other samples first, and one at a time: what is remembered between draws must not matter.
        generate(name, 0, 3, 20, 8)
        for dims in family.dims:
            batches = [generate(name, index, 1, 20, 7, dims=dims) for index in (1031, 1030)][::-1]
            labels = b"".join(batch.labels.tobytes() for batch in batches)
            texts = repr(tuple(batch.generation[0] for batch in batches))
            assert hashlib.sha256(labels + texts.encode()).hexdigest() == there[f"{name} {dims}"]


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("size", [16, 48, 128])
def test_images_are_two_phase_and_described(family: str, size: int) -> None:
    batch = generate(family, 0, 6, size, seed=0)
    assert batch.labels.shape == (6, size, size)
    assert batch.classes == (family,) * 6
    assert batch.periodic
    means = batch.labels.mean(axis=(1, 2))
    assert ((means > 0) & (means < 1)).all()
    assert batch.labels.max() == 1
    for text, phi in zip(batch.generation, means, strict=True):
        parameters = json.loads(text)
        if "fraction" in parameters and size > 16:
            # Voronoi meets the fraction to within half a cell.
            cells = family.startswith("Voronoi") and "gap" not in parameters
            assert phi == pytest.approx(parameters["fraction"], abs=0.25 if cells else 2e-3)


@pytest.mark.parametrize("family", WIDE)
def test_spread_of_volume_fraction_and_anisotropy(family: str) -> None:
    labels = generate(family, 0, 300, 64, seed=1).labels
    phi = labels.mean(axis=(1, 2))
    assert phi.min() < 0.15
    assert phi.max() > 0.85
    assert 0.4 < phi.mean() < 0.6
    spread = np.quantile(np.log(changes(labels, 1).mean((1, 2)) / changes(labels, 2).mean((1, 2))), [0.05, 0.95])
    least = 0.1 if family == "RandomEllipse" else 0.6
    if family != "VoronoiSmall":
        assert spread[0] < -least
        assert spread[1] > least


@pytest.mark.parametrize("family", ALL)
def test_the_seam_looks_like_the_inside(family: str) -> None:
    # A line changes a whole row at once: more samples for the same certainty.
    labels = generate(family, 0, 4000 if family == "Lines" else 400, 48, seed=2).labels
    for axis in (1, 2):
        profile = changes(labels, axis).mean(axis=(0, 3 - axis))
        # The last entry compares the last pixel with the first, across the seam.
        assert profile[-1] == pytest.approx(profile[:-1].mean(), rel=0.15)


@pytest.mark.parametrize("family", VOLUMES)
def test_volumes_are_periodic_and_two_phase(family: str) -> None:
    batch = generate(family, 0, 200, 20, seed=2, dims=3)
    assert batch.labels.shape == (200, 20, 20, 20)
    assert batch.shape == (20, 20, 20)
    means = batch.labels.mean(axis=(1, 2, 3))
    assert ((means > 0) & (means < 1)).all()
    assert means.std() > 0.1
    for axis in (1, 2, 3):
        others = tuple(a for a in range(4) if a != axis)
        profile = changes(batch.labels, axis).mean(axis=others)
        assert profile[-1] == pytest.approx(profile[:-1].mean(), rel=0.15)


def test_features_are_resolved() -> None:
    for family in set(ALL) - UNRESOLVED:
        labels = generate(family, 0, 200, 64, seed=5).labels
        phi = labels.mean(axis=(1, 2))
        for axis in (1, 2):
            # Mean chord of phase 1 along the axis: two interfaces a chord; of the rarer phase, whichever it is.
            surface = np.maximum(changes(labels, axis).mean(axis=(1, 2)), 1e-9)
            assert np.quantile(2 * np.minimum(phi, 1 - phi) / surface, 0.05) > 1.9, family


@pytest.mark.parametrize("phases", [2, 3, 7, 40])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_polycrystal_has_every_phase(phases: int, dims: int) -> None:
    batch = generate("Polycrystal", 0, 10, 48 if dims == 2 else 20, seed=0, dims=dims, n_phases=phases)
    assert batch.n_phases == phases
    for image, text in zip(batch.labels, batch.generation, strict=True):
        counts = np.bincount(image.ravel(), minlength=phases)
        assert len(counts) == phases
        assert counts.min() > 0
        np.testing.assert_allclose(json.loads(text)["fractions"], counts / image.size, atol=1e-4)


def test_a_registered_family_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = generate("GRF", 0, 2, 32, seed=0).labels
    monkeypatch.setattr("microdesign.microstructure.generators.registry.FAMILIES", dict(FAMILIES))

    @register("Stripes")
    def stripes(sample: Sample) -> Drawn:
        image = np.zeros(sample.shape, dtype=np.uint8)
        image[: sample.stream.integers(0, sample.size + 1)] = 1
        return image, {}

    assert generate("Stripes", 0, 50, 16, seed=0).labels.mean(axis=(1, 2)).max() < 1
    np.testing.assert_array_equal(generate("GRF", 0, 2, 32, seed=0).labels, before)

    @register("Nothing", max_phases=3)
    def nothing(sample: Sample) -> Drawn:
        return np.zeros(sample.shape, dtype=np.uint8), {}

    with pytest.raises(InputError, match="'Nothing' gave 100 one-phase images in a row"):
        generate("Nothing", 0, 1, 16, seed=0)
    with pytest.raises(InputError, match="'Nothing' gave 100 images without all 3 phases in a row"):
        generate("Nothing", 0, 1, 16, seed=0, n_phases=3)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("Foam", 0, 1, 64, 0), {}, "family 'Foam' is unknown; expected one of: AngEllipse, Circles"),
        (("GRF", -1, 1, 64, 0), {}, "start = -1 is too small; expected at least 0"),
        (("GRF", 0, 0, 64, 0), {}, "count = 0 is too small"),
        (("GRF", 0, 1, 8, 0), {}, "size = 8 is too small; expected at least 16"),
        (("Lines", 0, 1, 16, 0), {"dims": 3}, "family 'Lines' draws dims 2, not 3"),
        (("GRF", 0, 1, 16, 0), {"dims": 4}, "family 'GRF' draws dims 2 or 3, not 4"),
        (("GRF", 0, 1, 16, 0), {"n_phases": 3}, "family 'GRF' draws 2 phases, not 3"),
        (("Polycrystal", 0, 1, 16, 0), {"n_phases": 1}, "family 'Polycrystal' draws 2 to 256 phases, not 1"),
    ],
)
def test_refuses(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate(*arguments, **options)
