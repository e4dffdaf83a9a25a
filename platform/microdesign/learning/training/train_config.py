"""The settings of a training run."""

from typing import Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from microdesign.core.config import Config
from microdesign.core.files import digest_json
from microdesign.learning.training.loop_config import LoopConfig
from microdesign.learning.training.physics_feedback import TeacherConfig
from microdesign.model.bundle import FORMAT, load_bundle


class TrainConfig(Config):
    """A training run."""

    dataset: str = Field(description="folder of the labelled data set; on a cluster, one that all nodes see")
    properties: tuple[str, ...] = Field(
        ("Ex", "Ey", "kx"), description="properties to condition on; none for a model of images alone"
    )
    loop: LoopConfig = LoopConfig()
    start: str | None = Field(
        None,
        description="what training starts from, weights and standardization: a bundle's folder, on a cluster one that "
        "all nodes see, or models:/NAME@ALIAS",
    )
    teacher: TeacherConfig | None = Field(
        TeacherConfig(), description="physics in the training loop, on images of known materials; null: none"
    )
    unlabelled: bool = Field(
        True, description="whether images without properties train too: the generative part learns from them"
    )
    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = Field(
        1, description="data-parallel workers; [least, most] for as many as the cluster has room for, now and later"
    )
    cpus_per_worker: float = Field(1, gt=0, description="CPU cores, and torch threads, of a worker")
    use_gpu: bool = Field(False, description="one GPU for each worker")
    storage: str = Field("runs", description="folder for checkpoints and bundles; on a cluster, one that all nodes see")
    name: str = Field("train", description="name of the run; with the digest of the settings it names the folder")
    experiment: str = Field("microdesign", description="MLflow experiment")
    register_as: str = Field(
        "microdesign",
        description="name in the MLflow registry; the first of its name is champion, a later one challenger",
    )
    minimum_r2: float | None = Field(
        0.0,
        description="R2 on the test split that each property needs for the model to be registered; predicting the mean "
        "attains 0; null registers any model",
    )
    max_failures: int = Field(3, ge=0, description="deaths of workers after which training gives up")

    @field_validator("workers")
    @classmethod
    def _in_order(cls, value: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError("expected a number, or [least, most]")
        return value

    @model_validator(mode="after")
    def _check_rehearsal(self) -> Self:
        if self.loop.learns == "regressor":
            wanted = {"start": self.start, "properties": self.properties, "teacher": self.teacher}
            for name, value in wanted.items():
                if not value:
                    raise ValueError(
                        f"loop.learns regressor is not supported without {name}: the regressor of a finished model "
                        f"learns from physics; give {name}"
                    )
        return self

    @property
    def workers_range(self) -> tuple[int, int]:
        """The least and the greatest number of workers."""
        return self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)

    @property
    def resources(self) -> dict[str, float]:
        """Ray's resources of a worker."""
        return {"CPU": self.cpus_per_worker, "GPU": float(self.use_gpu)}

    def run_name(self, dataset_digest: str) -> str:
        """Names what this config makes of a data set: the same settings and bundle format resume, others start anew."""
        settings = self.model_dump(
            mode="json", include={"properties", "loop", "teacher", "unlabelled", "workers", "use_gpu"}
        )
        known = [settings, dataset_digest, FORMAT] + ([] if self.start is None else [load_bundle(self.start).digest])
        return f"{self.name}-{digest_json(known)[:10]}"
