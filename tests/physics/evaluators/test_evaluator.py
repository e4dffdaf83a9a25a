"""The contract of evaluators: each one in EVALUATORS is covered by the same tests."""

import pickle

import numpy as np
import pytest

from microdesign.core.errors import EvaluationError, InputError, NotConvergedError
from microdesign.core.properties import standard_names
from microdesign.physics.effective_properties import homogenize
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each, for_images
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.materials import Materials

MATERIALS = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})
IMAGES = np.random.default_rng(0).integers(0, 2, (5, 12, 10)).astype(np.uint8)


class FractionEvaluator:
    """A user's evaluator: the volume fraction of phase 1; refuses images of one phase."""

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

    @property
    def fingerprint(self) -> str:
        return f"fraction-{self.power}"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        fraction = images.mean(axis=(1, 2)) ** self.power
        if (fraction == 0).any():
            raise EvaluationError("an image has no phase 1")
        return dict.fromkeys(standard_names(2), fraction)


ready_made = FractionEvaluator(2.0)
number = 3

EVALUATORS = [FFTEvaluator(), FFTEvaluator(discretization="rotated", tolerance=1e-3), FractionEvaluator()]


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda evaluator: type(evaluator).__name__)
class TestContract:
    def test_values_are_arrays_of_one_entry_an_image(self, evaluator: Evaluator) -> None:
        assert isinstance(evaluator, Evaluator)
        values = evaluator.evaluate(IMAGES, MATERIALS)
        assert set(standard_names(2)) <= set(values)
        assert all(array.shape == (5,) and np.isfinite(array).all() for array in values.values())

    def test_images_do_not_depend_on_their_batch(self, evaluator: Evaluator) -> None:
        whole, alone = evaluator.evaluate(IMAGES, MATERIALS), evaluator.evaluate(IMAGES[3:4], MATERIALS)
        assert all(alone[name][0] == whole[name][3] for name in standard_names(2))

    def test_it_pickles_with_its_fingerprint(self, evaluator: Evaluator) -> None:
        copy = pickle.loads(pickle.dumps(evaluator))
        assert copy.fingerprint == evaluator.fingerprint
        np.testing.assert_array_equal(
            copy.evaluate(IMAGES, MATERIALS)["Ex"], evaluator.evaluate(IMAGES, MATERIALS)["Ex"]
        )


def test_fingerprints_differ_where_answers_do() -> None:
    fingerprints = {
        FFTEvaluator().fingerprint,
        FFTEvaluator(discretization="rotated").fingerprint,
        FFTEvaluator(tolerance=1e-5).fingerprint,
    }
    assert len(fingerprints) == 3
    assert FFTEvaluator(max_iterations=50).fingerprint == FFTEvaluator().fingerprint


def test_not_converged_carries_values() -> None:
    with pytest.raises(NotConvergedError) as caught:
        FFTEvaluator(max_iterations=1, tolerance=1e-8).evaluate(IMAGES, MATERIALS)
    assert isinstance(caught.value.best, dict)
    assert caught.value.best["Ex"].shape == (5,)


def test_a_failed_image_costs_only_its_row() -> None:
    images = IMAGES.copy()
    images[2] = 7
    values = evaluate_each(FFTEvaluator(), images, MATERIALS)
    assert values["error"][2].startswith("InputError: image 0 has label 7")
    assert np.isnan(values["Ex"][2])
    expected = FFTEvaluator().evaluate(IMAGES, MATERIALS)
    others = [0, 1, 3, 4]
    assert not any(values["error"][others])
    np.testing.assert_array_equal(values["kx"][others], expected["kx"][others])


def test_values_that_are_not_finite_are_failures() -> None:
    class Broken(FractionEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            return {**super().evaluate(images, materials), "Ex": np.where(images[:, 0, 0] > 0, np.inf, 1.0)}

    images = IMAGES.copy()
    images[:, 0, 0] = [0, 1, 0, 0, 1]
    bad = images[:, 0, 0] > 0
    values = evaluate_each(Broken(), images, MATERIALS)
    assert all("returned Ex = inf" in message for message in values["error"][bad])
    np.testing.assert_array_equal(np.isnan(values["Ex"]), bad)


def test_a_value_that_is_not_defined_is_missing_alone() -> None:
    class Partial(FractionEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            values = super().evaluate(images, materials)
            nothing = np.where(np.arange(len(images)) == 3, np.nan, 1.0)
            return {name: array * nothing for name, array in values.items()} | {"vxy": nothing * [np.nan, 1, 1, 1, 1]}

    values = evaluate_each(Partial(), IMAGES, MATERIALS)
    assert values["error"].tolist() == ["", "", "", "EvaluationError: the evaluator returned no value.", ""]
    np.testing.assert_array_equal(np.isnan(values["vxy"]), [True, False, False, True, False])
    np.testing.assert_array_equal(np.isnan(values["Ex"]), np.arange(5) == 3)


def test_pixels_that_are_no_squares() -> None:
    """The built-in solver takes them, as `homogenize` does with `spacing`; others are refused rather than wrong."""
    evaluator = for_images(FFTEvaluator(), True, (1.0, 3.0))
    assert evaluator.fingerprint != FFTEvaluator().fingerprint == for_images(FFTEvaluator(), True).fingerprint
    known = homogenize(IMAGES, MATERIALS, spacing=(0.5, 1.5)).properties
    np.testing.assert_allclose(evaluator.evaluate(IMAGES, MATERIALS)["kx"], known["kx"], rtol=1e-5)
    assert FFTEvaluator(spacing=(1, 2)).for_spacing((1.0, 3.0)).spacing == (1, 2)
    with pytest.raises(InputError, match="have pixels of 1 x 3; this evaluator takes squares and cubes alone"):
        for_images(FractionEvaluator(), True, (1.0, 3.0))


def test_boundaries_of_the_built_in_solver() -> None:
    periodic, mirror = (FFTEvaluator().for_images(each) for each in (True, False))
    assert (periodic.boundary, mirror.boundary) == ("periodic", "mirror")
    assert periodic.fingerprint == FFTEvaluator().fingerprint != mirror.fingerprint
    assert load_evaluator("fft: boundary=mirror") == mirror == mirror.for_images(periodic=True)
    assert for_images(mirror.alternative, True).boundary == "mirror"
    assert for_images(FractionEvaluator(), False).fingerprint == "fraction-1.0"
    doubled = np.pad(IMAGES, [(0, 0), (0, 12), (0, 10)], mode="symmetric")
    expected, found = (each.evaluate(images, MATERIALS) for each, images in ((periodic, doubled), (mirror, IMAGES)))
    for name in standard_names(2):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, err_msg=name)
    with pytest.raises(InputError, match="'boundary' = 'wall'"):
        load_evaluator("fft: boundary=wall")


def test_images_that_converged_are_not_solved_again() -> None:
    class Counting(FFTEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            sizes.append(len(images))
            return super().evaluate(images, materials)

    sizes: list[int] = []
    images = IMAGES.copy()
    images[[0, 2, 3, 4]] = 1
    values = evaluate_each(Counting(tolerance=1e-9, max_iterations=2), images, MATERIALS)
    assert sizes == [5, 1]
    np.testing.assert_array_equal(values["error"] != "", np.arange(5) == 1)
    np.testing.assert_allclose(values["Ex"][[0, 2, 3, 4]], 10)


def test_an_evaluator_may_say_itself_which_images_failed() -> None:
    class Partial(FractionEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            values = super().evaluate(images, materials)
            return {**values, "error": np.array(["", "no mesh", "", "", ""])}

    values = evaluate_each(Partial(), IMAGES, MATERIALS)
    assert values["error"].tolist() == ["", "no mesh", "", "", ""]
    np.testing.assert_array_equal(np.isnan(values["Ex"]), np.arange(5) == 1)


def test_load_evaluator() -> None:
    assert load_evaluator() == FFTEvaluator()
    assert load_evaluator("fft", {"tolerance": 1e-3}) == FFTEvaluator(tolerance=1e-3)
    options = load_evaluator("fft: tolerance=1e-5 discretization=rotated", {"max_iterations": 9})
    assert options == FFTEvaluator(tolerance=1e-5, discretization="rotated", max_iterations=9)
    assert load_evaluator(f"{__name__}:FractionEvaluator", {"power": 3}).fingerprint == "fraction-3"
    assert load_evaluator(f"{__name__}:ready_made").fingerprint == "fraction-2.0"


def test_bad_evaluators(subtests: pytest.Subtests) -> None:
    for name, settings, message in [
        ("abaqus", {}, "evaluator = 'abaqus' is unknown; expected fft, module:name or command"),
        ("no_such_module:x", {}, "cannot be loaded .*no_such_module"),
        (f"{__name__}:Missing", {}, "cannot be loaded .*Missing"),
        (f"{__name__}:FractionEvaluator", {"speed": 1}, "does not take its settings .*speed"),
        (f"{__name__}:ready_made", {"power": 1}, r"takes no settings, but \['power'\] came"),
        (f"{__name__}:number", {}, "is a int; expected an evaluator"),
        ("collections:OrderedDict", {}, "is no evaluator; expected a method evaluate and a fingerprint"),
        ("fft", {"tolerance": 2}, "'tolerance' = 2 is not valid"),
        ("fft: tolerance=fine", {}, "evaluator 'fft: tolerance=fine': 'tolerance' = 'fine' is not valid"),
        ("fft: speed=2", {}, "unknown key 'speed'"),
        ("fft: rotated", {}, "'rotated' has no '='"),
        (":x", {}, "cannot be loaded"),
    ]:
        with subtests.test(name=name, settings=settings), pytest.raises(InputError, match=message):
            load_evaluator(name, settings)


def test_a_device_changes_where_and_not_what() -> None:
    on_gpu = load_evaluator("fft: device=cuda")
    assert getattr(on_gpu, "uses_gpu", False)
    assert not getattr(load_evaluator("fft"), "uses_gpu", True)
    assert on_gpu.fingerprint == load_evaluator("fft").fingerprint
    with pytest.raises(InputError, match="'device' = 'tpu' is not valid"):
        load_evaluator("fft: device=tpu")
