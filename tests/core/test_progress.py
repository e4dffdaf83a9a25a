"""Progress: texts and counts, as plain lines and as a bar on a terminal."""

import io
import re

import pytest
from rich.console import Console

from microdesign.core import progress
from microdesign.core.progress import Bar, Lines, Recorded, Stage, shown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the module reads, in its only entry."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_carry_the_time_and_counts_come_every_few_seconds(clock: list[float]) -> None:
    lines: list[str] = []
    report = Lines(lines.append)
    report("starts")
    for second in range(0, 13):
        clock[0] = float(second)
        report.count(100 * second, 1300, "images")
    report.count(1300, 1300, "images")
    report.count(0, None, "files")
    clock[0] = 20
    report.count(3, None, "files")
    assert lines == [
        "[   0 s] starts",
        "[   5 s] 500/1300 images, 8 s left",
        "[  10 s] 1000/1300 images, 3 s left",
        "[  12 s] 1300/1300 images",
        "[  20 s] 3 files",
    ]


def test_a_stage_names_its_texts() -> None:
    kept = Recorded()
    report = Stage(kept, "label")
    report("starts")
    report.count(1, 2, "images labelled")
    assert (kept.texts, kept.counts) == (["label: starts"], [(1, 2, "images labelled")])


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as report:
        report("starts")
    with shown(quiet=True) as report:
        report("quiet")
        report.count(1, 2, "images")
    said = capsys.readouterr()
    assert (said.err, said.out) == ("[   0 s] starts\n", "")


def terminal(width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width)


def drawn(console: Console) -> str:
    """What the terminal was sent, without its control sequences."""
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", console.file.getvalue())


def test_a_bar_shows_elapsed_and_remaining_time_and_ends_as_a_line() -> None:
    console = terminal()
    report = Bar(console, clock=False)
    report.count(0, 4, "images labelled")
    report.count(2, 4, "images labelled")
    report("half")
    report.count(4, 4, "images labelled")
    report("after")
    text = drawn(console)
    assert re.search(r"[━╸╺ ]+ *0/4 images labelled 0:00:00 left", text)
    assert re.search(r"4/4 images labelled in \d+ s\nafter\n$", text)
    assert "\x1b[?25h" in console.file.getvalue()  # the cursor is shown again


def test_digits_and_paths_are_never_cut() -> None:
    console = terminal(width=40)
    report = Bar(console, clock=False)
    path = "/".join(["a-folder-of-a-long-name"] * 8) + "/[0.123456789]"
    report.count(123456, 1234567, "images generated")
    report(path)
    report.close()
    assert f"{path}\n" in drawn(console)
    assert "123456/1234567" in drawn(console)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = terminal()
    report = Bar(console)
    report.count(1, 4, "images")
    report.close()
    assert not re.search(r"\x1b\[(\d+;)*(3[0-7]|38|9[0-7])[;\d]*m", console.file.getvalue())


def test_a_terminal_gets_a_bar_that_an_error_takes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")

    def work() -> None:
        with shown() as report:
            report.count(1, 2, "images")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    sent = stream.getvalue()
    assert "1/2" in sent
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")  # the cursor is shown again
