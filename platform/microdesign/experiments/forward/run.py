"""The experiment `forward`: properties from images, by the joint model and by models that do nothing else.

Sardeshmukh et al. 2024, arXiv 2402.17806, claim that the joint model predicts as well as forward-only ones. All see the
same training split and are judged on the same test split.

Shapes: M models, N images, P properties.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from pydantic import Field

from microdesign.core.files import digest_json
from microdesign.core.progress import Progress
from microdesign.experiments.base.cached import kept_arrays
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.outcome import Cell, Outcome, Table
from microdesign.experiments.base.trained import TrainedModels
from microdesign.experiments.forward.statistics_regression import StatisticsRegressor, StatisticsRegressorConfig
from microdesign.learning.data.feed import fit_standardization
from microdesign.microstructure.data.dataset import Dataset
from microdesign.surrogate.local import LocalSurrogate


class ForwardExperiment(ExperimentConfig, TrainedModels):
    """Networks, trained by the same loop, and regressors on two-point statistics."""

    what: Literal["forward"] = "forward"
    folder: str = Field("runs/forward", description="where tables, figures and predictions go")
    baselines: Mapping[str, StatisticsRegressorConfig] = Field(
        {
            "gradient boosting": StatisticsRegressorConfig(kind="gradient_boosting", components=50),
            "random forest": StatisticsRegressorConfig(kind="random_forest", components=25),
        },
        description="name -> regressor on principal components of two-point statistics",
    )


def run_forward(config: ForwardExperiment, folder: Path, uri: str, progress: Progress) -> Outcome:
    """Trains all models and compares their predictions; what was trained or predicted before is not done again.

    Raises:
        InputError: A setting, a data set or a model is not valid.
        MicrodesignError: A training failed.
    """
    names = config.wanted
    dataset = Dataset.open(config.train.dataset)
    bundles, left_out = config.bundles(folder / "models", uri, progress)
    test = dataset.load("test").with_known(names)
    true = test.property_table(names)
    columns = {name: bundle.properties for name, bundle in bundles.items()}
    predictions = {
        name: LocalSurrogate(bundle).predict(test.labels)[0][:, [columns[name].index(each) for each in names]]
        for name, bundle in bundles.items()
    }
    for name, settings in config.baselines.items():
        progress(f"baseline {name}")
        key = digest_json([settings.model_dump(mode="json"), names, dataset.manifest.digest])[:16]
        made = kept_arrays(
            folder / "predictions" / f"{key}.npz",
            lambda settings=settings: {"test": _baseline(settings, dataset, names, test.labels)},
        )
        predictions[name] = made["test"]
    return Outcome(
        tables={"forward": error_table(names, true, predictions)},
        figures={"forward": parity(names, true, predictions)},
        metrics={
            f"{name}_mape".replace(" ", "_").replace("+", "_"): float(mape(true, each).mean())
            for name, each in predictions.items()
        },
        details={"left_out": left_out, "models": {name: bundle.digest for name, bundle in bundles.items()}},
        tags={"dataset": dataset.manifest.digest},
    )


def mape(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean absolute relative error of each property, `(N, P) x 2 -> (P,)`."""
    return np.abs((predicted - true) / true).mean(0)


def error_table(names: tuple[str, ...], true: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Table:
    """MAPE of each property and their mean, in per cent, and the mean R2; predictions `(N, P)` by model."""
    rows: list[list[Cell]] = []
    for model, predicted in predictions.items():
        errors = 100 * mape(true, predicted)
        r2 = 1 - ((predicted - true) ** 2).sum(0) / ((true - true.mean(0)) ** 2).sum(0)
        rows.append([model, float(errors.mean()), *errors.tolist(), float(r2.mean())])
    return Table(("model", "MAPE / %, mean", *(f"{name} / %" for name in names), "R2, mean"), rows)


def parity(names: tuple[str, ...], true: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Figure:
    """Predicted over true values, a row for each model and a column for each property."""
    figure = Figure(figsize=(2.4 * len(names), 2.4 * len(predictions)), layout="constrained")
    grid = figure.subplots(len(predictions), len(names), squeeze=False)
    for line, (model, predicted) in zip(grid, predictions.items(), strict=True):
        for column, (axes, name) in enumerate(zip(line, names, strict=True)):
            axes.plot(true[:, column], predicted[:, column], ".", markersize=2, alpha=0.6)
            axes.axline((true[:, column].mean(),) * 2, slope=1, color="black", linewidth=0.6)
            axes.set_title(f"{model}: {name}", fontsize=8)
            axes.tick_params(labelsize=6)
    return figure


def _baseline(
    settings: StatisticsRegressorConfig, dataset: Dataset, names: tuple[str, ...], labels: np.ndarray
) -> np.ndarray:
    """What a regressor, fitted to the training split, says of images, `(N, P)`."""
    training = dataset.load("train").with_known(names)
    manifest = dataset.manifest
    standardization = fit_standardization(training.properties, manifest.shape, names, manifest.properties)
    regressor = StatisticsRegressor(settings, standardization)
    return regressor.fit(training.labels, training.property_table(names)).predict(labels)
