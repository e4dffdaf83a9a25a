"""Pixel losses: binary cross entropy and mean square error."""

from torch import Tensor
from torch.nn import functional as F


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross entropy per pixel in nats, `(B, 1, X, Y), (B, 1, X, Y) -> (B,)`."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)


def mse(logits: Tensor, target: Tensor) -> Tensor:
    """Mean square error of the phase-1 probability per pixel, `(B, 1, X, Y), (B, 1, X, Y) -> (B,)`."""
    return (logits.sigmoid() - target).square().flatten(1).mean(1)
