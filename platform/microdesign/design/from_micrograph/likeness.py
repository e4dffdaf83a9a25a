"""How alike to the micrograph designs have to be: as its windows are, or as the model's draws can be."""

import numpy as np
from numpy.typing import NDArray

from microdesign.core.progress import Progress
from microdesign.design.from_micrograph.config import MicrographConfig
from microdesign.design.from_micrograph.windows import Material
from microdesign.design.target.measures import distance_to_population
from microdesign.microstructure.data.dataset import Dataset

MOST_COMPARED = 200
"""Draws whose distance is measured."""
_LEAST_SHARE, _KEPT = 0.05, 0.2


def chosen_within(distances: NDArray[np.float64]) -> float:
    """Returns the largest distance of designs from the windows: 1; where hardly any draw is so near, what a fifth is.

    Example:
        >>> chosen_within(np.linspace(0.5, 1.5, 11)), chosen_within(np.linspace(2, 3, 11))
        (1.0, 2.2)
    """
    if (distances <= 1).mean() >= _LEAST_SHARE:
        return 1.0
    return float(np.ceil(100 * np.quantile(distances, _KEPT)) / 100)


def likeness_limit(config: MicrographConfig, material: Material, drawn: Dataset, progress: Progress) -> float | None:
    """Returns the distance that designs are held to, and says how near draws are; None where designs need not be alike.

    Args:
        config: Its `within` is taken where it is a number.
        material: The windows.
        drawn: The model's draws.
        progress: Takes the sentence.
    """
    if config.within is None:
        return None
    distances = distance_to_population(str(material.folder), phases=material.phases)(
        drawn.load(most=MOST_COMPARED).labels
    )
    within = chosen_within(distances) if config.within == "auto" else config.within
    near = 100 * (distances <= 1).mean()
    progress(
        f"draws are {np.median(distances):.2g} from the windows in the median, and {near:.0f} % "
        f"of them within 1, as 95 % of the windows are; designs are held to {within:g}"
    )
    if config.within == "auto" and within > 1:
        progress("that is looser than the windows, for the fine-tuning was short: more minutes bring draws nearer")
    return within
