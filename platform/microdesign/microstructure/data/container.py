"""The one image container: a batch of phase-label images with what is known about each sample."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from microdesign.core.errors import InputError
from microdesign.core.pixels import Pixel, shown_edges
from microdesign.core.properties import is_signed
from microdesign.core.units import length_unit, shown_unit
from microdesign.microstructure.data.places import Place
from microdesign.microstructure.data.sizes import with_unit

if TYPE_CHECKING:
    from torch import Tensor

MAX_PHASES = 256
_MOST_PICTURES = 8
_MOST_FRACTIONS = 6
_MOST_NAMES = 7
_PHYSICAL = ("pixel_size", "aspect", "length_unit")


@dataclass(frozen=True, kw_only=True, eq=False)
class Microstructures:
    """A batch of n microstructures of one shape.

    An index gives samples, again as a batch: `batch[3]`, `batch[:10]`, `batch[mask]`; a loop goes over the samples one
    by one. `numpy.asarray(batch)` is the labels.

    Example:
        >>> batch = Microstructures(labels=np.eye(4, dtype=np.uint8)[None], n_phases=2)
        >>> batch
        Microstructures(1 image of 4 x 4 pixels, 2 phases, volume fractions 0.75 and 0.25)
        >>> len(batch), batch.shape, batch[0].volume_fractions.tolist()
        (1, (4, 4), [[0.75, 0.25]])

    Attributes:
        labels: Phase labels, uint8, `(n, *shape)` with two or three spatial axes; axis 1 is x, axis 2 is y (then z).
            Any integer or bool array is accepted and stored as uint8.
        n_phases: Number of phases P; labels are 0 to P - 1. A phase may be absent from a sample.
        classes: Name of the class of each sample, n strings; empty strings when not given.
        generation: How each sample was made, n strings (JSON for generated ones); empty strings when not given.
        properties: Property name to values, float64 `(n,)`; NaN marks a value that is not known.
        places: Of samples that are windows of larger images, where each lies, n entries; None for other samples.
        periodic: Whether the images tile space without a seam.
        pixel_size: Edge length of a pixel along x, in `length_unit`; 1 where it is not known.
        aspect: Edge lengths along each axis over that along x, for pixels that are no squares (voxels that are no
            cubes); empty for those that are. `core.units.pixel_fields` makes these three of edge lengths.
        length_unit: Unit of the pixel size, such as `um` (also `micron`, `µm`); empty where it is not known, and
            lengths are then in pixels, or in the unit that a file leaves unnamed.

    Raises:
        InputError: The labels are no integers, lie outside the phases, or the lengths of the fields differ; or the
            pixel size is no length.
    """

    labels: NDArray[np.uint8]
    n_phases: int
    classes: tuple[str, ...] = ()
    generation: tuple[str, ...] = ()
    properties: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    places: tuple[Place | None, ...] = ()
    periodic: bool = True
    pixel_size: float = 1.0
    aspect: tuple[float, ...] = ()
    length_unit: str = ""

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        if labels.ndim not in (3, 4):
            raise InputError(
                f"labels has shape {labels.shape}; expected (n, X, Y) or (n, X, Y, Z), the first axis the sample."
            )
        if 0 in labels.shape[1:]:
            raise InputError(f"labels has shape {labels.shape}; expected at least one pixel along each axis.")
        if labels.dtype.kind not in ("b", "u", "i"):
            raise InputError(f"labels has dtype {labels.dtype}; expected integers.")
        if not 1 <= self.n_phases <= MAX_PHASES:
            raise InputError(f"n_phases = {self.n_phases} is not supported; expected 1 to {MAX_PHASES}.")
        if not self.pixel_size > 0:
            raise InputError(f"pixel_size = {self.pixel_size} is not valid; expected a positive length.")
        aspect = tuple(float(ratio) for ratio in self.aspect)
        if aspect and (len(aspect) != labels.ndim - 1 or aspect[0] != 1 or not min(aspect) > 0):
            raise InputError(
                f"aspect = {aspect} is not valid; expected {labels.ndim - 1} ratios above 0, the first 1, one an axis."
            )
        object.__setattr__(self, "aspect", () if set(aspect) == {1.0} else aspect)
        object.__setattr__(self, "length_unit", length_unit(self.length_unit))
        _check_range(labels, self.n_phases)
        n = len(labels)
        object.__setattr__(self, "labels", labels.astype(np.uint8, copy=False))
        for name in ("classes", "generation"):
            texts = tuple(getattr(self, name)) or ("",) * n
            if len(texts) != n:
                raise InputError(f"{name} has {len(texts)} entries; expected {n}, one per sample.")
            object.__setattr__(self, name, texts)
        places = tuple(self.places) or (None,) * n
        if len(places) != n:
            raise InputError(f"places has {len(places)} entries; expected {n}, one per sample.")
        object.__setattr__(self, "places", places)
        properties = {name: np.asarray(values, dtype=np.float64) for name, values in self.properties.items()}
        for name, values in properties.items():
            if values.shape != (n,):
                raise InputError(f"property '{name}' has shape {values.shape}; expected ({n},), one value per sample.")
        object.__setattr__(self, "properties", properties)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int | slice | ArrayLike) -> Self:
        if not isinstance(index, int | np.integer):
            return self.select(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} lies outside the batch; expected {-len(self)} to {len(self) - 1}.")
        return self.select(slice(int(index) % len(self), int(index) % len(self) + 1))

    def __iter__(self) -> Iterator[Self]:
        return (self[number] for number in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        labels = self.labels if dtype is None else self.labels.astype(dtype)
        return labels.copy() if copy and labels is self.labels else labels

    def __repr__(self) -> str:
        kind = "image" if len(self.shape) == 2 else "volume"
        parts = [
            f"{len(self)} {kind}{'' if len(self) == 1 else 's'} of {with_unit(self.shape)}",
            f"{self.n_phases} phase{'' if self.n_phases == 1 else 's'}",
        ]
        if len(self) >= 1 and self.n_phases <= _MOST_FRACTIONS:
            fractions = [f"{fraction:.3g}" for fraction in self.volume_fractions.mean(axis=0)]
            last = f" and {fractions[-1]}" if len(fractions) > 1 else ""
            noun = f"{'mean ' if len(self) > 1 else ''}volume fraction{'s' if last else ''}"
            parts.append(f"{noun} {', '.join(fractions[:-1] or fractions)}{last}")
        classes = list(dict.fromkeys(filter(None, self.classes)))
        parts += [f"classes {_listed(classes)}"] if classes else []
        parts += [f"properties {_listed(list(self.properties))}"] if self.properties else []
        parts += [] if self.periodic else ["not periodic"]
        if self.length_unit:
            edges = self.spacing if self.aspect else (self.pixel_size,)
            parts.append(f"pixels of {' x '.join(f'{edge:.4g}' for edge in edges)} {shown_unit(self.length_unit)}")
        return f"Microstructures({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """Pictures of the first samples, as a notebook shows them; of a volume the section at z = 0."""
        from microdesign.microstructure.drawing import html_picture

        shown = self.select(slice(0, _MOST_PICTURES))
        pictures = "".join(
            html_picture(labels, self.n_phases, title, pixel=Pixel.of(self.physical))
            for labels, title in zip(shown.labels, shown.classes, strict=True)
        )
        return f"<div>{html.escape(repr(self))}</div><div>{pictures}</div>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of pixels along each spatial axis, x first."""
        return self.labels.shape[1:]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Edge length of a pixel along each axis, in `length_unit`."""
        return tuple(self.pixel_size * ratio for ratio in self.aspect or (1.0,) * len(self.shape))

    @property
    def physical(self) -> dict[str, Any]:
        """The fields `pixel_size`, `aspect` and `length_unit`, to make other images of the same pixels with."""
        return {name: getattr(self, name) for name in _PHYSICAL}

    @property
    def volume_fractions(self) -> NDArray[np.float64]:
        """Share of the pixels of each sample that each phase has, float64 `(n, P)`; each row adds up to one."""
        flat = self.labels.reshape(len(self), math.prod(self.shape))
        counts = [np.count_nonzero(flat == phase, axis=1) for phase in range(self.n_phases)]
        return np.stack(counts, axis=1) / flat.shape[1]

    def select(self, indices: ArrayLike | slice) -> Self:
        """Returns the samples at `indices`: integers in any order, a boolean mask `(n,)`, or a slice (a view, no copy).

        Raises:
            InputError: An index lies outside the batch, or the indices are no integers.
        """
        if isinstance(indices, slice):
            where: NDArray[np.int64] | slice = indices
            positions: Sequence[int] = range(len(self))[indices]
        else:
            where = _as_positions(indices, len(self))
            positions = where.tolist()
        return type(self)(
            labels=self.labels[where],
            n_phases=self.n_phases,
            classes=tuple(self.classes[i] for i in positions),
            generation=tuple(self.generation[i] for i in positions),
            properties={name: values[where] for name, values in self.properties.items()},
            places=tuple(self.places[i] for i in positions),
            periodic=self.periodic,
            **self.physical,
        )

    def property_table(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Returns the named properties as columns `(n, len(names))`.

        Raises:
            InputError: There is no such property.
        """
        return property_table(self.properties, names, len(self))

    def with_known(self, names: Sequence[str]) -> Self:
        """Leaves out the samples of which a named property is not known, see `is_known`.

        Raises:
            InputError: There is no such property, or no sample is left.
        """
        known = is_known(self.property_table(names), names).all(1)
        if not known.any():
            raise InputError(f"No sample has finite values of {', '.join(names)}; label the data set again.")
        return self if known.all() else self.select(known)

    @classmethod
    def concatenate(cls, batches: Sequence["Microstructures"]) -> Self:
        """Returns the batches one after the other; they must agree in shape, phases, properties and pixel size.

        Raises:
            InputError: The list is empty or the batches do not agree.
        """
        if not batches:
            raise InputError("concatenate got no batches; expected at least one.")
        first = batches[0]
        for number, batch in enumerate(batches):
            for name in ("shape", "n_phases", "periodic", *_PHYSICAL):
                mine, other = getattr(first, name), getattr(batch, name)
                if mine != other:
                    raise InputError(f"batch {number} has {name} {other}; expected {mine}, as in batch 0.")
            if set(batch.properties) != set(first.properties):
                raise InputError(
                    f"batch {number} has properties {sorted(batch.properties)}; "
                    f"expected {sorted(first.properties)}, as in batch 0."
                )
        return cls(
            labels=np.concatenate([batch.labels for batch in batches]),
            n_phases=first.n_phases,
            classes=tuple(name for batch in batches for name in batch.classes),
            generation=tuple(text for batch in batches for text in batch.generation),
            properties={
                name: np.concatenate([batch.properties[name] for batch in batches]) for name in first.properties
            },
            places=tuple(place for batch in batches for place in batch.places),
            periodic=first.periodic,
            **first.physical,
        )

    def indicator(self) -> "Tensor":
        """Returns the phase indicators, float32 `(n, 1, *shape)` of phase 1 for two phases, else `(n, P, *shape)`."""
        # Reading and converting images needs no torch, which takes seconds to import.
        import torch

        from microdesign.microstructure.data.indicators import indicators

        return indicators(torch.from_numpy(np.ascontiguousarray(self.labels)), self.n_phases)


def check_squares(images: Microstructures, name: str | Path) -> None:
    """Refuses images whose pixels are no squares or cubes.

    Raises:
        InputError: They are not.
    """
    if images.aspect:
        raise InputError(f"{name}: has pixels of {shown_edges(images.spacing)}; expected squares or cubes.")


def is_known(table: NDArray, names: Sequence[str]) -> NDArray[np.bool_]:
    """Returns which values `(n, P)` of properties say something to a model, bool `(n, P)`.

    NaN does not: physics has no answer, or the property is not defined for the image. Nor does the 0 of a property that
    is positive, such as the modulus of a solid that does not hang together: models learn its logarithm.
    """
    signed = np.array([is_signed(name) for name in names], bool)
    return np.isfinite(table) & ((np.asarray(table) > 0) | signed)


def property_table(properties: Mapping[str, NDArray], names: Sequence[str], n: int) -> NDArray[np.float64]:
    """Returns the named columns of n samples as a table `(n, len(names))`.

    Raises:
        InputError: There is no such column.
    """
    missing = [name for name in names if name not in properties]
    if missing:
        listed = ", ".join(properties) or "none: label it first"
        raise InputError(f"The data set has no property '{missing[0]}'; it has {listed}.")
    return np.array([properties[name] for name in names], dtype=np.float64).reshape(len(names), n).T


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _check_range(labels: NDArray, n_phases: int) -> None:
    if labels.size == 0 or (int(labels.min()) >= 0 and int(labels.max()) < n_phases):
        return
    # Only a failing batch pays for the search of the place.
    bad = (labels < 0) | (labels >= n_phases)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
    raise InputError(
        f"labels[{', '.join(map(str, index))}] = {labels[index]}; expected 0 to {n_phases - 1} for {n_phases} phases."
    )


def _as_positions(indices: ArrayLike, n: int) -> NDArray[np.int64]:
    array = np.asarray(indices)
    if array.size == 0 and array.ndim == 1:
        return np.zeros(0, dtype=np.int64)
    if array.dtype == bool and array.shape == (n,):
        return np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "ui":
        raise InputError(f"indices have dtype {array.dtype}, shape {array.shape}; expected a list of integers.")
    outside = array[(array < -n) | (array >= n)]
    if outside.size:
        raise InputError(f"index {outside[0]} lies outside the batch; expected {-n} to {n - 1}.")
    return array.astype(np.int64) % max(n, 1)
