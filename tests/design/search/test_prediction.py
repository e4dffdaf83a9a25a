"""What a model says of a target's properties, also of those that are computed from its own."""

import numpy as np
import pytest

from microdesign.design.search.prediction import predict_target, target_jacobian
from microdesign.design.target.target import Target
from microdesign.physics.materials import Materials
from microdesign.surrogate.further_properties import FurtherProperties, with_further_properties
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels


def test_prediction_of_what_the_model_has_and_has_not(surrogate: LocalSurrogate) -> None:
    labels = (np.random.default_rng(0).random((3, 32, 32)) < 0.5).astype(np.uint8)
    means, deviations = surrogate.predict(labels)
    mean, std = predict_target(Target(properties={"kx": 3, "Gxy": 1, "Ex/kx": 1}), surrogate, labels)
    np.testing.assert_array_equal(mean[:, 0], means[:, 1])
    np.testing.assert_array_equal(std[:, 0], deviations[:, 1])
    assert np.isnan(mean[:, 1]).all()
    assert np.isnan(std[:, 1]).all()
    assert mean[:, 2] == pytest.approx(means[:, 0] / means[:, 1])
    assert std[:, 2] == pytest.approx(mean[:, 2] * np.hypot(*(deviations / means).T), rel=1e-2)
    assert Target(properties={"Gxy": 1}).errors(mean[:, 1:2]).tolist() == [0, 0, 0]  # what is not known does not count


def test_the_jacobian_of_computed_properties_follows_the_chain_rule(surrogate: LocalSurrogate) -> None:
    target = Target(properties={"kx": 2.0, "Ex/kx": 1.1, "Gxy": 1.0})
    z = np.random.default_rng(0).standard_normal((3, 4))
    jacobian, own = target_jacobian(target, surrogate, z), surrogate.jacobian(z)
    assert jacobian is not None
    assert jacobian.shape == (3, 3, 4)
    Ex, kx = surrogate.predict(decode_labels(surrogate, z))[0].T
    np.testing.assert_allclose(jacobian[:, 0], own[:, 1])
    expected = own[:, 0] / kx[:, None] - (Ex / kx**2)[:, None] * own[:, 1]
    np.testing.assert_allclose(jacobian[:, 1], expected, rtol=0.02, atol=1e-3 * np.abs(expected).max())
    assert np.isnan(jacobian[:, 2]).all()  # the model does not have it


def test_a_property_that_labels_alone_have_is_predicted_with_its_jacobian(surrogate: LocalSurrogate) -> None:
    rows = np.exp(np.random.default_rng(0).normal(1, 0.4, (2, 300)))
    table = {"Ex": rows[0], "kx": rows[1], "ky": rows[0] ** 2 / rows[1]}
    assert with_further_properties(surrogate, ["Ex", "Ex/kx"], table) is surrogate  # the model has these
    assert with_further_properties(surrogate, ["ky"], None) is surrogate
    model = with_further_properties(surrogate, ["Ex", "kx/ky", "hardness"], table)
    assert isinstance(model, FurtherProperties)
    assert list(model.regressions) == ["kx/ky"]
    target = Target(properties={"kx/ky": {"maximize": True}, "hardness": 1.0})
    z = np.random.default_rng(0).standard_normal((3, 4))
    labels = decode_labels(model, z)
    Ex, kx = surrogate.predict(labels)[0].T
    mean, std = predict_target(target, model, labels)
    assert mean[:, 0] == pytest.approx(kx**2 / Ex**2, rel=2e-3)
    assert (std[:, 0] > 0).all()
    assert np.isnan(mean[:, 1]).all()
    jacobian, own = target_jacobian(target, model, z), surrogate.jacobian(z)
    assert jacobian is not None
    expected = (2 * kx / Ex**2)[:, None] * own[:, 1] - (2 * kx**2 / Ex**3)[:, None] * own[:, 0]
    np.testing.assert_allclose(jacobian[:, 0], expected, rtol=0.03, atol=1e-3 * np.abs(expected).max())
    assert np.isnan(jacobian[:, 1]).all()


def test_a_specific_property_is_predicted_with_the_density_of_the_image_itself(surrogate: LocalSurrogate) -> None:
    """By whatever evaluator; the Jacobian is that of a regression on labelled images, where there are some."""
    phases = [{"E": 1, "nu": 0.3, "k": 1, "density": 1.0}, {"E": 10, "nu": 0.3, "k": 10, "density": 3.0}]
    materials = Materials.model_validate({"phases": phases})
    rows = np.exp(np.random.default_rng(0).normal(1, 0.4, (2, 300)))
    table = {"Ex": rows[0], "kx": rows[1], "density": rows[1] ** 2}
    target, z = Target(properties={"Ex/density": 2.0, "density": 1.0}), np.random.default_rng(0).standard_normal((3, 4))
    for known in (table, None):
        model = with_further_properties(surrogate, target.names, known, materials)
        labels = decode_labels(model, z)
        means, deviations = surrogate.predict(labels)
        density = 1 + 2 * labels.mean((1, 2))
        mean, std = predict_target(target, model, labels)
        np.testing.assert_allclose(mean, np.stack([means[:, 0] / density, density], axis=1))
        np.testing.assert_allclose(std, np.stack([deviations[:, 0] / density, 0 * density], axis=1), rtol=1e-6)
        jacobian = target_jacobian(target, model, z)
        assert jacobian is not None
        assert np.isfinite(jacobian).all() == (known is not None)
    assert with_further_properties(surrogate, ["Ex", "kx"], None, materials) is surrogate
