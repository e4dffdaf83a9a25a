"""Building a model of stated sizes no larger than the budget: its sizes may come from the file of a stranger."""

import math

import torch

from microdesign.core.budget import refuse_large
from microdesign.core.errors import InputError
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import LOCAL_GLOBAL, RANDOM_FIELD
from microdesign.model.networks.decoders import DECODERS
from microdesign.model.networks.random_fields import REALISATIONS
from microdesign.model.prior.priors import PRIORS
from microdesign.model.vae import VAERegression


def build_bounded(config: ModelConfig, properties: int, source: str) -> VAERegression:
    """Builds a model once its tensors, on a device without memory, are known to fit.

    A decoder or a prior of a user's own is built at once: it is installed code, which need not know such devices.

    Args:
        config: Sizes of the networks and the prior.
        properties: Number of properties.
        source: What messages name.

    Raises:
        InputError: The tensors take more than the budget, or no network has such sizes.
    """
    try:
        network = config.network
        if network.decoder in (RANDOM_FIELD, LOCAL_GLOBAL):
            # White noise of the random fields, drawn by NumPy when they are built.
            noise = REALISATIONS * math.prod(network.shape) * 4
            refuse_large(noise, source, "the model")
        if network.decoder in DECODERS and config.prior.kind in PRIORS:
            with torch.device("meta"):
                sketch = VAERegression(config, properties)
            tensors = (*sketch.parameters(), *sketch.buffers())
            refuse_large(sum(each.numel() * each.element_size() for each in tensors), source, "the model")
        return VAERegression(config, properties)
    except InputError:
        raise
    except (RuntimeError, ValueError, OverflowError) as error:
        raise InputError(f"{source}: no model has these sizes ({str(error).splitlines()[0]}).") from None
