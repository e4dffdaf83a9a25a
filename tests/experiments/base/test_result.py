import json
import math
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from pydantic import ValidationError

from microdesign.experiments.base.result import ExperimentResult, Table, save_figures

TABLE = Table.of(("model", "error / %"), [["mse", 0.123456789], ["none", None]])


def test_a_table_is_rounded_for_people_and_exact_in_csv() -> None:
    assert [(column.name, column.unit) for column in TABLE.columns] == [("model", ""), ("error", "%")]
    assert TABLE.markdown() == "| model | error / % |\n| --- | --- |\n| mse | 0.1235 |\n| none |  |\n"
    assert TABLE.csv() == "model,error / %\nmse,0.123456789\nnone,\n"
    with pytest.raises(ValidationError, match="a row has 1 cells; expected 2"):
        Table.of(("model", "error"), [["mse"]])


def test_a_result_reads_back_from_json_and_has_null_for_what_is_not_finite(tmp_path: Path) -> None:
    figures = save_figures({"errors": Figure()}, tmp_path)
    assert (tmp_path / figures["errors"]).is_file()
    result = ExperimentResult(tables={"first": TABLE}, metrics={"r2": 0.5}, figures=figures, tags={"dataset": "abc"})
    assert ExperimentResult.model_validate_json(result.model_dump_json()) == result
    unbounded = Table.of(("error",), [[math.inf], [math.nan]])
    document = json.loads(
        result.model_copy(update={"tables": {"t": unbounded}, "metrics": {"r2": -math.inf}}).model_dump_json()
    )
    assert document["metrics"]["r2"] is None
    assert document["tables"]["t"]["rows"] == [[None], [None]]


def test_the_markdown_shows_short_tables_only() -> None:
    long = Table.of(("image",), [[number] for number in range(61)])
    result = ExperimentResult(tables={"short": TABLE, "long": long}, metrics={}, figures={})
    assert result.table == TABLE
    assert result.markdown() == f"## short\n\n{TABLE.markdown()}"
