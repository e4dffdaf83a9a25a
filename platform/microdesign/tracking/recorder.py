"""The record of a run, written beside the work: MLflow is a witness, so its outage never stops or slows the work.

What is to be recorded is a file in a folder beside the work's own, and a thread sends one after the other. Where MLflow
does not answer, one line says so, the files wait, and they are sent when it is back, or when the same work is resumed.
"""

import io
import json
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microdesign.core.config import flatten
from microdesign.core.errors import InputError
from microdesign.core.files import read_json
from microdesign.core.progress import Progress, silent
from microdesign.tracking.connection import first_line, passes
from microdesign.tracking.runs import Run, continued

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNSENT = 20_000
"""Entries that wait at most; later ones are dropped, and the last line says how many."""
_CALLS = frozenset(
    {"log_metrics", "log_params", "log_changes", "log_tags", "log_dataset", "log_text", "log_file", "log_folder", "end"}
)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_LAST_SECONDS, _LAST_SECONDS_AWAY, _LAST_SECONDS_STOPPED = 60.0, 15.0, 2.0


class Recorder:
    """Records a run beside the work. Its methods return at once and raise nothing of MLflow; see `Run` for each.

    Args:
        folder: Where entries wait; it exists only while some do.
        uri: Tracking address, for messages.
        open_run: Gives the run; called in the thread, and again while MLflow does not answer.
        progress: Told of an outage and of its end, and of what MLflow refuses.
        pause: Seconds before the first repetition; each later pause is twice as long, up to 30.
        goes_on: Whether the work goes on, so that how it ended before no longer matters.
    """

    def __init__(
        self,
        folder: Path,
        uri: str,
        open_run: Callable[[], Run],
        progress: Progress = silent,
        pause: float = _FIRST_PAUSE,
        goes_on: bool = True,
    ) -> None:
        self._folder, self.uri, self._progress, self._pause = folder, uri, progress, pause
        self._open_run = open_run
        self._run: Run | None = None
        self._changed, self._opening = threading.Condition(), threading.Lock()
        self._waiting: deque[int] = deque(self._left_over(goes_on))
        self._next = max(self._waiting, default=0) + 1
        self._closing, self._away, self._dropped = False, False, 0
        self._thread = threading.Thread(target=self._send_all, name="mlflow-recorder", daemon=True)

    def begin(self) -> None:
        """Starts the thread; what waits from before is sent first."""
        self._thread.start()

    @property
    def run(self) -> Run:
        """The run, opened if it is not open yet.

        Raises:
            InputError: MLflow does not answer.
        """
        with self._opening:
            if self._run is None:
                self._run = self._open_run()
            return self._run

    def last_step(self, name: str) -> int:
        """The largest step at which a number was logged, in MLflow or in what waits; 0 where MLflow does not answer."""
        try:
            steps = [self.run.last_step(name)]
        except Exception as error:
            if not passes(error) and not isinstance(error, InputError):
                raise
            steps = [0]
        with self._changed:
            waiting = list(self._waiting)
        for number in waiting:
            entry = self._read(number)
            if entry and entry["call"] == "log_metrics" and name in entry["arguments"]["values"]:
                steps.append(entry["arguments"]["step"])
        return max(steps)

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Logs numbers at a step, as of now."""
        numbers = {name: float(value) for name, value in values.items()}
        self._put("log_metrics", {"values": numbers, "step": step, "at": int(time.time() * 1000)})

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Logs settings."""
        self._put("log_params", {"values": _texts(flatten(values))})

    def log_changes(self, values: Mapping[str, Any]) -> None:
        """Notes settings that are not as before."""
        self._put("log_changes", {"values": _texts(flatten(values))})

    def log_tags(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        self._put("log_tags", {"values": _texts(values)})

    def log_dataset(self, folder: str | Path, digest: str, profile: Mapping[str, float]) -> None:
        """Notes what the run learns from."""
        self._put("log_dataset", {"folder": str(Path(folder).resolve()), "digest": digest, "profile": dict(profile)})

    def log_text(self, text: str, artifact: str) -> None:
        """Stores a text."""
        self._put("log_text", {"text": text, "artifact": artifact})

    def log_bytes(self, data: bytes, artifact: str) -> None:
        """Stores bytes."""
        self._put("log_bytes", {"artifact": artifact}, {artifact: data})

    def log_figure(self, figure: "Figure", artifact: str) -> None:
        """Stores a matplotlib figure as PNG."""
        self.log_bytes(as_png(figure), artifact)

    def log_file(self, path: str | Path, folder: str | None = None) -> None:
        """Stores a file, as it is when MLflow takes it."""
        self._put("log_file", {"path": str(Path(path).resolve()), "folder": folder})

    def log_folder(self, path: str | Path, folder: str) -> None:
        """Stores the content of a folder, as it is when MLflow takes it."""
        self._put("log_folder", {"path": str(Path(path).resolve()), "folder": folder})

    def log_child(self, name: str, values: Mapping[str, float], step: int, pictures: Mapping[str, bytes]) -> None:
        """Adds a nested run that has ended, with its numbers and its pictures by name."""
        numbers = {key: float(value) for key, value in values.items()}
        self._put("log_child", {"name": name, "numbers": numbers, "step": step}, pictures)

    def end(self, status: str = "FINISHED") -> None:
        """Ends the run: `FINISHED`, `FAILED` or `KILLED`."""
        self._put("end", {"status": status})

    def close(self, seconds: float = _LAST_SECONDS) -> None:
        """Waits until all is sent, at most `seconds` without an entry taken; what is not taken then keeps waiting."""
        with self._changed:
            self._closing = True
            seconds = min(seconds, _LAST_SECONDS_AWAY) if self._away else seconds
            self._changed.notify()
        left, since = len(self._waiting), time.monotonic()
        while self._thread.is_alive() and time.monotonic() - since < seconds:
            self._thread.join(0.05)
            if len(self._waiting) != left:
                left, since = len(self._waiting), time.monotonic()
        if self._dropped:
            self._progress(f"the record in MLflow lacks {self._dropped} entries: more than {MOST_UNSENT} waited")
        if left := len(self._waiting):
            self._progress(
                f"MLflow at {self.uri} has not taken {left} entries of the record; they wait in {self._folder}, and "
                "the same command sends them"
            )
        else:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _put(self, call: str, arguments: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> None:
        with self._changed:
            if len(self._waiting) >= MOST_UNSENT and call != "end":
                self._dropped += 1
                return
            number, self._next = self._next, self._next + 1
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                named = {name: f"{number:08d}-{index}.bin" for index, name in enumerate(files or {})}
                for name, data in (files or {}).items():
                    (self._folder / named[name]).write_bytes(data)
                self._write(number, {"call": call, "arguments": dict(arguments), "files": named})
            except OSError as error:  # a full disk is for the results to say
                self._dropped += 1
                self._progress(f"an entry of the record in MLflow is lost ({error.strerror or error})")
                return
            self._waiting.append(number)
            self._changed.notify()

    def _write(self, number: int, entry: Mapping[str, Any]) -> None:
        # Not flushed to the disk, unlike results: a power cut may cost entries of the record.
        temporary = self._folder / f".{number:08d}"
        temporary.write_text(json.dumps(entry))
        os.replace(temporary, self._path(number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.json"

    def _read(self, number: int) -> dict[str, Any] | None:
        try:
            entry: dict[str, Any] = read_json(self._path(number))
            return entry if entry["call"] in _CALLS | {"log_bytes", "log_child"} else None
        except (InputError, KeyError, TypeError):
            return None

    def _left_over(self, goes_on: bool) -> list[int]:
        """What waits from before."""
        if not self._folder.is_dir():
            return []
        numbers = sorted(int(path.stem) for path in self._folder.glob("*.json") if path.stem.isdecimal())
        found = [(number, entry) for number in numbers if (entry := self._read(number))]
        return [number for number, entry in found if not (goes_on and entry["call"] == "end")]

    def _send_all(self) -> None:
        pause = self._pause
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                number = self._waiting[0]
            try:
                self._send(number)
            except Exception as error:
                if passes(error) or isinstance(error, InputError):
                    if not self._away:
                        self._away = True
                        self._progress(
                            f"MLflow at {self.uri} does not take the record ({first_line(error)}); the work goes on, "
                            f"and the record waits in {self._folder}"
                        )
                    with self._changed:
                        if self._closing:
                            return
                        self._changed.wait_for(lambda: self._closing, pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                self._progress(f"MLflow at {self.uri} refuses a part of the record: {first_line(error)}")
            if self._away:
                self._away, pause = False, self._pause
                self._progress(f"MLflow at {self.uri} takes the record again")
            with self._changed:
                self._waiting.popleft()
            self._remove(number)

    def _send(self, number: int) -> None:
        entry = self._read(number)
        if entry is None:
            return
        run, arguments, files = self.run, entry["arguments"], entry.get("files", {})
        contents = {name: (self._folder / file).read_bytes() for name, file in files.items()}
        if entry["call"] == "log_bytes":
            for name, data in contents.items():
                run.log_bytes(data, name)
        elif entry["call"] == "log_child":
            if "run_id" not in entry:
                entry["run_id"] = run.child(arguments["name"]).run_id
                self._write(number, entry)  # an outage from here on makes no second run
            child = Run(run.uri, run.experiment_id, entry["run_id"])
            child.log_metrics(arguments["numbers"], arguments["step"])
            for name, data in contents.items():
                child.log_bytes(data, name)
            child.end()
        else:
            getattr(run, entry["call"])(**arguments)

    def _remove(self, number: int) -> None:
        for path in self._folder.glob(f"{number:08d}*"):
            path.unlink(missing_ok=True)


@contextmanager
def recorded(
    record: str | Path, uri: str, start: Callable[[], Run], progress: Progress = silent, at_once: bool = True
) -> Iterator[Recorder]:
    """Records the block's work in the run that a file notes, see `continued`, or in a new one; ends the run.

    It ends as FAILED after an error and as KILLED after an interrupt or an exit.

    Args:
        record: The file, beside what the work makes; what MLflow has not taken yet waits beside it.
        uri: Tracking address.
        start: Starts the run if there is none to go on with.
        progress: Told of an outage of MLflow.
        at_once: Whether MLflow must answer at the start. Without it an outage at the start is like a later one.

    Raises:
        InputError: MLflow does not answer at the start.
    """
    recorder = Recorder(_unsent(Path(record)), uri, lambda: continued(record, uri, start), progress)
    if at_once:
        _ = recorder.run
    recorder.begin()
    try:
        yield recorder
    except BaseException as error:
        stopped = not isinstance(error, Exception)
        recorder.end("KILLED" if stopped else "FAILED")
        recorder.close(_LAST_SECONDS_STOPPED if stopped else _LAST_SECONDS_AWAY)
        raise
    recorder.end()
    recorder.close()


def complete_record(
    record: Path, progress: Progress = silent, status: str | None = None, tags: Mapping[str, str] | None = None
) -> None:
    """Sends what waits of the record of work that is over, such as a trial's in a worker that is gone.

    Args:
        record: The file that notes the run; where there is none, nothing is done.
        progress: Told where MLflow does not take it.
        status: Ends the run like this; None ends it as the work noted.
        tags: Sets these before.
    """
    if not record.is_file() or (status is None and not _unsent(record).is_dir()):
        return
    run = Run(**read_json(record))

    def reopened() -> Run:
        run.reopen()
        return run

    recorder = Recorder(_unsent(record), run.uri, reopened, progress, goes_on=status is not None)
    if tags:
        recorder.log_tags(tags)
    if status is not None:
        recorder.end(status)
    recorder.begin()
    recorder.close(_LAST_SECONDS_AWAY)


def as_png(figure: "Figure") -> bytes:
    """A matplotlib figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _unsent(record: Path) -> Path:
    return record.with_name(record.name.removesuffix(".json") + ".unsent")


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
