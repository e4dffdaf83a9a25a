"""Who is champion: a registered model takes the place of another only after a comparison on one test set."""

import tempfile
from pathlib import Path
from typing import Any

from microdesign.core.errors import InputError
from microdesign.core.references import RegisteredModel
from microdesign.learning.evaluation.comparison import compare
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import load_bundle
from microdesign.physics.evaluators.protocol import for_images
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.tracking import CHALLENGER, CHAMPION, default_uri, download_bundle, find_version, make_champion


def promote(
    model: str,
    dataset: str | Path,
    version: int | None = None,
    by: str | None = None,
    force: bool = False,
    evaluator: str = "fft",
    tracking_uri: str | None = None,
) -> dict[str, Any]:
    """Compares a version with the champion on the test split of a data set; the better one is champion afterwards.

    Args:
        model: Name in the registry.
        dataset: Folder of a data set with the properties of both. Where it names its materials, the decodes behind
            `inverse_error` are evaluated by `evaluator`, else by each model's own regressor.
        version: The version to promote; the challenger when None.
        by: The metric that decides; `inverse_error` when None, `excess_cess` for models without properties.
        force: Whether a worse one is promoted too.
        evaluator: The physics, see `load_evaluator`.
        tracking_uri: MLflow address; the environment's or the embedded default when None.

    Returns:
        `metrics` of both, `by`, `promoted`, and `outcome`, a sentence.

    Raises:
        InputError: There is no such model or version, it is champion already, the data set does not fit, or the
            version is worse and `force` is not given.
    """
    uri = tracking_uri or default_uri()
    wanted = RegisteredModel(model, alias=CHALLENGER) if version is None else RegisteredModel(model, version=version)
    new, old = find_version(wanted, uri), find_version(RegisteredModel(model, alias=CHAMPION), uri)
    if new == old:
        raise InputError(f"{new} is the champion already.")
    data = Dataset.open(dataset)
    physics = for_images(load_evaluator(evaluator), data.manifest.periodic, data.manifest.aspect)
    with tempfile.TemporaryDirectory() as cache:
        bundles = {str(each): load_bundle(download_bundle(each.reference, cache, uri)) for each in (new, old)}
    foreign = [name for name, bundle in bundles.items() if bundle.description.dataset != data.manifest.digest]
    by = by or ("inverse_error" if all(bundle.properties for bundle in bundles.values()) else "excess_cess")
    comparison = compare(bundles, data, None if data.manifest.materials is None else physics)
    worse = comparison.is_worse(str(new), str(old), by)
    values = f"{by} {comparison.metrics[str(new)][by]:.4g}, {old}: {comparison.metrics[str(old)][by]:.4g}"
    if worse and not force:
        raise InputError(f"{new} is worse than the champion and stays what it is ({values}); --force promotes it.")
    make_champion(new, uri)
    # Images that a model was trained on make it look better than it is.
    caution = f"; {' and '.join(foreign)} had another data set, which may have held these test images" * bool(foreign)
    return {
        "metrics": {name: dict(metrics) for name, metrics in comparison.metrics.items()},
        "by": by,
        "promoted": new.number,
        "outcome": f"{new} is champion now ({values}{caution}).",
    }
