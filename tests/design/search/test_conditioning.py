"""Where p(z|c) is asked when the target leaves the model's properties open; the model has Ex and kx."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.design.search.conditioning import admitted, best_known, conditions
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.surrogate.local import LocalSurrogate


def table() -> dict[str, np.ndarray]:
    Ex = np.linspace(1, 10, 400)
    return {"Ex": Ex, "kx": Ex + np.sin(40 * Ex), "Gxy": Ex / 2}


def test_a_target_of_all_properties_is_itself_the_point(surrogate: LocalSurrogate) -> None:
    target = Target(properties={"kx": 3.0, "Ex": 2.0, "Gxy": {"at_most": 1}})
    assert conditions(target, surrogate, table(), 5, seed=0) == [{"Ex": 2.0, "kx": 3.0}]


def test_what_is_open_comes_from_samples_that_meet_the_target(surrogate: LocalSurrogate) -> None:
    target = Target(properties={"Ex": {"between": [2, 3]}})
    points = conditions(target, surrogate, table(), 6, seed=0)
    assert len(points) == 6
    known = np.stack([table()["Ex"], table()["kx"]], axis=1)
    for point in points:
        assert 2 <= point["Ex"] <= 3
        assert np.abs(known - [point["Ex"], point["kx"]]).sum(1).min() < 1e-12
    assert len({point["kx"] for point in points}) == 6
    assert points == conditions(target, surrogate, table(), 6, seed=0)
    assert points != conditions(target, surrogate, table(), 6, seed=1)


def test_points_are_taken_from_images_that_keep_the_constraints() -> None:
    labels = np.zeros((5, 8, 8), np.uint8)
    for number in range(5):
        labels[number, :, : number + 2] = 1  # volume fractions from 2/8 to 6/8
    few = Target.model_validate(
        {"properties": {"Ex": {"maximize": True}}, "constraints": {"volume_fraction": [0, 0.4]}}
    )
    assert admitted(few, labels).tolist() == [0, 1]
    data = Microstructures(labels=labels, n_phases=2, properties={"Ex": np.array([1, 2, 3, 4, np.nan])})
    assert np.array_equal(best_known(few, data, 1), labels[1:2])
    plain = Target.model_validate(few.model_dump() | {"properties": {"Ex": 2.9}})
    assert np.array_equal(best_known(plain, data, 1), labels[1:2])  # the third is nearer and breaks the constraint
    assert best_known(Target(properties={"ky": 2.0}), data) is None
    none = few.model_validate(few.model_dump() | {"constraints": {"volume_fraction": [0.9, 1]}})
    assert np.array_equal(best_known(none, data, 1), labels[3:4])
    assert best_known(plain.model_copy(update={"constraints": none.constraints}), data) is None
    assert admitted(none, labels).tolist() == [0, 1, 2, 3, 4]


def test_a_fixed_property_keeps_its_value(surrogate: LocalSurrogate) -> None:
    points = conditions(Target(properties={"Ex": 4.003}), surrogate, table(), 4, seed=0)
    assert {point["Ex"] for point in points} == {4.003}
    assert all(abs(point["kx"] - 4) < 1.5 for point in points)


def test_optima_are_sought_where_the_best_samples_are(surrogate: LocalSurrogate) -> None:
    points = conditions(Target(properties={"Ex": {"maximize": True}}), surrogate, table(), 3, seed=0)
    assert points[0]["Ex"] == 10
    assert min(point["Ex"] for point in points) > 9.6
    points = conditions(Target(properties={"kx/Ex": {"minimize": True}}), surrogate, table(), 3, seed=0)
    ratios = np.sort(table()["kx"] / table()["Ex"])
    assert all(point["kx"] / point["Ex"] <= ratios[11] for point in points)


def test_properties_that_the_model_has_not_choose_among_the_samples(surrogate: LocalSurrogate) -> None:
    points = conditions(Target(properties={"Gxy": {"at_most": 0.6}}), surrogate, table(), 4, seed=0)
    assert all(point["Ex"] <= 1.2 for point in points)


def test_without_a_data_set_the_standardization_is_sampled(surrogate: LocalSurrogate) -> None:
    target = Target(properties={"Ex": {"at_least": 4}, "kx": {"at_most": 3}, "Gxy": {"at_least": 1}})
    points = conditions(target, surrogate, None, 8, seed=0)
    assert len(points) == 8
    assert all(point["Ex"] >= 4 and 0 < point["kx"] <= 3 for point in points)
    surrogate.prior(points[0])


def test_bounds_that_no_sample_keeps_are_kept_by_the_point(surrogate: LocalSurrogate) -> None:
    assert conditions(Target(properties={"Ex": {"at_least": 12}}), surrogate, table(), 1, seed=0)[0]["Ex"] == 12


def test_a_data_set_without_the_models_property(surrogate: LocalSurrogate) -> None:
    with pytest.raises(InputError, match="no property 'kx', which the model is conditioned on"):
        conditions(Target(properties={"Ex": 1}), surrogate, {"Ex": np.ones(3)}, 1, seed=0)


def test_samples_without_a_property_that_nobody_asks_for_are_taken(surrogate: LocalSurrogate) -> None:
    """Where pores cut the solid there is no Poisson's ratio, and at a stiffness of 0 no prior."""
    known = table() | {"vxy": np.full(400, np.nan)}
    known["Ex"] = np.where(known["Ex"] < 3, 0.0, known["Ex"])
    known["Gxy"] = np.where(known["Ex"] > 8, np.nan, known["Gxy"])
    points = conditions(Target(properties={"Gxy": {"at_least": 2}}), surrogate, known, 8, seed=0)
    assert len(points) == 8
    assert all(4 <= point["Ex"] <= 8 for point in points)
    with pytest.raises(InputError, match="no sample of which the model's and the target's properties are known"):
        conditions(Target(properties={"vxy": 0.3}), surrogate, known, 8, seed=0)
