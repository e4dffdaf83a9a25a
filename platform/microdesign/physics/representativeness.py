"""The public function `representativeness`: from which size on windows of an image speak for the material."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.statistics.representativeness import TOLERANCE, representativeness_of
from microdesign.microstructure.windows.sources import Images, named, sources
from microdesign.physics.effective_properties import Phases, phases_from
from microdesign.physics.evaluators.protocol import evaluate_each, for_images
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.properties import property_names


def representativeness(
    images: Images,
    materials: Phases | None = None,
    *,
    tolerance: float = TOLERANCE,
    evaluator: str = "fft",
    options: ReadOptions = NO_OPTIONS,
    reader: str | None = None,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Returns how volume fractions, two-point statistics and properties spread over windows of images.

    Windows of 1/8, 1/4 and 1/2 of the shortest side are measured side by side; the variances are fitted by the law of
    Kanit et al. 2003 (Int. J. Solids Struct. 40, 3647), which gives the size at which a single window is representative
    and how far the whole image is. A size for `windows` is recommended with its reason: windows that hold the features
    and whose mean is that of larger ones. A window of that size need not be representative alone.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 2, (128, 128))
        >>> (found,) = representativeness(noise, [{"k": 1}, {"k": 10}])
        >>> [each["windows"] for each in found["sizes"]], found["recommended_size"]
        ([64, 16, 4], 32)
        >>> conductivity = found["settles"].get("kx")
        >>> 0 < conductivity["error_of_image"] < 0.03
        True

    Args:
        images: Paths of files or folders of any known format, labels `(X, Y)`, `(n, X, Y)` or `(n, X, Y, Z)`, or a
            `Microstructures`.
        materials: The phases, as `homogenize` takes them; None leaves properties out, which take most of the time.
        tolerance: Relative error at which a quantity counts as settled.
        evaluator: The physics, as `label` takes it; windows do not repeat and get mirror boundaries unless it says
            otherwise.
        options: What a file does not state itself, such as `ReadOptions(threshold="otsu")`.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.
        progress: Takes the number of images.

    Returns:
        For each image its name as `image` and the values of `representativeness_of`.

    Raises:
        InputError: A file cannot be read, or an image is too small or of one phase; the message begins with its name.
    """
    phases = None if materials is None else phases_from(materials)
    physics = None if phases is None else for_images(load_evaluator(evaluator), False)

    def measure(windows: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        assert phases is not None
        assert physics is not None
        values = evaluate_each(physics, windows, phases)
        return {name: values[name] for name in property_names(phases, windows.ndim - 1) if name in values}

    found = []
    for source, batches in sources(images, options, reader):
        for names, batch in named(source, batches):
            for name, image in zip(names, batch, strict=True):
                if phases is not None and len(phases.phases) < image.n_phases:
                    raise InputError(f"{name}: has {image.n_phases} phases; the materials are {len(phases.phases)}.")
                try:
                    given = None if phases is None else measure
                    entry = representativeness_of(image.labels[0], image.n_phases, given, tolerance)
                except InputError as error:
                    raise InputError(f"{name}: {error}") from None
                found.append({"image": name, **entry})
                progress.count(len(found), None, "images measured")
    progress.count(len(found), len(found), "images measured")
    return found


def representativeness_table(entry: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Returns titles and lines of a table for people, a line for each quantity of an entry of `representativeness`."""
    rows = entry["sizes"]
    titles = ["quantity", *(f"{row['size']} px (n = {row['windows']})" for row in rows)]
    lines = []
    for name, settled in entry["settles"].items():
        cells = [_cell(row["quantities"][name]) for row in rows]
        size = "-" if settled["size"] is None else f"{settled['size']} px"
        needed = "-" if settled["windows_of_recommended"] is None else str(settled["windows_of_recommended"])
        error = "-" if settled["error_of_image"] is None else f"{settled['error_of_image']:.1%}"
        lines.append([name, *cells, size, needed, error])
    percent = f"{entry['tolerance']:.0%}"
    return [*titles, f"one window within {percent}", f"windows of {entry['recommended_size']} px", "whole image"], lines


def write_figure(entries: Sequence[dict[str, Any]], path: str | Path) -> None:
    """Draws the relative error of single windows over their size, a panel for each image, as a PNG.

    Raises:
        InputError: The suffix is not `.png`.
        StorageError: The file cannot be written.
    """
    if Path(path).suffix.lower() != ".png":
        raise InputError(f"--plot {path}: expected a file with the suffix .png.")
    from matplotlib.figure import Figure  # drawing takes a second to import, and is seldom asked for

    figure = Figure(figsize=(5.5, 3.6 * len(entries)), layout="constrained", dpi=120)
    for axes, entry in zip(figure.subplots(len(entries), 1, squeeze=False)[:, 0], entries, strict=True):
        sizes = np.array([row["size"] for row in entry["sizes"]], float)
        longer = np.geomspace(sizes[0], 8 * sizes[-1])
        for number, (name, settled) in enumerate(entry["settles"].items()):
            if settled["size"] is None:
                continue
            spreads = [row["quantities"][name]["relative"] for row in entry["sizes"]]
            errors = 200 * np.array([np.nan if spread is None else spread for spread in spreads])
            axes.plot(sizes, errors, "o", color=f"C{number % 10}", label=name)
            law = 100 * entry["tolerance"] * (settled["size"] / longer) ** (len(entry["shape"]) / 2)
            axes.plot(longer, law, color=f"C{number % 10}", linewidth=0.8)
        axes.axhline(100 * entry["tolerance"], linestyle="--", color="grey", label="tolerance")
        axes.axvline(entry["recommended_size"], linestyle=":", color="grey", label="recommended")
        axes.axvline(min(entry["shape"]), color="grey", linewidth=0.5, label="whole image")
        axes.set(xscale="log", yscale="log", xlabel="window / px", ylabel="relative error of one window / %")
        axes.set_title(Path(entry["image"]).name, fontsize=9)
        axes.legend(fontsize=7, ncols=2)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _cell(quantity: dict[str, Any]) -> str:
    if quantity["mean"] is None:
        return "-"
    spread = "" if quantity["relative"] is None else f" +- {quantity['relative']:.1%}"
    return f"{quantity['mean']:.4g}{spread}"
