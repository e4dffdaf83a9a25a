"""The model of an experiment that evaluates one: trained before, with the data set that it was trained on."""

import os
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.physics import PhysicsConfig, materials_of
from microdesign.learning.models import open_surrogate
from microdesign.microstructure.data.dataset import Dataset
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


class EvaluatedModelConfig(PhysicsConfig):
    """Where the model and its data set are, and the physics that evaluates its decodes."""

    model: str = Field(description="bundle folder, models:/NAME@ALIAS, or http://HOST:PORT of a Serve endpoint")
    dataset: str = Field(description="folder of the labelled data set that the model was trained on")

    def open(self, folder: Path, uri: str, progress: Progress = silent) -> EvaluatedModel:
        """Opens them; downloads and results of physics are stored in the folder.

        Raises:
            InputError: The model or the data set cannot be opened, their materials differ or are not known, or the
                model predicts nothing.
        """
        token = os.environ.get(TOKEN_VARIABLE)
        surrogate = open_surrogate(self.model, folder / "models", uri, token, progress=progress)
        dataset = Dataset.open(self.dataset)
        if not surrogate.properties:
            raise InputError(f"The model {self.model} predicts no properties; expected one that does.")
        if surrogate.describe().get("dataset") != dataset.manifest.digest:
            progress(
                f"the model was trained on another data set than {self.dataset}: its training images may be among "
                "those held out there"
            )
        materials = materials_of(surrogate, dataset)
        return EvaluatedModel(surrogate, dataset, TableEvaluator(self.physics(folder), materials, surrogate.properties))
