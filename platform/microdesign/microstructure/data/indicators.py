"""Phases as indicators: one channel a phase, hard (0 or 1) or soft (between them).

Shapes: B batch, P phases, `*N` two or three spatial axes at the end, C channels. Two phases are one channel, C = 1, the
indicator of phase 1; any other number of phases is one-hot, C = P. Logits have the same channels: a sigmoid or a
softmax makes them probabilities.
"""

import torch
from torch import Tensor

from microdesign.core.errors import InputError


def one_hot(labels: Tensor, n_phases: int) -> Tensor:
    """Maps integer phase labels `(B, *N)` to float32 indicators of every phase, `(B, P, *N)`, also for two phases.

    Example:
        >>> one_hot(torch.tensor([[0, 1, 1]]), n_phases=2)
        tensor([[[1., 0., 0.],
                 [0., 1., 1.]]])
    """
    phases = torch.arange(n_phases, dtype=labels.dtype, device=labels.device)
    return (labels.unsqueeze(1) == phases.view(-1, *(1,) * (labels.ndim - 1))).float()


def indicators(labels: Tensor, n_phases: int) -> Tensor:
    """Maps integer phase labels `(B, *N)` to float32 indicators `(B, C, *N)`.

    Example:
        >>> indicators(torch.tensor([[0, 1, 1]]), n_phases=2)
        tensor([[[0., 1., 1.]]])
    """
    return labels.unsqueeze(1).float() if n_phases == 2 else one_hot(labels, n_phases)


def probabilities(logits: Tensor) -> Tensor:
    """Maps logits `(B, C, *N)` to probabilities of the same shape: of phase 1 if C = 1, of each phase otherwise."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def all_phases(x: Tensor) -> Tensor:
    """Maps indicators or probabilities `(B, C, *N)` to those of every phase, `(B, P, *N)`, which sum to one."""
    return torch.cat((1 - x, x), dim=1) if x.shape[1] == 1 else x


def labels_of(x: Tensor) -> Tensor:
    """Maps hard indicators `(B, C, *N)` back to uint8 labels `(B, *N)`."""
    return (x[:, 0].round() if x.shape[1] == 1 else x.argmax(1)).to(torch.uint8)


def as_float(indicator: Tensor, dims: int) -> Tensor:
    """Returns the indicator `(..., *N)` in float64 if it is so already, else in float32.

    Raises:
        InputError: There are fewer than `dims` axes.
    """
    _refuse_few_axes(indicator, dims)
    return indicator if indicator.dtype == torch.float64 else indicator.float()


def as_bool(indicator: Tensor, dims: int) -> Tensor:
    """Returns a hard indicator `(..., *N)` as bool.

    Raises:
        InputError: There are fewer than `dims` axes, or values other than 0 and 1.
    """
    _refuse_few_axes(indicator, dims)
    as_bool = indicator.bool()
    if not torch.equal(as_bool.to(indicator.dtype), indicator):
        raise InputError("indicator holds values other than 0 and 1, which have no clear outline; binarize it first.")
    return as_bool


def refuse_unequal_grids(a: Tensor, b: Tensor, dims: int) -> None:
    """Refuses two indicators whose spatial shapes differ.

    Raises:
        InputError: They do.
    """
    if a.shape[-dims:] != b.shape[-dims:]:
        raise InputError(f"images have shapes {tuple(a.shape)} and {tuple(b.shape)}; expected equal spatial shapes.")


def _refuse_few_axes(indicator: Tensor, dims: int) -> None:
    if indicator.ndim < dims:
        raise InputError(f"indicator has shape {tuple(indicator.shape)}; expected {dims} spatial axes at its end.")
