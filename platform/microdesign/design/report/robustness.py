"""How much a candidate can be trusted: redraws near its latent, and another discretization of its image.

Shapes: n redraws, D latent, P target properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from microdesign.core.metrics import relative_deviations, relative_spread
from microdesign.design.campaign.campaign_config import RobustnessConfig
from microdesign.design.campaign.runners.evaluation import Evaluate
from microdesign.design.report.result_parts import Robustness
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.protocol import Evaluator, evaluate_each
from microdesign.physics.materials import Materials
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


@dataclass(frozen=True)
class Discretization:
    """A design by two discretizations.

    Attributes:
        gap: How far they are apart, relative to the evaluator's own value, for each target property.
        holds: Whether the target is met by both.
    """

    gap: dict[str, float]
    holds: bool


def other_discretization(
    labels: np.ndarray, verified: Mapping[str, float], target: Target, evaluator: Evaluator, materials: Materials
) -> Discretization | None:
    """Compares an image `(X, Y)` by the evaluator's own discretization and by its `alternative`.

    Only the latter is computed; `verified` holds what the evaluator itself found. None for an evaluator without an
    alternative, and where that has no answer.
    """
    alternative = getattr(evaluator, "alternative", None)
    if alternative is None:
        return None
    values = evaluate_each(alternative, labels[None], materials)
    if values["error"][0]:
        return None
    one = target.table({name: np.array([value]) for name, value in verified.items()})[0]
    other = target.table(values)[0]
    gaps = np.abs(relative_deviations(other, one))
    holds = bool((target.errors(np.stack([one, other])) <= target.tolerance).all())
    return Discretization(dict(zip(target.names, gaps.tolist(), strict=True)), holds)
