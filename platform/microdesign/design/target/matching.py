"""A target from an image: its own properties, computed by the campaign's physics."""

import math
from collections.abc import Sequence

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.core.properties import is_signed
from microdesign.design.target.goal import Goal
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.protocol import Evaluator, evaluate_each, for_images
from microdesign.physics.label_images import read_labels
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_values


def match(
    target: Target, names: Sequence[str], evaluator: Evaluator, materials: Materials, progress: Progress = silent
) -> Target:
    """Returns the target with the properties of the image `target.match`, which then is None.

    Goals that the target states itself stay; every other one of `names` shall equal the image's value. An image that is
    not periodic has mirror boundaries, unless the evaluator says otherwise, whatever designs are evaluated with.

    Raises:
        InputError: The file does not hold one image of these phases, or physics has no value for it.
    """
    if target.match is None:
        return target
    images = read_labels(target.match, target.dims)
    if len(images) != 1 or images[0].labels.ndim != target.dims:
        expected = "image (X, Y)" if target.dims == 2 else "volume (X, Y, Z)"
        raise InputError(f"{target.match}: holds {len(images)} images; expected one {expected} to match.")
    (image,) = images
    labels = image.labels[None]
    if (n := int(labels.max()) + 1) > len(materials.phases):
        raise InputError(f"{target.match}: has labels up to {n - 1}; expected phases 0 to {len(materials.phases) - 1}.")
    physics = for_images(evaluator, image.periodic, image.spacing or ())
    if boundary := getattr(physics, "boundary", ""):
        progress(f"the properties of {target.match} are those with {boundary} boundaries")
    values = evaluate_each(physics, labels, materials)
    if values["error"][0]:
        raise InputError(f"{target.match}: physics has no answer for it ({values['error'][0]}).")
    given = {name: array for name, array in values.items() if name != "error"}
    matched = {
        name: float(property_values(given, name, target.dims)[0]) for name in names if name not in target.properties
    }
    for name, value in matched.items():
        if math.isnan(value) or (value == 0 and not is_signed(name)):
            found = "not defined" if math.isnan(value) else "0"
            raise InputError(
                f"{target.match}: {name} is {found}, for its solid does not hang together; expected an image with a "
                f"value to match, or a goal for {name} in the target's properties."
            )
    goals = {name: Goal(equals=value) for name, value in matched.items()}
    return target.model_copy(update={"properties": {**goals, **target.properties}, "match": None})
