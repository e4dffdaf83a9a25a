"""From a file's raw numbers to batches of phase labels: the part that is common to all formats."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import MAX_PHASES, Microstructures
from microdesign.microstructure.data.label_arrays import as_labels
from microdesign.microstructure.data.places import Place
from microdesign.microstructure.io.dimensions import refuse_open_dimensions
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.thresholds import segment

MOST_LEVELS = 16
"""A picture with labels from here on is taken for grey levels, unless the number of phases is stated."""
_PART = 4 * 2**20
_BLACK_AND_WHITE = (0.0, 255.0)


@dataclass(frozen=True, kw_only=True)
class RawImages:
    """The images of one source as it stores them, read from the start as often as needed.

    Attributes:
        chunks: Returns an iterator over arrays `(m, *shape)` of numbers, x first; called once or twice.
        source: What messages name.
        n_phases: Number of phases when the source states it.
        picture: Whether the source is a picture, whose numbers may be grey levels.
        black: The number that stands for black in a picture where 0 is white (min-is-white); None where 0 is black.
        counts_from_one: Whether ids start at 1 and 0 means unknown (DREAM.3D): without any 0 the label is the id - 1.
        classes: Class of each sample; empty when not known.
        generation: How each sample was made; empty when not known.
        properties: Property values `(n,)`.
        places: Of windows, where each lies; empty when not known.
        periodic: Whether the images are periodic.
        pixel_size: Edge length of a pixel along x.
        aspect: Edge lengths along each axis over that along x; empty for squares and cubes.
        length_unit: Unit of the pixel size as the file names it; empty where it is not known.
    """

    chunks: Callable[[], Iterator[NDArray]]
    source: str
    n_phases: int | None = None
    picture: bool = False
    black: int | None = None
    counts_from_one: bool = False
    classes: tuple[str, ...] = ()
    generation: tuple[str, ...] = ()
    properties: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    places: tuple[Place | None, ...] = ()
    periodic: bool = True
    pixel_size: float = 1.0
    aspect: tuple[float, ...] = ()
    length_unit: str = ""


def batches(raw: RawImages, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
    """Yields the images as they come; where the number of phases is not stated, the source is read twice.

    Raises:
        InputError: A number is no label or lies outside the phases, or a picture holds grey levels.
    """
    if options.threshold is not None:
        yield from _segmented(raw, options.threshold, options)
        return
    values, shift = options.values, 0
    n_phases = options.n_phases or (len(values) if values is not None else raw.n_phases)
    maybe_black_and_white = raw.picture and options.n_phases == 2
    if values is None and (n_phases is None or raw.counts_from_one or maybe_black_and_white or raw.black is not None):
        present = _present(raw)
        if raw.black is not None:
            values, n_phases = _white_is_zero(raw, present), 2
        elif raw.picture and present.tolist() in ([0, 255], [255]):
            values, n_phases = _BLACK_AND_WHITE, 2
        elif raw.picture and n_phases is None and present[-1] >= MOST_LEVELS:
            raise InputError(
                f"{raw.source}: holds {len(present)} different grey levels up to {present[-1]}; threshold it first "
                "(--threshold otsu, a grey level, or multi-otsu:3), or state the grey level of each phase (--values) "
                "or the number of phases (--phases)."
            )
        shift = int(raw.counts_from_one and present[0] > 0)
        n_phases = n_phases or int(present[-1]) + 1 - shift
    assert n_phases is not None

    def labels(array: NDArray, start: int) -> NDArray[np.uint8]:
        # A copy of what may be a mapped file, so that the batch does not hang on it.
        return np.array(_labels(array, _where(raw, start), values), order="C") - np.uint8(shift)

    yield from _batches(raw, n_phases, labels)


def _batches(
    raw: RawImages, n_phases: int, labels: Callable[[NDArray, int], NDArray[np.uint8]]
) -> Iterator[Microstructures]:
    start = 0
    for array in raw.chunks():
        rows = slice(start, start + len(array))
        found = labels(array, start)
        try:
            yield Microstructures(
                labels=found,
                n_phases=n_phases,
                classes=raw.classes[rows],
                generation=raw.generation[rows],
                properties={name: column[rows] for name, column in raw.properties.items()},
                places=raw.places[rows],
                periodic=raw.periodic,
                pixel_size=raw.pixel_size,
                aspect=raw.aspect,
                length_unit=raw.length_unit,
            )
        except InputError as error:
            raise InputError(f"{raw.source}: from image {start} on, {error}") from None
        start = rows.stop


def _segmented(raw: RawImages, threshold: str, options: ReadOptions) -> Iterator[Microstructures]:
    """The images of grey levels by their thresholds; a grey image comes off an instrument and is not periodic."""

    def grey() -> Iterator[NDArray]:
        # Where 0 is white, levels are turned round, so that phases count from dark to bright.
        return raw.chunks() if raw.black is None else (raw.black - chunk for chunk in raw.chunks())

    found = segment(threshold, grey, raw.source)
    scan = replace(raw, chunks=grey, periodic=False)

    def labels(array: NDArray, start: int) -> NDArray[np.uint8]:
        if start == 0 and options.on_segmented is not None:
            options.on_segmented(raw.source, array[0], found)
        return np.ascontiguousarray(found.labels(array))

    yield from _batches(scan, found.n_phases, labels)


def _white_is_zero(raw: RawImages, present: NDArray[np.int64]) -> tuple[float, ...]:
    """The values of black and of white, where the source says that 0 is white."""
    assert raw.black is not None
    if not set(present.tolist()) <= {0, raw.black}:
        held = ",".join(map(str, present[:8]))
        raise InputError(
            f"{raw.source}: holds {held} and says that 0 is white (min-is-white): labels, or greys turned round; say "
            f"which number stands for which phase, as with --values {held}."
        )
    return float(raw.black), 0.0


def split_axes(
    shape: tuple[int, ...], dims: int | None, source: str, stack: bool = False
) -> tuple[int, tuple[int, ...]]:
    """Returns the number of images and their shape in an array of shape `(X, Y)`, `(n, X, Y)` or `(n, X, Y, Z)`.

    A last axis of length one, or one behind the samples of `(n, 1, X, Y)`, is a channel and no axis of the image.

    Args:
        shape: Shape of the array.
        dims: 3 makes three axes one volume `(X, Y, Z)`, 2 a stack of images; None a stack, unless they are similar.
        source: What the message names.
        stack: Whether the source says that the first of three axes counts images.

    Raises:
        ImagesOrVolumesError: Three similar axes may be either.
        InputError: The shape is none of these, does not fit `dims`, has two readings, or is without pixels.
    """
    axes = _without_channel(shape, dims, source)
    if len(axes) not in ((3, 4) if dims == 3 else (2, 3) if dims == 2 else (2, 3, 4)):
        expected = {
            2: "one image (X, Y) or a stack (n, X, Y)",
            3: "one volume (X, Y, Z) or volumes (n, X, Y, Z)",
            None: "one image (X, Y), a stack (n, X, Y), or volumes (n, X, Y, Z)",
        }[dims]
        raise InputError(f"{source}: has shape {shape}; expected {expected}.")
    if 0 in shape:
        raise InputError(f"{source}: has shape {shape}, without pixels; expected at least one image.")
    if not stack:
        refuse_open_dimensions(axes, dims, source)
    if len(axes) == (3 if dims == 3 else 2):
        return 1, axes
    return axes[0], axes[1:]


def _without_channel(shape: tuple[int, ...], dims: int | None, source: str) -> tuple[int, ...]:
    last, second = shape[-1:] == (1,), len(shape) >= 4 and shape[1] == 1
    if len(shape) < 3 or not (last or second) or (dims == 3 and len(shape) == 3):
        return shape
    if dims == 3 and len(shape) == 4:
        raise InputError(
            f"{source}: has shape {shape}: volumes one voxel thick, or one volume with a channel; "
            f"store it as (X, Y, Z) or leave out --dims."
        )
    return shape[:-1] if last else (shape[0], *shape[2:])


def gathered(images: Iterator[NDArray], length: int) -> Iterator[NDArray]:
    """Yields single images as stacks `(m, *shape)` of up to `length`."""
    collected: list[NDArray] = []
    for image in images:
        collected.append(image)
        if len(collected) == length:
            yield np.stack(collected)
            collected = []
    if collected:
        yield np.stack(collected)


def _present(raw: RawImages) -> NDArray[np.int64]:
    seen = np.zeros(MAX_PHASES, dtype=bool)
    start = 0
    for array in raw.chunks():
        labels = _labels(array, _where(raw, start), None)
        # Part by part: counting casts to eight bytes a pixel.
        flat = labels.ravel(order="K")
        for first in range(0, flat.size, _PART):
            seen |= np.bincount(flat[first : first + _PART], minlength=MAX_PHASES) > 0
        start += len(array)
    if start == 0:
        raise InputError(f"{raw.source}: holds no images; expected at least one.")
    return np.flatnonzero(seen)


def _labels(array: NDArray, source: str, values: tuple[float, ...] | None) -> NDArray[np.uint8]:
    if values is None:
        return as_labels(array, source)
    labels = np.zeros(array.shape, dtype=np.uint8)
    known = np.zeros(array.shape, dtype=bool)
    for label, value in enumerate(values):
        same = array == value
        labels[same] = label
        known |= same
    if not known.all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(known)), known.shape))
        expected = ", ".join(f"{value:g}" for value in values)
        raise InputError(f"{source}: holds {array[index]} at index {list(index)}; expected one of --values {expected}.")
    return labels


def _where(raw: RawImages, start: int) -> str:
    return raw.source if start == 0 else f"{raw.source} from image {start} on"
