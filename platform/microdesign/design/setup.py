"""Everything that a campaign needs, opened and checked before anything is computed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.pixels import Pixel, check_edges, same_proportions, shown_edges
from microdesign.core.progress import Progress, silent
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.search.conditioning import admitted, best_known
from microdesign.design.search.likeness import Distance
from microdesign.design.target.feasibility import Feasibility, check_feasible, feasibility_of
from microdesign.design.target.matching import match
from microdesign.design.target.target import Target
from microdesign.design.target.training_images import TrainingImages
from microdesign.learning.models import open_surrogate
from microdesign.microstructure.data.container import Microstructures, is_known
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.networks.config import described_shape
from microdesign.physics.density import DENSITY, with_density
from microdesign.physics.evaluators.protocol import Evaluator, for_images
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials, Units
from microdesign.physics.properties import property_values
from microdesign.surrogate.arrow_wire import TOKEN_VARIABLE
from microdesign.surrogate.coarse_grid import CoarseGrid, settled_factor
from microdesign.surrogate.material_transfer import MaterialTransfer
from microdesign.surrogate.protocol import Surrogate

CampaignParts = tuple[
    Surrogate,
    Materials,
    str,
    Mapping[str, np.ndarray] | None,
    np.ndarray | None,
    np.ndarray | None,
    Distance | None,
]


@dataclass(frozen=True)
class CampaignSetup:
    """The parts of a campaign.

    Attributes:
        config: The configuration; an image to match is replaced by its properties, lengths are in pixels, and the
            materials and the pixel size are stated.
        model: The model; for phases that it was not trained on, transferred to them (material transfer).
        materials: The phases.
        evaluator: The physics of a design: of its image, or, of a robust campaign, of all its variants.
        image_evaluator: The physics of an image.
        store: Results of physics.
        data: Training images; None without.
        labelled: Whether their properties are those of `materials`.
        feasibility: What is known of the target.
    """

    config: CampaignConfig
    model: Surrogate
    materials: Materials
    evaluator: Evaluator
    image_evaluator: Evaluator
    store: ResultStore
    data: Microstructures | None
    labelled: bool
    feasibility: Feasibility

    def predicting(self, model: Surrogate) -> Surrogate:
        """A model with the predictions that the campaign asks for: its own, or those of physics on a coarse grid."""
        factor = self.config.coarse_grid or 1
        return model if factor == 1 else CoarseGrid(model, self.image_evaluator, self.materials, factor)

    @cached_property
    def surrogate(self) -> Surrogate:
        """The model, and how it predicts."""
        return self.predicting(self.model)

    @cached_property
    def table(self) -> dict[str, np.ndarray] | None:
        """Properties by name, `(N,)` each, of the training images that tell where to look, those that are `admitted`.

        They are transferred if labelled for other phases.
        """
        if self.data is None:
            return None
        target = self.config.target
        settled = set(self.model.properties) <= set(target.fixed)
        rows = slice(None) if settled else admitted(target, self.data.labels)
        properties = {name: values[rows] for name, values in self.data.properties.items()}
        if isinstance(self.model, MaterialTransfer) and not self.labelled:
            return self.model.transfer(properties) | {n: v for n, v in properties.items() if n == DENSITY}
        return properties

    @cached_property
    def known_images(self) -> np.ndarray | None:
        """Training images to start from, `(s, *N)`: the `best_known` where they are labelled for these phases."""
        return best_known(self.config.target, self.data) if self.data is not None and self.labelled else None

    @cached_property
    def training(self) -> TrainingImages | None:
        """The training images as what designs are compared with."""
        return None if self.data is None else TrainingImages(self.data)

    @property
    def campaign_parts(self) -> CampaignParts:
        """What `AskTell` takes besides the config."""
        reference = self.training.points if self.training and self.config.least_novelty else None
        fingerprint = self.evaluator.fingerprint
        return self.surrogate, self.materials, fingerprint, self.table, reference, self.known_images, self._distance

    @property
    def _distance(self) -> Distance | None:
        """Distance of images from the training images; of volumes it would take longer than their physics."""
        training, config = self.training, self.config
        if training is None or not config.prefer_alike or config.target.dims == 3 or training.population is None:
            return None
        return training.population_distance


def open_setup(
    config: CampaignConfig,
    folder: Path,
    uri: str,
    surrogate: Surrogate | None = None,
    progress: Progress = silent,
    evaluator: Evaluator | None = None,
) -> CampaignSetup:
    """Opens the model, the physics and the data of a campaign, and checks that its target is possible.

    Args:
        config: What is asked.
        folder: The campaign's.
        uri: Tracking address, for a model in the registry.
        surrogate: The model; None opens `config.model`.
        progress: Reports when an endpoint is waited for.
        evaluator: The physics; None makes `config.evaluator`.

    Raises:
        InputError: Anything cannot be had, or no microstructure can be what is asked.
    """
    token = config.token or os.environ.get(TOKEN_VARIABLE)
    if surrogate is None:
        cache = folder.parent / "models"
        surrogate = open_surrogate(config.model, cache, uri, token, config.endpoint_patience, progress)
    trained = _trained_for(surrogate)
    materials = config.materials or trained
    if materials is None:
        raise InputError("The model does not say what materials it was trained on; give the campaign `materials`.")
    shape, phases = _images_of(surrogate)
    if len(materials.phases) != phases:
        raise InputError(
            f"The campaign's materials are {len(materials.phases)} phases; the model makes images of {phases}."
        )
    if config.robust and phases != 2:
        raise InputError(f"robust: expected a model of two phases; this one makes images of {phases}.")
    if config.robust and (edges := _model_pixel(surrogate).aspect):
        raise InputError(
            f"robust: outlines move by half a pixel; expected a model of squares or cubes, not of pixels of "
            f"{shown_edges(edges)}."
        )
    given = evaluator or load_evaluator(config.evaluator, config.evaluator_settings)
    dataset = None if config.dataset is None else Dataset.open(config.dataset)
    evaluator, periodic = _of_its_images(given, surrogate, dataset, progress)
    asked = config.target.of_images(2 if len(shape) == 2 else 3, phases, periodic)
    target = match(asked, surrogate.properties, given, materials, progress)
    check_feasible(target, materials, evaluator)
    config = config.model_copy(update={"pixel_size": _pixel_size(config, surrogate)})
    pixel = config.pixel
    target = target.model_copy(update={"constraints": target.constraints.in_pixels(pixel.edge, pixel.unit)})
    target.constraints.check_images(shape, phases, pixel.aspect)
    is_rough = False
    if trained is not None:
        _check_units(trained.units, materials.units)
        if trained.tensor_digest != materials.tensor_digest:
            surrogate = transfer = MaterialTransfer(surrogate, trained, materials)
            is_rough = not transfer.is_scaling
    factor = settled_factor(config.coarse_grid, shape, evaluator, materials, is_rough)
    if factor != 1 and config.coarse_grid is None:
        progress(
            "the model was trained on phases of another contrast: physics on half the grid predicts in the regressor's "
            "place (coarse_grid: 1 for the regressor)"
        )
    config = config.model_copy(update={"coarse_grid": factor})
    data, labelled = None, False
    if dataset is not None and config.dataset is not None:
        labelled = _is_labelled(dataset, config.dataset, materials, trained)
        data = _training_images(dataset, config.dataset, target, surrogate, materials, shape)
    if any(goal.is_of_data for goal in target.goals):
        target = _with_percentiles(target, data if labelled else None)
        check_feasible(target, materials, evaluator)
    return CampaignSetup(
        config=config.model_copy(update={"target": target, "materials": materials}),
        model=surrogate,
        materials=materials,
        evaluator=config.physics(evaluator),
        image_evaluator=evaluator,
        store=ResultStore(config.store or folder / "results"),
        data=data,
        labelled=labelled,
        feasibility=feasibility_of(target, materials, trained, data if labelled else None),
    )


def _of_its_images(
    evaluator: Evaluator, surrogate: Surrogate, dataset: Dataset | None, progress: Progress
) -> tuple[Evaluator, bool]:
    """The evaluator with the boundary and the pixels of the training images, and whether designs are periodic by it.

    What was learned from scans is verified with mirror boundaries, as they were labelled. Without a data set the model
    tells by its padding.
    """
    aspect = _model_pixel(surrogate).aspect
    if dataset is None:
        periodic = surrogate.describe()["model"]["network"].get("padding") != "zero"
    else:
        periodic = dataset.manifest.periodic
        check_edges(dataset.manifest.edges, aspect, str(dataset.folder))
    settled = for_images(evaluator, periodic, aspect)
    boundary = getattr(settled, "boundary", "periodic" if periodic else "mirror")
    if not periodic:
        progress(
            f"the model learned from images that are not periodic: designs are verified with {boundary} boundaries"
        )
    return settled, boundary != "mirror"


def _with_percentiles(target: Target, data: Microstructures | None) -> Target:
    """The target in numbers: percentiles are of the training images at the volume fractions that are allowed."""
    if data is None:
        return target.of_data({})
    rows = np.ones(len(data), dtype=bool)
    for phase, (low, high) in target.constraints.volume_fraction.items():
        fractions = (data.labels == phase).mean(tuple(range(1, data.labels.ndim)))
        rows &= (fractions >= low) & (fractions <= high)
    return target.of_data({name: values[rows] for name, values in data.properties.items()})


def _trained_for(surrogate: Surrogate) -> Materials | None:
    given = surrogate.describe().get("materials")
    return None if given is None else validate_config(Materials, given, "the model's materials")


def _images_of(surrogate: Surrogate) -> tuple[tuple[int, ...], int]:
    """Shape and number of phases of the model's images or volumes."""
    network = surrogate.describe()["model"]["network"]
    return described_shape(network), int(network.get("phases", 2))


def _model_pixel(surrogate: Surrogate) -> Pixel:
    return Pixel.of(surrogate.describe())


def _pixel_size(config: CampaignConfig, surrogate: Surrogate) -> str | None:
    """Edges of a pixel as the campaign states them, else the model's; None of squares of no known size.

    Raises:
        InputError: The campaign's edges have other proportions than the model's.
    """
    of_model = _model_pixel(surrogate)
    if config.pixel_size is None:
        return of_model.text if of_model.unit or of_model.aspect else None
    if "," not in config.pixel_size:
        return config.pixel._replace(aspect=of_model.aspect).text if of_model.aspect else config.pixel_size
    if not same_proportions(config.pixel.aspect, of_model.aspect):
        wanted = f"edges as {shown_edges(of_model.aspect)}" if of_model.aspect else "one edge, of squares or cubes"
        raise InputError(f"pixel_size = {config.pixel_size}: expected {wanted}, as those of the model.")
    return config.pixel_size


def _check_units(trained: Units, given: Units) -> None:
    """Refuses materials that state other units than the model's; what states none is taken to mean the same."""
    silent = Units()
    for kind, (here, there) in {"E": (given.E, trained.E), "k": (given.k, trained.k)}.items():
        if here != there and getattr(silent, kind) not in (here, there):
            raise InputError(
                f"The campaign's materials state {kind} in {here!r}, those of the model in {there!r}; nothing is "
                "converted: state both in the same unit."
            )


def _is_labelled(dataset: Dataset, folder: str, materials: Materials, trained: Materials | None) -> bool:
    """Whether the data's properties are those of the campaign's materials; those of the model's serve as well."""
    given = dataset.manifest.materials
    own = materials.tensor_digest
    digest = own if given is None else validate_config(Materials, given, folder).tensor_digest
    if digest not in (own, trained and trained.tensor_digest):
        raise InputError(
            f"{folder}: is labelled for other materials than the campaign's and the model's; label it again for these."
        )
    return digest == own


def _training_images(
    dataset: Dataset, folder: str, target: Target, surrogate: Surrogate, materials: Materials, made: tuple[int, ...]
) -> Microstructures:
    """The training split's samples whose properties are known: NaN says that physics has no value.

    Their density is that of the campaign's phases, whatever they were labelled for.
    """
    shape = tuple(dataset.manifest.shape)
    if (shape, dataset.manifest.n_phases) != (made, target.phases):
        raise InputError(
            f"{folder}: holds images of shape {shape} in {dataset.manifest.n_phases} phases, the model makes "
            f"{' x '.join(map(str, made))} in {target.phases}."
        )
    data = dataset.load("train")
    data = replace(data, properties=with_density(data.properties, data.labels, materials))
    columns, targeted = [], []
    for name in surrogate.properties:
        if name not in data.properties:
            raise InputError(f"{folder}: has no property '{name}', which the model is conditioned on; label it again.")
        columns.append(data.properties[name])
    for name in target.names:
        try:
            targeted.append(property_values(data.properties, name, target.dims))
        except InputError:
            continue  # physics has it, the data have not
    known = is_known(np.stack(columns, axis=1), surrogate.properties).all(1)
    known &= np.isfinite(targeted).all(0) if targeted else True
    if known.sum() < 2:
        raise InputError(f"{folder}: fewer than 2 samples have finite values of their properties; label it again.")
    return data.select(known)
