import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.pictures import PictureReader, PictureWriter
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import describe, read_images


def read(path: Path, **options: object) -> Microstructures:
    return Microstructures.concatenate(list(PictureReader().read(path, options=ReadOptions(**options))))


@pytest.fixture
def pages() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (11, 6, 9)).astype(np.uint8)


def test_pictures_in_natural_order_rows_along_y(tmp_path: Path, pages: np.ndarray) -> None:
    for number, page in enumerate(pages):
        if number % 2:
            Image.fromarray(page).save(tmp_path / f"scan{number}.png")
        else:
            tifffile.imwrite(tmp_path / f"scan{number}.tif", page)
    (tmp_path / "notes.txt").write_text("not a picture")
    np.testing.assert_array_equal(read(tmp_path).labels, pages.transpose(0, 2, 1))
    np.testing.assert_array_equal(read(tmp_path, dims=3).labels, pages.T[None])
    assert [len(part) for part in read_images(tmp_path, chunk=4)] == [4, 4, 3]
    assert describe(tmp_path)["shape"] == [9, 6]


def test_folders_are_classes_or_volumes(tmp_path: Path, pages: np.ndarray) -> None:
    for number, page in enumerate(pages[:6]):
        folder = tmp_path / ("foam" if number < 3 else "weave")
        folder.mkdir(exist_ok=True)
        Image.fromarray(page).save(folder / f"{number}.png")
    batch = read(tmp_path)
    assert batch.classes == ("foam",) * 3 + ("weave",) * 3
    np.testing.assert_array_equal(batch.labels, pages[:6].transpose(0, 2, 1))
    volumes = read(tmp_path, dims=3)
    np.testing.assert_array_equal(volumes.labels, np.stack([pages[:3].T, pages[3:6].T]))
    (tmp_path / "weave" / "5.png").unlink()
    with pytest.raises(InputError, match="weave: holds 2 slices; expected 3"):
        read(tmp_path, dims=3)


def test_any_kind_of_png_with_one_number_a_pixel(tmp_path: Path, pages: np.ndarray) -> None:
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16"):
        labels = pages[0] > 0 if mode == "1" else pages[0]
        picture = Image.fromarray(labels.astype(np.uint16) if mode == "I;16" else labels)
        if mode == "P":
            picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        elif mode not in ("1", "I;16"):
            picture = picture.convert(mode)
        picture.save(tmp_path / "a.png")
        np.testing.assert_array_equal(read(tmp_path).labels[0], labels.T, mode)


def test_black_and_white(tmp_path: Path, pages: np.ndarray) -> None:
    Image.fromarray(np.where(pages[0] > 0, 255, 0).astype(np.uint8)).save(tmp_path / "a.png")
    for options in ({}, {"n_phases": 2}, {"values": (0, 255)}):
        batch = read(tmp_path, **options)
        assert batch.n_phases == 2
        np.testing.assert_array_equal(batch.labels[0], pages[0].T > 0)
    np.testing.assert_array_equal(next(read_images(tmp_path / "a.png")).labels[0], pages[0].T > 0)
    inverted = read(tmp_path, values=(255, 0))
    np.testing.assert_array_equal(inverted.labels[0], pages[0].T == 0)


def test_written_pictures_are_seen_by_people_and_exact(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 9, 6))
    batch = Microstructures(labels=labels, n_phases=3, properties={"Ex": np.array([1.0, np.nan])})
    PictureWriter().write(tmp_path, [batch])
    with Image.open(tmp_path / "000001.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), labels[1].T)
        greys = np.asarray(picture.convert("L"))
        assert sorted(np.unique(greys)) == [0, 127, 255]
    assert json.loads((tmp_path / "images.json").read_text())["samples"][1]["properties"] == {"Ex": None}
    (tmp_path / "images.json").unlink()
    np.testing.assert_array_equal(read(tmp_path).labels, labels)


def test_refuses(tmp_path: Path, pages: np.ndarray) -> None:
    Image.fromarray(pages[0]).save(tmp_path / "a.png")
    Image.fromarray(pages[1, :5]).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png: has 9 x 5 pixels; expected 9 x 6, as in a\.png"):
        read(tmp_path)
    (tmp_path / "b.png").write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match=r"b\.png: is a pickle, which is never loaded"):
        read(tmp_path)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    with pytest.raises(InputError, match=r"b\.png: is no PNG picture, or truncated"):
        read(tmp_path)
    colours = np.random.default_rng(0).integers(0, 255, (6, 9, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png: is in colours; expected one number a pixel, the label of its phase"):
        read(tmp_path)
    Image.fromarray(np.arange(54, dtype=np.uint8).reshape(6, 9)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="different grey levels up to 53; threshold it first"):
        read(tmp_path)
    tifffile.imwrite(tmp_path / "b.tif", pages, photometric="minisblack")
    (tmp_path / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.tif: holds 11 pages; expected one picture a file"):
        read(tmp_path)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no pictures \(\.png, \.tif, \.tiff\)"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"holds no dataset\.json"):
        list(read_images(tmp_path))


def test_the_index_has_to_match(tmp_path: Path) -> None:
    PictureWriter().write(tmp_path, [Microstructures(labels=np.eye(4, dtype=int)[None], n_phases=2)])
    (tmp_path / "000000.png").rename(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"000000\.png: is missing, yet images\.json lists it"):
        read(tmp_path)
    (tmp_path / "images.json").write_text("{}")
    with pytest.raises(InputError, match=r"images\.json: 'n_phases' is missing"):
        read(tmp_path)
