"""Goals relative to an image's own values."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from microdesign.core.errors import InputError
from microdesign.design.target.goal import Goal
from microdesign.design.target.relative import absolute, is_relative, resolve

CASES: list[tuple[Any, Any]] = [
    (2.4, 2.4),
    ("2.4", "2.4"),
    ("1.15x", 2.3),
    (" 1.15 x ", 2.3),
    ("1e-1x", 0.2),
    ("match", 2.0),
    ({"times": 0.5}, {"equals": 1.0}),
    ({"times": "0.5x", "tolerance": 0.01}, {"equals": 1.0, "tolerance": 0.01}),
    ({"plus": 0.5}, {"equals": 2.5}),
    ({"plus": -0.5, "within": 0.1}, {"equals": 1.5, "within": 0.1}),
    ({"equals": "match"}, {"equals": 2.0}),
    ({"at_least": "1.1x", "maximize": True}, {"at_least": 2.2, "maximize": True}),
    ({"between": ["0.9x", 2.5]}, {"between": [1.8, 2.5]}),
    ({"maximize": True}, {"maximize": True}),
]


def test_multiples_become_numbers_that_are_goals() -> None:
    for given, expected in CASES:
        found = absolute("Ex", given, 2.0)
        if isinstance(expected, dict):
            assert found.keys() == expected.keys(), given
            for key, value in expected.items():
                assert found[key] == pytest.approx(value), given
        else:
            assert found == (expected if isinstance(expected, str) else pytest.approx(expected)), given
        assert is_relative(given) == (found != given), given
        Goal.model_validate(found)
    assert resolve({"Ex": "2x", "kx": 3}, {"Ex": 1.5}) == {"Ex": 3.0, "kx": 3}


def test_what_is_no_multiple() -> None:
    for goal, own, message in (
        ("1.15x", math.nan, "the image has no value of it"),
        ("1.15x", 0.0, "the image's value is 0, which has no multiples"),
        ({"times": "much"}, 1.0, "'much' is no multiple; expected a number"),
        ({"times": True}, 1.0, "True is no multiple"),
        ({"times": 1.1, "equals": 2}, 1.0, "times and equals exclude each other"),
        ({"times": 1.1, "plus": 2}, 1.0, "times and plus exclude each other"),
        ({"plus": "much"}, 1.0, "plus 'much' is no number"),
        ("1e999x", 1.0, "'1e999x' is no multiple"),
    ):
        with pytest.raises(InputError, match=message):
            absolute("Ex", goal, own)


def test_a_goal_alone_knows_no_image() -> None:
    for goal in ("1.15x", "match", {"times": 2}, {"at_most": "2x"}):
        with pytest.raises(ValidationError, match="--from MICROGRAPH"):
            Goal.model_validate(goal)
