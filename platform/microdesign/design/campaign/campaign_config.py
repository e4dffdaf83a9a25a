"""The configuration of a campaign: how long and how widely to search, which model and physics, where the record is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from microdesign.core.config import Config
from microdesign.core.pixels import Pixel
from microdesign.core.units import read_pixel_size
from microdesign.design.search.refiners.config import RefinementConfig
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.manufacturing import VARIANTS, Manufactured
from microdesign.physics.evaluators.protocol import Evaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.endpoint import PATIENCE


class RetrainingConfig(Config):
    """How the model is fine-tuned on a campaign's values together with the data set that it was trained on."""

    renamed: ClassVar[Mapping[str, str]] = {"teacher": "physics_feedback", "use_gpu": "gpu"}

    epochs: int = Field(3, ge=1, description="passes over the data set and the new values")
    learning_rate: float = Field(3e-4, gt=0, description="peak of the learning rate")
    cpus: float = Field(1, gt=0, description="CPU cores of the training worker")
    gpu: bool = Field(False, description="whether it takes a GPU")
    physics_feedback: bool = Field(True, description="physics in the training loop, by the campaign's evaluator")


class RobustnessConfig(Config):
    """How much of a candidate survives small changes, evaluated by physics after the search."""

    draws: int = Field(8, ge=0, description="redraws of each candidate near its latent; 0 leaves them out")
    manufacturing: bool = Field(
        True, description="whether outlines are moved by half a pixel and roughened, on a grid of twice the pixels"
    )
    radius: float = Field(0.1, gt=0, description="distance of a redraw, in standard deviations of the component")


@dataclass(frozen=True)
class Effort:
    """How many latents a search draws: for the initial design, of those corrected, and for each request."""

    samples: int
    corrected: int
    pool: int


class SearchConfig(Config):
    """How long and how widely a campaign searches."""

    renamed: ClassVar = {
        "aimed": "corrected",
        "aim_rounds": "correction_rounds",
        "aim_steps": "gauss_newton_steps",
        "slopes": "use_jacobian",
    }

    candidates: int = Field(4, ge=1, description="distinct designs to return")
    goal: float = Field(0.01, gt=0, description="worst relative error of every candidate at which the search stops")
    samples: int | None = Field(
        None,
        ge=1,
        description="latents that are drawn from the prior and screened at first; null: 512, of volumes, which take "
        "ten times as long to draw, 128",
    )
    screened: int = Field(4, ge=1, description="of those, designs that physics evaluates in any case")
    corrected: int | None = Field(
        None,
        ge=0,
        description="of those, the most promising, whose conditions are corrected by the regressor; null: 64, of "
        "volumes 16",
    )
    correction_rounds: int = Field(3, ge=0, description="corrections of each one's condition")
    gauss_newton_steps: int = Field(2, ge=0, description="Gauss-Newton steps of each one's latent after these")
    ascent_steps: int = Field(
        10,
        ge=0,
        description="steps of the most promising draws and known images, an eighth of `corrected`, towards an optimum "
        "by the Jacobian, before physics",
    )
    use_jacobian: bool = Field(
        True, description="whether to use the Jacobian of a model in process, in these steps and in the refiner"
    )
    conditions: int = Field(4, ge=1, description="points c* to draw at, where the target does not fix the properties")
    neighbours: int = Field(2, ge=0, description="points around each c* to draw at as well")
    spread: float = Field(0.05, gt=0, description="relative distance of these from c*")
    coarse_grid: int | None = Field(
        None,
        ge=1,
        description="pixels an edge that become one of the grid on which physics predicts; 1: the regressor predicts; "
        "null: 2 where the model was trained on phases of another contrast and the built-in solver evaluates, else 1",
    )
    least_novelty: float = Field(
        0.0,
        ge=0,
        description="least difference of a first design from each training image; 1 is that of two realisations of one "
        "material",
    )
    prefer_alike: bool = Field(
        True,
        description="whether, of the designs to choose from, the half that is less like the images of `dataset` is "
        "left out, but none of those that are as alike to them as they are to each other; of images, not of volumes, "
        "not with optima, nor where `similar_to` says what designs are like",
    )
    refiner: str = Field(
        "bayesian", description="what proposes after the initial design: bayesian, cmaes, random, or module:name"
    )
    per_round: int = Field(8, ge=1, description="most designs that are proposed at a time")
    evaluations: int = Field(400, ge=2, description="budget of physics evaluations")
    minutes: float | None = Field(
        None, gt=0, description="budget of wall time from the first proposal on, pauses left out; null is no limit"
    )
    core_hours: float | None = Field(None, gt=0, description="budget of processor time of physics; None is no limit")
    checks: int = Field(
        64,
        ge=0,
        description="designs at most that are checked by a second discretization, of those that would be candidates; "
        "0: none, and values have no gap",
    )
    patience: int = Field(64, ge=1, description="evaluations without a better result after which the search stops")
    least_gain: float = Field(
        0.2, ge=0, lt=1, description="relative decrease of a candidate's error, down to the goal, that counts as better"
    )
    time_limit: float | None = Field(None, gt=0, description="seconds after which an evaluation is ended; None waits")
    retries: int = Field(
        2,
        ge=0,
        description="how often a trial is repeated that ended its own worker; other deaths of workers do not count",
    )
    cpus: float = Field(1, gt=0, description="processors of an evaluation")
    runner: str = Field(
        "ray", description="where evaluations run: ray, local (processes of this machine), or module:name"
    )
    runner_settings: dict[str, Any] = Field(
        default_factory=dict, description="settings of the runner, such as `workers` of local"
    )
    retrain_every: int = Field(
        0, ge=0, description="new values of physics after which the model is fine-tuned on them; 0 is never"
    )
    retraining: RetrainingConfig = RetrainingConfig()
    refinement: RefinementConfig = RefinementConfig()
    robust: bool = Field(
        False,
        description="whether the worst case counts: of a design as drawn, with phase 1 half a pixel larger and smaller "
        "all around, and with 1 % of the pixels along its outlines in the other phase, four times; a design then takes "
        "7 evaluations, on a grid of twice the pixels, and all of them count in the budget",
    )
    robustness: RobustnessConfig = RobustnessConfig()
    random_baseline: bool = Field(
        True,
        description="after the search, outside its budgets: the best of as many blind draws as it took evaluations",
    )
    seed: int = Field(0, ge=0, description="seed of every draw")

    @model_validator(mode="after")
    def _affords_designs(self) -> Self:
        if self.most_designs < 2:
            raise ValueError(
                f"robust: a design takes {self.images_per_design} evaluations, so that evaluations = "
                f"{self.evaluations} are of {self.most_designs}; expected at least {2 * self.images_per_design}"
            )
        return self

    @property
    def images_per_design(self) -> int:
        """Physics evaluations that a design takes."""
        return len(VARIANTS) if self.robust else 1

    @property
    def most_designs(self) -> int:
        """Designs that the budget of evaluations is enough for."""
        return self.evaluations // self.images_per_design

    def effort(self, dims: int) -> Effort:
        """How many latents are drawn of images (2) or volumes (3), where the settings leave it open."""
        samples, corrected, pool = (512, 64, 128) if dims == 2 else (128, 16, 48)
        return Effort(
            samples=self.samples or samples,
            corrected=corrected if self.corrected is None else self.corrected,
            pool=self.refinement.pool or pool,
        )

    def physics(self, evaluator: Evaluator) -> Evaluator:
        """What evaluates the designs: the evaluator itself, or, of a robust campaign, that of all their variants."""
        return Manufactured(evaluator, self.seed) if self.robust else evaluator


class ReferenceImage(Config):
    """An image that the report shows beside the candidates."""

    image: str = Field(description="file (.npy) of phase labels (X, Y) or (X, Y, Z)")
    name: str = Field("reference", description="what the report calls it")
    properties: Mapping[str, float] = Field({}, description="its own properties, in the materials' units")
    boundary: str = Field("", description="boundary of its properties, periodic or mirror; empty: not known")


class CampaignConfig(SearchConfig):
    """A design campaign. Materials are the model's own unless given."""

    target: Target
    model: str = Field(
        "models:/microdesign@champion", description="bundle folder, models:/NAME@ALIAS, or http://HOST:PORT"
    )
    materials: Materials | None = Field(None, description="phases; the physics is exact for any, the regressor is not")
    pixel_size: str | None = Field(
        None,
        description="edge of a pixel of the images with its unit, such as 0.5um, or its edges, such as 0.5,1um; None "
        "takes the model's",
    )
    folder: str = Field("runs/campaign", description="the campaign's folder; the same folder resumes")
    dataset: str | None = Field(None, description="labelled data set, for the distance to it, novelty and baselines")
    evaluator: str = Field("fft", description="physics: fft, module:name, or command: PROGRAM ARGS")
    evaluator_settings: dict[str, Any] = Field(default_factory=dict, description="settings of the evaluator")
    store: str | None = Field(None, description="folder of results; None takes `results` in the campaign's folder")
    reference: ReferenceImage | None = Field(
        None, description="an image beside the candidates, such as a micrograph that the target comes from"
    )
    experiment: str = Field("microdesign", description="MLflow experiment")
    endpoint_patience: float = Field(
        PATIENCE, ge=0, description="seconds to wait for a Serve endpoint that stops answering, as in a restart"
    )
    token: str | None = Field(
        None, description="bearer token of the Serve endpoint; better given as MICRODESIGN_SERVE_TOKEN", exclude=True
    )

    @field_validator("pixel_size")
    @classmethod
    def _a_length(cls, value: str | None) -> str | None:
        if value is None:
            return value
        pixel = Pixel.of(read_pixel_size(value, "pixel_size"))
        if not pixel.unit and not pixel.aspect:
            raise ValueError("expected a length with its unit, such as 0.5um")
        return value

    @property
    def pixel(self) -> Pixel:
        """Size of a pixel; an edge of 1 without a unit where it is not known."""
        return Pixel() if self.pixel_size is None else Pixel.of(read_pixel_size(self.pixel_size, "pixel_size"))

    @property
    def needs_ray(self) -> bool:
        """Whether evaluations, or trainings between them, run on Ray."""
        return self.runner == "ray" or self.retrain_every > 0
