"""From an EBSD scan to what homogenization takes: an image of grains, and materials with a crystal for each grain."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.core.units import pixel_fields
from microdesign.microstructure.data.container import MAX_PHASES, Microstructures
from microdesign.microstructure.grains import Grains, find_grains, grouped
from microdesign.microstructure.io.formats.ebsd.reader import UNIT, read_scan
from microdesign.microstructure.io.formats.ebsd.scan import EbsdScan, Frame
from microdesign.microstructure.io.formats.vti import write_vti
from microdesign.microstructure.io.protocol import FIELDS, Writer
from microdesign.microstructure.io.staging import write_staged
from microdesign.physics.materials import Materials, Phase, TensorPhase

IMAGE_FILE, MATERIALS_FILE = "grains.vti", "materials.yaml"


def polycrystal(
    scan: EbsdScan,
    crystals: Materials,
    *,
    misorientation: float = 5.0,
    least: int = 5,
    frame: Frame | None = None,
    classes: int | None = None,
) -> tuple[Microstructures, Materials, Grains]:
    """Returns the grains of a scan as an image, and the materials of which each label is a grain with its orientation.

    Grains of an isotropic phase, whose orientation makes no difference, are one label.

    Args:
        scan: The scan, of `read_scan`.
        crystals: The tensors of each phase of the scan, in its order, in the axes of the crystal that
            `EbsdScan.rotations` states.
        misorientation: Angle in degrees from which on neighbours belong to different grains.
        least: Points of a grain; smaller ones are filled from around.
        frame: Axes that the Euler angles refer to, where not the usual ones of the file: `map`, `oxford` or `edax`.
        classes: Number of classes of orientation to put similar grains into, where there are more; None refuses more
            than 256 grains, which an image cannot hold.

    Raises:
        InputError: The crystals are not those of the scan or state angles, or there are too many grains.
    """
    _check_crystals(scan, crystals)
    grains = find_grains(scan, misorientation, least, frame)
    oriented = np.array([isinstance(phase, TensorPhase) for phase in crystals.phases])
    turned = oriented[grains.phases - 1]
    if classes is not None:
        if not 1 <= classes <= MAX_PHASES:
            raise InputError(f"classes = {classes} is out of range; expected 1 to {MAX_PHASES}.")
        plain = len(np.unique(grains.phases[~turned]))
        if turned.sum() + plain > classes:
            grains = grouped(grains, scan.phases, classes)
            turned = oriented[grains.phases - 1]
    # Each turned grain has a label, and each isotropic phase one.
    keys = np.where(turned, len(crystals.phases) + np.arange(len(grains)), grains.phases - 1)
    found, start, label = np.unique(keys, return_index=True, return_inverse=True)
    if len(found) > MAX_PHASES:
        raise InputError(
            f"{scan.source}: has {len(found)} grains; an image holds {MAX_PHASES} at most. Put similar orientations "
            f"into one class by --classes {MAX_PHASES}, or find fewer grains by a larger --misorientation or --least."
        )
    with warnings.catch_warnings():
        # Where Phi is 0, phi1 and phi2 are one angle, of which all goes to phi1.
        warnings.simplefilter("ignore", UserWarning)
        angles = grains.orientations[start].as_euler("ZXZ", degrees=True)
    entries = [
        _entry(crystals.phases[grains.phases[grain] - 1], euler) for grain, euler in zip(start, angles, strict=True)
    ]
    values = crystals.model_dump(mode="json", exclude_none=True) | {"phases": entries}
    images = Microstructures(
        labels=label.astype(np.uint8)[grains.labels][None],
        n_phases=len(found),
        periodic=False,
        **pixel_fields(scan.spacing, UNIT),
    )
    return images, validate_config(Materials, values, "the crystals"), grains


def write_polycrystal(
    path: str | Path, out: str | Path, crystals: Materials, *, array: str | None = None, **settings: Any
) -> dict[str, Any]:
    """Reads an EBSD scan and writes a folder of `grains.vti` and `materials.yaml`, which `homogenize` takes.

    Args:
        path: An `.ang`, `.ctf` or `.h5oina` file.
        out: The folder to make; what is there already is never replaced.
        crystals: See `polycrystal`.
        array: Number of the acquisition of an `.h5oina` file that holds several.
        settings: The other arguments of `polycrystal`.

    Returns:
        `from`, `to`, `unchanged` (the same was there already), `shape`, `step` (micrometers), `grains`, `labels`,
        `indexed` and `filled` (shares of the points), and of classes the `largest_deviation` and `mean_deviation`
        (degrees) between a grain and its class.

    Raises:
        InputError: The scan or a setting is not valid, or there is another folder at `out`.
        StorageError: It cannot be written.
    """
    scan = read_scan(path, array)
    images, materials, grains = polycrystal(scan, crystals, **settings)
    final, unchanged = write_staged(_PolycrystalWriter(materials, Path(path).name), Path(out), [images])
    largest, mean = grains.deviation
    return {
        "from": str(path),
        "to": str(final),
        "unchanged": unchanged,
        "shape": list(images.shape),
        "step": list(scan.spacing),
        "grains": grains.found,
        "labels": images.n_phases,
        "indexed": scan.indexed,
        "filled": grains.filled,
        "largest_deviation": largest,
        "mean_deviation": mean,
    }


class _PolycrystalWriter(Writer):
    suffixes = ()
    stores = FIELDS

    def __init__(self, materials: Materials, source: str) -> None:
        self.materials, self.source = materials, source

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        for batch in images:
            write_vti(path / IMAGE_FILE, batch)
        values = self.materials.model_dump(mode="json", exclude_none=True)
        text = f"# Grains of {self.source}: the angles turn each crystal into the axes of {IMAGE_FILE}.\n"
        with replacing(path / MATERIALS_FILE) as temporary:
            temporary.write_text(text + yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120))
        return path


def _check_crystals(scan: EbsdScan, crystals: Materials) -> None:
    names = ", ".join(phase.name for phase in scan.phases)
    if len(crystals.phases) != len(scan.phases):
        raise InputError(
            f"{scan.source}: has {len(scan.phases)} phases ({names}) and the crystals {len(crystals.phases)}; expected "
            f"one for each, in that order."
        )
    for number, phase in enumerate(crystals.phases):
        if getattr(phase, "euler", None) is not None or getattr(phase, "angle", None) is not None:
            raise InputError(f"phase {number} of the crystals has angles; leave them out, the scan gives them.")


def _entry(phase: Phase, euler: np.ndarray) -> dict[str, Any]:
    values = phase.model_dump(mode="json", exclude_none=True)
    if isinstance(phase, TensorPhase):
        values["euler"] = [float(angle) for angle in euler.round(4)]
    return values
