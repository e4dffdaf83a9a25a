"""Submits a job to a cluster through Ray's job API."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from microdesign.core.config import read_yaml_mapping
from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.files import digest_json
from microdesign.core.progress import Progress
from microdesign.jobs.job_configs import JOBS
from microdesign.surrogate.arrow_wire import TOKEN_VARIABLE

_ASKS_FOR_TOKEN = (
    "asks for another token, or for none: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to its token, or RAY_AUTH_MODE="
    "disabled where it has none; ~/.ray/auth_token, which a local Ray writes, is sent otherwise."
)

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient


def submit(address: str, job: str, config: Path, wait: bool, progress: Progress) -> str:
    """Submits `microdesign.jobs.JOB` with a config file and, when asked, follows its log; returns the job's id.

    The config's text travels with the job; paths in it are the cluster's. The cluster's environment must contain
    microdesign: the job runs there with the Python of the head node.

    Raises:
        InputError: The job is unknown, the config cannot be read, or the cluster does not answer, or
            its token is another; or the config holds a token.
        MicrodesignError: The cluster did not take the job, or the job failed.
    """
    if job not in JOBS:
        raise InputError(f"Unknown job '{job}'; expected one of {', '.join(JOBS)}.")
    settings = read_yaml_mapping(config)
    if settings.get("token") is not None:
        # The text of a job is shown to everyone who may look at the cluster's jobs.
        raise InputError(
            f"{config}: 'token' would be shown with the job; leave it out and set {TOKEN_VARIABLE} on its nodes."
        )
    from ray.exceptions import AuthenticationError, RayError
    from ray.job_submission import JobSubmissionClient

    try:
        client = JobSubmissionClient(address)
    except AuthenticationError:
        raise InputError(f"The Ray cluster at {address} {_ASKS_FOR_TOKEN}") from None
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise InputError(
            f"The Ray cluster at {address} does not answer ({_reason(error)}); expected http://HEAD:8265."
        ) from None
    text = yaml.safe_dump(settings, sort_keys=False)
    name = f"{job}-{digest_json(settings)[:8]}.yaml"
    # The head's PATH may lead to another Python; the cluster says which one runs Ray.
    python = '"${MICRODESIGN_PYTHON:-python}"'
    # In a folder that only this user reads, and that goes with the job.
    shell = (
        f"folder=$(mktemp -d) && trap 'rm -rf \"$folder\"' EXIT\n"
        f"cat > \"$folder/{name}\" <<'EOF'\n{text}EOF\n"
        f'{python} -m microdesign.jobs.{job} "$folder/{name}"'
    )
    environment = {"env_vars": {"RAY_ADDRESS": "auto"}}
    try:
        identifier = client.submit_job(entrypoint=shell, runtime_env=environment, metadata={"job": job})
    except AuthenticationError:
        raise InputError(f"The Ray cluster at {address} {_ASKS_FOR_TOKEN}") from None
    except (OSError, RuntimeError, RayError) as error:
        raise MicrodesignError(f"The cluster at {address} refused the job: {_reason(error)}") from None
    progress(f"submitted {identifier}")
    if wait:
        _follow(client, identifier, progress)
    return identifier


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:150]


def _follow(client: "JobSubmissionClient", identifier: str, progress: Progress) -> None:
    from ray.exceptions import RayError
    from ray.job_submission import JobStatus

    seen = 0
    while True:
        try:
            status = client.get_job_status(identifier)
            logs = client.get_job_logs(identifier)
        except (RuntimeError, OSError, RayError) as error:
            raise MicrodesignError(
                f"Job {identifier} runs on, but the cluster no longer answers ({_reason(error)})."
            ) from None
        for line in logs[seen:].splitlines():
            progress(line)
        seen = len(logs)
        if status.is_terminal():
            break
        time.sleep(1)
    if status != JobStatus.SUCCEEDED:
        raise MicrodesignError(f"Job {identifier} ended as {status.value}; see its log above.")
