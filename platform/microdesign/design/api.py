"""Inverse design from Python: `md.design` runs a campaign, `md.Campaign` is one whose designs you evaluate yourself.

Shapes: n designs, X Y image.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from microdesign.core.config import validate_config
from microdesign.core.errors import EvaluationError, InputError
from microdesign.core.progress import Progress, shown
from microdesign.design.campaign.ask_tell import AskTell
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.retraining import retrainer
from microdesign.design.campaign.trials import Trial, TrialResult
from microdesign.design.from_micrograph.config import MicrographConfig
from microdesign.design.from_micrograph.preparation import prepare
from microdesign.design.from_micrograph.run import design_from
from microdesign.design.report.result import CampaignResult
from microdesign.design.report.summary import summarize
from microdesign.design.setup import open_setup
from microdesign.design.target.target import Target
from microdesign.design.workflow import run_design
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.effective_properties import Phases, phases_from
from microdesign.physics.evaluators.manufacturing import VARIANTS, manufactured, named_variants
from microdesign.physics.evaluators.protocol import Evaluator, Values
from microdesign.physics.execution.cluster import connected
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate
from microdesign.tracking import default_uri

Model = str | Path | Surrogate
"""A bundle folder, `models:/NAME@ALIAS`, the address of a Serve endpoint, or a loaded model."""
Told = Mapping[str, float] | Mapping[str, Mapping[str, float]] | str
"""What is told of a trial: its properties, those of its variants by their names, or why there are none."""


def design(
    model: Model | None = None,
    target: Target | Mapping[str, Any] | None = None,
    *,
    from_: str | Path | None = None,
    materials: Phases | None = None,
    dataset: str | Path | Dataset | None = None,
    folder: str | Path | None = None,
    evaluations: int = 400,
    evaluator: str | Evaluator = "fft",
    runner: str = "local",
    progress: Progress | None = None,
    tracking_uri: str | None = None,
    **settings: Any,
) -> CampaignResult:
    """Searches microstructures with the target's properties, each verified by physics; runs or resumes a campaign.

    Latents are drawn from the model's prior p(z|c) at the target, screened by its regressor, evaluated by physics and
    refined by Bayesian optimisation until `candidates` distinct designs are within `goal` or a budget is spent. Called
    again with the same folder it goes on from the record there, also after a crash, and repeats nothing. Source of the
    model: Sardeshmukh et al. 2024, arXiv 2402.17806.

    With `from_` in the place of a model one micrograph is enough: the pretrained encoder and decoder are fine-tuned on
    its windows, periodic draws like them are labelled by physics and train regressor and prior, and the campaign looks
    for designs that are as alike to the micrograph as its windows are to each other.

    Args:
        model: The trained model, or where it is.
        target: Goal of each property in the materials' units, such as `{"Ex": 2.4, "ky": {"at_most": 2},
            "kx/ky": {"maximize": True}}`; or everything that `Target` takes, such as `{"properties": {"Ex": 2.4},
            "tolerance": 0.02, "constraints": {"volume_fraction": [0.3, 0.5]}}`. With `from_` a number may be a multiple
            of the micrograph's own value: `{"Ex": {"times": 1.15}, "kx": "match", "ky": {"at_most": "1.2x"}}`.
        from_: File of one segmented image of two phases or more, of any format that `read` knows, of 32 pixels or more
            along each axis; with `dims=3` a volume. Needs `materials`; takes the fields of `MicrographConfig` as
            further settings, above all `minutes`.
        materials: The phases, as a list of mappings, a YAML file or `Materials`; those of the model when None.
        dataset: Labelled data set for novelty, baselines and the target's distance to it; needed where the target does
            not fix all of the model's properties.
        folder: The campaign's folder: record, report and images of the candidates; with `from_` that of everything.
            `runs/campaign` when None, with `from_` `microdesign-from-NAME`.
        evaluations: Budget of physics evaluations. Raise it where a result says that it was spent and the errors still
            fell; the search ends earlier where they do not (`patience`).
        evaluator: The physics: `fft`, `command: PROGRAM ARGS`, `module:name`, or an evaluator of your own.
        runner: Where evaluations run: `local` (processes of this machine), `ray` (a cluster, or a local Ray), or
            `module:name`.
        progress: Takes lines for people; None shows them on standard error.
        tracking_uri: MLflow's address; MLFLOW_TRACKING_URI or SQLite in the working folder when None.
        settings: Further fields of `CampaignConfig`, such as `candidates=2`, `seed=1`, `refiner="cmaes"`; with `from_`
            those of `MicrographConfig`, such as `minutes=60`, `size=96`, `campaign={"candidates": 2}`.

    Returns:
        The result: `.candidates` with `.verified` properties and `.error`, `.images` uint8 `(n, X, Y)`, `.table`; it
        prints and shows itself as a table.

    Raises:
        InputError: No microstructure of the phases can have the properties; the model, data set or runner cannot be
            had; a setting is unknown or not valid; the folder belongs to another campaign or is in use.
        EvaluationError: Physics has values for none of the first designs.

    Example:
        >>> from microdesign.design.api import design
        >>> target = {"properties": {"Ex": 3.2, "kx": 3.2}, "tolerance": 0.5}  # within 50 %
        >>> result = design("runs/model", target, evaluations=6, candidates=2, samples=32, screened=4)
        >>> result.search.evaluations, result.images.shape[1:]
        (6, (32, 32))
        >>> all(abs(candidate.verified["Ex"] / 3.2 - 1) <= 0.5 for candidate in result.candidates)
        True
    """
    if (model is None) == (from_ is None):
        raise InputError("design: expected a model, or a micrograph by `from_`.")
    if target is None:
        raise InputError("design: expected a target.")
    if from_ is not None:
        if dataset is not None or evaluator != "fft":
            raise InputError(
                "design: `from_` makes its data set by the built-in physics; leave out dataset, evaluator."
            )
        search = {"evaluations": evaluations, **settings.pop("campaign", {})}
        values = {**settings, "campaign": search, "target": target, "materials": materials, "folder": folder}
        return _design_from(from_, values, progress, tracking_uri)
    assert model is not None
    settings |= {"evaluations": evaluations, "runner": runner}
    config, surrogate = _settings(model, target, materials, dataset, folder or "runs/campaign", settings)
    if surrogate is not None and config.retrain_every:
        raise InputError(
            f"retrain_every = {config.retrain_every}: expected the model's bundle folder, not a loaded one."
        )
    own = None if isinstance(evaluator, str) else evaluator
    config = config.model_copy(update={"evaluator": evaluator if own is None else type(own).__name__})
    cluster = connected() if config.needs_ray else nullcontext()
    with cluster, shown() if progress is None else nullcontext(progress) as shows:
        retrain = retrainer(config, shows, tracking_uri)
        return run_design(config, shows, tracking_uri, retrain, surrogate, own)


def _design_from(
    micrograph: str | Path, values: dict[str, Any], progress: Progress | None, tracking_uri: str | None
) -> CampaignResult:
    if values["materials"] is None:
        raise InputError("design: `from_` needs materials, the phases of the micrograph.")
    target = values["target"]
    values |= {
        "micrograph": str(micrograph),
        "materials": phases_from(values["materials"]),
        "target": target.model_dump(mode="json") if isinstance(target, Target) else target,
        "folder": str(values["folder"] or f"microdesign-from-{Path(micrograph).stem}"),
    }
    config = validate_config(MicrographConfig, values, "the settings of design")
    prepared = prepare(config)  # before Ray starts
    with connected(), shown() if progress is None else nullcontext(progress) as shows:
        return design_from(config, shows, tracking_uri, prepared)


class Campaign(AskTell):
    """A campaign whose designs you evaluate yourself, with a solver of your own or in a laboratory.

    `ask` proposes designs and records them, `tell` takes what was measured; after any crash the same constructor goes
    on from the folder. Designs that were proposed and never told are in `open`. Use it in a `with` block, or call
    `close` in the end: its folder is locked meanwhile.

    Args:
        model: The trained model, or where it is.
        target: As for `design`; properties may also be ones that only you can measure.
        materials: The phases; those of the model when None.
        dataset: Labelled data set, as for `design`.
        folder: The campaign's folder.
        method: Names how you evaluate. Values of another method are not mixed: the folder is then refused.
        tracking_uri: MLflow's address, for a model in its registry.
        settings: Further fields of `CampaignConfig`, such as `evaluations=32`, `candidates=2`.

    Raises:
        InputError: As for `design`.
        StorageError: The folder cannot be written.

    Example:
        >>> from microdesign.design.api import Campaign
        >>> def measure(image):  # a solver of your own, or a laboratory
        ...     return {"Ex": 1 + 4 * image.mean()}
        >>> with Campaign("runs/model", {"Ex": 3.0}, folder="runs/laboratory", evaluations=6) as campaign:
        ...     while not campaign.reason_to_stop():
        ...         trials = campaign.ask(3)
        ...         _ = campaign.tell({trial.key: measure(trial.labels) for trial in trials})
        ...     result = campaign.result()
        >>> result.search.stopped
        'the budget of 6 evaluations is spent'
    """

    def __init__(
        self,
        model: Model,
        target: Target | Mapping[str, Any],
        *,
        materials: Phases | None = None,
        dataset: str | Path | Dataset | None = None,
        folder: str | Path = "runs/campaign",
        method: str = "laboratory",
        tracking_uri: str | None = None,
        **settings: Any,
    ) -> None:
        config, surrogate = _settings(model, target, materials, dataset, folder, settings)
        config = config.model_copy(update={"evaluator": method})
        uri = tracking_uri or default_uri()
        self._setup = open_setup(config, Path(config.folder).resolve(), uri, surrogate, evaluator=_Elsewhere(method))
        super().__init__(self._setup.config, *self._setup.campaign_parts)

    def tell(self, results: Sequence[TrialResult] | Mapping[str, Told]) -> list[Trial]:
        """Records results; on disk when this returns. Returns the trials as they are then.

        Args:
            results: For the key of each trial its properties by name, in the materials' units, or a text that says why
                there are none; or a list of `TrialResult`. In a robust campaign (`robust=True`) those of each of the
                trial's `variants`, by its name.

        Raises:
            InputError: A key is of no trial, or of one that was told; a property of the target is missing, or a value
                is no number. Nothing is recorded then.
        """
        if isinstance(results, Mapping):
            results = [_trial_result(key, values) for key, values in results.items()]
        return super().tell(results)

    def variants(self, trial: Trial) -> dict[str, np.ndarray]:
        """The images of a robust campaign's trial that are to be evaluated, uint8 `(2 X, 2 Y)` each.

        `tell` takes the properties of each: `{trial.key: {"as drawn": {"Ex": 2.4}, "thicker": {"Ex": 2.6}, ...}}`.
        """
        return dict(zip(VARIANTS, manufactured(trial.labels, self.config.seed), strict=True))

    def result(self) -> CampaignResult:
        """The result so far; writes the images that it names into the campaign's folder."""
        setup = self._setup
        folder = Path(self.config.folder).resolve()
        result = summarize(
            self.config, self.ledger, setup.materials, setup.feasibility, self.surrogate.digest, folder, setup.training
        )
        search = result.search.model_copy(update={"stopped": self.reason_to_stop()})
        return result.model_copy(update={"search": search})


def _trial_result(key: str, told: Told) -> TrialResult:
    if isinstance(told, str):
        return TrialResult(key, error=told)
    nested = {name: value for name, value in told.items() if isinstance(value, Mapping)}
    if not nested:
        return TrialResult(key, {name: value for name, value in told.items() if not isinstance(value, Mapping)})
    if single := [name for name in told if name not in nested]:
        raise InputError(f"The result of {key[:12]}: '{single[0]}' stands beside images; expected values by image.")
    try:
        return TrialResult(key, named_variants(nested))
    except InputError as error:
        raise InputError(f"The result of {key[:12]}: {error}") from None


class _Elsewhere:
    """Stands for evaluations that are made outside of this program."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        raise EvaluationError(f"'{self.fingerprint}' is evaluated outside of this program.")


def _settings(
    model: Model,
    target: Target | Mapping[str, Any],
    materials: Phases | None,
    dataset: str | Path | Dataset | None,
    folder: str | Path,
    settings: Mapping[str, Any],
) -> tuple[CampaignConfig, Surrogate | None]:
    """The config of what a user gave, and the model if it is loaded already."""
    if isinstance(target, Mapping) and not set(target) & set(Target.model_fields):
        target = {"properties": target}
    loaded = None if isinstance(model, str | Path) else model
    values = {
        **settings,
        "target": target,
        "model": str(model) if loaded is None else f"loaded model {loaded.digest[:12]}",
        "materials": None if materials is None else phases_from(materials),
        "dataset": str(dataset.folder) if isinstance(dataset, Dataset) else None if dataset is None else str(dataset),
        "folder": str(folder),
    }
    return validate_config(CampaignConfig, values, "the campaign's settings"), loaded
