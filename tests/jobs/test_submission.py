"""What is submitted: no token in a job's text, and one sentence where the cluster does not take it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import AuthenticationError

from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.progress import silent
from microdesign.jobs.submission import submit


def config(folder: Path, text: str = "dataset: x\n") -> Path:
    path = folder / "label.yaml"
    path.write_text(text)
    return path


def test_a_token_does_not_become_part_of_a_job(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'token' would be shown with the job; leave it out and set MICRODESIGN_SERVE"):
        submit("http://127.0.0.1:1", "design", config(tmp_path, "token: secret\n"), False, silent)


def test_a_cluster_that_refuses_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def client(error: Exception) -> Any:
        def made(_address: str) -> Any:
            raise error

        return made

    for error, text in (
        (
            AuthenticationError("Missing token\n\nsee the docs"),
            "asks for another token, or for none: set RAY_AUTH_MODE",
        ),
        (ConnectionError("no\nroute"), r"does not answer \(no route\); expected http"),
    ):
        monkeypatch.setattr("ray.job_submission.JobSubmissionClient", client(error))
        with pytest.raises(MicrodesignError, match=text):
            submit("http://head:8265", "label", config(tmp_path), False, silent)


def test_the_text_of_a_job_runs_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entrypoint itself, with a program in Python's place that prints the config it is given."""
    shells: list[str] = []

    class Client:
        def __init__(self, _address: str) -> None: ...

        def submit_job(self, entrypoint: str, **_: Any) -> str:
            shells.append(entrypoint)
            return "job-1"

    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", Client)
    assert submit("http://head:8265", "label", config(tmp_path), False, silent) == "job-1"
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\ncat "$3"\n')
    program.chmod(0o755)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {"MICRODESIGN_PYTHON": str(program), "TMPDIR": str(temporary), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", shells[0]], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "dataset: x\n"
    assert not list(temporary.iterdir())
