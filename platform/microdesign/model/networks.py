"""Convolutional networks on periodic images: encoder trunk, decoder, property head.

Shapes: B batch, C feature channels, X Y image sizes, D latent, P properties. Images are float32 indicators of phase 1.
Every convolution sees a periodic image. A block is TAESD's: ReLU(conv-ReLU-conv(x) + skip(x)), no norm layers.
"""

from typing import Any, TypeVar

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.config import Config
from microdesign.model.spectrum import SpectralFeatures, Spectrum

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class NetworkConfig(Config):
    """Sizes of the encoder, the decoder and the property head."""

    size: int = Field(64, ge=16, description="image size X = Y in pixels; a multiple of 2 ** stages")
    widths: tuple[PositiveInt, ...] = Field(
        (16, 32, 48, 64), min_length=1, description="channels per stage, finest first; one stage halves the size"
    )
    depth: int = Field(1, ge=1, description="residual blocks per stage")
    latent: int = Field(24, ge=1, description="latent size D")
    textures: int = Field(default=6, ge=1, description="random fields that the decoder shapes")
    hidden: int = Field(192, ge=1, description="width of the dense layers")

    @model_validator(mode="after")
    def _check_size(self) -> "NetworkConfig":
        step = 2 ** len(self.widths)
        if self.size % step or self.size // step < 2:
            raise ValueError(
                f"size {self.size} with {len(self.widths)} stages is not supported; "
                f"set size to a multiple of {step} that is at least {2 * step}"
            )
        return self

    @property
    def coarse(self) -> int:
        """Size of the coarsest feature map in pixels."""
        return self.size // 2 ** len(self.widths)


class _PeriodicPad(torch.autograd.Function):
    """Pads rows, then columns. Its own backward: that of slices would fill and add four whole images."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int) -> Tensor:
        ctx.width = width
        x = torch.cat((x[..., -width:, :], x, x[..., :width, :]), dim=-2)
        return torch.cat((x[..., -width:], x, x[..., :width]), dim=-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        width, (padded,) = ctx.width, gradients
        columns = padded[..., width:-width].clone()
        columns[..., -width:] += padded[..., :width]
        columns[..., :width] += padded[..., -width:]
        rows = columns[..., width:-width, :].clone()
        rows[..., -width:, :] += columns[..., :width, :]
        rows[..., :width, :] += columns[..., -width:, :]
        return rows, None


def pad_periodic(x: Tensor, width: int) -> Tensor:
    """Pads the two last axes `(B, C, X, Y)` periodically by `width` pixels, keeping the memory format.

    Concatenation instead of `F.pad(mode="circular")`: the latter leaves channels_last and is several times slower.
    """
    return _PeriodicPad.apply(x, width)


def channels_last(module: ModuleT) -> ModuleT:
    """Lays the convolution weights of `module` out channels-last, in place: the fast layout on CPU and GPU."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


class ResidualBlock(nn.Module):
    """ReLU(conv-ReLU-conv(x) + skip(x)) with one periodic padding for both convolutions."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3)
        self.second = nn.Conv2d(channels_out, channels_out, 3)
        self.skip = (
            nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(B, C_in, X, Y)` to `(B, C_out, X, Y)`."""
        return F.relu(self.second(F.relu(self.first(pad_periodic(x, 2)))) + self.skip(x))


class Trunk(nn.Module):
    """Shared features of an image, for the latent heads and the property head."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        first, last = config.widths[0], config.widths[-1]
        self.stem = nn.Conv2d(1, first, 4, stride=2)
        stages: list[nn.Module] = []
        for channels_in, channels_out in zip(config.widths, (*config.widths[1:], last), strict=True):
            blocks = [ResidualBlock(channels_in, channels_in) for _ in range(config.depth - 1)]
            stages.append(nn.Sequential(*blocks, ResidualBlock(channels_in, channels_out)))
        self.stages = nn.ModuleList(stages)
        self.spectral = SpectralFeatures(config.size)
        moments = 2 * sum((*config.widths[1:], last))
        self.dense = nn.Linear(last * config.coarse**2 + moments + self.spectral.features, config.hidden)
        self.features = config.hidden + self.spectral.features

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(B, 1, X, Y)` to features `(B, features)`.

        Mean and mean square of every stage and the power spectrum's moments join the coarsest map: they are invariant
        to periodic shifts, as effective properties are, and the latter are what the decoder's textures are made from.
        """
        h = F.relu(self.stem(pad_periodic(2 * x - 1, 1)))
        moments = []
        for index, stage in enumerate(self.stages):
            if index:
                h = F.avg_pool2d(h, 2)
            h = stage(h)
            moments += [h.mean((-2, -1)), h.square().mean((-2, -1))]
        spectral = self.spectral(x)
        return torch.cat((F.relu(self.dense(torch.cat((h.flatten(1), *moments, spectral), dim=1))), spectral), dim=1)


class Head(nn.Module):
    """Mean and log standard deviation of a diagonal Gaussian from trunk features."""

    def __init__(self, features: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * outputs))
        self.direct = nn.Linear(features, outputs, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps `(B, features)` to mean and log standard deviation, each `(B, outputs)`, in float32."""
        mean, log_std = self.layers(features).float().chunk(2, dim=-1)
        return mean + self.direct(features).float(), log_std.clamp(-6, 3)


class Decoder(nn.Module):
    """Latent to phase-1 logits: a stationary texture of the latent's spectrum, shaped by modulated convolutions.

    The latent holds the statistics, not positions: length scales, anisotropy and orientation enter as the spectrum of
    random fields, morphology through the modulated convolutions, the volume fraction as the level of the logits.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.widths[0]
        self.dense = nn.Sequential(
            nn.Linear(config.latent, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.hidden), nn.SiLU()
        )
        self.texture = Spectrum(config.size, config.textures)
        outputs = config.textures * self.texture.parameters_per_channel + 1
        self.statistics = nn.Linear(config.hidden + config.latent, outputs)
        self.first = nn.Conv2d(config.textures, width, 3)
        self.blocks = nn.ModuleList(ResidualBlock(width, width) for _ in range(config.depth))
        self.gains = nn.ModuleList(nn.Linear(config.hidden, 2 * width) for _ in range(config.depth))
        self.last = nn.Conv2d(width, 1, 3)
        nn.init.zeros_(self.last.weight)

    def forward(self, z: Tensor) -> Tensor:
        """Maps `(B, D)` to phase-1 logits `(B, 1, X, Y)` in float32."""
        hidden = self.dense(z)
        with torch.autocast(z.device.type, enabled=False):
            # Beside the hidden layers, straight from the latent: statistics are then learned first.
            statistics, level = self.statistics(torch.cat((hidden.float(), z.float()), dim=1)).split(
                (self.statistics.out_features - 1, 1), dim=1
            )
            fields = self.texture(statistics)
        h = self.first(pad_periodic(fields.contiguous(memory_format=torch.channels_last), 1))
        for block, gain in zip(self.blocks, self.gains, strict=True):
            scale, shift = gain(hidden)[..., None, None].chunk(2, dim=1)
            h = block(h * (1 + scale) + shift)
        # It starts as the first field cut at a level, and learns what its material has beyond that.
        shape = fields[:, :1] + self.last(pad_periodic(h, 1)).float()
        return SHARPNESS * (shape + level[..., None, None])


SHARPNESS = 4.0
"""Factor of the logits: the decoder starts near two phases instead of learning its way there from a grey image."""
