"""The result of a campaign: one model, which `design --json` prints, `result.json` holds, and every report reads.

    result = CampaignResult.model_validate_json(Path("runs/campaign/result.json").read_text())

Shapes: n candidates, X Y image.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from microdesign.core.errors import InputError
from microdesign.design.report.candidates_table import CandidatesTable, candidates_table
from microdesign.design.report.export import data_uri
from microdesign.design.target.feasibility import Feasibility
from microdesign.design.target.targets import Target
from microdesign.microstructure.io.npy import read_npy
from microdesign.physics.materials import Materials


def _finite(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and not np.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A number, or None where there is none: JSON knows neither NaN nor infinity."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Robustness(_Record):
    """Properties of redraws near a candidate's latent, evaluated by physics."""

    draws: int = Field(description="redraws that physics has values of")
    spread: dict[str, float] = Field(description="relative standard deviation of each property over them")
    worst_error: float | None = Field(description="largest error of one")
    share_within: float = Field(description="share of the redraws that meets the target and its constraints")


class CandidateResult(_Record):
    """One candidate: a design within the target's tolerance."""

    verified: dict[str, float] = Field(description="the target's properties by physics, in `units`")
    predicted: dict[str, Number] = Field(description="the same by the regressor; None where the model has none")
    error: float = Field(description="error of the worst property (`Target.errors`)")
    deviations: dict[str, float] = Field(description="signed relative deviation of each property from its goal")
    component: int = Field(description="prior component that it is from")
    constraints: dict[str, Number] = Field(description="measured values of what the constraints limit")
    novelty: float | None = Field(description="two-point distance to the nearest training image; None without data")
    volume_fraction: float = Field(description="volume fraction of phase 1")
    all_verified: dict[str, Number] = Field(description="everything that physics has computed of it")
    robustness: Robustness | None = Field(None, description="None without redraws")
    discretization_gap: dict[str, float] | None = Field(
        None, description="relative distance of each property by another discretization; None where there is none"
    )
    z: tuple[float, ...] = Field(description="its latent")
    stage: str = Field(description="what proposed it: initial, or the refiner")
    round: int = Field(description="number of the request that proposed it")
    order: int = Field(description="its place in the order of evaluations")
    key: str = Field(description="its key in the ledger")
    parent: str = Field(description="key of the design that it was derived from; empty for the initial design")
    files: dict[str, str] = Field(description="its image as npy, png and vti")


class BaselineResult(_Record):
    """The best design of a baseline."""

    verified: dict[str, float] = Field(description="the target's properties by physics")
    error: float = Field(description="error of the worst property")
    of: int = Field(description="how many designs it is the best of")
    image: str = Field(description="its image (.npy)")


class RoundResult(_Record):
    """Some evaluations one after the other."""

    first: int
    last: int
    best_error: float = Field(description="smallest error of these")
    best_so_far: float = Field(description="smallest error up to these")
    stages: dict[str, int] = Field(description="how many of them each stage proposed")
    images: str = Field(description="the best of them (.npy), best first")


class Front(_Record):
    """The designs that meet the other goals, by the properties that are maximised or minimised."""

    names: tuple[str, ...]
    senses: tuple[int, ...] = Field(description="1 to maximise, -1 to minimise")
    values: tuple[tuple[float, ...], ...] = Field(description="a row for each design")
    numbers: tuple[int, ...] = Field(description="place of each among the evaluations that succeeded")
    on_front: tuple[bool, ...] = Field(description="whether each is on the Pareto front")


class FailedEvaluation(_Record):
    """A design that physics has no values of."""

    key: str
    error: str


class Timings(_Record):
    """Seconds of all evaluations together."""

    proposing: float = 0.0
    waiting: float = Field(0.0, description="between proposal and evaluation")
    evaluating: float = 0.0


class SearchSummary(_Record):
    """How the candidates were found."""

    evaluations: int = Field(description="designs that physics was asked of")
    resumed_evaluations: int = Field(0, description="of those, the ones on record before this run")
    stopped: str = Field("", description="why the search ended; empty while it has not")
    history: tuple[float, ...] = Field(description="best error after each evaluation that succeeded")
    rounds: tuple[RoundResult, ...]
    parity: dict[str, tuple[tuple[float, float], ...]] = Field(description="pairs (predicted, verified) by property")
    best_values: dict[str, tuple[Number, ...]] = Field(
        description="best value so far of each optimised property; None before the other goals are met"
    )
    failed: tuple[FailedEvaluation, ...]
    front: Front | None = Field(None, description="None unless two or more properties are optimised")
    timings: Timings
    utilization: float | None = Field(None, description="share of the workers' time that was spent on physics")


class AfterSearch(_Record):
    """Evaluations after the search, of redraws and blind draws, which count in no budget."""

    evaluations: int
    seconds: float


class ConstraintRange(_Record):
    """Least and largest admitted value of a constraint."""

    name: str
    low: float
    high: Number


class CampaignResult(_Record):
    """What a campaign was asked for, what it has found, and how.

    Prints as a table of the candidates, also in a notebook. It is JSON by `model_dump_json`, and read back by
    `CampaignResult.model_validate_json`.

    Example:
        >>> result = design("runs/model", {"Ex": 3.4, "ky": 2.5}, folder="runs/campaign")  # doctest: +SKIP
        >>> result.candidates[0].verified["Ex"], result.images.shape  # doctest: +SKIP
        (3.41, (4, 64, 64))
    """

    target: Target
    units: dict[str, str] = Field(description="unit of each target property")
    materials: Materials
    feasibility: Feasibility = Field(description="what was known of the target before the search")
    constraints: tuple[ConstraintRange, ...]
    distinct: float = Field(description="two-point distance from which two candidates count as distinct")
    candidates: tuple[CandidateResult, ...] = Field(description="distinct designs within the tolerance, best first")
    baselines: dict[str, BaselineResult | None] = Field(
        default_factory=dict, description="training_set and random; None where no design satisfies the constraints"
    )
    search: SearchSummary
    after_search: AfterSearch | None = None
    evaluator: str
    model: str = Field(description="digest of the model")
    seed: int
    config: str = Field(description="the resolved configuration, YAML")
    folder: str = Field(description="the campaign's folder")
    ledger: str = Field(description="folder of the evaluations")
    report: str = Field("", description="the HTML page")
    tracking_uri: str = Field("", description="address of MLflow")

    @property
    def images(self) -> np.ndarray:
        """The candidates as phase labels, uint8 `(n, X, Y)`, best first; `(0, 0, 0)` without candidates.

        Raises:
            InputError: A candidate's file is gone.
        """
        images = [self.labels(candidate.files["npy"])[0] for candidate in self.candidates]
        return np.stack(images) if images else np.empty((0, 0, 0), np.uint8)

    @property
    def table(self) -> CandidatesTable:
        """The candidates and the baselines, a row each."""
        return candidates_table(self)

    @property
    def summary(self) -> tuple[str, ...]:
        """Sentences for people: what was known before, how the search ended, where everything is."""
        distance = self.feasibility.distance_to_data
        uri = self.tracking_uri
        lines = [
            "" if distance is None else str(distance),
            *self.feasibility.warnings,
            f"{self.search.evaluations} physics evaluations; {self.search.stopped or 'the search has not ended'}",
            f"report: {self.report}" if self.report else "",
            f"MLflow: {uri if uri.startswith('http') else f'mlflow ui --backend-store-uri {uri}'}" if uri else "",
        ]
        return tuple(line for line in lines if line)

    def labels(self, path: str) -> np.ndarray:
        """The images of one of the result's files, `(n, X, Y)`, also after the campaign's folder was moved.

        Raises:
            InputError: The file is gone.
        """
        given = Path(path)
        if not given.is_file():
            raise InputError(f"{path}: is gone; read the result with `read_result` of the campaign's present folder.")
        return read_npy(given).labels

    def __str__(self) -> str:
        return "\n".join((str(self.table), *self.summary))

    def _repr_html_(self) -> str:
        pictures = [data_uri(self.labels(candidate.files["npy"])[0]) for candidate in self.candidates]
        lines = "".join(f"<p>{line}</p>" for line in self.summary)
        return self.table.html(pictures) + lines


def read_result(folder: str | Path) -> CampaignResult:
    """Reads `result.json` of a campaign's folder, which may have been moved or copied since.

    Raises:
        InputError: The folder holds no such file, or it is no result.
    """
    path = Path(folder) / "result.json"
    try:
        result = CampaignResult.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected a campaign's result.") from None
    except ValueError as error:
        raise InputError(f"{path}: is not the result of a campaign ({str(error).splitlines()[0]}).") from None
    return moved(result, Path(folder).resolve())


def moved(result: CampaignResult, folder: Path) -> CampaignResult:
    """The result with its files in another folder, the one that it lies in now."""
    old = result.folder
    if old == str(folder):
        return result

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            return str(folder) + value[len(old) :] if value == old or value.startswith(f"{old}/") else value
        if isinstance(value, Mapping):
            return {key: renamed(each) for key, each in value.items()}
        return [renamed(each) for each in value] if isinstance(value, list) else value

    return type(result).model_validate(renamed(result.model_dump(mode="json")))
