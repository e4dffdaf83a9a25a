"""The parts of a campaign's result: candidates, baselines, and how they were found."""

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _finite(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and not np.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A number, or None where there is none: JSON knows neither NaN nor infinity."""


class ResultPart(BaseModel):
    """Base of every part: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Robustness(ResultPart):
    """Properties of redraws near a candidate's latent, evaluated by physics."""

    draws: int = Field(description="redraws that physics has values of")
    spread: dict[str, float] = Field(description="relative standard deviation of each property over them")
    worst_error: float | None = Field(description="largest error of one")
    share_within: float = Field(description="share of the redraws that meets the target and its constraints")


class Manufacturing(ResultPart):
    """Properties of a candidate whose outlines come out differently, relative to those of the image as drawn."""

    thicker: dict[str, float] = Field(description="change of each property with phase 1 half a pixel larger all around")
    thinner: dict[str, float] = Field(description="change with phase 1 half a pixel smaller")
    rough: dict[str, float] = Field(
        description="standard deviation with 1 % of the pixels along the outlines in the other phase"
    )
    worst_error: float = Field(description="largest error of one of these")


class RefinedResult(ResultPart):
    """A design on twice the pixels, each pixel as 2 x 2: the same shape, resolved better."""

    verified: dict[str, float] = Field(description="the target's properties by physics")
    error: float = Field(description="error of the worst property")
    discretization_gap: dict[str, float] = Field(description="relative distance of each by another discretization")
    files: dict[str, str] = Field(description="its image as npy, png and vti")


class CandidateResult(ResultPart):
    """One design of the answer: a candidate, within the target's tolerance, or a near miss."""

    verified: dict[str, float] = Field(
        description="the target's properties by physics, in `units`; of a robust campaign their worst case"
    )
    as_drawn: dict[str, float] | None = Field(
        None, description="of a robust campaign the properties of the image as drawn; else None"
    )
    predicted: dict[str, Number] = Field(description="the same by the regressor; None where the model has none")
    error: float = Field(description="error of the worst property (`Target.errors`)")
    deviations: dict[str, float] = Field(description="signed relative deviation of each property from its goal")
    component: int = Field(description="prior component that it is from")
    constraints: dict[str, Number] = Field(description="measured values of what the constraints limit")
    novelty: float | None = Field(
        description="difference from the nearest training image, 1 that of two realisations of one material; None "
        "without data"
    )
    realism: Number = Field(
        None,
        description="distance from the training images as a population, 95 % of which are within 1; None without data",
    )
    volume_fraction: float = Field(description="volume fraction of phase 1")
    all_verified: dict[str, Number] = Field(description="everything that physics has computed of it")
    robustness: Robustness | None = Field(None, description="None without redraws")
    manufacturing: Manufacturing | None = Field(None, description="None where it was not asked for or has no values")
    discretization_gap: dict[str, float] | None = Field(
        None, description="relative distance of each property by another discretization; None where there is none"
    )
    refined: RefinedResult | None = Field(
        None, description="the same on twice the pixels, where the two discretizations left doubt"
    )
    holds_by_both: bool | None = Field(
        None,
        description="whether the target is met by both discretizations, on twice the pixels where it was refined; None "
        "where no other one was asked",
    )
    error_by_both: float = Field(
        description="error of the worst property by the worse of the two, by which the target counts as met"
    )
    z: tuple[float, ...] = Field(description="its latent")
    stage: str = Field(description="what proposed it: initial, or the refiner")
    round: int = Field(description="number of the request that proposed it")
    order: int = Field(description="its place in the order of evaluations")
    key: str = Field(description="its key in the ledger")
    parent: str = Field(description="key of the design that it was derived from; empty for the initial design")
    files: dict[str, str] = Field(description="its image as npy, png and vti")
    nearest: str | None = Field(None, description="the nearest training image (.npy); None without data")


class TrainingImageResult(ResultPart):
    """A training image that meets the target and its constraints."""

    verified: dict[str, float] = Field(description="the target's properties by its labels")
    error: float = Field(description="error of the worst property, by the worse of two discretizations")
    row: int = Field(description="its place among the training images whose properties are known")
    files: dict[str, str] = Field(description="its image as npy, png and vti")


class BaselineResult(ResultPart):
    """The best design of a baseline."""

    verified: dict[str, float] = Field(description="the target's properties by physics")
    error: float = Field(description="error of the worst property")
    of: int = Field(description="how many designs it is the best of")
    image: str = Field(description="its image (.npy)")


class ReferenceResult(ResultPart):
    """An image that the candidates are shown beside, such as the micrograph that the target comes from."""

    name: str = Field(description="what it is called")
    properties: dict[str, float] = Field(description="its own properties")
    boundary: str = Field("", description="boundary of these, periodic or mirror; empty: not known")
    image: str = Field(description="its file (.npy)")


class Band(ResultPart):
    """5 % and 95 % of a curve over many images, at lengths of 0, 1, 2 ... pixels."""

    low: tuple[Number, ...]
    high: tuple[Number, ...]


class PopulationSummary(ResultPart):
    """The training images that the designs are shown beside."""

    values: dict[str, tuple[float, ...]] = Field(
        description="properties of some hundred of them, and their volume fractions as `volume fraction`"
    )
    alike: int = Field(description="how many of like volume fraction the curves are of")
    two_point: Band = Field(description="normalised autocovariance of phase 1 by distance")
    chords: Band = Field(description="share of the chords of phase 1 that are at most so long")


class RoundResult(ResultPart):
    """Some evaluations one after the other."""

    first: int
    last: int
    best_error: float = Field(description="smallest error of these")
    best_so_far: float = Field(description="smallest error up to these")
    stages: dict[str, int] = Field(description="how many of them each stage proposed")
    images: str = Field(description="the best of them (.npy), best first")
    shown: tuple[int, ...] = Field((), description="numbers of these among `SearchSummary.evaluated`, from 1")


class Front(ResultPart):
    """The designs that meet the other goals, by the properties that are maximised or minimised."""

    names: tuple[str, ...]
    senses: tuple[int, ...] = Field(description="1 to maximise, -1 to minimise")
    values: tuple[tuple[float, ...], ...] = Field(description="a row for each design")
    numbers: tuple[int, ...] = Field(description="place of each among the evaluations that succeeded")
    on_front: tuple[bool, ...] = Field(description="whether each is on the Pareto front")


class EvaluatedDesign(ResultPart):
    """One design that physics has values of."""

    verified: dict[str, float] = Field(
        description="the target's properties by physics; of a robust campaign their worst case"
    )
    drawn: dict[str, float] = Field(description="the same of the image as drawn")
    predicted: dict[str, Number] = Field(description="the same by the regressor; None where the model has none")
    error: float = Field(description="error of the worst property")
    volume_fraction: float = Field(description="volume fraction of phase 1")
    stage: str = Field(description="what proposed it: initial, or the refiner")
    key: str = Field(description="its key in the ledger")


class FailedEvaluation(ResultPart):
    """A design that physics has no values of."""

    key: str
    error: str


class Timings(ResultPart):
    """Seconds of all evaluations together."""

    proposing: float = 0.0
    waiting: float = Field(0.0, description="between proposal and evaluation")
    evaluating: float = 0.0
    checking: float = Field(0.0, description="by the second discretization")


class SearchSummary(ResultPart):
    """How the candidates were found."""

    evaluations: int = Field(description="physics evaluations, failed ones included")
    designs: int = Field(description="designs that were evaluated; of a robust campaign several evaluations each")
    checks: int = Field(
        0, description="evaluations by a second discretization and on twice the pixels, beside `evaluations`"
    )
    resumed_evaluations: int = Field(0, description="evaluations that were on record before this run")
    stopped: str = Field("", description="why the search ended; empty while it has not")
    history: tuple[float, ...] = Field(description="best error after each evaluation that succeeded")
    rounds: tuple[RoundResult, ...]
    evaluated: tuple[EvaluatedDesign, ...] = Field(description="every design that physics has values of, in this order")
    best_values: dict[str, tuple[Number, ...]] = Field(
        description="best value so far of each optimised property; None before the other goals are met"
    )
    failed: tuple[FailedEvaluation, ...]
    front: Front | None = Field(None, description="None unless two or more properties are optimised")
    timings: Timings
    utilization: float | None = Field(None, description="share of the workers' time that was spent on physics")


class AfterSearch(ResultPart):
    """Evaluations after the search, which count in no budget.

    They are of redraws, changed outlines and blind draws, and of training images by a second discretization.
    """

    evaluations: int
    seconds: float


class ConstraintRange(ResultPart):
    """Least and largest admitted value of a constraint."""

    name: str
    low: float
    high: Number
    unit: str = Field("", description="of these and of the candidates' values; empty for shares")
