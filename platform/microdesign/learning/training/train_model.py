"""Training from Python: `md.train`."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from microdesign.core.config import Config, merged, validate_config
from microdesign.core.progress import Progress, shown
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.train import train
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import DatasetManifest
from microdesign.microstructure.data.sizes import as_json, simplest
from microdesign.model.bundle import load_bundle
from microdesign.physics.execution.cluster import connected
from microdesign.surrogate.local import LocalSurrogate


def train_model(
    dataset: str | Path | Dataset,
    *,
    properties: Sequence[str] | None = None,
    epochs: int | None = None,
    folder: str | Path = "runs",
    progress: Progress | None = None,
    tracking_uri: str | None = None,
    **settings: Any,
) -> LocalSurrogate:
    """Trains a VAE-regression model on a labelled data set, evaluates it on the test split and registers it in MLflow.

    The model p(image, properties) answers both ways: `predict(labels)` gives the properties of images `(n, *N)` as mean
    and standard deviation `(n, P)`, in the data set's units; `sample({"Ex": 2.4}, n, seed)` draws latents `(n, D)` of
    images that have them, which `decode` makes images of. Called again with the same arguments it returns the trained
    model at once; after an interrupt it goes on from the last checkpoint. Source of the model: Sardeshmukh et al. 2024,
    arXiv 2402.17806.

    Args:
        dataset: A labelled data set or its folder, images `(n, X, Y)` or volumes `(n, X, Y, Z)` of one size.
        properties: Names of the P properties to condition on; Ex, Ey and kx when None, none for a model of images.
        epochs: Passes over the training images; 20 when None. Loss, R2 and MAPE on validation images are shown as it
            goes: train for longer while they improve.
        folder: Where checkpoints and the bundle go.
        progress: Takes lines and counts; None shows them on standard error.
        tracking_uri: MLflow's address; MLFLOW_TRACKING_URI or SQLite in the working folder when None.
        settings: Sections of `TrainConfig` as mappings, such as `loop={"batch_size": 32}` or
            `resources={"cpus": 4, "gpu": True}`, and its other fields, such as `physics_feedback=None`. Size,
            dimensions and phases of the network are those of the images.

    Returns:
        The trained model; its bundle, with the metrics of the test split, is `.bundle`.

    Raises:
        InputError: The data set is missing or lacks a property, a setting is unknown or not valid, or there are fewer
            cores or GPUs than asked for.
        NotRegisteredError: The model predicts a property worse than the mean of the test images does; its bundle stays
            in `error.bundle`.
        MicrodesignError: Training failed, for example because the loss became infinite.

    Example:
        >>> from microdesign.learning.training.train_model import train_model
        >>> model = train_model("runs/labelled", properties=["Ex", "kx"], epochs=20)  # doctest: +SKIP
        >>> mean, std = model.predict(images.labels)  # doctest: +SKIP
    """
    data = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    values = dict(settings) | {"dataset": str(data.folder), "storage": str(folder)}
    if properties is not None:
        values["properties"] = tuple(properties)
    loop: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    loop["model"] = {"network": _network_of(data.manifest)}
    given = settings.get("loop", {})
    values["loop"] = merged(
        loop, given.model_dump(mode="json", exclude_unset=True) if isinstance(given, Config) else given
    )
    config = validate_config(TrainConfig, values, "the training's settings")
    with connected(), shown() if progress is None else nullcontext(progress) as shows:
        return LocalSurrogate(load_bundle(train(config, shows, tracking_uri)))


def _network_of(data: DatasetManifest) -> dict[str, Any]:
    """What a network has to know of the images."""
    return {"size": as_json(simplest(data.shape)), "dimensions": len(data.shape), "phases": data.n_phases}
