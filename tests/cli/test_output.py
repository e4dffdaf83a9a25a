"""What commands print."""

import pytest

from microdesign.cli.output import print_result


def test_a_result_is_a_line_for_each_entry_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A shape stands in one line, other lists in a line each, an empty list in none, a truth as yes or no."""
    print_result(
        {"shape": [64, 48], "left_out": [], "out": ["a", "b"], "unchanged": False, "counts": {"x": 1, "y": 2}}, False
    )
    assert capsys.readouterr().out.splitlines() == [
        "shape: 64 x 48",
        "out: a",
        "out: b",
        "unchanged: no",
        "counts: x 1, y 2",
    ]
