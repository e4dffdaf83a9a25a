"""Training: what Ray, the feed, precision and each loss cost. `python benchmarks/training.py`.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/training.py --models 64

Ray's cost: a hand-written loop over tensors in memory (no augmentation, no checkpoints) and training under Ray Train
run at the same time, one thread each, so that both have the same machine; `of plain` compares CPU time a sample, where
the worker's counts all its threads, and `samples/s` is by the clock. With two workers the plain loop runs beside both.
A step's variants and parts take turns in one process; median of CPU time, or of the clock's on a GPU (`--device cuda`).
The variants leave out the feed; a loss's part is its own value and gradient. `--compile` adds a step by torch.compile,
and says how long compiling took and after how many steps that is recovered: minutes on a CPU. `--peak` gives the
share of the device's peak that a step attains, by the operations of its matrix products and convolutions.
"""

from common import parser, print_head

MODELS = ("64", "224 spatial", "32^3", "51^3", "64^3")


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("--models", nargs="*", default=MODELS, choices=MODELS)
    options.add_argument("--ray", nargs="*", default=["64"], choices=MODELS, help="models to run under Ray Train")
    options.add_argument("--epochs", type=int, default=6, help="epochs under Ray Train; the first one is not counted")
    options.add_argument("--steps", type=int, default=50, help="steps of an epoch under Ray Train with one worker")
    options.add_argument("--repeats", type=int, default=7, help="repeats of a step")
    options.add_argument("--device", default="cpu", help="where steps are timed: cpu or cuda")
    options.add_argument("--compile", action="store_true", help="time a step by torch.compile too")
    options.add_argument("--peak", type=float, help="TFLOP/s in bf16 that the device has by its data sheet")
    settings = options.parse_args()
    from measurements.training import print_table

    print_head(settings, "torch", "ray")
    print_table(settings)


if __name__ == "__main__":
    main()
