"""The demo: images, labels, model, campaign, report; each stage reuses what is there."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from microdesign.core.config import dump_yaml, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import digest_json, read_json, write_json, write_text
from microdesign.core.progress import Progress, Stage, silent
from microdesign.core.properties import standard_names
from microdesign.demo.config import DEFAULT_TARGET, DemoConfig
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.retraining import retrainer
from microdesign.design.report.result import CampaignResult
from microdesign.design.target.constraints import Constraints, Similarity
from microdesign.design.target.target import Target
from microdesign.design.workflow import run_design
from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.registration import TrackingConfig
from microdesign.learning.training.train import train
from microdesign.microstructure.generators.dataset_generation import generate_dataset
from microdesign.microstructure.io.formats.npy import read_npy
from microdesign.physics.bounds.reachability import check_reachable
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.execution.labelling import label_dataset
from microdesign.physics.execution.parallel import evaluate_shards
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.report import homogenize_report
from microdesign.tracking import default_uri


class DemoResult(CampaignResult):
    """The result of the demo's campaign, and how long everything took."""

    stages: dict[str, float] = Field(description="seconds of each stage in this run")


def run_demo(config: DemoConfig, progress: Progress = silent, fresh: bool = False) -> DemoResult:
    """Runs or resumes the demo.

    Args:
        config: What to do.
        progress: Called with lines for people.
        fresh: Whether to delete the folder first.

    Raises:
        InputError: The target cannot be had, or the image to match cannot be read.
    """
    folder = Path(config.folder).resolve()
    target = check_demo(config)
    if fresh and folder.exists():
        shutil.rmtree(folder)
    write_text(folder / "demo.yaml", dump_yaml(config))
    uri = default_uri(folder)
    clock = _Stages(folder, progress)
    names = target.names

    with clock.stage("generate") as report:
        images = generate_dataset(config.generate, folder / "images", report)
    with clock.stage("label") as report:
        labelled = label_dataset(
            images,
            folder / "labelled",
            config.materials,
            FFTEvaluator(),
            evaluate_shards,
            store=ResultStore(folder / "results"),
            progress=report,
        )
    with clock.stage("train") as report:
        training = TrainConfig(
            dataset=str(labelled.folder),
            properties=names,
            loop=config.loop,
            resources=ResourcesConfig(cpus=config.cpus),
            tracking=TrackingConfig(register_as="microdesign-demo"),
            storage=str(folder / "training"),
        )
        bundle = train(training, report, uri)
    with clock.stage("design") as report:
        # Answers that are the material: as alike to the images as these are to each other.
        material = Constraints(similar_to=Similarity(images=str(images.folder)))
        campaign = CampaignConfig(
            **dict(config.campaign),
            target=target.model_copy(update={"constraints": material}),
            model=str(bundle),
            dataset=str(labelled.folder),
            store=str(folder / "results"),
            folder=str(
                folder / f"campaign-{digest_json([target.fixed, config.campaign.seed, bundle.parent.name])[:10]}"
            ),
        )
        result = run_design(campaign, report, uri, retrainer(campaign, report, uri))
    return DemoResult(**dict(result), stages=clock.seconds)


def check_demo(config: DemoConfig) -> Target:
    """Returns the target, after everything that can be refused before anything is computed.

    Raises:
        InputError: The target cannot be had, the image to match cannot be read, or the folder is not a demo's.
    """
    target = validate_config(Target, {"properties": _target(config)}, "the target")
    check_reachable(target.fixed, config.materials)
    _check_is_demo(Path(config.folder).resolve())
    return target


def _target(config: DemoConfig) -> dict[str, float]:
    for name in (*config.properties, *(config.target or ())):
        if name not in (known := standard_names(2)):
            raise InputError(f"'{name}' is no property; expected some of {', '.join(known)}.")
    if config.match is None:
        return dict(config.target or DEFAULT_TARGET)
    if config.target is not None:
        raise InputError("Both a target and an image to match are given; give one.")
    batch = read_npy(config.match, n_phases=None)
    if len(batch) != 1:
        raise InputError(f"{config.match}: holds {len(batch)} images; expected one to match.")
    (entry,) = homogenize_report([(config.match, batch.labels[0])], config.materials)
    return {name: entry["properties"][name] for name in config.properties}


def _check_is_demo(folder: Path) -> None:
    """A folder with other things in it is never made a demo's: `--fresh` would delete them."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; choose a folder with --folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "demo.yaml").is_file():
        raise InputError(f"{folder}: holds other files and is no folder of a demo; choose another with --folder.")


class _Stages:
    """Wall time of each stage, and the longest that it ever took: what an earlier run left costs no time again."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._path, self._progress = folder / "stages.json", progress
        self._spent: dict[str, float] = read_json(self._path) if self._path.is_file() else {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Times a stage and puts its name before its lines."""
        start = time.monotonic()
        self._say(name, "starts")
        yield Stage(self._progress, name)
        seconds = time.monotonic() - start
        longest = max(seconds, self._spent.get(name, 0.0))
        if seconds < longest / 2:
            self._say(name, f"done in {seconds:.1f} s, for an earlier run computed it in {longest:.0f} s")
        else:
            self._say(name, f"done in {seconds:.0f} s")
        write_json(self._path, self._spent | {name: longest})
        self._spent[name] = longest
        self.seconds[name] = round(seconds, 2)

    def _say(self, name: str, line: str) -> None:
        self._progress(f"{name}: {line}")
