"""What a trained model is worth on held-out images: prediction, reconstruction, and the use of the prior's components.

Shapes: N images, P properties, K components, D latent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.metrics import normalized_mutual_info_score

from microdesign.learning import figures
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.dataset import Dataset
from microdesign.microstructure.manifest import SplitName
from microdesign.microstructure.statistics import two_point_distance
from microdesign.model.bundle import Bundle
from microdesign.model.losses.two_point import excess_cess
from microdesign.model.surrogate import LocalSurrogate, decode_labels


@dataclass(frozen=True)
class Evaluation:
    """Held-out results of a bundle.

    Attributes:
        data: The held-out images.
        properties: Names of the P properties.
        true, predicted, std: Property values, predicted means and standard deviations, each `(N, P)`, physical units.
        latent: Posterior means `(N, D)`.
        responsibilities: Share of each prior component in each image's latent, `(N, K)`.
        weights: Prior weights at each image's properties, `(N, K)`.
        reconstructions: Binarised decodes of the posterior means, uint8 `(N, X, Y)`.
        component_decodes: One decode of each component's mean at the median target, uint8 `(K, X, Y)`.
    """

    data: Microstructures
    properties: tuple[str, ...]
    true: np.ndarray
    predicted: np.ndarray
    std: np.ndarray
    latent: np.ndarray
    responsibilities: np.ndarray
    weights: np.ndarray
    reconstructions: np.ndarray
    component_decodes: np.ndarray

    @cached_property
    def metrics(self) -> dict[str, float]:
        """R2 and MAPE of each property, reconstruction errors, and the prior's diagnostics."""
        residual = ((self.predicted - self.true) ** 2).sum(0)
        r2 = 1 - residual / ((self.true - self.true.mean(0)) ** 2).sum(0)
        mape = (np.abs(self.predicted - self.true) / np.abs(self.true)).mean(0)
        values = {f"r2_{name}": float(v) for name, v in zip(self.properties, r2, strict=True)}
        values |= {f"mape_{name}": float(v) for name, v in zip(self.properties, mape, strict=True)}
        return values | self._reconstruction_metrics() | self._prior_metrics()

    def _reconstruction_metrics(self) -> dict[str, float]:
        images, decodes = self.data.indicator(), torch.from_numpy(self.reconstructions).float()[:, None]
        fraction_error = (images.mean((1, 2, 3)) - decodes.mean((1, 2, 3))).abs()
        return {
            "reconstruction_excess_cess_median": float(excess_cess(images, decodes).median()),
            "reconstruction_volume_fraction_error": float(fraction_error.mean()),
        }

    def _prior_metrics(self) -> dict[str, float]:
        shares = np.clip(self.responsibilities, 1e-12, 1)
        component = self.responsibilities.argmax(1)
        decodes = torch.from_numpy(self.component_decodes).float()
        k = len(decodes)
        pairs = [(i, j) for i in range(k) for j in range(i)]
        distances = [float(two_point_distance(decodes[i], decodes[j])) for i, j in pairs]
        values = {f"prior_weight_{i}": float(w) for i, w in enumerate(self.weights.mean(0))}
        return values | {
            "components_used": float((self.responsibilities.mean(0) > 0.5 / k).sum()),
            "responsibility_entropy": float(-(shares * np.log(shares)).sum(1).mean()),
            "component_class_mutual_information": float(normalized_mutual_info_score(self.data.classes, component)),
            "component_two_point_distance": float(np.mean(distances)) if distances else 0.0,
        }

    def figures(self) -> dict[str, Figure]:
        """Parity plots, reconstructions, the components' decodes and the latent map."""
        component = self.responsibilities.argmax(1)
        return {
            "parity": figures.parity(self.properties, self.true, self.predicted, self.std),
            "reconstructions": figures.gallery(self.data.labels[:8], self.reconstructions[:8]),
            "components": figures.component_gallery(self.component_decodes),
            "latent": figures.latent_map(self.latent, self.true[:, 0], self.properties[0], component),
        }


def summary(metrics: Mapping[str, float], properties: Sequence[str]) -> str:
    """One line for people: R2 and MAPE of each property."""
    return ", ".join(
        f"{name} R2 {metrics[f'r2_{name}']:.4f} MAPE {100 * metrics[f'mape_{name}']:.1f} %" for name in properties
    )


def evaluate_bundle(bundle: Bundle, dataset: Dataset, split: SplitName = "test") -> Evaluation:
    """Evaluates a bundle on a split of a data set that it was not trained on.

    Raises:
        InputError: The split is empty, or the data set lacks a property of the model.
    """
    data = dataset.load(split).with_known(bundle.properties)
    surrogate = LocalSurrogate(bundle)
    predicted, std = surrogate.predict(data.labels)
    latent, _ = surrogate.encode(data.labels)
    true = data.property_table(bundle.properties)
    c = torch.from_numpy(bundle.description.standardization.forward(true)).float()
    with torch.inference_mode():
        mixture = bundle.model.prior(c)
        responsibilities = mixture.joint_log_density(torch.from_numpy(latent).float()).softmax(-1)
    median = dict(zip(bundle.properties, np.median(true, axis=0).tolist(), strict=True))
    return Evaluation(
        data=data,
        properties=bundle.properties,
        true=true,
        predicted=predicted,
        std=std,
        latent=latent,
        responsibilities=responsibilities.numpy(),
        weights=mixture.log_weights.exp().numpy(),
        reconstructions=decode_labels(surrogate, latent),
        component_decodes=decode_labels(surrogate, surrogate.prior(median).mean),
    )
