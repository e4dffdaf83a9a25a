"""The built-in physics: the FFT solver as an evaluator."""

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from microdesign.core.config import Config
from microdesign.core.errors import NotConvergedError
from microdesign.core.files import digest_json
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.materials import Materials
from microdesign.physics.properties import component_names, properties_of, property_names, tensor_entries
from microdesign.physics.solver.boundary import BoundaryChoice, chosen_boundary
from microdesign.physics.solver.conjugate_gradients import MOST_ITERATIONS
from microdesign.physics.solver.discretization import Discretization
from microdesign.physics.solver.precision import Precision

if TYPE_CHECKING:
    from microdesign.physics.solver.homogenization import Homogenization

_VERSION = 5
"""Raised whenever its answers change by more than its tolerance, or it gives more properties."""


class FFTEvaluator(Config):
    """The built-in solver: `property_names` of the materials, `iterations` and `error_estimate` (relative).

    Of images also the components of the tensors, `C11`, `k11` and so on.
    """

    discretization: Discretization = Field("q1", description="`q1` (MICRO2D's own), `rotated`, `q1bbar` or `fv`")
    boundary: BoundaryChoice = Field(
        "auto",
        description="`periodic`; `mirror` of images that do not repeat; `auto`: mirror where the data set says that "
        "its images are not periodic",
    )
    spacing: tuple[float, ...] | None = Field(
        None, description="edge lengths of a pixel along each axis; None takes those of the data set"
    )
    tolerance: float = Field(1e-4, ge=1e-12, le=0.1, description="relative error of the effective tensors")
    precision: Precision = Field("auto", description="floating-point type of the fields")
    max_iterations: int = Field(
        MOST_ITERATIONS, ge=1, description="iterations after which an image counts as not converged"
    )
    device: str = Field(
        "cpu",
        pattern=r"^(cpu|cuda(:\d+)?)$",
        description="`cpu`, or `cuda` for `solver.homogenization_torch`, which takes the images of a batch together",
    )

    @property
    def uses_gpu(self) -> bool:
        """Whether it needs a GPU."""
        return self.device != "cpu"

    @property
    def fingerprint(self) -> str:
        """Digest of the solver's name and version and of the settings that change its answer."""
        settings = self.model_dump(mode="json", exclude={"max_iterations", "device", "boundary", "spacing"})
        if self.spacing is not None:
            settings["spacing"] = list(self.spacing)
        if self.boundary == "mirror":
            settings["boundary"] = "mirror"
        return digest_json({"evaluator": "fft", "version": _VERSION, **settings})

    def for_images(self, periodic: bool) -> "FFTEvaluator":
        """The same solver with the boundary settled for images that repeat, or do not."""
        return self.model_copy(update={"boundary": chosen_boundary(self.boundary, periodic)})

    def for_spacing(self, spacing: tuple[float, ...]) -> "FFTEvaluator":
        """The same solver for pixels of these edges, unless it has edges set."""
        return self.model_copy(update={"spacing": self.spacing or spacing})

    @property
    def alternative(self) -> "FFTEvaluator":
        """The same solver by another discretization: `rotated`, or `q1` where this one is `rotated`."""
        return self.model_copy(update={"discretization": "q1" if self.discretization == "rotated" else "rotated"})

    def given_properties(self, materials: Materials, dims: int = 2) -> tuple[str, ...]:
        """Returns `property_names` and, of images, the entries of the tensors that these phases have."""
        return property_names(materials, dims) + (component_names(materials) if dims == 2 else ())

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        """Returns the properties, `iterations` and `error_estimate` of each image or volume, `(n,)`.

        A property that is not defined, such as a Poisson's ratio where the solid between pores does not hang together,
        is NaN.

        Raises:
            InputError: The images are no images of these materials.
            NotConvergedError: An image did not reach the tolerance; `best` holds the values of all images.
        """
        try:
            return _values(self._homogenize(images, materials), materials, self.tolerance)
        except NotConvergedError as error:
            from microdesign.physics.solver.homogenization import Homogenization

            if not isinstance(error.best, Homogenization):
                raise
            failed = np.flatnonzero(~(error.best.error_estimate <= self.tolerance)).tolist()
            raise NotConvergedError(str(error), _values(error.best, materials, self.tolerance), failed) from None

    def _homogenize(self, images: np.ndarray, materials: Materials) -> "Homogenization":
        settings = {"dims": images.ndim - 1, **self.for_images(periodic=True).model_dump(exclude={"device"})}
        # The solvers are imported here: they take a second or two to load, and settings are read without them.
        if not self.uses_gpu:
            from microdesign.physics.solver.homogenization import homogenize

            return homogenize(images, materials, **settings)
        from microdesign.physics.solver.homogenization_torch import homogenize_batch

        return homogenize_batch(images, materials, device=self.device, **settings)


def _values(result: "Homogenization", materials: Materials, tolerance: float) -> Values:
    return {
        **properties_of(result.stiffness, result.conductivity, materials, tolerance),
        **_entries(result, materials),
        "iterations": result.iterations.astype(np.float64),
        "error_estimate": result.error_estimate,
    }


def _entries(result: "Homogenization", materials: Materials) -> Values:
    """The entries of plane tensors that these phases give."""
    if result.conductivity.shape[-1] != 2:
        return {}
    entries = tensor_entries(result.stiffness, result.conductivity)
    return {name: entries[name] for name in component_names(materials)}
