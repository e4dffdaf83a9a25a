"""The verdict of a campaign: whether the target is met, whether that is more than the data have, and what is possible.

Shapes: n designs, P target properties.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from microdesign.design.report.result_parts import ResultPart
from microdesign.design.target.pareto import front_numbers
from microdesign.design.target.target import Target

MOST_ROWS = 6
"""Rows of a trade-off at most."""
Kind = Literal["met", "met beyond the data", "not better than the data", "not met"]


class TradeOff(ResultPart):
    """One of the best compromises where goals cannot be had together."""

    values: dict[str, float] = Field(description="the target's properties by physics")
    error: float = Field(description="error of the worst one")
    source: Literal["design", "training image"]


class Verdict(ResultPart):
    """What a campaign's answer comes to.

    Attributes:
        kind: `met`: designs meet the target, and come closer than the training images. `met beyond the data`: no
            training image meets it. `not better than the data`: a training image is as close, or the only one that
            meets it. `not met`: nothing does.
        sentence: The same for people, with figures.
        suggestion: What could be asked instead; empty where the target is met.
        trade_offs: Compromises between the goals that cannot be had together, the nearest to the target first; none
            where it is met.
    """

    kind: Kind
    sentence: str
    suggestion: str = ""
    trade_offs: tuple[TradeOff, ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether anything meets the target, a training image included."""
        return self.kind != "not met"


def judge(target: Target, designs: np.ndarray, candidates: int, data: np.ndarray | None = None) -> Verdict:
    """Judges a campaign by what physics has found.

    Args:
        target: What was asked.
        designs: The target's properties of every evaluated design, `(n, P)`, finite, the constraints satisfied.
        candidates: How many distinct designs meet the target.
        data: The same of the training images that satisfy the constraints; None without labelled data.

    Returns:
        The verdict. Where the target is met by an optimum, closer means a better value of the optimised property.
    """
    known = np.empty((0, len(target.names))) if data is None else data[np.isfinite(data).all(1)]
    best, rival = _best(target, designs), _best(target, known)
    rival_error = None if rival is None else float(target.errors(rival[None])[0])
    if not candidates or best is None:
        if rival is not None and rival_error is not None and rival_error <= target.tolerance:
            sentence = f"Met by training images alone: the best of them {_how_near(target, rival)}"
            if best is not None:
                sentence += f", the best of {_count(len(designs), 'design')} {_how_near(target, best)}"
            return Verdict(kind="not better than the data", sentence=f"{sentence}.")
        return _not_met(target, designs, known)
    found = f"{_count(candidates, 'distinct design')}, the best of which {_how_near(target, best)}"
    if rival is None or rival_error is None:
        return Verdict(kind="met", sentence=f"Met: {found}.")
    others = f"the nearest of {len(known)} training images {_how_near(target, rival)}"
    if rival_error > target.tolerance:
        return Verdict(kind="met beyond the data", sentence=f"Met beyond the data: {found}; {others}.")
    ranks = target.ranks(np.stack([best, rival]))
    if ranks[0] < ranks[1]:
        return Verdict(kind="met", sentence=f"Met: {found}; {others}.")
    return Verdict(
        kind="not better than the data", sentence=f"Met, but not better than the training images: {found}; {others}."
    )


def _best(target: Target, values: np.ndarray) -> np.ndarray | None:
    return values[target.ranks(values).argmin()] if len(values) else None


def _how_near(target: Target, values: np.ndarray) -> str:
    """`is within 2.1 % of it`, `misses it by 7 %`, or, of optima that meet the other goals, `has kx/ky = 3.2`."""
    error = float(target.errors(values[None])[0])
    if target.senses.any() and error <= target.tolerance:
        chosen = np.flatnonzero(target.senses)
        return "has " + " and ".join(f"{target.names[i]} = {values[i]:.4g}" for i in chosen)
    if not error:
        return "meets it"
    return f"is within {error:.2%} of it" if error <= target.tolerance else f"misses it by {error:.2%}"


def _not_met(target: Target, designs: np.ndarray, known: np.ndarray) -> Verdict:
    """What is missed by how much, and what could be had."""
    both = np.concatenate([designs.reshape(-1, len(target.names)), known])
    if not len(both):
        return Verdict(
            kind="not met", sentence="Not met: physics has values of no design that satisfies the constraints."
        )
    source = ["design"] * len(designs) + ["training image"] * len(known)
    best = both[target.ranks(both).argmin()]
    binding = int(_misses(target, best[None])[0].argmax())
    name, goal = target.names[binding], target.goals[binding]
    of = [_count(len(designs), "design")] + ([f"{len(known)} training images"] if len(known) else [])
    sentence = (
        f"Not met: the nearest of {' and '.join(of)} misses {name} by {_misses(target, best[None])[0, binding]:.2%} "
        f"({best[binding]:.4g}; asked was {goal})."
    )
    return Verdict(
        kind="not met",
        sentence=sentence,
        suggestion=_suggestion(target, both, binding, source),
        trade_offs=_trade_offs(target, both, source),
    )


def _misses(target: Target, values: np.ndarray) -> np.ndarray:
    """Relative distance of each property from its goal, `(n, P)`."""
    return np.abs(target.deviations(values))


def _suggestion(target: Target, values: np.ndarray, binding: int, source: Sequence[str]) -> str:
    """What the binding property can be where the other goals are met."""
    name = target.names[binding]
    others = np.delete(np.arange(len(target.names)), binding)
    misses = _misses(target, values)
    allowed = np.array([target.tolerance if goal.tolerance is None else goal.tolerance for goal in target.goals])
    met = (misses[:, others] <= allowed[others]).all(1)
    if not len(others):
        return f"Ask for what was reached, {name} = {values[misses[:, binding].argmin(), binding]:.4g}."
    if not met.any():
        return "Not even the other goals were met together; widen the tolerance, or give up a goal."
    reached = np.flatnonzero(met)[misses[met, binding].argmin()]
    given = ", ".join(f"{target.names[i]} = {values[reached, i]:.4g}" for i in others)
    return f"At {given} a {source[reached]} reaches {name} = {values[reached, binding]:.4g}."


def _trade_offs(target: Target, values: np.ndarray, source: Sequence[str]) -> tuple[TradeOff, ...]:
    """The Pareto front of the misses, the nearest to the target first."""
    errors = target.errors(values)
    near = np.argsort(errors, kind="stable")[:2000]
    front = near[front_numbers(-_misses(target, values[near])) == 0]
    rows = front[np.unique(np.linspace(0, len(front) - 1, min(MOST_ROWS, len(front))).astype(int))]
    return tuple(
        TradeOff(
            values=dict(zip(target.names, values[row].tolist(), strict=True)),
            error=float(errors[row]),
            source="design" if source[row] == "design" else "training image",
        )
        for row in rows
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
