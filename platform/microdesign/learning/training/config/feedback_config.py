"""The settings of physics feedback."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from microdesign.core.config import Config


class PhysicsFeedbackConfig(Config):
    """The evaluator, and how much of it a training step takes."""

    renamed: ClassVar[Mapping[str, str]] = {
        "verifier": "evaluator",
        "start": "begin",
        "lesson": "replay_batch",
        "memory": "replay_buffer",
    }

    evaluator: str = Field(
        "fft: tolerance=3e-3 precision=float32", description="physics: fft, module:name, or command: PROGRAM ARGS"
    )
    evaluator_settings: dict[str, Any] = Field(default_factory=dict, description="settings of the evaluator")
    begin: float = Field(
        0.15, ge=0, lt=1, description="share of the run after which it begins: the first decodes are noise"
    )
    decodes: int = Field(32, ge=1, description="decodes that are evaluated in a step, for each worker")
    replay_batch: int = Field(
        16, ge=1, description="evaluated decodes of earlier steps that join a batch, for the regressor"
    )
    replay_buffer: int = Field(3000, ge=1, description="evaluated decodes that each worker stores, the latest")
