"""The verdict of a campaign: whether the target is met, whether that is more than the data have, and what is possible.

Shapes: n designs, P target properties.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from microdesign.design.report.result_parts import ResultPart
from microdesign.design.target.pareto import front_numbers
from microdesign.design.target.target import Target

MOST_ROWS = 6
"""Rows of a trade-off at most."""
Kind = Literal["met", "met beyond the data", "not better than the data", "not met"]


class Values(NamedTuple):
    """What physics has found of designs.

    Attributes:
        properties: The target's, `(n, P)`, finite, of designs that satisfy the constraints.
        errors: Errors by which they count, `(n,)`: by the worse of two discretizations where a second was asked.
    """

    properties: np.ndarray
    errors: np.ndarray


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


def judge(target: Target, designs: Values, candidates: Values, data: Values | None = None) -> Verdict:
    """Judges a campaign by what physics has found.

    Args:
        target: What was asked.
        designs: Every evaluated design.
        candidates: Those that are delivered: distinct, and within the tolerance.
        data: The training images that satisfy the constraints; None without labelled data.

    Returns:
        The verdict. Where the target is met by an optimum, closer means a better value of the optimised property.
    """
    known = Values(np.empty((0, len(target.names))), np.empty(0)) if data is None else data
    rival, n = _best(target, known), len(candidates.errors)
    if not n:
        if rival is not None and rival.errors[0] <= target.tolerance:
            sentence = f"Met by training images alone: the best of them {_how_near(target, rival)}"
            if (best := _best(target, designs)) is not None:
                sentence += f", the best of {_count(len(designs.errors), 'design')} {_how_near(target, best)}"
            return Verdict(kind="not better than the data", sentence=f"{sentence}.")
        return _not_met(target, designs, known)
    best = _best(target, candidates)
    assert best is not None
    found = f"{_count(n, 'distinct design')}, the best of which {_how_near(target, best)}"
    if rival is None:
        return Verdict(kind="met", sentence=f"Met: {found}.")
    others = f"the nearest of {len(known.errors)} training images {_how_near(target, rival)}"
    if rival.errors[0] > target.tolerance:
        return Verdict(kind="met beyond the data", sentence=f"Met beyond the data: {found}; {others}.")
    two = (np.concatenate(pair) for pair in zip(best, rival, strict=True))
    ranks = target.ranks(*two)
    if ranks[0] < ranks[1]:
        return Verdict(kind="met", sentence=f"Met: {found}; {others}.")
    return Verdict(
        kind="not better than the data", sentence=f"Met, but not better than the training images: {found}; {others}."
    )


def _best(target: Target, values: Values) -> Values | None:
    """The best one alone; None of none."""
    if not len(values.errors):
        return None
    row = int(target.ranks(*values).argmin())
    return Values(values.properties[row : row + 1], values.errors[row : row + 1])


def _how_near(target: Target, best: Values) -> str:
    """`is within 2.1 % of it`, `misses it by 7 %`, or, of optima that meet the other goals, `has kx/ky = 3.2`."""
    error, values = float(best.errors[0]), best.properties[0]
    if target.senses.any() and error <= target.tolerance:
        chosen = np.flatnonzero(target.senses)
        return "has " + " and ".join(f"{target.names[i]} = {values[i]:.4g}" for i in chosen)
    if not error:
        return "meets it"
    return f"is within {error:.2%} of it" if error <= target.tolerance else f"misses it by {error:.2%}"


def _not_met(target: Target, designs: Values, known: Values) -> Verdict:
    """What is missed by how much, and what could be had."""
    both = Values(*(np.concatenate(pair) for pair in zip(designs, known, strict=True)))
    if not len(both.errors):
        return Verdict(
            kind="not met", sentence="Not met: physics has values of no design that satisfies the constraints."
        )
    values, n = both.properties, (len(designs.errors), len(known.errors))
    source = ["design"] * n[0] + ["training image"] * n[1]
    nearest = int(target.ranks(*both).argmin())
    misses = _misses(target, values[nearest : nearest + 1])[0]
    # A bound that is broken a little counts more than a value that is missed within the tolerance.
    binding = int(target.property_errors(values[nearest : nearest + 1])[0].argmax())
    name, goal = target.names[binding], target.goals[binding]
    of = [_count(n[0], "design")] + ([f"{n[1]} training images"] if n[1] else [])
    how = f"misses {name} by {misses[binding]:.2%} ({values[nearest, binding]:.4g}; asked was {goal})"
    if float(target.errors(values[nearest : nearest + 1])[0]) <= target.tolerance:
        how = f"meets it by one discretization and misses it by {both.errors[nearest]:.2%} by another"
        suggestion = "Its pixels do not resolve it: use a model of more pixels, or widen the tolerance."
    else:
        suggestion = _suggestion(target, values, binding, source)
    return Verdict(
        kind="not met",
        sentence=f"Not met: the nearest of {' and '.join(of)} {how}.",
        suggestion=suggestion,
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
    met = (misses[:, others] <= target.tolerances[others]).all(1)
    if not len(others):
        return f"Ask for what was reached, {name} = {values[misses[:, binding].argmin(), binding]:.4g}."
    if not met.any():
        return "Not even the other goals were met together; widen the tolerance, or give up a goal."
    reached = np.flatnonzero(met)[misses[met, binding].argmin()]
    given = ", ".join(f"{target.names[i]} = {values[reached, i]:.4g}" for i in others)
    return f"At {given} a {source[reached]} reaches {name} = {values[reached, binding]:.4g}."


def _trade_offs(target: Target, found: Values, source: Sequence[str]) -> tuple[TradeOff, ...]:
    """The Pareto front of the misses, the nearest to the target first."""
    values, errors = found
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
