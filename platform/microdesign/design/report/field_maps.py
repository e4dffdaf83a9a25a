"""Maps of stress and flux in designs, of the verified solution: where a load goes through a microstructure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from microdesign.core.errors import EvaluationError, InputError, NotConvergedError
from microdesign.core.pixels import Pixel
from microdesign.microstructure.drawing import UNKNOWN, draw
from microdesign.physics.materials import Materials
from microdesign.physics.solver.fields import local_fields

LARGEST = 256
"""Pixels along each axis of the largest image whose fields are computed for a page."""
_QUANTILE = 99.0
"""Per cent of the pixels that the colours resolve: peaks at corners are sharper than any pixel."""


def field_maps(images: Sequence[np.ndarray], materials: Materials, pixel: Pixel = UNKNOWN) -> Figure | None:
    """A row for each image `(X, Y)`: the image, and for loads along x its stress and its flux, relative to their means.

    The stress is that in x under a mean strain in x alone, the flux the magnitude under a mean temperature gradient
    along x. With a scale bar where the unit of a pixel is known. None where there is no image, where images are larger
    than `LARGEST`, and for materials that the solver has no answer for.
    """
    if not images or max(images[0].shape) > LARGEST:
        return None
    try:
        rows = [_maps(image, materials, pixel.aspect) for image in images]
    except (InputError, EvaluationError, NotConvergedError):
        return None
    names = list(rows[0])
    if not names:
        return None
    figure = Figure(figsize=(2.2 + 2.6 * len(names), 2.3 * len(images)), layout="constrained")
    grid = figure.subplots(len(images), 1 + len(names), squeeze=False)
    for column, name in enumerate(names, start=1):
        top = max(float(np.percentile(row[name], _QUANTILE)) for row in rows)
        for axes, row in zip(grid[:, column], rows, strict=True):
            shown = axes.imshow(np.flipud(row[name].T), cmap="viridis", vmin=0, vmax=top, interpolation="nearest")
            axes.set_aspect(pixel.aspect[1] if pixel.aspect else 1.0)
            axes.set_axis_off()
        grid[0, column].set_title(name, fontsize=9)
        figure.colorbar(shown, ax=grid[:, column].tolist(), shrink=0.8)
    for number, (axes, image) in enumerate(zip(grid[:, 0], images, strict=True), start=1):
        draw(axes, image, title=f"candidate {number}", pixel=pixel)
    return figure


def _maps(image: np.ndarray, materials: Materials, aspect: Sequence[float]) -> dict[str, np.ndarray]:
    """Maps `(X, Y)` by title, each with a mean of 1."""
    found, spacing = {}, aspect or None
    if materials.has_stiffness:
        stress = local_fields(image, materials, strain=(1.0, 0.0, 0.0), spacing=spacing, tolerance=1e-4).stress
        assert stress is not None
        found["stress along x / mean"] = stress[0] / stress[0].mean()
    if materials.has_conductivity:
        flux = local_fields(image, materials, gradient=(1.0, 0.0), spacing=spacing, tolerance=1e-4).flux
        assert flux is not None
        size = np.linalg.norm(flux, axis=0)
        found["flux / mean"] = size / size.mean()
    return found
