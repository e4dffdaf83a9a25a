from pathlib import Path

import pytest

from microdesign.core.errors import InputError
from microdesign.core.files import read_json
from microdesign.core.progress import Recorded
from microdesign.core.stages import Stages, check_own_folder


def test_stages_name_their_lines_and_their_times(tmp_path: Path) -> None:
    progress = Recorded()
    stages = Stages(tmp_path, progress)
    with stages.stage("draw") as report:
        report("120 images")
    assert progress.texts[:2] == ["draw: starts", "draw: 120 images"]
    assert progress.texts[2].startswith("draw: done in ")
    assert list(stages.seconds) == ["draw"]
    # What an earlier run computed in a minute is not said to be the work of a moment.
    (tmp_path / "stages.json").write_text('{"draw": 60.0}')
    again = Recorded()
    with Stages(tmp_path, again).stage("draw"):
        pass
    assert "for an earlier run computed it in 60 s" in again.texts[-1]
    assert read_json(tmp_path / "stages.json") == {"draw": 60.0}


def test_a_stage_that_fails_is_not_done(tmp_path: Path) -> None:
    stages = Stages(tmp_path, Recorded())
    with pytest.raises(ZeroDivisionError), stages.stage("draw"):
        _ = 1 / 0
    assert stages.seconds == {}
    assert not (tmp_path / "stages.json").exists()


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    for name in ("missing", "empty", "own"):
        (tmp_path / name).mkdir() if name != "missing" else None
    (tmp_path / "own" / "mark.yaml").write_text("")
    for name in ("missing", "empty", "own"):
        check_own_folder(tmp_path / name, "mark.yaml", "a run")
    with pytest.raises(InputError, match=r"holds other files and is no folder of a run"):
        check_own_folder(tmp_path, "mark.yaml", "a run")
    with pytest.raises(InputError, match=r"is a file"):
        check_own_folder(tmp_path / "own" / "mark.yaml", "mark.yaml", "a run")
