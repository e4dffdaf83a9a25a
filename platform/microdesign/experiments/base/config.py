"""What every experiment's configuration has."""

from pydantic import Field

from microdesign.core.config import Config


class ExperimentConfig(Config):
    """An experiment, its folder, and where it is recorded."""

    what: str = Field(description="name of the experiment")
    folder: str = Field(description="where tables, figures and what a killed run goes on from are kept")
    experiment: str = Field("microdesign", description="MLflow experiment")
