"""Lines of progress: plain, and as a bar on a terminal."""

import io

import pytest

from microdesign.core.progress import counted, show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_counts_become_lines() -> None:
    lines: list[str] = []
    count = counted(lines.append, "images")
    count(500, 4000)
    count(4000, 4000)
    assert lines == ["500/4000 images", "4000/4000 images"]


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("500/4000 images", "epoch 1/3: loss 0.5"):
        show(line)
    said = capsys.readouterr()
    assert said.err == "500/4000 images\nepoch 1/3: loss 0.5\n"
    assert said.out == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    show("[   1 s] generate: 1000/4000 images")
    show("[   2 s] generate: 4000/4000 images")
    show("epoch 1/3: loss 0.5")
    first, second, third = terminal.getvalue().split("\r\x1b[K")[1:]
    assert first == "█" * 5 + "░" * 15 + " [   1 s] generate: 1000/4000 images"
    assert second == "█" * 20 + " [   2 s] generate: 4000/4000 images\n"
    assert third == "epoch 1/3: loss 0.5\n"


def test_a_bar_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    show("x" * 60 + " 1/2 images")
    assert len(terminal.getvalue().removeprefix("\r\x1b[K")) == 39
