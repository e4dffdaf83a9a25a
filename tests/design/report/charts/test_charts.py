"""Charts hold what the result says, and Vega draws them."""

import io
from pathlib import Path
from typing import Any

import matplotlib.image

from microdesign.design.report.charts.report_charts import report_charts
from microdesign.design.report.charts.vega import picture, runtime
from microdesign.design.report.result_parts import Front
from microdesign.design.target.target import Target
from tests.design.report.examples import campaign_result, design, search


def rows(layer: dict[str, Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in layer["data"]["values"]]


def test_charts_hold_what_the_result_says(tmp_path: Path) -> None:
    charts = report_charts(campaign_result(tmp_path, pixel_size=0.5, length_unit="um"))
    assert list(charts) == ["reached-1", "two-point", "chords", "convergence", "parity-Ex"]
    region, points = charts["reached-1"].spec["layer"]
    assert rows(region, "x", "x2", "y", "y2") == [(0.0, 0.55, 3.325, 3.675)]
    assert rows(points, "kind", "x", "y") == [
        ("training image", 0.2, 2.5),
        ("training image", 0.4, 3.0),
        ("training image", 0.6, 3.9),
        ("initial design", 0.4, 4.2),
        ("candidate", 0.4, 3.456),
    ]
    rule, line, points = charts["convergence"].spec["layer"]
    assert rows(rule, "y") == [(5.0,)]
    assert rows(line, "x", "y") == [(1, 20.0), (2, 1.23)]
    assert rows(points, "evaluation", "kind") == [(1, "initial design"), (2, "candidate")]
    equal, points = charts["parity-Ex"].spec["layer"]
    assert rows(points, "x", "y") == [(4.2, 4.0), (3.456, 3.141)]
    assert all(x == y for x, y in rows(equal, "x", "y"))
    band, lines = charts["two-point"].spec["layer"]
    assert rows(band, "x", "y2")[:2] == [(0.0, 1.0), (0.5, 0.5)]
    assert rows(lines, "of", "x", "y")[0] == ("candidate 1", 0.0, 1.0)
    assert lines["encoding"]["x"]["title"] == "distance [µm]"
    band, lines = charts["chords"].spec["layer"]
    shares = [share for _, share in rows(lines, "x", "y")]
    assert (shares[0], shares) == (0.0, sorted(shares))


def test_optima_and_their_front(tmp_path: Path) -> None:
    front = Front(
        names=("Ex", "kx"), senses=(1, -1), values=((1.0, 2.0), (3.0, 1.0)), numbers=(0, 1), on_front=(False, True)
    )
    evaluated = tuple(
        design(key, 1.0, 1.0, 0.0, "initial").model_copy(
            update={
                "verified": {"Ex": ex, "kx": kx},
                "drawn": {"Ex": ex, "kx": kx},
                "predicted": {"Ex": None, "kx": kx},
            }
        )
        for key, ex, kx in (("a", 1.0, 2.0), ("b", 3.0, 1.0))
    )
    found = search(tmp_path, front=front, best_values={"Ex": (None, 3.0), "kx": (2.0, 1.0)}, evaluated=evaluated)
    target = Target(properties={"Ex": {"maximize": True}, "kx": {"minimize": True}})
    charts = report_charts(
        campaign_result(tmp_path, candidates=(), search=found, target=target, units={"Ex": "GPa", "kx": "1"})
    )
    assert list(charts) == ["reached-1", "convergence", "best-Ex", "best-kx", "parity-kx"]
    assert rows(charts["best-Ex"].spec["layer"][0], "x", "y") == [(2, 3.0)]
    bounded = Target(properties={"Ex": {"at_least": 2.0}, "kx": {"at_most": 1.5, "tolerance": 0.1}})
    asked = report_charts(
        campaign_result(tmp_path, candidates=(), search=found, target=bounded, units={"Ex": "GPa", "kx": "1"})
    )["reached-1"].spec["layer"][0]
    ((left, right, bottom, top),) = rows(asked, "x", "x2", "y", "y2")
    assert (left, top) == (2.0, 1.65)
    assert right >= 3  # as far as the axes go
    assert bottom <= 1
    points, line = charts["reached-1"].spec["layer"]
    assert rows(line, "x", "y") == [(3.0, 1.0)]
    assert points["encoding"]["x"]["title"] == "Ex [GPa]"


def test_vega_draws(tmp_path: Path) -> None:
    chart = report_charts(campaign_result(tmp_path))["convergence"]
    shown = matplotlib.image.imread(io.BytesIO(picture(chart.spec)))
    assert shown.shape[0] > 2 * 220
    assert shown.shape[1] > 2 * 300
    colours = {tuple(pixel) for pixel in (255 * shown[..., :3]).round().astype(int).reshape(-1, 3)}
    assert any(r > 200 and 60 < g < 120 and b < 80 for r, g, b in colours), "the candidate is orange"
    assert {word: word in runtime() for word in ("vegaEmbed", "</script")} == {"vegaEmbed": True, "</script": False}
