"""Physics by an external program: `command: PROGRAM ARGS`.

A call starts the program, without a shell, in a temporary folder of its own. It finds there

- `images.npy`: phase labels, uint8 `(n, X, Y)` or `(n, X, Y, Z)`, axis 0 is x, n at most `images_per_call`;
- `materials.yaml`: `plane`, `phases` (of label 0, of label 1, ...) and `units`, as `data label --materials` reads it;

and writes `properties.json`: a list of n objects, one an image, each with the properties by name in the units of the
materials, null where one is not defined, or `{"error": "why this image cannot be solved"}`. One object alone will do
for one image. It ends with exit code 0 within the time limit. A call that fails with several images is repeated one by
one, so one costs only itself.
"""

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, PrivateAttr, field_validator

from microdesign.core.config import Config, dump_yaml
from microdesign.core.errors import EvaluationError
from microdesign.core.files import digest, digest_json
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_names

_SHOWN = 200
"""Characters of the program's last line of output that an error quotes."""


class CommandEvaluator(Config):
    """An external program as an evaluator; what it reads and writes is documented in the module.

    Raises:
        InputError: (by `load_evaluator`) The program is not found or a setting is out of its range.
    """

    command: tuple[str, ...] = Field(
        min_length=1,
        description="program and arguments, split as a shell would; files among them are taken as absolute paths",
    )
    timeout: float = Field(600, gt=0, allow_inf_nan=False, description="seconds that a call may take")
    images_per_call: int = Field(1, ge=1, description="most images that a call gets")
    properties: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="properties that the program has to give; None asks for those that the built-in solver gives",
    )
    _given: tuple[str, ...] = PrivateAttr()
    _fingerprint: str = PrivateAttr()

    @field_validator("command", mode="before")
    @classmethod
    def _split(cls, command: Any) -> Any:
        return tuple(shlex.split(command)) if isinstance(command, str) else command

    @field_validator("command")
    @classmethod
    def _found(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if shutil.which(command[0]) is None:
            raise ValueError(f"the program {command[0]!r} is not found or may not be run")
        return command

    def model_post_init(self, context: Any) -> None:
        """Makes the paths of files absolute and takes the digests of their content."""
        self._given = self.command
        program, *arguments = self.command
        # Not resolved further: the python of a virtual environment is a link that must be called by its own name.
        paths = [os.path.abspath(str(shutil.which(program)))]
        paths += [os.path.abspath(a) if Path(a).is_file() else a for a in arguments]
        object.__setattr__(self, "command", tuple(paths))
        files = [digest(Path(path).read_bytes()) for path in paths if Path(path).is_file()]
        known = {"command": list(self._given), "files": files, "properties": self.properties}
        self._fingerprint = digest_json({"evaluator": "command", **known})

    @property
    def fingerprint(self) -> str:
        """Digest of the command line as given, of the content of the files that it names, and of the properties."""
        return self._fingerprint

    @property
    def batch_size(self) -> int:
        """Images a Ray task gets: a few calls of the program."""
        return max(4, self.images_per_call)

    def given_properties(self, materials: Materials, dims: int = 2) -> tuple[str, ...]:
        """Returns the properties that the program has to give."""
        return self.properties or property_names(materials, dims)

    def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
        """Returns the properties of images or volumes, each `(n,)`, and `error`: empty, or why one has NaN."""
        names = self.given_properties(materials, images.ndim - 1)
        rows: list[dict[str, float] | str] = []
        for start in range(0, len(images), self.images_per_call):
            rows += self._call(images[start : start + self.images_per_call], materials, names)
        values = {name: np.array([math.nan if isinstance(row, str) else row[name] for row in rows]) for name in names}
        return {**values, "error": np.array([row if isinstance(row, str) else "" for row in rows])}

    def _call(self, images: np.ndarray, materials: Materials, names: Sequence[str]) -> list[dict[str, float] | str]:
        """The properties of each image, or why there are none."""
        try:
            with tempfile.TemporaryDirectory(prefix="microdesign-", ignore_cleanup_errors=True) as folder:
                entries = self._run(Path(folder), images, materials)
            return [self._row(entry, names) for entry in entries]
        except (EvaluationError, OSError) as error:
            if len(images) == 1:
                return [str(error)]
        return [row for i in range(len(images)) for row in self._call(images[i : i + 1], materials, names)]

    def _run(self, folder: Path, images: np.ndarray, materials: Materials) -> list[Any]:
        np.save(folder / "images.npy", np.ascontiguousarray(images, np.uint8), allow_pickle=False)
        (folder / "materials.yaml").write_text(dump_yaml(materials), encoding="utf-8")
        output = folder / "output.txt"
        with output.open("wb") as stream:
            try:
                process = subprocess.Popen(
                    self.command, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise EvaluationError(f"{self._name} cannot be started ({error.strerror or error}).") from None
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                raise EvaluationError(f"{self._name} took longer than {self.timeout:g} s and was ended.") from None
            finally:
                # With all that it started.
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if code:
            raise EvaluationError(f"{self._name} ended with {_exit(code)}{_last_line(output)}.")
        return self._read(folder / "properties.json", len(images))

    def _read(self, path: Path, n: int) -> list[Any]:
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise EvaluationError(f"{self._name} wrote no properties.json.") from None
        except ValueError as error:
            raise EvaluationError(f"{self._name} wrote a properties.json that is not valid JSON ({error}).") from None
        if isinstance(entries, dict) and n == 1:
            entries = [entries]
        if not isinstance(entries, list) or len(entries) != n:
            found = f"{len(entries)} entries" if isinstance(entries, list) else f"a {type(entries).__name__}"
            raise EvaluationError(
                f"{self._name} wrote {found} to properties.json; expected a list of {n}, one an image."
            )
        return entries

    def _row(self, entry: Any, names: Sequence[str]) -> dict[str, float] | str:
        if not isinstance(entry, dict):
            return f"{self._name} wrote a {type(entry).__name__} for an image; expected the properties by name."
        if entry.get("error"):
            return f"{self._name} reports: {entry['error']}"
        row = {}
        for name in names:
            if name not in entry:
                return f"{self._name} wrote no {name}; expected {', '.join(names)}."
            value = entry[name]
            if value is None:  # not defined for this image
                row[name] = math.nan
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return f"{self._name} wrote {name} = {json.dumps(value)}; expected a finite number, or null."
            row[name] = float(value)
        return row

    @property
    def _name(self) -> str:
        return shlex.join(self._given)


def _exit(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"


def _last_line(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"; its last line of output: {lines[-1].strip()[:_SHOWN].rstrip('.')}" if lines else ""
