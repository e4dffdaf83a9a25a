"""Effective stiffness and conductivity: ours beside muGrid, scikit-fem, TauFactor, muSpectre. `benchmarks/physics.py`.

    pip install --constraint constraints.txt --editable '.[benchmarks]'
    python -m venv muspectre && muspectre/bin/pip install muSpectre==0.27.0
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 MKL_NUM_THREADS=1 \\
        python benchmarks/physics.py --muspectre muspectre/bin/python

CPU time a structure, all load cases, after a first call that compiles and plans; the mean over a few images. Equal
accuracy: the largest error of an entry of the tensor, in parts of the largest entry and over all images, is at most
1e-4 against our float64 solve at 1e-8. Peers that iterate are compared in two ways, the same for both sides:

- `tuned`: each stops at the loosest of a few tolerances that is accurate enough for all images of the row, which is a
  choice that only one who knows the answer can make;
- `as set`: one setting for every row, as users have it: ours at its estimated error of 1e-4, the peer at a residual of
  1e-6 in float64 (at contrast 1000 muGrid needs one that it cannot reach in float32 at contrast 10).

muGrid's loop for conduction is ours, from its gradient. scikit-fem is solved directly and by algebraic multigrid
(pyamg, smoothed aggregation in conjugate gradients to 1e-6), of images both physics together, on the first structure
alone; TauFactor, likewise, stops as it is made to. `FFT x` is our time over that of the transforms alone (iterations x
one pair for each component and load case), `MiB` the most memory that our arrays took.

A peer that is not installed leaves its cells empty.

muSpectre has no q1 and takes odd grids, so that it has a table of its own, of the `rotated` discretisation that both
have. The last table is the wall time a structure of `homogenize`, both physics, for batches and threads. `--mirror`
prints another one alone: images mirrored at their faces, beside the periodic solve of the image of 4 or 8 times the
size; `--taufactor-standard ZIP` the tortuosity factors of TauFactor's 500^3 standard (6 GiB).
"""

import argparse
import resource

from common import parser, print_head

FAMILIES = {2: "GRF", 3: "FilteredNoise"}


def main() -> None:
    """Prints the tables."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=3, help="runs of an image, of which the best counts")
    options.add_argument("--images", type=int, default=4, help="images of a shape")
    options.add_argument("--volumes", type=int, default=2, help="volumes of a shape")
    options.add_argument("--scikit-fem-volumes", action="store_true", help="minutes and gigabytes a volume")
    options.add_argument("--muspectre", metavar="PYTHON", help="an interpreter that has muSpectre: its table")
    options.add_argument("--mirror", action="store_true", help="the table of mirrored images alone")
    options.add_argument("--taufactor-standard", metavar="ZIP", help="TF-500x500x500-1x2x6-v3.tiff.zip: it alone")
    options.add_argument("--shapes", nargs="*", default=["256x256", "51x51x51", "64x64x64"])
    options.add_argument("--contrasts", nargs="*", type=float, default=[10, 100, 1000])
    options.add_argument("--batches", action=argparse.BooleanOptionalAction, default=True, help="the second table too")
    settings = options.parse_args()
    import torch
    from measurements.physics_tables import HEADINGS, batches, muspectre, row

    from microdesign.microstructure.generators.registry import generate

    torch.set_num_threads(1)
    shapes = [tuple(int(n) for n in text.split("x")) for text in settings.shapes]
    if settings.taufactor_standard:
        from measurements.mirror_rows import taufactor_standard

        print_head(settings, "numpy", "scipy", "numba")
        taufactor_standard(settings.taufactor_standard)
        return
    if settings.mirror:
        from measurements.mirror_rows import mirror_table

        print_head(settings, "numpy", "scipy", "numba")
        mirror_table(shapes, FAMILIES, settings.repeats)
        return
    print_head(settings, "numpy", "numba", "torch", "muGrid", "scikit-fem", "pyamg", "taufactor")
    print(
        f"one thread, CPU time, best of {settings.repeats}, of volumes one run; the first GRF images and FilteredNoise "
        "volumes of seed 0\n"
    )
    print(*HEADINGS, sep=" | ")
    for shape in shapes:
        count = settings.images if len(shape) == 2 else settings.volumes
        images = generate(FAMILIES[len(shape)], count, (shape[0],) * len(shape)).labels
        for physics in ("elastic", "conductive"):
            for contrast in settings.contrasts:
                row(images, physics, contrast, settings.repeats, settings.scikit_fem_volumes)
    if settings.muspectre:
        print(
            f"\nrotated, elastic {'contr.':>6} {'ours ms':>8} muSpectre, tuned {'':15}{'ours ms':>8} muSpectre, as set"
        )
        for shape in shapes:
            odd = [n - 1 + n % 2 for n in shape]
            images = generate(FAMILIES[len(odd)], settings.images if len(odd) == 2 else 1, (odd[0],) * len(odd)).labels
            for contrast in settings.contrasts:
                muspectre(settings.muspectre, images, contrast)
    if settings.batches:
        counts = [f"{count} on {threads}" for count in (1, 8, 32) for threads in (1, 2)]
        print(f"\n{'ms a structure':15} {'contr.':>6}", *(f"{text:>11}" for text in counts))
        for shape in shapes:
            batches(shape, FAMILIES[len(shape)], 100)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
