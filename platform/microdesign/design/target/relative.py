"""Goals relative to an image: `Ex: {times: 1.15}`, `Ex: {plus: 0.3}`, `kx: match`, `ky: {at_most: 1.2x}`.

A number may be written as a multiple of the image's own value, `1.15x`, or as `match`, which is `1x`. `times: 1.15` is
short for `equals: 1.15x`; `plus: 0.3` equals the image's value and 0.3 more, in the unit of the property.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from microdesign.core.errors import InputError
from microdesign.core.properties import is_signed

MATCH, TIMES, PLUS = "match", "times", "plus"
_MULTIPLE = re.compile(r"\s*([-+0-9.eE]+)\s*x\s*")
_VALUES = ("equals", "at_least", "at_most", "between")
"""Keys of a goal with values of the property."""
_EXPECTED = "a number, a multiple of the image's value such as 1.15x, or match"


def is_relative(goal: Any) -> bool:
    """Whether a goal, as a user writes it, refers to an image's own value.

    Example:
        >>> [is_relative(goal) for goal in (2.4, "1.15x", {"times": 0.9}, {"at_least": "match"}, {"at_most": 3})]
        [False, True, True, True, False]
    """
    if isinstance(goal, Mapping):
        return TIMES in goal or PLUS in goal or any(is_relative(value) for value in goal.values())
    if isinstance(goal, list | tuple):
        return any(is_relative(value) for value in goal)
    return isinstance(goal, str) and (goal.strip() == MATCH or _MULTIPLE.fullmatch(goal) is not None)


def is_wholly_relative(goal: Any) -> bool:
    """Whether every value that a goal asks for is a multiple of an image's own value.

    Example:
        >>> goals = ("1.15x", {"times": 0.9, "tolerance": 0.01}, {"between": ["match", 4]}, {"maximize": True})
        >>> [is_wholly_relative(goal) for goal in goals]
        [True, True, False, False]
    """
    if isinstance(goal, Mapping):
        asked = [value for key, value in goal.items() if key in _VALUES]
        return PLUS not in goal and (TIMES in goal or (bool(asked) and all(map(is_wholly_relative, asked))))
    if isinstance(goal, list | tuple):
        return all(map(is_wholly_relative, goal))
    return is_relative(goal)


def absolute(name: str, goal: Any, own: float) -> Any:
    """Returns a goal with numbers in the place of multiples.

    Args:
        name: Of the property, for errors.
        goal: As a user writes it.
        own: The image's value of the property.

    Raises:
        InputError: A multiple is no number, or the image's value is none.

    Example:
        >>> absolute("Ex", "1.5x", 2.0), absolute("Ex", {"times": 1.5, "tolerance": 0.01}, 2.0)
        (3.0, {'equals': 3.0, 'tolerance': 0.01})
        >>> absolute("kx", {"between": ["match", 4]}, 2.0)
        {'between': [2.0, 4]}
    """
    if not is_relative(goal):
        return goal
    if not math.isfinite(own):
        raise InputError(f"{name}: the image has no value of it, so that {goal!r} means nothing; give a number.")
    if own == 0 and not is_signed(name) and not (isinstance(goal, Mapping) and PLUS in goal):
        raise InputError(f"{name}: the image's value is 0, which has no multiples; give a number.")
    if isinstance(goal, Mapping):
        if len(given := [key for key in (TIMES, PLUS, "equals") if key in goal]) > 1:
            raise InputError(f"{name}: {given[0]} and {given[1]} exclude each other; give one.")
        equal = {TIMES: lambda value: _factor(name, value) * own, PLUS: lambda value: own + _difference(name, value)}
        return {
            "equals" if key in equal else key: equal[key](value) if key in equal else absolute(name, value, own)
            for key, value in goal.items()
        }
    if isinstance(goal, list | tuple):
        return [absolute(name, value, own) for value in goal]
    return own if goal.strip() == MATCH else _factor(name, goal) * own


def resolve(goals: Mapping[str, Any], own: Mapping[str, float]) -> dict[str, Any]:
    """Returns goals with numbers in the place of multiples of an image's own values; see `absolute`.

    Raises:
        InputError: A multiple is no number, or the image has no value of its property.
    """
    return {str(name): absolute(name, goal, own.get(name, math.nan)) for name, goal in goals.items()}


def _difference(name: str, value: Any) -> float:
    try:
        if not isinstance(value, bool) and math.isfinite(number := float(value)):
            return number
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name}: plus {value!r} is no number; expected what the image's value is to be raised by.")


def _factor(name: str, value: Any) -> float:
    match = _MULTIPLE.fullmatch(value) if isinstance(value, str) else None
    text = match.group(1) if match else value
    try:
        if not isinstance(text, bool) and math.isfinite(factor := float(text)):
            return factor
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name}: {value!r} is no multiple; expected {_EXPECTED}.")
