"""Whether three axes are a stack of images or one volume, where nothing says it: asked, never guessed."""

from microdesign.microstructure.io.options import ImagesOrVolumesError

_LEAST = 16
"""Pixels along each axis from which an array may be a volume."""
_ALIKE = 1.5
"""Ratio of the longest to the shortest axis up to which an array may be a volume."""


def refuse_open_dimensions(
    axes: tuple[int, ...], dims: int | None, source: str, options: str = "--dims 2 or --dims 3"
) -> None:
    """Refuses three similar axes, which may be a stack of images or one volume, unless `dims` says which.

    Args:
        axes: Pixels along each axis.
        dims: 2 or 3; None where nobody has said it.
        source: What the message names.
        options: How it is said.

    Raises:
        ImagesOrVolumesError: They may be either.
    """
    if dims is None and len(axes) == 3 and min(axes) >= _LEAST and max(axes) <= _ALIKE * min(axes):
        n, *size = axes
        raise ImagesOrVolumesError(
            f"{source}: has shape {axes}: a stack of {n} images of {' x '.join(map(str, size))} pixels, or one volume; "
            f"say which by {options}."
        )
