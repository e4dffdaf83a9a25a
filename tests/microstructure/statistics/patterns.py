"""Images whose statistics are known in closed form."""

import torch
from torch import Tensor


def stripes(width: int, period: int, size: int) -> Tensor:
    """Layers across x: phase 1 for the first `width` of each `period` pixels."""
    return ((torch.arange(size) % period < width).double()[:, None]).expand(size, size)


def board(cell: int, size: int) -> Tensor:
    """A chessboard of square cells."""
    x, y = torch.meshgrid(torch.arange(size) // cell, torch.arange(size) // cell, indexing="ij")
    return ((x + y) % 2).double()
