"""The result of a campaign as JSON and back, as a table and as arrays."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.design.report.html import write_report
from microdesign.design.report.result import CampaignResult, read_result
from tests.design.report.examples import campaign_result, candidate, image


def test_it_is_json_and_read_back(tmp_path: Path) -> None:
    result = campaign_result(tmp_path)
    write_report(result)
    text = (tmp_path / "result.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert CampaignResult.model_validate_json(text) == result == read_result(tmp_path)
    assert result.candidates[0].predicted == {"Ex": 3.141, "kx": None}
    assert result.feasibility.bounds["Ex"]["isotropic"] == (1.0, None)


def test_candidates_are_arrays(tmp_path: Path) -> None:
    result = campaign_result(tmp_path)
    np.testing.assert_array_equal(result.images, image()[None])
    assert campaign_result(tmp_path, candidates=()).images.shape == (0, 0, 0)
    Path(result.candidates[0].files["npy"]).unlink()
    with pytest.raises(InputError, match=r"candidate-1\.npy: is gone"):
        _ = result.images


def test_a_folder_that_was_moved(tmp_path: Path) -> None:
    write_report(campaign_result(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    moved = read_result(tmp_path / "new")
    assert moved.folder == str(tmp_path / "new")
    np.testing.assert_array_equal(moved.images, image()[None])
    shutil.rmtree(tmp_path / "new")


def test_one_table_for_every_reader(tmp_path: Path) -> None:
    nothing = candidate(
        tmp_path,
        predicted={"Ex": None},
        novelty=None,
        realism=None,
        component=7,
        discretization_gap=None,
        error_by_both=0.0123,
    )
    result = campaign_result(tmp_path, candidates=(candidate(tmp_path), nothing))
    table = result.table
    assert table.titles == ("", "component", "Ex [<GPa>] predicted / verified", "error", "novelty", "realism")
    assert table.rows == (
        ("target", "", "3.5", "", "", ""),
        ("candidate 1", "2", "3.141 / 3.456 ± 0.23", "7.89%, within discretization", "0.05", "0.78"),
        ("candidate 2", "7", "- / 3.456", "1.23%", "", ""),
        ("best of 17, random", "", "3.9", "11.10%", "", ""),
    )
    for text in (str(result), table.markdown(), result._repr_html_()):
        assert all(cell in text for row in table.rows for cell in row)
    assert table.markdown().splitlines()[1] == "| --- | --- | --- | --- | --- | --- |"
    assert result._repr_html_().count('src="data:image/png;base64,') == 2
    assert "&lt;GPa&gt;" in result._repr_html_()
    assert "mlflow ui --backend-store-uri sqlite:///x.db" in str(result)


def test_what_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"result\.json: cannot be read"):
        read_result(tmp_path)
    (tmp_path / "result.json").write_text('{"candidates": []}')
    with pytest.raises(InputError, match=r"result\.json: is not the result of a campaign"):
        read_result(tmp_path)
