"""The micrograph: what is refused, the size of windows, and whether the material may be turned."""

from pathlib import Path

import numpy as np
import pytest

import microdesign as md
from microdesign.core.errors import InputError
from microdesign.design.from_micrograph.micrograph import may_be_turned, read_micrograph, window_size
from microdesign.design.from_micrograph.windows import cut_windows
from microdesign.microstructure.io.options import ReadOptions

STRIPES = np.arange(64) % 8 < 4


def test_a_micrograph_of_any_size(tmp_path: Path) -> None:
    image = np.tile(STRIPES, (256, 4)).astype(np.uint8)
    for shape, size in (((256, 256), 64), ((100, 200), 48), ((128, 90), 32), ((40, 33), 32), ((32, 32), 32)):
        np.save(tmp_path / "a.npy", image[: shape[0], : shape[1]])
        found = read_micrograph(tmp_path / "a.npy")
        assert found.labels.shape == shape
        assert found.size == window_size(shape) == size
        assert found.size % 16 == 0
    assert read_micrograph(tmp_path / "a.npy", 32).size == 32
    np.save(tmp_path / "three.npy", (np.arange(64 * 64).reshape(64, 64) % 3).astype(np.uint8))
    assert read_micrograph(tmp_path / "three.npy").image.n_phases == 3
    np.save(tmp_path / "grey.npy", (40 + 150 * image[:64, :64] + np.arange(64)).astype(np.uint8))
    assert np.array_equal(
        read_micrograph(tmp_path / "grey.npy", options=ReadOptions(threshold="otsu")).labels, image[:64, :64]
    )


def test_what_is_no_micrograph(tmp_path: Path) -> None:
    cases: list[tuple[np.ndarray, str]] = [
        (np.zeros((64, 64), np.uint8), "is of phase 0 alone"),
        (np.arange(64 * 64).reshape(64, 64) % 3 * 2, "holds the labels 0, 2, 4; expected 0 to 2"),
        (np.arange(64 * 64).reshape(64, 64) % 200, "200 grey values, and is not segmented"),
        (255 * np.tile(STRIPES, (64, 1)).astype(int), "holds the labels 0, 255; expected 0 to 1"),
        (np.tile(STRIPES, (3, 64, 1)).astype(int), "holds 3 images; expected one of them"),
        (np.tile(STRIPES, (20, 1)).astype(int), "has 20 x 64 pixels; expected 32 or more"),
    ]
    for labels, message in cases:
        np.save(tmp_path / "a.npy", labels.astype(np.uint8))
        with pytest.raises(InputError, match=message):
            read_micrograph(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((300, 300, 300), np.uint8))
    with pytest.raises(
        InputError, match=r"has 300 x 300 x 300 voxels; expected at most 16777216: a part of it, or a section"
    ):
        read_micrograph(tmp_path / "a.npy", options=ReadOptions(dims=3))
    np.save(tmp_path / "a.npy", np.tile(STRIPES, (64, 1)))
    with pytest.raises(InputError, match=r"has 64 x 64 pixels; expected 96 or more along each axis"):
        read_micrograph(tmp_path / "a.npy", 96)


def test_a_volume(tmp_path: Path) -> None:
    volume = md.generate("Spinodal", 1, (48, 64, 80)).labels[0]
    np.save(tmp_path / "a.npy", volume)
    found = read_micrograph(tmp_path / "a.npy", options=ReadOptions(dims=3))
    assert (found.dims, found.window) == (3, (32, 32, 32))
    assert np.array_equal(found.labels, volume)
    windows = cut_windows(found.image, 32)
    assert windows.shape == (2 * 3 * 4, 32, 32, 32)
    assert np.array_equal(windows[0], volume[:32, :32, :32])


def test_volumes_are_turned_about_every_axis() -> None:
    spinodal = md.generate("Spinodal", 24, (32, 32, 32), seed=1).labels
    assert may_be_turned(spinodal, periodic=True)
    # Fibres along the first axis are as alike when they are turned about it, but not about the others.
    fibres = np.repeat(md.generate("Circles", 24, (32, 32), seed=1).labels[:, None], 32, axis=1)
    assert not may_be_turned(fibres, periodic=True)


def test_only_isotropic_materials_are_turned() -> None:
    def windows(family: str) -> np.ndarray:
        four = md.generate(family, 4, (128, 128), seed=1).labels
        mosaic = np.block([[four[0], four[1]], [four[2], four[3]]])
        return cut_windows(md.Microstructures(labels=mosaic[None], n_phases=2, periodic=False), 64)

    for family, isotropic in (("Circles", True), ("VoronoiMedium", True), ("AngEllipse", False)):
        assert may_be_turned(windows(family)) == isotropic, family
    assert not may_be_turned(windows("Circles")[:1, :8, :8])  # too little to say


def test_windows_of_a_large_image_lie_further_apart() -> None:
    for shape, least, most in (((256, 256), 49, 49), ((2000, 2400), 600, 1000)):
        labels = np.tile(STRIPES, (shape[0], -(-shape[1] // 64)))[:, : shape[1]].astype(np.uint8)
        found = cut_windows(md.Microstructures(labels=labels[None], n_phases=2, periodic=False), 64)
        assert found.shape[1:] == (64, 64)
        assert least <= len(found) <= most
