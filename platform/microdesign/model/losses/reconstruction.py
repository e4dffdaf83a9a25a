"""Reconstruction losses by name, and weighted sums of them such as `mse+cess`; a user's own as `module:name`.

A loss maps logits and the target's indicators, both `(B, C, *N)` with two or three spatial axes and the channels of
`microdesign.microstructure.data.indicators`, to one value per image, `(B,)`, in float32.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from microdesign.model.losses.config import LOSSES, LossSettings, split_names
from microdesign.model.plugins import find

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of logits and the target's indicators, `(B, C, *N)` each, to `(B,)`."""


def build_losses(
    expression: str, weights: Mapping[str, float] | None = None, settings: LossSettings | None = None
) -> dict[str, tuple[float, Loss]]:
    """Reads `mse+cess` into `{name: (weight, loss)}`; a name that `weights` leaves out has weight 1.

    `module:name` is a loss of the user's own: a function of logits and target.

    Raises:
        InputError: A name is unknown, comes twice or cannot be imported.
    """
    settings, weights = settings or LossSettings(), weights or {}
    return {name: (weights.get(name, 1.0), _loss(name, settings)) for name in split_names(expression)}


def _loss(name: str, settings: LossSettings) -> Loss:
    found: Any = find("loss", LOSSES.get(name, name), {}, "a function of logits and target")
    section = getattr(settings, name, None)
    loss: Loss = found if section is None else found(**dict(section))
    return loss
