"""The command line: parse, call one function, print. `--json` prints one JSON document on stdout and nothing else."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from microdesign import __version__
from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.progress import Lines, Progress, shown

Number = TypeVar("Number", int, float)

app = typer.Typer(
    help="From target properties to physics-verified microstructures.", no_args_is_help=True, add_completion=False
)
data = typer.Typer(help="Generate, label, inspect and convert images.", no_args_is_help=True)
app.add_typer(data, name="data")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, such as loop.epochs=5.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of settings.")]
MaterialsFile = Annotated[Path, typer.Option("--materials", help="YAML file of the phases.")]

_SHOWN_OF_VOLUMES = ("C11", "C22", "C33", "C44", "C55", "C66", "k11", "k22", "k33", "K", "G", "E", "AU")


def main() -> None:
    """Runs the command line; exit code 2 for bad input, 1 for anything else that fails."""
    try:
        app()
    except InputError as error:
        _fail(error, 2)
    except MicrodesignError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"microdesign {__version__}")
        raise typer.Exit


@app.command()
def demo(
    target: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A target property; repeat for several.")
    ] = None,
    match: Annotated[Path | None, typer.Option(help="Image (.npy) whose properties become the target.")] = None,
    properties: Annotated[str, typer.Option(help="Properties taken from --match.")] = "Ex,Ey,kx",
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("microdesign-demo"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Run the whole way on embedded defaults: images, labels, model, campaign, report."""
    from microdesign.core.config import load_config
    from microdesign.demo import DemoConfig, run_demo

    settings = [f"folder={json.dumps(str(folder))}", f"properties={json.dumps(_names(properties))}", *(overrides or [])]
    if match is not None:
        settings.append(f"match={json.dumps(str(match))}")
    if target:
        settings.append(f"target={json.dumps(_numbers(target))}")
    config = load_config(DemoConfig, None, settings)
    with _ray() as progress:
        document = run_demo(config, progress, fresh)
    if as_json:
        _print_json(document)
        return
    _print_design(document)
    print("\nstages: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in document["stages"].items()))


@app.command()
def homogenize(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Files of phase labels, of images or, with --dims 3, of volumes."),
    ],
    materials: MaterialsFile,
    plane: Annotated[str | None, typer.Option(help="stress or strain; the materials file's own when left out.")] = None,
    discretization: Annotated[str, typer.Option(help="q1 (MICRO2D's own), rotated, q1bbar or fv.")] = "q1",
    tolerance: Annotated[float, typer.Option(help="Relative error of the effective tensors.")] = 1e-4,
    dims: Annotated[int, typer.Option(help="2, or 3 where three axes are one volume and not a stack of images.")] = 2,
    edges: Annotated[
        str | None, typer.Option(metavar="HX,HY[,HZ]", help="Edges of a pixel or voxel, if they differ.")
    ] = None,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Also solve by rotated; show the gap and bounds of plane conduction.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compute the effective properties of images."""
    from microdesign.core.config import load_config
    from microdesign.physics.materials import Materials
    from microdesign.physics.report import homogenize_report, read_labels

    phases = load_config(Materials, materials, [] if plane is None else [f"plane={plane}"])
    entries = homogenize_report(
        [named for path in images for named in read_labels(path, dims)],
        phases,
        dims=dims,
        edges=None if edges is None else _lengths(edges),
        discretization=discretization,
        tolerance=tolerance,
        uncertainty=uncertainty,
    )
    if as_json:
        _print_json(entries)
        return
    columns = [name for name in entries[0]["properties"] if dims == 2 or name in _SHOWN_OF_VOLUMES]
    rows = []
    for e in entries:
        rows.append([e["image"], *(f"{e['properties'][name]:.6g}" for name in columns)])
        if uncertainty:
            doubt = e["uncertainty"]
            rows.append(["  q1 - rotated", *(f"+- {doubt['gap'][name]:.2g}" for name in columns)])
            if bounds := doubt.get("bounds", {}):
                cells = (" to ".join(f"{v:.5g}" for v in bounds[name]) if name in bounds else "" for name in columns)
                rows.append(["  bounds", *cells])
    _table(["image", *columns], rows)
    for e in entries:
        if 1.0 in e["volume_fractions"]:
            print(
                f"{e['image']} has one phase alone, {e['volume_fractions'].index(1.0)}: the properties are that phase's"
            )
    print(f"unit of E: {entries[0]['units']['E']}, of k: {entries[0]['units']['k']}; axis 0 of an image is x")


@app.command()
def statistics(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of phase labels.")],
    two_point: Annotated[
        Path | None, typer.Option(help="Save the two-point statistics of all phases, .npy (n, phases, X, Y).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print statistics of every phase of images: fractions, surface, run lengths, feature size, percolation."""
    from microdesign.microstructure.statistics.characterization import characterize_files, statistics_table

    rows = characterize_files(images, two_point)
    if as_json:
        _print_json(rows)
        return
    _table(*statistics_table(rows))
    print("surface: pixel faces per volume; chord: mean run length; feature: width without the thinnest 5 %")


@data.command("generate")
def data_generate(
    out: Annotated[Path, typer.Argument(help="Folder of the data set, or a .h5 file in MICRO2D's layout.")],
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Draw each class too: OUT-preview/<class>.png.")] = False,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Generate images or volumes of several families."""
    from microdesign.core.config import load_config
    from microdesign.microstructure.generators.dataset_generation import GenerateConfig, GenerateJob, generate_to

    job = GenerateJob(out=str(out), images=load_config(GenerateConfig, config, overrides or []), preview=preview)
    with shown() as progress:
        made = generate_to(job, progress)
    _print_done(made, as_json)


@data.command("label")
def data_label(
    source: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    out: Annotated[Path, typer.Argument(help="Folder for the labelled data set.")],
    materials: MaterialsFile,
    evaluator: Annotated[
        str, typer.Option(help="Physics: fft, 'fft: tolerance=1e-5', module:name, or 'command: PROGRAM ARGS'.")
    ] = "fft",
    timeout: Annotated[float | None, typer.Option(help="Seconds that a call of a command: evaluator may take.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of results: known ones are taken from it, new ones added.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute the effective properties of a data set's images, in parallel."""
    from microdesign.core.config import validate_config
    from microdesign.physics.execution.labelling import LabelConfig, label
    from microdesign.physics.materials import load_materials

    settings = {
        "source": str(source),
        "out": str(out),
        "materials": load_materials(materials),
        "evaluator": evaluator,
        "evaluator_settings": {} if timeout is None else {"timeout": timeout},
        "store": None if store is None else str(store),
    }
    config = validate_config(LabelConfig, settings, "the options")
    with _ray() as progress:
        done = label(config, progress)
    _print_done(done, as_json)


@data.command("inspect")
def data_inspect(
    path: Annotated[Path, typer.Argument(help="A file or folder of any known format.")], as_json: Json = False
) -> None:
    """Show what a file or data set holds."""
    from microdesign.microstructure.io.readers import describe
    from microdesign.microstructure.io.summary import format_tree

    description = describe(path)
    if as_json:
        _print_json(description)
    else:
        print(format_tree(description))


@data.command("convert")
def data_convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file or folder of any known format.")],
    out: Annotated[Path, typer.Argument(help="The file, or without a suffix the folder, to make.")],
    to: Annotated[
        str | None, typer.Option(help="npy, npz, tiff, png, vti, micro2d or dataset; by the suffix when left out.")
    ] = None,
    array: Annotated[str | None, typer.Option(help="Which array holds the images, where there are several.")] = None,
    shape: Annotated[str | None, typer.Option(metavar="X,Y", help="Pixels of images stored as flat rows.")] = None,
    dims: Annotated[int | None, typer.Option(help="2: a stack of images; 3: one volume.")] = None,
    phases: Annotated[int | None, typer.Option(help="Number of phases; the largest label + 1 when left out.")] = None,
    values: Annotated[str | None, typer.Option(metavar="A,B,...", help="The value that stands for each phase.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Fewer pixels along each axis: averaged by area, then cut; drops properties.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert images from any known format to another."""
    from microdesign.microstructure.io.convert import convert
    from microdesign.microstructure.io.options import ReadOptions

    options = ReadOptions(
        array=array,
        shape=None if shape is None else _tuple("--shape", shape, int),
        dimension=dims,
        n_phases=phases,
        values=None if values is None else _tuple("--values", values, float),
    )
    with shown() as progress:
        done = convert(source, out, to, options, progress, size)
        if done["left_out"]:
            progress(f"left out: {', '.join(done['left_out'])}")
    _print_done(done, as_json)


@app.command()
def train(config: ConfigFile, overrides: Set = None, as_json: Json = False) -> None:
    """Train a model under Ray Train and register it."""
    from microdesign.core.config import load_config
    from microdesign.learning.training.train import train as run
    from microdesign.learning.training.train_config import TrainConfig

    settings = load_config(TrainConfig, config, overrides or [])
    with _ray() as progress:
        bundle = run(settings, progress)
    _print_done({"bundle": str(bundle)}, as_json)


@app.command()
def sweep(config: ConfigFile, overrides: Set = None, as_json: Json = False) -> None:
    """Search training settings on Ray Tune, then train and register the best."""
    from microdesign.core.config import load_config
    from microdesign.learning.sweep.sweep import sweep as run
    from microdesign.learning.sweep.sweep_config import SweepConfig

    settings = load_config(SweepConfig, config, overrides or [])
    with _ray() as progress:
        document = run(settings, progress)
    if as_json:
        _print_json(document)
        return
    rows = document["trials"]
    _table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])
    for winner in document["winners"]:
        print(f"{winner['model'] or 'winner'}: {winner['bundle'] or winner['choice']}")


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="Bundle folder, or models:/NAME@ALIAS.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of phase labels.")],
    as_json: Json = False,
) -> None:
    """Predict the properties of images by a trained model, with intervals and a warning for unlike images."""
    from microdesign.learning.evaluation.prediction import predict_files
    from microdesign.surrogate.intervals import UNLIKE

    with redirect_stdout(sys.stderr):
        bundle, rows = predict_files(model, images)
    if as_json:
        _print_json(rows)
        return
    cells = []
    for row in rows:
        cells.append([row["image"]])
        for found in row["properties"].values():
            bounds = f" [{found['lower']:.4g}, {found['upper']:.4g}]" if "lower" in found else f" +- {found['std']:.2g}"
            cells[-1].append(f"{found['mean']:.4g}{bounds}")
        unlike = row["unlike"]
        cells[-1].append("" if unlike is None else f"{unlike:.2f}{' UNLIKE' if unlike > UNLIKE else ''}")
    _table(["image", *bundle.properties, "unlike"], cells)
    known = bundle.description.calibration
    if known is not None:
        print(f"intervals hold {known.level:.0%} of new images like the training data")
    print("unlike: share of held-out images that are nearer to the training data; UNLIKE: do not trust the prediction")


@app.command()
def promote(
    model: Annotated[str, typer.Argument(help="Name in the MLflow registry.")],
    dataset: Annotated[Path, typer.Option(help="Data set on whose test split both are judged.")],
    version: Annotated[int | None, typer.Option(help="Version to promote; the challenger when left out.")] = None,
    by: Annotated[str | None, typer.Option(help="Judge by inverse_error, mape, r2 or excess_cess.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote a worse one too.")] = False,
    as_json: Json = False,
) -> None:
    """Compare a registered model with the champion on one test set and, unless it is worse, make it the champion."""
    from microdesign.learning.evaluation.promotion import promote as run

    with redirect_stdout(sys.stderr):
        document = run(model, dataset, version, by, force)
    if as_json:
        _print_json(document)
        return
    metrics = document["metrics"]
    names = list(next(iter(metrics.values())))
    _table(["", *names], [[label, *(_cell(values.get(name)) for name in names)] for label, values in metrics.items()])
    print(document["outcome"])


@app.command()
def design(config: ConfigFile, overrides: Set = None, as_json: Json = False) -> None:
    """Run or resume a design campaign."""
    from microdesign.core.config import load_config
    from microdesign.design.campaign.campaign_config import CampaignConfig
    from microdesign.design.campaign.retraining import retrainer
    from microdesign.design.workflow import design as run

    settings = load_config(CampaignConfig, config, overrides or [])
    with _ray() as progress:
        document = run(settings, progress, retrain=retrainer(settings, progress))
    if as_json:
        _print_json(document)
    else:
        _print_design(document)


@app.command()
def evaluate(
    config: ConfigFile,
    what: Annotated[
        str | None,
        typer.Option(
            help="fidelity, reconstruction, forward, inverse or latent; the config's own `what` when left out."
        ),
    ] = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Run an experiment on trained models: what their decodes are worth."""
    from microdesign.experiments.evaluate import evaluate as run
    from microdesign.experiments.evaluate import load_experiment

    settings = load_experiment(config, overrides or [], what)
    with _ray() as progress:
        document = run(settings, progress)
    if as_json:
        _print_json(document)
    else:
        titles, *rows = document["table"]
        _table(titles, rows)
        print(f"tables and figures: {document['folder']}")


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a campaign.")]) -> None:
    """Write a campaign's report again from its record; of one that still runs, or was killed, how it stands."""
    from microdesign.design.report.html import report_campaign

    print(report_campaign(folder))


@app.command()
def submit(
    address: Annotated[str, typer.Argument(help="Job server of a Ray cluster, http://HEAD:8265.")],
    job: Annotated[str, typer.Argument(help="generate, label, train, sweep, campaign or evaluate.")],
    config: ConfigFile,
    wait: Annotated[bool, typer.Option(help="Follow the job's log until it ends.")] = True,
) -> None:
    """Run a job on a cluster through Ray's job API."""
    from microdesign.jobs.submission import submit as run

    run(address, job, config, wait, Lines(clock=False))


@contextmanager
def _ray() -> Iterator[Progress]:
    from microdesign.physics.execution.cluster import connected

    # Standard output is the command's own answer, whatever the libraries have to say.
    with connected(), redirect_stdout(sys.stderr), shown() as progress:
        yield progress


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2))


def _print_done(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(document)
    else:
        for key, value in document.items():
            print(f"{key}: {value}")


def _print_design(document: dict[str, Any]) -> None:
    target = document["target"]
    rows = [["target", "", *document["goals"].values(), "", ""]]
    for number, c in enumerate(document["candidates"], start=1):
        known = {name: "-" if value is None else f"{value:.4g}" for name, value in c["predicted"].items()}
        values = (f"{known[name]} / {c['verified'][name]:.4g}" for name in target)
        novelty = "" if c["novelty"] is None else f"{c['novelty']:.3f}"
        rows.append([f"candidate {number}", str(c["component"]), *values, f"{c['max_relative_error']:.2%}", novelty])
    for name, b in document["baselines"].items():
        if b is not None:
            values = (f"{b['verified'][key]:.4g}" for key in target)
            rows.append(
                [f"best of {b['of']}, {name.replace('_', ' ')}", "", *values, f"{b['max_relative_error']:.2%}", ""]
            )
    titles = [f"{name} pred. / verified" for name in target]
    _table(["", "component", *titles, "max. error", "novelty"], rows)
    for line in filter(None, [document["reach"], *document["feasibility"]["warnings"]]):
        print(line)
    print(f"{document['evaluations']} physics evaluations; {document['stopped']}")
    print(f"report: {document['report']}")
    uri = document["tracking_uri"]
    print(f"MLflow: {uri if uri.startswith('http') else f'mlflow ui --backend-store-uri {uri}'}")


def _table(titles: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles)
    for row in rows:
        table.add_row(*row)
    console = Console(soft_wrap=False)
    console.print(table) if console.is_terminal else Console(width=160).print(table)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _lengths(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--edges {text}: expected numbers, one an axis, such as 1,1,2.") from None


def _numbers(pairs: list[str]) -> dict[str, float]:
    values = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            values[name.strip()] = float(text)
        except ValueError:
            raise InputError(f"--target {pair}: expected NAME=VALUE with a number, such as Ex=3.6.") from None
    return values


def _tuple(flag: str, text: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{flag} {text}: expected numbers with commas between them.") from None


def _fail(error: Exception, code: int) -> None:
    print(f"microdesign: {error}", file=sys.stderr)
    sys.exit(code)
