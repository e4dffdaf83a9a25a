"""Grey images to phases: thresholds against scikit-image, whatever the type of the numbers and the format."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.filters import threshold_multiotsu, threshold_otsu

from microdesign.core.errors import InputError
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import read, read_images
from microdesign.microstructure.io.segmentation_preview import SegmentationPreview
from microdesign.microstructure.io.thresholds import MOST_PHASES, segment
from tests.cases import case


def grey(levels: tuple[float, ...] = (60, 170), size: int = 48, spread: float = 12) -> np.ndarray:
    """Blocks of each level with noise, uint8 `(X, Y)`."""
    stream = np.random.default_rng(1)
    phases = stream.integers(0, len(levels), (size // 6, size // 6)).repeat(6, 0).repeat(6, 1)
    return np.clip(np.take(levels, phases) + stream.normal(0, spread, phases.shape), 0, 255).astype(np.uint8)


def test_thresholds_are_those_of_scikit_image() -> None:
    two, three = grey(), grey((40, 120, 210))
    for image, how, expected in [
        (two, "otsu", [threshold_otsu(two)]),
        (two.astype(np.int64), "otsu", [threshold_otsu(two)]),
        (two.astype(np.uint16) * 200, "otsu", [threshold_otsu(two.astype(np.uint16) * 200)]),
        (two / 255, "otsu", [threshold_otsu(two / 255)]),
        (three, "multi-otsu:3", threshold_multiotsu(three, 3)),
        (three, "multi-otsu:2", threshold_multiotsu(three, 2)),
        (three / 7, "multi-otsu:3", threshold_multiotsu(three / 7, 3)),
        (three, "80,160", [80, 160]),
    ]:
        with case(how=how, dtype=image.dtype):
            # Chunk by chunk as all at once.
            chunks = [image[None, :10], image[None, 10:]]
            found = segment(how, chunks.__iter__, "a")
            np.testing.assert_allclose(found.thresholds, expected, rtol=1e-3)
            assert found.counts.sum() == image.size
            labels = found.labels(image)
            np.testing.assert_array_equal(labels, np.digitize(image, found.thresholds, right=True))
            np.testing.assert_allclose(found.shares, np.bincount(labels.ravel()) / image.size, atol=0.01)


def test_every_format_of_pictures_and_arrays(tmp_path: Path) -> None:
    image = grey()
    expected = image > threshold_otsu(image)
    Image.fromarray(image.T).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", image.T)
    tifffile.imwrite(tmp_path / "white.tif", 255 - image.T, photometric="miniswhite")
    np.save(tmp_path / "a.npy", image.astype(np.int64))
    np.savez(tmp_path / "a.npz", image=image)
    for name in ("a.png", "a.tif", "white.tif", "a.npy", "a.npz"):
        with case(name=name):
            batch = read(tmp_path / name, threshold="otsu")
            np.testing.assert_array_equal(batch.labels[0], expected)
            # What comes off an instrument does not tile space, unless the user says so.
            assert (batch.n_phases, batch.periodic) == (2, False)
            assert read(tmp_path / name, threshold="otsu", periodic=True).periodic is True
    stack = np.stack([grey(), grey((90, 200))])
    np.save(tmp_path / "stack.npy", stack)
    found = read(tmp_path / "stack.npy", threshold="otsu").labels
    np.testing.assert_array_equal(found, stack > threshold_otsu(stack))  # one threshold for the stack


def test_what_cannot_be_thresholded_is_refused(tmp_path: Path) -> None:
    for array, how, message in [
        (grey(), "otzu", "--threshold otzu: expected otsu, multi-otsu:3, a grey level such as 128, or several"),
        (grey(), "multi-otsu", f"--threshold multi-otsu: expected the number of phases, 2 to {MOST_PHASES}"),
        (grey(), "multi-otsu:9", f"expected the number of phases, 2 to {MOST_PHASES}"),
        (grey(), "multi-otsu:²", "expected the number of phases"),
        (grey(), "160,80", "several in ascending order"),
        (grey(), "nan", "--threshold nan: expected"),
        (grey(), "300", "--threshold 300 leaves a phase without pixels; the grey levels are"),
        (np.full((8, 8), 7), "otsu", "holds 1 different grey levels; expected at least 2"),
        (np.array([[0.0, np.nan], [1, 1]]), "otsu", "holds grey levels that are missing or infinite"),
    ]:
        with case(how=how, message=message):
            np.save(tmp_path / "a.npy", array)
            with pytest.raises(InputError, match=message):
                read(tmp_path / "a.npy", threshold=how)
    with pytest.raises(InputError, match="--values and --threshold both say what is which phase"):
        ReadOptions(threshold="otsu", values=(0, 255))


def test_a_preview_is_a_picture(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", grey((40, 120, 210)))
    preview = SegmentationPreview()
    preview.write(tmp_path / "nothing.png")
    assert not (tmp_path / "nothing.png").exists()
    list(read_images(tmp_path / "a.npy", options=ReadOptions(threshold="multi-otsu:3", on_segmented=preview)))
    preview.write(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] > 2.5 * picture.size[1]
