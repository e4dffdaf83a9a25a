"""The model of an experiment that evaluates one: trained before, with the data set that it was trained on."""

import os
from pathlib import Path
from typing import NamedTuple

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.config import EvaluatedModelConfig
from microdesign.experiments.base.physics import materials_of, physics_of
from microdesign.learning.models import open_surrogate
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.protocol import for_images
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.arrow_wire import TOKEN_VARIABLE
from microdesign.surrogate.protocol import Surrogate


class EvaluatedModel(NamedTuple):
    """A model, its data set, and the physics of its properties, whose results are stored."""

    surrogate: Surrogate
    dataset: Dataset
    evaluator: TableEvaluator

    @property
    def tags(self) -> dict[str, str]:
        """MLflow tags: the digests of the model and of the data."""
        return {"model": self.surrogate.digest, "dataset": self.dataset.manifest.digest}


def open_model(config: EvaluatedModelConfig, folder: Path, uri: str, progress: Progress = silent) -> EvaluatedModel:
    """Opens a model and its data set; downloads and results of physics are stored in the folder.

    Raises:
        InputError: The model or the data set cannot be opened, their materials differ or are not known, or the model
            predicts nothing.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    surrogate = open_surrogate(config.model, folder / "models", uri, token, progress=progress)
    dataset = Dataset.open(config.dataset)
    if not surrogate.properties:
        raise InputError(f"The model {config.model} predicts no properties; expected one that does.")
    if surrogate.describe().get("dataset") != dataset.manifest.digest:
        progress(
            f"the model was trained on another data set than {config.dataset}: its training images may be among those "
            "held out there"
        )
    materials = materials_of(surrogate, dataset)
    physics = for_images(physics_of(config, folder), dataset.manifest.periodic, dataset.manifest.aspect)
    return EvaluatedModel(surrogate, dataset, TableEvaluator(physics, materials, surrogate.properties))
