"""Scale bars: round lengths, drawn as long as they say."""

import numpy as np
import pytest

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
