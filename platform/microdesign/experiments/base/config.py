"""Parts of the experiments' configurations; nothing that takes long is imported for them."""

from pydantic import Field

from microdesign.core.config import Config


class ExperimentConfig(Config):
    """An experiment, its folder, and the MLflow experiment that it is logged to."""

    what: str = Field(description="name of the experiment")
    folder: str = Field(description="folder of tables, figures and of what a stopped run continues from")
    experiment: str = Field("microdesign", description="MLflow experiment")


class PhysicsConfig(Config):
    """The physics that evaluates decodes, and where its results are stored."""

    evaluator: str = Field("fft", description="physics of decodes: fft, module:name, or command: PROGRAM ARGS")
    store: str | None = Field(None, description="folder of known results; one in `folder` when None")


class EvaluatedModelConfig(PhysicsConfig):
    """Where the model and its data set are, and the physics that evaluates its decodes."""

    model: str = Field(description="bundle folder, models:/NAME@ALIAS, or http://HOST:PORT of a Serve endpoint")
    dataset: str = Field(description="folder of the labelled data set that the model was trained on")
