"""The public function `homogenize`: from images and phases to effective properties by name."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.physics.density import DENSITY
from microdesign.physics.label_images import LabelImages, label_stacks
from microdesign.physics.materials import Materials, load_materials
from microdesign.physics.properties import properties_of, property_unit, property_units, property_values
from microdesign.physics.solver.boundary import chosen_boundary
from microdesign.physics.solver.conjugate_gradients import MOST_ITERATIONS
from microdesign.physics.solver.homogenization import Homogenization
from microdesign.physics.solver.homogenization import homogenize as solve
from microdesign.physics.solver.precision import Precision

Phases = Materials | Mapping[str, Any] | Sequence[Mapping[str, Any] | str] | str | Path
"""Phases as a user may give them; see `phases_from`."""

_SHOWN = 20
"""Images of which a table on a page shows the properties."""


@dataclass(frozen=True)
class EffectiveProperties:
    """Effective properties of one image or of n images, in the units of the materials.

    Each property is an attribute of its name, `Ex`, `kx`, `C11`, ...: a float of one image, an array `(n,)` of several.
    `result["kx/ky"]` also takes quotients and derived properties. Where pores leave a property undefined it is NaN.

    Attributes:
        names: Name of each image, n strings: its path, or its number.
        materials: The phases.
        volume_fractions: Of each phase, `(n, P)`.
        tensors: What the solver returned, float64.
        single: Whether it was one image alone.
        boundaries: `periodic` or `mirror`, of each image.
    """

    names: tuple[str, ...]
    materials: Materials
    volume_fractions: np.ndarray
    tensors: Homogenization
    single: bool
    boundaries: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def stiffness(self) -> np.ndarray:
        """`(3, 3)`, order xx, yy, xy with engineering shear, or `(6, 6)`, order xx, yy, zz, yz, xz, xy.

        `(n, 3, 3)` or `(n, 6, 6)` of several images; NaN if the phases have no stiffness.
        """
        return self._one(self.tensors.stiffness)

    @property
    def conductivity(self) -> np.ndarray:
        """`(d, d)`, or `(n, d, d)` of several images; NaN if the phases have no conductivity."""
        return self._one(self.tensors.conductivity)

    @property
    def units(self) -> dict[str, str]:
        """The unit of each property, as the materials state it."""
        dims = self.tensors.conductivity.shape[-1]
        density = {DENSITY: property_unit(DENSITY, self.materials)} if self.materials.has_density else {}
        return property_units(self.materials, dims) | density

    @cached_property
    def properties(self) -> dict[str, np.ndarray]:
        """Each property by name, `(n,)`; NaN where it is not defined. `density` where the phases state densities."""
        found = properties_of(self.tensors.stiffness, self.tensors.conductivity, self.materials)
        if self.materials.has_density:
            found[DENSITY] = self.volume_fractions @ self.materials.densities
        return found

    def __getitem__(self, name: str) -> Any:
        """Returns a property, a derived one or a quotient such as `kx/ky`: a float, or an array `(n,)`.

        Raises:
            InputError: There is no such property.
        """
        return self._one(property_values(self.properties, name, self.tensors.conductivity.shape[-1]))

    def __getattr__(self, name: str) -> Any:
        # Only names of properties: Python asks for many others, and computing all properties for these would be wrong.
        if name.startswith("_") or name not in self.units:
            known = "" if name.startswith("_") else f"; its properties are {', '.join(self.units)}"
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{known}.")
        return self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.units]

    def table(self) -> dict[str, list[Any]]:
        """Returns the columns `image`, `boundary` and the properties, one row an image; `pandas.DataFrame` takes it."""
        columns: dict[str, list[Any]] = {"image": list(self.names), "boundary": list(self.boundaries)}
        return columns | {name: values.tolist() for name, values in self.properties.items()}

    def documents(self) -> list[dict[str, Any]]:
        """Returns one mapping of JSON values an image, as `microdesign homogenize --json` prints it."""
        given = self.materials.has_stiffness, self.materials.has_conductivity
        return [
            {
                "image": name,
                "boundary": self.boundaries[i],
                "volume_fractions": self.volume_fractions[i].tolist(),
                "properties": {key: defined(values[i]) for key, values in self.properties.items()},
                "stiffness": self.tensors.stiffness[i].tolist() if given[0] else None,
                "conductivity": self.tensors.conductivity[i].tolist() if given[1] else None,
                "iterations": int(self.tensors.iterations[i]),
                "error_estimate": float(self.tensors.error_estimate[i]),
                "units": self.materials.units.model_dump(exclude=set() if self.materials.has_density else {DENSITY}),
            }
            for i, name in enumerate(self.names)
        ]

    def __repr__(self) -> str:
        n = len(self)
        if n > 1:
            return f"EffectiveProperties of {n} images: {', '.join(self.units)}"
        rows = [f"  {name} = {values[0]:.6g} {_named(self.units[name])}" for name, values in self.properties.items()]
        head = f"EffectiveProperties of one image ({self.boundaries[0]} boundary):"
        return "\n".join([head, *(row.rstrip() for row in rows)])

    def _repr_html_(self) -> str:
        """The properties with their units, as a notebook shows them."""
        titles = [f"{name} {_named(unit)}".strip() for name, unit in self.units.items()]
        rows = list(zip(self.names, *self.properties.values(), strict=True))[:_SHOWN]
        cells = [[name, *(f"{value:.6g}" for value in values)] for name, *values in rows]
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        head = "".join(f"<th>{html.escape(title)}</th>" for title in ["image", *titles])
        more = f"<p>and {len(self) - _SHOWN} more images</p>" if len(self) > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def _one(self, values: np.ndarray) -> Any:
        if not self.single:
            return values
        return float(values[0]) if values.ndim == 1 else values[0]


def homogenize(
    image: LabelImages,
    phases: Phases,
    *,
    plane: str | None = None,
    units: Mapping[str, str] | None = None,
    dims: int | None = None,
    spacing: Sequence[float] | None = None,
    boundary: str = "auto",
    discretization: str = "q1",
    tolerance: float = 1e-4,
    precision: Precision = "auto",
    max_iterations: int = MOST_ITERATIONS,
) -> EffectiveProperties:
    """Computes the effective stiffness and conductivity of images or volumes, periodic or mirrored at their faces.

    The cell problem is discretized by one element a pixel or voxel and solved by conjugate gradients with the
    inverse of a homogeneous medium, applied by FFT, as preconditioner (Schneider, Merkert and Kabel, Int. J. Numer.
    Meth. Engng 109 (2017); Willot, C. R. Mecanique 343 (2015) for `rotated`). Properties are defined as in MICRO2D
    (Robertson et al., Integr. Mater. Manuf. Innov. (2024), doi 10.1007/s40192-023-00340-4).

    Args:
        image: Phase labels, integers: an array `(X, Y)`, a stack `(n, X, Y)`, volumes `(n, X, Y, Z)`, or with `dims` =
            3 one volume `(X, Y, Z)`; axis 0 of an image is x. Also a `Microstructures`, or the path, or paths, of files
            of any known format.
        phases: Phase of label 0, of label 1, ...: a list of names of the library, `["aluminium", "pore"]`, or of
            mappings with `E` and `nu`, or `k`, or all three (0 is a void), or with tensors `stiffness` and
            `conductivity`; a whole `Materials`, as a mapping or an object; or the path of its YAML file. Numbers are in
            units of your own, which the answer is in, too; texts such as `70 GPa` state theirs.
        plane: `stress` for a thin sheet, `strain` for a section of a long body; None takes that of the materials, which
            is `stress` where they do not say. Volumes do not use it.
        units: Names of the units of `E` and `k`, stated with the answer; numbers alone are never converted.
        dims: 3 where three axes are one volume and not a stack of images.
        spacing: Edge lengths of a pixel or voxel, one an axis; None takes those of the file or the `Microstructures`,
            squares and cubes where it has none.
        boundary: `periodic`: the image is repeated. `mirror`: it is reflected at its faces, for scans, whose seams
            would count otherwise: isothermal ends and insulated sides in conduction, faces that stay plane and free of
            shear stress for normal loads; `C16`, `k12` and the like are 0. `auto`: mirror where a file or a
            `Microstructures` says that its images are not periodic; arrays count as periodic.
        discretization: `q1`, bilinear or trilinear elements with full integration, an upper bound of the energy;
            `rotated` is softer at corners and converges faster at high contrast, `q1bbar` does not lock with nearly
            incompressible phases, `fv` is finite volumes in conduction.
        tolerance: Relative error of the diagonal entries of the tensors, 1e-12 to 0.1. The error of the pixels
            themselves is often 1e-2: lower it only to compare images that differ by less.
        precision: Of the fields; `auto` takes float32 where the tolerance and the contrast allow it.
        max_iterations: Iterations after which an image counts as not converged.

    Returns:
        The properties by name: `Ex`, `vxy`, `Ey`, `vyx`, `Gxy`, `kx`, `ky` of images; `C11` to `C66`, `k11` to `k33`,
        `K`, `G`, `E` and `AU` (universal anisotropy) of volumes.

    Raises:
        InputError: The image cannot be read or has a label without a phase, or a phase or a setting is not valid.
        NotConvergedError: An image did not reach the tolerance; `best` holds the tensors of all images of its shape.

    Example:
        >>> import numpy as np
        >>> layers = np.repeat([[0], [1]], 8, axis=0).repeat(16, axis=1)
        >>> result = homogenize(layers, [{"E": 1, "nu": 0.3, "k": 1}, {"E": 3, "nu": 0.3, "k": 3}])
        >>> round(result.kx, 3), round(result.ky, 3)  # harmonic mean across the layers, arithmetic mean along them
        (1.5, 2.0)
        >>> result.stiffness.shape
        (3, 3)
        >>> round(result["ky/kx"], 3)
        1.333
    """
    materials = phases_from(phases, plane, units)
    stacks, single = label_stacks(image, dims)
    if len({stack.dims for stack in stacks}) > 1:
        raise InputError("the files hold both images and volumes; expected one kind.")
    found = [
        solve(
            stack.labels,
            materials,
            dims=stack.dims,
            spacing=spacing or stack.spacing,
            boundary=chosen_boundary(boundary, stack.periodic),
            discretization=discretization,
            tolerance=tolerance,
            precision=precision,
            max_iterations=max_iterations,
        )
        for stack in stacks
    ]
    fractions = np.concatenate([volume_fractions(stack.labels, materials) for stack in stacks])
    return EffectiveProperties(
        tuple(name for stack in stacks for name in stack.names),
        materials,
        fractions,
        Homogenization(
            np.concatenate([each.stiffness for each in found]),
            np.concatenate([each.conductivity for each in found]),
            np.concatenate([each.iterations for each in found]),
            np.concatenate([each.error_estimate for each in found]),
        ),
        single,
        tuple(chosen_boundary(boundary, stack.periodic) for stack in stacks for _ in stack.names),
    )


def volume_fractions(labels: np.ndarray, materials: Materials) -> np.ndarray:
    """Returns the volume fraction of each phase of images `(n, *S)`, `(n, P)`."""
    return np.array([[np.mean(image == phase) for phase in range(len(materials.phases))] for image in labels])


def phases_from(phases: Phases, plane: str | None = None, units: Mapping[str, str] | None = None) -> Materials:
    """Returns phases that a user gave in one of several ways as `Materials`.

    Args:
        phases: A list of names or mappings, one a phase; a mapping with `phases`, and perhaps `plane` and `units`; the
            path of a YAML file of such a mapping, or names of the library with commas between them; or `Materials`.
        plane: `stress` or `strain` in the place of theirs.
        units: Names of the units of `E` and `k` in the place of theirs.

    Raises:
        InputError: A field is unknown, missing or out of its range, or the file cannot be read.

    Example:
        >>> phases_from([{"k": 1}, {"k": 10}], units={"k": "W/mK"}).units.k
        'W/mK'
        >>> phases_from(["aluminium", "pore"]).phases[0].E
        70.3
    """
    changes: dict[str, Any] = {} if plane is None else {"plane": plane}
    if units is not None:
        changes["units"] = dict(units)
    if isinstance(phases, Materials | str | Path):
        materials = phases if isinstance(phases, Materials) else load_materials(phases)
        values: Mapping[str, Any] = materials.model_dump(mode="json", exclude_none=True) if changes else {}
        return validate_config(Materials, {**values, **changes}, "the phases") if changes else materials
    values = phases if isinstance(phases, Mapping) else {"phases": phases}
    return validate_config(Materials, {**values, **changes}, "the phases")


def defined(value: float) -> float | None:
    """Returns a number for JSON: None where a property is not defined."""
    return float(value) if np.isfinite(value) else None


def _named(unit: str) -> str:
    """The unit in brackets; nothing of a number, or where the materials do not name theirs."""
    return "" if unit == "1" or unit.startswith("as ") else f"[{unit}]"
