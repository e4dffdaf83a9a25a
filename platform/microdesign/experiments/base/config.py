"""What every experiment's configuration has."""

from pydantic import Field

from microdesign.core.config import Config


class ExperimentConfig(Config):
    """An experiment, its folder, and the MLflow experiment that it is logged to."""

    what: str = Field(description="name of the experiment")
    folder: str = Field(description="folder of tables, figures and of what a stopped run continues from")
    experiment: str = Field("microdesign", description="MLflow experiment")
