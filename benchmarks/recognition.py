"""Do generated families look like MICRO2D's classes? `python benchmarks/recognition.py MICRO2D_homogenized.h5`.

A small convolutional classifier is trained on real images of MICRO2D's ten classes, reduced to 128 x 128 and augmented
by shifts, flips and turns. The table gives its accuracy on held-out real images and, for each generated family, the
share of images that it assigns to the class that the family stands for. Ten classes: chance is 10 %.
"""

from common import parser, print_head

FAMILIES = {
    "AngEllipse": "EllipsesAligned",
    "GRF": "GRF",
    "NBSA": "Bricks",
    "RandomEllipse": "EllipsesRandom",
    "VoidSmall": "Discs",
    "VoidSmallBig": "DiscsTwoSizes",
    "VoronoiLarge": "CellsLarge",
    "VoronoiMedium": "CellsMedium",
    "VoronoiMediumSpaced": "CellsMediumSpaced",
    "VoronoiSmall": "CellsSmall",
}
"""The generated family that stands for each class."""


def main() -> None:
    """Prints one table."""
    options = parser(__doc__)
    options.add_argument("data", help="MICRO2D's HDF5 file, or any images with these classes")
    options.add_argument("--per-class", type=int, default=60, help="real images of each class, a quarter held out")
    options.add_argument("--generated", type=int, default=30, help="generated images of each family")
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--seed", type=int, default=0)
    settings = options.parse_args()
    from measurements.recognition import classifier, read_classes, share_assigned

    print_head(settings, "torch")
    images, classes = read_classes(settings.data, FAMILIES, settings.per_class)
    model, held_out = classifier(images, classes, settings.epochs, settings.seed)
    print(f"{'held-out real images':22}{'':20}{held_out:8.1%}")
    from microdesign.microstructure.generators.registry import generate

    for number, (name, family) in enumerate(FAMILIES.items()):
        generated = generate(family, settings.generated, (128, 128), seed=settings.seed + 1).labels
        print(f"{name:22}{family:20}{share_assigned(model, generated, number):8.1%}", flush=True)
        as_named = generate(name, settings.generated, (128, 128), seed=settings.seed + 1).labels
        if family != name:
            print(f"{'':22}{name:20}{share_assigned(model, as_named, number):8.1%}", flush=True)


if __name__ == "__main__":
    main()
