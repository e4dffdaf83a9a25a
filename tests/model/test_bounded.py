"""A model that is sketched on a device without memory first, as in a process that has built none yet."""

import torch

from microdesign.model.bounded import build_bounded
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.random_fields import _tables
from microdesign.model.networks.spectrum import moment_weights


def test_what_a_sketch_caches_is_of_the_processor() -> None:
    moment_weights.cache_clear()
    _tables.cache_clear()
    model = build_bounded(ModelConfig(), 3, "model.json")
    assert {each.device.type for each in (*model.parameters(), *model.buffers())} == {"cpu"}
    cpu = torch.device("cpu")
    weights = moment_weights((4, 4), cpu)
    assert weights.device == cpu
    assert torch.isfinite(weights).all()
