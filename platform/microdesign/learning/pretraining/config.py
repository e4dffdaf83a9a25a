"""The settings of pretraining."""

from pydantic import Field

from microdesign.core.config import Config
from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.optimization import LearningRateSchedule, OptimizerConfig
from microdesign.model.networks.config import NetworkConfig


class SourceConfig(Config):
    """Images, or volumes, of one kind to learn from."""

    dataset: str = Field(description="folder of a data set of images, or of volumes for a network of three dimensions")
    share: float = Field(1.0, gt=0, description="share of the steps, relative to the other sources")
    window: int | None = Field(
        None,
        ge=32,
        multiple_of=16,
        description="pixels of windows cut at random places, which are not periodic, of images of any shape; "
        "null: whole square images, or cubic volumes",
    )


class PretrainConfig(Config):
    """Pretraining of encoder, denoiser and draft, without properties, from seeded weights or from a bundle."""

    sources: tuple[SourceConfig, ...] = Field(min_length=1, description="what to learn from")
    network: NetworkConfig = Field(NetworkConfig(), description="networks, with the decoder local_global")
    start: str | None = Field(
        None,
        description="bundle folder whose weights to start from, or pretrained; weights of two phases start more "
        "phases too, those of images start volumes; null: seeded weights",
    )
    minutes: float = Field(120, gt=0, description="wall time; a run that was killed goes on with what is left of it")
    decay_minutes: float = Field(
        30, ge=0, description="of these the last ones, over which the learning rate falls to 0; before, it is constant"
    )
    draft: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of each batch that the draft learns from, on latents that it does not change",
    )
    kl: float = Field(2e-5, ge=0, description="weight of KL(q(z|x) || N(0, 1)) in nats: 1e-3 loses the latent")
    turns: bool = Field(True, description="whether images are turned by 90 degrees and mirrored")
    inverted: float = Field(0.15, ge=0, le=1, description="share of the steps with the phases in the opposite order")
    pixels: int = Field(64**3, ge=64**2, description="pixels, or voxels, of a worker's batch")
    optimizer: OptimizerConfig = Field(
        OptimizerConfig(learning_rate=1e-3, weight_decay=1e-3, schedule=LearningRateSchedule(kind="constant")),
        description="optimizer; the rate rises over the first steps, see `warmup`",
    )
    warmup: int = Field(300, ge=1, description="steps over which the learning rate rises")
    average: float = Field(
        0.99, ge=0, lt=1, description="decay of the moving average of the weights, which is kept: a long one lags"
    )
    resources: ResourcesConfig = Field(
        ResourcesConfig(), description="workers, each with batches of its own; gradients are their mean"
    )
    seed: int = Field(0, ge=0, description="seed of weights, batches and noise")
    out: str = Field("runs/pretrained", description="folder of the run's checkpoints and, in the end, of `bundle`")
    experiment: str = Field("microdesign-pretraining", description="MLflow experiment")
