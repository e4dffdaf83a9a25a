from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from microdesign.core.errors import InputError
from microdesign.experiments.reconstruction.config import LinesConfig
from microdesign.experiments.reconstruction.line_spacing import lines, losses_by_spacing
from microdesign.experiments.reconstruction.tables import spacing_table

CONFIG = LinesConfig(size=56, spacing=25, named=(26, 50))


def test_in_two_point_space_a_pixel_off_is_as_wrong_as_double() -> None:
    spacings, values = losses_by_spacing(CONFIG)
    others = ~np.isin(spacings, (25, 56 - 25, 28, 1, 55))  # 28: both ways round are one; 1: the lines touch
    for name in ("msess", "cess"):
        each = values[name]
        assert each[spacings == 25] == pytest.approx(0, abs=1e-6)
        assert each[spacings == 56 - 25] == pytest.approx(0, abs=1e-6)  # the other way round
        np.testing.assert_allclose(each[others], each[others][0], rtol=1e-3)
        assert each[others][0] > 1e-5


def test_the_crop_does_not_see_lines_beyond_it() -> None:
    narrow = LinesConfig(size=128, spacing=56, named=(60,), losses=("cess_crop",))
    spacings, values = losses_by_spacing(narrow)
    assert values["cess_crop"][spacings == 60] == pytest.approx(0, abs=1e-6)
    assert values["cess_crop"][spacings == 10] > 1e-4


def test_the_table_shows_the_named_spacings() -> None:
    table = spacing_table(CONFIG, *losses_by_spacing(CONFIG))
    assert [row[0] for row in table.rows] == [25, 26, 50]
    assert lines(56, 25).sum() == 2 * 56


def test_an_invalid_comparison_is_refused_before_anything_runs() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"size": 64}, "spacing 100 does not fit; expected 1 to 63 pixels"),
        ({"named": (300,)}, "spacing 300 does not fit; expected 1 to 223 pixels"),
        ({"losses": ("mse+cess",)}, r"the loss 'mse\+cess' is a sum; expected single losses"),
        ({"losses": ("alchemy",)}, "Unknown loss 'alchemy'"),
    ]
    for changes, message in cases:
        with pytest.raises((ValidationError, InputError), match=message):
            LinesConfig(**changes)
