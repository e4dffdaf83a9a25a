"""Sizes of images in configs: one number of pixels for all axes, or one for each."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Sizes = int | tuple[int, ...]
"""Pixels along every axis, or along each."""


def pixels(least: int, most: int) -> Callable[[Any], Any]:
    """Returns the check of a config's size, to go before pydantic's own, which would answer once for each kind.

    Args:
        least: Fewest pixels along an axis.
        most: Most of them.

    Example:
        >>> pixels(4, 64)([64, 32])
        [64, 32]
    """

    def check(value: Any) -> Any:
        axes = value if isinstance(value, (list, tuple)) else [value]
        if not axes or not all(type(n) is int and least <= n <= most for n in axes):
            raise ValueError(f"expected {least} to {most} pixels, one number for all axes or one for each")
        return value

    return check


def shape_of(size: Sizes, dims: int) -> tuple[int, ...]:
    """Pixels along each of `dims` axes.

    Raises:
        ValueError: There are numbers for more axes, or for fewer.

    Example:
        >>> shape_of(64, 2), shape_of((64, 32), 2)
        ((64, 64), (64, 32))
    """
    shape = (size,) * dims if isinstance(size, int) else size
    if len(shape) != dims:
        raise ValueError(f"size {named(size)} has {len(shape)} axes; expected {dims}")
    return shape


def simplest(shape: Iterable[int]) -> Sizes:
    """One number where all axes have the same, as most configs say it, else one for each.

    Example:
        >>> simplest((64, 64)), simplest((64, 32))
        (64, (64, 32))
    """
    axes = tuple(shape)
    return axes[0] if len(set(axes)) == 1 else axes


def as_json(size: Sizes) -> int | list[int]:
    """A size as a JSON value."""
    return size if isinstance(size, int) else list(size)


def named(size: int | Sequence[int]) -> str:
    """A size as messages name it and options take it.

    Example:
        >>> named(64), named((64, 32))
        ('64', '64,32')
    """
    return str(size) if isinstance(size, int) else ",".join(map(str, size))


def with_unit(shape: Sequence[int]) -> str:
    """A shape as a message says it.

    Example:
        >>> with_unit((64, 32)), with_unit((8, 8, 8))
        ('64 x 32 pixels', '8 x 8 x 8 voxels')
    """
    return f"{' x '.join(map(str, shape))} {'pixels' if len(shape) == 2 else 'voxels'}"
