"""How far work is, by its folder: while it runs, after its end, after a kill, and from another machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from microdesign.core.errors import InputError
from microdesign.core.files import read_json, write_json
from microdesign.core.journal import JOURNAL, Count, duration, journal, read_journal
from microdesign.core.progress import Recorded

WORK = """
import sys, time
from pathlib import Path
from microdesign.core.journal import journal
from microdesign.core.progress import silent
with journal(Path(sys.argv[1]), "labelling", silent) as progress:
    progress.count(60, 200, "images labelled")
    progress("first shard")
    print("begun", flush=True)
    time.sleep(600)
"""


def test_progress_is_passed_on_and_kept(tmp_path: Path) -> None:
    shown = Recorded()
    with journal(tmp_path, "training", shown) as progress:
        progress.count(2, 40, "epochs")
        progress("epoch 2/40: loss 0.31")
        now = read_journal(tmp_path)
        assert (now.kind, now.state, now.text) == ("training", "running", "epoch 2/40: loss 0.31")
        assert str(now) == "training: running; 2 of 40 epochs; last: epoch 2/40: loss 0.31 (0 s ago)"
        progress.count(40, 40, "epochs")  # the last count is always kept
        assert read_journal(tmp_path).counts["epochs"].done == 40
    assert (shown.texts, shown.counts) == (["epoch 2/40: loss 0.31"], [(2, 40, "epochs"), (40, 40, "epochs")])
    assert read_journal(tmp_path).state == "ended"
    with pytest.raises(ValueError, match="broken"), journal(tmp_path, "training", shown):
        raise ValueError("broken\nat length")
    assert str(read_journal(tmp_path)) == "training: failed; broken (0 s ago)"
    with pytest.raises(KeyboardInterrupt), journal(tmp_path, "training", shown):
        raise KeyboardInterrupt
    assert read_journal(tmp_path).state == "stopped"


def test_work_that_was_killed_and_work_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as work:
        assert work.stdout is not None
        assert work.stdout.readline() == "begun\n"
        assert read_journal(tmp_path).state == "running"
        work.send_signal(signal.SIGKILL)
    assert str(read_journal(tmp_path)).startswith("labelling: stopped; 60 of 200 images labelled; last: first shard (")
    document = read_json(tmp_path / JOURNAL)
    write_json(tmp_path / JOURNAL, document | {"host": "elsewhere"})
    assert str(read_journal(tmp_path)).startswith("labelling: runs on elsewhere, or has been killed there; 60 of 200")
    # A number that another process has got since.
    write_json(tmp_path / JOURNAL, document | {"process": os.getpid(), "started": time.time() - 1e6})
    assert read_journal(tmp_path).state == "stopped"


def test_the_rate_is_that_of_this_process() -> None:
    count = Count(what="epochs", done=30, total=50, begun_with=10, begun=1000.0, last=1120.0)
    assert count.per_minute == 10
    assert str(count) == "30 of 50 epochs, 10 a minute, 2 min left"
    assert str(count.model_copy(update={"done": 10})) == "10 of 50 epochs"
    assert str(count.model_copy(update={"total": None})) == "30 epochs, 10 a minute"
    assert [duration(seconds) for seconds in (40, 720, 11160)] == ["40 s", "12 min", "3.1 h"]


def test_nothing_is_kept_where_the_work_has_made_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    with journal(folder, "labelling", Recorded()) as progress:
        progress("in vain")
    assert not folder.exists()
    with pytest.raises(InputError, match="cannot be read"):
        read_journal(folder)
