"""Models side by side on one test set: the same images, the same targets, the same seeds.

Shapes: M models, N images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from microdesign.core.errors import InputError
from microdesign.core.pixels import check_edges
from microdesign.learning.evaluation.held_out import HeldOut, reconstruction_excess
from microdesign.learning.evaluation.metrics import LARGER_IS_BETTER, NEEDS_PROPERTIES
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.physics.evaluators.protocol import Evaluator
from microdesign.physics.materials import materials_from
from microdesign.surrogate.local import LocalSurrogate

_TARGETS, _DRAWS = 64, 4


@dataclass(frozen=True)
class Comparison:
    """Metrics of M models on the same N test images.

    Attributes:
        metrics: Name of a model -> `mape`, `r2`, `excess_cess`, `inverse_error` as in `metrics.MEANING`; a model
            without properties has the third alone.
        excess: Excess CESS of each reconstruction, `(M, N)`.
    """

    metrics: Mapping[str, Mapping[str, float]]
    excess: np.ndarray

    @property
    def wins(self) -> np.ndarray:
        """Share of the images that model a reconstructs with less excess CESS than model b, `(M, M)`; a tie is half."""
        a, b = self.excess[:, None], self.excess[None]
        return (a < b).mean(-1) + 0.5 * (a == b).mean(-1)

    def is_worse(self, name: str, than: str, by: str) -> bool:
        """Whether a model is worse than another by a metric.

        Raises:
            InputError: One of them has no such metric.
        """
        for model in (name, than):
            if by not in self.metrics[model]:
                known = ", ".join(self.metrics[model])
                raise InputError(f"The {model} has no metric '{by}'; expected one of {known}.")
        sign = -1 if by in LARGER_IS_BETTER else 1
        # Not >: a NaN is worse than any number.
        return not sign * self.metrics[name][by] <= sign * self.metrics[than][by]

    def figure(self) -> Figure:
        """Histograms of excess CESS and of its logarithm, with their medians, and the matrix of `wins`."""
        names = list(self.metrics)
        figure = Figure(figsize=(16, 4.5), layout="constrained")
        plain, logarithmic, right = figure.subplots(1, 3)
        # A few images far off would leave the others a single bar.
        near = np.minimum(self.excess, np.quantile(self.excess, 0.99))
        _histograms(plain, names, near, "excess CESS (the last bar: and more; dashed: median)")
        _histograms(logarithmic, names, np.log10(np.maximum(self.excess, 1e-12)), "log10 of excess CESS")
        right.imshow(self.wins, cmap="RdBu", vmin=0, vmax=1)
        for (i, j), share in np.ndenumerate(self.wins):
            right.text(j, i, f"{share:.3f}", ha="center", va="center", fontsize=8)
        right.set_xticks(range(len(names)), names, rotation=30, ha="right")
        right.set_yticks(range(len(names)), names)
        right.set_title("share of images where the row beats the column", fontsize=9)
        return figure


def _histograms(axes: Axes, names: Sequence[str], rows: np.ndarray, label: str) -> None:
    bins = np.linspace(rows.min() - 1e-6, rows.max() + 1e-6, 40)
    for name, values, colour in zip(names, rows, _colours(len(names)), strict=True):
        axes.hist(values, bins.tolist(), histtype="step", color=colour, label=name)
        axes.axvline(float(np.median(values)), color=colour, linestyle="--", linewidth=0.8)
    axes.set(xlabel=label, ylabel="test images")
    axes.legend(fontsize=8)


def compare(bundles: Mapping[str, Bundle], dataset: Dataset, evaluator: Evaluator | None = None) -> Comparison:
    """Compares models on the test split.

    Args:
        bundles: The models by name.
        dataset: A data set with the properties of all of them.
        evaluator: Computes the properties of draws from the prior, of the data set's materials; each model's own
            regressor predicts them when None.

    Raises:
        InputError: The data set lacks a property of a model, its images do not fit, or the evaluator is given and the
            data set states no materials.
    """
    names = sorted({name for bundle in bundles.values() for name in bundle.properties})
    data = dataset.load("test")
    data = data.with_known(names) if names else data
    materials = None if evaluator is None else materials_from(dataset.manifest.materials, str(dataset.folder))
    metrics, excess = {}, []
    for model, bundle in bundles.items():
        description = bundle.description
        check_edges(dataset.manifest.edges, description.aspect, str(dataset.folder))
        held_out = HeldOut(data, description.standardization, _TARGETS, _DRAWS, evaluator, materials)
        wanted = [name for name in NEEDS_PROPERTIES if bundle.properties]
        found = held_out.metrics(bundle.model, wanted)
        excess.append(reconstruction_excess(LocalSurrogate(bundle), data))
        metrics[model] = {**found, "excess_cess": float(np.median(excess[-1]))}
    return Comparison(metrics, np.stack(excess))


def _colours(n: int) -> list[str]:
    return [f"C{number % 10}" for number in range(n)]
