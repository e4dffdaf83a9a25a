from dataclasses import replace

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures, is_known


@pytest.fixture
def batch() -> Microstructures:
    labels = np.random.default_rng(0).integers(0, 2, (5, 6, 4))
    return Microstructures(
        labels=labels, n_phases=2, classes=("a", "b", "a", "b", "c"), properties={"Ex": np.arange(5.0)}
    )


def test_stores_uint8_and_defaults(batch: Microstructures) -> None:
    assert batch.labels.dtype == np.uint8
    assert (len(batch), batch.shape) == (5, (6, 4))
    assert batch.generation == ("",) * 5


def test_select(batch: Microstructures) -> None:
    for indices in ([3, 0, -1], np.array([3, 0, 4]), slice(1, 4), []):
        rows = np.arange(5)[indices] if not isinstance(indices, list) or indices else np.zeros(0, int)
        for part in (batch.select(indices), batch[indices]):
            np.testing.assert_array_equal(part.labels, batch.labels[rows], str(indices))
            assert part.classes == tuple(batch.classes[i] for i in rows)
            np.testing.assert_array_equal(part.properties["Ex"], rows.astype(float))


def test_a_batch_is_a_sequence_of_its_samples(batch: Microstructures) -> None:
    assert [each.classes for each in batch] == [(name,) for name in batch.classes]
    for number in (0, 4, -1, np.int64(2)):
        np.testing.assert_array_equal(batch[number].labels, batch.labels[[number]], str(number))
        assert batch[number].properties["Ex"].tolist() == [float(number % 5)]
    for number in (5, -6):
        with pytest.raises(IndexError, match="lies outside the batch; expected -5 to 4"):
            batch[number]
    np.testing.assert_array_equal(np.asarray(batch), batch.labels)
    assert np.asarray(batch, dtype=float).dtype == float
    copy = np.array(batch)
    copy[:] = 9
    assert batch.labels.max() == 1


def test_volume_fractions() -> None:
    labels = np.random.default_rng(1).integers(0, 3, (7, 4, 5, 6))
    fractions = Microstructures(labels=labels, n_phases=4).volume_fractions
    np.testing.assert_allclose(fractions, [[(image == phase).mean() for phase in range(4)] for image in labels])


def test_what_a_batch_shows_of_itself(batch: Microstructures) -> None:
    phi = batch.labels.mean()
    assert repr(batch) == (
        f"Microstructures(5 images of 6 x 4 pixels, 2 phases, mean volume fractions {1 - phi:.3g} and {phi:.3g}, "
        "classes a, b, c, properties Ex)"
    )
    volume = Microstructures(labels=np.zeros((1, 4, 4, 4), int), n_phases=1, periodic=False)
    assert repr(volume) == "Microstructures(1 volume of 4 x 4 x 4 voxels, 1 phase, volume fraction 1, not periodic)"
    assert repr(batch.select([])) == "Microstructures(0 images of 6 x 4 pixels, 2 phases, properties Ex)"
    many = Microstructures(labels=np.zeros((20, 4, 4), int), n_phases=9, classes=[f"<{i}>" for i in range(20)])
    assert repr(many).endswith("9 phases, classes <0>, <1>, <2>, <3>, <4>, <5>, <6> and 13 more)")
    page = many._repr_html_()
    assert page.count("<img") == 8
    assert "<figcaption>&lt;7&gt;</figcaption>" in page
    assert "<0>" not in page
    assert volume._repr_html_().count("<img") == 1


def test_select_by_mask_and_concatenate_is_a_permutation(batch: Microstructures) -> None:
    mask = np.array(batch.classes) == "a"
    joined = Microstructures.concatenate([batch.select(mask), batch.select(~mask)])
    assert joined.classes == ("a", "a", "b", "b", "c")
    np.testing.assert_array_equal(joined.properties["Ex"], [0, 2, 1, 3, 4])
    np.testing.assert_array_equal(joined.labels[1], batch.labels[2])


def test_indicator_of_two_phases_is_one_channel(batch: Microstructures) -> None:
    indicator = batch.indicator()
    assert indicator.shape == (5, 1, 6, 4)
    assert indicator.dtype == torch.float32
    np.testing.assert_array_equal(indicator[:, 0].numpy(), batch.labels)


def test_indicator_of_three_phases_in_three_dimensions() -> None:
    labels = np.random.default_rng(1).integers(0, 3, (2, 4, 5, 6))
    indicator = Microstructures(labels=labels, n_phases=3).indicator()
    assert indicator.shape == (2, 3, 4, 5, 6)
    assert torch.equal(indicator.sum(1), torch.ones(2, 4, 5, 6))
    np.testing.assert_array_equal(indicator.argmax(1).numpy(), labels)


def test_refuses() -> None:
    valid = {"labels": np.zeros((1, 4, 4), int), "n_phases": 2}
    for fields, message in [
        ({"labels": np.zeros((4, 4), int)}, r"labels has shape \(4, 4\); expected \(n, X, Y\)"),
        ({"labels": np.zeros((1, 4, 4))}, "dtype float64; expected integers"),
        ({"labels": np.full((1, 4, 4), 2)}, r"labels\[0, 0, 0\] = 2; expected 0 to 1 for 2 phases"),
        ({"labels": np.full((1, 4, 4), -1)}, r"= -1; expected 0 to 1"),
        ({"labels": np.zeros((1, 0, 4), int)}, "at least one pixel"),
        ({"n_phases": 0}, "n_phases = 0 is not supported; expected 1 to 256"),
        ({"classes": ("a", "b")}, "classes has 2 entries; expected 1"),
        ({"properties": {"Ex": np.zeros(3)}}, r"property 'Ex' has shape \(3,\); expected \(1,\)"),
        ({"pixel_size": 0.0}, "pixel_size = 0.0 is not valid; expected a positive length"),
    ]:
        with pytest.raises(InputError, match=message):
            Microstructures(**(valid | fields))


def test_refuses_indices_outside_and_batches_that_differ(batch: Microstructures) -> None:
    with pytest.raises(InputError, match="index 5 lies outside the batch; expected -5 to 4"):
        batch.select([0, 5])
    with pytest.raises(InputError, match="indices have dtype float64"):
        batch.select([0.5])
    with pytest.raises(InputError, match="got no batches"):
        Microstructures.concatenate([])
    with pytest.raises(InputError, match=r"batch 1 has n_phases 3; expected 2, as in batch 0"):
        Microstructures.concatenate([batch, Microstructures(labels=batch.labels, n_phases=3)])
    with pytest.raises(InputError, match=r"batch 1 has properties \[\]; expected \['Ex'\]"):
        Microstructures.concatenate([batch, Microstructures(labels=batch.labels, n_phases=2)])


def test_the_size_of_a_pixel() -> None:
    labels = np.zeros((2, 4, 6), np.uint8)
    batch = Microstructures(labels=labels, n_phases=2, pixel_size=0.5, aspect=(1, 4), length_unit="micron")
    assert (batch.spacing, batch.length_unit) == ((0.5, 2.0), "um")
    assert batch[0].physical == batch.physical == Microstructures.concatenate([batch, batch]).physical
    assert "pixels of 0.5 x 2 µm" in repr(batch)
    square = Microstructures(labels=labels, n_phases=2, aspect=(1, 1))
    assert (square.aspect, square.spacing, square.length_unit) == ((), (1.0, 1.0), "")
    for fields, message in [
        ({"aspect": (1, 2, 3)}, r"aspect = \(1.0, 2.0, 3.0\) is not valid; expected 2 ratios above 0, the first 1"),
        ({"aspect": (2, 1)}, "the first 1"),
        ({"aspect": (1, 0)}, "above 0"),
        ({"length_unit": "GPa"}, "'GPa' is no unit of length"),
    ]:
        with pytest.raises(InputError, match=message):
            Microstructures(labels=labels, n_phases=2, **fields)
    with pytest.raises(InputError, match="batch 1 has length_unit nm; expected um, as in batch 0"):
        Microstructures.concatenate([batch, replace(batch, length_unit="nm")])


def test_zeros_of_positive_properties_are_not_learned_from() -> None:
    values = np.array([[0.0, 0.0], [2.0, -0.1], [np.nan, 0.3]])
    assert is_known(values, ("kx", "vxy")).tolist() == [[False, True], [True, True], [False, True]]
    batch = Microstructures(
        labels=np.zeros((3, 2, 2), int), n_phases=1, properties={"kx": values[:, 0], "vxy": values[:, 1]}
    )
    assert batch.with_known(["kx", "vxy"]).properties["kx"].tolist() == [2]
