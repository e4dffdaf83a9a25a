"""Predictions of a trained model for images in files, with their intervals and out-of-distribution scores."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from microdesign.core.errors import InputError
from microdesign.core.pixels import check_edges
from microdesign.learning.models import load_model
from microdesign.model.bundle import Bundle
from microdesign.physics.label_images import read_labels
from microdesign.surrogate.intervals import calibrated_prediction
from microdesign.surrogate.local import LocalSurrogate


def predict_files(
    model: str, paths: Sequence[str | Path], tracking_uri: str | None = None
) -> tuple[Bundle, list[dict[str, Any]]]:
    """Predicts the properties of all images of files.

    Args:
        model: A bundle folder, or `models:/NAME@ALIAS`.
        paths: Phase labels in any known format.
        tracking_uri: MLflow address; the environment's or the embedded default when None.

    Returns:
        The model, and for each image `image`, its name, `properties` with `mean`, `std` and, if the model is
        calibrated, `lower` and `upper`, and `out_of_distribution`, None without a reference set. See
        `microdesign.surrogate.intervals.calibrated_prediction`.

    Raises:
        InputError: There is no such model, or an image cannot be read or does not fit the model.
    """
    with tempfile.TemporaryDirectory() as cache:
        bundle = load_model(model, cache, tracking_uri)
    surrogate = LocalSurrogate(bundle)
    network, rows = surrogate.describe()["model"]["network"], []
    for path in paths:
        for image in read_labels(path, network.get("dimensions", 2)):
            name, labels = image.name, image.labels
            check_edges(image.spacing, bundle.description.aspect, name)
            try:
                found = calibrated_prediction(surrogate, labels[None])
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
            score = found.pop("out_of_distribution", None)
            properties = {
                each: {kind: float(values[0, column]) for kind, values in found.items()}
                for column, each in enumerate(bundle.properties)
            }
            outside = None if score is None else float(score[0])
            rows.append({"image": name, "properties": properties, "out_of_distribution": outside})
    return bundle, rows
