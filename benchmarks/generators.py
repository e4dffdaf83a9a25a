"""Images per second of processor time of each generator family: `OMP_NUM_THREADS=1 python benchmarks/generators.py`.

Processor time, so that other work on the machine counts less.
"""

import time

from common import parser, print_head

CASES = ((2, 64), (2, 256), (3, 51))


def rate(family: str, dims: int, size: int, seconds: float) -> float:
    """Returns images per second, measured over about `seconds`, after what is compiled or cached at first use."""
    from microdesign.microstructure.generators.registry import generate

    generate(family, 3, (size,) * dims)
    done, chunk, start = 0, 1, time.process_time()
    while (passed := time.process_time() - start) < seconds:
        generate(family, chunk, (size,) * dims, seed=1, start=done)
        done += chunk
        chunk = max(1, min(1000, int(0.2 * seconds * done / max(passed, 1e-3))))
    return done / (time.process_time() - start)


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=1.0, help="time for each entry")
    options.add_argument("--families", nargs="*", help="only these; all when left out")
    settings = options.parse_args()
    from microdesign.microstructure.generators.registry import FAMILIES

    print_head(settings, "numpy", "scipy", "numba")
    print("images/s".ljust(22) + "".join(f"{f'{size}^{dims}':>10}" for dims, size in CASES))
    for name, family in FAMILIES.items():
        if settings.families is None or name in settings.families:
            rates = (
                f"{rate(name, dims, size, settings.seconds):10.4g}" if dims in family.dims else f"{'-':>10}"
                for dims, size in CASES
            )
            print(name.ljust(22) + "".join(rates), flush=True)


if __name__ == "__main__":
    main()
