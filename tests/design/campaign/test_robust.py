"""A campaign whose worst case counts: what is told, what is on record, and what it costs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.design.api import Campaign, design
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.manufacturing import VARIANTS, manufactured
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from tests.mlflow_database import database

SMALL: dict[str, Any] = {"samples": 32, "screened": 4, "candidates": 2, "refinement": {"pool": 16}, "robust": True}
TARGET = {"properties": {"Ex": 3.2}, "tolerance": 0.5}
LEAST = 3 * len(VARIANTS)


def test_a_laboratory_measures_every_image_of_a_design(surrogate: LocalSurrogate, tmp_path: Path) -> None:
    settings = {**SMALL, "folder": tmp_path / "lab", "tracking_uri": "sqlite:///none.db", "evaluations": LEAST + 1}
    with Campaign(surrogate, {"Ex": 3.0}, **settings) as campaign:
        (trial,) = campaign.ask(1)
        images = campaign.variants(trial)
        np.testing.assert_array_equal(np.stack(list(images.values())), manufactured(trial.labels, 0))
        measured = {name: {"Ex": 1 + 4 * image.mean()} for name, image in images.items()}
        for wrong, message in (
            ({"Ex": 2.0}, "the campaign is robust, and there are no values of the image 'as drawn'"),
            ({**measured, "Ex": 2.0}, "'Ex' stands beside images"),
            ({name: measured[name] for name in VARIANTS[:2]}, "expected values of 'thinner' as well"),
        ):
            with pytest.raises(InputError, match=message):
                campaign.tell({trial.key: wrong})
        assert not len(campaign.ledger)
        (told,) = campaign.tell({trial.key: measured})
        values = [each["Ex"] for each in measured.values()]
        assert told.verified["Ex"] == max(values, key=lambda value: abs(value - 3.0))
        assert told.drawn == {"Ex": measured["as drawn"]["Ex"]}
        while not (reason := campaign.reason_to_stop()):
            for each in campaign.ask(1):
                told_values = {n: {"Ex": 1 + 4 * i.mean()} for n, i in campaign.variants(each).items()}
                campaign.tell({each.key: told_values})
        assert (len(campaign.ledger), reason) == (3, f"the budget of {LEAST + 1} evaluations is spent")
        result = campaign.result()
    assert (result.search.evaluations, result.search.designs, result.is_robust) == (LEAST, 3, True)


def test_the_worst_case_is_what_physics_says_of_the_seven_images(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        **SMALL,
        "evaluations": LEAST,
        "robustness": {"draws": 1},
        "folder": tmp_path / "run",
        "tracking_uri": database(tmp_path),
    }
    result = design(surrogate, TARGET, **settings)
    assert result.candidates
    for candidate, image in zip(result.candidates, result.images, strict=True):
        values = FFTEvaluator().evaluate(manufactured(image, 0), materials)["Ex"]
        assert candidate.as_drawn is not None
        assert candidate.manufacturing is not None
        assert candidate.as_drawn["Ex"] == pytest.approx(values[0], rel=1e-6)
        assert candidate.verified["Ex"] == pytest.approx(values[np.abs(values - 3.2).argmax()], rel=1e-6)
        assert candidate.error == candidate.manufacturing.worst_error
        assert candidate.manufacturing.thicker["Ex"] == pytest.approx(values[1] / values[0] - 1, rel=1e-6)
    assert result.after_search is not None
    assert result.after_search.evaluations == len(result.candidates) * len(VARIANTS)  # a redraw each, and no outlines
    assert f"{LEAST} physics evaluations of 3 designs" in str(result)
    assert "worst case (as drawn)" in result.table.titles[2]
    page = Path(result.report).read_text()
    assert f"a design took {len(VARIANTS)} evaluations" in page
    again = design(surrogate, TARGET, **settings)
    assert again.search.resumed_evaluations == LEAST
    assert again.candidates == result.candidates


def test_a_budget_is_enough_for_two_designs(surrogate: LocalSurrogate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"a design takes {len(VARIANTS)} evaluations, .* expected at least 14"):
        design(surrogate, TARGET, folder=tmp_path / "run", evaluations=13, robust=True)
    assert not (tmp_path / "run").exists()
