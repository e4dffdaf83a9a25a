"""The experiment `latent`: how each latent dimension and component changes images, and a path between two materials."""

from pathlib import Path

import numpy as np

from microdesign.core.metrics import worst_errors
from microdesign.core.progress import Progress
from microdesign.experiments.base.evaluated_draws import conditions_of
from microdesign.experiments.base.evaluated_model import open_model
from microdesign.experiments.base.physics import check_measurable
from microdesign.experiments.base.result import ExperimentResult, save_figures
from microdesign.experiments.latent.config import LatentExperiment
from microdesign.experiments.latent.figures import path_figure, traversal_figure
from microdesign.experiments.latent.paths import corrected_path, dissimilar_pair, straight_path
from microdesign.experiments.latent.tables import path_table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.surrogate.protocol import decode_labels


def run(config: LatentExperiment, folder: Path, uri: str, progress: Progress) -> ExperimentResult:
    """Traversals of each component at the median target, and the path between two held-out materials.

    Raises:
        InputError: The model or the data set cannot be opened, or the materials differ.
    """
    check_measurable(Dataset.open(config.dataset), (2, 3))
    opened = open_model(config, folder, uri, progress)
    surrogate, names = opened.surrogate, opened.surrogate.properties
    data = opened.dataset.load(config.split).with_known(names)
    table = data.property_table(names)
    prior = surrogate.prior(conditions_of(names, np.median(table, axis=0)[None])[0])
    progress(f"traversals of {len(prior.weights)} components")
    figures = {
        f"traversal_{k}": traversal_figure(surrogate, prior, int(k), config.dimensions)
        for k in np.flatnonzero(prior.weights >= 1e-3)
    }
    a, b = dissimilar_pair(data, table)
    progress(f"path from image {a} to image {b}")
    path, target = straight_path(surrogate, data.select([a, b]), table[[a, b]], config.steps)
    images = decode_labels(surrogate, corrected_path(surrogate, path, target))
    found = opened.evaluator.evaluate(images)
    errors = worst_errors(found, target)
    figures["path"] = path_figure(data.labels[a], data.labels[b], images, errors)
    return ExperimentResult(
        tables={"path": path_table(names, target, found, errors)},
        figures=save_figures(figures, folder),
        metrics={"path_error_median": float(np.median(errors)), "path_error_max": float(errors.max())},
        tags=opened.tags,
    )
