"""Volumes from one image against the truth: `python benchmarks/sections.py VOLUME.npy`.

One section of a volume is the image. Windows of the half of the volume that the image is not of are the truth; volumes
drawn like the image (`md.draw(dims=3)`), and Gaussian random fields cut at the image's volume fraction with its radial
two-point statistics, are compared with it: volume fraction and mean chord of phase 1, the share of sections that the
image's own windows are as different from as from each other, and properties where phase 0 is pores or has a contrast.
"""

from common import parser, print_head


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("volume", help="a file of one volume of two phases")
    options.add_argument("--size", type=int, default=64, help="voxels along each axis of what is compared")
    options.add_argument("--count", type=int, default=3, help="windows and volumes of each kind")
    options.add_argument("--pixels", type=int, default=256, help="of the image, along each axis")
    options.add_argument("--contrast", type=float, default=0.0, help="of phase 0 to phase 1, in E and k; 0: pores")
    options.add_argument("--seed", type=int, default=0)
    settings = options.parse_args()
    from measurements.sections import compare

    print_head(settings, "torch", "scipy")
    sizes = settings.size, settings.count, settings.pixels
    for row in compare(settings.volume, *sizes, settings.contrast, settings.seed):
        print(row, flush=True)


if __name__ == "__main__":
    main()
