"""How losses depend on the spacing of two lines: in two-point space an error of one pixel costs as much as any other.

Cai et al. (see `scores.py`), Fig. 8: the cross entropy between images of two lines a pixel thick is the same for
spacings of 100 and 101 pixels as for 100 and 200. Two lines have correlations at three offsets, 0 and plus or minus
their distance; of lines at another distance only the first offset is the same.

Shapes: S spacings, X Y image.
"""

import numpy as np
import torch

from microdesign.experiments.reconstruction.config import LinesConfig
from microdesign.model.losses.reconstruction import build_losses

_LOGIT = 20.0
"""Logit of a pixel whose phase is certain."""


def lines(size: int, spacing: int) -> np.ndarray:
    """Two lines of phase 1, a pixel thick and `spacing` pixels apart, uint8 `(X, Y)`."""
    image = np.zeros((size, size), np.uint8)
    image[:, [0, spacing]] = 1
    return image


def losses_by_spacing(config: LinesConfig) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Each loss of lines at any spacing against those of `config.spacing`: spacings `(S,)`, values `(S,)` by name."""
    spacings = np.arange(1, config.size)
    target = torch.from_numpy(lines(config.size, config.spacing)).float()[None, None]
    losses = {name: build_losses(name)[name][1] for name in config.losses}
    values: dict[str, list[float]] = {name: [] for name in losses}
    for spacing in spacings:
        image = torch.from_numpy(lines(config.size, int(spacing))).float()[None, None]
        for name, loss in losses.items():
            values[name].append(float(loss(_LOGIT * (2 * image - 1), target)))
    return spacings, {name: np.array(each) for name, each in values.items()}
