"""The public function `windows`: from one or several large images to a data set of windows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, overload

from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitConfig
from microdesign.microstructure.data.sizes import Sizes, as_json
from microdesign.microstructure.io.formats.dataset_folder import DatasetFolderWriter
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.staging import write_staged
from microdesign.microstructure.windows.cutting import WindowCutter
from microdesign.microstructure.windows.sources import Images, named, sources

SIZE = 64
"""Pixels along each axis of a window when nothing else is said: what the pretrained model was trained on."""
_SHARD_BYTES = 4 * 2**20
"""Labels of a shard: a thousand windows of 64 x 64, which is what labelling that is killed loses at most."""


@overload
def windows(
    images: Images,
    out: None = None,
    *,
    size: Sizes = SIZE,
    stride: Sizes | None = None,
    split_by_region: bool = True,
    split: SplitConfig | None = None,
    n_phases: int | None = None,
    dims: int | None = None,
    array: str | None = None,
    shape: tuple[int, ...] | None = None,
    values: tuple[float, ...] | None = None,
    pixel_size: str | None = None,
    threshold: str | None = None,
    reader: str | None = None,
    progress: Progress = silent,
) -> Microstructures: ...


@overload
def windows(
    images: Images,
    out: str | Path,
    *,
    size: Sizes = SIZE,
    stride: Sizes | None = None,
    split_by_region: bool = True,
    split: SplitConfig | None = None,
    n_phases: int | None = None,
    dims: int | None = None,
    array: str | None = None,
    shape: tuple[int, ...] | None = None,
    values: tuple[float, ...] | None = None,
    pixel_size: str | None = None,
    threshold: str | None = None,
    reader: str | None = None,
    progress: Progress = silent,
) -> Dataset: ...


def windows(
    images: Images,
    out: str | Path | None = None,
    *,
    size: Sizes = SIZE,
    stride: Sizes | None = None,
    split_by_region: bool = True,
    split: SplitConfig | None = None,
    n_phases: int | None = None,
    dims: int | None = None,
    array: str | None = None,
    shape: tuple[int, ...] | None = None,
    values: tuple[float, ...] | None = None,
    pixel_size: str | None = None,
    threshold: str | None = None,
    reader: str | None = None,
    progress: Progress = silent,
) -> Microstructures | Dataset:
    """Cuts large images into windows: the samples of a data set that one micrograph is enough for.

    Windows are not periodic, and each carries its place: the image, its corner, and the part of the split that its
    region belongs to. The split is by region: a contiguous block of each image is for training, two others for
    validation and for test, the same blocks in each image of one shape, so that no test window shares a pixel with a
    training one; windows that cross a boundary between blocks are left out. The same call gives the same windows.

    Example:
        >>> import numpy as np
        >>> stream = np.random.default_rng(0)
        >>> scan = stream.integers(0, 2, (256, 256))
        >>> cut = windows(scan, "windows", size=64)
        >>> {name: len(part) for name, part in cut.split().items()}
        {'train': 35, 'validation': 3, 'test': 3}
        >>> cut.load("test").places[0].corner
        (192, 128)

    Args:
        images: Paths of files or folders of any format that `read` knows, read image by image; or labels `(X, Y)`,
            `(n, X, Y)`, `(n, X, Y, Z)`, with `dims` 3 `(X, Y, Z)`; or a `Microstructures`.
        out: Folder of the data set; it is complete or absent, and what is there already is never replaced. None returns
            the windows in memory.
        size: Pixels along each axis of a window: one number, or one for each. Change it to what `representativeness`
            recommends: a window has to hold several of the features that properties depend on.
        stride: Pixels between the corners of neighbouring windows, likewise; None takes half the size. A smaller one
            gives more windows, which are more alike; one of `size` or more gives windows that do not overlap.
        split_by_region: Whether the split is by region. Without it the split is drawn at random, and training refuses
            windows that overlap.
        split: Shares of training, validation and test; None takes 0.8, 0.1 and 0.1.
        n_phases: Number of phases; None takes what a file states, else the largest label plus one.
        dims: 3 where three axes, or the pages of a TIFF file, are one volume and not a stack of images.
        array: Which array holds the images, where a file holds several.
        shape: Pixels along x, y (and z) of images that are stored as flat rows.
        values: The number that stands for each phase, in the order of the labels, such as `(0, 255)`.
        pixel_size: Edge of a pixel with its unit, `0.5um`, in the place of what a file states; or its edges.
        threshold: How grey levels of files become phases, dark ones first: `otsu`, `multi-otsu:3`, a grey level such as
            `128`, or several such as `80,160`.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.
        progress: Takes the number of windows after each few MiB.

    Raises:
        InputError: A file cannot be read; an image is smaller than a window, too small for the regions, or of one
            phase; images differ in axes, phases or pixel size; or other content is at `out`.
        StorageError: The data set cannot be written.
    """
    options = ReadOptions(
        n_phases=n_phases,
        dims=dims,
        array=array,
        shape=shape,
        values=values,
        pixel_size=pixel_size,
        threshold=threshold,
    )
    shares = split or SplitConfig()
    cutter = WindowCutter(size, stride, shares, split_by_region)
    if out is None:
        return Microstructures.concatenate(list(_cut(images, cutter, options, reader, progress)))
    cut_windows(images, out, cutter, options, reader, progress)
    return Dataset.open(out)


def cut_windows(
    images: Images,
    out: str | Path,
    cutter: WindowCutter,
    options: ReadOptions,
    reader: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Writes the windows that a cutter makes of images to a data set folder; arguments and errors as `windows`.

    Returns:
        `dataset`, the counts of `WindowCutter.summary`, `periodic`, and `unchanged` (the same was there already).
    """
    settings = {
        "made_by": "windows",
        "images": [name for name, _ in sources(images, options, reader)],
        "size": as_json(cutter.size),
        "stride": as_json(cutter.stride),
        "split_by_region": cutter.by_region,
    }
    writer = DatasetFolderWriter(settings, cutter.split, _SHARD_BYTES)
    final, unchanged = write_staged(writer, Path(out), _cut(images, cutter, options, reader, progress))
    return {"dataset": str(final), **cutter.summary(), "periodic": False, "unchanged": unchanged}


def _cut(
    images: Images, cutter: WindowCutter, options: ReadOptions, reader: str | None, progress: Progress
) -> Iterator[Microstructures]:
    for source, batches in sources(images, options, reader):
        for names, batch in named(source, batches):
            for part in cutter.cut(batch, names):
                yield part
                progress.count(sum(cutter.windows.values()), None, "windows cut")
    total = sum(cutter.windows.values())
    progress.count(total, total, "windows cut")
