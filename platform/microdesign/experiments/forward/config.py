"""Configuration of the experiment `forward`."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from microdesign.core.config import Config
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.trained_models import TrainedModels


class StatisticsRegressorConfig(Config):
    """A regressor on principal components of two-point statistics."""

    kind: Literal["gradient_boosting", "random_forest"] = Field(
        description="scikit-learn's regressor, default settings"
    )
    components: int = Field(50, ge=1, description="principal components of the statistics")
    offsets: int = Field(64, ge=2, description="offsets along each axis, around 0, whose statistics count")
    trees: int = Field(200, ge=1, description="trees of the forest, or rounds of boosting")
    seed: int = Field(0, ge=0, description="seed of the principal components and of the trees")


class ForwardExperiment(ExperimentConfig, TrainedModels):
    """Networks, trained by the same loop, and regressors on two-point statistics."""

    what: Literal["forward"] = "forward"
    folder: str = Field("runs/forward", description="folder of tables, figures and predictions")
    baselines: Mapping[str, StatisticsRegressorConfig] = Field(
        {
            "gradient boosting": StatisticsRegressorConfig(kind="gradient_boosting", components=50),
            "random forest": StatisticsRegressorConfig(kind="random_forest", components=25),
        },
        description="name -> regressor on principal components of two-point statistics",
    )
