"""Pictures of a campaign's designs for MLflow."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from microdesign.core.pixels import Pixel
from microdesign.microstructure.drawing import UNKNOWN, draw

GALLERY = 8
"""Most images of a round that are shown."""


def gallery_figure(rounds: Sequence[Sequence[np.ndarray]], titles: Sequence[str], pixel: Pixel = UNKNOWN) -> Figure:
    """The first images `(X, Y)` of each round, a row a round, with a scale bar where the unit of a pixel is known."""
    figure = Figure(figsize=(1.1 * GALLERY, 1.35 * max(1, len(rounds))), layout="constrained")
    grid = figure.subplots(max(1, len(rounds)), GALLERY, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, images, title in zip(grid, rounds, titles, strict=True):
        for axes, image in zip(row, images, strict=False):
            draw(axes, image, pixel=pixel)
        row[0].set_title(title, fontsize=8, loc="left")
    return figure


def candidates_figure(images: Sequence[np.ndarray], titles: Sequence[str], pixel: Pixel = UNKNOWN) -> Figure:
    """The candidates side by side, with a scale bar where the unit of a pixel is known."""
    figure = Figure(figsize=(2.4 * max(1, len(images)), 2.7), layout="constrained")
    grid = figure.subplots(1, max(1, len(images)), squeeze=False)[0]
    for axes, image, title in zip(grid, images, titles, strict=False):
        draw(axes, image, title=title, pixel=pixel)
    return figure
