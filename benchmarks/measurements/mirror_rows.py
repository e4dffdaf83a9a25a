"""Rows of the table of mirrored images in `benchmarks/physics.py`: beside the periodic solve of the mirrored image."""

import io
import itertools
import resource
import time
import zipfile
from functools import partial

import numpy as np
import tifffile
from common import timed
from measurements.solvers import error, materials

from microdesign.microstructure.generators.registry import generate
from microdesign.physics.materials import Materials
from microdesign.physics.solver.equations import Conduction, Elasticity

HEADING = (
    f"{'mirrored':15} {'physics':10} {'contr.':>6} {'scheme':8} {'iter.':>9} {'ms':>8} {'periodic of it':>14} "
    f"{'ratio':>6} {'apart':>8}"
)


def mirror_row(shape: tuple[int, ...], family: str, physics: str, contrast: float, scheme: str, repeats: int) -> None:
    """Prints one line: CPU time with mirrors, that of the image of 4 or 8 times the size, and how far they are apart.

    The times are as set (tolerance 1e-4, float32); the distance is of two solves in float64 at 1e-9, relative to the
    largest entry, and of images of 32 or volumes of 16 pixels along each axis: it does not depend on the size.
    """
    image = generate(family, 1, (shape[0],) * len(shape)).labels[0]
    kind = Elasticity if physics == "elastic" else Conduction
    seconds, iterations = [], []
    for labels, boundary in ((image, "mirror"), (_mirrored(image), "periodic")):
        equations = kind(materials(contrast), labels.shape, np.ones(len(shape)), scheme, "float32", boundary)
        run = timed(partial(equations.solve, labels, 1e-4, 5000, keep_fields=False), repeats)
        seconds.append(run.cpu)
        iterations.append(run.result[1].iterations)
    small = generate(family, 1, ({2: 32, 3: 16}[len(shape)],) * len(shape)).labels[0]
    tensors = [
        kind(materials(contrast), labels.shape, np.ones(len(shape)), scheme, "float64", boundary).solve(
            labels, 1e-9, 5000
        )[0]
        for labels, boundary in ((small, "mirror"), (_mirrored(small), "periodic"))
    ]
    name = " x ".join(map(str, shape))
    print(
        f"{name:15} {physics:10} {contrast:6g} {scheme:8} {iterations[0]:4} {iterations[1]:4} {1e3 * seconds[0]:8.1f} "
        f"{1e3 * seconds[1]:14.1f} {seconds[1] / seconds[0]:5.1f}x {error(*tensors):8.1e}",
        flush=True,
    )


def mirror_table(shapes: list[tuple[int, ...]], families: dict[int, str], repeats: int) -> None:
    """Prints the rows of all shapes at contrast 100, conduction by finite volumes too."""
    print(HEADING)
    for shape, (physics, scheme) in itertools.product(
        shapes, (("elastic", "q1"), ("elastic", "rotated"), ("conductive", "q1"), ("conductive", "fv"))
    ):
        mirror_row(shape, families[len(shape)], physics, 100, scheme, repeats if len(shape) == 2 else 1)


def _mirrored(image: np.ndarray) -> np.ndarray:
    return np.pad(image, [(0, size) for size in image.shape], mode="symmetric")


def taufactor_standard(path: str) -> None:
    """Prints the tortuosity factors of the zipped TIFF that TauFactor's authors publish, fraction * k / k_eff.

    Theirs are 1.1513, 1.3905 and 4.2431 (isothermal ends, insulated sides; S. Kench et al., JOSS 8 (2023) 5358), by
    the same stencil, finite volumes, in 447 s a direction on 32 processors' cores and 26 s on a GPU (A6000).
    """
    with zipfile.ZipFile(path) as archive:
        name = next(each for each in archive.namelist() if each.endswith("tiff") and "MACOSX" not in each)
        image = (tifffile.imread(io.BytesIO(archive.read(name))) != 0).astype(np.uint8)
    insulator = Materials.model_validate({"phases": [{"k": 0}, {"k": 1}]})
    wall, cpu = time.perf_counter(), time.process_time()
    equations = Conduction(insulator, image.shape, np.ones(3), "fv", "float32", "mirror")
    tensor, solution = equations.solve(image, 1e-4, 2000, keep_fields=False)
    factors = " ".join(f"{image.mean() / k:.4f}" for k in np.diag(tensor))
    print(
        f"{' x '.join(map(str, image.shape))}: {factors}; {solution.iterations} iterations, all three directions in "
        f"{time.process_time() - cpu:.0f} s of one core ({time.perf_counter() - wall:.0f} s of wall time), peak "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"
    )
