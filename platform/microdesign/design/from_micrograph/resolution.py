"""Whether a micrograph's pixels resolve its material: what two discretizations say of the image itself."""

import math

from microdesign.core.progress import Progress
from microdesign.design.from_micrograph.preparation import Prepared
from microdesign.physics.effective_properties import homogenize
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_values


def tell_resolution(start: Prepared, materials: Materials, progress: Progress) -> None:
    """Says of which of the target's properties two discretizations of the micrograph are apart by more than allowed.

    A design has to meet the target by both. Where they differ by more than a tolerance on the micrograph itself,
    designs that look like it will differ too, and the user hears of it before half an hour is spent.

    Args:
        start: The micrograph, its properties by the first discretization, and the target.
        materials: The phases.
        progress: Told of properties that are apart by more than their tolerance.
    """
    other = homogenize(start.micrograph.labels, materials, boundary="mirror", discretization="rotated").properties
    for name, tolerance in zip(start.target.names, start.target.tolerances, strict=True):
        own, second = start.own.get(name, math.nan), float(property_values(other, name)[0])
        if own == 0 or not (math.isfinite(own) and math.isfinite(second)):
            continue
        gap = abs(second / own - 1)
        if gap > tolerance:
            progress(
                f"the pixels do not resolve the micrograph: its {name} is {own:.4g} by one discretization and "
                f"{second:.4g} by another, {gap:.0%} apart; a design has to be within {tolerance:.1%} by both, so "
                "take an image with smaller pixels, or a larger tolerance"
            )
