"""Generation to a data set's folder and to a MICRO2D file: the same images."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError, StorageError
from microdesign.core.progress import Recorded
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.generators.dataset_generation import (
    GenerateConfig,
    GenerateJob,
    generate_to,
    plan_shards,
)
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.formats.hdf5.micro2d import list_classes, read_micro2d

IMAGES = GenerateConfig(families=("GRF", "AngEllipse"), count_per_family=5, size=16, shard_size=2, seed=4)


def test_a_folder_becomes_a_data_set(tmp_path: Path) -> None:
    progress = Recorded()
    job = GenerateJob(out=str(tmp_path / "set"), **dict(IMAGES))
    made = generate_to(job, progress)
    dataset = Dataset.open(tmp_path / "set")
    assert made == {"dataset": str(tmp_path / "set"), "images": 10, "digest": dataset.manifest.digest}
    assert dataset.manifest.classes == {"GRF": 5, "AngEllipse": 5}
    assert progress.counts == [(done, 10, "images generated") for done in (2, 4, 5, 7, 9, 10)]
    assert generate_to(job) == made


def test_a_file_holds_the_same_images(tmp_path: Path) -> None:
    generate_to(GenerateJob(out=str(tmp_path / "set"), **dict(IMAGES)))
    expected = Dataset.open(tmp_path / "set").load()
    for name in ("images.h5", "images.hdf5"):
        progress = Recorded()
        made = generate_to(GenerateJob(out=str(tmp_path / "new" / name), **dict(IMAGES)), progress)
        assert made == {"file": str(tmp_path / "new" / name), "images": 10}
        assert progress.counts[-1] == (10, 10, "images generated")
        assert list_classes(made["file"]) == {"GRF": 5, "AngEllipse": 5}
        read = Microstructures.concatenate(list(read_micro2d(made["file"], classes=["GRF", "AngEllipse"])))
        np.testing.assert_array_equal(read.labels, expected.labels, name)
        assert (read.classes, read.generation) == (expected.classes, expected.generation)


def test_contact_sheets_lie_beside_the_data_set(tmp_path: Path) -> None:
    for out, beside in [("set", "set-preview"), ("images.h5", "images-preview")]:
        plain = generate_to(GenerateJob(out=str(tmp_path / out), **dict(IMAGES)))
        assert not (tmp_path / beside).exists()
        made = generate_to(GenerateJob(out=str(tmp_path / out), **dict(IMAGES), preview=True))
        sheets = made.pop("preview")
        assert made == plain
        assert sheets == [str(tmp_path / beside / f"{name}.png") for name in ("GRF", "AngEllipse")]
        # One row of five tiles of 128 pixels, with margins of 4.
        assert matplotlib.image.imread(sheets[0]).shape[:2] == (136, 5 * 132 + 4)


def test_volumes_of_several_phases(tmp_path: Path) -> None:
    images = GenerateConfig(families=("Polycrystal",), count_per_family=3, size=16, dims=3, n_phases=5)
    generate_to(GenerateJob(out=str(tmp_path / "set"), **dict(images), preview=True))
    dataset = Dataset.open(tmp_path / "set")
    assert dataset.manifest.shape == (16, 16, 16)
    assert dataset.manifest.n_phases == 5
    expected = generate("Polycrystal", 3, (16, 16, 16), n_phases=5)
    np.testing.assert_array_equal(dataset.load().labels, expected.labels)
    assert dataset.load().generation == expected.generation
    assert (tmp_path / "set-preview" / "Polycrystal.png").is_file()


def test_shards_depend_on_all_settings(tmp_path: Path) -> None:
    images = GenerateConfig(families=("Polycrystal",), count_per_family=3, size=16)
    generate_to(GenerateJob(out=str(tmp_path / "set"), **dict(images)))
    other = images.model_copy(update={"n_phases": 3})
    generate_to(GenerateJob(out=str(tmp_path / "set"), **dict(other)))
    assert Dataset.open(tmp_path / "set").manifest.n_phases == 3


def test_shards_of_large_volumes_are_smaller() -> None:
    small = GenerateConfig(families=("GRF",), count_per_family=100, size=64)
    large = GenerateConfig(families=("GRF",), count_per_family=100, size=256, dims=3)
    assert [shard.count for shard in plan_shards(small)] == [100]
    plan = plan_shards(large)
    assert [shard.count for shard in plan] == [16] * 6 + [4]
    assert [shard.start for shard in plan] == list(range(0, 100, 16))


def test_rectangles_by_one_number_an_axis(tmp_path: Path) -> None:
    config = IMAGES.model_copy(update={"size": (24, 16)})
    made = generate_to(GenerateJob(out=str(tmp_path / "set"), **dict(config), preview=True))
    assert Dataset.open(tmp_path / "set").manifest.shape == (24, 16)
    height, width = matplotlib.image.imread(made["preview"][0]).shape[:2]
    # x runs to the right; five images in a row, each pixel five of the picture, with margins of four.
    assert (height, width) == (16 * 5 + 8, (24 * 5 + 4) * 5 + 4)
    # A square by two numbers is the same data set as by one.
    squares = [
        generate_to(GenerateJob(out=str(tmp_path / name), **dict(IMAGES.model_copy(update={"size": size}))))
        for name, size in (("one", 16), ("two", (16, 16)))
    ]
    assert squares[0]["digest"] == squares[1]["digest"]


def test_what_a_family_cannot_draw() -> None:
    for settings, message in [
        (["dims=3"], "'dims' = 3 is not valid: the family AngEllipse draws dims 2, not 3"),
        (["dims=4"], "'dims' = 4 is not valid"),
        (["n_phases=3"], "'n_phases' = 3 is not valid: the family GRF draws 2 phases, not 3"),
        (["families=[Polycrystal]", "n_phases=300"], "'n_phases' = 300 is not valid"),
        (["size=[64, 48, 32]"], "size 64,48,32 has 3 axes; expected 2"),
        (["size=[64, 8]"], "'size' is not valid: expected 16 to 4096 pixels, one number for all axes"),
        (["families=[GRF]", "size=1000", "dims=3"], "size = 1000 is too large; expected at most 134217728 pixels"),
    ]:
        with pytest.raises(InputError, match=message):
            load_config(GenerateConfig, overrides=settings)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match="taken: is a file; expected a folder for the data set"):
        generate_to(GenerateJob(out=str(tmp_path / "taken"), **dict(IMAGES)))
    assert (tmp_path / "taken").read_text() == "mine"
    with pytest.raises(StorageError, match="cannot be written"):
        generate_to(GenerateJob(out=str(tmp_path / "taken" / "images.h5"), **dict(IMAGES)))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "set.h5").mkdir()
    with pytest.raises(StorageError, match=r"set\.h5: cannot be written"):
        generate_to(GenerateJob(out=str(tmp_path / "set.h5"), **dict(IMAGES)))
    assert [path.name for path in tmp_path.iterdir()] == ["set.h5"]
