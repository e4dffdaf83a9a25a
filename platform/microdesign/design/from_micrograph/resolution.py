"""Whether a micrograph's pixels resolve it: its own values by each discretization that will judge designs."""

from collections.abc import Mapping, Sequence

import numpy as np

from microdesign.core.progress import Progress
from microdesign.core.properties import is_signed
from microdesign.design.campaign.discretizations import on_twice_the_pixels
from microdesign.design.from_micrograph.preparation import Prepared
from microdesign.design.target.like_with_like import OwnValue
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.execution.store import ResultStore, evaluate_stored
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_values

MOST_PIXELS = 2**22
"""Pixels of a micrograph with twice as many along each axis that is solved: a minute or two of a core, and 1 GB."""


def second_values(start: Prepared, materials: Materials, store: ResultStore) -> dict[str, float]:
    """The target's properties of the micrograph by another discretization, by mirror boundaries; NaN without a value.

    Args:
        start: The micrograph and the target.
        materials: The phases.
        store: Of results, so that a run that goes on computes none twice.
    """
    other = FFTEvaluator(boundary="mirror").alternative
    return _values(other, start.micrograph.labels, start.target.names, materials, store)


def own_values(
    start: Prepared, second: Mapping[str, float], materials: Materials, store: ResultStore, progress: Progress
) -> dict[str, OwnValue]:
    """The micrograph's own values by each discretization, of the goals that are multiples of them.

    Properties that may be negative, and those without a positive value by one of the discretizations, are left out, and
    so are all of a micrograph that has more than `MOST_PIXELS` at twice the resolution.

    Args:
        start: The micrograph, its properties by the first discretization, and which goals are relative.
        second: As `second_values` returns them.
        materials: The phases.
        store: Of results.
        progress: Told of goals that are judged as numbers in spite of being relative.
    """
    names = [name for name in start.relative if not is_signed(name)]
    found = {}
    most = MOST_PIXELS // 2**start.micrograph.dims
    if names and start.micrograph.labels.size <= most:
        fine, first = on_twice_the_pixels(start.micrograph.labels), FFTEvaluator(boundary="mirror")
        by_each = [_values(each, fine, names, materials, store) for each in (first, first.alternative)]
        for name in names:
            values = (start.own[name], second[name], *(each[name] for each in by_each))
            if all(np.isfinite(value) and value > 0 for value in values):
                found[name] = OwnValue(**dict(zip(OwnValue.model_fields, values, strict=True)))
    if left := [name for name in start.relative if name not in found]:
        progress(
            f"{', '.join(left)}: judged as a number by every discretization, not beside the micrograph's value by the "
            f"same one, which takes a positive value by each and a micrograph of at most {most} pixels"
        )
    return found


def tell_resolution(
    start: Prepared, second: Mapping[str, float], like_with_like: Sequence[str], progress: Progress
) -> None:
    """Says of which of the target's properties two discretizations of the micrograph are apart by more than allowed.

    A design has to meet the target by both. Where they differ by more than a tolerance on the micrograph itself,
    designs that look like it will differ too, and the user hears of it before half an hour is spent.

    Args:
        start: The target, and the micrograph's properties by the first discretization.
        second: As `second_values` returns them.
        like_with_like: Properties that each discretization compares with the micrograph's own value by the same one.
        progress: Told of properties that are apart by more than their tolerance.
    """
    for name, tolerance in zip(start.target.names, start.target.tolerances, strict=True):
        own, other = start.own[name], second[name]
        if own == 0 or not np.isfinite([own, other]).all() or (gap := abs(other / own - 1)) <= tolerance:
            continue
        apart = (
            f"the pixels do not resolve the micrograph: its {name} is {own:.4g} by one discretization and "
            f"{other:.4g} by another, {gap:.0%} apart; "
        )
        if name in like_with_like:
            progress(f"{apart}each design is compared with it by both, value with value of the same discretization")
        else:
            progress(
                f"{apart}a design has to be within {tolerance:.1%} by both, so take an image with smaller pixels, a "
                f"larger tolerance, or a goal relative to the micrograph such as {name}=1.1x"
            )


def _values(
    evaluator: FFTEvaluator, labels: np.ndarray, names: Sequence[str], materials: Materials, store: ResultStore
) -> dict[str, float]:
    given = evaluate_stored(evaluator, labels[None], materials, store)
    if given["error"][0]:
        return dict.fromkeys(names, np.nan)
    return {name: float(property_values(given, name, labels.ndim)[0]) for name in names}
