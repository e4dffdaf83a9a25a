"""A small file takes little memory, ends, and shows nothing of other files, whatever it says."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from microdesign.core.budget import read_budget
from microdesign.core.errors import InputError
from microdesign.microstructure.io.convert import convert
from microdesign.microstructure.io.readers import READERS, describe, load_reader, read
from tests.cases import case
from tests.faults.bombs import BOMBS, FOREIGN, INFLATED, special, tiff_circle, tiff_two_circle

BUDGET = 2**20


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRODESIGN_READ_BUDGET", "1MiB")


@pytest.mark.usefixtures("small_budget")
def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    for name, make in BOMBS.items():
        with case(file=name):
            make(tmp_path / name)
            for reader in READERS:
                load_reader(reader)  # what is imported for the first time counts as memory too
            tracemalloc.start()
            try:
                with pytest.raises(InputError):
                    read(tmp_path / name)
                # Also where an error of the library, which holds what was unpacked, is what refuses.
                assert tracemalloc.get_traced_memory()[1] < 12 * BUDGET
            finally:
                tracemalloc.stop()


@pytest.mark.usefixtures("small_budget")
def test_what_was_too_large_is_said_with_the_setting(tmp_path: Path) -> None:
    for name in ("image.npz", "a.png", "page.tif", "stated.vti", "stated.h5", "a.dream3d", "dataset", "sparse.npy"):
        with case(file=name):
            BOMBS[name](tmp_path / name)
            with pytest.raises(InputError, match=r"MiB of memory; expected at most 1 MiB, which MICRODESIGN_READ_BUD"):
                read(tmp_path / name)


@pytest.mark.usefixtures("small_budget")
def test_a_set_that_no_file_holds_is_not_converted_in_full(tmp_path: Path) -> None:
    for name, make in INFLATED.items():
        with case(file=name):
            make(tmp_path / name)
            with pytest.raises(InputError, match=r"take more than 1 MiB, of .* on disk; .* larger MICRODESIGN_READ_BU"):
                convert(tmp_path / name, tmp_path / "out.npy")
            assert not (tmp_path / "out.npy").exists()


@pytest.mark.usefixtures("small_budget")
def test_a_set_above_the_budget_is_converted_where_its_files_hold_it(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 2, (1024, 64, 64), np.uint8)
    np.save(tmp_path / "noise.npy", images)
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(1, 64, 64), compression="gzip")
    for name in ("noise.npy", "packed.h5"):
        with case(file=name):
            assert convert(tmp_path / name, tmp_path / f"{name}.npz")["images"] == len(images)


def test_no_file_names_another(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(secret)
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["images"] = np.eye(4, dtype=np.uint8)[None]
    for name, make in FOREIGN.items():
        with case(file=name):
            make(tmp_path / name, other if name in ("link.h5", "hidden.h5", "virtual.h5") else secret)
            with pytest.raises(InputError, match=r"another file|outside the folder"):
                read(tmp_path / name)
            if name.endswith(".h5"):
                with pytest.raises(InputError, match="another file"):
                    describe(tmp_path / name)


def test_no_device_is_read(tmp_path: Path) -> None:
    for path in special(tmp_path):
        for what in (read, describe):
            with case(path=path.name, what=what.__name__), pytest.raises(InputError):
                what(path)


def test_pages_in_a_circle_end(tmp_path: Path) -> None:
    for make in (tiff_circle, tiff_two_circle):
        with case(make=make.__name__):
            make(tmp_path / "a.tif")
            with pytest.raises(InputError, match="leads back to an earlier one"):
                read(tmp_path / "a.tif")


def test_a_changed_pixel_of_a_png_does_not_pass(tmp_path: Path) -> None:
    """Each byte of the pixels in turn: Pillow reads a share of them with other pixels."""
    path = tmp_path / "a.png"
    Image.fromarray((np.random.default_rng(0).random((32, 32)) < 0.5).astype(np.uint8)).save(path)
    data = path.read_bytes()
    start = data.index(b"IDAT")
    for place in range(start, len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with case(place=place), pytest.raises(InputError):
            read(path)
    path.write_bytes(data)
    assert len(read(path)) == 1


def test_the_budget_is_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, size in (("", 2**31), ("1000", 1000), ("1.5 GiB", 3 * 2**29), ("8gb", 2**33), ("64MiB", 2**26)):
        monkeypatch.setenv("MICRODESIGN_READ_BUDGET", text)
        assert read_budget() == size, text
    for text in ("much", "-1", "1e9", "0", "3 apples"):
        monkeypatch.setenv("MICRODESIGN_READ_BUDGET", text)
        with case(text=text), pytest.raises(InputError, match="expected a number of bytes such as 8GiB"):
            read_budget()
