"""From soft phase-1 probabilities to a two-phase image of the same volume fraction.

Cutting at 0.5 loses the volume fraction of a blurred decode, on which effective properties depend most. So the cut is
at the level that keeps it: the pixels of the largest probabilities, as many as the probabilities add up to.
"""

import torch
from torch import Tensor


def binarize(probabilities: Tensor) -> Tensor:
    """Cuts `(B, 1, X, Y)` probabilities of phase 1 into uint8 labels `(B, X, Y)`.

    Image b gets exactly round(sum of its probabilities) pixels of phase 1, at least one and at most all but one;
    ties go to the pixel that comes first.
    """
    flat = probabilities.flatten(1).double()
    pixels = flat.shape[1]
    counts = flat.sum(1).round().clamp(1, pixels - 1).long()
    order = flat.argsort(dim=1, descending=True, stable=True)
    ranks = torch.empty_like(order).scatter_(1, order, torch.arange(pixels, device=flat.device).expand_as(order))
    labels = ranks < counts[:, None]
    return labels.view(probabilities.shape[0], *probabilities.shape[2:]).to(torch.uint8)


def binarize_straight_through(probabilities: Tensor) -> Tensor:
    """`binarize` as float `(B, 1, X, Y)` for training: the gradient is that of the probabilities."""
    hard = binarize(probabilities.detach()).unsqueeze(1).to(probabilities.dtype)
    return hard.contiguous(memory_format=torch.channels_last) + probabilities - probabilities.detach()
