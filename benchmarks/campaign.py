"""Physics evaluations that a target costs, beside six other ways to search. `python benchmarks/campaign.py --help`.

    python benchmarks/campaign.py --dataset labelled --model BUNDLE --standard BUNDLE --out campaign-benchmark

BUNDLE: a model with a mixture prior that was trained on the data set, and one with `prior: {kind: standard}`. Targets
are the property vectors of held-out images or volumes (of the model's properties, or of `--properties`). Counted are
evaluations until every property is within 2 %; a search that does not get there counts its budget + 1. `3 designs` is
the share of campaigns that have three distinct ones within 5 % when they have spent their budget or have `--designs`
within 2 %. Then two optima: the best value after the budget. What is in OUT is not repeated. Evaluations run in this
process, one thread.

    python benchmarks/campaign.py --dataset labelled --model BUNDLE --out OUT --targets 0 --no-optima --workers 4

`--kind` asks for harder targets: `beyond` (1 to 3 standard deviations outside the convex hull of the data, of images
that exist); `contrast-100`, `contrast-1000`, `porous` (E = 0, k = 0) and `other-plane`, held-out images of other
phases, for which `--labels` training images are labelled, too; `constraints`, six at once. One command a row, such as

    python benchmarks/campaign.py --dataset labelled --model BUNDLE --out OUT --kind beyond --no-optima --designs 1

A bundle that was trained for other phases than the data set's is carried over to these, and physics on half the grid
predicts in its place; `--coarse 1` leaves predictions to the bundle whatever the phases, `--coarse 2` to half the grid.

With `--workers` a campaign on Ray follows, whose evaluations wait from 0.3 to 3 s, by the image: the share of the
workers' time, from the first answer to the last, that they are at work.
"""

import argparse

from common import parser, print_head

KINDS = ("held-out", "beyond", "contrast-100", "contrast-1000", "porous", "other-plane", "constraints")


def main() -> None:
    """Prints the tables."""
    options = parser(__doc__)
    options.add_argument("--dataset", required=True, help="labelled data set")
    options.add_argument("--model", required=True, help="bundle with a mixture prior")
    options.add_argument("--standard", help="bundle with a standard prior; without it two searches are left out")
    options.add_argument("--out", required=True, help="folder of the runs")
    options.add_argument("--targets", type=int, default=20)
    options.add_argument("--kind", choices=KINDS, default="held-out", help="which targets")
    options.add_argument("--properties", nargs="*", help="of the targets; all of the model's when left out")
    options.add_argument("--labels", type=int, default=400, help="training images that are labelled for other phases")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--budget", type=int, default=256, help="evaluations of the other searches")
    options.add_argument("--ours", type=int, default=64, help="evaluations of a campaign")
    options.add_argument(
        "--designs", type=int, default=3, help="distinct designs within 2 %% that a campaign goes on for"
    )
    options.add_argument("--batch", type=int, default=1, help="designs that a campaign proposes at a time")
    options.add_argument("--searches", nargs="*", help="only those whose names begin so")
    options.add_argument("--workers", type=int, help="also measure the utilisation of so many workers")
    options.add_argument("--evaluations", type=int, default=120, help="evaluations for that")
    options.add_argument("--coarse", type=int, help="pixels an edge that become one where physics predicts")
    options.add_argument("--optima", action=argparse.BooleanOptionalAction, default=True)
    settings = options.parse_args()
    from measurements.campaign import print_tables

    print_head(settings, "torch", "botorch", "ray", "cmaes")
    print_tables(settings)


if __name__ == "__main__":
    main()
