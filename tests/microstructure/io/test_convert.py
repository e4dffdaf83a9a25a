import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import DatasetWriter
from microdesign.microstructure.data.resampling import resize
from microdesign.microstructure.io.convert import convert
from microdesign.microstructure.io.formats.npy import write_npy
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import describe, read, read_images
from microdesign.microstructure.io.writers import write


def made() -> Microstructures:
    return Microstructures(labels=np.random.default_rng(2).integers(0, 3, (5, 9, 6)), n_phases=4)


def test_an_empty_folder_may_be_there_but_no_file_in_place_of_a_folder(tmp_path: Path) -> None:
    source = write(tmp_path / "source", made())
    (tmp_path / "empty").mkdir()
    assert convert(source, tmp_path / "empty")["unchanged"] is False
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is there already with other content"):
        convert(source, tmp_path / "file")


def test_options_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    write_npy(tmp_path / "a.npy", made())
    with pytest.raises(InputError, match=r"a\.npy: --array has no meaning for \.npy; leave it out"):
        convert(tmp_path / "a.npy", tmp_path / "b.npz", options=ReadOptions(array="x"))
    for wrong, message in [
        ({"shape": (4,)}, r"--shape \(4,\): expected two or three"),
        ({"dims": 4}, "--dims 4: expected 2 or 3"),
        ({"n_phases": 257}, "--phases 257: expected 1 to 256"),
        ({"values": (1.0, 1.0)}, "expected 1 to 256 different numbers"),
    ]:
        with pytest.raises(InputError, match=message):
            ReadOptions(**wrong)


def test_batches_have_to_agree(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["A/A"] = np.zeros((2, 4, 4), np.uint8)
        f["B/B"] = np.zeros((2, 4, 5), np.uint8)
    with pytest.raises(InputError, match=r"a\.h5: from image 2 on, shape is \(4, 5\); expected \(4, 4\)"):
        convert(tmp_path / "a.h5", tmp_path / "out")
    with h5py.File(tmp_path / "b.h5", "w") as f:
        f["A/A"] = f["B/B"] = np.zeros((2, 4, 4), np.uint8)
        f["B/homogenized_thermal"] = np.zeros((2, 1, 2))
    with pytest.raises(InputError, match=r"from image 2 on, the properties are \['kx', 'ky'\]; expected \[\]"):
        convert(tmp_path / "b.h5", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_data_set_resizes_shard_by_shard(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (7, 16, 16))
    writer = DatasetWriter(tmp_path / "source", settings={}, units={"Ex": "Pa"}, materials={"name": "any"})
    for number, part in enumerate((labels[:3], labels[3:])):
        batch = Microstructures(labels=part, n_phases=2, properties={"Ex": np.ones(len(part))})
        writer.write_shard(f"{number}", batch)
    writer.finish()
    done = convert(tmp_path / "source", tmp_path / "small", resize_to=7)
    assert done["left_out"] == ["materials", "properties.Ex", "units"]
    expected = resize(Microstructures(labels=labels, n_phases=2), 7).labels
    np.testing.assert_array_equal(read(tmp_path / "small").labels, expected)
    # At its own size nothing has to be averaged, and properties stay true.
    assert convert(tmp_path / "source", tmp_path / "same", resize_to=16)["left_out"] == ["materials", "units"]
    assert set(read(tmp_path / "same").properties) == {"Ex"}


def test_a_phase_that_no_new_pixel_takes(tmp_path: Path) -> None:
    labels = np.zeros((1, 8, 8), np.uint8)
    labels[0, 0, 0] = 2
    source = write(tmp_path / "source", Microstructures(labels=labels, n_phases=3))
    assert convert(source, tmp_path / "a.npy", resize_to=4)["left_out"] == ["n_phases"]
    assert convert(source, tmp_path / "a.tiff", resize_to=4)["left_out"] == []
    assert read(tmp_path / "a.tiff").n_phases == 3


def test_sizes_that_do_not_suit(tmp_path: Path) -> None:
    write_npy(tmp_path / "a.npy", Microstructures(labels=np.zeros((2, 16, 16), np.uint8), n_phases=2))
    write_npy(tmp_path / "b.npy", made())
    with pytest.raises(InputError, match=r"^size = 3 is too small; expected at least 4\.$"):
        convert(tmp_path / "a.npy", tmp_path / "out", resize_to=3)
    with pytest.raises(
        InputError, match=r"a\.npy: size = 17 is larger than the images, \(16, 16\); expected at most 16"
    ):
        convert(tmp_path / "a.npy", tmp_path / "out", resize_to=17)
    with pytest.raises(InputError, match=r"b\.npy: size = 4: the images have shape \(9, 6\); expected the same number"):
        convert(tmp_path / "b.npy", tmp_path / "out", resize_to=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy"]


def test_the_command(tmp_path: Path) -> None:
    np.save(tmp_path / "grey.npy", np.array([[0, 128], [255, 0]]))
    command = [str(Path(sys.executable).parent / "microdesign"), "data", "convert"]

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)

    done = run("grey.npy", "out.npz", "--values", "0,128,255", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "from": "grey.npy",
        "to": "out.npz",
        "format": "npz",
        "images": 1,
        "shape": [2, 2],
        "phases": 3,
        "unchanged": False,
        "left_out": [],
    }
    assert done.stderr.endswith("1/1 images converted\n")
    assert np.load(tmp_path / "out.npz")["labels"].tolist() == [[[0, 1], [2, 0]]]
    done = run("grey.npy", "b.npz", "--values", "0,x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "microdesign: --values 0,x: expected numbers with commas between them, such as 0,255.\n"
    np.save(tmp_path / "half.npy", np.repeat([0, 1], 4)[:, None].repeat(8, 1))
    assert run("half.npy", "small.npy", "--resize", "4").returncode == 0
    assert np.load(tmp_path / "small.npy").tolist() == [[[0] * 4] * 2 + [[1] * 4] * 2]
    done = run("half.npy", "large.npy", "--resize", "9")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "microdesign: half.npy: size = 9 is larger than the images, (8, 8); expected at most 8.\n"
    done = run("half.npy", "two ways", "--size", "4")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--size 4: say --resize 4 to resample each image" in done.stderr
    assert "`microdesign data windows half.npy two ways --size 4`" in done.stderr
    assert not (tmp_path / "two ways").exists()


def sparse_micro2d(path: Path, n: int) -> Path:
    with h5py.File(path, "w") as f:
        f.create_dataset("GRF/GRF", (n, 256, 256), "i8", chunks=(16, 256, 256))
        f["GRF/homogenized_mechanical"] = np.zeros((n, 6, 5))
    return path


def peak_memory(source: Path, out: Path) -> int:
    """Peak resident bytes of a process of its own that converts, as they are and resized."""
    program = (
        "import sys\n"
        "from microdesign.microstructure.io.convert import convert\n"
        "for size in (None, 224):\n"
        "    convert(sys.argv[1], f'{sys.argv[2]}-{size}', resize_to=size)\n"
        # Not ru_maxrss: a child inherits that of the process that forked it.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(source), str(out)], capture_output=True, text=True, check=True
    )
    return int(done.stdout) * 1024


def test_a_file_of_one_class_of_micro2d_streams(tmp_path: Path) -> None:
    """Of the real shape and size, int64: 4 GB if loaded; and 800 images, 420 MB if loaded, converted in less."""
    source = sparse_micro2d(tmp_path / "a.h5", 8000)
    assert describe(source)["tree"]["GRF/GRF"] == {"shape": [8000, 256, 256], "dtype": "int64"}
    for number, batch in zip(range(3), read_images(source), strict=False):
        assert batch.labels.nbytes * 8 <= 64 * 2**20, number
    assert peak_memory(sparse_micro2d(tmp_path / "small.h5", 800), tmp_path / "out") < 400e6


@pytest.mark.slow
def test_a_file_of_one_class_of_micro2d_converts_below_one_gigabyte(tmp_path: Path) -> None:
    """2 GB if loaded."""
    assert peak_memory(sparse_micro2d(tmp_path / "a.h5", 4000), tmp_path / "out") < 1e9
    assert describe(tmp_path / "out-None")["samples"] == 4000
