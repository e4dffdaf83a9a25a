"""Goals relative to an image, judged by every discretization beside the image's own value by the same one."""

from typing import Literal

from pydantic import Field

from microdesign.core.config import Config

Discretized = Literal["second", "fine", "fine_second"]
"""How a value was computed: by another discretization than the evaluator's, or by either on twice the pixels."""


class OwnValue(Config):
    """The value of one property of the image that a goal is relative to, by each discretization.

    A coarse image of a hard contrast has one stiffness by one discretization and another by the next, and so has a
    design like it. How much stiffer the design is than the image is nearly the same by all, if each is compared with
    the image's value by the same one. That is a ratio, so that the property has to be positive.
    """

    first: float = Field(gt=0, description="by the evaluator's own discretization, as the goal's numbers are")
    second: float = Field(gt=0, description="by its alternative")
    fine: float = Field(gt=0, description="by its own, each pixel as 2 x 2")
    fine_second: float = Field(gt=0, description="by its alternative, each pixel as 2 x 2")

    def factor(self, discretized: Discretized) -> float:
        """What turns a design's value by a discretization into the value that counts for the goal.

        Example:
            >>> OwnValue(first=2.0, second=1.6, fine=1.9, fine_second=1.7).factor("second")
            1.25
        """
        return self.first / float(getattr(self, discretized))
