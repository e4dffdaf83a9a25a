"""The settings of the demo."""

import os
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.design.campaign.campaign_config import SearchConfig
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.microstructure.data.sizes import named, simplest
from microdesign.microstructure.generators.dataset_generation import GenerateConfig
from microdesign.physics.materials import Materials

DEFAULT_TARGETS = {2: {"Ex": 2.7, "Ey": 1.6, "kx": 3.1}, 3: {"Ex": 2.6, "Ey": 2.2, "kx": 2.9}}
"""Stiffer along x than along y; with phases of contrast 10, 1 would be all soft and 10 all hard.

No image of the demo's data has its target: the nearest one is 6.1 % off in its worst property.
"""

_VOLUMES: Mapping[str, Any] = {
    "folder": "microdesign-demo-volumes",
    "generate": {
        "families": ("GRF", "VoidSmall", "VoronoiMedium", "Spinodal"),
        "dims": 3,
        "size": 32,
        "count_per_family": 150,
    },
    "loop": {
        "epochs": 40,
        "max_minutes": 7,
        "batch_size": 16,
        "model": {"network": {"dimensions": 3, "size": 32}},
    },
    "campaign": {"candidates": 3, "goal": 0.02, "patience": 40, "evaluations": 120},
}
"""What the demo's defaults are for volumes: training ends after 7 minutes, and a quarter of an hour is the goal."""


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values, and the defaults where there are none, section by section."""
    both = {name for name in defaults.keys() & given.keys() if isinstance(given[name], Mapping)}
    deeper = {name: _merged(defaults[name], given[name]) for name in both if isinstance(defaults[name], Mapping)}
    return {**defaults, **given, **deeper}


class DemoConfig(Config):
    """The demo. Sizes are what two cores do in a few minutes."""

    dims: Literal[2, 3] = Field(2, description="2 for images, 3 for volumes, with defaults of their own")
    target: Mapping[str, Any] | None = Field(
        None, description="goals of properties, as in a campaign; that of `DEFAULT_TARGETS` when neither is given"
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
    campaign: SearchConfig = SearchConfig(goal=0.02)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """A section that is given in part keeps the demo's other settings, not those of the section alone."""
        if not isinstance(values, Mapping):
            return values
        if values.get("dims") == 3:
            return _merged(_VOLUMES, values)
        sections = ("generate", "loop", "campaign")
        defaults = {name: cls.model_fields[name].default.model_dump(exclude_unset=True) for name in sections}
        return _merged(defaults, values)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        network = self.loop.model.network
        for name, images, model in (
            ("size", simplest(self.generate.shape), simplest(network.shape)),
            ("dimensions", self.generate.dims, network.dimensions),
        ):
            if images != model:
                raise ValueError(
                    f"{name} of generate is {named(images)}, of loop.model.network {named(model)}; expected the same"
                )
        if self.dims != self.generate.dims:
            raise ValueError(f"generate.dims is {self.generate.dims}; set dims, which gives volumes their defaults")
        return self
