"""Draws by the pretrained weights of volumes: `python benchmarks/volumes.py`.

Volumes of each generated family, with seeds that the weights have not seen, are the population. How far from it are
further volumes of the family, draws like these, and their drafts, the cut random fields that the denoiser starts from?
95 % of a population are within 1. Beside it the error of properties: the worst of Ex, Ey and kx of a draw beside its
volume, at contrast 10.
"""

from common import parser, print_head


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("--model", default="pretrained-volumes", help="bundle folder of a model of volumes")
    options.add_argument("--size", type=int, default=32, help="voxels along each axis")
    options.add_argument("--population", type=int, default=60, help="volumes of each family")
    options.add_argument("--count", type=int, default=10, help="volumes of each family to draw like")
    options.add_argument("--seed", type=int, default=5)
    settings = options.parse_args()
    from measurements.volumes import compare

    print_head(settings, "torch")
    for row in compare(settings.model, settings.size, settings.population, settings.count, settings.seed):
        print(row, flush=True)


if __name__ == "__main__":
    main()
