"""The command line as a whole, each time as a user runs it: help, mistakes, completion, terminals, interrupts."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import numpy as np
import pytest

from microdesign import __version__
from tests.cli.conftest import PROGRAM, Command, golden_image, materials, refused

BUSY = ["data", "generate", "set", "--set", "count_per_family=100000", "--set", "shard_size=20"]


def in_terminal(columns: int, *arguments: object, interrupt_at: str | None = None) -> tuple[int, str]:
    """Runs `microdesign ...` in a terminal; returns the exit code and all that it shows."""
    parent, child = pty.openpty()
    ioctl(child, TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "CI")}
    line = [str(PROGRAM), *map(str, arguments)]
    process = subprocess.Popen(line, stdin=child, stdout=child, stderr=child, env=environment | {"TERM": "xterm"})
    os.close(child)
    shown, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([parent], [], [], 0.2)[0]:
            try:
                shown += os.read(parent, 65536)
            except OSError:  # how a terminal says that nobody writes to it any more
                break
        if interrupt_at is not None and re.search(interrupt_at, shown.decode(errors="ignore")):
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    os.close(parent)
    return process.wait(30), shown.decode()


def test_help_and_version(installed: Command) -> None:
    assert installed("--version").out == f"microdesign {__version__}\n"
    for columns in ("40", "200"):
        for arguments in (["--help"], ["homogenize", "--help"], ["data", "--help"], ["config", "init", "--help"]):
            done = installed(*arguments, COLUMNS=columns)
            assert done.code == 0
            assert done.out.startswith("Usage: microdesign")
            assert "…" not in done.out, done.out
            assert "..." not in done.out.replace("ARGS]...", "").replace("}...", "").replace("IMAGE...", "")
    assert "--discretization" in installed("homogenize", "--help", COLUMNS="40").out
    assert installed().code == 2


def test_a_mistake_is_one_line_that_names_it(installed: Command) -> None:
    refused(installed("trian", COLUMNS="40"), "No such command 'trian'. Did you mean 'train'?", "microdesign --help")
    refused(installed("homogenize", "--colour"), "No such option: --colour", "See 'microdesign homogenize --help'")
    refused(installed("train"), "Missing argument 'CONFIG'")
    refused(installed("homogenize", "a.npy", "--dims", "two", "--materials", "m.yaml"), "Invalid value for '--dims'")


def test_verbose_shows_where_an_error_comes_from(installed: Command) -> None:
    plain, verbose = installed("train", "no.yaml"), installed("train", "no.yaml", "--verbose")
    refused(plain, "no.yaml: cannot be read")
    assert verbose.code == 2
    assert "Traceback" in verbose.err
    assert verbose.err.endswith(plain.err)


def test_digits_and_paths_are_never_cut(installed: Command) -> None:
    name = "a-folder-with-a-long-name/and-a-file-with-a-longer-one-than-forty-columns.npy"
    Path(name).parent.mkdir()
    np.save(name, np.load(golden_image()))
    line = ["homogenize", name, "--materials", materials()]
    values = ["2.4", "0.20", "2.1"]
    piped = installed(*line, COLUMNS="40")
    assert any(all(part in row for part in [name, *values]) for row in piped.out.splitlines())
    code, shown = in_terminal(40, *line)
    assert code == 0
    for part in [name, *values]:
        assert part in shown
    assert f"no-{name}" in installed("homogenize", f"no-{name}", "--materials", "materials.yaml", COLUMNS="40").err


def test_colour_is_for_terminals_that_want_it(installed: Command) -> None:
    line = ["homogenize", golden_image(), "--materials", materials()]
    assert "\x1b[" not in installed(*line).out
    assert "\x1b[" in in_terminal(200, *line)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "dumb")
        assert "\x1b[" not in installed(*line, NO_COLOR="1").out


def test_a_bar_on_a_terminal_and_lines_with_a_clock_elsewhere(installed: Command) -> None:
    line = ["data", "generate", "set", "--set", "count_per_family=40", "--set", "size=16", "--set", "shard_size=10"]
    elsewhere = installed(*line)
    assert re.search(r"^\[ +\d+ s\] 160/160 images generated$", elsewhere.err, re.MULTILINE)
    assert "\x1b" not in elsewhere.err
    _, shown = in_terminal(100, *line[:2], "other", *line[3:])
    assert re.search(r"\d+/160.* images generated .*\d:\d\d:\d\d.* left .*[\d-]:[\d-]{2}:[\d-]{2}", shown)


def test_an_interrupt_says_that_the_same_command_goes_on(installed: Command) -> None:
    code, shown = in_terminal(100, *BUSY, interrupt_at=r"images generated|\d/400000")
    assert code == 130
    assert shown.rstrip().endswith("microdesign: interrupted; the same command goes on from here")
    assert "Traceback" not in shown
    made = {path.name: path.stat().st_mtime_ns for path in Path("set").glob("*.parquet")}
    in_terminal(100, *BUSY, interrupt_at=r"images generated|\d/400000")
    assert {name: (Path("set") / name).stat().st_mtime_ns for name in made} == made


def test_the_shell_completes_commands_options_and_jobs(installed: Command) -> None:
    cases = {
        "microdesign ": {"demo", "data", "homogenize", "config"},
        "microdesign data ": {"generate", "label", "inspect", "convert"},
        "microdesign homogenize --": {"--materials", "--plane", "--json", "--quiet"},
        "microdesign config init ": {"train", "design", "demo"},
    }
    for words, expected in cases.items():
        count = len(words.split()) if words.endswith(" ") else len(words.split()) - 1
        variables = {"_MICRODESIGN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        assert expected <= set(installed(**variables).out.split()), words
    for shell, line in {  # whichever shell the command is run from
        "bash": "complete -o default -F _microdesign_completion microdesign",
        "zsh": "compdef _microdesign_completion microdesign",
        "fish": "complete --command microdesign",
    }.items():
        assert line in installed("--show-completion", shell).out, shell
    home = Path("home")
    assert "bash completion installed in" in installed("--install-completion", "bash", HOME=str(home)).out
    assert (home / ".bash_completions" / "microdesign.sh").is_file()
    refused(installed("--show-completion", "sh"), "'sh' is not one of 'bash', 'zsh', 'fish'")
    refused(installed("--show-completion"), "requires an argument", "microdesign --help")
