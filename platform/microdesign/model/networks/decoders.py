"""The decoders by name, and the base of a user's own."""

from collections.abc import Callable, Mapping

from torch import nn

from microdesign.model.networks.config import LOCAL_GLOBAL, RANDOM_FIELD, UPSAMPLING, NetworkConfig
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.networks.random_field_decoder import RandomFieldDecoder
from microdesign.model.networks.upsampling_decoder import UpsamplingDecoder
from microdesign.model.plugins import find

Decoder = Callable[[NetworkConfig], nn.Module]
"""What makes a decoder: a class of `torch.nn.Module`, constructed with the network's config.

Its forward maps latents `(B, D)`, D = `config.latent_size`, to logits `(B, C, *N)` in float32, also under autocast,
with C = `config.channels` and N = `config.shape`. Its parameters are trained and saved with the model's.
"""
DECODERS: Mapping[str, Decoder] = {
    LOCAL_GLOBAL: LocalGlobalDecoder,
    RANDOM_FIELD: RandomFieldDecoder,
    UPSAMPLING: UpsamplingDecoder,
}
"""The built-in decoders by name."""


def build_decoder(config: NetworkConfig) -> nn.Module:
    """Builds the decoder that `config` names.

    Raises:
        InputError: A decoder of the user's own cannot be imported, or is no subclass of `torch.nn.Module`.
    """
    expected = "a subclass of torch.nn.Module that is constructed with a NetworkConfig"
    return find("decoder", config.decoder, DECODERS, expected, nn.Module)(config)
