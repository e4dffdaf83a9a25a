"""Pixel losses: cross entropy and mean square error. Shapes as in the package: logits and target `(B, C, *N)`."""

from torch import Tensor
from torch.nn import functional as F

from microdesign.microstructure.data.indicators import probabilities


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross entropy per pixel in nats, `(B, C, *N) x 2 -> (B,)`: binary for C = 1, over the phases otherwise.

    Example:
        >>> import torch
        >>> bce(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # log 2
        tensor([0.6931])
    """
    logits, target = logits.float(), target.float()
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)
    return -(target * logits.log_softmax(1)).sum(1).flatten(1).mean(1)


def mse(logits: Tensor, target: Tensor) -> Tensor:
    """Mean square error of the probabilities per pixel, `(B, C, *N) x 2 -> (B,)`.

    More than two phases: half the sum over the phases, which for two is the square error of one.

    Example:
        >>> import torch
        >>> mse(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
        tensor([0.2500])
    """
    squares = (probabilities(logits.float()) - target.float()).square()
    return squares.flatten(1).mean(1) if logits.shape[1] == 1 else 0.5 * squares.sum(1).flatten(1).mean(1)
