"""The catalogue of properties: what the package knows of `Ex`, `C11`, `k12`, `K` and the others, in one place.

An entry says what a property is a property of, its unit, its sign, the modulus of the phases that bounds it, and what
turns and flips of an image make of it. Everything else asks here and knows no names: homogenization, units, bounds,
targets, standardization, augmentation. Formulas are in `microdesign.physics.properties`.

Names are MICRO2D's in the plane (`Ex`, `vxy`, `Ey`, `vyx`, `Gxy`, `kx`, `ky`), components of the effective tensors
(`C11`, `k11`, ...), derived ones (`K`, `G`, `E`, `AU`), and `density`, of volume fractions alone. Two forms are made of
them: `kx/ky` is a quotient, and so is the specific stiffness `Ex/density`;
`Ex.1` is Ex for the second pair of materials of a data set.

A new property is one entry here and one formula there:

    register(Property("rxy", 2, ("conductivity",), needs=("kx", "ky"), turn=along("r", "xy"), standard=True))

    @formula("rxy", 2)
    def _ratio(kx, ky): return kx / ky
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from types import MappingProxyType
from typing import Literal

from microdesign.core.errors import InputError

Tensor = Literal["stiffness", "conductivity", "density"]
"""An effective tensor, or the scalar density; phases have what it takes, or they do not."""
Unit = Literal["stiffness", "conductivity", "density", "none"]
"""Whose unit a property has; `none` is a number."""
Bound = Literal["E", "K", "mu", "k", "normal", "poisson", "anisotropy", "density"]
"""Which bound of `physics.bounds` holds: that of a modulus of the phases, or of a combination of them."""
Turn = Callable[[tuple[int, ...], tuple[int, ...]], tuple[str, int]]
"""(axes, flipped) -> the property that this one was before a symmetry of the grid, and the sign that it takes.

New axis i of the image was axis `axes[i]`; then the axes `flipped` are flipped.
"""

VOIGT_PAIRS: Mapping[int, tuple[tuple[int, int], ...]] = MappingProxyType(
    {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))}
)
"""The pair of axes of each component in Voigt's order, by dimensions: `C33` is a shear modulus of images alone."""

_AXES = "xyz"
_PAIR_OF_MATERIALS = re.compile(r"\.\d+$")


@dataclass(frozen=True)
class Property:
    """A property of images or of volumes.

    Attributes:
        name: Its name everywhere.
        dims: 2, of images, or 3, of volumes.
        tensors: The effective tensors that it is a property of.
        unit: Whose unit it has.
        signed: Whether it may be 0 or negative; the logarithm of a positive one is taken wherever ratios matter.
        turn: What a symmetry of the grid makes of it; None where that is not known, and images are then not turned.
        standard: Whether the built-in physics always gives it; others are given where they are asked for.
        entry: Of a component of its tensor, the row and the column from 0, in Voigt's order.
        needs: Of a derived property, what its formula takes, in that order.
        bound: The bound that holds for it; None where none is known.
    """

    name: str
    dims: int
    tensors: tuple[Tensor, ...]
    unit: Unit = "none"
    signed: bool = False
    turn: Turn | None = None
    standard: bool = False
    entry: tuple[int, int] | None = None
    needs: tuple[str, ...] = ()
    bound: Bound | None = None


_CATALOGUE: dict[int, dict[str, Property]] = {2: {}, 3: {}}


def register(entry: Property) -> Property:
    """Adds a property to the catalogue of this process, and returns it.

    Raises:
        InputError: There is one of its name, or that of other dimensions differs in its sign or unit.
    """
    other = find(entry.name)
    if entry.name in _CATALOGUE[entry.dims] or not re.fullmatch(r"\w+", entry.name):
        raise InputError(f"property '{entry.name}': expected a new name of letters, digits and '_'.")
    if other is not None and (other.signed, other.unit) != (entry.signed, entry.unit):
        raise InputError(f"property '{entry.name}' of {entry.dims} and {other.dims} dimensions: sign or unit differ.")
    _CATALOGUE[entry.dims][entry.name] = entry
    return entry


def known(dims: int) -> Mapping[str, Property]:
    """Returns the properties of images (2) or of volumes (3) by name, the standard ones in their usual order."""
    return MappingProxyType(_CATALOGUE[dims])


def standard_names(dims: int, tensors: tuple[Tensor, ...] = ("stiffness", "conductivity")) -> tuple[str, ...]:
    """Returns the names of the properties that the built-in physics always gives of some effective tensors.

    Example:
        >>> standard_names(2)
        ('Ex', 'vxy', 'Ey', 'vyx', 'Gxy', 'kx', 'ky')
        >>> standard_names(3, ("conductivity",))
        ('k11', 'k12', 'k13', 'k22', 'k23', 'k33')
    """
    return tuple(p.name for p in known(dims).values() if p.standard and set(p.tensors) <= set(tensors))


def standard_parts(names: Iterable[str], dims: int = 2) -> tuple[str, ...]:
    """Returns the standard properties that names are about, quotients included, in their usual order.

    Example:
        >>> standard_parts(["kx/ky", "Ex"])
        ('Ex', 'kx', 'ky')
    """
    named = {part for name in names for part in quotient(name) or (name,)}
    return tuple(name for name in standard_names(dims) if name in named)


def find(name: str) -> Property | None:
    """Returns the entry of a name, `Ex` or `Ex.1`, of either dimensions; None of a property of a user's own physics."""
    base = _PAIR_OF_MATERIALS.sub("", name)
    return _CATALOGUE[2].get(base) or _CATALOGUE[3].get(base)


def quotient(name: str) -> tuple[str, str] | None:
    """Returns the two properties of `A/B`; None of a name that is no quotient."""
    above, slash, below = name.partition("/")
    return (above.strip(), below.strip()) if slash else None


def is_signed(name: str) -> bool:
    """Returns whether a property may be 0 or negative; one that is not in the catalogue is taken to be positive.

    Example:
        >>> [is_signed(name) for name in ("Ex", "vxy", "C12", "AU", "kx/ky", "vxy/Ex", "strength")]
        [False, True, True, True, False, True, False]
    """
    if parts := quotient(name):
        return any(is_signed(part) for part in parts)
    entry = find(name)
    return entry is not None and entry.signed


def unit_of(name: str, units: Mapping[Unit, str]) -> str:
    """Returns the unit of a property or a quotient, out of those of the tensors; `?` where it is not known.

    Example:
        >>> unit_of("Ex/density", {"stiffness": "GPa", "density": "kg/m3", "none": "1"})
        '(GPa)/(kg/m3)'
    """
    if parts := quotient(name):
        above, below = (unit_of(part, units) for part in parts)
        return units["none"] if above == below else above if below == units["none"] else f"({above})/({below})"
    entry = find(name)
    return "?" if entry is None else units[entry.unit]


def turned(name: str, axes: tuple[int, ...], flipped: tuple[int, ...]) -> tuple[str, int] | None:
    """Returns the property that `name` was before a symmetry of the grid, and the sign that it takes.

    Args:
        name: A property, a quotient, or `Ex.1`.
        axes: New axis i of the image was axis `axes[i]`.
        flipped: New axes that are flipped.

    Returns:
        None where it is not known what the symmetry makes of it.

    Example:
        >>> turned("vxy", axes=(1, 0), flipped=()), turned("C13", axes=(1, 0), flipped=(0,))
        (('vyx', 1), ('C23', -1))
    """
    if parts := quotient(name):
        above, below = (turned(part, axes, flipped) for part in parts)
        return None if above is None or below is None else (f"{above[0]}/{below[0]}", above[1] * below[1])
    suffix = _PAIR_OF_MATERIALS.search(name)
    entry = _CATALOGUE[len(axes)].get(_PAIR_OF_MATERIALS.sub("", name))
    if entry is None or entry.turn is None:
        return None
    before, sign = entry.turn(axes, flipped)
    return before + (suffix[0] if suffix else ""), sign


def unchanged(name: str) -> Turn:
    """Returns the behaviour of an invariant."""
    return lambda axes, flipped: (name, 1)


def along(kind: str, letters: str, ordered: bool = True) -> Turn:
    """Returns the behaviour of `kind` along some axes, such as `v` along `xy`: it goes with them, and no flip counts.

    Args:
        kind: What precedes the axes in the names.
        letters: The axes.
        ordered: Whether `xy` and `yx` are two properties; if not, `xy` names both.
    """

    def turn(axes: tuple[int, ...], flipped: tuple[int, ...]) -> tuple[str, int]:
        before = [axes[_AXES.index(letter)] for letter in letters]
        return kind + "".join(_AXES[axis] for axis in (before if ordered else sorted(before))), 1

    return turn


def component(kind: str, pairs: tuple[tuple[int, int], ...], dims: int) -> Turn:
    """Returns the behaviour of a tensor's component: it goes with its axes, and changes sign with each that is flipped.

    Args:
        kind: What precedes the numbers in the names.
        pairs: Axes of a component of the stiffness, two pairs; of the conductivity, one.
        dims: 2 or 3.
    """
    index = {pair: number for number, pair in enumerate(VOIGT_PAIRS[dims])}

    def turn(axes: tuple[int, ...], flipped: tuple[int, ...]) -> tuple[str, int]:
        sign = (-1) ** sum(axis in flipped for pair in pairs for axis in pair)
        before = [tuple(sorted(axes[axis] for axis in pair)) for pair in pairs]
        numbers = sorted(index[i, j] for i, j in before) if len(before) == 2 else before[0]
        return kind + "".join(str(number + 1) for number in numbers), sign

    return turn


def _register_components(dims: int, standard: bool) -> None:
    pairs = VOIGT_PAIRS[dims]
    sizes: dict[Tensor, int] = {"stiffness": len(pairs), "conductivity": dims}
    for tensor, size in sizes.items():
        kind = "C" if tensor == "stiffness" else "k"
        for i, j in combinations_with_replacement(range(size), 2):
            bound: Bound = "k" if kind == "k" else "normal" if i < dims else "mu"
            register(
                Property(
                    f"{kind}{i + 1}{j + 1}",
                    dims,
                    (tensor,),
                    unit=tensor,
                    signed=i != j,
                    turn=component(kind, (pairs[i], pairs[j]) if kind == "C" else ((i, j),), dims),
                    standard=standard,
                    entry=(i, j),
                    bound=bound if i == j else None,
                )
            )


def _components(dims: int, tensor: Tensor) -> tuple[str, ...]:
    """Names of a tensor's components, the upper triangle row by row."""
    return tuple(p.name for p in known(dims).values() if p.entry is not None and p.tensors == (tensor,))


def _register_constants(dims: int, names: tuple[str, ...]) -> None:
    """Engineering constants; those of a volume follow from the components of its tensors."""
    bounds: dict[str, Bound] = {"E": "E", "v": "poisson", "G": "mu", "k": "k"}
    for name in names:
        kind = name[0]
        tensor: Tensor = "conductivity" if kind == "k" else "stiffness"
        register(
            Property(
                name,
                dims,
                (tensor,),
                unit="none" if kind == "v" else tensor,
                signed=kind == "v",
                turn=along(kind, name[1:], ordered=kind != "G"),
                standard=True,
                needs=_components(dims, tensor) if dims == 3 else (),
                bound=bounds[kind],
            )
        )


def _register_averages(dims: int, needs: Mapping[str, tuple[str, ...]]) -> None:
    """Isotropic averages and the universal anisotropy index."""
    bounds: dict[str, Bound] = {"K": "K", "G": "mu", "E": "E", "AU": "anisotropy"}
    for name in ("K", "G", "E", "AU"):
        register(
            Property(
                name,
                dims,
                ("stiffness",),
                unit="none" if name == "AU" else "stiffness",
                signed=name == "AU",  # it is 0 where the stiffness is isotropic
                turn=unchanged(name),
                standard=dims == 3,
                needs=needs[name],
                bound=bounds[name],
            )
        )


_register_constants(2, ("Ex", "vxy", "Ey", "vyx", "Gxy", "kx", "ky"))
_register_components(2, standard=False)
_register_averages(
    2,
    {
        "K": ("Ex", "vxy", "Ey"),
        "G": ("Ex", "vxy", "Ey", "Gxy"),
        "E": ("K", "G"),
        "AU": ("K", "G", "C11", "C12", "C22", "C33"),
    },
)
_register_components(3, standard=True)
_register_averages(3, dict.fromkeys(("K", "G", "E", "AU"), _components(3, "stiffness")))
_register_constants(
    3,
    (
        *("Ex", "Ey", "Ez", "vxy", "vxz", "vyx", "vyz", "vzx", "vzy"),
        *("Gxy", "Gxz", "Gyz", "kx", "ky", "kz"),
    ),
)
for _dims in (2, 3):
    register(Property("density", _dims, ("density",), unit="density", turn=unchanged("density"), bound="density"))
