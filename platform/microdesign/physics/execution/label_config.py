"""The settings of the job that labels a data set."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.physics.materials import Materials


class LabelConfig(Config):
    """Images, materials, and where the labelled data set goes."""

    source: str = Field(description="folder of a data set")
    out: str = Field(description="folder for the labelled data set")
    materials: Materials
    evaluator: str = Field("fft", description="physics: fft, module:name, or command: PROGRAM ARGS")
    evaluator_settings: dict[str, Any] = Field(default_factory=dict, description="settings of the evaluator")
    store: str | None = Field(None, description="folder of results to take from and to add to")

    @model_validator(mode="after")
    def _two_folders(self) -> Self:
        if Path(self.source).resolve() == Path(self.out).resolve():
            raise ValueError(f"{self.out}: is the source itself; expected another folder for the labelled data set")
        return self
