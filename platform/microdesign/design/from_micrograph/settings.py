"""The settings of the two trainings: fine-tuning on the micrograph's windows, then prior and regressor on draws."""

from pathlib import Path

from microdesign.core.files import digest_json
from microdesign.core.references import PRETRAINED, PRETRAINED_VOLUMES
from microdesign.design.from_micrograph.config import FINE_TUNING, TRAINING, MicrographConfig
from microdesign.design.from_micrograph.windows import Material
from microdesign.learning.pretraining.config import PretrainConfig, SourceConfig
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.optimization import LearningRateSchedule, OptimizerConfig
from microdesign.learning.training.registration import TrackingConfig
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import LOCAL_GLOBAL, NetworkConfig

MANY = 160
"""Draws from which training takes batches of 64, of volumes batches of 16."""


def fine_tuning(config: MicrographConfig, material: Material, folder: Path) -> PretrainConfig:
    """Encoder, denoiser and draft go on from the pretrained ones, on windows from random places of the micrograph."""
    known = [Dataset.open(material.folder).manifest.digest, material.size, material.turns, config.seed]
    minutes = FINE_TUNING * config.minutes
    return PretrainConfig(
        sources=(SourceConfig(dataset=str(material.folder), window=material.size),),
        network=NetworkConfig(
            size=material.size, dimensions=material.dims, phases=material.phases, decoder=LOCAL_GLOBAL
        ),
        start=PRETRAINED if material.dims == 2 else PRETRAINED_VOLUMES,
        minutes=minutes,
        decay_minutes=0.7 * minutes,
        turns=material.turns,
        inverted=0.0,
        pixels=16 * 64**2 if material.dims == 2 else 4 * 32**3,
        optimizer=OptimizerConfig(
            # Four minutes on a sandstone: 30 % of the draws as alike as windows, 22 % at 3e-4 and half of it falling.
            learning_rate=1e-3,
            weight_decay=1e-3,
            schedule=LearningRateSchedule(kind="constant"),
        ),
        warmup=30,
        average=0.99,
        resources=ResourcesConfig(cpus=config.cpus),
        seed=config.seed,
        out=str(folder / f"fine-tuned-{digest_json(known)[:10]}"),
    )


def training(
    config: MicrographConfig,
    material: Material,
    properties: tuple[str, ...],
    bundle: Bundle,
    start: Path,
    labelled: Dataset,
    folder: Path,
) -> TrainConfig:
    """The regressor, on a trunk of its own, and the prior are trained; encoder and decoder stay as fine-tuned."""
    network = bundle.description.model.network.model_copy(update={"regressor": "own"})
    return TrainConfig(
        dataset=str(labelled.folder),
        properties=properties,
        start=str(start),
        loop=LoopConfig(
            model=ModelConfig(network=network),
            trainable="regressor",
            epochs=60,
            batch_size=(64 if material.dims == 2 else 16) // (1 if len(labelled) >= MANY else 2),
            max_minutes=TRAINING * config.minutes,
            turns=material.turns,
            flips=material.turns,
            seed=config.seed,
        ),
        physics_feedback=None,
        resources=ResourcesConfig(cpus=config.cpus),
        tracking=TrackingConfig(register_as="microdesign-from-micrograph", minimum_r2=None),
        storage=str(folder / "training"),
    )
