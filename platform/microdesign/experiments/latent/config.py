"""Configuration of the experiment `latent`."""

from typing import Literal

from pydantic import Field

from microdesign.experiments.base.config import EvaluatedModelConfig, ExperimentConfig
from microdesign.microstructure.data.manifest import SplitName


class LatentExperiment(ExperimentConfig, EvaluatedModelConfig):
    """A trained model, and which parts of its latent space are decoded."""

    what: Literal["latent"] = "latent"
    folder: str = Field("runs/latent", description="folder of tables, figures and results of physics")
    split: SplitName = Field("test", description="held-out split that the two materials are taken from")
    dimensions: int = Field(12, ge=1, description="latent dimensions in the traversals: those that change images most")
    steps: int = Field(7, ge=2, description="images on the path from one material to the other, both ends included")
