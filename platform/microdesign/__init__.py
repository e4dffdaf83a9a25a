"""microdesign: from target properties to physics-verified microstructures.

The public functions and classes, each imported when it is first used, so that `import microdesign` takes no time:

    import microdesign as md

    phases = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]
    image = md.generate("GRF", 1, (64, 64)).labels[0]
    result = md.homogenize(image, phases)
    result.Ex, result.stiffness

    md.write("images", md.generate("GRF", 4000))
    data = md.label("images", phases, "labelled")
    model = md.train(data, properties=["Ex", "Ey", "kx"])
    found = md.design(model, {"Ex": 2.4, "Ey": 1.9, "kx": 2.5}, dataset=data)
    md.export(image, "inp", "deck", phases)
"""

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microdesign.core.errors import (
        EvaluationError,
        InputError,
        MicrodesignError,
        NotConvergedError,
        StorageError,
    )
    from microdesign.design.api import Campaign, design
    from microdesign.export.run import export
    from microdesign.learning.drawing import draw
    from microdesign.learning.models import load
    from microdesign.learning.training.train_model import train_model as train
    from microdesign.microstructure.data.container import Microstructures
    from microdesign.microstructure.data.dataset import Dataset
    from microdesign.microstructure.generators.registry import generate
    from microdesign.microstructure.io.readers import read
    from microdesign.microstructure.io.writers import write
    from microdesign.microstructure.statistics.table import statistics
    from microdesign.microstructure.windows.windows_dataset import windows
    from microdesign.physics.effective_properties import EffectiveProperties, homogenize
    from microdesign.physics.labels import label
    from microdesign.physics.materials import Materials
    from microdesign.physics.representativeness import representativeness

__version__ = "0.1.0"

# Threads of torch that wait for each other keep their cores busy for milliseconds by default. Beside other work, where
# one of them has no core, everything stands still so; not to wait at all costs a quiet machine a third of its speed. It
# has to be said before torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_HOMES = {
    "read": "microstructure.io.readers",
    "write": "microstructure.io.writers",
    "generate": "microstructure.generators.registry",
    "statistics": "microstructure.statistics.table",
    "windows": "microstructure.windows.windows_dataset",
    "homogenize": "physics.effective_properties",
    "representativeness": "physics.representativeness",
    "label": "physics.labels",
    "export": "export.run",
    "train": "learning.training.train_model:train_model",
    "load": "learning.models",
    "draw": "learning.drawing",
    "design": "design.api",
    "Campaign": "design.api",
    "Microstructures": "microstructure.data.container",
    "Dataset": "microstructure.data.dataset",
    "Materials": "physics.materials",
    "EffectiveProperties": "physics.effective_properties",
    "MicrodesignError": "core.errors",
    "InputError": "core.errors",
    "EvaluationError": "core.errors",
    "NotConvergedError": "core.errors",
    "StorageError": "core.errors",
}
"""Module, inside microdesign, of each public name, and the name there if it is another one."""

__all__ = [
    "Campaign",
    "Dataset",
    "EffectiveProperties",
    "EvaluationError",
    "InputError",
    "Materials",
    "MicrodesignError",
    "Microstructures",
    "NotConvergedError",
    "StorageError",
    "__version__",
    "design",
    "draw",
    "export",
    "generate",
    "homogenize",
    "label",
    "load",
    "read",
    "representativeness",
    "statistics",
    "train",
    "windows",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'microdesign' has no attribute {name!r}")
    home, _, other = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(f"microdesign.{home}"), other or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package; its attribute `design` is the function, and not the subpackage that Python would put there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
