"""The result of a campaign: one model, which `design --json` prints, `result.json` holds, and every report reads.

    result = CampaignResult.model_validate_json(Path("runs/campaign/result.json").read_text())

Shapes: n candidates, X Y image.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from microdesign.core.errors import InputError
from microdesign.core.pixels import Pixel
from microdesign.design.report.candidates_table import CandidatesTable, candidates_table
from microdesign.design.report.export import data_uri
from microdesign.design.report.result_parts import (
    AfterSearch,
    BaselineResult,
    CandidateResult,
    ConstraintRange,
    PopulationSummary,
    ReferenceResult,
    ResultPart,
    SearchSummary,
    TrainingImageResult,
)
from microdesign.design.report.verdict import Verdict
from microdesign.design.target.feasibility import Feasibility
from microdesign.design.target.target import Target
from microdesign.microstructure.io.formats.npy import read_npy
from microdesign.physics.materials import Materials


class CampaignResult(ResultPart):
    """What a campaign was asked for, what it has found, and how.

    Prints as a table of the candidates, also in a notebook. It is JSON by `model_dump_json`, and read back by
    `CampaignResult.model_validate_json`.

    Example:
        >>> result = design("runs/model", {"Ex": 2.4, "ky": 1.9}, folder="runs/campaign")  # doctest: +SKIP
        >>> result.candidates[0].verified["Ex"], result.images.shape  # doctest: +SKIP
        (3.41, (4, 64, 64))
    """

    target: Target
    units: dict[str, str] = Field(description="unit of each target property")
    materials: Materials
    feasibility: Feasibility = Field(description="what was known of the target before the search")
    constraints: tuple[ConstraintRange, ...]
    distinct: float = Field(description="difference from which two candidates count as distinct")
    verdict: Verdict = Field(description="whether the target is met, and what else is possible")
    candidates: tuple[CandidateResult, ...] = Field(description="distinct designs within the tolerance, best first")
    misses: tuple[CandidateResult, ...] = Field(
        (), description="the nearest distinct designs beyond the tolerance, where candidates are fewer than asked"
    )
    from_data: tuple[TrainingImageResult, ...] = Field(
        (), description="distinct training images that meet the target, best first"
    )
    baselines: dict[str, BaselineResult | None] = Field(
        default_factory=dict, description="training_set and random; None where no design satisfies the constraints"
    )
    reference: ReferenceResult | None = Field(None, description="the image beside the candidates, if there is one")
    population: PopulationSummary | None = Field(None, description="the training images beside them; None without data")
    search: SearchSummary
    after_search: AfterSearch | None = None
    pixel_size: float = Field(1.0, description="edge of a pixel of the images along x")
    aspect: tuple[float, ...] = Field(
        (), description="edges of a pixel along each axis over that along x; empty: squares or cubes"
    )
    length_unit: str = Field("", description="unit of the pixel size; empty where it is not known")
    evaluator: str
    boundary: str = Field(
        "", description="of the designs: periodic (repeated), or mirror (reflected at their faces); empty: not known"
    )
    model: str = Field(description="digest of the model")
    model_name: str = Field("", description="where the model is: folder, registry or endpoint")
    dataset: str | None = Field(None, description="folder of the data set")
    created: str = Field("", description="when the result was made, UTC")
    version: str = Field("", description="of microdesign")
    seed: int
    config: str = Field(description="the resolved configuration, YAML")
    folder: str = Field(description="the campaign's folder")
    ledger: str = Field(description="folder of the evaluations")
    report: str = Field("", description="the HTML page")
    tracking_uri: str = Field("", description="address of MLflow")

    @property
    def pixel(self) -> Pixel:
        """Size of a pixel of the images."""
        return Pixel(self.pixel_size, self.length_unit, self.aspect)

    @property
    def images(self) -> np.ndarray:
        """The candidates as phase labels, uint8 `(n, *N)`, best first; `(0, 0, 0)` without candidates.

        Raises:
            InputError: A candidate's file is gone.
        """
        images = [self.labels(candidate.files["npy"])[0] for candidate in self.candidates]
        return np.stack(images) if images else np.empty((0, 0, 0), np.uint8)

    @property
    def table(self) -> CandidatesTable:
        """The candidates and the baselines, a row each."""
        return candidates_table(
            self.target, self.units, self.candidates, self.misses, self.from_data, self.baselines, self.reference
        )

    @property
    def summary(self) -> tuple[str, ...]:
        """Sentences for people: what was known before, how the search ended, where everything is."""
        distance = self.feasibility.distance_to_data
        uri = self.tracking_uri
        trade_offs = [
            f"  {each.source}: "
            + ", ".join(f"{name} {value:.4g}" for name, value in each.values.items())
            + f" (error {each.error:.2%})"
            for each in self.verdict.trade_offs
        ]
        checks = f" and {self.search.checks} by a second discretization" if self.search.checks else ""
        stopped = self.search.stopped or "the search has not ended"
        refined = any(each.refined for each in (*self.candidates, *self.misses))
        lines = [
            self.verdict.suggestion,
            "the goals against each other:" if trade_offs else "",
            *trade_offs,
            "" if distance is None else str(distance),
            *self.feasibility.warnings,
            f"{self._spent}{checks}; {stopped}",
            "values after -> are of the same image on twice the pixels" if refined else "",
            self.like_with_like,
            f"report: {self.report}" if self.report else "",
            f"MLflow: {uri if uri.startswith('http') else f'mlflow ui --backend-store-uri {uri}'}" if uri else "",
        ]
        return tuple(line for line in lines if line)

    @property
    def like_with_like(self) -> str:
        """How goals relative to an image are judged, with the image's own values; empty without such goals."""
        own = self.target.relative_to
        if not own:
            return ""
        image = "the image" if self.reference is None else f"the {self.reference.name}"
        values = ", ".join(
            f"{name} {each.first:.4g} ({each.second:.4g}), on twice the pixels {each.fine:.4g} ({each.fine_second:.4g})"
            for name, each in own.items()
        )
        return (
            f"goals relative to {image} compare each design with it by the same discretization; its own values by one "
            f"(by another): {values}; a gap is how far two discretizations are apart in that comparison"
        )

    @property
    def is_robust(self) -> bool:
        """Whether the worst case of each design counted."""
        return self.search.evaluations > self.search.designs

    @property
    def _spent(self) -> str:
        designs = f" of {self.search.designs} designs, whose worst cases count" if self.is_robust else ""
        return f"{self.search.evaluations} physics evaluations{designs}"

    def labels(self, path: str) -> np.ndarray:
        """The images of one of the result's files, `(n, *N)`, also after the campaign's folder was moved.

        Raises:
            InputError: The file is gone.
        """
        given = Path(path)
        if not given.is_file():
            raise InputError(f"{path}: is gone; read the result with `read_result` of the campaign's present folder.")
        return read_npy(given, dims=self.target.dims).labels

    def __str__(self) -> str:
        return "\n".join((self.verdict.sentence, str(self.table), *self.summary))

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.summary)
        return f"<p><b>{escape(self.verdict.sentence)}</b></p>" + self.table.html(self.pictures) + lines

    @property
    def pictures(self) -> list[str]:
        """The pictures of the table's rows after the target as URIs: candidates, near misses, training images."""
        return [data_uri(self.labels(files["npy"])[0], self.target.phases, self.pixel) for files in self.files]

    @property
    def files(self) -> list[dict[str, str]]:
        """The files of the answer's images by kind: candidates, near misses, training images."""
        return [each.files for each in (*self.candidates, *self.misses)] + [each.files for each in self.from_data]


class StagedResult(CampaignResult):
    """The result of a command that makes data and model too, and how long everything took."""

    stages: dict[str, float] = Field(description="seconds of each stage in this run")


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
