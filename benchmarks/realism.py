"""Can draws be told from MICRO2D's images? `python benchmarks/realism.py MICRO2D.h5 [--model BUNDLE]`.

The model draws like each of the last `--held-out` images of MICRO2D's ten classes, or of other `--classes`, reduced to
128 x 128 or `--size`, once with each of `--repeats` seeds. As many classifiers trained on the other images say how many
of the draws they assign to their image's class (recognition), beside their accuracy on the held-out images themselves;
classifiers trained afresh try to tell the draws of a seed from the held-out images (two-sample test, 50 % is perfect),
beside data against data. Of 200 images they train on 100 of each. Physics says how far the properties of a draw are
from those of its image, at contrast 10.
"""

import time

import numpy as np
from common import parser, print_head
from recognition import CLASSES

from microdesign.model.networks.config import DenoiserConfig
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Surrogate


def draw_with(model: Surrogate, settings: str) -> None:
    """Has the model draw with other values of `start`, `restarts`, `steps` or `sharpness`."""
    given = dict(part.split("=") for part in settings.split(","))
    decoder = model.bundle.model.decoder if isinstance(model, LocalSurrogate) else None
    if not isinstance(decoder, LocalGlobalDecoder):
        raise SystemExit("--drawing is of a model in process with the decoder local_global.")
    if other := set(given) - {"start", "restarts", "steps", "sharpness"}:
        raise SystemExit(f"--drawing: {', '.join(sorted(other))}: expected start, restarts, steps or sharpness.")
    checked = DenoiserConfig.model_validate(given)
    for name in given:
        setattr(decoder, name, getattr(checked, name))


def property_errors(drawn: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Largest relative difference of Ex, Ey, kx and ky between each draw `(n, X, Y)` and its image, `(n,)`."""
    import microdesign as md

    phases = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]
    found, expected = (md.homogenize(each, phases) for each in (drawn, images))
    return np.max([np.abs(found[name] / expected[name] - 1) for name in ("Ex", "Ey", "kx", "ky")], axis=0)


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("data", help="MICRO2D's HDF5 file, or any images with these classes")
    options.add_argument("--model", default="pretrained", help="bundle folder, models:/NAME@ALIAS, or pretrained")
    options.add_argument(
        "--drawing", default="", metavar="NAME=VALUE,...", help="settings of `denoiser` in place of the model's own"
    )
    options.add_argument("--classes", nargs="+", default=list(CLASSES), help="names of classes")
    options.add_argument("--size", type=int, default=128, help="pixels along each axis that images are reduced to")
    options.add_argument("--per-class", type=int, default=60, help="real images of each class")
    options.add_argument("--held-out", type=int, default=20, help="of these, images to draw like")
    options.add_argument("--steps", type=int, default=900, help="training steps of the recognition classifier")
    options.add_argument("--two-sample-steps", type=int, default=200)
    options.add_argument("--folds", type=int, default=2, help="of the two-sample test: it trains on all but one")
    options.add_argument("--repeats", type=int, default=3, help="draws with seeds, and classifiers, of their own")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--seed", type=int, default=0)
    settings = options.parse_args()
    import torch

    torch.set_num_threads(settings.threads)
    from measurements.recognition import read_classes

    import microdesign as md
    from microdesign.experiments.fidelity.image_classifier import ImageClassifier
    from microdesign.experiments.fidelity.two_sample import VIEWS, two_sample_accuracy

    print_head(settings, "torch")
    names = settings.classes
    images, classes = read_classes(settings.data, names, settings.per_class, settings.size)
    place = np.concatenate([np.arange((classes == number).sum()) for number in range(len(names))])
    held_out = place >= settings.per_class - settings.held_out
    known, true, numbers = images[~held_out], images[held_out], classes[held_out]
    model = md.load(settings.model)
    if settings.drawing:
        draw_with(model, settings.drawing)
    start = time.monotonic()
    like = md.Microstructures(labels=true, n_phases=2)
    drawn = [md.draw(model, like=like, seed=seed, size=true.shape[1]).labels for seed in range(settings.repeats)]
    seconds = (time.monotonic() - start) / len(true) / settings.repeats
    accuracies, recognised = np.zeros(len(true)), np.zeros(len(true))
    for seed in range(settings.repeats):
        classifier = ImageClassifier(2, len(names), turned=True, seed=seed)
        classifier.fit(known, classes[~held_out], settings.steps)
        accuracies += (classifier.assign(true) == numbers) / settings.repeats
        shares = [(classifier.assign(each) == numbers).mean() for each in drawn]
        print(f"classifier {seed}: draws {', '.join(f'{share:.1%}' for share in shares)}", flush=True)
        recognised += np.mean([classifier.assign(each) == numbers for each in drawn], axis=0) / settings.repeats
    print("class".ljust(22) + "held-out images".rjust(16) + "draws".rjust(10))
    for number, name in enumerate(names):
        own = numbers == number
        print(name.ljust(22) + f"{accuracies[own].mean():16.1%}{recognised[own].mean():10.1%}")
    accuracy, share = accuracies.mean(), recognised.mean()
    print("all".ljust(22) + f"{accuracy:16.1%}{share:10.1%}   relative {share / accuracy:.2f}", flush=True)
    other = known[np.random.default_rng(settings.seed).permutation(len(known))[: len(true)]]
    for view in VIEWS:
        told = [
            two_sample_accuracy(true, each, 2, settings.two_sample_steps, view, settings.seed + seed, settings.folds)
            for seed, each in enumerate((*drawn, other))
        ]
        of_draws = f"{np.mean(told[:-1]):.1%} ({min(told[:-1]):.1%} to {max(told[:-1]):.1%})"
        print(f"told from held-out images, {view}: draws {of_draws}, other images {told[-1]:.1%}", flush=True)
    errors = np.concatenate([property_errors(each, true) for each in drawn])
    middle, most = np.quantile(errors, (0.5, 0.9))
    print(f"worst of Ex, Ey, kx, ky of a draw beside its image: {middle:.1%} in the median, {most:.1%} for nine in ten")
    print(f"a draw of {true.shape[1]} x {true.shape[1]} takes {1e3 * seconds:.0f} ms")


if __name__ == "__main__":
    main()
