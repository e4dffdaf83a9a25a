"""The random fields of the global stage."""

import torch

from microdesign.model.networks.random_fields import RandomFields


def test_fields_built_without_memory_leave_none_behind() -> None:
    """Tables are cached: what a model of unknown sizes was sketched with must not be what the model is made of."""
    with torch.device("meta"):
        RandomFields(22, 2)
    assert RandomFields(22, 2).basis.device.type == "cpu"
