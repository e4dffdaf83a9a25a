"""The result of a campaign from its record, finished or not: candidates, how they were found, files of their images."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import microdesign
from microdesign.core.config import dump_yaml
from microdesign.core.pixels import Pixel
from microdesign.core.units import shown_unit
from microdesign.design.campaign.campaign_config import CampaignConfig, ReferenceImage
from microdesign.design.campaign.discretizations import (
    FINER,
    errors_by_both,
    gap,
    holds_by_both,
    on_twice_the_pixels,
    refined_error,
)
from microdesign.design.campaign.progress import CampaignProgress
from microdesign.design.campaign.trials import Trial, Trials
from microdesign.design.report.baselines import AdmittedImages, Baseline, met_by_training_images
from microdesign.design.report.export import write_design, write_image, write_labels
from microdesign.design.report.figures import GALLERY
from microdesign.design.report.manufacturing import manufacturing_of
from microdesign.design.report.result import CampaignResult
from microdesign.design.report.result_parts import (
    BaselineResult,
    CandidateResult,
    ConstraintRange,
    EvaluatedDesign,
    FailedEvaluation,
    Front,
    ReferenceResult,
    RefinedResult,
    RoundResult,
    SearchSummary,
    Timings,
    TrainingImageResult,
)
from microdesign.design.report.verdict import Values, judge
from microdesign.design.search.distinctness import DISTINCT
from microdesign.design.target.constraints import Check
from microdesign.design.target.feasibility import Feasibility
from microdesign.design.target.pareto import front_numbers
from microdesign.design.target.target import Target
from microdesign.design.target.training_images import TrainingImages
from microdesign.microstructure.drawing import UNKNOWN
from microdesign.microstructure.io.formats.npy import read_npy
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_unit


def summarize(
    config: CampaignConfig,
    trials: Trials,
    materials: Materials,
    feasibility: Feasibility,
    model: str,
    folder: Path,
    training: TrainingImages | None = None,
    known: AdmittedImages | None = None,
    images: Path | None = None,
) -> CampaignResult:
    """What the record of a campaign says, finished or not; writes the images that it names.

    Args:
        config: What is asked.
        trials: The campaign's.
        materials: The phases.
        feasibility: What was known of the target before the search.
        model: Digest of the model.
        folder: The campaign's.
        training: The training images.
        known: Those that satisfy the constraints; None without labels.
        images: Where images go; None takes the campaign's folder.
    """
    progress, target = CampaignProgress(config, trials), config.target
    images = images or folder
    found = progress.candidates()
    candidates = tuple(
        summarize_design(trial, images / "candidates" / f"candidate-{number}.npy", target, training, config.pixel)
        for number, trial in enumerate(found, start=1)
    )
    misses = tuple(
        summarize_design(trial, images / "misses" / f"miss-{number}.npy", target, training, config.pixel)
        for number, trial in enumerate(progress.near_misses(config.candidates - len(found)), start=1)
    )
    return CampaignResult(
        verdict=judge(
            target,
            _values(progress, trials.succeeded),
            _values(progress, found),
            None if known is None else Values(known.values, known.errors),
        ),
        target=target,
        units={name: property_unit(name, materials) for name in target.names},
        materials=materials,
        feasibility=feasibility,
        constraints=tuple(_range(check, config.pixel) for check in target.checks),
        **config.pixel.fields,
        distinct=DISTINCT,
        candidates=candidates,
        misses=misses,
        reference=None if config.reference is None else summarize_reference(config.reference, images, target.dims),
        search=summarize_search(trials.evaluations, progress, images),
        evaluator=config.evaluator,
        model=model,
        model_name=config.model,
        dataset=config.dataset,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=microdesign.__version__,
        seed=config.seed,
        config=dump_yaml(config),
        folder=str(folder),
        ledger=str(folder / "evaluations"),
    )


def _values(progress: CampaignProgress, trials: Sequence[Trial]) -> Values:
    """What physics has found of trials, for the verdict."""
    return Values(progress.verified(trials).reshape(-1, len(progress.target.names)), progress.errors(trials))


def summarize_design(
    trial: Trial, path: Path, target: Target, training: TrainingImages | None, pixel: Pixel = UNKNOWN
) -> CandidateResult:
    """One design of the answer, with its files: `path` and what lies beside it; lengths in the unit of the pixel."""
    images = trial.labels[None]
    realism = novelty = nearest = None
    if training is not None:
        realism, (novelty, alike) = training.realism(images), training.nearest(images)
        nearest = path.with_name(f"{path.stem}-nearest.npy")
        write_image(nearest, alike[0], pixel.proportions, target.phases)
    verified = {name: trial.verified[name] for name in target.names}
    made = manufacturing_of(trial.verified, target)
    values = np.array([list(verified.values())])
    return CandidateResult(
        verified=verified,
        as_drawn=None if made is None else {name: trial.drawn[name] for name in target.names},
        manufacturing=made,
        predicted=dict(trial.predicted),
        error=float(target.errors(values)[0]),
        error_by_both=float(errors_by_both(target, [trial])[0]),
        holds_by_both=holds_by_both(target, trial),
        discretization_gap=gap(target, trial),
        refined=_refined(trial, path.with_name(f"{path.stem}-fine.npy"), target, pixel),
        deviations=dict(zip(target.names, target.deviations(values)[0].tolist(), strict=True)),
        component=trial.component,
        constraints={
            check.name: float(check.measure(images)[0]) * (pixel.edge if check.is_length else 1.0)
            for check in target.checks
        },
        novelty=None if novelty is None else float(novelty[0]),
        realism=None if realism is None else float(realism[0]),
        volume_fraction=float((trial.labels == 1).mean()),
        all_verified=dict(trial.verified),
        z=tuple(trial.z.tolist()),
        stage=trial.stage,
        round=trial.round,
        order=trial.order,
        key=trial.key,
        parent=trial.parent,
        files=write_design(path, trial.labels, trial.drawn, pixel, target.phases, target.periodic),
        nearest=None if nearest is None else str(nearest),
    )


def _refined(trial: Trial, path: Path, target: Target, pixel: Pixel) -> RefinedResult | None:
    """A trial on twice the pixels, where it was refined; writes its files."""
    distance = gap(target, trial, fine=True)
    if distance is None:
        return None
    verified = {name: trial.fine[name] for name in target.names}
    return RefinedResult(
        verified=verified,
        error=refined_error(target, trial),
        discretization_gap=distance,
        files=write_design(
            path,
            on_twice_the_pixels(trial.labels),
            trial.fine,
            pixel._replace(edge=pixel.edge / FINER),
            target.phases,
            target.periodic,
        ),
    )


def _range(check: Check, pixel: Pixel) -> ConstraintRange:
    if not check.is_length:
        return ConstraintRange(name=check.name, low=check.low, high=check.high)
    edge, unit = pixel.edge, pixel.unit
    return ConstraintRange(
        name=check.name, low=edge * check.low, high=edge * check.high, unit=shown_unit(unit) if unit else "pixels"
    )


def summarize_training_images(
    admitted: AdmittedImages, target: Target, n: int, folder: Path, pixel: Pixel = UNKNOWN
) -> tuple[TrainingImageResult, ...]:
    """At most n distinct training images that meet the target, best first; writes their files."""
    found = []
    for number, (row, values) in enumerate(met_by_training_images(admitted, target, n), start=1):
        verified = dict(zip(target.names, values.tolist(), strict=True))
        error = float(admitted.errors[np.searchsorted(admitted.rows, row)])
        path = folder / f"training-image-{number}.npy"
        files = write_design(path, admitted.data.labels[row], verified, pixel, target.phases, target.periodic)
        found.append(TrainingImageResult(verified=verified, error=error, row=row, files=files))
    return tuple(found)


def summarize_baseline(
    baseline: Baseline | None, path: Path, phases: int = 2, pixel: Pixel = UNKNOWN
) -> BaselineResult | None:
    """The best design of a baseline; writes its image."""
    if baseline is None:
        return None
    write_image(path, baseline.labels, pixel.proportions, phases)
    return BaselineResult(verified=baseline.verified, error=baseline.error, of=baseline.of, image=str(path))


def summarize_reference(reference: ReferenceImage, folder: Path, dims: int = 2) -> ReferenceResult:
    """The image beside the candidates; writes a copy of it.

    Raises:
        InputError: It cannot be read.
    """
    path = folder / "reference.npy"
    write_labels(path, read_npy(reference.image, dims=dims).labels)
    return ReferenceResult(
        name=reference.name, properties=dict(reference.properties), boundary=reference.boundary, image=str(path)
    )


def summarize_search(evaluations: Sequence[Trial], progress: CampaignProgress, folder: Path) -> SearchSummary:
    """How the candidates were found: rounds of `per_round` evaluations with pictures, designs, timings, Pareto front.

    Args:
        evaluations: In the order of results.
        progress: The campaign's.
        folder: Pictures go to its `rounds`.
    """
    target = progress.target
    solved = [trial for trial in evaluations if trial.verified]
    values = progress.verified(solved).reshape(-1, len(target.names))
    errors = progress.errors(solved)
    return SearchSummary(
        evaluations=len(evaluations) * progress.config.images_per_design,
        designs=len(evaluations),
        checks=progress.config.images_per_design
        * sum(trial.is_checked + 2 * bool(trial.fine) for trial in evaluations),
        history=tuple(progress.history()),
        rounds=tuple(_rounds(solved, values, errors, target, progress.config.per_round, folder)),
        evaluated=tuple(
            EvaluatedDesign(
                verified=dict(zip(target.names, row.tolist(), strict=True)),
                drawn={name: trial.drawn[name] for name in target.names},
                predicted={name: trial.predicted.get(name) for name in target.names},
                error=error,
                volume_fraction=float((trial.labels == 1).mean()),
                stage=trial.stage,
                key=trial.key,
            )
            for trial, row, error in zip(solved, values, errors.tolist(), strict=True)
        ),
        best_values=_best_values(values, errors, target),
        failed=tuple(FailedEvaluation(key=t.key, error=t.error) for t in evaluations if t.error),
        front=_front(values, errors, target),
        timings=Timings(**total_seconds(evaluations)),
    )


def total_seconds(trials: Sequence[Trial]) -> dict[str, float]:
    """Seconds of all trials together: making proposals, waiting for a worker, physics."""
    names: Mapping[str, object] = Timings.model_fields
    return {name: float(sum(trial.timings.get(name, 0.0) for trial in trials)) for name in names}


def _rounds(
    solved: Sequence[Trial], values: np.ndarray, errors: np.ndarray, target: Target, per_round: int, folder: Path
) -> list[RoundResult]:
    rounds = []
    for number, start in enumerate(range(0, len(solved), per_round)):
        mine = np.arange(start, min(start + per_round, len(solved)))
        best = mine[np.argsort(target.ranks(values[mine], errors[mine]), kind="stable")[:GALLERY]]
        path = folder / "rounds" / f"round-{number:03d}.npy"
        write_labels(path, np.stack([solved[i].labels for i in best.tolist()]))
        stages = [solved[i].stage for i in mine.tolist()]
        rounds.append(
            RoundResult(
                first=start + 1,
                last=int(mine[-1]) + 1,
                best_error=float(errors[mine].min()),
                best_so_far=float(errors[: mine[-1] + 1].min()),
                stages={stage: stages.count(stage) for stage in sorted(set(stages))},
                images=str(path),
                shown=tuple((best + 1).tolist()),
            )
        )
    return rounds


def _best_values(values: np.ndarray, errors: np.ndarray, target: Target) -> dict[str, tuple[float | None, ...]]:
    """Best value so far of each optimised property, among designs that meet the other goals."""
    found = {}
    for index in np.flatnonzero(target.senses):
        sense = target.senses[index]
        gains = np.where(errors <= target.tolerance, sense * values[:, index], -np.inf)
        found[target.names[index]] = tuple((sense * np.maximum.accumulate(gains)).tolist())
    return found


def _front(values: np.ndarray, errors: np.ndarray, target: Target) -> Front | None:
    """The designs that meet the other goals, by the optimised properties, if there are two or more of these."""
    chosen = np.flatnonzero(target.senses)
    if len(chosen) < 2:
        return None
    met = np.flatnonzero(errors <= target.tolerance)
    return Front(
        names=tuple(target.names[i] for i in chosen),
        senses=tuple(target.senses[chosen].tolist()),
        values=tuple(map(tuple, values[met][:, chosen].tolist())),
        numbers=tuple(met.tolist()),
        on_front=tuple((front_numbers(target.objectives(values[met])) == 0).tolist()) if len(met) else (),
    )
