"""How a training does as it goes: loss, R2 and MAPE on a fixed part of the validation split.

Shapes: N images, P properties.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from microdesign.core.metrics import mape, r2
from microdesign.learning.data.samples import Samples, usable
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.shards import unpack
from microdesign.model.networks.precision import mixed_precision
from microdesign.model.objective import Objective
from microdesign.model.standardization import Standardization

IMAGES = 128
"""Images of the validation split that are measured after each epoch: a few steps' worth of time."""


def monitored_images(dataset: Dataset, names: Sequence[str], most: int = IMAGES) -> Microstructures:
    """Reads a seeded choice of the images of the validation split whose named properties are known.

    Raises:
        InputError: The data set lacks a property, or no image has them all.
    """
    positions = usable(dataset, "validation", names)
    chosen = np.sort(np.random.default_rng(0).permutation(positions)[:most])
    samples = Samples.read(dataset, chosen)
    labels = unpack(samples.packed, samples.shape, samples.n_phases)
    return Microstructures(labels=labels, n_phases=samples.n_phases, properties=samples.properties)


class Monitor:
    """Measures a model on the same images each time; neither the model nor the random draws of training change.

    Of several workers all measure at once: a term of the objective takes the mean over workers.

    Args:
        data: Images that are not trained on, all properties known.
        standardization: Of the properties.
        batch_size: Images at a time, as in training.
        device: Where the model is.
        bf16: Whether the model computes in bf16, as in training.
        seed: Seed of the latent draws.
    """

    def __init__(
        self,
        data: Microstructures,
        standardization: Standardization,
        batch_size: int,
        device: torch.device,
        bf16: bool = False,
        seed: int = 0,
    ) -> None:
        self.standardization, self.bf16, self.seed = standardization, bf16, seed
        self._true = data.property_table(standardization.names)
        c = torch.from_numpy(standardization.forward(self._true)).float()
        self._batches: list[tuple[Tensor, Tensor]] = []
        for start in range(0, len(data), batch_size):
            part = slice(start, start + batch_size)
            self._batches.append((data.select(part).indicator().to(device), c[part].to(device)))

    @torch.inference_mode()
    def __call__(self, model: nn.Module, objective: Objective) -> Mapping[str, float]:
        """Returns `validation_loss`, the objective's mean over the images, with the regressor's own predictions of
        decodes; and `validation_r2`, `validation_mape`, means over the properties, with `validation_r2_NAME` of each.
        """
        training = model.training
        model.eval()
        total, predicted = 0.0, []
        devices = [] if self._batches[0][0].device.type == "cpu" else [self._batches[0][0].device]
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed)
            for x, c in self._batches:
                with mixed_precision(x.device, self.bf16):
                    outputs = model(x, c)
                total += len(x) * float(objective(outputs, x, c)["total"])
                predicted.append(outputs.properties.mean.float().cpu())
        model.train(training)
        values = {"validation_loss": total / len(self._true)}
        names = self.standardization.names
        if names:
            found = self.standardization.inverse(torch.cat(predicted).numpy())
            each = r2(self._true, found)
            values |= {"validation_r2": float(each.mean()), "validation_mape": float(mape(self._true, found).mean())}
            values |= {f"validation_r2_{name}": float(value) for name, value in zip(names, each, strict=True)}
        return values
