"""Scale bars: round lengths, drawn as long as they say."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from microdesign.core.pixels import Pixel
from microdesign.microstructure.drawing import draw
from microdesign.microstructure.scale_bar import bar_length, with_scale_bar


def test_lengths_are_round_and_suit_the_width() -> None:
    for width in np.geomspace(1e-3, 1e5, 200):
        length = bar_length(width)
        assert 0.16 * width <= length <= 0.4 * width * (1 + 1e-9), width
        assert float(f"{length:e}"[0]) in (1, 2, 5), width


def test_the_bar_is_as_long_as_it_says() -> None:
    grey = np.full((100, 200), 128, np.uint8)
    for edge, columns, length in [(0.5, None, 20.0), (0.05, None, 2.0), (0.5, 50, 10.0), (1.0, None, 50.0)]:
        drawn = with_scale_bar(grey, edge, "um", columns)
        np.testing.assert_array_equal(drawn[:100], grey)
        strip = drawn[100:]
        assert bar_length(edge * (columns or 200)) == length
        runs = [len(run) for row in strip for run in "".join("#" if v == 0 else " " for v in row).split()]
        assert max(runs) == pytest.approx(length / edge, abs=1), edge
    assert with_scale_bar(grey, 0.5, "") is grey
    # A picture too narrow for its text grows; one of a unit of its own is not read as microns.
    assert with_scale_bar(grey[:, :8], 0.5, "nm").shape[1] > 8


def test_figures_have_it_where_the_unit_of_a_pixel_is_known() -> None:
    labels = np.eye(40, dtype=np.uint8)
    for unit in ("", "um"):
        axes = Figure().subplots()
        draw(axes, labels, pixel=Pixel(0.5, unit))
        drawn = np.asarray(axes.images[0].get_array())
        assert (drawn.shape[0] > drawn.shape[1]) is bool(unit)
        scale = drawn.shape[1] // 40
        if unit:
            bar = max(len(run) for row in drawn[40 * scale :] for run in "".join("# "[int(v > 0)] for v in row).split())
            assert bar == pytest.approx(bar_length(20) / 0.5 * scale, abs=1)
