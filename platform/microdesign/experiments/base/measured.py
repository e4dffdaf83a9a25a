"""The model of an experiment that measures one: trained before, with the data set that it was trained on."""

import os
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.physics import materials_of
from microdesign.learning.models import open_surrogate
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.execution.parallel import ParallelEvaluator
from microdesign.physics.execution.store import ResultStore
from microdesign.surrogate.arrow_wire import TOKEN_VARIABLE
from microdesign.surrogate.protocol import Surrogate


class Measured(NamedTuple):
    """A model, its data set, and the physics of the model's properties; what it has answered is in the store."""

    surrogate: Surrogate
    dataset: Dataset
    evaluator: TableEvaluator

    @property
    def tags(self) -> dict[str, str]:
        """Which model and which data, for the record."""
        return {"model": self.surrogate.digest, "dataset": self.dataset.manifest.digest}


class MeasuredModel(Config):
    """Where the model, its data set and known results are."""

    model: str = Field(description="bundle folder, models:/NAME@ALIAS, or http://HOST:PORT of a Serve endpoint")
    dataset: str = Field(description="folder of the labelled data set that the model was trained on")
    evaluator: str = Field("fft", description="physics of decodes: fft, module:name, or command: PROGRAM ARGS")
    store: str | None = Field(None, description="folder of known results; one in `folder` when None")

    def opened(self, folder: Path, uri: str, progress: Progress = silent) -> Measured:
        """Opens them; what is downloaded or computed is kept in the folder.

        Raises:
            InputError: The model or the data set cannot be had, their materials differ or are not known, or the model
                predicts nothing.
        """
        surrogate = open_surrogate(self.model, folder / "models", uri, os.environ.get(TOKEN_VARIABLE))
        dataset = Dataset.open(self.dataset)
        if not surrogate.properties:
            raise InputError(f"The model {self.model} predicts no properties; expected one that does.")
        trained_on = surrogate.describe().get("dataset")
        if trained_on != dataset.manifest.digest:
            progress(
                f"the model was trained on another data set than {self.dataset}: whether it has seen what is held out "
                "there is not known"
            )
        store = ResultStore(self.store or folder / "results")
        physics = ParallelEvaluator(load_evaluator(self.evaluator), store)
        table = TableEvaluator(physics, materials_of(surrogate, dataset), surrogate.properties)
        return Measured(surrogate, dataset, table)
