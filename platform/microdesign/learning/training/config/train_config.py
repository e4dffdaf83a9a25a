"""The settings of a training run."""

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.core.files import digest_json
from microdesign.core.references import PRETRAINED, PRETRAINED_VOLUMES
from microdesign.learning.training.config.feedback_config import PhysicsFeedbackConfig
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.registration import TrackingConfig


class TrainConfig(Config):
    """A training run: data, model and loop, physics feedback, resources, and where the results go."""

    renamed: ClassVar[Mapping[str, str]] = {
        "teacher": "physics_feedback",
        "workers": "resources.workers",
        "cpus_per_worker": "resources.cpus",
        "use_gpu": "resources.gpu",
        "max_failures": "resources.max_failures",
        "experiment": "tracking.experiment",
        "register_as": "tracking.register_as",
    }

    dataset: str = Field(description="folder of the labelled data set; on a cluster, one that all nodes see")
    properties: tuple[str, ...] = Field(
        ("Ex", "Ey", "kx"), description="properties to condition on; none for a model of images alone"
    )
    unlabelled: bool = Field(
        True, description="whether images without properties train too: the generative part learns from them"
    )
    start: str | None = Field(
        PRETRAINED,
        description="the model whose weights training starts from: a bundle's folder, on a cluster one that all nodes "
        "see, or models:/NAME@ALIAS; pretrained: the encoder and decoder of images, or of volumes, that the package "
        "brings, where they fit the network; null: seeded weights",
    )
    loop: LoopConfig = Field(LoopConfig(), description="model, objective, optimizer, and how long to train")
    physics_feedback: PhysicsFeedbackConfig | None = Field(
        PhysicsFeedbackConfig(), description="physics in the training loop, on images of known materials; null: none"
    )
    resources: ResourcesConfig = Field(ResourcesConfig(), description="workers, cores and GPUs")
    tracking: TrackingConfig = Field(TrackingConfig(), description="MLflow: the experiment and the registry")
    storage: str = Field("runs", description="folder for checkpoints and bundles; on a cluster, one that all nodes see")
    name: str = Field("train", description="name of the run; with the digest of the settings it names the folder")

    @model_validator(mode="after")
    def _check_fine_tuning(self) -> Self:
        if self.loop.trainable == "regressor":
            needed = {"start": self.start, "properties": self.properties}
            for name, value in needed.items():
                if not value or value in (PRETRAINED, PRETRAINED_VOLUMES):
                    raise ValueError(
                        f"loop.trainable regressor is not supported without {name}: fine-tuning trains the "
                        f"regressor of a finished model; set {name}"
                    )
        return self

    def run_name(self, dataset_digest: str) -> str:
        """Names what this config makes of a data set: the same settings and bundle format resume, others start anew."""
        from microdesign.model.bundle import FORMAT  # a config validates without torch
        from microdesign.model.pretrained import start_bundle

        names = ("properties", "loop", "physics_feedback", "unlabelled")
        settings = self.model_dump(mode="json", include=dict.fromkeys(names, True) | {"resources": {"workers", "gpu"}})
        start = [] if self.start is None else [start_bundle(self.start).digest]
        known = [settings, dataset_digest, FORMAT, *start]
        return f"{self.name}-{digest_json(known)[:10]}"
