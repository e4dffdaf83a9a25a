import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.tiff import TiffReader, TiffWriter, read_page
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
    with pytest.raises(
        InputError, match=r"holds 256 different grey levels up to 255; threshold it first \(--threshold otsu"
    ):
        read(tmp_path / "b.tif")
    assert read(tmp_path / "b.tif", n_phases=256).labels.max() == 255


def test_axes_of_a_hyperstack(tmp_path: Path) -> None:
    """T x Z of ImageJ and OME are volumes in time, not one long volume; channels are not samples."""
    path = tmp_path / "a.ome.tif"
    data = np.random.default_rng(0).integers(0, 3, (2, 5, 3, 6, 9)).astype(np.uint8)  # T Z C Y X
    for kind in ({"imagej": True}, {"ome": True}):
        tifffile.imwrite(path, data[:, :, 0], metadata={"axes": "TZYX"}, photometric="minisblack", **kind)
        np.testing.assert_array_equal(read(path).labels, data[:, :, 0].transpose(0, 3, 2, 1), str(kind))
        np.testing.assert_array_equal(read(path, dims=2).labels, data[:, :, 0].reshape(10, 6, 9).transpose(0, 2, 1))
        tifffile.imwrite(path, data[0], metadata={"axes": "ZCYX"}, photometric="minisblack", **kind)
        with pytest.raises(InputError, match=rf"{path}: has 3 channels \(Z 5 x C 3\); name one by --array 0 to 2"):
            read(path)
        for channel in range(3):
            np.testing.assert_array_equal(read(path, array=str(channel)).labels, data[0, :, channel].T[None], str(kind))
        for wrong in ("3", "red", "²"):
            with pytest.raises(InputError, match=f"has no channel '{wrong}'; expected --array 0 to 2"):
                read(path, array=wrong)
        tifffile.imwrite(path, data[0, :, 0], metadata={"axes": "TYX"}, photometric="minisblack", **kind)
        np.testing.assert_array_equal(read(path).labels, data[0, :, 0].transpose(0, 2, 1), str(kind))
        with pytest.raises(InputError, match="--array 0 has no meaning for a file of one channel"):
            read(path, array="0")


def test_axes_without_names_have_two_readings(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 3, (2, 5, 6, 9)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    with pytest.raises(InputError, match=r"\(Q 2 x Q 5\): give --dims 2 for 10 images, or --dims 3 for 2 volumes of 5"):
        read(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif", dims=2).labels.shape == (10, 9, 6)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", dims=3).labels, data.transpose(0, 3, 2, 1))


def test_byte_order(tmp_path: Path, pages: np.ndarray) -> None:
    for byteorder in "<>":
        for truncate in (False, True):
            tifffile.imwrite(
                tmp_path / "a.tif",
                pages.astype(np.uint16),
                byteorder=byteorder,
                imagej=True,
                metadata={"axes": "TYX"},
                truncate=truncate,
            )
            found = read(tmp_path / "a.tif").labels
            np.testing.assert_array_equal(found, pages.transpose(0, 2, 1), f"{byteorder} {truncate}")


def test_min_is_white(tmp_path: Path, pages: np.ndarray) -> None:
    """Black is label 0 and white label 1 however a picture stores them."""
    white = pages[0] > 0
    for stored, bits in ((white, 1), (np.where(white, 255, 0).astype(np.uint8), 8)):
        for compression in (None, "zlib"):
            for photometric, array in (("minisblack", stored), ("miniswhite", ~stored)):
                case = f"{bits} {compression} {photometric}"
                tifffile.imwrite(tmp_path / "a.tif", array, photometric=photometric, compression=compression)
                batch = read(tmp_path / "a.tif")
                np.testing.assert_array_equal(batch.labels[0], white.T, case)
                assert batch.n_phases == 2, case
                np.testing.assert_array_equal(read_page(tmp_path / "a.tif") > 0, white, case)
    # By Pillow, which turns what it reads.
    Image.fromarray(white).save(tmp_path / "fax.tif", compression="group4", tiffinfo={262: 0})
    with tifffile.TiffFile(tmp_path / "fax.tif") as file:
        assert file.pages.first.photometric.name == "MINISWHITE"
    np.testing.assert_array_equal(read(tmp_path / "fax.tif").labels[0], white.T)
    # Labels, or greys turned round.
    tifffile.imwrite(tmp_path / "b.tif", pages, photometric="miniswhite")
    with pytest.raises(InputError, match=r"holds 0,1,2 and says that 0 is white .*, as with --values 0,1,2"):
        read(tmp_path / "b.tif")
    np.testing.assert_array_equal(read(tmp_path / "b.tif", values=(0, 1, 2)).labels, pages.transpose(0, 2, 1))
    np.testing.assert_array_equal(read(tmp_path / "b.tif", values=(2, 1, 0)).labels, 2 - pages.transpose(0, 2, 1))
    tifffile.imwrite(tmp_path / "c.tif", pages[0], photometric="miniswhite")
    with pytest.raises(InputError, match=r"c\.tif: says that 0 is white; save it with 0 as black"):
        read_page(tmp_path / "c.tif")


def test_planes_of_a_picture(tmp_path: Path, pages: np.ndarray) -> None:
    """Grey as three equal colours, pixel by pixel or plane by plane."""
    grey = np.where(pages[0] > 0, 255, 0).astype(np.uint8)
    for planarconfig, axis in (("contig", -1), ("separate", 0)):
        tifffile.imwrite(tmp_path / "a.tif", np.stack([grey] * 3, axis), photometric="rgb", planarconfig=planarconfig)
        np.testing.assert_array_equal(read(tmp_path / "a.tif").labels[0], grey.T > 0, planarconfig)
        colours = np.stack([grey, grey, 255 - grey], axis)
        tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb", planarconfig=planarconfig)
        with pytest.raises(InputError, match="page 0: is in colours"):
            read(tmp_path / "a.tif")


def test_several_series(tmp_path: Path, pages: np.ndarray) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for part in (pages, pages[:2]):
            file.write(part, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(
        InputError, match=r"holds 2 series of pages \(ZYX \(5, 6, 9\); ZYX \(2, 6, 9\)\); save the one of"
    ):
        read(tmp_path / "a.ome.tif")
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for page in pages:
            file.write(page)
    np.testing.assert_array_equal(read(tmp_path / "b.tif").labels, pages.transpose(0, 2, 1))


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
