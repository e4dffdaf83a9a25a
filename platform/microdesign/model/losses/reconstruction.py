"""Reconstruction losses by name, and weighted sums of them such as `mse+cess`; a user's own as `module:name`.

A loss maps logits and the target's indicators, both `(B, C, *N)` with two or three spatial axes and the channels of
`microdesign.microstructure.data.indicators`, to one value per image, `(B,)`, in float32.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.model.losses.clamp import Clamp
from microdesign.model.losses.lineal_path import LinealPath
from microdesign.model.losses.pixel import bce, mse
from microdesign.model.losses.style import Style
from microdesign.model.losses.two_point import Cess, CessCrop, msess
from microdesign.model.plugins import find

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of logits and the target's indicators, `(B, C, *N)` each, to `(B,)`."""


class LossSettings(Config):
    """Settings of the losses that have any; each section is the loss itself."""

    cess: Cess = Cess()
    cess_crop: CessCrop = CessCrop()
    clamp: Clamp = Clamp()
    lineal_path: LinealPath = LinealPath()
    style: Style = Style()


PLAIN: dict[str, Loss] = {"bce": bce, "mse": mse, "msess": msess}
"""Losses without settings."""
LOSSES = (*PLAIN, *LossSettings.model_fields)
"""Names of the built-in losses."""


def split_names(expression: str) -> list[str]:
    """Splits `mse+cess` into names.

    Raises:
        InputError: A name is unknown or comes twice, or `clamp`, which ignores the target, stands alone.
    """
    names = [name.strip() for name in expression.split("+")]
    for name in names:
        if name not in LOSSES and ":" not in name:
            raise InputError(
                f"Unknown loss '{name}' in '{expression}'; expected one of {', '.join(LOSSES)} or module:name, "
                "joined by '+'."
            )
    if len(set(names)) < len(names):
        raise InputError(f"The loss '{expression}' names a term twice.")
    if names == ["clamp"]:
        raise InputError("The loss 'clamp' ignores the target; add it to another one, as in mse+clamp.")
    return names


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
    with_settings: dict[str, Loss] = {each: getattr(settings, each) for each in LossSettings.model_fields}
    return find("loss", name, PLAIN | with_settings, "a function of logits and target")
