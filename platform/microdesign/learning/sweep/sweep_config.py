"""The settings of a sweep."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.core.files import digest_json
from microdesign.learning.evaluation.validation import NEEDS_PROPERTIES, Objective
from microdesign.learning.sweep.search_space import Space, loop_with
from microdesign.learning.training.loop_config import LoopConfig
from microdesign.learning.training.train_config import TrainConfig


class SweepConfig(Config):
    """A sweep: a search for the loop's settings, then the full training with the best."""

    renamed: ClassVar[Mapping[str, str]] = {"verifier": "evaluator"}

    train: TrainConfig = Field(description="the winner's training; trials train alike, each in one process")
    space: Space = Field(description="dotted name of a setting of train.loop -> list of choices, or a range")
    models: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict,
        description="several models, each searched alone: name -> settings of train.loop by dotted name",
    )
    search: Literal["bayesian", "grid"] = Field("bayesian", description="Optuna's TPE, or every combination")
    trials: int = Field(25, ge=1, description="trials of the Bayesian search of each model")
    trial_epochs: int | None = Field(
        None, ge=1, description="epochs of a trial, all stages; those of train.loop when left out"
    )
    objectives: tuple[Objective, ...] = Field(
        ("mape", "excess_cess"), min_length=1, description="measured on the validation split"
    )
    early_stopping: bool = Field(
        False, description="stop trials that do badly by the first objective (ASHA); needs a validation each epoch"
    )
    grace_epochs: int = Field(1, ge=1, description="epochs that early stopping leaves every trial")
    evaluator: str | None = Field(
        "fft",
        description="physics behind inverse_error where the data set states its materials: fft, module:name, or "
        "command: PROGRAM ARGS; null: the trial's own regressor, which is optimistic",
    )
    evaluator_settings: dict[str, Any] = Field(default_factory=dict, description="settings of the evaluator")
    targets: int = Field(32, ge=1, description="held-out property sets that inverse_error draws for")
    draws: int = Field(4, ge=1, description="draws for each")
    cpus_per_trial: float = Field(1, gt=0, description="CPU cores, and torch threads, of a trial")
    gpus_per_trial: float = Field(0, ge=0, description="GPUs, or a share of one, of a trial")
    max_concurrent: int = Field(2, ge=1, description="trials at a time: no more than the cluster holds")
    retrain: bool = Field(True, description="train and register the winner of each model")
    seed: int = Field(0, ge=0, description="seed of the search")
    name: str = Field("sweep", description="name of the sweep; with the digest of the settings it names the folder")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives names one twice: {', '.join(self.objectives)}")
        if self.train.start is not None:
            raise ValueError(f"train.start is {self.train.start}; the trials of a sweep start anew: leave it out")
        if "trainable" in self.space or any("trainable" in settings for settings in self.models.values()):
            raise ValueError("trainable is not searched: fine-tuning starts from a finished model; leave it out")
        if not self.train.properties:
            for name in self.objectives:
                if name in NEEDS_PROPERTIES:
                    raise ValueError(f"the objective {name} needs properties; set train.properties or leave it out")
        return self

    def run_name(self, dataset_digest: str) -> str:
        """Names what the search makes of a data set; a larger number of trials goes on with the same search."""
        given = {"name", "train", "trials", "max_concurrent", "retrain", "cpus_per_trial", "gpus_per_trial"}
        settings = self.model_dump(mode="json", exclude=given)
        train = self.train.model_dump(mode="json", include={"properties", "loop", "physics_feedback", "unlabelled"})
        return f"{self.name}-{digest_json([settings, train, dataset_digest])[:10]}"

    def studies(self) -> dict[str, LoopConfig]:
        """The loop of each model; one without a name where there are no `models`."""
        return {name: loop_with(self.train.loop, given) for name, given in self.models.items()} or {"": self.train.loop}

    def trial_loop(self, loop: LoopConfig, choice: Mapping[str, Any]) -> LoopConfig:
        """The loop of a trial: with its choice, as long as a trial lasts, its stages in proportion."""
        chosen = loop_with(loop, choice)
        shares = [stage.epochs / chosen.total_epochs for stage in chosen.resolved_stages]
        total = self.trial_epochs or chosen.total_epochs
        ends = [round(total * sum(shares[: number + 1])) for number in range(len(shares))]
        epochs = [max(1, end - start) for start, end in zip([0, *ends], ends, strict=False)]
        stages = [
            stage.model_copy(update={"epochs": count}) for stage, count in zip(chosen.stages, epochs, strict=False)
        ]
        return chosen.model_copy(update={"epochs": total, "stages": tuple(stages), "max_minutes": None})
