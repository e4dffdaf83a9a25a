"""Whether a micrograph's pixels resolve it: its own values by each discretization that will judge designs."""

from collections.abc import Mapping

import numpy as np

from microdesign.core.progress import Progress
from microdesign.design.campaign.discretizations import on_twice_the_pixels
from microdesign.design.from_micrograph.preparation import Prepared
from microdesign.design.target.like_with_like import OwnValue
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.execution.store import ResultStore, evaluate_stored
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_values


def own_values(start: Prepared, materials: Materials, store: ResultStore) -> dict[str, OwnValue]:
    """The micrograph's own values of the target's properties by each discretization, apparent ones (mirror boundaries).

    Properties without a value, or of value 0, by one of them are left out.

    Args:
        start: The micrograph and the target.
        materials: The phases.
        store: Of results, so that a run that goes on computes none twice.
    """
    first = FFTEvaluator(boundary="mirror")
    other = first.alternative
    labels = start.micrograph.labels
    fine = on_twice_the_pixels(labels)
    by_each = [
        evaluate_stored(evaluator, image[None], materials, store)
        for evaluator, image in ((first, labels), (other, labels), (first, fine), (other, fine))
    ]
    found = {}
    for name in start.target.names:
        values = np.array(
            [np.nan if given["error"][0] else float(property_values(given, name)[0]) for given in by_each]
        )
        if np.isfinite(values).all() and values.all():
            found[name] = OwnValue(**dict(zip(OwnValue.model_fields, values.tolist(), strict=True)))
    return found


def tell_resolution(start: Prepared, own: Mapping[str, OwnValue], progress: Progress) -> None:
    """Says of which of the target's properties two discretizations of the micrograph are apart by more than allowed.

    A design has to meet the target by both. Where they differ by more than a tolerance on the micrograph itself,
    designs that look like it will differ too, and the user hears of it before half an hour is spent. Goals relative to
    the micrograph are judged like with like, which is said as well.

    Args:
        start: The target, and which of its goals are relative.
        own: As `own_values` returns them.
        progress: Told of properties that are apart by more than their tolerance.
    """
    for name, tolerance in zip(start.target.names, start.target.tolerances, strict=True):
        if name not in own or (gap := abs(own[name].second / own[name].first - 1)) <= tolerance:
            continue
        apart = (
            f"the pixels do not resolve the micrograph: its {name} is {own[name].first:.4g} by one discretization and "
            f"{own[name].second:.4g} by another, {gap:.0%} apart; "
        )
        if name in start.relative:
            progress(f"{apart}each design is compared with it by both, value with value of the same discretization")
        else:
            progress(
                f"{apart}a design has to be within {tolerance:.1%} by both, so take an image with smaller pixels, a "
                f"larger tolerance, or a goal relative to the micrograph such as {name}=1.1x"
            )
