"""An evaluator for settled materials and properties: images in, a table out."""

from dataclasses import dataclass, replace

import numpy as np

from microdesign.physics.evaluators.protocol import Evaluator, evaluate_table
from microdesign.physics.materials import Materials


@dataclass(frozen=True)
class TableEvaluator:
    """Computes the properties of images of the same materials as tables.

    Attributes:
        evaluator: The physics.
        materials: The phases.
        names: The properties, one a column.

    Example:
        >>> import numpy as np
        >>> from microdesign.physics.evaluators.fft import FFTEvaluator
        >>> materials = Materials(phases=[{"k": 1}, {"k": 3}])
        >>> stripes = np.indices((1, 8, 8))[1] // 4
        >>> TableEvaluator(FFTEvaluator(), materials, ("kx", "ky")).evaluate(stripes).round(3)
        array([[1.5, 2. ]])
    """

    evaluator: Evaluator
    materials: Materials
    names: tuple[str, ...]

    def evaluate(self, images: np.ndarray) -> np.ndarray:
        """Returns the properties of images uint8 `(n, *N)`, `(n, P)`; NaN where the evaluator has no answer.

        Raises:
            InputError: The evaluator does not give one of the properties.
        """
        return evaluate_table(self.evaluator, images, self.materials, self.names)

    @property
    def alternative(self) -> "TableEvaluator | None":
        """The same by the evaluator's other discretization; None if it has none."""
        other = getattr(self.evaluator, "alternative", None)
        return None if other is None else replace(self, evaluator=other)
