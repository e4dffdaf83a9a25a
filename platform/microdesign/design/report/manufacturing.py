"""How much of a candidate's properties survives its making: outlines that are moved, and rough ones.

Shapes: m candidates, X Y image, P target properties, V variants of a candidate.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from microdesign.core.metrics import relative_deviations, relative_spread
from microdesign.design.campaign.runners.evaluation import Evaluate
from microdesign.design.report.result_parts import Manufacturing
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.manufacturing import VARIANTS, by_variant, manufactured


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


def manufacturing_of(verified: Mapping[str, float], target: Target) -> Manufacturing | None:
    """The same of a design of a robust campaign, by what is on its record; None of another one."""
    variants = by_variant({name: np.array([value]) for name, value in verified.items()})
    if not variants:
        return None
    return _measured(target, np.concatenate([target.table(variants[each]) for each in VARIANTS]))


def _measured(target: Target, rows: np.ndarray) -> Manufacturing | None:
    """Of the properties `(V, P)` of a candidate's variants."""
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
