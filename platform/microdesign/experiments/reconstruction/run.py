"""The experiment `reconstruction`: models that differ in their loss, trained and compared; discs and lines besides."""

from pathlib import Path

import numpy as np
import torch

from microdesign.core.files import digest_json
from microdesign.core.progress import Progress
from microdesign.experiments.base.cached_arrays import cached_arrays
from microdesign.experiments.base.model_training import train_models
from microdesign.experiments.base.physics import check_measurable
from microdesign.experiments.base.result import ExperimentResult, save_figures
from microdesign.experiments.reconstruction import figures, tables
from microdesign.experiments.reconstruction.config import CirclesConfig, ReconstructionExperiment
from microdesign.experiments.reconstruction.from_statistics import descend, discs, recovered
from microdesign.experiments.reconstruction.line_spacing import losses_by_spacing
from microdesign.experiments.reconstruction.scores import PAIRWISE, score_models
from microdesign.microstructure.data.dataset import Dataset
from microdesign.surrogate.local import LocalSurrogate

GREY = (0.1, 0.9)
"""A pixel whose probability is between these counts as grey."""


def run(config: ReconstructionExperiment, folder: Path, uri: str, progress: Progress) -> ExperimentResult:
    """Trains and scores the models, then discs and lines; trained models, scores and discs are reused.

    Raises:
        InputError: A setting, a data set or a model is not valid.
        MicrodesignError: A training failed.
    """
    dataset = Dataset.open(config.train.dataset)
    check_measurable(dataset)
    bundles, left_out = train_models(config, folder / "models", uri, progress)
    data = dataset.load(config.split)
    progress(f"{len(data)} images: scores")
    scores = score_models(bundles, data, folder / "scores" / f"{config.split}-{dataset.manifest.digest[:12]}")
    surrogates = {name: LocalSurrogate(bundle) for name, bundle in bundles.items()}
    found_tables = {"models": tables.model_table(scores)}
    found_tables |= {f"wins_{name}": tables.win_table(scores, name) for name in PAIRWISE}
    found_tables["samples"] = tables.sample_table(scores, data)
    found_figures = figures.figures(scores, surrogates, data)
    if config.circles is not None:
        progress(f"{config.circles.images} images of discs from their statistics")
        targets = discs(config.circles)
        soft = {loss: _descended(loss, targets, config.circles, folder / "circles") for loss in config.circles.losses}
        found = {loss: recovered(torch.from_numpy(images), targets) for loss, images in soft.items()}
        grey = {loss: float(((x > GREY[0]) & (x < GREY[1])).mean()) for loss, x in soft.items()}
        found_tables["circles"] = tables.circles_table(found, grey)
        found_figures["circles"] = figures.circles_figure(targets, found)
    if config.lines is not None:
        spacings, values = losses_by_spacing(config.lines)
        found_tables["lines"] = tables.spacing_table(config.lines, spacings, values)
        found_figures["lines"] = figures.lines_figure(spacings, values, config.lines.spacing)
    return ExperimentResult(
        tables=found_tables,
        figures=save_figures(found_figures, folder),
        metrics=tables.metrics(scores),
        details={"models": {name: bundle.digest for name, bundle in bundles.items()}, "left_out": left_out},
        tags={"dataset": dataset.manifest.digest},
    )


def _descended(loss: str, targets: np.ndarray, config: CirclesConfig, folder: Path) -> np.ndarray:
    """The images that one loss reconstructs, probabilities `(B, 1, X, Y)`, cached by the digest of the settings."""
    settings = config.model_dump(mode="json", exclude={"losses"})
    indicators = torch.from_numpy(targets).float()[:, None]
    file = folder / f"{digest_json([loss, settings])[:16]}.npz"
    return cached_arrays(file, lambda: {"images": descend(indicators, loss, config).numpy()})["images"]
