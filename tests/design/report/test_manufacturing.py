"""Outlines that come out differently: closed forms of a laminate."""

import numpy as np
import pytest

from microdesign.design.report.manufacturing import manufacturing, manufacturing_of
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.manufacturing import Manufactured
from microdesign.physics.materials import Materials

STRIPES = np.repeat([0, 1], 8)[:, None].repeat(12, axis=1).astype(np.uint8)


def test_a_laminate(materials: Materials) -> None:
    """Of 16 layers 8 are phase 1; half a pixel on either side makes 9 of them, or 7: kx and ky are in closed form."""
    k = [phase.k for phase in materials.phases]
    target = Target(properties={"kx": 1.5, "ky": 2.0})
    (found,) = manufacturing([STRIPES], target, lambda images: FFTEvaluator().evaluate(images, materials), 0)
    assert found is not None

    def series(f: float) -> float:
        return 1 / (f / k[1] + (1 - f) / k[0])

    def parallel(f: float) -> float:
        return f * k[1] + (1 - f) * k[0]

    for changes, f in ((found.thicker, 9 / 16), (found.thinner, 7 / 16)):
        assert changes["kx"] == pytest.approx(series(f) / series(0.5) - 1, rel=2e-3)
        assert changes["ky"] == pytest.approx(parallel(f) / parallel(0.5) - 1, rel=2e-3)
    assert found.rough["ky"] > 0
    assert found.worst_error >= max(abs(parallel(f) / 2 - 1) for f in (0.5, 7 / 16, 9 / 16)) - 1e-3
    values = Manufactured(FFTEvaluator()).evaluate(STRIPES[None], materials)
    values.pop("error")
    on_record = manufacturing_of({name: float(array[0]) for name, array in values.items()}, target)
    assert on_record is not None
    assert on_record.thinner["kx"] == pytest.approx(found.thinner["kx"], rel=1e-9)
    assert on_record.worst_error == pytest.approx(found.worst_error, rel=1e-9)
    assert manufacturing_of({"kx": 1.5, "ky": 2.0}, target) is None


def test_nothing_to_make() -> None:
    assert manufacturing([], Target(properties={"kx": 1.0}), lambda images: {}, 0) == []
    target = Target(properties={"kx": 1.0})
    assert manufacturing([STRIPES], target, lambda images: {"kx": np.full(len(images), np.nan)}, 0) == [None]
