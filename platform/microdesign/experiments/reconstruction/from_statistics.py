"""Images from their two-point statistics alone, by gradient descent on the pixels.

Cai et al. (see `reconstruction`), Figs. 2 and 3: losses in two-point space, with and without the clamp that drives
pixels to one phase, on five discs at random places. Statistics do not tell a shift or a point inversion, so an image
counts as found when one of its shifted or inverted copies is.

Shapes: B images, X Y image.
"""

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from microdesign.core.config import Config
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.two_point import cross_correlation
from microdesign.model.binarization import binarize
from microdesign.model.indicators import probabilities
from microdesign.model.losses.reconstruction import build_losses, split_names


class CirclesConfig(Config):
    """The discs, and the descent."""

    size: int = Field(64, ge=16, description="pixels of the square images; a disc's radius is 20 of 224, in proportion")
    images: int = Field(4, ge=1, description="images of five discs")
    losses: tuple[str, ...] = Field(
        ("msess", "cess", "msess+clamp", "cess+clamp"), min_length=1, description="sums of losses, each on its own"
    )
    weights: Mapping[str, float] = Field({"msess": 100.0}, description="weight of a loss where it is not 1")
    clamp: float = Field(0.05, ge=0, description="weight that the clamp rises to over the second half of the descent")
    steps: int = Field(1500, ge=1, description="steps of Adam")
    learning_rate: float = Field(0.1, gt=0, description="of the logits of the pixels")
    starts: int = Field(4, ge=1, description="random starts of an image; the one of the lowest loss counts")
    seed: int = Field(0, ge=0, description="seed of the discs and of the starts")

    @field_validator("losses")
    @classmethod
    def _check(cls, losses: tuple[str, ...]) -> tuple[str, ...]:
        for loss in losses:
            split_names(loss)
        return losses


def discs(config: CirclesConfig) -> np.ndarray:
    """The images, uint8 `(B, X, Y)`."""
    return generate("Circles", 0, config.images, config.size, config.seed).labels


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
        course = step / config.steps
        optimizer.param_groups[0]["lr"] = config.learning_rate * min(1.0, 4 * (1 - course))
        total = logits.new_zeros(len(many))
        for name, (weight, loss) in losses.items():
            weight = config.clamp * max(0.0, 2 * course - 1) if name == "clamp" else weight
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
    """The binarised images laid over their targets, uint8 `(B, X, Y)`, and how far off each is, in discs.

    That is what it misses of them, or what it has beside them if that is more.

    Args:
        soft: Probabilities `(B, 1, X, Y)`.
        targets: uint8 `(B, X, Y)`.
    """
    pairs = zip(binarize(soft), torch.from_numpy(targets), strict=True)
    copies = np.stack([aligned(image, target).numpy() for image, target in pairs])
    missed, added = ((targets == phase) & (copies != phase) for phase in (1, 0))
    wrong = np.maximum(missed.sum((1, 2)), added.sum((1, 2)))
    return copies, wrong / (targets == 1).sum((1, 2))
