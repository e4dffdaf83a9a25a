"""Do generated families look like MICRO2D's classes? `python benchmarks/recognition.py MICRO2D_homogenized.h5`.

A small convolutional classifier is trained on real images of MICRO2D's ten classes, reduced to 128 x 128 and augmented
by shifts, flips and turns. The table gives its accuracy on held-out real images and, for each generated family, the
share of images that it assigns to the class of the same name. Ten classes: chance is 10 %. One column a seed.
"""

from common import parser, print_head

CLASSES = (
    "AngEllipse",
    "GRF",
    "NBSA",
    "RandomEllipse",
    "VoidSmall",
    "VoidSmallBig",
    "VoronoiLarge",
    "VoronoiMedium",
    "VoronoiMediumSpaced",
    "VoronoiSmall",
)


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("data", help="MICRO2D's HDF5 file, or any images with these classes")
    options.add_argument("--per-class", type=int, default=60, help="real images of each class, a quarter held out")
    options.add_argument("--generated", type=int, default=30, help="generated images of each family")
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--seeds", type=int, default=[0, 1], nargs="+", help="of classifier and images; a column each")
    settings = options.parse_args()
    from measurements.recognition import classifier, read_classes, share_assigned

    from microdesign.microstructure.generators.registry import generate

    print_head(settings, "torch")
    images, classes = read_classes(settings.data, CLASSES, settings.per_class)
    trained = [classifier(images, classes, settings.epochs, seed) for seed in settings.seeds]
    print("held-out real images".ljust(22) + "".join(f"{held_out:8.1%}" for _, held_out in trained), flush=True)
    for number, name in enumerate(CLASSES):
        shares = []
        for seed, (model, _) in zip(settings.seeds, trained, strict=True):
            generated = generate(name, settings.generated, (128, 128), seed=seed + 1).labels
            shares.append(f"{share_assigned(model, generated, number):8.1%}")
        print(name.ljust(22) + "".join(shares), flush=True)


if __name__ == "__main__":
    main()
