"""Realisations of a material from a trained model: `md.draw`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.pixels import Pixel, check_edges, shown_edges
from microdesign.core.progress import Progress, silent
from microdesign.learning.models import load
from microdesign.microstructure.data.container import Microstructures
from microdesign.model.networks.config import described_shape
from microdesign.physics.label_images import LabelImages, LabelStack, label_stacks
from microdesign.surrogate.protocol import DrawRequest, Surrogate


def draw(
    model: str | Path | Surrogate = "pretrained",
    *,
    like: LabelImages | None = None,
    target: Mapping[str, float] | None = None,
    n: int = 1,
    seed: int = 0,
    size: int | Sequence[int] | None = None,
    component: int | None = None,
    dims: int | None = None,
    per_axis: bool = False,
    token: str | None = None,
    tracking_uri: str | None = None,
    progress: Progress = silent,
) -> Microstructures:
    """Draws realisations of the material that images show, or of one with target properties.

    The images are statistically equivalent, not equal: the same volume fractions, shapes, sizes and arrangement at
    other places. Those for a target are draws from p(z|c), which nothing has searched or verified; `md.design` does.

    With `dims=3` a model of images draws volumes whose sections across every axis look like the image: an isotropic
    material from one image, one with a look of its own across each axis from three with `per_axis`. It takes 5 s of a
    core for 64^3 voxels, and is in proportion to them.

    Example:
        >>> import microdesign as md
        >>> image = md.generate("GRF", 1, (64, 64)).labels[0]
        >>> md.draw("pretrained", like=image, n=3, size=(96, 64)).shape
        (96, 64)
        >>> md.draw("pretrained", like=image, dims=3, size=32).labels.shape
        (1, 32, 32, 32)

    Args:
        model: What `md.load` takes, or a loaded model; `pretrained` and `pretrained-volumes`, which the package brings,
            know two-phase images and volumes, and no properties.
        like: Images to draw like: an array `(X, Y)` or `(m, X, Y)`, of a model of volumes `(X, Y, Z)` or
            `(m, X, Y, Z)`, a `Microstructures`, or files; of at least 32 pixels and any size if the decoder is
            local_global.
        target: A value for each property of the model, in its units.
        n: Realisations, of each image.
        seed: The same seed gives the same realisations.
        size: Pixels along all axes, or along each, multiples of 16 for the decoder local_global; the model's own when
            None.
        component: The component of p(z|c) to draw from, for a target; by weight when None.
        dims: 3 draws volumes, by a model of images with the decoder local_global; the model's own when None.
        per_axis: The three images of `like`, of one size, are sections of one material across x, across y and across z,
            each with the other two axes in their order: (y, z), (x, z) and (x, y).
        token: Bearer token of a Serve endpoint that asks for one.
        tracking_uri: MLflow's address; MLFLOW_TRACKING_URI or SQLite in the working folder when None.
        progress: Takes the number of images that are drawn, or of sections of volumes that are denoised.

    Returns:
        Periodic images `(m * n, X, Y)`: n of the first image, then n of the second one. A target's are `(n, X, Y)`, and
        so are those of three images `per_axis`. Volumes have an axis more.

    Raises:
        InputError: There is no such model; an image does not fit it, is too small or of a single phase; the target is
            not the model's; the decoder cannot draw the size.
    """
    request = DrawRequest(None if target is None else dict(target), n, seed, size, component, dims, per_axis)
    request.check(images=like is not None)
    surrogate = load(model, token=token, tracking_uri=tracking_uri) if isinstance(model, str | Path) else model
    described = surrogate.describe()
    # To a model of volumes three axes are one volume.
    of_volumes = len(described_shape(described["model"]["network"])) == 3
    stacks = [] if like is None else label_stacks(like, 3 if of_volumes else None)[0]
    given = [each.labels for each in stacks]
    if per_axis and len({labels.shape[1:] for labels in given}) == 1:
        given = [np.concatenate(given)]
    pixel = _pixel(Pixel.of(described), stacks)
    if pixel.aspect and dims == 3 and len(pixel.aspect) == 2:
        raise InputError(
            f"dims = 3: the sections of a volume have pixels of {shown_edges(pixel.edges)} along one axis alone; "
            "expected squares."
        )
    wanted: list[np.ndarray | None] = [*given] if given else [None]
    found = [surrogate.draw(request, labels, progress) for labels in wanted]
    phases = int(described["model"]["network"]["phases"])
    return Microstructures(labels=np.concatenate(found), n_phases=phases, **pixel.fields)


def _pixel(model: Pixel, stacks: Sequence[LabelStack]) -> Pixel:
    """The pixels of draws: the model's, or, where it states none, those of the images.

    Raises:
        InputError: An image has other pixels.
    """
    spacing = next((each.spacing for each in stacks if each.spacing is not None), None)
    if model == Pixel() and spacing is not None:
        model = Pixel(aspect=tuple(edge / spacing[0] for edge in spacing))
    for each in stacks:
        check_edges(each.spacing, model.aspect, f"image {each.names[0]}")
    return model
