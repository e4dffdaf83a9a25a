"""The settings of `design --from MICROGRAPH`."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from microdesign.core.config import validate_config
from microdesign.design.campaign.campaign_config import SearchConfig
from microdesign.design.target.relative import is_relative
from microdesign.design.target.target import Target
from microdesign.microstructure.io.image_settings import ImageSettings
from microdesign.model.networks.config import LEAST_SIZE, MULTIPLE
from microdesign.physics.materials import Materials

FINE_TUNING, TRAINING, SEARCH = 0.4, 0.2, 0.3
"""Shares of the minutes; draws, physics and the start of programs take what is left."""


_SEARCH: Mapping[str, Any] = {"goal": 0.02, "patience": 40}
"""Where the search differs from a campaign's own defaults: it has minutes."""


class MicrographConfig(ImageSettings):
    """From one micrograph to designs like it with a target's properties."""

    micrograph: str = Field(
        description="file of one segmented image or volume of two phases or more, of any known format"
    )
    materials: Materials = Field(description="the phases, in the order of their labels")
    target: Mapping[str, Any] = Field(
        description="goals as in a campaign; a number may be a multiple of the micrograph's own value: {Ex: {times: "
        "1.15}, kx: match, ky: {at_most: 1.2x}}"
    )
    folder: str = Field("microdesign-from", description="where everything goes; the same folder goes on")
    minutes: float = Field(30, gt=0, description="wall time of the whole, about; the stages share it")
    size: int | None = Field(
        None,
        ge=LEAST_SIZE,
        multiple_of=MULTIPLE,
        description="pixels along each axis of windows and designs; null: 64, of a volume 32, or about half of a "
        "smaller micrograph",
    )
    turns: bool | None = Field(
        None,
        description="whether the material may be turned by 90 degrees and mirrored; null: where its turned windows are "
        "as alike to it as windows are",
    )
    within: Annotated[float, Field(gt=0)] | Literal["auto"] | None = Field(
        "auto",
        description="largest distance of a design from the micrograph's windows as a population: 95 % of these are "
        "within 1; auto: 1, or where hardly any draw of the model is so near, what a fifth of the draws is; null: "
        "designs need not be like it",
    )
    draws: int | None = Field(None, ge=40, description="draws that physics labels; null: by the minutes")
    cpus: int = Field(
        default_factory=lambda: min(2, os.cpu_count() or 1), ge=1, description="CPU cores of fine-tuning and training"
    )
    campaign: SearchConfig = SearchConfig(**_SEARCH)
    seed: int = Field(0, ge=0, description="seed of every draw")

    @field_validator("target", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """Goals alone are short for `{properties: goals}`; relative ones are checked when the image's are known."""
        if not isinstance(value, Mapping):
            return value
        value = value if set(value) & set(Target.model_fields) else {"properties": value}
        goals = value.get("properties")
        if isinstance(goals, Mapping):
            known = {name: 1.0 if is_relative(goal) else goal for name, goal in goals.items()}
            validate_config(Target, {**value, "properties": known}, "the target")
        return value

    @field_validator("campaign", mode="before")
    @classmethod
    def _with_defaults(cls, value: Any) -> Any:
        return {**_SEARCH, **value} if isinstance(value, Mapping) else value

    def labelled_draws(self, dims: Literal[2, 3]) -> int:
        """Draws that physics labels: volumes take a second each to draw and to label, images a twentieth of that."""
        most, least, a_minute = (2400, 240, 60) if dims == 2 else (600, 120, 12)
        return self.draws or round(min(most, max(least, a_minute * self.minutes)))
