"""Evaluation of a trained model on held-out images: prediction, reconstruction, use of the prior's components.

Shapes: N images, P properties (none for a model of images alone), K components, D latent, `*N` image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from matplotlib.figure import Figure

from microdesign.core.metrics import mape, r2
from microdesign.learning.evaluation import figures
from microdesign.learning.evaluation.held_out import excess, pairs_of
from microdesign.learning.evaluation.inverse_errors import inverse_errors
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitName
from microdesign.microstructure.statistics.similarity import two_point_distance
from microdesign.model.bundle import Bundle
from microdesign.model.calibration import LEVEL, Calibration
from microdesign.model.reference_set import MOST_SAMPLES, ReferenceSet
from microdesign.surrogate.intervals import OUT_OF_DISTRIBUTION, bounds_and_score
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels

_SHOWN, _DRAWS = 8, 6
_TARGETS, _DRAWS_PER_TARGET = 32, 4


@dataclass(frozen=True)
class Evaluation:
    """Held-out results of a bundle.

    Attributes:
        bundle: The model.
        data: The held-out images.
        true, predicted, std: Property values, predicted means and standard deviations, each `(N, P)`, physical units.
        limits: Calibrated bounds `lower` and `upper` `(N, P)` and score `out_of_distribution` `(N,)`, if any.
        latent: Posterior means `(N, D)`.
        responsibilities: Share of each prior component in each image's latent, `(N, K)`.
        weights: Prior weights at each image's properties, `(N, K)`.
        reconstructions: The binarized decodes of the posterior means, N images.
        component_decodes: The decode of each component's mean at the median target, K images.
        component_weights: Prior weights at the median target, `(K,)`.
        component_draws: `_DRAWS` draws from each component at the median target, in order of the components.
        inverse: Error of draws from the prior by the regressor, `(targets, draws)`; None without properties.
    """

    bundle: Bundle
    data: Microstructures
    true: np.ndarray
    predicted: np.ndarray
    std: np.ndarray
    limits: Mapping[str, np.ndarray]
    latent: np.ndarray
    responsibilities: np.ndarray
    weights: np.ndarray
    reconstructions: Microstructures
    component_decodes: Microstructures
    component_weights: np.ndarray
    component_draws: Microstructures
    inverse: np.ndarray | None

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the P properties."""
        return self.bundle.properties

    @cached_property
    def component(self) -> np.ndarray:
        """The component that each image's latent most likely belongs to, `(N,)`."""
        return self.responsibilities.argmax(1)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """R2, MAPE and coverage of each property, reconstruction errors, and the prior's diagnostics."""
        return self._property_metrics() | self._reconstruction_metrics() | self._prior_metrics()

    def _property_metrics(self) -> dict[str, float]:
        columns = {"r2": r2(self.true, self.predicted), "mape": mape(self.true, self.predicted)}
        if "lower" in self.limits:
            inside = (self.limits["lower"] <= self.true) & (self.true <= self.limits["upper"])
            columns["coverage"] = inside.mean(0)
        values = {
            f"{kind}_{name}": float(value)
            for kind, column in columns.items()
            for name, value in zip(self.properties, column, strict=True)
        }
        if "out_of_distribution" in self.limits:
            outside = self.limits["out_of_distribution"] > OUT_OF_DISTRIBUTION
            values["share_out_of_distribution"] = float(outside.mean())
        if self.bundle.reference_set is not None:
            outside = self.bundle.reference_set.latent_score(self.latent) > OUT_OF_DISTRIBUTION
            values["share_latent_out_of_distribution"] = float(outside.mean())
        if self.inverse is not None:
            values["inverse_error_predicted"] = float(np.median(self.inverse))
        return values

    def _reconstruction_metrics(self) -> dict[str, float]:
        found = excess(self.data, self.reconstructions)
        # Of two phases both errors are equal; of more, the mean over the phases.
        pairs = pairs_of(self.data, self.reconstructions)
        fraction_error = torch.cat([(x.flatten(2).mean(2) - y.flatten(2).mean(2)).abs() for x, y in pairs])
        return {
            "reconstruction_excess_cess_median": float(np.median(found)),
            "reconstruction_excess_cess_mean": float(found.mean()),
            "reconstruction_volume_fraction_error": float(fraction_error.mean()),
        }

    def _prior_metrics(self) -> dict[str, float]:
        from sklearn.metrics import normalized_mutual_info_score  # takes a second to import

        shares = np.clip(self.responsibilities, 1e-12, 1)
        decodes = self.component_decodes.indicator()
        k, dims = len(decodes), decodes.ndim - 2
        distances = [float(two_point_distance(decodes[i], decodes[j], dims).mean()) for i in range(k) for j in range(i)]
        values = {f"prior_weight_{i}": float(w) for i, w in enumerate(self.weights.mean(0))}
        return values | {
            "components_used": float((self.responsibilities.mean(0) > 0.5 / k).sum()),
            "responsibility_entropy": float(-(shares * np.log(shares)).sum(1).mean()),
            "component_class_mutual_information": float(
                normalized_mutual_info_score(self.data.classes, self.component)
            ),
            "component_two_point_distance": float(np.mean(distances)) if distances else 0.0,
        }

    def figures(self) -> dict[str, Figure]:
        """Parity and calibration, reconstructions with two-point maps, the prior's draws, its use, the latent map."""
        made = {}
        colours: dict[str, np.ndarray] = {"component": self.component}
        if any(self.data.classes):  # a data set need not name any
            colours["class"] = np.array(self.data.classes)
        description = self.bundle.description
        if self.properties:
            known, standard = description.calibration, description.standardization
            gaussian = (self.predicted - self.std, self.predicted + self.std)
            bounds = gaussian if known is None else (self.limits["lower"], self.limits["upper"])
            what = "one standard deviation" if known is None else f"{known.level:.0%} intervals"
            made["parity"] = figures.parity(self.properties, self.true, self.predicted, bounds, what)
            spread = self.std / standard.inverse_std(self.predicted, np.ones_like(self.std))
            scores = np.abs(standard.forward(self.true) - standard.forward(self.predicted)) / spread
            factors, level = (None, LEVEL) if known is None else (known.factors, known.level)
            made["calibration"] = figures.calibration(self.properties, scores, factors, level)
            colours = {self.properties[0]: self.true[:, 0], **colours}
        # Data sets are in order of their classes: at even distances, all of them are shown.
        shown = np.linspace(0, len(self.data) - 1, min(_SHOWN, len(self.data))).round().astype(int)
        return made | {
            "reconstructions": figures.reconstructions(self.data.select(shown), self.reconstructions.select(shown)),
            "components": figures.prior_gallery(self.component_draws, self.component_weights),
            "component_use": figures.component_use(self.weights, self.responsibilities, self.data.classes),
            "latent": figures.latent_map(self.latent, colours),
        }


def summary(metrics: Mapping[str, float], properties: Sequence[str]) -> str:
    """One line for people: R2 and MAPE of each property, or the error of reconstructions where there is none."""
    if not properties:
        return f"median excess CESS of reconstructions {metrics['reconstruction_excess_cess_median']:.4g}"
    return ", ".join(
        f"{name} R2 {metrics[f'r2_{name}']:.4f} MAPE {100 * metrics[f'mape_{name}']:.1f} %" for name in properties
    )


def complete(bundle: Bundle, dataset: Dataset) -> Bundle:
    """Adds to a trained model calibrated intervals and a reference set of its training data.

    Both are fitted to the validation split, which is neither trained nor tested on.

    Raises:
        InputError: A split is empty, or the data set lacks a property of the model.
    """
    surrogate, names = LocalSurrogate(bundle), bundle.properties
    training = dataset.load("train", MOST_SAMPLES)
    held_out = dataset.load("validation").with_known(names)
    reference_set = ReferenceSet.fit(
        training, surrogate.encode(training.labels), held_out, surrogate.encode(held_out.labels)
    )
    calibration = None
    if names:
        true = held_out.property_table(names)
        calibration = Calibration.fit(true, *surrogate.predict(held_out.labels), bundle.description.standardization)
    return Bundle(bundle.model, bundle.description.model_copy(update={"calibration": calibration}), reference_set)


def evaluate_bundle(bundle: Bundle, dataset: Dataset, split: SplitName = "test") -> Evaluation:
    """Evaluates a bundle on a split of a data set that it was not trained on.

    Raises:
        InputError: The split is empty, or the data set lacks a property of the model.
    """
    data, names = dataset.load(split).with_known(bundle.properties), bundle.properties
    surrogate = LocalSurrogate(bundle)
    predicted, std = surrogate.predict(data.labels)
    latent, _ = surrogate.encode(data.labels)
    true = data.property_table(names)
    c = torch.from_numpy(bundle.description.standardization.forward(true)).float()
    with torch.inference_mode():
        mixture = bundle.model.prior(c)
        responsibilities = mixture.joint_log_density(torch.from_numpy(latent).float()).softmax(-1)
    prior = surrogate.prior(dict(zip(names, np.median(true, axis=0).tolist(), strict=True)))
    stream = np.random.default_rng(0)
    noise = stream.standard_normal((len(prior.mean), _DRAWS, prior.mean.shape[1]))
    draws = (prior.mean[:, None] + prior.std[:, None] * noise).reshape(-1, prior.mean.shape[1])

    def decoded(z: np.ndarray, classes: tuple[str, ...] = ()) -> Microstructures:
        labels = decode_labels(surrogate, z)
        return Microstructures(labels=labels, n_phases=data.n_phases, classes=classes, **data.physical)

    targets = true[np.sort(stream.permutation(len(true))[:_TARGETS])]
    return Evaluation(
        bundle=bundle,
        data=data,
        true=true,
        predicted=predicted,
        std=std,
        limits=bounds_and_score(bundle, data.labels, predicted, std),
        latent=latent,
        responsibilities=responsibilities.numpy(),
        weights=mixture.log_weights.exp().numpy(),
        reconstructions=decoded(latent, data.classes),
        component_decodes=decoded(prior.mean),
        component_weights=prior.weights,
        component_draws=decoded(draws),
        inverse=inverse_errors(surrogate, targets, _DRAWS_PER_TARGET, 0) if names else None,
    )
