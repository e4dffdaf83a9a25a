"""Commands of models: `train`, `sweep`, `evaluate`, `predict` and `promote`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from microdesign.cli.options import ConfigFile, Experiment, Images, Json, Set, numbers, targets
from microdesign.cli.output import print_json, print_result, print_table
from microdesign.cli.session import on_ray, working
from microdesign.core.tables import cell

app = typer.Typer()


@app.command()
def train(
    config: ConfigFile,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start from seeded weights, not from the pretrained ones.")
    ] = False,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Train a model under Ray Train and register it."""
    from microdesign.core.config import load_config
    from microdesign.learning.training.config.train_config import TrainConfig

    settings = load_config(TrainConfig, config, [*(["start=null"] if from_scratch else []), *(overrides or [])])
    from microdesign.microstructure.data.dataset import Dataset

    Dataset.open(settings.dataset)  # A missing data set is refused before Ray starts.
    from microdesign.learning.training.train import train as run

    with on_ray() as progress:
        bundle = run(settings, progress)
    print_result({"bundle": str(bundle)}, as_json)


@app.command()
def sweep(config: ConfigFile, overrides: Set = None, as_json: Json = False) -> None:
    """Search training settings on Ray Tune, then train and register the best."""
    from microdesign.core.config import load_config
    from microdesign.learning.sweep.sweep_config import SweepConfig

    settings = load_config(SweepConfig, config, overrides or [])
    from microdesign.microstructure.data.dataset import Dataset

    Dataset.open(settings.train.dataset)  # A missing data set is refused before Ray starts.
    from microdesign.learning.sweep.sweep import sweep as run

    with on_ray() as progress:
        document = run(settings, progress)
    if as_json:
        print_json(document)
        return
    rows = document["trials"]
    print_table(list(rows[0]), [[cell(value) for value in row.values()] for row in rows])
    for winner in document["winners"]:
        print(f"{winner['model'] or 'winner'}: {winner['bundle'] or winner['choice']}")


@app.command()
def evaluate(
    config: ConfigFile,
    what: Experiment = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Run an experiment on trained models: what their decodes are worth."""
    from microdesign.experiments.registry import load_experiment

    settings = load_experiment(config, overrides or [], what)
    from microdesign.experiments.evaluate import evaluate as run

    with on_ray() as progress:
        result = run(settings, progress)
    if as_json:
        print(result.model_dump_json(indent=2))
        return
    titles, *rows = result.table.texts()
    print_table(titles, rows)
    print(f"tables and figures: {result.folder}")


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="Bundle folder, or models:/NAME@ALIAS.")],
    images: Images,
    as_json: Json = False,
) -> None:
    """Predict the properties of images by a trained model, with intervals and out-of-distribution scores."""
    from microdesign.learning.evaluation.prediction import predict_files

    with working():
        bundle, rows = predict_files(model, images)
    if as_json:
        print_json(rows)
        return
    _print_predictions(bundle.properties, rows)
    known = bundle.description.calibration
    if known is not None:
        print(f"intervals hold {known.level:.0%} of new images like the training data")
    print("out of distribution: share of held-out images nearer to the training data; OUT: an extrapolation")


@app.command()
def draw(
    model: Annotated[
        str,
        typer.Argument(help="Bundle folder, models:/NAME@ALIAS, http://HOST:PORT, pretrained, or pretrained-volumes."),
    ],
    out: Annotated[Path, typer.Option(help="The file, or without a suffix the folder, to make; as `data convert`.")],
    like: Annotated[
        list[Path] | None, typer.Option(metavar="IMAGE", help="An image to draw like; repeat for several.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A target property; repeat for all of the model's.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Realisations, of each image.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same realisations.")] = 0,
    size: Annotated[
        str | None, typer.Option(metavar="X[,Y[,Z]]", help="Pixels along each axis; the model's own when left out.")
    ] = None,
    component: Annotated[int | None, typer.Option(help="Component of the prior to draw from, for a target.")] = None,
    dims: Annotated[
        int | None, typer.Option(help="3: volumes by a model of images, whose sections look like the image.")
    ] = None,
    per_axis: Annotated[
        bool, typer.Option("--per-axis", help="Three images are sections across x, y and z of one volume (--dims 3).")
    ] = False,
    token: Annotated[
        str | None, typer.Option(help="Bearer token of the endpoint.", envvar="MICRODESIGN_SERVE_TOKEN")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw realisations of the material of an image, or for a target."""
    from microdesign.learning.drawing import draw as run
    from microdesign.microstructure.io.writers import find_writer, write

    find_writer(out)  # An unknown format is refused before anything is drawn.
    pixels = () if size is None else numbers("--size", size, int, "96 or 128,64")
    with working() as progress:
        images = run(
            model,
            like=like or None,
            target=targets(target) if target else None,
            n=n,
            seed=seed,
            size=pixels[0] if len(pixels) == 1 else pixels or None,
            component=component,
            dims=dims,
            per_axis=per_axis,
            token=token,
            progress=progress,
        )
        made = write(out, images)
    print_result({"out": str(made), "images": len(images), "shape": list(images.shape)}, as_json)


@app.command()
def promote(
    model: Annotated[str, typer.Argument(help="Name in the MLflow registry.")],
    dataset: Annotated[Path, typer.Option(help="Data set on whose test split both are judged.")],
    version: Annotated[int | None, typer.Option(help="Version to promote; the challenger when left out.")] = None,
    by: Annotated[str | None, typer.Option(help="Judge by inverse_error, mape, r2 or excess_cess.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote a worse one too.")] = False,
    evaluator: Annotated[
        str, typer.Option(help="Physics of inverse_error: fft, module:name or 'command: ...'.")
    ] = "fft",
    as_json: Json = False,
) -> None:
    """Compare a registered model with the champion on one test set and, unless it is worse, make it the champion."""
    from microdesign.learning.evaluation.promotion import promote as run

    with working():
        document = run(model, dataset, version, by, force, evaluator)
    if as_json:
        print_json(document)
        return
    metrics = document["metrics"]
    names = list(next(iter(metrics.values())))
    rows = [[label, *(cell(values.get(name)) for name in names)] for label, values in metrics.items()]
    print_table(["", *names], rows)
    print(document["outcome"])


def _print_predictions(properties: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    from microdesign.surrogate.intervals import OUT_OF_DISTRIBUTION

    cells = []
    for row in rows:
        cells.append([row["image"]])
        for found in row["properties"].values():
            bounds = f" [{found['lower']:.4g}, {found['upper']:.4g}]" if "lower" in found else f" +- {found['std']:.2g}"
            cells[-1].append(f"{found['mean']:.4g}{bounds}")
        score = row["out_of_distribution"]
        cells[-1].append("" if score is None else f"{score:.2f}{' OUT' if score > OUT_OF_DISTRIBUTION else ''}")
    print_table(["image", *properties, "out of distribution"], cells)
