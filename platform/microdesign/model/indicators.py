"""Phases as the networks see them: indicator channels in, logits out.

Shapes: B batch, P phases, `*N` two or three spatial axes, C channels. Two phases are one channel, C = 1, the
indicator of phase 1; more are one-hot, C = P. Logits have the same channels: a sigmoid or a softmax makes them
probabilities.
"""

import torch
from torch import Tensor


def channels(n_phases: int) -> int:
    """Returns the number of channels C that `n_phases` phases take."""
    return 1 if n_phases == 2 else n_phases


def indicators(labels: Tensor, n_phases: int) -> Tensor:
    """Maps integer phase labels `(B, *N)` to float32 indicators `(B, C, *N)`."""
    if n_phases == 2:
        return labels.unsqueeze(1).float()
    phases = torch.arange(n_phases, dtype=labels.dtype, device=labels.device)
    return (labels.unsqueeze(1) == phases.view(-1, *(1,) * (labels.ndim - 1))).float()


def probabilities(logits: Tensor) -> Tensor:
    """Maps logits `(B, C, *N)` to probabilities of the same shape: of phase 1 if C = 1, of each phase otherwise."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def all_phases(x: Tensor) -> Tensor:
    """Maps indicators or probabilities `(B, C, *N)` to those of every phase, `(B, P, *N)`, which sum to one."""
    return torch.cat((1 - x, x), dim=1) if x.shape[1] == 1 else x


def labels_of(x: Tensor) -> Tensor:
    """Maps hard indicators `(B, C, *N)` back to uint8 labels `(B, *N)`."""
    return (x[:, 0].round() if x.shape[1] == 1 else x.argmax(1)).to(torch.uint8)
