"""What CalculiX computed of a deck that `export` wrote: the effective stiffness out of its `.dat` file."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.physics.tensors import PAIRS

_TOTAL = re.compile(r"total force \(fx,fy,fz\) for set (FACE_[XYZ]) and time.*\n\s*\n\s*(\S+)\s+(\S+)\s+(\S+)", re.I)


def read_stiffness(dat: str | Path, lengths: Sequence[float]) -> NDArray[np.float64]:
    """Returns the effective stiffness, `(6, 6)`, or `(3, 3)` of a plate with free faces, from CalculiX's results.

    The stress on a face is the total force of its nodes over its area; the forces of a shear on both its faces are
    averaged.

    Args:
        dat: The file `NAME.dat` that `ccx NAME` makes of `NAME.inp`.
        lengths: Edge lengths of the sample along x, y and z, in the deck's unit; of a plate z is its thickness.

    Raises:
        InputError: The file lacks the forces of a load case.
    """
    try:
        text = Path(dat).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{dat}: cannot be read ({error.strerror}); expected the results of ccx.") from None
    totals = [(name.upper(), [float(value) for value in force]) for name, *force in _TOTAL.findall(text)]
    faces = sorted({name for name, _ in totals})
    dims = len(faces)
    if dims not in (2, 3) or len(totals) != dims * (3 * dims - 3):
        raise InputError(
            f"{dat}: has {len(totals)} total forces of faces; expected those of six load cases, or of three of a plate."
        )
    areas = [np.prod(lengths) / length for length in lengths]
    columns = []
    for start in range(0, len(totals), dims):
        step = dict(totals[start : start + dims])
        stress = np.array([step[face] for face in faces])[:, :dims] / np.array(areas)[:dims, None]
        columns.append([(stress[a, b] + stress[b, a]) / 2 for a, b in PAIRS[dims]])
    return np.array(columns).T
