"""Workers' shares of a data set on disk: together all of it once, and nothing that cannot be learned from."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.learning.data.feed import fit_standardization
from microdesign.learning.data.samples import (
    Samples,
    check_apart,
    check_held_out,
    check_images,
    check_varied,
    left_out,
    usable,
)
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.data.shards import unpack
from microdesign.microstructure.windows.windows_dataset import windows
from microdesign.model.networks.config import NetworkConfig
from tests.cases import case

SIZE = 6


def made(folder: Path, n_phases: int = 2, **changes: object) -> Dataset:
    """Three shards of 20 images of two classes."""
    stream = np.random.default_rng(0)
    writer = DatasetWriter(folder, settings={})
    for shard in range(3):
        settings: dict[str, object] = {
            "labels": stream.integers(0, n_phases, (20, SIZE, SIZE)).astype(np.uint8),
            "n_phases": n_phases,
            "classes": ("a", "b") * 10,
            "properties": {"Ex": stream.random(20), "kx": stream.random(20)},
        }
        writer.write_shard(f"part-{shard}", Microstructures(**(settings | changes)))
    return writer.finish()


def test_workers_hold_the_split_once(tmp_path: Path) -> None:
    for n_phases in [2, 4]:
        dataset = made(tmp_path / f"data-{n_phases}", n_phases)
        positions = usable(dataset, "train", ["Ex"])
        whole = dataset.load()
        for world in [1, 2, 3]:
            with case(n_phases=n_phases, world=world):
                parts = [Samples.read(dataset, positions, rank, world) for rank in range(world)]
                assert sorted(np.concatenate([part.positions for part in parts])) == sorted(dataset.split()["train"])
                assert {part.total for part in parts} == {len(positions)}
                for part in parts:
                    assert len(part) in (len(positions) // world, len(positions) // world + 1)
                    assert part.packed.shape[1] == (5 if n_phases == 2 else SIZE**2)
                    np.testing.assert_array_equal(
                        unpack(part.packed, part.shape, n_phases), whole.labels[part.positions]
                    )
                    np.testing.assert_array_equal(part.properties["kx"], whole.properties["kx"][part.positions])


@pytest.mark.parametrize("n_phases", [2, 4])
def test_a_shard_may_hold_none_of_the_samples(tmp_path: Path, n_phases: int) -> None:
    dataset = made(tmp_path, n_phases)
    read = Samples.read(dataset, np.array([3, 45]))
    np.testing.assert_array_equal(unpack(read.packed, read.shape, n_phases), dataset.load().labels[[3, 45]])


def test_in_memory_as_from_disk(tmp_path: Path) -> None:
    dataset = made(tmp_path / "data")
    read = Samples.read(dataset, dataset.split()["train"], 1, 2)
    taken = Samples.of(dataset.load("train"), 1, 2)
    np.testing.assert_array_equal(read.packed, taken.packed)
    np.testing.assert_array_equal(read.properties["Ex"], taken.properties["Ex"])
    assert (read.shape, read.n_phases, read.periodic, read.total) == ((SIZE, SIZE), 2, True, taken.total)


def test_unlabelled_samples_count_where_they_are_wanted(tmp_path: Path) -> None:
    gaps = {"Ex": np.where(np.arange(20) % 4, 1.0, np.nan), "kx": np.full(20, np.nan)}
    dataset = made(tmp_path / "data", properties=gaps)
    train = dataset.split()["train"]
    np.testing.assert_array_equal(usable(dataset, "train", ["Ex"]), train[train % 20 % 4 > 0])
    np.testing.assert_array_equal(usable(dataset, "train", ["Ex"], unlabelled=True), train)
    np.testing.assert_array_equal(usable(dataset, "train", []), train)
    with pytest.raises(InputError, match="No sample of the train split has finite values of Ex, kx; label the data"):
        usable(dataset, "train", ["Ex", "kx"], unlabelled=True)
    with pytest.raises(InputError, match="The data set has no property 'Ey'; it has Ex, kx"):
        usable(dataset, "train", ["Ey"])
    with pytest.raises(InputError, match="test split has finite values of kx"):
        check_held_out(dataset, "test", ["kx"])


def test_images_of_one_phase_are_refused(tmp_path: Path) -> None:
    labels = np.repeat([0, 1], 10)[:, None, None] * np.ones((1, SIZE, SIZE), np.uint8)
    with pytest.raises(InputError, match="Each of the 60 images is of one phase alone; expected images of two"):
        check_varied(made(tmp_path / "bad", labels=labels.astype(np.uint8)))
    labels[7, 0, 0] = 1
    check_varied(made(tmp_path / "good", labels=labels.astype(np.uint8)))


def test_images_that_the_model_does_not_take() -> None:
    for shape, n_phases, message in [
        ((17, 17), 1, r"needs images of two phases or more; the data set has shape \(17, 17\), 1 phases"),
        ((8, 17), 2, r"set loop.model.network.size to \[8, 17\]"),
        ((17, 17), 3, "set loop.model.network.phases to 3"),
        (
            (17, 17, 17),
            2,
            "17 x 17 x 17 voxels in 2 phases, the model takes 17 x 17 pixels in 2; "
            "set loop.model.network.dimensions to 3",
        ),
        (
            (32, 32),
            2,
            "have 32 x 32 pixels in 2 phases, the model takes 17 x 17 pixels in 2; set loop.model.network.size to 32",
        ),
    ]:
        with case(shape=shape, n_phases=n_phases, message=message), pytest.raises(InputError, match=message):
            check_images(shape, n_phases, NetworkConfig(size=17))


def test_images_that_the_model_takes() -> None:
    check_images((17, 17), 2, NetworkConfig(size=17))
    check_images((17, 17, 17), 4, NetworkConfig(size=17, dimensions=3, phases=4))


def test_windows_that_overlap_across_a_random_split_are_refused(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 2, (64, 64))
    for by_region, stride in [(True, 8), (False, 16)]:
        check_apart(windows(image, tmp_path / f"{stride}", size=16, stride=stride, split_by_region=by_region))
    random = windows(image, tmp_path / "random", size=16, stride=8, split_by_region=False)
    with pytest.raises(InputError, match=r"of 10 validation and test windows overlap training .* stride of 16 or more"):
        check_apart(random)
    check_apart(made(tmp_path / "no windows"))


def test_what_pores_leave_without_a_value_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    """A Poisson's ratio that is not defined, and a modulus of 0, whose logarithm models learn."""
    Ex, vxy, kx = (np.linspace(1, 2, 20) for _ in range(3))
    Ex[:3], vxy[:5], vxy[5] = 0, np.nan, 0
    dataset = made(tmp_path / "pores", properties={"Ex": Ex, "vxy": vxy, "kx": kx})
    names = ["Ex", "vxy", "kx"]
    columns, train = dataset.property_columns(), dataset.split()["train"]
    lacking, zero = np.isnan(columns["vxy"][train]).sum(), (columns["Ex"][train] == 0).sum()
    kept = usable(dataset, "train", names)
    assert len(kept) == len(train) - lacking
    assert (columns["Ex"][kept] > 0).all()
    assert (columns["vxy"][kept] == 0).any()
    said = f"vxy is not known of {lacking}, Ex is not above 0 in {zero} (models learn its logarithm)"
    assert left_out(dataset, names) == f"{lacking} of {len(train)} training images are left out: {said}"
    assert f"{lacking} of {len(train)} training images train without" in left_out(dataset, names, unlabelled=True)
    assert left_out(dataset, ["kx"]) == ""
    assert len(usable(dataset, "train", ["kx"])) == len(train)
    table = fit_standardization(columns, (SIZE, SIZE), ["Ex"], {})
    assert np.exp(table.offsets[0]) == pytest.approx(np.exp(np.log(columns["Ex"][columns["Ex"] > 0]).mean()))
    never = made(tmp_path / "never", properties={"Ex": Ex, "vxy": np.full(20, np.nan)})
    with pytest.raises(InputError, match="values of Ex, vxy; label the data set again, or leave out vxy"):
        usable(never, "train", ["Ex", "vxy"])
    cut = made(tmp_path / "cut", properties={"Ex": Ex, "Ey": np.zeros(20)})
    with pytest.raises(InputError, match=r"of Ex, Ey that a model can learn: (Ex, )?Ey is 0, .* or leave out Ey"):
        usable(cut, "train", ["Ex", "Ey"])
