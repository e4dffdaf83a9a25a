"""The family of networks by one configuration: images or volumes, two or more phases, vector or spatial latents."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from microdesign.core.config import Config
from microdesign.microstructure.data.channels import channels
from microdesign.microstructure.data.sizes import Sizes, named, pixels, shape_of
from microdesign.model.plugins import check_name

Padding = Literal["periodic", "zero"]
"""What convolutions see beyond the edges."""
MOST_PIXELS, MOST_CHANNELS, MOST_STAGES, MOST_BLOCKS = 2**14, 2**14, 14, 64
"""Beyond any model of ours; a config without bounds, perhaps a stranger's, could have no end."""
RANDOM_FIELD, LOCAL_GLOBAL, UPSAMPLING = "random_field", "local_global", "upsampling"


PRETRAINED_SIZES = ("phases", "widths", "latent_kind", "latent", "field_channels", "hidden")
"""Settings at whose defaults the weights that the package brings fit."""
MULTIPLE = 16
"""Sizes that the denoiser of default patches draws are its multiples."""
LEAST_SIZE = 32
"""Pixels along each axis of the smallest image that the encoder of a network of any size takes."""


class DenoiserConfig(Config):
    """The denoiser of the local_global decoder, and how it draws."""

    width: int = Field(64, ge=1, le=MOST_CHANNELS, description="channels of the denoiser")
    patch: int = Field(4, ge=2, le=256, multiple_of=2, description="pixels along each axis of its patches")
    depth: int = Field(2, ge=1, le=MOST_BLOCKS, description="residual blocks on each level")
    start: float = Field(
        0.1, ge=0, le=0.25, description="share of the draft, beside noise, that drawing starts from; 0: noise alone"
    )
    restarts: int = Field(
        2,
        ge=0,
        le=100,
        description="times that drawing takes the first step, in which coarse shapes form, again with fresh noise: "
        "more are slower and look more like what the denoiser has learned",
    )
    share: float = Field(
        0.25, gt=0, le=1, description="share of each training batch that the denoiser learns from; it costs the most"
    )
    steps: int = Field(7, ge=1, le=10_000, description="further steps of drawing: more are slower and finer")
    sharpness: float = Field(
        3.0,
        gt=0,
        le=100,
        description="factor of the logits in these steps: with 1 outlines are ragged and single pixels too many, with "
        "more than 4 small features go",
    )


class NetworkConfig(Config):
    """Sizes of the encoder, the decoder and the property head.

    An image of n pixels an axis is halved once a stage, to ceil(n / 2): any size works, powers of two fastest. A
    decoder that upsamples interpolates back to the very same sizes.
    """

    renamed: ClassVar[Mapping[str, str]] = {"textures": "field_channels"}

    size: Annotated[Sizes, BeforeValidator(pixels(4, MOST_PIXELS))] = Field(
        64, description="pixels along each axis of the images: one number for squares and cubes, else one for each"
    )
    dimensions: Literal[2, 3] = Field(2, description="2 for images, 3 for volumes")
    phases: int = Field(2, ge=2, le=256, description="number of phases")
    padding: Padding | None = Field(
        None,
        description="what convolutions see beyond the edges: periodic or zero; null: zero where the training images "
        "are not periodic, such as windows of a micrograph, else periodic",
    )
    widths: tuple[Annotated[int, Field(ge=1, le=MOST_CHANNELS)], ...] = Field(
        (32, 32, 64, 96),
        min_length=1,
        max_length=MOST_STAGES,
        description="channels per stage, finest first; one stage halves the size",
    )
    depth: int = Field(1, ge=1, le=MOST_BLOCKS, description="residual blocks per stage")
    latent_kind: Literal["vector", "spatial"] = Field(
        "vector", description="one latent vector per image, or one per pixel of the coarsest map"
    )
    latent: int = Field(32, ge=1, le=MOST_CHANNELS, description="size of a latent vector")
    decoder: str = Field(
        LOCAL_GLOBAL,
        description="local_global: a random field with the latent's power spectrum, which a denoiser refines; "
        "random_field: the field alone; upsampling: convolutions from coarse to fine; or module:name. Where it is left "
        "out and pretrained weights do not fit the network, random_field: a denoiser takes hours to train",
    )
    field_channels: int = Field(
        6, ge=1, le=MOST_CHANNELS, description="random fields that the decoder random_field shapes"
    )
    denoiser: DenoiserConfig = DenoiserConfig()
    smoothing: float = Field(
        1.0, ge=0, description="pixels, standard deviation of the blur of the random_field decoder's logits: no specks"
    )
    hidden: int = Field(192, ge=1, le=MOST_CHANNELS, description="width of the dense layers")
    regressor: Literal["shared", "own"] = Field(
        "own", description="feature maps of the property regressor: the encoder's, or those of a trunk of its own"
    )

    @model_validator(mode="before")
    @classmethod
    def _default_decoder(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "decoder" in values:
            return values
        fields = cls.model_fields
        default = all(
            name not in values or _plain(values[name]) == _plain(fields[name].default) for name in PRETRAINED_SIZES
        )
        size = values.get("size", fields["size"].default)
        axes = size if isinstance(size, (list, tuple)) else [size]
        fits = default and all(isinstance(n, int) and n % MULTIPLE == 0 and n >= LEAST_SIZE for n in axes)
        return {**values, "decoder": LOCAL_GLOBAL if fits else RANDOM_FIELD}

    @field_validator("decoder")
    @classmethod
    def _check_decoder(cls, value: str) -> str:
        return check_name("decoder", value, (RANDOM_FIELD, LOCAL_GLOBAL, UPSAMPLING), renamed={"texture": RANDOM_FIELD})

    @model_validator(mode="after")
    def _check(self) -> "NetworkConfig":
        shape = shape_of(self.size, self.dimensions)
        if min(self.coarse_shape) < 2:
            raise ValueError(
                f"size {named(self.size)} with {len(self.widths)} stages is not supported; "
                f"set size to at least {2 ** len(self.widths) + 1} or give fewer widths"
            )
        fields = self.decoder in (RANDOM_FIELD, LOCAL_GLOBAL)
        if self.latent_kind == "spatial" and fields:
            raise ValueError(
                f"latent_kind spatial is not supported with decoder {self.decoder}; set decoder to upsampling"
            )
        if self.decoder == LOCAL_GLOBAL and any(n % self.multiple or n < 2 * self.multiple for n in shape):
            raise ValueError(
                f"size {named(self.size)} is not supported with decoder local_global; "
                f"set size to a multiple of {self.multiple}, {2 * self.multiple} or more"
            )
        if fields and self.field_channels < self.channels:
            raise ValueError(
                f"field_channels {self.field_channels} is not supported with {self.phases} phases; "
                f"set field_channels to at least {self.channels}"
            )
        return self

    @property
    def edge_padding(self) -> Padding:
        """The padding; periodic where neither a user nor a training has set it."""
        return self.padding or "periodic"

    @property
    def any_size(self) -> bool:
        """Whether the weights fit images of every size."""
        return self.decoder == LOCAL_GLOBAL

    @property
    def multiple(self) -> int:
        """The sizes that the decoder local_global draws are multiples of this, twice as large at least."""
        return 4 * self.denoiser.patch

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return shape_of(self.size, self.dimensions)

    @property
    def channels(self) -> int:
        """Channels C of images and logits; see `microdesign.microstructure.data.indicators`."""
        return channels(self.phases)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Pixels along each axis of the feature maps, one a stage, finest first."""
        shapes = [self.shape]
        for _ in self.widths:
            shapes.append(tuple((n + 1) // 2 for n in shapes[-1]))
        return tuple(shapes[1:])

    @property
    def coarse_shape(self) -> tuple[int, ...]:
        """Pixels along each axis of the coarsest feature map."""
        return self.shapes[-1]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of an image's latent: `(latent,)`, or `(latent, *n)` on the coarsest map."""
        return (self.latent, *self.coarse_shape) if self.latent_kind == "spatial" else (self.latent,)

    @property
    def latent_size(self) -> int:
        """D: the numbers of an image's latent, which is flat, `(B, D)`, outside the networks."""
        return math.prod(self.latent_shape)


def described_shape(network: Mapping[str, Any]) -> tuple[int, ...]:
    """Pixels along each axis of the images of a network as a `model.json`, or a server, describes it.

    Raises:
        KeyError, TypeError, ValueError: It is no such description.
    """
    size = network["size"]
    if isinstance(size, (list, tuple)):
        return tuple(map(int, size))
    return (int(size),) * int(network.get("dimensions", 2))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
