"""Where a sample that is a window of a larger image lies in it, and whether windows of two parts of a split overlap."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.manifest import SplitName

HELD_OUT: tuple[SplitName, ...] = ("validation", "test")


class PlaceRecord(TypedDict):
    """A place as a data set stores it."""

    source: str
    corner: list[int]
    extent: list[int]
    split: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """The window of an image that a sample is.

    Attributes:
        source: The image: its file, with `[number]` where the file holds several.
        corner: First pixel of the window along each axis of the image, x first.
        extent: Pixels of the image that the window takes along each axis; they stay when the sample is resized.
        split: The part of the split that the window belongs to, `train`, `validation` or `test`; empty where the split
            is drawn at random.
    """

    source: str
    corner: tuple[int, ...]
    extent: tuple[int, ...]
    split: str = ""

    def record(self) -> PlaceRecord:
        """Returns the place as a data set stores it."""
        return {
            "source": self.source,
            "corner": list(self.corner),
            "extent": list(self.extent),
            "split": self.split,
        }

    @classmethod
    def from_record(cls, record: PlaceRecord) -> "Place":
        """Returns the place of a record."""
        return cls(
            source=str(record["source"]),
            corner=tuple(int(pixel) for pixel in record["corner"]),
            extent=tuple(int(pixels) for pixels in record["extent"]),
            split=str(record["split"]),
        )


def places_as_texts(places: Iterable[Place | None]) -> list[str]:
    """Returns places as JSON, one text a sample, empty for those that are no windows; see `places_of_texts`."""
    return ["" if place is None else json.dumps(place.record(), sort_keys=True) for place in places]


def places_of_texts(texts: Iterable[str], source: str) -> tuple[Place | None, ...]:
    """Returns the places of texts.

    Args:
        texts: As `places_as_texts` makes them.
        source: What the message names.

    Raises:
        InputError: A text is no place.
    """
    try:
        return tuple(Place.from_record(json.loads(text)) if text else None for text in texts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{source}: holds a text that is no place of a window ({error}).") from None


class Overlap(TypedDict):
    """How many held-out windows overlap training windows, and one of them."""

    windows: int
    of: int
    example: Place


def overlap(places: Sequence[Place | None], split: Mapping[SplitName, NDArray[np.int64]]) -> Overlap | None:
    """Finds the validation and test windows that share a pixel with a training window; None where there is none.

    Args:
        places: Of all samples; None is no window.
        split: Sample indices by the name of the part.
    """
    training: dict[str, list[Place]] = {}
    for place in (places[i] for i in split["train"]):
        if place is not None:
            training.setdefault(place.source, []).append(place)
    arrays = {source: _boxes(found) for source, found in training.items()}
    held_out = [place for name in HELD_OUT for i in split[name] if (place := places[i]) is not None]
    found = [place for place in held_out if place.source in arrays and _meets(place, *arrays[place.source])]
    return {"windows": len(found), "of": len(held_out), "example": found[0]} if found else None


def _boxes(places: Sequence[Place]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    low = np.array([place.corner for place in places])
    return low, low + np.array([place.extent for place in places])


def _meets(place: Place, low: NDArray[np.int64], high: NDArray[np.int64]) -> bool:
    mine = np.array(place.corner)
    return bool(((low < mine + np.array(place.extent)) & (mine < high)).all(axis=1).any())
