"""From soft phase probabilities to an image of hard phases with the same volume fractions.

A threshold of 0.5, or the most probable phase, loses the volume fractions of a blurred decode, on which effective
properties depend most. So the thresholds are those that preserve them. Two phases: phase 1 gets the pixels of its
largest probabilities, as many as the probabilities add up to. More phases: the same, one phase after the other from the
rarest to the most frequent, each among the pixels that are left, by its share of the probability of the phases left.

Shapes: B batch, C channels as in `microstructure.data.indicators`, P phases, `*N` image axes, S pixels.
"""

import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import all_phases, probabilities

NEWTON_STEPS = 8
"""Of the search for shifts of logits; most images need three or four."""
LEAST_SLOPE = 0.02
"""Bound of the slope for the gradient: in a nearly hard image a small change of its fraction moves all logits far."""
LARGEST_STEP = 4.0
"""Logits that one of them moves at most: far from the solution hard phases have no slope to follow."""


def binarize(probabilities: Tensor) -> Tensor:
    """Maps probabilities `(B, C, *N)` to uint8 phase labels `(B, *N)`.

    Each phase of an image gets as many pixels as its probabilities add up to, to rounding: whole parts, then one more
    each for the largest fractions, so that the counts add up. Of two phases each gets at least one pixel; ties go to
    the pixel that comes first.

    Example:
        >>> binarize(torch.tensor([[[[0.9, 0.2], [0.6, 0.4]]]]))
        tensor([[[1, 0],
                 [1, 0]]], dtype=torch.uint8)
    """
    flat = probabilities.flatten(2).double()
    labels = _binarize_two(flat[:, 0]) if flat.shape[1] == 1 else _binarize_many(flat)
    return labels.view(len(probabilities), *probabilities.shape[2:])


def binarize_straight_through(probabilities: Tensor) -> Tensor:
    """`binarize` as indicators `(B, C, *N)` for training: the gradient is that of the probabilities."""
    channels = probabilities.shape[1]
    # Two phases are one channel, that of phase 1; as two channels, or more, each phase has its own.
    phases = torch.arange(channels, device=probabilities.device) if channels > 1 else probabilities.new_ones(1)
    labels = binarize(probabilities.detach()).unsqueeze(1)
    hard = (labels == phases.view(-1, *(1,) * (probabilities.ndim - 2))).to(probabilities.dtype)
    return hard + probabilities - probabilities.detach()


def with_fractions(probabilities: Tensor, fractions: Tensor) -> Tensor:
    """Changes probabilities `(B, C, *N)` so that their means are the volume fractions `(B, C)`.

    Where a phase has more than its fraction, every pixel gives the same share of it to the phases that have less, by
    what each lacks. Of two phases the order of the pixels stays.

    Example:
        >>> with_fractions(torch.tensor([[[[0.9, 0.1], [0.8, 0.2]]]]), torch.tensor([[0.75]]))
        tensor([[[[0.9500, 0.5500],
                  [0.9000, 0.6000]]]])
    """
    p, wanted = all_phases(probabilities.flatten(2)), all_phases(fractions)
    found = p.mean(2)
    surplus, lacking = (found - wanted).clamp_min(0), (wanted - found).clamp_min(0)
    given = p * (surplus / found.clamp_min(1e-30))[..., None]
    to = lacking / lacking.sum(1, keepdim=True).clamp_min(1e-30)
    p = p - given + to[..., None] * given.sum(1, keepdim=True)
    return p[:, -probabilities.shape[1] :].view_as(probabilities)


def shifted_to_fractions(logits: Tensor, fractions: Tensor) -> Tensor:
    """Shifts the logits `(B, C, *N)` of each channel so that their probabilities have the volume fractions `(B, C)`.

    The gradient is that of the solution, to the logits and to the fractions: d shift = (d fraction - mean of
    d probability) / slope. Two phases: Newton's method. More phases: half a Newton step of each phase alone at a time,
    which comes near.

    Example:
        >>> logits = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]]])
        >>> round(shifted_to_fractions(logits, torch.tensor([[0.25]])).sigmoid().mean().item(), 4)
        0.25
    """
    spatial = (...,) + (None,) * (logits.ndim - 2)
    damping = 1.0 if logits.shape[1] == 1 else 0.5

    def step(shifts: Tensor, least: float) -> Tensor:
        p = probabilities(logits + shifts[spatial]).flatten(2)
        slope = (p * (1 - p)).mean(2).detach().clamp_min(least)
        return (damping * (fractions - p.mean(2)) / slope).clamp(-LARGEST_STEP, LARGEST_STEP)

    with torch.no_grad():
        shifts = torch.zeros_like(fractions)
        for _ in range(NEWTON_STEPS):
            shifts += step(shifts, 1e-6)
    return logits + (shifts + step(shifts, LEAST_SLOPE))[spatial]


def _binarize_two(scores: Tensor) -> Tensor:
    """Labels of two phases from probabilities of phase 1, `(B, S) -> (B, S)`."""
    counts = scores.sum(1).round().clamp(1, scores.shape[1] - 1).long()
    return _largest(scores, counts).to(torch.uint8)


def _binarize_many(flat: Tensor) -> Tensor:
    """Labels from probabilities of every phase, `(B, P, S) -> (B, S)`."""
    counts = _counts(flat)
    order = counts.argsort(dim=1, stable=True)
    # What no earlier phase takes is the most frequent one's.
    labels = order[:, -1:].expand(-1, flat.shape[2]).clone()
    free = torch.ones_like(labels, dtype=torch.bool)
    rest = flat.sum(1)
    for rank in range(flat.shape[1] - 1):
        phase = order[:, rank : rank + 1]
        own = flat.gather(1, phase[..., None].expand(-1, -1, flat.shape[2])).squeeze(1)
        share = torch.where(free, own / rest.clamp_min(1e-300), -1.0)
        taken = _largest(share, counts.gather(1, phase).squeeze(1))
        labels = torch.where(taken, phase, labels)
        free &= ~taken
        rest = rest - own
    return labels.to(torch.uint8)


def _counts(flat: Tensor) -> Tensor:
    """Pixels of each phase by largest remainders, `(B, P, S) -> (B, P)`; they add up to S."""
    sums = flat.sum(2) * (flat.shape[2] / flat.sum((1, 2)).clamp_min(1e-300))[:, None]
    counts = sums.floor()
    left = (flat.shape[2] - counts.sum(1)).long()
    return counts.long() + _largest(sums - counts, left)


def _largest(scores: Tensor, counts: Tensor) -> Tensor:
    """Which `counts` `(B,)` scores of each row `(B, S)` are largest, bool; of equal ones the first."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    ranks = torch.empty_like(order).scatter_(
        1, order, torch.arange(scores.shape[1], device=scores.device).expand_as(order)
    )
    return ranks < counts[:, None]
