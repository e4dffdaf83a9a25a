"""The decoders by name."""

from torch import nn

from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.random_field_decoder import TextureDecoder
from microdesign.model.networks.upsampling_decoder import UpsamplingDecoder


def build_decoder(config: NetworkConfig) -> nn.Module:
    """Builds the decoder that `config` names; its forward maps latents `(B, D)` to logits `(B, C, *N)` in float32."""
    return TextureDecoder(config) if config.decoder == "texture" else UpsamplingDecoder(config)
