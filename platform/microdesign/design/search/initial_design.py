"""A campaign's first draws: latents of the prior, the promising ones aimed at the goals, and known images' latents.

Shapes: n designs, s images to start from.
"""

from dataclasses import dataclass

import numpy as np
import torch

from microdesign.design.search.condition_correction import aim_at
from microdesign.design.search.sampling import Strata, sample_strata
from microdesign.design.search.screening import Designs, decode_designs, ranks
from microdesign.design.target.targets import Target
from microdesign.microstructure.statistics.similarity import two_point_of
from microdesign.surrogate.protocol import Surrogate, decode_labels


@dataclass(frozen=True)
class FirstDraws:
    """Decoded draws that satisfy the constraints.

    Attributes:
        designs: All of them.
        likely: Those to screen first. Where some were aimed it is these: among all of them the regressor would choose
            what flatters it.
        statistics: Two-point statistics of `designs`, `(n, X, Y)`.
        complaint: What to say if there are none.
    """

    designs: Designs
    likely: Designs
    statistics: torch.Tensor
    complaint: str


def draw_first(
    target: Target,
    surrogate: Surrogate,
    strata: Strata,
    samples: int,
    aimed: int,
    rounds: int,
    steps: int,
    seed: int,
    starts: np.ndarray | None = None,
) -> FirstDraws:
    """Draws from the strata, and aims at the goals.

    Args:
        target: What is asked.
        surrogate: The model.
        strata: Where to draw.
        samples: About how many.
        aimed: Of those, the most promising, which are aimed; none where there is an optimum, which models know least.
        rounds: Corrections of each one's aim.
        steps: Steps down the model's slopes after these.
        seed: Of the draws.
        starts: Images `(s, X, Y)` whose latents join them.
    """
    draws = sample_strata(strata, samples, seed)
    designs = likely = decode_designs(surrogate, target, draws.z, draws.component)
    if len(designs) and aimed and not target.senses.any():
        best = designs.select(np.argsort(ranks(designs, target))[:aimed])
        z = aim_at(target, surrogate, strata, best.z, best.component, rounds, steps)
        likely = decode_designs(surrogate, target, z, best.component)
        designs = likely.joined(designs)
    if starts is not None:
        z = surrogate.encode(starts)[0]
        nearest = strata.component[strata.log_density(z).argmax(1)]
        designs = likely = decode_designs(surrogate, target, z, nearest).joined(designs)
    complaint = "" if len(designs) else _complaint(target, decode_labels(surrogate, draws.z))
    return FirstDraws(designs, likely if len(likely) else designs, two_point_of(designs.labels), complaint)


def _complaint(target: Target, labels: np.ndarray) -> str:
    each = ", ".join(f"{name} by {count}" for name, count in target.constraints.counts(labels).items())
    what = f"of {len(labels)} each is kept: {each}"
    return f"No draw satisfies the target's constraints together; {what}; loosen the rarest."
