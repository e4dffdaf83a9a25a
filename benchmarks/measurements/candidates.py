"""Candidates of campaigns beside an independent finite-element solve, for `benchmarks/candidates.py`."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from peers.scikit_fem_images import properties

from microdesign.design.campaign.discretizations import on_twice_the_pixels
from microdesign.design.report.result import CampaignResult, read_result
from microdesign.physics.density import with_density
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_values


@dataclass(frozen=True)
class Design:
    """A design that a campaign delivered: its image, the values that it states, and their gap, relative."""

    name: str
    labels: np.ndarray
    stated: Mapping[str, float]
    gap: Mapping[str, float]


def print_tables(settings: argparse.Namespace) -> None:
    """Prints verified values beside those of finite elements, and the largest differences."""
    for folder in settings.folders:
        result = read_result(folder)
        mirrored = result.boundary == "mirror"
        differences: list[list[float]] = []
        print(f"\n{Path(folder).name}: {result.verdict.sentence}\n")
        print(
            f"| design | property | verified | one element a pixel | {settings.elements} a pixel's edge | stated gap |"
        )
        print("|---|---|---|---|---|---|")
        for design in designs(result):
            once, finer = (
                values_of(design.labels, result.materials, list(design.stated), elements, mirrored)
                for elements in (1, settings.elements)
            )
            for name, stated in design.stated.items():
                off = [value / stated - 1 if stated else float("nan") for value in (once[name], finer[name])]
                differences.append([abs(each) for each in off])
                gap = f"{design.gap[name]:.2%}" if name in design.gap else ""
                print(
                    f"| {design.name} | {name} | {stated:.5g} | {once[name]:.5g} ({off[0]:+.3%}) "
                    f"| {finer[name]:.5g} ({off[1]:+.2%}) | {gap} |",
                    flush=True,
                )
        if differences:
            worst = np.nanmax(differences, axis=0)
            print(f"\nlargest differences: {worst[0]:.3%}, {worst[1]:.2%}")


def designs(result: CampaignResult) -> Iterator[Design]:
    """The candidates, the near misses and the training images of a result, by the values that count."""
    for name, group in (("candidate", result.candidates), ("near miss", result.misses)):
        for number, each in enumerate(group, start=1):
            counts = each.refined or each
            labels = result.labels(counts.files["npy"])[0]
            if each.as_drawn:  # a robust campaign evaluates all its variants on twice the pixels
                labels = on_twice_the_pixels(labels)
            gap = counts.discretization_gap or {}
            yield Design(f"{name} {number}", labels, each.as_drawn or counts.verified, gap)
    for number, image in enumerate(result.from_data, start=1):
        yield Design(f"from the data {number}", result.labels(image.files["npy"])[0], image.verified, {})


def values_of(
    labels: np.ndarray, materials: Materials, names: list[str], elements: int, mirrored: bool
) -> dict[str, float]:
    """Values of an image by finite elements, by name; a mirrored one repeats as four images."""
    if mirrored:
        labels = np.block([[labels, labels[:, ::-1]], [labels[::-1], labels[::-1, ::-1]]])
    found = {name: np.array([value]) for name, value in properties(labels, materials, elements).items()}
    known = with_density(found, labels[None], materials)
    return {name: float(property_values(known, name)[0]) for name in names}
