"""A campaign's initial design: draws from the prior, the promising ones with corrected conditions, and known images.

Shapes: n designs, s known images.
"""

from dataclasses import dataclass

import numpy as np

from microdesign.design.search.ascent import ascend
from microdesign.design.search.condition_correction import correct_towards
from microdesign.design.search.likeness import Distance, more_alike
from microdesign.design.search.sampling import Strata, sample_strata
from microdesign.design.search.screening import Designs, decode_designs, ranks, screen
from microdesign.design.target.target import Target
from microdesign.surrogate.protocol import Surrogate, decode_labels


@dataclass(frozen=True)
class CorrectionEffort:
    """How much condition correction the most promising draws get.

    Attributes:
        draws: How many of them are corrected; 0 corrects none.
        rounds: Corrections of each one's condition.
        steps: Gauss-Newton steps after these.
        ascent: Steps towards an optimum, in the place of all this, of an eighth as many.
        quantile: Share of a component's own draws that its density limit admits on the way there.
    """

    draws: int
    rounds: int
    steps: int = 0
    ascent: int = 0
    quantile: float = 0.999


@dataclass(frozen=True)
class InitialDesign:
    """Decoded draws that satisfy the constraints.

    Attributes:
        designs: All of them.
        preferred: Those to screen first. Where some were corrected it is these: among all of them the regressor would
            choose those on which it errs in the target's favour.
        points: Coordinates of `designs`, `(n, F)`, of which differences are distances.
        why_empty: One sentence if there are none.
    """

    designs: Designs
    preferred: Designs
    points: np.ndarray
    why_empty: str


def make_initial_design(
    target: Target,
    surrogate: Surrogate,
    strata: Strata,
    samples: int,
    correction: CorrectionEffort,
    seed: int,
    known_images: np.ndarray | None = None,
    distance: Distance | None = None,
) -> InitialDesign:
    """Draws from the strata, and corrects the conditions of the most promising draws.

    No condition is corrected where there is an optimum: the most promising draws and known images ascend to it by the
    model's Jacobian (`ascent.py`).

    Args:
        target: What is asked.
        surrogate: The model.
        strata: Where to draw.
        samples: About how many.
        correction: Of how many draws, and how often.
        seed: Of the draws.
        known_images: Images uint8 `(s, *N)` whose latents join them.
        distance: Of designs from the training images; the less alike are left out, see `more_alike`.
    """
    draws = sample_strata(strata, samples, seed)
    designs = preferred = more_alike(decode_designs(surrogate, target, draws.z, draws.component), distance)
    if len(designs) and correction.draws and not target.senses.any():
        best = designs.select(np.argsort(ranks(designs, target))[: correction.draws])
        z = correct_towards(target, surrogate, strata, best.z, best.component, correction.rounds, correction.steps)
        preferred = more_alike(decode_designs(surrogate, target, z, best.component), distance)
        designs = preferred.joined(designs)
    if known_images is not None:
        z = surrogate.encode(known_images)[0]
        nearest = strata.component[strata.log_density(z).argmax(1)]
        designs = preferred = decode_designs(surrogate, target, z, nearest).joined(designs)
    if target.senses.any() and len(designs) and correction.ascent:
        best = screen(designs, target, -(-correction.draws // 8))
        z = ascend(target, surrogate, strata, best.z, best.component, correction.ascent, correction.quantile, seed)
        preferred = decode_designs(surrogate, target, z, best.component)
        designs = preferred.joined(designs)
    why_empty = "" if len(designs) else _why_empty(target, decode_labels(surrogate, draws.z))
    preferred = preferred if len(preferred) else designs
    return InitialDesign(designs, preferred, target.coordinates(designs.labels), why_empty)


def _why_empty(target: Target, labels: np.ndarray) -> str:
    each = ", ".join(f"{name} by {count}" for name, count in target.constraint_counts(labels).items())
    what = f"of {len(labels)} each is satisfied: {each}"
    return f"No draw satisfies the target's constraints together; {what}; loosen the rarest."
