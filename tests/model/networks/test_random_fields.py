"""The random fields of the global stage."""

import torch

from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.random_fields import RandomFields
from microdesign.model.vae import VAERegression


def test_fields_built_without_memory_leave_none_behind() -> None:
    """Tables are cached: what a model of unknown sizes was sketched with must not be what the model is made of."""
    with torch.device("meta"):
        RandomFields((22, 22), 2)
    assert RandomFields((22, 22), 2).basis.device.type == "cpu"


def test_a_model_is_sketched_without_memory() -> None:
    with torch.device("meta"):
        VAERegression(ModelConfig(), 3)
    model = VAERegression(ModelConfig(), 3)
    assert {each.device.type for each in (*model.parameters(), *model.buffers())} == {"cpu"}
