"""Which turns and flips are of the same material: as asked, else as the images and their phases allow."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.learning.data.augmentation import ALL, NO_AUGMENTATION, Augmentation, augmentation_of, same_after
from microdesign.learning.data.feed import Feed
from microdesign.learning.data.samples import Samples
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.generators.registry import generate
from microdesign.model.standardization import Standardization

NAMES = ("Ex", "Ey")


def layers(n: int = 12, slanted: bool = False) -> np.ndarray:
    """Layers across x, or along a diagonal, each image at another place."""
    x, y = np.indices((16, 16))
    return np.stack([((x + slanted * y + i) // 4 % 2).astype(np.uint8) for i in range(n)])


def dataset(folder: Path, labels: np.ndarray, periodic: bool = True, materials: dict | None = None) -> Dataset:
    batch = Microstructures(labels=labels, n_phases=2, periodic=periodic)
    writer = DatasetWriter(folder, settings={}, materials=materials)
    writer.write_shard("a", batch)
    return writer.finish()


def test_the_symmetries_of_each_choice() -> None:
    for turns, flips, count in [(True, True, 8), (True, False, 4), (False, True, 4), (False, False, 1)]:
        found = Augmentation(turns, flips).symmetries((8, 8), NAMES, NAMES)
        assert len(found) == count, (turns, flips)
        assert (found[0].axes, found[0].flipped) == ((0, 1), ())
        for each in found:
            matrix = np.eye(2)[list(each.axes)] * np.where(np.isin([0, 1], each.flipped), -1, 1)[:, None]
            assert turns or each.axes == (0, 1), each
            assert flips or np.linalg.det(matrix) == pytest.approx(1), each
    assert len(Augmentation(True, False).symmetries((6, 6, 6), (), ())) == 24
    assert len(ALL.symmetries((6, 6, 6), (), ())) == 48


def test_images_with_a_direction_are_not_turned_unless_asked(tmp_path: Path) -> None:
    isotropic = generate("GRF", 60, (32, 32), seed=1).labels
    cases = {"isotropic": (isotropic, "turns, flips and shifts"), "layers": (layers(), "flips and shifts")}
    cases |= {"slanted": (layers(slanted=True), "shifts")}
    # As a population, layers in both directions have none.
    cases |= {"both": (np.concatenate([layers(), layers().transpose(0, 2, 1)]), "turns, flips and shifts")}
    for name, (labels, done) in cases.items():
        data = dataset(tmp_path / name, labels)
        assert str(augmentation_of(None, None, True, data)) == done, name
        assert str(augmentation_of(True, True, False, data)) == "turns and flips", name
        assert augmentation_of(False, False, False, data) == NO_AUGMENTATION, name
    still = dataset(tmp_path / "still", isotropic, periodic=False)
    assert not augmentation_of(None, None, True, still).shifts
    # What turns an image does not turn the crystals in it.
    crystals = {"phases": [{"stiffness": [[1.0]]}, {"E": 1.0}]}
    assert (
        str(augmentation_of(None, None, True, dataset(tmp_path / "crystals", isotropic, materials=crystals)))
        == "shifts"
    )
    assert same_after(np.zeros((3, 8, 8), np.uint8)) == (True, True)


def test_training_images_are_what_was_asked() -> None:
    batch = Microstructures(labels=layers(8), n_phases=2, properties={"Ex": np.ones(8), "Ey": np.full(8, 2.0)})
    plain = Standardization(names=NAMES, units=("1", "1"), offsets=(0.0, 0.0), scales=(1.0, 1.0))
    for augmentation, directions, moved in [
        (ALL, {0, 1}, True), (Augmentation(turns=False), {0}, True), (NO_AUGMENTATION, {0}, False),
    ]:  # fmt: skip
        one, seen = Feed(Samples.of(batch), plain, 8, 0, augmentation=augmentation), set()
        for epoch in range(20):
            ((x, c),) = one.epoch(epoch)
            along = int(bool((x.var(2, correction=0) == 0).all()))
            assert (c[0, 0] < c[0, 1]) == (along == 0)
            seen.add(along)
            if not moved:
                places = one.positions(epoch, 0)
                np.testing.assert_array_equal(x[:, 0].numpy(), batch.labels[places])
        assert seen == directions, augmentation


def test_directions_are_those_of_the_material_and_not_of_the_grid() -> None:
    """Every second row of an isotropic material: interfaces are as many on a length, not on a pixel."""
    isotropic = generate("VoronoiMedium", 60, (64, 64), seed=1).labels[:, :, ::2]
    assert same_after(isotropic) == (False, True)
    assert same_after(isotropic, (1.0, 2.0)) == (True, True)
    found = Augmentation(aspect=(1.0, 2.0)).symmetries((32, 32), NAMES, NAMES)
    assert {each.axes for each in found} == {(0, 1)}
    assert len(found) == 4
