"""The family of networks by one configuration: images or volumes, two or more phases, vector or spatial latents."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from microdesign.core.config import Config
from microdesign.microstructure.data.channels import channels
from microdesign.model.plugins import check_name

Padding = Literal["periodic", "zero"]
"""What convolutions see beyond the edges."""
RANDOM_FIELD, UPSAMPLING = "random_field", "upsampling"


class NetworkConfig(Config):
    """Sizes of the encoder, the decoder and the property head.

    An image of n pixels an axis is halved once a stage, to ceil(n / 2): any size works, powers of two fastest. A
    decoder that upsamples interpolates back to the very same sizes.
    """

    renamed: ClassVar[Mapping[str, str]] = {"textures": "field_channels"}

    size: int = Field(64, ge=4, description="pixels along each axis of the square or cubic images")
    dimensions: Literal[2, 3] = Field(2, description="2 for images, 3 for volumes")
    phases: int = Field(2, ge=2, le=256, description="number of phases")
    padding: Padding = Field("periodic", description="what convolutions see beyond the edges")
    widths: tuple[PositiveInt, ...] = Field(
        (16, 32, 48, 64), min_length=1, description="channels per stage, finest first; one stage halves the size"
    )
    depth: int = Field(1, ge=1, description="residual blocks per stage")
    latent_kind: Literal["vector", "spatial"] = Field(
        "vector", description="one latent vector per image, or one per pixel of the coarsest map"
    )
    latent: int = Field(24, ge=1, description="size of a latent vector")
    decoder: str = Field(
        RANDOM_FIELD,
        description="random_field: stationary, with the latent's power spectrum; upsampling: convolutions from coarse "
        "to fine; or module:name",
    )
    field_channels: int = Field(6, ge=1, description="random fields that the decoder random_field shapes")
    smoothing: float = Field(
        1.0, ge=0, description="pixels, standard deviation of the blur of the random_field decoder's logits: no specks"
    )
    hidden: int = Field(192, ge=1, description="width of the dense layers")
    regressor: Literal["shared", "own"] = Field(
        "shared", description="feature maps of the property regressor: the encoder's, or those of a trunk of its own"
    )

    @field_validator("decoder")
    @classmethod
    def _check_decoder(cls, value: str) -> str:
        return check_name("decoder", value, (RANDOM_FIELD, UPSAMPLING), renamed={"texture": RANDOM_FIELD})

    @model_validator(mode="after")
    def _check(self) -> "NetworkConfig":
        if self.coarse < 2:
            raise ValueError(
                f"size {self.size} with {len(self.widths)} stages is not supported; "
                f"set size to at least {2 ** len(self.widths) + 1} or give fewer widths"
            )
        if self.latent_kind == "spatial" and self.decoder == RANDOM_FIELD:
            raise ValueError(
                "latent_kind spatial is not supported with decoder random_field; set decoder to upsampling"
            )
        if self.decoder == RANDOM_FIELD and self.field_channels < self.channels:
            raise ValueError(
                f"field_channels {self.field_channels} is not supported with {self.phases} phases; "
                f"set field_channels to at least {self.channels}"
            )
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return (self.size,) * self.dimensions

    @property
    def channels(self) -> int:
        """Channels C of images and logits; see `microdesign.microstructure.data.indicators`."""
        return channels(self.phases)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pixels an axis of the feature maps, one a stage, finest first."""
        sizes = [self.size]
        for _ in self.widths:
            sizes.append((sizes[-1] + 1) // 2)
        return tuple(sizes[1:])

    @property
    def coarse(self) -> int:
        """Pixels an axis of the coarsest feature map."""
        return self.sizes[-1]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of an image's latent: `(latent,)`, or `(latent, *n)` on the coarsest map."""
        return (self.latent, *(self.coarse,) * self.dimensions) if self.latent_kind == "spatial" else (self.latent,)

    @property
    def latent_size(self) -> int:
        """D: the numbers of an image's latent, which is flat, `(B, D)`, outside the networks."""
        return math.prod(self.latent_shape)
