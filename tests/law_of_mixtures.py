"""A data set that a small model learns in seconds."""

from pathlib import Path

import numpy as np

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter


def law_of_mixtures(folder: Path, properties: tuple[str, ...]) -> Dataset:
    """120 random images of 16 x 16 pixels, whose properties all follow the law of mixtures."""
    stream = np.random.default_rng(0)
    phi = stream.uniform(0.2, 0.8, 120)
    labels = (stream.random((120, 16, 16)) < phi[:, None, None]).astype(np.uint8)
    writer = DatasetWriter(folder, settings={})
    values = dict.fromkeys(properties, 1 + 9 * phi)
    writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties=values))
    return writer.finish()
