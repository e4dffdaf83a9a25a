import json

import numpy as np
import pytest

from microdesign.errors import InputError
from microdesign.microstructure.generators import FAMILIES, Drawn, Sample, generate, register

ALL = ["GRF", "AngEllipse", "RandomEllipse", "VoronoiMedium"]


@pytest.mark.parametrize("family", ALL)
def test_a_sample_depends_on_seed_and_index_alone(family: str) -> None:
    whole = generate(family, 0, 8, 32, seed=3)
    parts = [generate(family, 5, 3, 32, seed=3), generate(family, 2, 1, 32, seed=3)]
    np.testing.assert_array_equal(whole.labels[5:8], parts[0].labels)
    np.testing.assert_array_equal(whole.labels[2:3], parts[1].labels)
    assert whole.generation[5:8] == parts[0].generation
    assert (generate(family, 0, 8, 32, seed=4).labels != whole.labels).any(axis=(1, 2)).all()
    assert len({image.tobytes() for image in whole.labels}) == 8


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("size", [16, 48, 128])
def test_images_are_two_phase_and_described(family: str, size: int) -> None:
    batch = generate(family, 0, 6, size, seed=0)
    assert batch.labels.shape == (6, size, size)
    assert batch.classes == (family,) * 6
    means = batch.labels.mean(axis=(1, 2))
    assert ((means > 0) & (means < 1)).all()
    for text, phi in zip(batch.generation, means, strict=True):
        parameters = json.loads(text)
        if "fraction" in parameters and size > 16:
            # Voronoi meets the fraction to within a cell.
            assert phi == pytest.approx(parameters["fraction"], abs=2e-3 if family == "GRF" else 0.1)


@pytest.mark.parametrize("family", ALL)
def test_spread_of_volume_fraction_and_anisotropy(family: str) -> None:
    labels = generate(family, 0, 300, 64, seed=1).labels.astype(int)
    phi = labels.mean(axis=(1, 2))
    assert phi.min() < 0.15
    assert phi.max() > 0.85
    assert 0.4 < phi.mean() < 0.6
    across_x = np.abs(np.diff(labels, axis=1)).mean(axis=(1, 2))
    across_y = np.abs(np.diff(labels, axis=2)).mean(axis=(1, 2))
    spread = np.quantile(np.log(across_x / across_y), [0.05, 0.95])
    least = 0.1 if family == "RandomEllipse" else 0.6
    assert spread[0] < -least
    assert spread[1] > least


@pytest.mark.parametrize("family", ALL)
def test_the_seam_looks_like_the_inside(family: str) -> None:
    labels = generate(family, 0, 300, 48, seed=2).labels.astype(int)
    for axis in (1, 2):
        changes = np.abs(np.roll(labels, -1, axis) - labels).mean(axis=(0, 3 - axis))
        # The last entry compares the last pixel with the first, across the seam.
        assert changes[-1] == pytest.approx(changes[:-1].mean(), rel=0.15)


def test_features_are_resolved() -> None:
    for family in ALL:
        labels = generate(family, 0, 200, 64, seed=5).labels.astype(int)
        phi = labels.mean(axis=(1, 2))
        for axis in (1, 2):
            surface = np.abs(np.roll(labels, -1, axis) - labels).mean(axis=(1, 2))
            # Mean chord of phase 1 along the axis: two interfaces a chord.
            chord = 2 * phi / surface
            assert np.quantile(chord, 0.05) > 2.0, family


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

    @register("Nothing")
    def nothing(sample: Sample) -> Drawn:
        return np.zeros(sample.shape, dtype=np.uint8), {}

    with pytest.raises(InputError, match="'Nothing' gave 100 one-phase images in a row"):
        generate("Nothing", 0, 1, 16, seed=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Foam", 0, 1, 64, 0), "family 'Foam' is unknown; expected one of: AngEllipse, Circles"),
        (("GRF", -1, 1, 64, 0), "start = -1 is too small; expected at least 0"),
        (("GRF", 0, 0, 64, 0), "count = 0 is too small"),
        (("GRF", 0, 1, 8, 0), "size = 8 is too small; expected at least 16"),
    ],
)
def test_refuses(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate(*arguments)
