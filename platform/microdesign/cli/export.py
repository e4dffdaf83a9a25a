"""The command `export`: microstructures to the files of another program."""

from pathlib import Path
from typing import Annotated

import typer

from microdesign.cli.image_options import AS_STATED, ImageOptions, takes_image_options
from microdesign.cli.options import Json
from microdesign.cli.output import print_json

app = typer.Typer()


@app.command()
@takes_image_options(periodic=True)
def export(
    candidates: Annotated[
        list[Path], typer.Argument(metavar="CANDIDATE...", help="Designs of a campaign, or files of any known format.")
    ],
    to: Annotated[
        str,
        typer.Option(
            help="inp (Abaqus, CalculiX), card (effective material), stl, vtu, msh, med, damask, fans, svg, dxf, "
            "openfoam-snappy, or MODULE:NAME of an exporter of your own."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the files.")] = Path("exported"),
    materials: Annotated[
        Path | None,
        typer.Option(help="YAML file of the phases, or names: aluminium,pore. inp, card and the like take it."),
    ] = None,
    phase: Annotated[int | None, typer.Option(help="The phase to export alone, of surfaces and outlines.")] = None,
    smooth: Annotated[
        float | None,
        typer.Option(metavar="PIXELS", help="How far surfaces and outlines are rounded; 0.8 when left out, 0: steps."),
    ] = None,
    images_as: ImageOptions = AS_STATED,
    as_json: Json = False,
) -> None:
    """Export microstructures to finite-element, CAD and simulation programs."""
    from microdesign.export.registry import load_exporter
    from microdesign.export.run import export as run

    load_exporter(to)  # A format that cannot be had is refused before libraries are loaded.
    with images_as.reading() as options:
        done = run(candidates, to, out, materials, phase=phase, smooth=smooth, reader=images_as.reader, options=options)
    if as_json:
        print_json([{"name": each.name, "files": [*map(str, each.files)], "notes": list(each.notes)} for each in done])
        return
    for each in done:
        for file in each.files:
            print(file)
        for note in each.notes:
            print(f"  {note}")
