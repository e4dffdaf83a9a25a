from pathlib import Path

import numpy as np
import pytest

import microdesign as md
from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded
from microdesign.design.target.matching import match
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials

LAMINATE = np.zeros((8, 8), np.uint8)
LAMINATE[:, 2:4] = 1  # a quarter, layers along x


def test_the_image_gives_what_the_target_leaves_open(tmp_path: Path, materials: Materials) -> None:
    np.save(tmp_path / "a.npy", LAMINATE)
    asked = Target(match=str(tmp_path / "a.npy"), properties={"ky": {"at_most": 2}, "Ey": 1.2}, tolerance=0.02)
    found = match(asked, ("kx", "ky", "kx/ky"), FFTEvaluator(), materials)
    assert found.match is None
    assert found.tolerance == 0.02
    assert found.properties["ky"] == asked.properties["ky"]
    assert found.fixed["kx"] == pytest.approx(0.75 + 0.25 * 10, rel=1e-4)
    assert found.fixed["kx/ky"] == pytest.approx((0.75 + 0.25 * 10) * (0.75 + 0.25 / 10), rel=1e-4)
    assert found.fixed["Ey"] == 1.2
    assert match(found, ("kx",), FFTEvaluator(), materials) is found


def test_an_image_that_is_not_periodic_is_mirrored(tmp_path: Path, materials: Materials) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (1, 12, 12)).astype(np.uint8)
    for periodic, boundary in ((True, "periodic"), (False, "mirror")):
        path = md.write(tmp_path / f"{boundary}.h5", md.Microstructures(labels=labels, n_phases=2, periodic=periodic))
        progress = Recorded()
        found = match(Target(match=str(path)), ("kx",), FFTEvaluator(), materials, progress)
        expected = md.homogenize(labels[0], materials, boundary=boundary).properties["kx"][0]
        assert found.fixed["kx"] == pytest.approx(expected, rel=1e-4), boundary
        assert progress.texts == [f"the properties of {path} are those with {boundary} boundaries"]


def test_images_that_cannot_be_matched(tmp_path: Path, materials: Materials) -> None:
    for image, message in [
        (np.stack([LAMINATE, LAMINATE]), "holds 2 images; expected one image"),
        (2 * LAMINATE, "has labels up to 2; expected phases 0 to 1"),
    ]:
        np.save(tmp_path / "a.npy", image)
        with pytest.raises(InputError, match=message):
            match(Target(match=str(tmp_path / "a.npy")), ("Ex",), FFTEvaluator(), materials)


def test_a_solid_that_does_not_hang_together_has_nothing_to_match(tmp_path: Path) -> None:
    porous = Materials.model_validate({"phases": [{"E": 0, "nu": 0.3, "k": 0}, {"E": 1, "nu": 0.3, "k": 1}]})
    np.save(tmp_path / "a.npy", LAMINATE)
    for name, found in (("Ey", "0"), ("vxy", "not defined")):
        with pytest.raises(InputError, match=rf"a\.npy: {name} is {found}, for its solid does not hang together"):
            match(Target(match=str(tmp_path / "a.npy")), (name,), FFTEvaluator(), porous)
    asked = Target(match=str(tmp_path / "a.npy"), properties={"Ey": {"equals": 0.3}})
    assert match(asked, ("Ex", "Ey"), FFTEvaluator(), porous).names == ("Ex", "Ey")
