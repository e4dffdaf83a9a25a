"""The settings of a sweep."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config, changed
from microdesign.core.files import digest_json
from microdesign.core.references import PRETRAINED
from microdesign.learning.evaluation.metrics import NEEDS_PROPERTIES, Metric
from microdesign.learning.sweep.search_space import Space
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.config.train_config import TrainConfig


class SweepSearchConfig(Config):
    """How the space is searched."""

    method: Literal["bayesian", "grid"] = Field("bayesian", description="Optuna's TPE, or every combination")
    trials: int = Field(25, ge=1, description="trials of the Bayesian search of each model")
    epochs: int | None = Field(None, ge=1, description="epochs of a trial, all stages; null: those of train.loop")
    early_stopping: bool = Field(
        False, description="stop trials that do badly by the first metric (ASHA); needs a validation each epoch"
    )
    grace_epochs: int = Field(1, ge=1, description="epochs that early stopping leaves every trial")
    seed: int = Field(0, ge=0, description="seed of the search")


class InverseErrorConfig(Config):
    """How the metric `inverse_error` is measured: draws from the prior for the properties of held-out images."""

    evaluator: str | None = Field(
        "fft",
        description="physics of the draws where the data set states its materials: fft, module:name, or "
        "command: PROGRAM ARGS; null: the trial's own regressor, which is optimistic",
    )
    evaluator_settings: dict[str, Any] = Field(default_factory=dict, description="settings of the evaluator")
    targets: int = Field(32, ge=1, description="held-out property sets to draw for")
    draws: int = Field(4, ge=1, description="draws for each")


class TrialResources(Config):
    """What a trial takes, and how many run at a time."""

    cpus: float = Field(1, gt=0, description="CPU cores, and torch threads, of a trial")
    gpus: float = Field(0, ge=0, description="GPUs, or a share of one, of a trial")
    concurrent: int = Field(2, ge=1, description="trials at a time: no more than the cluster holds")

    @property
    def of_trial(self) -> dict[str, float]:
        """Ray's resources of a trial."""
        return {"CPU": self.cpus, "GPU": self.gpus}


class SweepConfig(Config):
    """A sweep: a search for the loop's settings, then the full training with the best."""

    renamed: ClassVar[Mapping[str, str]] = {
        "trials": "search.trials",
        "trial_epochs": "search.epochs",
        "early_stopping": "search.early_stopping",
        "grace_epochs": "search.grace_epochs",
        "seed": "search.seed",
        "objectives": "metrics",
        "verifier": "inverse_error.evaluator",
        "evaluator": "inverse_error.evaluator",
        "evaluator_settings": "inverse_error.evaluator_settings",
        "targets": "inverse_error.targets",
        "draws": "inverse_error.draws",
        "cpus_per_trial": "resources.cpus",
        "gpus_per_trial": "resources.gpus",
        "max_concurrent": "resources.concurrent",
    }

    train: TrainConfig = Field(description="the winner's training; trials train alike, each in one process")
    space: Space = Field(description="dotted name of a setting of train.loop -> list of choices, or a range")
    models: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict,
        description="several models, each searched alone: name -> settings of train.loop by dotted name",
    )
    search: SweepSearchConfig = Field(SweepSearchConfig(), description="how the space is searched")
    metrics: tuple[Metric, ...] = Field(
        ("mape", "excess_cess"), min_length=1, description="what trials are compared by, on the validation split"
    )
    inverse_error: InverseErrorConfig = Field(InverseErrorConfig(), description="how that metric is measured")
    resources: TrialResources = Field(TrialResources(), description="what trials take")
    retrain: bool = Field(True, description="train and register the winner of each model")
    name: str = Field("sweep", description="name of the sweep; with the digest of the settings it names the folder")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.metrics)) < len(self.metrics):
            raise ValueError(f"metrics names one twice: {', '.join(self.metrics)}")
        if self.train.start not in (None, PRETRAINED):
            raise ValueError(
                f"train.start {self.train.start} is not supported: trials start from seeded or pretrained weights; "
                "leave it out"
            )
        if "trainable" in self.space or any("trainable" in settings for settings in self.models.values()):
            raise ValueError("trainable is not searched: fine-tuning starts from a finished model; leave it out")
        if not self.train.properties:
            for name in self.metrics:
                if name in NEEDS_PROPERTIES:
                    raise ValueError(
                        f"the metric {name} is not supported without properties; set train.properties or leave it out"
                    )
        return self

    def run_name(self, dataset_digest: str) -> str:
        """Names what the search makes of a data set; a larger number of trials goes on with the same search."""
        settings = self.model_dump(
            mode="json", exclude={"name": True, "train": True, "retrain": True, "resources": True, "search": {"trials"}}
        )
        train = self.train.model_dump(mode="json", include={"properties", "loop", "physics_feedback", "unlabelled"})
        return f"{self.name}-{digest_json([settings, train, dataset_digest])[:10]}"

    def studies(self) -> dict[str, LoopConfig]:
        """The loop of each model; one without a name where there are no `models`."""
        return {name: changed(self.train.loop, given, f"models.{name}") for name, given in self.models.items()} or {
            "": self.train.loop
        }

    def trial_loop(self, loop: LoopConfig, choice: Mapping[str, Any]) -> LoopConfig:
        """The loop of a trial: with its choice, as long as a trial lasts, its stages in proportion."""
        chosen = changed(loop, choice, f"the trial {dict(choice)}")
        shares = [stage.epochs / chosen.total_epochs for stage in chosen.resolved_stages]
        total = self.search.epochs or chosen.total_epochs
        ends = [round(total * sum(shares[: number + 1])) for number in range(len(shares))]
        epochs = [max(1, end - start) for start, end in zip([0, *ends], ends, strict=False)]
        stages = [
            stage.model_copy(update={"epochs": count}) for stage, count in zip(chosen.stages, epochs, strict=False)
        ]
        return chosen.model_copy(update={"epochs": total, "stages": tuple(stages), "max_minutes": None})
