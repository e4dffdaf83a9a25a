"""Configuration of the experiment `fidelity`."""

from typing import ClassVar, Literal

from pydantic import Field

from microdesign.core.config import Config
from microdesign.experiments.base.config import EvaluatedModelConfig, ExperimentConfig
from microdesign.microstructure.data.manifest import SplitName


class FidelityConfig(Config):
    """How many targets, draws and images are evaluated."""

    renamed: ClassVar = {"aim_rounds": "correction_rounds", "aim_steps": "gauss_newton_steps"}

    split: SplitName = Field("test", description="held-out split that the targets are taken from")
    targets: int = Field(100, ge=1, description="held-out images whose properties become targets")
    draws: int = Field(16, ge=1, description="draws from p(z|c) for each target")
    correction_rounds: int = Field(3, ge=0, description="rounds of condition correction by the regressor")
    gauss_newton_steps: int = Field(3, ge=0, description="Gauss-Newton steps after these")
    averaged: bool = Field(True, description="predictions are means over the turns and flips of training")
    realism_draws: int = Field(4, ge=1, description="draws of each target whose morphology is compared")
    realism_images: int = Field(400, ge=2, description="held-out images, at most, whose morphology is compared")
    recognition_steps: int = Field(
        600, ge=0, description="training steps of the classifier of the data's classes; 0 leaves recognition out"
    )
    judged_images: int = Field(2000, ge=2, description="training images, at most, that it is trained on")
    two_sample_steps: int = Field(
        150, ge=0, description="training steps of each classifier of the two-sample test; 0 leaves the test out"
    )
    two_sample_images: int = Field(200, ge=2, description="images of either kind, at most, in the two-sample test")
    seed: int = Field(0, ge=0, description="seed of the choice of targets and of the draws")


class FidelityExperiment(ExperimentConfig, EvaluatedModelConfig):
    """Fidelity of a trained model."""

    what: Literal["fidelity"] = "fidelity"
    folder: str = Field("runs/evaluation", description="folder of tables, figures and results of physics")
    fidelity: FidelityConfig = FidelityConfig()
