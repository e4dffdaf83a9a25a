"""Training batches: parts of workers, seeds, and augmentation that the physics allows."""

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.learning.data.augmentation import NO_AUGMENTATION
from microdesign.learning.data.feed import Feed, _ahead, fit_standardization
from microdesign.learning.data.samples import Samples
from microdesign.microstructure.data.container import Microstructures
from microdesign.model.standardization import Standardization
from tests.cases import case

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
    return Microstructures(**(settings | changes))


def plain(*names: str) -> Standardization:
    """Standardisation that only takes logarithms."""
    ones = (1.0,) * len(names)
    return Standardization(names=names, units=("1",) * len(names), offsets=(0.0,) * len(names), scales=ones)


def feed(
    batch_size: int = 4, names: tuple[str, ...] = ("Ex", "Ey"), seed: int = 0, rank: int = 0, world: int = 1
) -> Feed:
    return Feed(Samples.of(data(), rank, world), plain(*names), batch_size, seed, rank, world)


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


def test_parts_are_disjoint_and_cover_the_data() -> None:
    for world in [1, 2, 3]:
        with case(world=world):
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
    one = Feed(Samples.of(layered()), plain(*names), 4, seed=0)
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
    one = Feed(Samples.of(layered()), plain("kx"), 4, seed=0)
    seen = set()
    for epoch in range(40):
        ((x, c),) = one.epoch(epoch)
        along_x = bool((x.var(2, correction=0) == 0).all())
        assert c[0, 0].item() == pytest.approx(np.log(50 if along_x else 3))
        seen.add(along_x)
    assert seen == {True, False}


def test_no_turn_without_the_partner() -> None:
    properties = {name: value for name, value in layered().properties.items() if name != "ky"}
    batch = Microstructures(labels=layered().labels, n_phases=2, properties=properties)
    one = Feed(Samples.of(batch), plain("Ex", "kx"), 4, 0)
    for epoch in range(20):
        ((x, c),) = one.epoch(epoch)
        assert (x.var(2, correction=0) == 0).all()
        assert c[0].tolist() == pytest.approx(np.log([100, 50]))


def test_periodic_images_move_and_others_do_not() -> None:
    corner = np.zeros((4, SIZE, SIZE), np.uint8)
    corner[:, 0, 0] = 1
    places: dict[bool, set[tuple[int, ...]]] = {True: set(), False: set()}
    for periodic in places:
        batch = Microstructures(labels=corner, n_phases=2, periodic=periodic, properties={"Gxy": np.ones(4)})
        one = Feed(Samples.of(batch), plain("Gxy"), 4, seed=0)
        for epoch in range(60):
            ((x, _),) = one.epoch(epoch)
            places[periodic].add(tuple(x[0, 0].nonzero()[0].tolist()))
    assert places[False] == {(0, 0), (0, 15), (15, 0), (15, 15)}
    assert len(places[True]) > 30


def test_data_refused() -> None:
    for changes, batch_size, world, message in [
        ({}, 25, 1, "24 training images are less than one batch of 25 for each of 1 workers; use a smaller batch_size"),
        ({}, 9, 3, "24 training images are less than one batch of 9 for each of 3 workers"),
        ({"properties": {"Gxy": np.ones(24)}}, 4, 1, "The data set has no property 'Ex'; it has Gxy"),
        ({"properties": {}}, 4, 1, "The data set has no property 'Ex'; it has none: label it first"),
    ]:
        with case(changes=changes, batch_size=batch_size, world=world), pytest.raises(InputError, match=message):
            Feed(Samples.of(data(**changes), 0, world), plain("Ex", "Ey"), batch_size, seed=0, world=world)


def test_an_epoch_goes_on_at_any_step() -> None:
    whole = list(feed().epoch(2))
    for (x, c), (y, d) in zip(whole[4:], feed().epoch(2, first=4), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0)
        torch.testing.assert_close(c, d, rtol=0, atol=0)


def test_a_batch_knows_where_its_samples_are_in_the_data_set() -> None:
    one = feed(rank=1, world=2)
    for step, (x, _) in enumerate(one.epoch(1)):
        assert identities([(x, x)]) == [position + 1 for position in one.positions(1, step)]


def test_what_is_not_known_stays_unknown_where_it_is_needed() -> None:
    gaps = {name: values.copy() for name, values in data().properties.items()}
    gaps["Ex"][3], gaps["Ey"][5], gaps["kx"][7] = np.nan, np.inf, np.nan
    one = Feed(Samples.of(data(properties=gaps)), plain("Ex", "Ey"), 24, 0)
    for epoch in range(6):
        ((x, c),) = one.epoch(epoch)
        unknown = [int(count) - 1 for count in x[c.isnan().any(1)].sum((1, 2, 3))]
        assert sorted(unknown) == [3, 5]
        assert c.isnan().sum() == 2


def test_three_phases_and_a_volume() -> None:
    """Voxel (0, 0, 0) is phase 2, row x = 0 phase 1: they stay together whatever the shift, turn and flip."""
    labels = np.zeros((4, 5, 5, 5), np.uint8)
    labels[:, :, 0, 0] = 1
    labels[:, 0, 0, 0] = 2
    batch = Microstructures(
        labels=labels, n_phases=3, properties={name: np.full(4, v) for name, v in (("k11", 7), ("k22", 2), ("k33", 2))}
    )
    one = Feed(Samples.of(batch), plain("k11", "k33"), 4, 0)
    seen = set()
    for epoch in range(30):
        ((x, c),) = one.epoch(epoch)
        assert x.shape == (4, 3, 5, 5, 5)
        assert x.is_contiguous(memory_format=torch.channels_last_3d)
        assert torch.equal(x.sum(1), torch.ones(4, 5, 5, 5))
        assert x.sum((0, 2, 3, 4)).tolist() == [4 * 120, 4 * 4, 4]
        row = (x[0, 1] + x[0, 2]).nonzero()
        (along,) = [axis for axis in range(3) if len(row[:, axis].unique()) == 5]
        expected = {0: (7, 2), 1: (2, 2), 2: (2, 7)}[along]
        assert c[0].tolist() == pytest.approx(np.log(expected))
        seen.add(along)
    assert seen == {0, 1, 2}


def test_odd_sizes_are_unpacked() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (6, 3, 5, 7)).astype(np.uint8)
    batch = Microstructures(labels=labels, n_phases=2, properties={"E": np.arange(1.0, 7)})
    one = Feed(Samples.of(batch), plain("E"), 6, 0, augmentation=NO_AUGMENTATION)
    ((x, c),) = one.epoch(0)
    order = c[:, 0].exp().round().int() - 1
    torch.testing.assert_close(x[:, 0], torch.from_numpy(labels)[order].float(), rtol=0, atol=0)


def test_a_batch_is_fetched_while_another_is_used() -> None:
    asked: list[int] = []

    def fetch(step: int) -> torch.Tensor:
        asked.append(step)
        return torch.tensor(step)

    for expected, got in zip(range(2, 6), _ahead(fetch, range(2, 6)), strict=True):
        assert got.item() == expected
        assert len(asked) >= expected - 2
    assert asked == [2, 3, 4, 5]


def random_properties(names: tuple[str, ...] = ("Ex", "Ey", "kx", "ky", "Gxy")) -> dict[str, np.ndarray]:
    values = np.exp(np.random.default_rng(0).normal(size=(24, len(names))) + np.arange(len(names)))
    return dict(zip(names, values.T, strict=True))


def test_standardisation_does_not_know_the_axes() -> None:
    names = ("Ex", "Ey", "kx", "Gxy")
    values = random_properties()
    fitted = fit_standardization(values, (8, 8), names, {"Ex": "MPa", "Ey": "MPa"})
    assert fitted.names == names
    assert fitted.units == ("MPa", "MPa", "", "")
    assert fitted.offsets[0] == pytest.approx(fitted.offsets[1])
    assert fitted.scales[0] == pytest.approx(fitted.scales[1])
    both = np.log(np.concatenate((values["kx"], values["ky"])))
    assert (fitted.offsets[2], fitted.scales[2]) == pytest.approx((both.mean(), both.std()))
    assert fitted.offsets[3] == pytest.approx(np.log(values["Gxy"]).mean())


def test_standardisation_of_what_is_never_turned() -> None:
    for shape, properties in [((8, 16), random_properties()), ((8, 8), random_properties(("Ex", "Ey", "kx")))]:
        with case(shape=shape, properties=list(properties)):
            fitted = fit_standardization(properties, shape, ("Ex", "kx"), {})
            assert fitted.offsets == pytest.approx([np.log(properties[name]).mean() for name in ("Ex", "kx")])


def test_standardisation_leaves_out_what_is_not_known() -> None:
    properties = random_properties(("Gxy",))
    properties["Gxy"][4] = np.nan
    fitted = fit_standardization(properties, (8, 8), ("Gxy",), {})
    assert fitted.offsets[0] == pytest.approx(np.log(np.delete(properties["Gxy"], 4)).mean())


def test_without_properties() -> None:
    fitted = fit_standardization({}, (SIZE, SIZE), (), {})
    ((x, c),) = Feed(Samples.of(data(properties={})), fitted, 24, 0).epoch(0)
    assert c.shape == (24, 0)
    assert sorted(identities([(x, c)])) == list(range(1, 25))
