"""`design --from MICROGRAPH`: what is refused, before anything is computed or written."""

from pathlib import Path

import numpy as np

import microdesign as md
from microdesign.design.from_micrograph.config import MicrographConfig
from tests.cli.conftest import Command, materials, refused


def test_what_cannot_be_designed_from_leaves_nothing(command: Command) -> None:
    image = md.generate("GRF", 1, (64, 64)).labels[0]
    np.save("scan.npy", image)
    np.save("mixed.npy", image + (np.indices((64, 64)).sum(0) % 16 < 4))
    np.save("one.npy", np.zeros((64, 64), np.uint8))
    np.save("small.npy", image[:20, :20])
    given = ("design", "--from", "scan.npy", "--materials", materials())
    islands = np.pad(np.ones((8, 8), np.uint8), 4)
    np.save("islands.npy", np.tile(islands, (4, 4)))
    np.save("grey.npy", np.arange(64 * 64).reshape(64, 64).astype(np.uint16) % 251)
    phases = [{"E": 1, "nu": 0.3, "k": 1}] * 3
    three = materials(phases=phases).rename("three.yaml")
    materials()
    for arguments, parts in (
        (("design",), ("expected CONFIG, or --from MICROGRAPH",)),
        (("design", "--from", "scan.npy", "--target", "Ex=1.1x"), ("expected --materials as well",)),
        (given, ("expected --target as well",)),
        (("design", "a.yaml", "--minutes", 3), ("--minutes goes with --from MICROGRAPH alone",)),
        ((*given, "--target", "Ex"), ("--target Ex: expected NAME=VALUE", "Ex=1.15x")),
        ((*given, "--target", "Ex=1.1y"), ("Ex is asked in y; the materials state",)),
        ((*given, "--target", "Ex=500x"), ("out of reach", "Voigt-Reuss")),
        ((*given, "--target", "strength=1.1x"), ("strength",)),
        ((*given, "--target", "Ex=1.1x", "--set", "size=40"), ("size", "multiple of 16")),
        ((*given, "--target", "Ex=1.1x", "--set", "size=96"), ("has 64 x 64 pixels; expected 96",)),
        ((*given, "--target", "Ex=1.1x", "--set", "colour=red"), ("colour",)),
        ((*given, "--target", "Ex=1.1x", "--folder", "."), ("holds other files",)),
        ((*given[:-1], three, "--target", "Ex=1.1x"), ("materials: 3 phases",)),
        (
            ("design", "--from", "mixed.npy", "--materials", three, "--target", "Ex=1.1x", "--robust"),
            ("robust: is of micrographs of two phases; this one has 3",),
        ),
        (
            ("design", "--from", "islands.npy", "--materials", "pore,quartz", "--target", "Ex=10"),
            ("Ex is 0 for it", "phase 1, which alone carries load, takes 25 % of it", "the other order"),
        ),
        (
            ("design", "--from", "islands.npy", "--materials", "water,quartz", "--target", "vxy=match"),
            ("vxy is not defined for it", "or ask for what it has: kx, ky, density."),
        ),
        (("design", "--from", "grey.npy", *given[3:], "--target", "Ex=2"), ("not segmented", "--threshold otsu")),
        (
            ("design", "--from", "grey.npy", *given[3:], "--target", "Ex=2", "--threshold", "otsu", "--values", "0,1"),
            ("--values and --threshold both say",),
        ),
        (("design", "a.yaml", "--pixel-size", "1um"), ("--pixel-size goes with --from MICROGRAPH alone",)),
        (("design", "--from", "none.npy", *given[3:], "--target", "Ex=2"), ("none.npy: does not exist",)),
        (("design", "--from", "one.npy", *given[3:], "--target", "Ex=2"), ("one.npy: is of phase 0 alone",)),
        (("design", "--from", "small.npy", *given[3:], "--target", "Ex=2"), ("small.npy: has 20 x 20 pixels",)),
    ):
        before = set(Path.cwd().iterdir())
        refused(command(*arguments), *parts)
        assert set(Path.cwd().iterdir()) == before, arguments


def test_a_config_keeps_the_search_s_own_defaults() -> None:
    phases = {"phases": [{"E": 1, "nu": 0.3}, {"E": 2, "nu": 0.3}]}
    given = {"micrograph": "scan.npy", "materials": phases, "target": {"Ex": {"times": 1.1}}}
    config = MicrographConfig.model_validate(given | {"campaign": {"candidates": 2}})
    assert (config.campaign.candidates, config.campaign.goal) == (
        2,
        MicrographConfig.model_validate(given).campaign.goal,
    )
    assert config.target == {"properties": {"Ex": {"times": 1.1}}}
