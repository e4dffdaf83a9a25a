"""Commands of data sets: `data generate`, `windows`, `representativeness`, `label`, `inspect` and `convert`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from microdesign.cli.image_options import AS_STATED, ImageOptions, takes_image_options
from microdesign.cli.options import (
    Json,
    MaterialsFile,
    Set,
    numbers,
)
from microdesign.cli.output import print_json, print_result, print_table
from microdesign.cli.session import on_ray, resumable, working
from microdesign.core.errors import InputError

app = typer.Typer(name="data", help="Generate, cut, label, inspect and convert images.", no_args_is_help=True)


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="Folder of the data set, or a .h5 file in MICRO2D's layout.")],
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Draw each class too: OUT-preview/<class>.png.")] = False,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Generate images or volumes of several families."""
    from microdesign.core.config import load_config
    from microdesign.microstructure.generators.dataset_generation import GenerateJob, generate_to

    options = [f"out={json.dumps(str(out))}", *(["preview=true"] if preview else [])]
    job = load_config(GenerateJob, config, [*options, *(overrides or [])])
    with resumable() as progress:
        made = generate_to(job, progress)
    print_result(made, as_json)


@app.command()
@takes_image_options()
def windows(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files or folders of large images.")],
    out: Annotated[Path, typer.Argument(help="Folder for the data set of windows.")],
    size: Annotated[
        str, typer.Option(metavar="X[,Y[,Z]]", help="Pixels along each axis of a window; one number stands for all.")
    ] = "64",
    stride: Annotated[
        str | None,
        typer.Option(metavar="X[,Y[,Z]]", help="Pixels between neighbouring windows; half the size when left out."),
    ] = None,
    split_by_region: Annotated[
        bool,
        typer.Option(
            "--split-by-region/--no-split-by-region",
            help="Training, validation and test windows come from separate blocks of each image; windows that cross a "
            "boundary are left out.",
        ),
    ] = True,
    shares: Annotated[
        str, typer.Option(metavar="A,B,C", help="Shares of training, validation and test.")
    ] = "0.8,0.1,0.1",
    images_as: ImageOptions = AS_STATED,
    as_json: Json = False,
) -> None:
    """Cut large images into the windows of a data set, split by region."""
    from microdesign.core.config import validate_config
    from microdesign.microstructure.data.manifest import SplitConfig
    from microdesign.microstructure.data.sizes import simplest
    from microdesign.microstructure.windows.cutting import WindowCutter
    from microdesign.microstructure.windows.windows_dataset import cut_windows

    parts = numbers("--shares", shares, float, "0.8,0.1,0.1")
    if len(parts) != 3:
        raise InputError(f"--shares {shares}: expected three numbers, of training, validation and test.")
    split = validate_config(SplitConfig, dict(zip(("train", "validation", "test"), parts, strict=True)), "--shares")
    pixels = numbers("--size", size, int, "96 or 128,64")
    steps = None if stride is None else simplest(numbers("--stride", stride, int, "48 or 64,32"))
    cutter = WindowCutter(simplest(pixels), steps, split, split_by_region)
    with images_as.reading() as options, working() as progress:
        done = cut_windows(images, out, cutter, options, images_as.reader, progress)
    print_result(done, as_json)


@app.command()
@takes_image_options()
def representativeness(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files or folders of large images.")],
    materials: Annotated[
        Path | None, typer.Option("--materials", help="Measure effective properties of these phases too.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Relative error at which a quantity counts as settled.")] = 0.1,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the errors over the size.")] = None,
    images_as: ImageOptions = AS_STATED,
    as_json: Json = False,
) -> None:
    """Show how statistics and properties spread over windows of images, and recommend a size of windows."""
    from microdesign.physics import representativeness as module

    with images_as.reading() as options, working() as progress:
        entries = module.representativeness(
            images, materials, tolerance=tolerance, options=options, reader=images_as.reader, progress=progress
        )
        if plot is not None:
            module.write_figure(entries, plot)
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        print(f"{entry['image']}: {' x '.join(map(str, entry['shape']))}; mean +- standard deviation over n windows")
        print_table(*module.representativeness_table(entry))
        print(f"correlation ends at {entry['correlation_range']} px; the errors are 2 standard deviations")
        print(f"recommended: --size {entry['recommended_size']} ({entry['reason']})")


@app.command()
def label(
    source: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    out: Annotated[Path, typer.Argument(help="Folder for the labelled data set.")],
    materials: MaterialsFile,
    evaluator: Annotated[
        str, typer.Option(help="Physics: fft, 'fft: tolerance=1e-5', module:name, or 'command: PROGRAM ARGS'.")
    ] = "fft",
    boundary: Annotated[
        str | None,
        typer.Option(help="Of fft: periodic, mirror, or auto: mirror where the data set is not periodic."),
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a call of a command: evaluator may take.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of results: known ones are taken from it, new ones added.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute the effective properties of a data set's images, in parallel."""
    from microdesign.core.config import validate_config
    from microdesign.physics.execution.label_config import LabelConfig
    from microdesign.physics.materials import load_materials

    settings = {
        "source": str(source),
        "out": str(out),
        "materials": load_materials(materials),
        "evaluator": evaluator,
        "evaluator_settings": {
            name: value for name, value in (("timeout", timeout), ("boundary", boundary)) if value is not None
        },
        "store": None if store is None else str(store),
    }
    config = validate_config(LabelConfig, settings, "the options")
    from microdesign.microstructure.data.dataset import Dataset

    Dataset.open(source)  # A missing data set is refused before Ray starts.
    from microdesign.physics.execution.labelling import label as run

    with on_ray() as progress:
        done = run(config, progress)
    print_result(done, as_json)


@app.command()
@takes_image_options("preview", "pixel_size", "section")
def inspect(
    path: Annotated[Path, typer.Argument(help="A file or folder of any known format.")],
    images_as: ImageOptions = AS_STATED,
    as_json: Json = False,
) -> None:
    """Show what a file or data set holds."""
    from microdesign.microstructure.io.readers import describe
    from microdesign.microstructure.io.summary import format_tree

    with images_as.reading() as options:
        description = describe(path, images_as.reader, options)
    if as_json:
        print_json(description)
    else:
        print(format_tree(description))


@app.command()
@takes_image_options(periodic=True)
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file or folder of any known format.")],
    out: Annotated[Path, typer.Argument(help="The file, or without a suffix the folder, to make.")],
    to: Annotated[
        str | None,
        typer.Option(help="npy, npz, tiff, png, vti, micro2d, dataset, or MODULE:CLASS; by the suffix when left out."),
    ] = None,
    images_as: ImageOptions = AS_STATED,
    resize: Annotated[
        int | None,
        typer.Option(
            help="Resample each image to fewer pixels along each axis: each takes the phase that covers most of it; "
            "drops properties."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(hidden=True)] = None,
    as_json: Json = False,
) -> None:
    """Convert images from any known format to another."""
    from microdesign.microstructure.io.convert import convert as run

    if size is not None:
        raise InputError(
            f"--size {size}: say --resize {size} to resample each image to {size} pixels along each axis, or cut large "
            f"images into windows of {size} pixels by `microdesign data windows {source} {out} --size {size}`."
        )

    with images_as.reading() as options, working() as progress:
        done = run(source, out, to, options, progress, resize, images_as.reader)
        if done["left_out"]:
            progress(f"left out: {', '.join(done['left_out'])}")
    print_result(done, as_json)


@app.command()
def grains(
    scan: Annotated[Path, typer.Argument(help="An EBSD scan: .ang (EDAX), .ctf or .h5oina (Oxford).")],
    out: Annotated[Path, typer.Argument(help="The folder to make, of grains.vti and materials.yaml.")],
    crystals: Annotated[
        Path, typer.Option(help="Materials file with the crystal of each phase of the scan, without angles.")
    ],
    misorientation: Annotated[float, typer.Option(help="Degrees from which on neighbours are two grains.")] = 5.0,
    least: Annotated[int, typer.Option(help="Points of a grain; smaller ones are filled from around.")] = 5,
    frame: Annotated[
        str | None, typer.Option(help="What the Euler angles refer to, if not the usual: map, oxford or edax.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Put grains of similar orientation into so many classes, at most 256.")
    ] = None,
    array: Annotated[str | None, typer.Option(help="Number of the acquisition, where a file holds several.")] = None,
    as_json: Json = False,
) -> None:
    """Turn an EBSD scan into an image of grains and the materials that homogenize takes with it."""
    from microdesign.physics.materials import load_materials
    from microdesign.physics.polycrystal import write_polycrystal

    done = write_polycrystal(
        scan,
        out,
        load_materials(crystals),
        misorientation=misorientation,
        least=least,
        frame=frame,
        classes=classes,
        array=array,
    )
    print_result(done, as_json)
