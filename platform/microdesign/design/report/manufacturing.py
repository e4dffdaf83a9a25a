"""How much of a candidate's properties survives its making: outlines that are moved, and rough ones.

Shapes: m candidates, X Y image, P target properties.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_dilation

from microdesign.core.metrics import relative_deviations, relative_spread
from microdesign.design.campaign.runners.evaluation import Evaluate
from microdesign.design.report.result_parts import Manufacturing
from microdesign.design.target.target import Target

REFINED = 2
"""Fine pixels a pixel: half a pixel is one of them."""
ROUGH = 4
"""Images with rough outlines, of each candidate."""
FLIPPED = 0.01
"""Share of the pixels along an outline that a rough one has in the other phase."""


def grown(labels: np.ndarray) -> np.ndarray:
    """A periodic two-phase image `(X, Y)` whose phase 1 has grown by a pixel along each axis, uint8 `(X, Y)`."""
    wide = np.pad(labels.astype(bool), 1, mode="wrap")
    inside = (slice(1, -1),) * labels.ndim
    return np.asarray(binary_dilation(wide)[inside]).astype(np.uint8)


def along_outlines(labels: np.ndarray) -> np.ndarray:
    """Which pixels of a periodic two-phase image `(X, Y)` have a neighbour of the other phase, bool `(X, Y)`."""
    return (grown(labels) != labels) | (grown(1 - labels) != 1 - labels)


def manufactured(labels: np.ndarray, seed: int) -> np.ndarray:
    """An image `(X, Y)` as it may come out, uint8 `(3 + ROUGH, 2 X, 2 Y)`.

    As it is, with phase 1 grown and shrunk by half a pixel, and with random pixels along the outlines in the other
    phase.
    """
    stream = np.random.default_rng([seed, 5])

    def refined(image: np.ndarray) -> np.ndarray:
        for axis in range(image.ndim):
            image = image.repeat(REFINED, axis)
        return image

    fine, places = refined(labels), np.flatnonzero(along_outlines(labels))
    rough = []
    for _ in range(ROUGH):
        image = labels.copy()
        image.flat[stream.permutation(places)[: max(1, round(FLIPPED * len(places)))]] ^= 1
        rough.append(refined(image))
    return np.stack([fine, grown(fine), 1 - grown(1 - fine), *rough])


def manufacturing(
    candidates: Sequence[np.ndarray], target: Target, evaluate: Evaluate, seed: int
) -> list[Manufacturing | None]:
    """What becomes of each candidate's properties, relative to the same image on the same fine grid.

    Args:
        candidates: Two-phase images uint8 `(X, Y)`.
        target: What was asked.
        evaluate: Physics.
        seed: Of the rough outlines.

    Returns:
        One for each candidate; None where physics has no value of one of its images.
    """
    if not candidates:
        return []
    table = target.table(evaluate(np.concatenate([manufactured(labels, seed) for labels in candidates])))
    return [_measured(target, rows) for rows in np.split(table, len(candidates))]


def _measured(target: Target, rows: np.ndarray) -> Manufacturing | None:
    if not np.isfinite(rows).all():
        return None

    def by_name(values: np.ndarray) -> dict[str, float]:
        return dict(zip(target.names, values.tolist(), strict=True))

    as_drawn, thicker, thinner, rough = rows[0], rows[1], rows[2], rows[3:]
    return Manufacturing(
        thicker=by_name(relative_deviations(thicker, as_drawn)),
        thinner=by_name(relative_deviations(thinner, as_drawn)),
        rough=by_name(relative_spread(np.concatenate([rows[:1], rough]))),
        worst_error=float(target.errors(rows).max()),
    )
