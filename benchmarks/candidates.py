"""Candidates of campaigns and near misses, verified again by finite elements that share no code with the solver.

    python benchmarks/candidates.py CAMPAIGN_FOLDER ...

scikit-fem, sparse direct: once with one bilinear element a pixel, where the differences are the solver's tolerance, and
once with `--elements` along each edge of a pixel, where they are the discretization error that the campaign states as
its gap. A design that was refined is compared by its values on twice the pixels. Pores are 1e-9 of the stiffest phase.
"""

from common import parser, print_head


def main() -> None:
    """Prints a table for each campaign."""
    options = parser(__doc__)
    options.add_argument("folders", nargs="+", help="folders of campaigns of images")
    options.add_argument("--elements", type=int, default=3, help="elements along the edge of a pixel, the second time")
    settings = options.parse_args()
    from measurements.candidates import print_tables

    print_head(settings, "scikit-fem", "scipy")
    print_tables(settings)


if __name__ == "__main__":
    main()
