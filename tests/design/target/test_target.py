import numpy as np
import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.metrics import worst_errors
from microdesign.design.target.target import Target


def test_error_is_that_of_the_worst_property() -> None:
    target = Target(properties={"Ex": 2.0, "vxy": -0.1})
    assert target.errors(np.array([[2.1, -0.1], [2.0, -0.08]])) == pytest.approx([0.05, 0.2])
    assert target.deviations(np.array([[2.0, -0.08]]))[0] == pytest.approx([0.0, 0.2])


def test_an_error_is_the_same_everywhere_also_at_and_near_zero() -> None:
    """Relative to the goal, and the difference itself from a goal of 0."""
    for goal, value, error in ((2.0, 2.1, 0.05), (-0.1, -0.08, 0.2), (0.0, 0.001, 0.001), (1e-3, 2e-3, 1.0)):
        found = Target(properties={"vxy": goal}).errors(np.array([[value]]))
        assert found == pytest.approx([error]), goal
        assert worst_errors(np.array([[value]]), np.array([[goal]])) == pytest.approx(found), goal


def test_a_bound_that_holds_costs_nothing_and_one_that_does_not_is_no_match() -> None:
    target = Target(properties={"ky": {"at_most": 8}, "Gxy": {"between": [1, 2]}, "vxy": {"at_most": 0}}, tolerance=0.1)
    values = np.array([[7, 1.5, -0.2], [8, 1, 0], [8.08, 2, 0], [8, 0.9, 0.3]])
    expected = [[0, 0, 0], [0, 0, 0], [0.01, 0, 0], [0, -0.1, 0.3]]
    assert target.deviations(values) == pytest.approx(np.array(expected))
    assert target.errors(values) == pytest.approx([0, 0, 0.11, 0.4])


def test_a_goal_may_have_a_tolerance_of_its_own() -> None:
    properties = {"Ex": {"equals": 2, "tolerance": 0.01}, "ky": {"at_most": 8, "tolerance": 0.1}, "kx": 1}
    target = Target(properties=properties, tolerance=0.05)
    values = np.array([[2.02, 8, 1], [2, 8.8, 1], [2, 8, 1.05], [2.04, 8, 1]])
    assert target.errors(values) == pytest.approx([0.05, 0.05, 0.05, 0.1])


def test_objectives_are_maximised() -> None:
    target = Target(properties={"Ex": 2.0, "kx": {"maximize": True}, "ky": {"minimize": True, "at_least": 1}})
    values = np.array([[2.0, 5.0, 3.0], [2.0, 4.0, 0.9]])
    assert target.objectives(values).tolist() == [[5, -3], [4, -0.9]]
    assert target.errors(values) == pytest.approx([0, 0.05 + 0.1])
    assert Target(properties={"Ex": 2.0}).objectives(values[:, :1]).shape == (2, 0)


def test_ranks() -> None:
    by_error = Target(properties={"Ex": 2.0})
    assert by_error.ranks(np.array([[2.5], [2.0], [1.9]])).tolist() == [2, 0, 1]
    best = Target(properties={"Ex": 2.0, "kx": {"maximize": True}})
    assert best.ranks(np.array([[2.0, 1.0], [2.05, 3.0], [3.0, 9.0], [2.5, 9.0]])).tolist() == [1, 0, 3, 2]
    front = Target(properties={"Ex": {"maximize": True}, "kx": {"maximize": True}})
    ranks = front.ranks(np.array([[1, 1], [3, 1], [1, 3], [2, 2.0]]))
    assert ranks[0] == 3
    assert ranks[3] == 2  # the ends of the front stand alone


def test_quotients_and_derived_properties() -> None:
    target = Target(properties={"kx/ky": {"at_least": 2}, "K": 3.0})
    values = {"kx": np.array([4.0]), "ky": np.array([2.0]), "Ex": np.array([2.0]), "Ey": np.array([2.0])}
    values["vxy"] = np.array([0.5])
    assert target.table(values) == pytest.approx(np.array([[2.0, 2.0]]))  # K = E / (2 (1 - nu)) of an isotropic plate
    with pytest.raises(InputError, match="'Gxy' is not at hand"):
        Target(properties={"Gxy": 1}).table(values)


def test_volume_fraction_is_checked_on_the_image() -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    images[1, :2] = 1
    images[2] = 1
    target = Target(properties={"Ex": 1}, constraints={"volume_fraction": (0.1, 0.5)})
    assert target.admits(images).tolist() == [False, True, False]
    assert target.constraint_values(images)["volume_fraction"].tolist() == [0, 0.5, 1]


def test_bad_targets() -> None:
    for values, message in [
        ({"properties": {}}, "properties"),
        ({"properties": {"Ex": 0}}, "Ex = 0.*other than 0"),
        ({"properties": {"kx/ky": 0}}, "kx/ky = 0.*other than 0"),
        ({"properties": {"Ex": float("nan")}}, r"properties\.Ex.*nan"),
        ({"properties": {"Ex": {"at_most": 1, "at_least": 2}}}, "no value is at least 2 and at most 1"),
        ({"properties": {"Ex": 1}, "constraints": {"volume_fraction": [0.6, 0.4]}}, "low < high"),
        ({"properties": {"Ex": 1}, "tolerance": 0}, "tolerance"),
        ({"properties": {"Ex": 1}, "colour": 1}, "unknown key 'colour'"),
    ]:
        with pytest.raises(InputError, match=message):
            validate_config(Target, values, "the target")


def test_the_worst_case_has_the_largest_error_and_the_worst_optimum() -> None:
    """Of each property by itself, so that no variant need be the worst in all of them."""
    target = Target(
        properties={
            "Ex": 2.0,
            "ky": {"at_most": 3.0},
            "kx": {"between": (1.0, 2.0)},
            "kx/ky": {"maximize": True, "at_most": 4.0},
            "Gxy": {"minimize": True},
        }
    )
    values = np.random.default_rng(0).uniform(0.5, 5.0, (5, 40, 5))
    worst = target.worst_case(values)
    np.testing.assert_allclose(target.errors(worst), target.errors(values.reshape(-1, 5)).reshape(5, 40).max(0))
    np.testing.assert_array_equal(worst[:, 4], values[:, :, 4].max(0))
    np.testing.assert_array_equal(worst[:, 1], values[:, :, 1].max(0))
    kept = (values[:, :, 3] <= 4).all(0)
    np.testing.assert_array_equal(worst[kept, 3], values[:, kept, 3].min(0))
    np.testing.assert_array_equal(target.worst_case(values[:1]), values[0])
    values[2, 3, 1] = np.nan
    assert np.isnan(target.worst_case(values)).tolist() == [
        [(row, column) == (3, 1) for column in range(5)] for row in range(40)
    ]


def test_a_table_of_designs_as_they_may_come_out_has_their_worst_case() -> None:
    target = Target(properties={"kx/ky": 2.0})
    values = {"kx": np.array([2.0]), "ky": np.array([1.0])}
    assert target.table(values)[0, 0] == 2.0
    made = values | {f"{n} (as drawn)": v for n, v in values.items()}
    made |= {"kx (thicker)": np.array([3.0]), "ky (thicker)": np.array([2.0])}
    assert target.table(made)[0, 0] == 1.5


def test_a_tolerance_in_the_unit_of_the_property() -> None:
    """At every size of the goal the same absolute error counts as the tolerance."""
    for goal, values in (
        ({"equals": 4.0, "within": 0.1}, (3.9, 4.1)),
        ({"at_least": 4.0, "within": 0.1}, (3.9,)),
        ({"at_most": 4.0, "within": 0.1}, (4.1,)),
        ({"equals": 0.0, "within": 0.1}, (-0.1, 0.1)),
    ):
        target = Target(properties={"vxy": goal}, tolerance=0.05)
        for value in values:
            assert target.errors(np.array([[value]])) == pytest.approx([0.05]), goal
        assert target.errors(np.array([[4.0 if goal.get("equals") != 0 else 0.0]])) == [0], goal


def test_numbers_with_a_unit_are_never_converted() -> None:
    target = Target(properties={"Ex": {"equals": "2.4 GPa", "within": "0.05 GPa"}, "kx": "2 W/(m K)", "ky": 3})
    assert (target.properties["Ex"].equals, target.properties["Ex"].within) == (2.4, 0.05)
    assert target.units == {"Ex": "GPa", "kx": "W/(m K)"}
    assert Target.model_validate(target.model_dump()) == target
    for values, message in (
        ({"properties": {"Ex": {"equals": "2.4 GPa", "within": "50 MPa"}}}, "Ex is asked in MPa and in GPa"),
        ({"properties": {"Ex": "2 GPa"}, "units": {"Ex": "MPa"}}, "Ex is asked in GPa and in MPa"),
    ):
        with pytest.raises(InputError, match=message):
            validate_config(Target, values, "the target")


def test_a_preference_decides_between_designs_that_meet_the_goals() -> None:
    """At a weight of 0.5 a value smaller by 4 % outweighs an error of 2 %, and none outweighs a goal that is missed."""
    target = Target(properties={"Ex": 2.0, "kx": {"prefer": "min", "weight": 0.5}}, tolerance=0.05)
    values = np.array([[2.0, 3.0], [2.04, 3.0 * np.exp(-0.041)], [2.04, 3.0 * np.exp(-0.039)], [2.2, 0.1]])
    assert target.ranks(values).tolist() == [1, 0, 2, 3]
    assert target.errors(values) == pytest.approx([0, 0.02, 0.02, 0.1])  # soft: no error
    larger = Target(properties={"Ex": 2.0, "kx": {"prefer": "max"}})
    assert larger.ranks(np.array([[2.0, 3.0], [2.0, 3.1]])).tolist() == [1, 0]
    for properties, why in (
        ({"Ex": 2, "vxy": {"prefer": "min"}}, "it may be 0 or negative"),
        ({"Ex": {"maximize": True}, "kx": {"prefer": "min"}}, "another property is maximised"),
    ):
        with pytest.raises(InputError, match=why):
            validate_config(Target, {"properties": properties}, "the target")


def test_percentiles_are_those_of_the_data() -> None:
    """Of the numbers from 0 to 100 each percentile is itself; of a quotient it is the quotient's own."""
    data = {"Ex": np.append(np.arange(101.0), np.nan), "Ey": np.full(102, 2.0)}
    target = Target(
        properties={"Ex": {"at_least_percentile": 90, "prefer": "max"}, "Ex/Ey": {"percentile": 50}, "Ey": 2}
    ).of_data(data)
    assert target.properties["Ex"].model_dump() == {"at_least": 90.0, "prefer": "max"}
    assert target.fixed == {"Ex/Ey": 25.0, "Ey": 2}
    for few in ({}, {"Ex": np.arange(9.0)}):
        with pytest.raises(InputError, match="Ex: 90 % of the data needs a labelled data set with at least 10 images"):
            Target(properties={"Ex": {"percentile": 90}}).of_data(few)
