"""Jobs as a cluster runs them, `python -m microdesign.jobs.JOB CONFIG`; here in this process."""

import json
import runpy
from pathlib import Path

import pytest

from microdesign.jobs.job_configs import JOBS

CONFIG = "{families: [GRF], count_per_family: 4, size: 16, out: OUT}"


def run(monkeypatch: pytest.MonkeyPatch, job: str, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", [job, *arguments])
    runpy.run_module(f"microdesign.jobs.{job}", run_name="__main__")


def test_the_result_is_one_json_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "generate.yaml"
    config.write_text(CONFIG.replace("OUT", str(tmp_path / "images")))
    run(monkeypatch, "generate", str(config), "--set", "count_per_family=3")
    assert json.loads(capsys.readouterr().out)["images"] == 3
    assert (tmp_path / "images" / "dataset.json").is_file()


def test_an_unknown_key_is_one_line_and_exit_code_2_for_every_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("{nonsense: 1}")
    for job in JOBS:
        with pytest.raises(SystemExit) as end:
            run(monkeypatch, job, str(config))
        assert end.value.code == 2, job
        (line,) = capsys.readouterr().err.splitlines()
        assert "unknown key 'nonsense'" in line, job
