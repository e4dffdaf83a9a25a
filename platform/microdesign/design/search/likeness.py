"""Of designs to choose from, those that look like the training images.

Shapes: n designs, `*N` image or volume.
"""

from collections.abc import Callable

import numpy as np

from microdesign.design.search.screening import Designs

Distance = Callable[[np.ndarray], np.ndarray]
"""Distance of images uint8 `(n, *N)` from a population, `(n,)`: 95 % of its members are within 1."""


def more_alike(designs: Designs, distance: Distance | None) -> Designs:
    """The designs within 1, as the population's own members are, or the nearer half where more are beyond it.

    So the search goes on also where what is asked is unlike the data. Images without a distance, of one phase, count as
    the farthest.

    Args:
        designs: To choose from.
        distance: From the training images; None leaves all.
    """
    if distance is None or not len(designs):
        return designs
    found = np.nan_to_num(distance(designs.labels), nan=np.inf, posinf=np.inf)
    known = found[np.isfinite(found)]
    limit = max(1.0, float(np.median(known))) if len(known) else np.inf
    return designs.select(np.flatnonzero(found <= limit))
