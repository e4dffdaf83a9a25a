"""What a campaign's answer comes to, from values of physics alone."""

from collections.abc import Sequence

import numpy as np

from microdesign.design.report.verdict import Values, Verdict
from microdesign.design.report.verdict import judge as judge_values
from microdesign.design.target.target import Target
from tests.cases import case

TARGET = Target(properties={"Ex": 2.0, "kx": 4.0}, tolerance=0.05)


def judge(
    target: Target, designs: Sequence[Sequence[float]] | np.ndarray, candidates: int, data: np.ndarray | None = None
) -> Verdict:
    """By one discretization, the candidates the best of the designs."""

    def values(rows: Sequence[Sequence[float]] | np.ndarray) -> Values:
        found = np.array(rows, float).reshape(-1, len(target.names))
        return Values(found, target.errors(found))

    found = values(designs)
    best = values(found.properties[np.argsort(target.ranks(found.properties))[:candidates]])
    return judge_values(target, found, best, None if data is None else values(data))


GOOD, FAIR, BAD = [2.02, 4.0], [2.0, 4.16], [2.5, 4.0]


def test_every_kind() -> None:
    for designs, candidates, data, kind, words in (
        ([GOOD, BAD], 1, None, "met", "Met: 1 distinct design, the best of which is within 1.00% of it."),
        ([GOOD, BAD], 1, [FAIR], "met", "the nearest of 1 training images is within 4.00% of it"),
        ([GOOD, FAIR], 2, [BAD], "met beyond the data", "Met beyond the data: 2 distinct designs"),
        ([FAIR], 1, [GOOD], "not better than the data", "Met, but not better than the training images"),
        (
            [BAD],
            0,
            [GOOD],
            "not better than the data",
            "Met by training images alone: the best of them is within 1.00% of it",
        ),
        ([BAD], 0, [[3.0, 4.0]], "not met", "misses Ex by 25.00% (2.5; asked was 2)"),
        ([BAD], 0, None, "not met", "Not met: the nearest of 1 design misses Ex"),
    ):
        with case(kind=kind, words=words):
            verdict = judge(TARGET, np.array(designs), candidates, None if data is None else np.array(data))
            assert verdict.kind == kind
            assert words in verdict.sentence
            assert verdict.is_met == (kind != "not met")
            assert bool(verdict.suggestion) == bool(verdict.trade_offs) == (kind == "not met")


def test_what_can_be_had_where_the_goals_exclude_each_other() -> None:
    """Ex + kx = 5: of either goal the other property says what it costs."""
    Ex = np.linspace(0.5, 4.5, 41)
    verdict = judge(TARGET, np.stack([Ex, 5 - Ex], axis=1), 0)
    assert verdict.suggestion == "At Ex = 1.9 a design reaches kx = 3.1."  # 1.9 is within tolerance
    values = [(each.values["Ex"], each.values["kx"]) for each in verdict.trade_offs]
    assert all(abs(sum(pair) - 5) < 1e-9 for pair in values)
    assert all(1 - 1e-9 <= ex <= 2 + 1e-9 for ex, _ in values)  # beyond either goal both get worse
    errors = [each.error for each in verdict.trade_offs]
    assert errors == sorted(errors)
    assert 2 <= len(values) <= 6
    alone = Target(properties={"Ex": {"at_least": 6.0}})
    assert judge(alone, Ex[:, None], 0).suggestion == "Ask for what was reached, Ex = 4.5."
    nothing = judge(TARGET, np.array([[1.0, 1.0]]), 0)
    assert nothing.suggestion == "Not even the other goals were met together; widen the tolerance, or give up a goal."


def test_of_an_optimum_the_better_value_counts() -> None:
    target = Target(properties={"Ex": {"at_least": 2.0}, "kx": {"maximize": True}})
    more, less = [2.1, 5.0], [2.3, 4.0]
    verdict = judge(target, np.array([less, more]), 1, np.array([less]))
    assert (verdict.kind, verdict.sentence) == (
        "met",
        "Met: 1 distinct design, the best of which has kx = 5; the nearest of 1 training images has kx = 4.",
    )
    assert judge(target, np.array([less]), 1, np.array([more])).kind == "not better than the data"


def test_without_any_value() -> None:
    verdict = judge(TARGET, np.empty((0, 2)), 0)
    assert verdict.kind == "not met"
    assert "physics has values of no design" in verdict.sentence


def test_what_counts_is_the_error_by_both_discretizations() -> None:
    """A training image that only one of them finds good does not meet the target, nor does a design."""
    designs, data = Values(np.array([GOOD, FAIR]), np.array([0.03, 0.04])), np.array([GOOD])
    for error, kind in ((0.02, "not better than the data"), (0.035, "met"), (0.06, "met beyond the data")):
        verdict = judge_values(TARGET, designs, designs, Values(data, np.array([error])))
        assert verdict.kind == kind, error
        assert f"training images {'misses it by' if error > 0.05 else 'is within'} {error:.2%}" in verdict.sentence
    refuted, none = Values(np.array([GOOD]), np.array([0.07])), Values(np.empty((0, 2)), np.empty(0))
    verdict = judge_values(TARGET, refuted, none)
    assert verdict.kind == "not met"
    assert "meets it by one discretization and misses it by 7.00% by another" in verdict.sentence
    assert "more pixels" in verdict.suggestion


def test_a_broken_bound_is_named_before_a_value_within_the_tolerance() -> None:
    target = Target.model_validate({"properties": {"Ex": 2.0, "kx": {"at_least": 4.0}}, "tolerance": 0.05})
    verdict = judge(target, [[1.95, 3.99]], 0)
    assert "misses kx by 0.25% (3.99; asked was" in verdict.sentence
