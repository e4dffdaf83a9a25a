"""How losses see the spacing of two lines: in two-point space a spacing off by one pixel is as wrong as any other.

Cai et al. (see `reconstruction`), Fig. 8: the cross entropy between images of two lines a pixel thick is the same for
spacings of 100 and 101 pixels as for 100 and 200. Two lines have correlations at three offsets, 0 and plus or minus
their distance, and those of another distance meet none but the first.

Shapes: S spacings, X Y image.
"""

from typing import Self

import numpy as np
import torch
from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.experiments.base.outcome import Table
from microdesign.model.losses.reconstruction import build_losses, split_names

SURE = 20.0
"""Size of the logits that stand for pixels which are all of one phase."""


class LinesConfig(Config):
    """Two lines, and what they are compared with."""

    size: int = Field(224, ge=16, description="pixels of the square images")
    spacing: int = Field(100, ge=2, description="pixels from one line to the other")
    named: tuple[int, ...] = Field((101, 200), description="other spacings that the table shows")
    losses: tuple[str, ...] = Field(("mse", "msess", "cess", "cess_crop"), min_length=1, description="what compares")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for spacing in (self.spacing, *self.named):
            if not 0 < spacing < self.size:
                raise ValueError(f"spacing {spacing} does not fit; expected 1 to {self.size - 1} pixels")
        for loss in self.losses:
            if len(split_names(loss)) > 1:
                raise ValueError(f"the loss '{loss}' is a sum; expected single losses")
        return self


def lines(size: int, spacing: int) -> np.ndarray:
    """Two lines of phase 1, a pixel thick and `spacing` pixels apart, uint8 `(X, Y)`."""
    image = np.zeros((size, size), np.uint8)
    image[:, [0, spacing]] = 1
    return image


def sensitivity(config: LinesConfig) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Each loss of lines at any spacing against those of `config.spacing`: spacings `(S,)`, values `(S,)` by name."""
    spacings = np.arange(1, config.size)
    target = torch.from_numpy(lines(config.size, config.spacing)).float()[None, None]
    losses = {name: build_losses(name)[name][1] for name in config.losses}
    values: dict[str, list[float]] = {name: [] for name in losses}
    for spacing in spacings:
        image = torch.from_numpy(lines(config.size, int(spacing))).float()[None, None]
        for name, loss in losses.items():
            values[name].append(float(loss(SURE * (2 * image - 1), target)))
    return spacings, {name: np.array(each) for name, each in values.items()}


def spacing_table(config: LinesConfig, spacings: np.ndarray, values: dict[str, np.ndarray]) -> Table:
    """The losses at the spacings that are named."""
    rows = [
        [int(spacing), *(float(each[spacings == spacing][0]) for each in values.values())]
        for spacing in (config.spacing, *config.named)
    ]
    return Table(("spacing", *values), rows)
