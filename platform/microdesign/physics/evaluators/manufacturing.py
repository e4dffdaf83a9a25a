"""What comes of a design that is made: its image as drawn, with outlines that are moved, and with rough ones.

`Manufactured` evaluates all of these for each image: the physics of a campaign whose worst case counts.

Shapes: n images, X Y image (of volumes also Z), V variants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.files import digest_json
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each
from microdesign.physics.materials import Materials

REFINED = 2
"""Fine pixels a pixel: half a pixel is one of them."""
ROUGH = 4
"""Images with rough outlines, of each design."""
FLIPPED = 0.01
"""Share of the pixels along an outline that a rough one has in the other phase."""
DRAWN, THICKER, THINNER = "as drawn", "thicker", "thinner"
VARIANTS = (DRAWN, THICKER, THINNER, *(f"rough {number}" for number in range(1, ROUGH + 1)))
"""The images of a design, in the order of `manufactured`."""
_VERSION = 1
"""Raised whenever the same image comes out otherwise."""
_PASSED_ON = ("uses_gpu", "tolerance", "given_properties")
T = TypeVar("T")


def grown(labels: np.ndarray) -> np.ndarray:
    """A periodic two-phase image `(X, Y)` whose phase 1 has grown by a pixel along each axis, uint8 `(X, Y)`."""
    phase = labels.astype(bool)
    larger = phase.copy()
    for axis in range(labels.ndim):
        larger |= np.roll(phase, 1, axis) | np.roll(phase, -1, axis)
    return larger.astype(np.uint8)


def along_outlines(labels: np.ndarray) -> np.ndarray:
    """Which pixels of a periodic two-phase image `(X, Y)` have a neighbour of the other phase, bool `(X, Y)`."""
    return (grown(labels) != labels) | (grown(1 - labels) != 1 - labels)


def manufactured(labels: np.ndarray, seed: int) -> np.ndarray:
    """An image `(X, Y)` as it may come out, uint8 `(V, 2 X, 2 Y)`, in the order of `VARIANTS`.

    As it is, with phase 1 grown and shrunk by half a pixel, and with random pixels along the outlines in the other
    phase.
    """
    stream = np.random.default_rng([seed, 5])

    def refined(image: np.ndarray) -> np.ndarray:
        for axis in range(image.ndim):
            image = image.repeat(REFINED, axis)
        return image

    fine, places = refined(labels), np.flatnonzero(along_outlines(labels))
    rough = []
    for _ in range(ROUGH):
        image = labels.copy()
        image.flat[stream.permutation(places)[: max(1, round(FLIPPED * len(places)))]] ^= 1
        rough.append(refined(image))
    return np.stack([fine, grown(fine), 1 - grown(1 - fine), *rough])


def variant_name(name: str, variant: str) -> str:
    """What the value of a variant is called: `Ex (thicker)`."""
    return f"{name} ({variant})"


def by_variant(values: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """Named values by variant, each by their plain names; what is of no variant is left out.

    Example:
        >>> by_variant({"Ex": 2.4, "Ex (as drawn)": 2.4, "Ex (thinner)": 2.1})
        {'as drawn': {'Ex': 2.4}, 'thinner': {'Ex': 2.1}}
    """
    found = {
        variant: {name.removesuffix(end): value for name, value in values.items() if name.endswith(end)}
        for variant in VARIANTS
        for end in [variant_name("", variant)]
    }
    return {variant: given for variant, given in found.items() if given}


def without_variants(values: Mapping[str, T]) -> dict[str, T]:
    """The values under their plain names, those as drawn where there are variants."""
    ends = tuple(variant_name("", variant) for variant in VARIANTS)
    plain = {name: value for name, value in values.items() if not name.endswith(ends)}
    return plain | by_variant(values).get(DRAWN, {})


def named_variants(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Values by variant and name as one mapping, those as drawn under their plain names as well.

    Raises:
        InputError: A variant is missing, or unknown.
    """
    if missing := [variant for variant in VARIANTS if variant not in values]:
        raise InputError(f"expected values of '{missing[0]}' as well; there are {', '.join(values) or 'none'}.")
    if unknown := [variant for variant in values if variant not in VARIANTS]:
        raise InputError(f"'{unknown[0]}' is no image of a design; expected {', '.join(VARIANTS)}.")
    named = {variant_name(name, each): value for each, given in values.items() for name, value in given.items()}
    return dict(values[DRAWN]) | named


@dataclass(frozen=True)
class Manufactured:
    """An `Evaluator` that gives each property as drawn and, by `variant_name`, of every variant of the image.

    An image costs `len(VARIANTS)` evaluations of another evaluator, on a grid of twice the pixels; it fails where one
    of them does.

    Attributes:
        inner: Evaluates each image.
        seed: Of the rough outlines.

    Example:
        >>> from microdesign.physics.evaluators.fft import FFTEvaluator
        >>> layers = np.repeat([0, 1], 8)[:, None].repeat(16, axis=1).astype(np.uint8)
        >>> phases = Materials.model_validate({"phases": [{"k": 1}, {"k": 10}]})
        >>> values = Manufactured(FFTEvaluator()).evaluate(layers[None], phases)
        >>> [round(float(values[name][0]), 2) for name in ("ky", "ky (thicker)", "ky (thinner)")]
        [5.5, 6.06, 4.94]
    """

    inner: Evaluator
    seed: int = 0

    def __getattr__(self, name: str) -> Any:
        if name in _PASSED_ON:
            return getattr(self.inner, name)
        raise AttributeError(name)

    @property
    def fingerprint(self) -> str:
        """Digest of the inner evaluator's fingerprint and of how images come out."""
        how = {"version": _VERSION, "rough": ROUGH, "flipped": FLIPPED, "refined": REFINED, "seed": self.seed}
        return digest_json({"manufactured": self.inner.fingerprint, **how})

    @property
    def batch_size(self) -> int:
        """Images at a time."""
        return max(1, getattr(self.inner, "batch_size", 64) // len(VARIANTS))

    @property
    def alternative(self) -> "Manufactured":
        """The same by the inner evaluator's other discretization; an AttributeError says that it has none."""
        inner: Any = self.inner  # only some evaluators have one
        return Manufactured(inner.alternative, self.seed)

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        """See `Evaluator.evaluate`."""
        values = evaluate_each(
            self.inner, np.concatenate([manufactured(each, self.seed) for each in images]), materials
        )
        errors = values.pop("error").reshape(len(images), len(VARIANTS))
        table = {name: array.reshape(len(images), len(VARIANTS)) for name, array in values.items()}
        named = {
            variant_name(name, variant): array[:, place]
            for name, array in table.items()
            for place, variant in enumerate(VARIANTS)
        }
        plain = {name: array[:, 0] for name, array in table.items()}
        return {**plain, **named, "error": np.array([_first(row) for row in errors.tolist()])}


def _first(errors: Sequence[str]) -> str:
    return next((f"{variant}: {error}" for variant, error in zip(VARIANTS, errors, strict=True) if error), "")
