"""Pictures of a campaign: how it converged, what was evaluated, how well the regressor knew, the Pareto front."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from microdesign.design.report.result_parts import SearchSummary
from microdesign.design.target.pareto import front_numbers
from microdesign.microstructure.drawing import draw

GALLERY = 8
"""Most images of a round that are shown."""


def search_figures(search: SearchSummary, units: Mapping[str, str], tolerance: float) -> dict[str, Figure]:
    """The figures of how a campaign searched, by name: convergence and parity, and optima and front if it has them.

    Args:
        search: The search.
        units: Unit of each target property.
        tolerance: The target's.
    """
    figures = {
        "convergence": convergence_figure(search.history, tolerance),
        "parity": parity_figure(search.parity, units),
    }
    if search.best_values:
        figures["optima"] = optima_figure(search.best_values, units)
    if search.front is not None:
        front = search.front
        shown = np.array(front.values).reshape(-1, len(front.names))[:, :2]
        labels = [f"{name} / {units[name]}" for name in front.names[:2]]
        figures["front"] = front_figure(shown, front.senses[:2], labels)
    return figures


def convergence_figure(history: Sequence[float], tolerance: float) -> Figure:
    """Best error after each evaluation that succeeded, with the tolerance."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    percent = 100 * np.asarray(history, float)
    axes.step(range(1, len(percent) + 1), percent, where="post", label="best so far")
    axes.axhline(100 * tolerance, linestyle="--", color="grey", label="tolerance")
    # The first draws may be far off: what matters is how the tolerance was reached.
    axes.set_ylim(0, max(4 * 100 * tolerance, 1.2 * percent[-1]) if len(percent) else None)
    axes.set(xlabel="physics evaluations", ylabel="best worst-property error / %")
    axes.legend()
    return figure


def optima_figure(best: Mapping[str, Sequence[float | None]], units: Mapping[str, str]) -> Figure:
    """Best value so far of each optimised property after each evaluation; None before a design met the other goals."""
    figure = Figure(figsize=(6, 2.2 * len(best)), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(len(best), 1, squeeze=False)[:, 0], best.items(), strict=True):
        axes.plot(range(1, len(values) + 1), np.array(values, float))
        axes.set(xlabel="physics evaluations", ylabel=f"best {name} / {units[name]}")
    return figure


def parity_figure(parity: Mapping[str, Sequence[Sequence[float]]], units: Mapping[str, str]) -> Figure:
    """Prediction against physics, a panel for each property.

    Args:
        parity: Pairs (predicted, verified) by property.
        units: Unit of each property.
    """
    figure = Figure(figsize=(2.9 * max(1, len(parity)), 2.9), layout="constrained")
    grid = figure.subplots(1, max(1, len(parity)), squeeze=False)[0]
    for axes, (name, pairs) in zip(grid, parity.items(), strict=False):
        predicted, verified = np.array(pairs, float).reshape(-1, 2).T
        axes.scatter(verified, predicted, s=9, alpha=0.6)
        if len(verified):
            ends = [min(verified.min(), predicted.min()), max(verified.max(), predicted.max())]
            axes.plot(ends, ends, color="grey", linewidth=0.8)
        axes.set(xlabel=f"{name} verified / {units[name]}", ylabel=f"{name} predicted")
    return figure


def gallery_figure(rounds: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> Figure:
    """The first images `(X, Y)` of each round, a row a round."""
    figure = Figure(figsize=(1.1 * GALLERY, 1.35 * max(1, len(rounds))), layout="constrained")
    grid = figure.subplots(max(1, len(rounds)), GALLERY, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, images, title in zip(grid, rounds, titles, strict=True):
        for axes, image in zip(row, images, strict=False):
            draw(axes, image)
        row[0].set_title(title, fontsize=8, loc="left")
    return figure


def candidates_figure(images: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """The candidates side by side."""
    figure = Figure(figsize=(2.4 * max(1, len(images)), 2.7), layout="constrained")
    grid = figure.subplots(1, max(1, len(images)), squeeze=False)[0]
    for axes, image, title in zip(grid, images, titles, strict=False):
        draw(axes, image, title=title)
    return figure


def front_figure(values: np.ndarray, senses: Sequence[int], names: Sequence[str]) -> Figure:
    """What was reached of the first two optimised properties, `(n, 2)`, and the Pareto front among it.

    Args:
        values: The properties as they are, of designs that meet the other goals.
        senses: 1 to maximise, -1 to minimise.
        names: Their names, with units.
    """
    figure = Figure(figsize=(4, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.scatter(values[:, 0], values[:, 1], s=9, alpha=0.5, label="evaluated")
    if len(values):
        front = values[front_numbers(values * np.array(senses)) == 0]
        front = front[np.argsort(front[:, 0])]
        axes.plot(*front.T, marker="o", color="black", label="Pareto front")
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.legend()
    return figure
