"""Commands that compute: `homogenize` and `statistics`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from microdesign.cli.image_options import AS_STATED, ImageOptions, takes_image_options
from microdesign.cli.options import (
    Images,
    Json,
    MaterialsFile,
    numbers,
)
from microdesign.cli.output import print_json, print_table

app = typer.Typer()


@app.command()
@takes_image_options("dims", "phases", "pixel_size")
def homogenize(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Files of phase labels, of images or, with --dims 3, of volumes."),
    ],
    materials: MaterialsFile,
    plane: Annotated[str | None, typer.Option(help="stress or strain; the materials file's own when left out.")] = None,
    boundary: Annotated[
        str, typer.Option(help="periodic, mirror, or auto: mirror for images that a file says are not periodic.")
    ] = "auto",
    discretization: Annotated[str, typer.Option(help="q1 (MICRO2D's own), rotated, q1bbar or fv.")] = "q1",
    tolerance: Annotated[float, typer.Option(help="Relative error of the effective tensors.")] = 1e-4,
    dims: Annotated[int | None, typer.Option(help="2: three axes are a stack of images; 3: one volume.")] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="HX,HY[,HZ]", help="Edge lengths of a pixel or voxel, if not as in the file.")
    ] = None,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Also solve by rotated; show the gap and bounds of plane conduction.")
    ] = False,
    images_as: ImageOptions = AS_STATED,
    as_json: Json = False,
) -> None:
    """Compute the effective properties of images."""
    from microdesign.physics.materials import load_materials

    phases = load_materials(materials, [] if plane is None else [f"plane={plane}"])
    lengths = None if spacing is None else numbers("--spacing", spacing, float, "1,1,2")
    from microdesign.physics.label_images import read_labels
    from microdesign.physics.report import homogenize_report

    with images_as.reading() as options:
        named = [each for path in images for each in read_labels(path, dims, images_as.reader, options)]
    found = named[0].labels.ndim if options.section else dims or named[0].labels.ndim
    entries = homogenize_report(
        named,
        phases,
        dims=found,
        spacing=lengths,
        boundary=boundary,
        discretization=discretization,
        tolerance=tolerance,
        uncertainty=uncertainty,
    )
    if as_json:
        print_json(entries)
    else:
        _print_properties(entries, found)


@app.command()
@takes_image_options()
def statistics(
    images: Images,
    two_point: Annotated[
        Path | None, typer.Option(help="Save the two-point statistics of all phases, .npy (n, phases, X, Y).")
    ] = None,
    images_as: ImageOptions = AS_STATED,
    as_json: Json = False,
) -> None:
    """Print statistics of every phase of images: fractions, surface, run lengths, feature size, percolation."""
    from microdesign.microstructure.statistics.characterization import characterize_files
    from microdesign.microstructure.statistics.table import statistics_table

    with images_as.reading() as options:
        rows = characterize_files(images, two_point, images_as.reader, options)
    if as_json:
        print_json(rows)
        return
    print_table(*statistics_table(rows))
    print("surface: pixel faces per volume; chord: mean run length; feature: width without the thinnest 5 %")


def _print_properties(entries: Sequence[Mapping[str, Any]], dims: int) -> None:
    columns = [name for name in entries[0]["properties"] if not _is_coupling(name, dims)]
    rows = []
    for entry in entries:
        rows.append([entry["image"], *(_shown(entry["properties"][name], ".6g") for name in columns)])
        if "uncertainty" in entry:
            uncertainty = entry["uncertainty"]
            rows.append(["  q1 - rotated", *(_shown(uncertainty["gap"][name], ".2g", "+- ") for name in columns)])
            if bounds := uncertainty.get("bounds", {}):
                cells = (" to ".join(f"{v:.5g}" for v in bounds[name]) if name in bounds else "" for name in columns)
                rows.append(["  bounds", *cells])
    print_table(["image", *columns], rows)
    for entry in entries:
        fractions = entry["volume_fractions"]
        if 1.0 in fractions:
            print(f"{entry['image']} has one phase alone, {fractions.index(1.0)}: the properties are that phase's")
    _print_boundaries(entries)
    _print_undefined(entries, columns)
    units = entries[0]["units"]
    print(f"unit of E: {units['E']}, of k: {units['k']}; axis 0 of an image is x")


def _shown(value: float | None, form: str, before: str = "") -> str:
    return "-" if value is None else f"{before}{value:{form}}"


def _print_boundaries(entries: Sequence[Mapping[str, Any]]) -> None:
    meaning = {"periodic": "the image is repeated", "mirror": "the image is reflected at its faces"}
    for boundary, text in meaning.items():
        names = [entry["image"] for entry in entries if entry["boundary"] == boundary]
        if names:
            of = "" if len(names) == len(entries) else f" ({', '.join(names)})"
            print(f"{boundary} boundary: {text}{of}")


def _print_undefined(entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Says why there are dashes in the table."""
    from microdesign.physics.properties import undefined_because

    for name in names:
        if lacking := sum(entry["properties"][name] is None for entry in entries):
            print(f"{name} is not defined for {lacking} of {len(entries)} images: {undefined_because(name)}")


def _is_coupling(name: str, dims: int) -> bool:
    """Whether a property is a component off a tensor's diagonal, for which the table has no room; `--json` has all."""
    from microdesign.core.properties import known

    entry = known(dims)[name].entry
    return entry is not None and entry[0] != entry[1]
