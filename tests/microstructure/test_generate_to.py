"""Generation to a data set's folder and to a MICRO2D file: the same images."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.errors import InputError, StorageError
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.dataset import Dataset
from microdesign.microstructure.generate import GenerateConfig, GenerateJob, generate_to
from microdesign.microstructure.micro2d import list_classes, read_micro2d

IMAGES = GenerateConfig(families=("GRF", "AngEllipse"), count_per_family=5, size=16, shard_size=2, seed=4)


def test_a_folder_becomes_a_data_set(tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    job = GenerateJob(out=str(tmp_path / "set"), images=IMAGES)
    made = generate_to(job, lambda done, total: progress.append((done, total)))
    dataset = Dataset.open(tmp_path / "set")
    assert made == {"dataset": str(tmp_path / "set"), "images": 10, "digest": dataset.manifest.digest}
    assert dataset.manifest.classes == {"GRF": 5, "AngEllipse": 5}
    assert progress == [(done, 10) for done in (2, 4, 5, 7, 9, 10)]
    assert generate_to(job) == made


@pytest.mark.parametrize("name", ["images.h5", "images.hdf5"])
def test_a_file_holds_the_same_images(tmp_path: Path, name: str) -> None:
    progress: list[tuple[int, int]] = []
    job = GenerateJob(out=str(tmp_path / "new" / name), images=IMAGES)
    made = generate_to(job, lambda done, total: progress.append((done, total)))
    assert made == {"file": str(tmp_path / "new" / name), "images": 10}
    assert progress[-1] == (10, 10)
    assert list_classes(made["file"]) == {"GRF": 5, "AngEllipse": 5}
    generate_to(GenerateJob(out=str(tmp_path / "set"), images=IMAGES))
    expected = Dataset.open(tmp_path / "set").load()
    read = Microstructures.concatenate(list(read_micro2d(made["file"], classes=["GRF", "AngEllipse"])))
    np.testing.assert_array_equal(read.labels, expected.labels)
    assert (read.classes, read.generation) == (expected.classes, expected.generation)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match="taken: is a file; expected a folder for the data set"):
        generate_to(GenerateJob(out=str(tmp_path / "taken"), images=IMAGES))
    assert (tmp_path / "taken").read_text() == "mine"
    with pytest.raises(StorageError, match="cannot be written"):
        generate_to(GenerateJob(out=str(tmp_path / "taken" / "images.h5"), images=IMAGES))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "set.h5").mkdir()
    with pytest.raises(StorageError, match=r"set\.h5: cannot be written"):
        generate_to(GenerateJob(out=str(tmp_path / "set.h5"), images=IMAGES))
    assert [path.name for path in tmp_path.iterdir()] == ["set.h5"]
