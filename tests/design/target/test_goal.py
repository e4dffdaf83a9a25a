import math

import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.design.target.goal import Goal


def test_a_goal_is_an_interval_and_a_sense() -> None:
    for given, low, high, sense, text, written in [
        (2.4, 2.4, 2.4, 0, "2.4", 2.4),
        ({"equals": 2.4}, 2.4, 2.4, 0, "2.4", 2.4),
        (
            {"equals": 0, "tolerance": 0.02},
            0,
            0,
            0,
            "0",
            {"equals": 0, "tolerance": 0.02},
        ),
        ({"at_least": 2}, 2, math.inf, 0, ">= 2", {"at_least": 2}),
        ({"at_most": 0}, -math.inf, 0, 0, "<= 0", {"at_most": 0}),
        ({"at_least": 1, "at_most": 2}, 1, 2, 0, "1 to 2", {"at_least": 1, "at_most": 2}),
        ({"between": [-1, 2]}, -1, 2, 0, "-1 to 2", {"between": [-1, 2]}),
        ({"maximize": True}, -math.inf, math.inf, 1, "max", {"maximize": True}),
        ({"minimize": True, "at_least": 3}, 3, math.inf, -1, "min, >= 3", {"minimize": True, "at_least": 3}),
        ({"equals": 2, "within": 0.1}, 2, 2, 0, "2 ± 0.1", {"equals": 2, "within": 0.1}),
        ({"prefer": "min"}, -math.inf, math.inf, 0, "rather small", {"prefer": "min"}),
        ({"prefer": "max", "at_most": 3}, -math.inf, 3, 0, "<= 3, rather large", {"prefer": "max", "at_most": 3}),
        ({"percentile": 90}, -math.inf, math.inf, 0, "90 % of the data", {"percentile": 90}),
    ]:
        goal = Goal.model_validate(given)
        assert (goal.low, goal.high, goal.sense, str(goal)) == (low, high, sense, text)
        assert goal.model_dump(mode="json") == written
        assert Goal.model_validate(written) == goal


def test_bad_goals() -> None:
    for given, message in [
        ({}, "nothing is asked; expected equals, at_least"),
        ({"tolerance": 0.1}, "nothing is asked"),
        ({"maximize": False}, "nothing is asked"),
        (float("nan"), "finite number"),
        ({"between": [1, float("inf")]}, "finite number"),
        ({"equals": 1, "at_most": 2}, "equals and at_most exclude each other"),
        ({"equals": 1, "maximize": True}, "equals and maximize exclude each other"),
        ({"between": [1, 2], "at_least": 1}, "between and at_least exclude each other"),
        ({"maximize": True, "minimize": True}, "maximize and minimize exclude each other"),
        ({"equals": 1, "tolerance": 0}, "tolerance 0 of equals is met by no design"),
        ({"at_least": 3, "at_most": 2}, "no value is at least 3 and at most 2"),
        ({"between": [2, 1]}, "no value is at least 2 and at most 1"),
        ({"equals": 1, "within": 0.1, "tolerance": 0.1}, "tolerance and within exclude each other"),
        ({"between": [1, 2], "within": 0.1}, "within goes with equals, at_least or at_most alone"),
        ({"within": 0.1}, "nothing is asked"),
        ({"equals": 1, "weight": 0.1}, "weight goes with prefer alone"),
        ({"equals": 1, "prefer": "min"}, "equals and prefer exclude each other"),
        ({"maximize": True, "prefer": "min"}, "maximize and prefer exclude each other"),
        ({"percentile": 90, "at_least": 1}, "percentile and at_least exclude each other"),
        ({"percentile": 100}, "percentile"),
        ({"at_leats": 3}, "unknown key 'at_leats'; did you mean 'at_least'"),
        (True, "is not valid"),
        ("stiff", "'equals' = 'stiff' is not valid"),
    ]:
        with pytest.raises(InputError, match=message):
            validate_config(Goal, given, "the goal")
