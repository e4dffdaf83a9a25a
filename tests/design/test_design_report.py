"""The answer's page: it stands alone, says what the document says, and can be made again from it."""

import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from microdesign.design.report import candidates_figure, render_report, write_image, write_report
from microdesign.errors import InputError


def image(seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((6, 8)) < 0.5).astype(np.uint8)


def document(folder: Path, **changes: Any) -> dict[str, Any]:
    paths = [folder / "candidates" / "candidate-1.npy", folder / "baselines" / "random.npy"]
    for seed, path in enumerate(paths):
        write_image(path, image(seed))
    candidate = {
        "component": 2,
        "predicted": {"Ex": 3.141},
        "verified": {"Ex": 3.456},
        "max_relative_error": 0.0123,
        "novelty": 0.0456,
        "volume_fraction": 0.4,
        "image": str(paths[0]),
    }
    return {
        "target": {"Ex": 3.5},
        "goals": {"Ex": "3.5"},
        "units": {"Ex": "<GPa>"},
        "tolerance": 0.05,
        "candidates": [candidate],
        "baselines": {
            "training_set": None,
            "random": {"verified": {"Ex": 3.9}, "max_relative_error": 0.111, "of": 17, "image": str(paths[1])},
        },
        "materials": {"plane": "stress"},
        "evaluations": 17,
        "history": [0.2, 0.0123],
        "stopped": "the budget of 17 evaluations is spent",
        "reach": "",
        "reach_outside": False,
        "model": "abc",
        "evaluator": "fft",
        "seed": 0,
        "ledger": str(folder / "evaluations"),
        "tracking_uri": "sqlite:///x.db",
        "report": str(folder / "report.html"),
        **changes,
    }


def test_the_page_says_what_the_document_says(tmp_path: Path) -> None:
    values = document(tmp_path)
    page = write_report(tmp_path, values)
    assert page == tmp_path / "report.html"
    assert json.loads((tmp_path / "result.json").read_text()) == values
    text = page.read_text()
    for expected in ("3.141", "3.456", "1.23 %", "11.10 %", "0.0456", "best of 17, random", "budget of 17"):
        assert expected in text
    assert "warning" not in re.sub(r"<style>.*?</style>", "", text, flags=re.S)


def test_the_page_stands_alone_and_escapes(tmp_path: Path) -> None:
    text = write_report(tmp_path, document(tmp_path)).read_text()
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"<(script|link)\b", text)
    assert "&lt;GPa&gt;" in text
    assert "<GPa>" not in text


def test_it_is_made_again_from_the_document(tmp_path: Path) -> None:
    page = write_report(tmp_path, document(tmp_path))
    before = page.read_text()
    page.unlink()
    assert render_report(tmp_path) == page
    assert page.read_text() == before


def test_no_candidate_and_a_target_out_of_reach_are_said(tmp_path: Path) -> None:
    text = write_report(
        tmp_path, document(tmp_path, candidates=[], reach="The target is OUTSIDE.", reach_outside=True)
    ).read_text()
    assert "No design came within the tolerance; the best misses the target by 1.23 %" in text
    assert "The target is OUTSIDE." in text
    assert text.count('class="warning"') == 2


def test_without_data_there_is_no_novelty(tmp_path: Path) -> None:
    values = document(tmp_path, baselines={})
    values["candidates"][0]["novelty"] = None
    text = write_report(tmp_path, values).read_text()
    assert "Baseline" not in text
    assert "None" not in text


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"result\.json: cannot be read"):
        render_report(tmp_path)
    write_report(tmp_path, document(tmp_path))
    (tmp_path / "candidates" / "candidate-1.npy").unlink()
    with pytest.raises(InputError, match=r"candidate-1\.npy: cannot be read"):
        render_report(tmp_path)


def test_images_for_programs_and_for_people(tmp_path: Path) -> None:
    write_image(tmp_path / "new" / "a.npy", image())
    loaded = np.load(tmp_path / "new" / "a.npy", allow_pickle=False)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, image())
    # x to the right, y up, phase 1 dark, four pixels each.
    shown = matplotlib.image.imread(io.BytesIO((tmp_path / "new" / "a.png").read_bytes()), format="png")
    assert shown.shape[:2] == (32, 24)
    np.testing.assert_array_equal(shown[::-4, ::4, 0] < 0.5, image().T == 1)


def test_a_figure_of_no_candidates() -> None:
    assert candidates_figure([], []).axes
    assert len(candidates_figure([image(), image(1)], ["a", "b"]).axes) == 2
