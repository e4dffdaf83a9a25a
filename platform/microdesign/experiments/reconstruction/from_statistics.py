"""Images from their two-point statistics alone, by gradient descent on the pixels.

Cai et al. (see `scores.py`), Figs. 2 and 3: losses in two-point space, with and without the clamp that drives
pixels to one phase, on five discs at random places. Two-point statistics are invariant to shifts and point inversion,
so an image counts as found when one of its shifted or inverted copies matches.

Shapes: B images, X Y image.
"""

import numpy as np
import torch
from torch import Tensor

from microdesign.experiments.reconstruction.config import CirclesConfig
from microdesign.microstructure.data.indicators import probabilities
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.two_point import cross_correlation
from microdesign.model.binarization import binarize
from microdesign.model.losses.reconstruction import build_losses


def discs(config: CirclesConfig) -> np.ndarray:
    """The images, uint8 `(B, X, Y)`."""
    return generate("Circles", config.images, (config.size, config.size), seed=config.seed).labels


def descend(target: Tensor, expression: str, config: CirclesConfig) -> Tensor:
    """Images with the statistics of `target`, probabilities `(B, 1, X, Y)`, for indicators of the same shape.

    The variables are logits, so that pixels stay between 0 and 1; they start as noise around the volume fraction. The
    clamp comes in over the second half: from the start it would freeze the noise.

    Args:
        target: Indicators; only their statistics are used, if the losses use no more.
        expression: Sum of losses, such as `cess+clamp`.
        config: The descent.
    """
    losses = build_losses(expression, config.weights)
    stream = torch.Generator().manual_seed(config.seed)
    many = target.repeat_interleave(config.starts, 0)
    mean = many.mean((2, 3), keepdim=True)
    logits = (torch.logit(mean) + 0.5 * torch.randn(many.shape, generator=stream)).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=config.learning_rate)
    for step in range(config.steps):
        done = step / config.steps
        optimizer.param_groups[0]["lr"] = config.learning_rate * min(1.0, 4 * (1 - done))
        total = logits.new_zeros(len(many))
        for name, (weight, loss) in losses.items():
            weight = config.clamp * max(0.0, 2 * done - 1) if name == "clamp" else weight
            total = total + weight * loss(logits, many)
        optimizer.zero_grad()
        total.sum().backward()
        optimizer.step()
    best = total.detach().view(-1, config.starts).argmin(1)
    return probabilities(logits.detach()).unflatten(0, (-1, config.starts))[torch.arange(len(best)), best]


def aligned(image: Tensor, target: Tensor) -> Tensor:
    """The periodic shift of an image or of its point inversion that overlaps most with `target`, all `(X, Y)`."""
    best, copy = -1.0, image
    for candidate in (image, image.flip((0, 1))):
        overlap = cross_correlation(candidate.float(), target.float())
        where = np.unravel_index(int(overlap.argmax()), overlap.shape)
        if float(overlap[where]) > best:
            best, copy = float(overlap[where]), candidate.roll([int(step) for step in where], (0, 1))
    return copy


def recovered(soft: Tensor, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The binarised images aligned with their targets, uint8 `(B, X, Y)`, and the error of each, relative to the discs.

    The error is the area that is missing of the discs, or the area added to them if that is larger, over their area.

    Args:
        soft: Probabilities `(B, 1, X, Y)`.
        targets: uint8 `(B, X, Y)`.
    """
    pairs = zip(binarize(soft), torch.from_numpy(targets), strict=True)
    copies = np.stack([aligned(image, target).numpy() for image, target in pairs])
    missed, added = ((targets == phase) & (copies != phase) for phase in (1, 0))
    wrong = np.maximum(missed.sum((1, 2)), added.sum((1, 2)))
    return copies, wrong / (targets == 1).sum((1, 2))
