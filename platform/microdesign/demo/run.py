"""The demo: images, labels, model, campaign, report; each stage reuses what is there."""

import shutil
from pathlib import Path
from typing import Any

from microdesign.core.config import dump_yaml, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import digest_json, write_text
from microdesign.core.journal import journal
from microdesign.core.progress import Progress, silent
from microdesign.core.properties import quotient, standard_names, standard_parts
from microdesign.core.stages import Stages, check_own_folder
from microdesign.demo.config import DEFAULT_TARGETS, DemoConfig
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.retraining import retrainer
from microdesign.design.report.result import StagedResult
from microdesign.design.target.constraints import Constraints, Similarity
from microdesign.design.target.feasibility import check_feasible
from microdesign.design.target.target import Target
from microdesign.design.workflow import run_design
from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.registration import TrackingConfig
from microdesign.learning.training.train import train
from microdesign.microstructure.generators.dataset_generation import generate_dataset
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.execution.labelling import label_dataset
from microdesign.physics.execution.parallel import evaluate_shards
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.label_images import read_labels
from microdesign.physics.report import homogenize_report
from microdesign.tracking import default_uri


def run_demo(config: DemoConfig, progress: Progress = silent, fresh: bool = False) -> StagedResult:
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
    with journal(folder, "demo", progress) as progress:
        clock = Stages(folder, progress)
        names, asked = standard_parts(target.names, config.dims), target.model_dump(mode="json")

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
                folder=str(folder / f"campaign-{digest_json([asked, config.campaign.seed, bundle.parent.name])[:10]}"),
            )
            result = run_design(campaign, report, uri, retrainer(campaign, report, uri))
        return StagedResult(**dict(result), stages=clock.seconds)


def check_demo(config: DemoConfig) -> Target:
    """Returns the target, after everything that can be refused before anything is computed.

    Raises:
        InputError: The target cannot be had, the image to match cannot be read, or the folder is not a demo's.
    """
    target = validate_config(Target, {"properties": _target(config), "dims": config.dims}, "the target")
    check_feasible(target, config.materials)
    # Not merely untidy: `--fresh` would delete what is there.
    check_own_folder(Path(config.folder).resolve(), "demo.yaml", "a demo")
    return target


def _target(config: DemoConfig) -> dict[str, Any]:
    known = standard_names(config.dims)
    for name in (*config.properties, *(config.target or ())):
        if not set(quotient(name) or (name,)) <= set(known):
            raise InputError(f"'{name}' is no property; expected some of {', '.join(known)}.")
    if config.match is None:
        return dict(config.target or DEFAULT_TARGETS[config.dims])
    if config.target is not None:
        raise InputError("Both a target and an image to match are given; give one.")
    images = list(read_labels(config.match, config.dims))
    if len(images) != 1:
        raise InputError(f"{config.match}: holds {len(images)} images; expected one to match.")
    (entry,) = homogenize_report(images, config.materials, dims=config.dims)
    return {name: entry["properties"][name] for name in config.properties}
