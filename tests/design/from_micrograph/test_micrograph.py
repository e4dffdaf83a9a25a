"""The micrograph: what is refused, the size of windows, and whether the material may be turned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import microdesign as md
from microdesign.core.errors import InputError
from microdesign.design.from_micrograph.micrograph import may_be_turned, read_micrograph, window_size
from microdesign.microstructure.windows.windows_dataset import windows

STRIPES = np.arange(64) % 8 < 4


def test_a_micrograph_of_any_size(tmp_path: Path) -> None:
    image = md.generate("GRF", 1, (256, 256)).labels[0]
    for shape, size in (((256, 256), 64), ((100, 200), 48), ((128, 90), 32), ((40, 33), 32), ((32, 32), 32)):
        np.save(tmp_path / "a.npy", image[: shape[0], : shape[1]])
        found = read_micrograph(tmp_path / "a.npy")
        assert found.labels.shape == shape
        assert found.size == window_size(shape) == size
        assert found.size % 16 == 0
    assert read_micrograph(tmp_path / "a.npy", 32).size == 32


def test_what_is_no_micrograph(tmp_path: Path) -> None:
    cases: list[tuple[np.ndarray, str]] = [
        (np.zeros((64, 64), np.uint8), "is of phase 0 alone"),
        (np.arange(64 * 64).reshape(64, 64) % 3, "holds 3 phases; the decoder draws images of two phases"),
        (np.arange(64 * 64).reshape(64, 64) % 200, "200 grey values, and is not segmented"),
        (255 * np.tile(STRIPES, (64, 1)).astype(int), "holds the labels 0 and 255; expected 0 and 1"),
        (np.tile(STRIPES, (3, 64, 1)).astype(int), "holds 3 images; expected one image"),
        (np.tile(STRIPES, (20, 1)).astype(int), "has 20 x 64 pixels; expected 32 or more"),
    ]
    for labels, message in cases:
        np.save(tmp_path / "a.npy", labels.astype(np.uint8))
        with pytest.raises(InputError, match=message):
            read_micrograph(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.tile(STRIPES, (64, 1)))
    with pytest.raises(InputError, match=r"has 64 x 64 pixels; expected 96 or more along each axis"):
        read_micrograph(tmp_path / "a.npy", 96)


def test_only_isotropic_materials_are_turned() -> None:
    def cut(image: np.ndarray) -> np.ndarray:
        return windows(image, size=64, split_by_region=False).labels

    def of(generated: str, **settings: Any) -> np.ndarray:
        return cut(md.generate(generated, 1, (256, 256), seed=3, **settings).labels[0])

    assert may_be_turned(of("Circles"))
    layers = np.repeat(np.random.default_rng(0).random(64) < 0.5, 4)[:, None].repeat(256, 1)
    wavy = np.stack([np.roll(layers[:, y], round(3 * np.sin(y / 9))) for y in range(256)], 1)
    assert not may_be_turned(cut(wavy.astype(np.uint8)))
    assert not may_be_turned(of("Circles")[:1, :8, :8])  # too little to say
