"""How much a candidate can be trusted: redraws near its latent.

Shapes: n redraws, D latent, P target properties.
"""

import numpy as np

from microdesign.core.metrics import relative_spread
from microdesign.design.campaign.campaign_config import RobustnessConfig
from microdesign.design.campaign.runners.evaluation import Evaluate
from microdesign.design.report.result_parts import Robustness
from microdesign.design.target.target import Target
from microdesign.surrogate.protocol import Surrogate, decode_labels


def redraws(
    z: np.ndarray, std: np.ndarray, surrogate: Surrogate, config: RobustnessConfig, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Latents near `z` `(D,)` in a component of standard deviations `std` `(D,)`, `(n, D)`, and their decodes."""
    stream = np.random.default_rng([seed, 4])
    near = z + config.radius * std * stream.standard_normal((config.draws, len(z)))
    return near, decode_labels(surrogate, near)


def robustness(
    latents: np.ndarray,
    deviations: np.ndarray,
    surrogate: Surrogate,
    target: Target,
    evaluate: Evaluate,
    config: RobustnessConfig,
    seed: int,
) -> list[Robustness | None]:
    """The spread of the properties over redraws near each of m candidates.

    Args:
        latents: Latents of the candidates, `(m, D)`.
        deviations: Standard deviations of the component that each is from, `(m, D)`.
        surrogate: What decodes.
        target: What was asked.
        evaluate: Physics.
        config: How many redraws, and how near.
        seed: Of the redraws.

    Returns:
        One for each candidate; None if there are no redraws.
    """
    if not config.draws or not len(latents):
        return [None for _ in latents]
    images = np.concatenate(
        [redraws(z, std, surrogate, config, seed)[1] for z, std in zip(latents, deviations, strict=True)]
    )
    table = target.table(evaluate(images))
    solved, admitted = np.isfinite(table).all(1), target.admits(images)
    errors = target.errors(table)
    found: list[Robustness | None] = []
    for start in range(0, len(images), config.draws):
        mine = np.arange(start, start + config.draws)
        known = mine[solved[mine]]
        spread = relative_spread(table[known]) if len(known) else None
        found.append(
            Robustness(
                draws=len(known),
                spread={} if spread is None else dict(zip(target.names, spread.tolist(), strict=True)),
                worst_error=float(errors[known].max()) if len(known) else None,
                share_within=float((admitted & solved & (errors <= target.tolerance))[mine].mean()),
            )
        )
    return found
