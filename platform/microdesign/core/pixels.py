"""How large a pixel or voxel is, whose edges need not be equal, and whether two kinds of pixels have one shape."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from microdesign.core.errors import InputError


class Pixel(NamedTuple):
    """Size of a pixel or voxel.

    Attributes:
        edge: Edge length along x.
        unit: Its unit; empty where it is not known.
        aspect: Edge lengths along each axis over that along x; empty for squares and cubes.

    Example:
        >>> Pixel.of({"pixel_size": 0.5, "aspect": (1.0, 2.0), "length_unit": "um"})
        Pixel(edge=0.5, unit='um', aspect=(1.0, 2.0))
        >>> Pixel(0.5, "um", (1.0, 2.0)).text, Pixel(0.5, "um").shortest
        ('0.5,1 um', 0.5)
    """

    edge: float = 1.0
    unit: str = ""
    aspect: tuple[float, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Pixel":
        """From the fields of `pixel_fields`, as `Microstructures` and a model's description have them."""
        return cls(float(fields.get("pixel_size", 1.0)), fields.get("length_unit", ""), tuple(fields.get("aspect", ())))

    @property
    def edges(self) -> tuple[float, ...]:
        """Edge lengths along each axis, or the one of squares and cubes."""
        return tuple(self.edge * ratio for ratio in self.aspect or (1.0,))

    @property
    def shortest(self) -> float:
        """The shortest edge."""
        return min(self.edges)

    @property
    def proportions(self) -> "Pixel":
        """The same without a size: how the edges compare."""
        return Pixel(aspect=self.aspect)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of `pixel_fields`."""
        return {"pixel_size": self.edge, "aspect": self.aspect, "length_unit": self.unit}

    @property
    def text(self) -> str:
        """As options take it, see `read_pixel_size`."""
        return ",".join(f"{edge:.12g}" for edge in self.edges) + (f" {self.unit}" if self.unit else "")


def shown_edges(edges: Sequence[float]) -> str:
    """Edges of a pixel as messages name them.

    Example:
        >>> shown_edges((0.5, 1.0))
        '0.5 x 1'
    """
    return " x ".join(f"{edge:g}" for edge in edges)


def same_proportions(edges: Sequence[float], aspect: Sequence[float]) -> bool:
    """Whether pixels of these edges have these ratios of edges; neither, an empty one, are squares or cubes.

    Example:
        >>> same_proportions((0.5, 1.0), (1.0, 2.0)), same_proportions((0.5, 0.5), ()), same_proportions((0.5, 1), ())
        (True, True, False)
    """
    longest = max(len(edges), len(aspect))
    one, other = (each or (1.0,) * longest for each in (tuple(edges), tuple(aspect)))
    return len(one) == len(other) and all(
        math.isclose(a / one[0], b / other[0], rel_tol=1e-5) for a, b in zip(one, other, strict=True)
    )


def check_edges(edges: Sequence[float] | None, aspect: Sequence[float], name: str) -> None:
    """Refuses images of other pixels than a model's; what does not state its pixels is taken to have the model's.

    Args:
        edges: Of an image's pixel along each axis; None where it states none that differ.
        aspect: Ratios of the edges of the model's pixels; empty for squares and cubes.
        name: Of the image.

    Raises:
        InputError: The ratios are not the same.
    """
    if edges is not None and not same_proportions(edges, aspect):
        wanted = f"the proportions {shown_edges(aspect)}" if aspect else "squares or cubes"
        raise InputError(f"{name}: has pixels of {shown_edges(edges)}; expected {wanted}, of which the model is.")
