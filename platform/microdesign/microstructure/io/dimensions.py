"""Whether an array of three axes is a stack of images or one volume, where nothing says it."""

from pathlib import Path

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.npy import NpyReader, open_npy

_LEAST = 16
"""Pixels along each axis from which an array may be a volume."""
_ALIKE = 1.5
"""Ratio of the longest to the shortest axis up to which an array may be a volume."""


def refuse_open_dimensions(path: str | Path, dims: int | None) -> None:
    """Refuses a `.npy` file of three similar axes, which may be a stack of images or one volume, unless `dims` says.

    Raises:
        InputError: It is one.
    """
    if dims is not None or not NpyReader().accepts(Path(path)) or not Path(path).is_file():
        return
    array = open_npy(path)
    axes = array.shape
    if len(axes) == 3 and min(axes) >= _LEAST and max(axes) <= _ALIKE * min(axes):
        n, *size = axes
        raise InputError(
            f"{path}: has shape {axes}: a stack of {n} images of {' x '.join(map(str, size))} pixels, or one volume; "
            "say which by --dims 2 or --dims 3."
        )
