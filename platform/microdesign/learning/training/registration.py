"""Where a training is recorded, and which models go to the registry: those that are better than predicting the mean."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from microdesign.core.config import Config
from microdesign.core.errors import MicrodesignError


class TrackingConfig(Config):
    """MLflow: the experiment of the run, and the registry of models."""

    experiment: str = Field("microdesign", description="MLflow experiment")
    register_as: str = Field(
        "microdesign",
        description="name in the MLflow registry; the first of its name is champion, a later one challenger",
    )
    minimum_r2: float | None = Field(
        0.0,
        description="R2 on the test split that each property needs for the model to be registered; predicting the mean "
        "attains 0; null registers any model",
    )


class NotRegisteredError(MicrodesignError, RuntimeError):
    """A trained model is too poor to be registered.

    Attributes:
        bundle: Its folder, which stays.
    """

    def __init__(self, message: str, bundle: Path) -> None:
        super().__init__(message)
        self.bundle = bundle


def check_quality(metrics: Mapping[str, float], minimum_r2: float | None, bundle: Path) -> None:
    """Checks R2 of every property on the test split: R2 = 0 is what predicting the mean of the split attains.

    Args:
        metrics: Of the evaluation, `r2_NAME` of each property; none of a model of images alone.
        minimum_r2: The least R2; None accepts every model.
        bundle: The model's folder.

    Raises:
        NotRegisteredError: A property's R2 is less than `minimum_r2`, or not a number.
    """
    found = {name.removeprefix("r2_"): value for name, value in metrics.items() if name.startswith("r2_")}
    # Not <: NaN is refused as well.
    poor = {} if minimum_r2 is None else {name: value for name, value in found.items() if not value >= minimum_r2}
    if poor:
        values = ", ".join(f"{name} {value:.3g}" for name, value in poor.items())
        raise NotRegisteredError(
            f"The model is not registered: R2 on the test split is {values}, where predicting the mean attains 0; the "
            f"bundle stays in {bundle}. Train for more epochs or on more images, or set tracking.minimum_r2 to null.",
            bundle,
        )
