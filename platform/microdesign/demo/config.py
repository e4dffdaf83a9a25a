"""The settings of the demo."""

import os
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.design.campaign.campaign_config import SearchConfig
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.microstructure.generators.dataset_generation import GenerateConfig
from microdesign.physics.materials import Materials

DEFAULT_TARGET = {"Ex": 2.4, "Ey": 1.9, "kx": 2.4}
"""Stiffer along x than along y; with phases of contrast 10, 1 would be all soft and 10 all hard.

No image of the demo's data has it: the nearest one is 5.5 % off in its worst property.
"""


class DemoConfig(Config):
    """The demo. Sizes are what two cores do in a few minutes."""

    target: Mapping[str, Any] | None = Field(
        None, description="goals of properties, as in a campaign; `DEFAULT_TARGET` when neither is given"
    )
    match: str | None = Field(None, description="file of an image whose properties become the target")
    properties: tuple[str, ...] = Field(("Ex", "Ey", "kx"), min_length=1, description="properties taken from `match`")
    folder: str = Field("microdesign-demo", description="where everything goes")
    materials: Materials = Field(
        Materials.model_validate(
            {
                "phases": [{"E": 1.0, "nu": 0.3, "k": 1.0}, {"E": 10.0, "nu": 0.3, "k": 10.0}],
                "units": {"E": "GPa", "k": "W/(m K)"},
            }
        ),
        description="phases: MICRO2D's mildest contrast",
    )
    generate: GenerateConfig = GenerateConfig(count_per_family=1000)
    loop: LoopConfig = LoopConfig(epochs=10, max_minutes=2.3)
    cpus: float = Field(
        default_factory=lambda: min(2, os.cpu_count() or 1), gt=0, description="CPU cores of the one training worker"
    )
    campaign: SearchConfig = SearchConfig(goal=0.02, patience=40)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        images, model = self.generate.size, self.loop.model.network.size
        if images != model:
            raise ValueError(f"generate.size is {images}, loop.model.network.size {model}; expected the same")
        return self
