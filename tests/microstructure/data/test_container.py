import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures


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


@pytest.mark.parametrize("indices", [[3, 0, -1], np.array([3, 0, 4]), slice(1, 4), []])
def test_select(batch: Microstructures, indices: object) -> None:
    part = batch.select(indices)
    rows = np.arange(5)[indices] if not isinstance(indices, list) or indices else np.zeros(0, int)
    np.testing.assert_array_equal(part.labels, batch.labels[rows])
    assert part.classes == tuple(batch.classes[i] for i in rows)
    np.testing.assert_array_equal(part.properties["Ex"], rows.astype(float))


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": np.zeros((4, 4), int)}, r"labels has shape \(4, 4\); expected \(n, X, Y\)"),
        ({"labels": np.zeros((1, 4, 4))}, "dtype float64; expected integers"),
        ({"labels": np.full((1, 4, 4), 2)}, r"labels\[0, 0, 0\] = 2; expected 0 to 1 for 2 phases"),
        ({"labels": np.full((1, 4, 4), -1)}, r"= -1; expected 0 to 1"),
        ({"labels": np.zeros((1, 0, 4), int)}, "at least one pixel"),
        ({"n_phases": 0}, "n_phases = 0 is not supported; expected 1 to 256"),
        ({"classes": ("a", "b")}, "classes has 2 entries; expected 1"),
        ({"properties": {"Ex": np.zeros(3)}}, r"property 'Ex' has shape \(3,\); expected \(1,\)"),
        ({"pixel_size": 0.0}, "pixel_size = 0.0 is not valid; expected a positive length"),
    ],
)
def test_refuses(fields: dict, message: str) -> None:
    valid = {"labels": np.zeros((1, 4, 4), int), "n_phases": 2}
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
