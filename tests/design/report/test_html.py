"""The answer's page: it stands alone, says what the document says, and can be made again from it."""

import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.design.report.export import write_design, write_image, write_labels
from microdesign.design.report.figures import (
    candidates_figure,
    convergence_figure,
    front_figure,
    gallery_figure,
    parity_figure,
)
from microdesign.design.report.html import render_report, write_report
from microdesign.microstructure.io.vti import VtiReader


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
        "constraints": {"volume_fraction": 0.4321},
        "robustness": {"draws": 8, "spread": {"Ex": 0.0321}, "worst_error": 0.2, "share_within": 0.75},
        "discretization_gap": {"Ex": 0.0654},
        "image": str(paths[0]),
    }
    write_labels(folder / "rounds" / "round-000.npy", np.stack([image(2), image(3)]))
    shown = {"first": 1, "last": 17, "best_error": 0.2, "best_so_far": 0.2, "stages": {"draw": 9, "bayesian": 8}}
    return {
        "target": {"Ex": 3.5},
        "goals": {"Ex": "3.5"},
        "units": {"Ex": "<GPa>"},
        "tolerance": 0.05,
        "distinct": 0.1,
        "constraints": [{"name": "volume_fraction", "low": 0.0, "high": 0.55}],
        "feasibility": {"bounds": {"Ex": {"any": [1.0, 9.87], "isotropic": [1.0, None]}}, "warnings": []},
        "rounds": [shown | {"images": str(folder / "rounds" / "round-000.npy")}],
        "parity": {"Ex": [[3.1, 3.4], [2.0, 2.2]]},
        "timings": {"proposing": 1.0, "waiting": 2.0, "evaluating": 33.5},
        "utilization": 0.876,
        "after_search": {"evaluations": 49, "seconds": 12.5},
        "failed": [{"key": "k", "error": "EvaluationError: no answer"}],
        "front": None,
        "best_values": {},
        "config": "seed: 0\nfolder: <here>\n",
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
    for expected in (
        "3.21 %",
        "6.54 %",
        "75.00 % of 8",
        "0.4321",
        "0 to 0.55",
        "1 to 9.87",
        "33.5 s",
        "87.60 %",
        "49 redraws and blind draws",
    ):
        assert expected in text
    for expected in (
        "differ from each other by at least 0.1",
        "evaluations 1 to 17: draw 9, bayesian 8; best error 20.00 %",
        "no answer",
        "folder: &lt;here&gt;",
    ):
        assert expected in text
    assert "warning" not in re.sub(r"<style>.*?</style>", "", text, flags=re.S)


def test_the_page_stands_alone_and_escapes(tmp_path: Path) -> None:
    text = write_report(tmp_path, document(tmp_path)).read_text()
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 7  # candidate twice, baseline, convergence, parity, two of the gallery
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


def test_warnings_are_shown(tmp_path: Path) -> None:
    feasibility = {"bounds": {}, "warnings": ["Ex >= 5 takes an anisotropic microstructure."]}
    text = write_report(tmp_path, document(tmp_path, feasibility=feasibility)).read_text()
    assert '<p class="warning">Ex &gt;= 5 takes an anisotropic microstructure.</p>' in text


def test_a_pareto_front_is_drawn(tmp_path: Path) -> None:
    front = {"names": ["Ex", "kx"], "senses": [1, -1], "values": [[1.0, 2.0], [3.0, 1.0]], "numbers": [0, 1]}
    best = {"Ex": [None, 3.0], "kx": [2.0, 1.0]}
    text = write_report(tmp_path, document(tmp_path, front=front, best_values=best, units={"Ex": "GPa", "kx": "1"}))
    assert 'alt="Pareto front"' in text.read_text()
    assert 'alt="best values by evaluations"' in text.read_text()


def test_a_moved_folder_is_still_readable(tmp_path: Path) -> None:
    write_report(tmp_path / "old", document(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    assert render_report(tmp_path / "new").is_file()


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


def test_a_design_is_written_for_every_reader(tmp_path: Path) -> None:
    files = write_design(tmp_path / "a.npy", image(), {"Ex": 2.5, "kx": float("nan")})
    assert set(files) == {"npy", "png", "vti"}
    (read,) = VtiReader().read(Path(files["vti"]))
    np.testing.assert_array_equal(read.labels[0], image())
    assert {name: values[0] for name, values in read.properties.items()} == {"Ex": 2.5}


def test_figures_show_what_they_are_given() -> None:
    history = convergence_figure([0.2, 0.05, 0.0], 0.1).axes[0]
    assert history.lines[0].get_xydata()[:2].tolist() == [[1, 20], [2, 5]]
    panels = parity_figure({"Ex": [[1.0, 2.0], [3.0, 4.0]], "kx": []}, {"Ex": "GPa", "kx": "1"}).axes
    assert panels[0].collections[0].get_offsets().tolist() == [[2, 1], [4, 3]]
    assert len(panels) == 2
    gallery = gallery_figure([[image()], [image(1), image(2)]], ["a", "b"])
    assert sum(len(axes.images) for axes in gallery.axes) == 3
    front = front_figure(np.array([[1.0, 5.0], [2.0, 4.0], [0.5, 6.0], [1.5, 9.0]]), [1, -1], ["Ex", "kx"]).axes[0]
    assert front.lines[0].get_xydata().tolist() == [[2, 4]]


def test_a_figure_of_no_candidates() -> None:
    assert candidates_figure([], []).axes
    assert len(candidates_figure([image(), image(1)], ["a", "b"]).axes) == 2
