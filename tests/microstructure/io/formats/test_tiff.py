import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.tiff import TiffReader, TiffWriter
from microdesign.microstructure.io.options import ReadOptions


def read(path: Path, **options: object) -> Microstructures:
    return Microstructures.concatenate(list(TiffReader().read(path, options=ReadOptions(**options))))


@pytest.fixture
def pages() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (5, 6, 9)).astype(np.uint8)


def test_rows_of_a_page_run_along_y(tmp_path: Path, pages: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "a.tif").labels, pages.transpose(0, 2, 1))
    volume = read(tmp_path / "a.tif", dims=3)
    assert volume.shape == (9, 6, 5)
    np.testing.assert_array_equal(volume.labels[0], pages.T)


def test_any_number_type(tmp_path: Path, pages: np.ndarray) -> None:
    for dtype in (np.uint8, np.int32, np.int64, np.uint16, np.float32, np.float64):
        for compression in (None, "zlib"):
            tifffile.imwrite(tmp_path / "a.tif", pages.astype(dtype), compression=compression, photometric="minisblack")
            found = read(tmp_path / "a.tif").labels
            np.testing.assert_array_equal(found, pages.transpose(0, 2, 1), f"{dtype} {compression}")


def test_compressions_of_other_programs(tmp_path: Path, pages: np.ndarray) -> None:
    pictures = [Image.fromarray(page) for page in pages]
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate"):
        pictures[0].save(tmp_path / "a.tif", save_all=True, append_images=pictures[1:], compression=compression)
        np.testing.assert_array_equal(read(tmp_path / "a.tif").labels, pages.transpose(0, 2, 1), compression)


def test_a_bilevel_page(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((6, 9)) < 0.5
    Image.fromarray(image).save(tmp_path / "a.tif", compression="group4")
    np.testing.assert_array_equal(read(tmp_path / "a.tif").labels[0], image.T)


def test_an_imagej_stack_of_slices_is_a_volume(tmp_path: Path, pages: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pages, imagej=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(read(tmp_path / "a.tif").labels, pages.T[None])
    assert read(tmp_path / "a.tif", dims=2).labels.shape == (5, 9, 6)


def test_pages_behind_the_first_one(tmp_path: Path, pages: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pages, imagej=True, metadata={"axes": "TYX"}, truncate=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert len(file.pages) == 1
    np.testing.assert_array_equal(read(tmp_path / "a.tif").labels, pages.transpose(0, 2, 1))


def test_a_black_and_white_picture_has_two_phases(tmp_path: Path, pages: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.where(pages > 0, 255, 0).astype(np.uint8), photometric="minisblack")
    batch = read(tmp_path / "a.tif")
    assert batch.n_phases == 2
    np.testing.assert_array_equal(batch.labels, pages.transpose(0, 2, 1) > 0)


def test_grey_levels(tmp_path: Path, pages: np.ndarray) -> None:
    grey = np.array([7, 100, 65000], np.uint16)[pages]
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="minisblack")
    with pytest.raises(InputError, match=r"holds 65000 at index .*; threshold a grey image first"):
        read(tmp_path / "a.tif")
    batch = read(tmp_path / "a.tif", values=(7, 100, 65000))
    np.testing.assert_array_equal(batch.labels, pages.transpose(0, 2, 1))
    with pytest.raises(InputError, match=r"holds 65000 at index \[.*; expected one of --values 7, 100"):
        read(tmp_path / "a.tif", values=(7, 100))
    tifffile.imwrite(tmp_path / "b.tif", np.arange(256, dtype=np.uint8).reshape(16, 16))
    with pytest.raises(InputError, match=r"holds 256 different grey levels up to 255; threshold it first, or state"):
        read(tmp_path / "b.tif")
    assert read(tmp_path / "b.tif", n_phases=256).labels.max() == 255


def test_a_written_stack_is_a_plain_tiff(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 9, 6, 5))
    TiffWriter().write(tmp_path / "a.tif", [Microstructures(labels=labels, n_phases=3)])
    with Image.open(tmp_path / "a.tif") as picture:
        assert picture.n_frames == 10
        picture.seek(7)
        np.testing.assert_array_equal(np.asarray(picture), labels[1, :, :, 2].T)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").labels, labels)


def test_refuses(tmp_path: Path, pages: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match="is a pickle, which is never loaded"):
        read(path)
    path.write_text("text")
    with pytest.raises(InputError, match="is no TIFF file, or truncated"):
        read(path)
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 9, (6, 9, 3)).astype(np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="page 0: is in colours; expected one number a pixel"):
        read(path)
    with tifffile.TiffWriter(path) as file:
        file.write(pages[0])
        file.write(pages[0, :4])
    with pytest.raises(InputError, match="page 1 has 9 x 4 pixels; expected 9 x 6"):
        read(path)
    tifffile.imwrite(path, np.full((4, 4), np.nan, np.float32))
    with pytest.raises(InputError, match=r"holds nan .*; expected phase labels, not missing values"):
        read(path)


def test_a_truncated_file(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 3, (9, 64, 64)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, compression="zlib", photometric="minisblack")
    data = (tmp_path / "a.tif").read_bytes()
    for keep in (len(data) - 100, len(data) // 2, 200, 9):
        (tmp_path / "cut.tif").write_bytes(data[:keep])
        with pytest.raises(InputError, match=r"cut\.tif"):
            read(tmp_path / "cut.tif")
