"""Configuration of the experiment `inverse`."""

from typing import ClassVar, Literal

from pydantic import Field

from microdesign.core.config import Config
from microdesign.experiments.base.config import ExperimentConfig, PhysicsConfig
from microdesign.experiments.base.trained_models import TrainedModels
from microdesign.microstructure.data.manifest import SplitName


class LocalSearchConfig(Config):
    """How long to search, and how accurately."""

    renamed: ClassVar = {
        "aim_rounds": "correction_rounds",
        "aim_steps": "gauss_newton_steps",
        "enough": "tolerance",
    }

    targets: int = Field(20, ge=1, description="of the targets, the first so many")
    draws: int = Field(16, ge=1, description="draws from p(z|c*), of which the regressor chooses the start")
    correction_rounds: int = Field(3, ge=0, description="rounds of condition correction of a corrected draw")
    gauss_newton_steps: int = Field(3, ge=0, description="Gauss-Newton steps after these")
    tolerance: float = Field(0.02, gt=0, description="error of the worst property at which a search has converged")
    budget: int = Field(256, ge=2, description="evaluations after which a search is stopped")
    seed: int = Field(0, ge=0, description="seed of draws, random starts and searches")


class InverseExperiment(ExperimentConfig, TrainedModels, PhysicsConfig):
    """Models that differ in their prior, and how many targets and draws they are tried on."""

    what: Literal["inverse"] = "inverse"
    folder: str = Field("runs/inverse", description="folder of tables, figures and results of physics")
    split: SplitName = Field("test", description="held-out split that the targets are taken from")
    targets: int = Field(100, ge=1, description="held-out images whose properties become targets")
    draws: int = Field(16, ge=1, description="draws from p(z|c*) for each target")
    component_draws: int = Field(16, ge=1, description="draws from each component in use, for each target")
    local_search: LocalSearchConfig | None = Field(
        LocalSearchConfig(), description="searches from draws and from random starts; null: none"
    )
    seed: int = Field(0, ge=0, description="seed of the choice of targets and of the draws")
