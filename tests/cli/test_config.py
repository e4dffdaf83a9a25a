"""`microdesign config`: what it writes is read back as the defaults, and what it shows is what a job gets."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from microdesign.cli.config import Job
from microdesign.cli.options import Experiment
from microdesign.experiments.registry import EXPERIMENTS
from microdesign.jobs.job_configs import JOBS, config_class
from tests.cli.conftest import Command, refused

ROOT = Path(__file__).parents[2]
CASES = [(job, None) for job in (*JOBS, "demo") if job != "evaluate"] + [("evaluate", name) for name in EXPERIMENTS]


def defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Every key of a model with its default; None for those that are required, their keys for required sections."""
    values = {}
    for name, field in model.model_fields.items():
        if not field.is_required():
            value = field.get_default(call_default_factory=True)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            value = defaults(field.annotation)
        else:
            value = None
        values[name] = to_jsonable_python(value)
    return values


def test_the_choices_are_the_jobs_and_the_experiments() -> None:
    assert set(get_args(get_args(Job)[0])) == {*JOBS, "demo"}
    assert set(get_args(get_args(get_args(Experiment)[0])[0])) == set(EXPERIMENTS)


def test_init_writes_every_key_with_its_default_and_meaning(command: Command) -> None:
    for job, what in CASES:
        done = command("config", "init", job, *([] if what is None else ["--what", what]))
        assert done.code == 0, (job, what)
        written = yaml.safe_load(done.out)
        assert written == defaults(config_class(job, what)), (job, what)
        # A comment that is a type alone has no meaning; one that goes on with it in a second line has.
        lines = ["", *(line.strip() for line in done.out.splitlines())]
        bare = [line for above, line in pairwise(lines) if line.startswith("# (") and not above.startswith("#")]
        assert bare == [], (job, what)


def test_init_writes_a_file_that_show_reads(command: Command) -> None:
    assert command("config", "init", "demo", "demo.yaml").out == "demo.yaml\n"
    shown = command("config", "show", "demo", "demo.yaml", "--set", "campaign.goal=0.02")
    assert yaml.safe_load(shown.out)["campaign"]["goal"] == 0.02
    as_json = json.loads(command("config", "show", "demo", "demo.yaml", "--json").out)
    assert as_json == config_class("demo")().model_dump(mode="json")
    refused(command("config", "init", "demo", "demo.yaml"), "demo.yaml: exists already")


def test_a_required_key_that_is_not_filled_in_is_named(command: Command) -> None:
    command("config", "init", "train", "train.yaml")
    refused(command("config", "show", "train", "train.yaml"), "train.yaml: 'dataset'")


def test_show_resolves_the_experiment_from_the_file(command: Command) -> None:
    Path("job.yaml").write_text((ROOT / "jobs" / "configs" / "paper-latent.yaml").read_text())
    assert yaml.safe_load(command("config", "show", "evaluate", "job.yaml").out)["what"] == "latent"
    refused(command("config", "show", "evaluate", "job.yaml", "--what", "forward"), "is of the experiment latent")


def test_schema_describes_every_key(command: Command) -> None:
    schema = json.loads(command("config", "schema", "train").out)
    assert set(schema["properties"]) == set(config_class("train").model_fields)


def test_unknown_jobs_and_experiments(command: Command) -> None:
    refused(command("config", "init", "trian"), "'trian' is not one of 'generate', 'label', 'pretrain'")
    refused(command("config", "init", "train", "--what", "latent"), "goes with the job evaluate alone")
