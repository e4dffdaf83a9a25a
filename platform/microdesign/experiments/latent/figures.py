"""Figures of the experiment `latent`: traversals of latent dimensions, and the path between two microstructures.

Shapes: D latent, `*N` image.
"""

import numpy as np
from matplotlib.figure import Figure

from microdesign.microstructure.drawing import draw
from microdesign.microstructure.statistics.difference import coordinates, differences
from microdesign.surrogate.protocol import Prior, Surrogate, decode_labels

_DEVIATIONS = (-2.0, -1.0, 0.0, 1.0, 2.0)


def traversal(prior: Prior, component: int, dimension: int) -> np.ndarray:
    """Latents through a component's mean along one dimension, at -2 to 2 of its standard deviations, `(5, D)`."""
    z = np.repeat(prior.mean[component][None], len(_DEVIATIONS), axis=0)
    z[:, dimension] += np.array(_DEVIATIONS) * prior.std[component, dimension]
    return z


def traversal_figure(surrogate: Surrogate, prior: Prior, component: int, most: int) -> Figure:
    """The traversals of the dimensions that change a component's decode most, a row for each."""
    dimensions = prior.mean.shape[1]
    latents = np.concatenate([traversal(prior, component, d) for d in range(dimensions)])
    images = decode_labels(surrogate, latents)
    images = images.reshape(dimensions, len(_DEVIATIONS), *images.shape[1:])
    change = np.array([float(differences(f[0], f[-1:])[0]) for f in map(coordinates, images)])
    order = np.argsort(-change, kind="stable")[:most]
    figure = Figure(figsize=(1.3 * len(_DEVIATIONS), 1.35 * len(order)), layout="constrained")
    grid = figure.subplots(len(order), len(_DEVIATIONS), squeeze=False)
    for line, d in zip(grid, order, strict=True):
        for axes, image, deviation in zip(line, images[d], _DEVIATIONS, strict=True):
            draw(axes, image, title=f"z{d}: {deviation:+g}")
    figure.suptitle(f"component {component}, weight {prior.weights[component]:.2f}", fontsize=10)
    return figure


def path_figure(first: np.ndarray, last: np.ndarray, images: np.ndarray, errors: np.ndarray) -> Figure:
    """The images `(S, *N)` of a path with their errors `(S,)`, between the two microstructures `(*N)`."""
    figure = Figure(figsize=(1.5 * (len(images) + 2), 1.9), layout="constrained")
    panels = figure.subplots(1, len(images) + 2)
    draw(panels[0], first, title="material a")
    for axes, image, error in zip(panels[1:-1], images, errors, strict=True):
        draw(axes, image, title=f"error {error:.1%}")
    draw(panels[-1], last, title="material b")
    return figure
