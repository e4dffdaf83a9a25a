"""From a micrograph to a report: windows, fine-tuning, draws, labels, training, campaign; each stage is reused."""

from collections.abc import Mapping
from pathlib import Path

from microdesign.core.config import dump_yaml
from microdesign.core.files import digest_json, write_text
from microdesign.core.journal import journal
from microdesign.core.progress import Progress, silent
from microdesign.core.stages import Stages
from microdesign.design.campaign.campaign_config import CampaignConfig, ReferenceImage
from microdesign.design.from_micrograph.config import SEARCH, MicrographConfig
from microdesign.design.from_micrograph.draws import draw_dataset
from microdesign.design.from_micrograph.likeness import likeness_limit
from microdesign.design.from_micrograph.not_connected import check_draws
from microdesign.design.from_micrograph.preparation import SETTINGS, Prepared, prepare
from microdesign.design.from_micrograph.resolution import own_values, second_values, tell_resolution
from microdesign.design.from_micrograph.settings import fine_tuning, training
from microdesign.design.from_micrograph.windows import write_micrograph
from microdesign.design.report.result import StagedResult
from microdesign.design.target.constraints import Similarity
from microdesign.design.target.like_with_like import OwnValue
from microdesign.design.workflow import run_design
from microdesign.learning.pretraining.pretrain import pretrain
from microdesign.learning.training.train import train
from microdesign.model.bundle import load_bundle
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.execution.labelling import label_dataset
from microdesign.physics.execution.parallel import evaluate_shards
from microdesign.physics.execution.store import ResultStore
from microdesign.tracking import default_uri

LEAST_SEARCH = 1.0
"""Minutes of a search, below which it may end before its first answer."""


def design_from(
    config: MicrographConfig,
    progress: Progress = silent,
    tracking_uri: str | None = None,
    prepared: Prepared | None = None,
) -> StagedResult:
    """Runs, or goes on with, everything from a micrograph to a report.

    Args:
        config: What to do.
        progress: Called with lines for people.
        tracking_uri: MLflow's address; SQLite in the folder, or MLFLOW_TRACKING_URI, when None.
        prepared: What `prepare` returned for this config; None calls it.

    Raises:
        InputError: As for `prepare`.
    """
    start = prepared or prepare(config)
    folder = Path(config.folder).resolve()
    write_text(folder / SETTINGS, dump_yaml(config))
    uri = tracking_uri or default_uri(folder)
    with journal(folder, "design from a micrograph", progress) as progress:
        stages = Stages(folder, progress)

        with stages.stage("windows") as report:
            material = write_micrograph(start.micrograph, folder / f"micrograph-{start.digest}", config.turns, report)
            store = ResultStore(folder / "results")
            second = second_values(start, config.materials, store)
            # The images of a robust campaign are on twice the pixels from the first: like is not with like there.
            robust = config.campaign.robust
            relative_to = {} if robust else own_values(start, second, config.materials, store, report)
            tell_resolution(start, second, tuple(relative_to), report)
        with stages.stage("fine-tune") as report:
            fine_tuned = pretrain(fine_tuning(config, material, folder), report, uri)
        with stages.stage("draw") as report:
            bundle = load_bundle(fine_tuned)
            n = config.labelled_draws(material.dims)
            name = digest_json([bundle.digest, n, config.seed])[:10]
            drawn = draw_dataset(
                bundle,
                material.windows,
                folder / f"draws-{name}",
                n,
                config.seed,
                report,
                start.micrograph.image.physical,
            )
            within = likeness_limit(config, material, drawn, report)
        with stages.stage("label") as report:
            labelled = label_dataset(
                drawn,
                folder / f"labelled-{digest_json([name, config.materials.digest])[:10]}",
                config.materials,
                FFTEvaluator(),
                evaluate_shards,
                store=ResultStore(folder / "results"),
                progress=report,
            )
            check_draws(labelled, start.properties)
        with stages.stage("train") as report:
            trained = train(
                training(config, material, start.properties, bundle, fine_tuned, labelled, folder), report, uri
            )
        with stages.stage("design") as report:
            campaign = _campaign(
                config, start, relative_to, trained, str(labelled.folder), str(material.folder), within, folder
            )
            result = run_design(campaign, report, uri)
        return StagedResult(**dict(result), stages=stages.seconds)


def _campaign(
    config: MicrographConfig,
    start: Prepared,
    relative_to: Mapping[str, OwnValue],
    trained: Path,
    labelled: str,
    population: str,
    within: float | None,
    folder: Path,
) -> CampaignConfig:
    """The campaign: designs as alike to the micrograph as its windows are to each other, or as `within` says."""
    constraints = start.target.constraints
    if within is not None and constraints.similar_to is None:
        similar = Similarity(images=population, within=within)
        constraints = constraints.model_copy(update={"similar_to": similar})
    target = start.target.model_copy(update={"constraints": constraints, "relative_to": relative_to})
    search = dict(config.campaign)
    search["minutes"] = search["minutes"] or max(LEAST_SEARCH, SEARCH * config.minutes)
    search["seed"] = search["seed"] or config.seed
    identity = [target.model_dump(mode="json"), search["seed"], trained.parent.name]
    return CampaignConfig(
        **search,
        target=target,
        model=str(trained),
        materials=config.materials,
        dataset=labelled,
        store=str(folder / "results"),
        folder=str(folder / f"campaign-{digest_json(identity)[:10]}"),
        reference=ReferenceImage(
            image=str(Path(population) / "micrograph.npy"), name="micrograph", properties=start.own, boundary="mirror"
        ),
    )
