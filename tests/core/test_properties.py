"""The catalogue: what is known of each property, and that a new one needs an entry and a formula alone."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.core import properties as catalogue
from microdesign.core.errors import InputError
from microdesign.core.properties import Property, along, find, is_signed, known, register, standard_names, turned
from microdesign.microstructure.data.dataset import DatasetWriter
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.formats.hdf5.micro2d import MECHANICAL, THERMAL
from microdesign.model.standardization import Standardization
from microdesign.model.symmetry import symmetries
from microdesign.physics import properties as formulas
from microdesign.physics.bounds.property_bounds import property_bounds
from microdesign.physics.bounds.reachability import check_reachable
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.execution.labelling import label_dataset
from microdesign.physics.materials import Materials
from microdesign.physics.properties import formula, property_unit

MATERIALS = Materials.model_validate(
    {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 9, "nu": 0.3, "k": 5}], "units": {"E": "GPa", "k": "W/(m K)"}}
)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue and formulas of the test's own."""
    monkeypatch.setattr(catalogue, "_CATALOGUE", {dims: dict(known(dims)) for dims in (2, 3)})
    monkeypatch.setattr(formulas, "_FORMULAS", dict(formulas._FORMULAS))


def test_plane_names_are_those_of_micro2d() -> None:
    assert standard_names(2) == (*MECHANICAL, *THERMAL)
    assert len(standard_names(3)) == 21 + 6 + 4 + 15


def test_entries_agree_with_each_other() -> None:
    for dims in (2, 3):
        for name, entry in known(dims).items():
            assert (entry.name, entry.dims) == (name, dims)
            assert not entry.signed or entry.bound in (None, "poisson", "anisotropy"), name
            assert all(each in known(dims) for each in entry.needs), name
            other = known(5 - dims).get(name)
            assert other is None or (other.signed, other.unit) == (entry.signed, entry.unit), name
            # Each property of a turned image is again one of the catalogue, of the same unit and sign.
            axes, flipped = tuple(range(dims))[::-1], (0,)
            source, sign = turned(name, axes, flipped) or ("", 0)
            assert (known(dims)[source].unit, known(dims)[source].signed) == (entry.unit, entry.signed), name
            assert sign == 1 or entry.signed, name


def test_signs_with_suffixes_and_of_quotients() -> None:
    signed = ("vxy", "vxz", "C12", "C13", "C23", "C16", "C45", "k12", "k23", "AU", "vxy.2", "C13.0", "Ex/vxy")
    positive = ("Ex", "Ez", "Gxz", "C11", "C33", "C66", "k33", "K", "kx", "Ex.1", "kx/ky", "strength", "velocity")
    assert [name for name in (*signed, *positive) if is_signed(name)] == list(signed)
    assert find("Ex.1") is find("Ex")
    assert find("strength") is None


def test_turns_with_suffixes_and_of_quotients() -> None:
    quarter: tuple[int, int] = (1, 0)
    for name, expected in (
        ("Ex.1", ("Ey.1", 1)),
        ("kx/ky", ("ky/kx", 1)),
        ("C13/k12", ("C23/k12", 1)),
        ("Ex/strength", None),
        ("C44", None),
    ):
        assert turned(name, quarter, (0,)) == expected, name


def test_a_name_is_taken_once(own: None) -> None:
    for name in ("Ex", "a/b", "a b", "a.1", ""):
        with pytest.raises(InputError, match="expected a new name"):
            register(Property(name, 2, ("stiffness",), unit="stiffness"))
    with pytest.raises(InputError, match="sign or unit differ"):
        register(Property("Ez", 2, ("stiffness",), unit="none"))


def test_a_new_property_is_an_entry_and_a_formula(own: None, tmp_path: Path) -> None:
    """A ratio that turns into its inverse, and a mean that the conductivity bounds."""
    ratio = {"dims": 2, "tensors": ("conductivity",), "standard": True}
    register(Property("rxy", needs=("kx", "ky"), turn=along("r", "xy"), **ratio))
    register(Property("ryx", needs=("ky", "kx"), turn=along("r", "yx"), **ratio))
    mean = {"unit": "conductivity", "bound": "k", "turn": catalogue.unchanged("kmean"), **ratio}
    register(Property("kmean", needs=("kx", "ky"), **mean))
    for name in ("rxy", "ryx"):
        formula(name, 2)(lambda a, b: a / b)
    formula("kmean", 2)(lambda a, b: 2 / (1 / a + 1 / b))
    names = ("rxy", "ryx", "kmean")

    # Homogenized, also where an evaluator's answer is of the time before, and given a unit.
    images = generate("AngEllipse", 6, (32, 32))
    values = FFTEvaluator().evaluate(images.labels, MATERIALS)
    np.testing.assert_allclose(values["rxy"], values["kx"] / values["ky"])
    writer = DatasetWriter(tmp_path / "images", settings={})
    writer.write_shard("only", images)
    labelled = label_dataset(writer.finish(["only"]), tmp_path / "labelled", MATERIALS, Before())
    np.testing.assert_allclose(labelled.load().properties["rxy"], values["rxy"])
    assert [labelled.manifest.properties[name] for name in names] == ["1", "1", "W/(m K)"]
    assert property_unit("kmean/Ex", MATERIALS) == "(W/(m K))/(GPa)"

    # Standardized by its logarithm, since it is positive.
    table = np.stack([values[name] for name in names], axis=1)
    fitted = Standardization.fit(table, names, ("1", "1", "W/(m K)"))
    np.testing.assert_allclose(fitted.offsets, np.log(table).mean(0))

    # Bounded where it has a bound.
    assert property_bounds(MATERIALS)["kmean"] == property_bounds(MATERIALS)["kx"] == (1, 5)
    assert "rxy" not in property_bounds(MATERIALS)
    check_reachable({"rxy": 2.0, "kmean": 3.0}, MATERIALS)
    with pytest.raises(InputError, match="target kmean = 6 is out of reach"):
        check_reachable({"kmean": 6.0}, MATERIALS)

    # Turned.
    found = symmetries((32, 32), names, values)
    assert len(found) == 8
    turn = next(each for each in found if each.axes == (1, 0) and not each.flipped)
    assert turn.sources == ("ryx", "rxy", "kmean")
    after = FFTEvaluator().evaluate(images.labels.transpose(0, 2, 1), MATERIALS)
    for name, source in zip(names, turn.sources, strict=True):
        np.testing.assert_allclose(after[name], values[source], rtol=1e-3)


class Before:
    """An evaluator that does not know the new properties."""

    fingerprint = "before"

    def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
        values = FFTEvaluator().evaluate(images, materials)
        return {name: values[name] for name in (*MECHANICAL, *THERMAL)}
