"""Cutting a stream of large images into windows, image by image."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.units import shown_unit
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.manifest import SPLITS, SplitConfig
from microdesign.microstructure.data.places import Place
from microdesign.microstructure.data.resampling import SMALLEST_SIZE, refuse_small
from microdesign.microstructure.data.sizes import Sizes, as_json, named, shape_of, simplest, with_unit
from microdesign.microstructure.windows.regions import Region, count_windows, cut, split_regions, window_corners

_BATCH_BYTES = 8 * 2**20


class WindowCutter:
    """Cuts images into windows and counts them; all images have to agree in axes, phases and pixel size.

    Attributes:
        size: Pixels along each axis of a window: one number, or one for each.
        stride: Pixels between the corners of neighbouring windows, likewise.
        images: Images that were cut.
        windows: Windows of each part of the split; without regions all count as ``.
        crossing: Windows that were left out because they cross a boundary between two regions.

    Raises:
        InputError: The size is below 4 or the stride below 1.
    """

    def __init__(self, size: Sizes, stride: Sizes | None, split: SplitConfig, by_region: bool) -> None:
        self.size = _simplest(size)
        refuse_small(min(_axes(self.size)))
        self.stride = _half(self.size) if stride is None else _simplest(stride)
        if min(_axes(self.stride)) < 1:
            raise InputError(f"stride = {named(self.stride)} is too small; expected at least 1 pixel.")
        self.split, self.by_region = split, by_region
        self.images = self.crossing = 0
        self.windows: Counter[str] = Counter()
        self.first: tuple[str, Microstructures] | None = None

    def cut(self, batch: Microstructures, names: Sequence[str]) -> Iterator[Microstructures]:
        """Yields the windows of images, a few MiB at a time, as images that are not periodic and carry their places.

        Properties are left out, for they are those of the whole images.

        Args:
            batch: The images, labels `(n, *N)`.
            names: What each is called in places and messages.

        Raises:
            InputError: An image is too small, of one phase, made of windows itself, or does not agree with the others.
        """
        bare = replace(batch, properties={}, generation=(), periodic=False)
        for name, image in zip(names, bare, strict=True):
            self._check(name, image)
            regions = self._regions(name, image.shape)
            kept = 0
            for region in regions:
                for part in self._parts(image, region):
                    places = tuple(self._place(name, corner, region) for corner in part)
                    kept += len(part)
                    self.windows[region.split if self.by_region else ""] += len(part)
                    yield Microstructures(
                        labels=cut(image.labels[0], part, self.size),
                        n_phases=image.n_phases,
                        classes=image.classes * len(part),
                        places=places,
                        periodic=False,
                        **image.physical,
                    )
            self.images += 1
            self.crossing += count_windows(image.shape, self.size, self.stride) - kept

    def summary(self) -> dict[str, Any]:
        """Returns the counts as JSON values."""
        parts: dict[str, int] = {name: self.windows[name] for name in SPLITS} if self.by_region else {}
        return {
            "images": self.images,
            "windows": sum(self.windows.values()),
            "size": as_json(self.size),
            "stride": as_json(self.stride),
            "phases": self.first[1].n_phases if self.first else 0,
            "pixel_size": _edges(self.first[1]) if self.first else "",
            "split": "by region" if self.by_region else "random",
            **parts,
            "left_out": self.crossing,
        }

    def _parts(self, image: Microstructures, region: Region) -> Iterator[list[tuple[int, ...]]]:
        most = max(1, _BATCH_BYTES // math.prod(shape_of(self.size, len(image.shape))))
        part: list[tuple[int, ...]] = []
        for corner in window_corners(region, self.size, self.stride):
            part.append(corner)
            if len(part) == most:
                yield part
                part = []
        if part:
            yield part

    def _place(self, name: str, corner: tuple[int, ...], region: Region) -> Place:
        extent = shape_of(self.size, len(corner))
        return Place(source=name, corner=corner, extent=extent, split=region.split if self.by_region else "")

    def _regions(self, name: str, shape: tuple[int, ...]) -> list[Region]:
        if not self.by_region:
            return [Region("train", (0,) * len(shape), shape)]
        found = split_regions(shape, self.size, self.stride, self.split.fractions)
        if found is not None:
            return found
        smaller = _smaller(self.size)
        fits = next((size for size in smaller if split_regions(shape, size, _half(size), self.split.fractions)), None)
        advice = f"a size of at most {named(fits)}, or " if fits is not None else ""
        raise InputError(
            f"{name}: {with_unit(shape)} are too few for regions of training, validation and test windows of size "
            f"{named(self.size)}; give {advice}no split by region and a stride of {named(self.size)}, without overlap."
        )

    def _check(self, name: str, image: Microstructures) -> None:
        if image.places[0] is not None:
            raise InputError(f"{name}: is a window of {image.places[0].source}; cut that image instead.")
        for what, value in (("size", self.size), ("stride", self.stride)):
            if not isinstance(value, int) and len(value) != len(image.shape):
                raise InputError(
                    f"{name}: has {len(image.shape)} axes; expected one number for {what}, or {len(image.shape)}, not "
                    f"{named(value)}."
                )
        size = shape_of(self.size, len(image.shape))
        if any(pixels < least for pixels, least in zip(image.shape, size, strict=True)):
            most = min(image.shape) if isinstance(self.size, int) else tuple(map(min, image.shape, size))
            raise InputError(
                f"{name}: has {with_unit(image.shape)}, fewer than size = {named(self.size)}; "
                f"expected a size of at most {named(most)}."
            )
        label = int(image.labels.flat[0])
        if (image.labels == label).all():
            raise InputError(f"{name}: holds one phase alone (label {label}); expected an image of two phases or more.")
        if self.first is None:
            # The labels are not kept: a view would hold the whole image.
            self.first = name, replace(image, labels=np.zeros((1, *(1,) * len(image.shape)), np.uint8))
            return
        other, first = self.first
        if len(image.shape) != len(first.shape):
            raise InputError(f"{name}: has {len(image.shape)} axes; expected {len(first.shape)}, as in {other}.")
        if image.n_phases != first.n_phases:
            raise InputError(
                f"{name}: has {image.n_phases} phases; expected {first.n_phases}, as in {other}; state the number of "
                "phases where a label is absent from an image."
            )
        if image.physical != first.physical:
            raise InputError(f"{name}: has pixels of {_edges(image)}; expected {_edges(first)}, as in {other}.")


def _axes(size: Sizes) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size)


def _simplest(size: Sizes) -> Sizes:
    return simplest(size) if isinstance(size, Sequence) else int(size)


def _half(size: Sizes) -> Sizes:
    half = tuple(max(1, n // 2) for n in _axes(size))
    return half[0] if isinstance(size, int) else half


def _smaller(size: Sizes) -> Iterator[Sizes]:
    """Smaller sizes of nearly the same proportions, the largest first."""
    axes = _axes(size)
    for least in range(min(axes) - 1, SMALLEST_SIZE - 1, -1):
        yield least if isinstance(size, int) else tuple(round(n * least / min(axes)) for n in axes)


def _edges(image: Microstructures) -> str:
    lengths = image.spacing if image.aspect else (image.pixel_size,)
    return f"{' x '.join(f'{length:g}' for length in lengths)} {shown_unit(image.length_unit)}".strip()
