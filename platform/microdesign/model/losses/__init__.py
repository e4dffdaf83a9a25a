"""Reconstruction losses by name, and weighted sums of them such as `mse+cess`.

A loss maps phase-1 logits and the target's indicator, both `(B, 1, X, Y)`, to one value per image, `(B,)`.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from microdesign.errors import InputError
from microdesign.model.losses.pixel import bce, mse
from microdesign.model.losses.two_point import cess

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {"bce": bce, "mse": mse, "cess": cess}


def parse_loss(expression: str, weights: Mapping[str, float] | None = None) -> dict[str, tuple[float, Loss]]:
    """Reads `mse+cess` into `{name: (weight, loss)}`; a name that `weights` leaves out has weight 1.

    Raises:
        InputError: A name is unknown, comes twice, or `weights` names a loss that the expression does not.
    """
    names = [name.strip() for name in expression.split("+")]
    weights = weights or {}
    for name in (*names, *weights):
        if name not in LOSSES:
            raise InputError(
                f"Unknown loss '{name}' in '{expression}'; expected one of {', '.join(LOSSES)}, joined by '+'."
            )
    if len(set(names)) < len(names):
        raise InputError(f"The loss '{expression}' names a term twice.")
    return {name: (weights.get(name, 1.0), LOSSES[name]) for name in names}
