"""The experiment `reconstruction`: models that differ in their loss, trained and compared; discs and lines beside."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from microdesign.core.files import digest_json
from microdesign.core.progress import Progress
from microdesign.experiments.base.cached import kept_arrays
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.outcome import Outcome
from microdesign.experiments.base.physics import check_measurable
from microdesign.experiments.base.trained import TrainedModels
from microdesign.experiments.reconstruction import report
from microdesign.experiments.reconstruction.from_statistics import CirclesConfig, descend, discs, recovered
from microdesign.experiments.reconstruction.line_spacing import LinesConfig, sensitivity, spacing_table
from microdesign.experiments.reconstruction.scores import score_models
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitName
from microdesign.surrogate.local import LocalSurrogate

GREY = (0.1, 0.9)
"""Between these a pixel counts as grey."""


class ReconstructionExperiment(ExperimentConfig, TrainedModels):
    """The experiments on losses in the space of two-point statistics; images of two phases in two dimensions."""

    what: Literal["reconstruction"] = "reconstruction"
    folder: str = Field("runs/reconstruction", description="where tables, figures, scores and found discs go")
    split: SplitName = Field("test", description="held-out split")
    circles: CirclesConfig | None = Field(CirclesConfig(), description="discs from their statistics; null: none")
    lines: LinesConfig | None = Field(LinesConfig(), description="spacing of lines; null: none")


def run_reconstruction(config: ReconstructionExperiment, folder: Path, uri: str, progress: Progress) -> Outcome:
    """Trains and scores the models, then discs and lines; what was finished before is not done again.

    Raises:
        InputError: A setting, a data set or a model is not valid.
        MicrodesignError: A training failed.
    """
    dataset = Dataset.open(config.train.dataset)
    check_measurable(dataset)
    bundles, left_out = config.bundles(folder / "models", uri, progress)
    data = dataset.load(config.split)
    progress(f"{len(data)} images: scores")
    scores = score_models(bundles, data, folder / "scores" / f"{config.split}-{dataset.manifest.digest[:12]}")
    surrogates = {name: LocalSurrogate(bundle) for name, bundle in bundles.items()}
    tables, figures = report.tables(scores, data), report.figures(scores, surrogates, data)
    if config.circles is not None:
        progress(f"{config.circles.images} images of discs from their statistics")
        targets = discs(config.circles)
        soft = {loss: _descended(loss, targets, config.circles, folder / "circles") for loss in config.circles.losses}
        found = {loss: recovered(torch.from_numpy(images), targets) for loss, images in soft.items()}
        grey = {loss: float(((x > GREY[0]) & (x < GREY[1])).mean()) for loss, x in soft.items()}
        tables["circles"] = report.circles_table(found, grey)
        figures["circles"] = report.circles_figure(targets, found)
    if config.lines is not None:
        spacings, values = sensitivity(config.lines)
        tables["lines"] = spacing_table(config.lines, spacings, values)
        figures["lines"] = report.lines_figure(spacings, values, config.lines.spacing)
    return Outcome(
        tables=tables,
        figures=figures,
        metrics=report.metrics(scores),
        details={"models": {name: bundle.digest for name, bundle in bundles.items()}, "left_out": left_out},
        tags={"dataset": dataset.manifest.digest},
    )


def _descended(loss: str, targets: np.ndarray, config: CirclesConfig, folder: Path) -> np.ndarray:
    """The images that one loss finds, probabilities `(B, 1, X, Y)`, kept under the digest of the settings."""
    settings = config.model_dump(mode="json", exclude={"losses"})
    indicators = torch.from_numpy(targets).float()[:, None]
    file = folder / f"{digest_json([loss, settings])[:16]}.npz"
    return kept_arrays(file, lambda: {"images": descend(indicators, loss, config).numpy()})["images"]
