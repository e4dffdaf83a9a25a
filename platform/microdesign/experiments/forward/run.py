"""The experiment `forward`: properties from images, by the joint model and by models that only predict.

Sardeshmukh et al. 2024, arXiv 2402.17806, claim that the joint model predicts as well as forward-only ones. All are
trained on the same training split and evaluated on the same test split.

Shapes: N images, P properties.
"""

from pathlib import Path

import numpy as np

from microdesign.core.files import digest_json
from microdesign.core.metrics import mape
from microdesign.core.progress import Progress
from microdesign.experiments.base.cached_arrays import cached_arrays
from microdesign.experiments.base.model_training import train_models
from microdesign.experiments.base.result import ExperimentResult, metric_name, save_figures
from microdesign.experiments.forward.config import ForwardExperiment, StatisticsRegressorConfig
from microdesign.experiments.forward.figures import parity
from microdesign.experiments.forward.statistics_regression import StatisticsRegressor
from microdesign.experiments.forward.tables import error_table
from microdesign.learning.data.feed import fit_standardization
from microdesign.microstructure.data.dataset import Dataset
from microdesign.surrogate.local import LocalSurrogate


def run(config: ForwardExperiment, folder: Path, uri: str, progress: Progress) -> ExperimentResult:
    """Trains all models and compares their predictions; trained models and baselines' predictions are reused.

    Raises:
        InputError: A setting, a data set or a model is not valid.
        MicrodesignError: A training failed.
    """
    names = config.properties
    dataset = Dataset.open(config.train.dataset)
    bundles, left_out = train_models(config, folder / "models", uri, progress)
    test = dataset.load("test").with_known(names)
    true = test.property_table(names)
    predictions: dict[str, np.ndarray] = {}
    for name, bundle in bundles.items():
        columns = [bundle.properties.index(each) for each in names]
        predictions[name] = LocalSurrogate(bundle).predict(test.labels)[0][:, columns]
    for name, settings in config.baselines.items():
        progress(f"baseline {name}")
        predictions[name] = _baseline(settings, dataset, names, test.labels, folder / "predictions")
    return ExperimentResult(
        tables={"forward": error_table(names, true, predictions)},
        figures=save_figures({"forward": parity(names, true, predictions)}, folder),
        metrics={metric_name(name, "mape"): float(mape(true, each).mean()) for name, each in predictions.items()},
        details={"left_out": left_out, "models": {name: bundle.digest for name, bundle in bundles.items()}},
        tags={"dataset": dataset.manifest.digest},
    )


def _baseline(
    settings: StatisticsRegressorConfig, dataset: Dataset, names: tuple[str, ...], labels: np.ndarray, cache: Path
) -> np.ndarray:
    """Predictions `(N, P)` of a regressor fitted to the training split; cached."""

    def compute() -> dict[str, np.ndarray]:
        training, manifest = dataset.load("train").with_known(names), dataset.manifest
        standardization = fit_standardization(training.properties, manifest.shape, names, manifest.properties)
        regressor = StatisticsRegressor(settings, standardization)
        return {"test": regressor.fit(training.labels, training.property_table(names)).predict(labels)}

    key = digest_json([settings.model_dump(mode="json"), names, dataset.manifest.digest])[:16]
    return cached_arrays(cache / f"{key}.npz", compute)["test"]
