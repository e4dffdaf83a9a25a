"""Training batches: parts of workers, seeds, and augmentation that the physics allows."""

import numpy as np
import pytest
import torch

from microdesign.errors import InputError
from microdesign.learning.feed import TURNED, Feed, fit_standardization, property_table, with_known
from microdesign.microstructure.container import Microstructures
from microdesign.model.standardization import Standardization

SIZE = 16


def data(n: int = 24, **changes: object) -> Microstructures:
    """Image i has i + 1 pixels of phase 1, so that it is known again whatever its shift, flip or turn."""
    labels = (np.arange(SIZE**2) <= np.arange(n)[:, None]).reshape(n, SIZE, SIZE).astype(np.uint8)
    phi = np.arange(1, n + 1, dtype=float)
    settings: dict[str, object] = {
        "labels": labels,
        "n_phases": 2,
        "properties": {"Ex": phi, "Ey": 100 * phi, "vxy": -phi, "vyx": phi, "Gxy": phi, "kx": phi},
    }
    return Microstructures(**(settings | changes))  # type: ignore[arg-type]


def plain(*names: str) -> Standardization:
    """Standardisation that only takes logarithms."""
    ones = (1.0,) * len(names)
    return Standardization(names=names, units=("1",) * len(names), offsets=(0.0,) * len(names), scales=ones)


def feed(batch_size: int = 4, names: tuple[str, ...] = ("Ex", "Ey"), seed: int = 0, **settings: int) -> Feed:
    return Feed(data(), plain(*names), batch_size, seed, **settings)


def identities(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> list[int]:
    return [int(count) for x, _ in batches for count in x.sum((1, 2, 3))]


def test_shapes() -> None:
    batches = list(feed(batch_size=5).epoch(0))
    assert len(batches) == 4
    for x, c in batches:
        assert x.shape == (5, 1, SIZE, SIZE)
        assert c.shape == (5, 2)
        assert x.dtype == c.dtype == torch.float32
        assert set(x.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("world", [1, 2, 3])
def test_parts_are_disjoint_and_cover_the_data(world: int) -> None:
    parts = [identities(list(feed(rank=rank, world=world).epoch(3))) for rank in range(world)]
    assert all(len(part) == 24 // world for part in parts)
    assert sorted(identity for part in parts for identity in part) == list(range(1, 25))


def test_epochs_reshuffle() -> None:
    one = feed()
    orders = [identities(list(one.epoch(epoch))) for epoch in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[1])


def test_same_seed_same_batches() -> None:
    first, again, other = (list(feed(seed=seed).epoch(5)) for seed in (1, 1, 2))
    for (x, c), (y, d) in zip(first, again, strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0)
        torch.testing.assert_close(c, d, rtol=0, atol=0)
    assert any((x != y).any() for (x, _), (y, _) in zip(first, other, strict=True))


def test_an_epoch_does_not_depend_on_those_before() -> None:
    one, fresh = feed(), feed()
    list(one.epoch(0))
    for (x, _), (y, _) in zip(one.epoch(1), fresh.epoch(1), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0)


def test_labels_stay_with_their_images() -> None:
    one = feed(names=("Ex", "Gxy"), batch_size=24)
    for epoch in range(8):
        ((x, c),) = one.epoch(epoch)
        count = x.sum((1, 2, 3))
        torch.testing.assert_close(c[:, 1], count.log())


def layered() -> Microstructures:
    """Layers normal to y, so that the stiffness along x is the larger one."""
    labels = np.zeros((4, SIZE, SIZE), np.uint8)
    labels[:, :, : SIZE // 2] = 1
    properties = {"Ex": [100.0], "Ey": [2.0], "vxy": [0.4], "vyx": [0.1], "kx": [50.0], "ky": [3.0], "Gxy": [1.0]}
    return Microstructures(
        labels=labels, n_phases=2, properties={name: np.array(value * 4) for name, value in properties.items()}
    )


def test_a_turn_swaps_the_axes_of_image_and_labels() -> None:
    names = ("Ex", "Ey", "vxy", "vyx", "Gxy", "kx", "ky")
    one = Feed(layered(), plain(*names), 4, seed=0)
    seen = set()
    for epoch in range(40):
        ((x, c),) = one.epoch(epoch)
        along_x = bool((x.var(2, correction=0) == 0).all())
        assert along_x != bool((x.var(3, correction=0) == 0).all())
        Ex, Ey, vxy, vyx, Gxy, kx, ky = c[0].tolist()
        assert (Ex > Ey) == (vxy > vyx) == (kx > ky) == along_x
        assert Gxy == 0
        assert sorted([vxy, vyx]) == pytest.approx([0.1, 0.4])
        assert sorted([Ex, Ey]) == pytest.approx(np.log([2, 100]))
        seen.add(along_x)
    assert seen == {True, False}


def test_a_single_property_turns_with_its_partner_in_the_data() -> None:
    one = Feed(layered(), plain("kx"), 4, seed=0)
    assert one.can_turn
    seen = set()
    for epoch in range(40):
        ((x, c),) = one.epoch(epoch)
        along_x = bool((x.var(2, correction=0) == 0).all())
        assert c[0, 0].item() == pytest.approx(np.log(50 if along_x else 3))
        seen.add(along_x)
    assert seen == {True, False}


def test_no_turn_without_the_partner() -> None:
    assert not feed(names=("kx",)).can_turn
    properties = {name: value for name, value in layered().properties.items() if name != "ky"}
    one = Feed(Microstructures(labels=layered().labels, n_phases=2, properties=properties), plain("Ex", "kx"), 4, 0)
    for epoch in range(20):
        ((x, c),) = one.epoch(epoch)
        assert (x.var(2, correction=0) == 0).all()
        assert c[0].tolist() == pytest.approx(np.log([100, 50]))


def test_turning_twice_changes_nothing() -> None:
    assert all(TURNED[TURNED[name]] == name for name in TURNED)


def test_periodic_images_move_and_others_do_not() -> None:
    corner = np.zeros((4, SIZE, SIZE), np.uint8)
    corner[:, 0, 0] = 1
    places: dict[bool, set[tuple[int, ...]]] = {True: set(), False: set()}
    for periodic in places:
        batch = Microstructures(labels=corner, n_phases=2, periodic=periodic, properties={"Gxy": np.ones(4)})
        one = Feed(batch, plain("Gxy"), 4, seed=0)
        for epoch in range(60):
            ((x, _),) = one.epoch(epoch)
            places[periodic].add(tuple(x[0, 0].nonzero()[0].tolist()))
    assert places[False] == {(0, 0), (0, 15), (15, 0), (15, 15)}
    assert len(places[True]) > 30


@pytest.mark.parametrize(
    ("changes", "batch_size", "world", "message"),
    [
        ({}, 25, 1, "24 training images are less than one batch of 25 for each of 1 workers; use a smaller batch_size"),
        ({}, 9, 3, "24 training images are less than one batch of 9 for each of 3 workers"),
        ({"n_phases": 3}, 4, 1, r"square two-phase images; the data set has shape \(16, 16\), 3 phases"),
        ({"labels": np.zeros((24, 8, 16), int)}, 4, 1, r"the data set has shape \(8, 16\), 2 phases"),
        ({"labels": np.zeros((24, 8, 8, 8), int)}, 4, 1, r"the data set has shape \(8, 8, 8\), 2 phases"),
        ({"properties": {"Gxy": np.ones(24)}}, 4, 1, "The data set has no property 'Ex'; it has Gxy"),
        ({"properties": {}}, 4, 1, "The data set has no property 'Ex'; it has none: label it first"),
    ],
)
def test_data_refused(changes: dict[str, object], batch_size: int, world: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Feed(data(**changes), plain("Ex", "Ey"), batch_size, seed=0, world=world)


def test_property_table_keeps_the_order_of_the_names() -> None:
    table = property_table(data(), ["Ey", "Ex"])
    assert table.shape == (24, 2)
    np.testing.assert_array_equal(table[:, 0], 100 * table[:, 1])


def test_samples_with_unknown_properties_are_left_out() -> None:
    complete = data()
    assert with_known(complete, ["Ex", "Ey"]) is complete
    gaps = {name: values.copy() for name, values in complete.properties.items()}
    gaps["Ex"][3] = gaps["Ey"][[3, 5]] = np.nan
    gaps["kx"][0] = np.inf
    batch = data(properties=gaps)
    known = with_known(batch, ["Ex", "Ey"])
    rest = [i for i in range(24) if i not in (3, 5)]
    np.testing.assert_array_equal(known.labels, batch.labels[rest])
    np.testing.assert_array_equal(known.properties["Gxy"], batch.properties["Gxy"][rest])
    assert len(with_known(batch, ["kx"])) == 23
    assert len(with_known(batch, ["Gxy"])) == 24


def test_unknown_properties_are_named() -> None:
    nothing = data(properties={"Ex": np.full(24, np.nan), "Ey": np.ones(24)})
    with pytest.raises(InputError, match="No sample has finite values of Ex, Ey; label the data set again"):
        with_known(nothing, ["Ex", "Ey"])
    with pytest.raises(InputError, match="The data set has no property 'kx'; it has Ex, Ey"):
        with_known(nothing, ["kx"])


def random_properties(
    periodic: bool = True, names: tuple[str, ...] = ("Ex", "Ey", "kx", "ky", "Gxy")
) -> Microstructures:
    values = np.exp(np.random.default_rng(0).normal(size=(24, len(names))) + np.arange(len(names)))
    return data(properties=dict(zip(names, values.T, strict=True)), periodic=periodic)


def test_standardisation_does_not_know_the_axes() -> None:
    names = ("Ex", "Ey", "kx", "Gxy")
    fitted = fit_standardization(random_properties(), names, {"Ex": "MPa", "Ey": "MPa"})
    assert fitted.names == names
    assert fitted.units == ("MPa", "MPa", "", "")
    assert fitted.offsets[0] == pytest.approx(fitted.offsets[1])
    assert fitted.scales[0] == pytest.approx(fitted.scales[1])
    values = random_properties().properties
    both = np.log(np.concatenate((values["kx"], values["ky"])))
    assert (fitted.offsets[2], fitted.scales[2]) == pytest.approx((both.mean(), both.std()))
    assert fitted.offsets[3] == pytest.approx(np.log(values["Gxy"]).mean())
    standardized = fitted.forward(property_table(random_properties(), ("Ey", "Ex", "ky", "Gxy")))
    both = np.concatenate((fitted.forward(property_table(random_properties(), names)), standardized))
    assert both.mean(0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert both.std(0) == pytest.approx(np.ones(4))


@pytest.mark.parametrize("batch", [random_properties(periodic=False), random_properties(names=("Ex", "Ey", "kx"))])
def test_standardisation_of_what_is_never_turned(batch: Microstructures) -> None:
    fitted = fit_standardization(batch, ("Ex", "kx"), {})
    assert fitted.offsets == pytest.approx([np.log(batch.properties[name]).mean() for name in ("Ex", "kx")])


def test_images_of_one_phase_teach_nothing() -> None:
    labels = np.repeat([0, 1], 3)[:, None, None] * np.ones((1, SIZE, SIZE), np.uint8)
    batch = data(6, labels=labels.astype(np.uint8))
    with pytest.raises(InputError, match="Each of the 6 training images is of one phase alone; expected images of two"):
        fit_standardization(batch, ("Ex", "Ey"), {})
    labels[0, 0, 0] = 1
    assert fit_standardization(data(6, labels=labels.astype(np.uint8)), ("Ex", "Ey"), {}).names == ("Ex", "Ey")
