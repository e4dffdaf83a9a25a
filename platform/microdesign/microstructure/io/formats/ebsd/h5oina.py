"""Oxford's `.h5oina` (AZtec): HDF5, points in rows, angles in radians (github.com/oinanoanalysis/h5oina)."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.ebsd.scan import CrystalPhase, EbsdScan, laue_group, made_scan
from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5, read_stored, refusing_damage

_HEADER = ("X Cells", "Y Cells", "X Step", "Y Step")


def read_h5oina(path: Path, array: str | None = None) -> EbsdScan:
    """Reads the EBSD map of an `.h5oina` file, as acquired.

    Angles are those of the crystal against the surface that was scanned (CS1). Phase 0 is not indexed.

    Args:
        path: The file.
        array: Number of the acquisition, where the file holds several with EBSD.

    Raises:
        InputError: There is no EBSD map or several, a data set is missing, or their lengths do not fit.
    """
    with open_hdf5(path) as file:
        found = [name for name in file if isinstance(file.get(f"{name}/EBSD/Data"), h5py.Group)]
        chosen = [name for name in found if array in (None, name)]
        if len(chosen) != 1:
            problem = f"has no acquisition '{array}'" if array and found else f"holds {len(found)} EBSD maps"
            raise InputError(f"{path}: {problem}; expected one of --array {', '.join(found) or '(none)'}.")
        group = f"{chosen[0]}/EBSD"
        with refusing_damage(f"{path}: '{group}'"):
            phases = [
                CrystalPhase(_text(phase["Phase Name"]), _laue(phase["Laue Group"], path))
                for _, phase in sorted(file[f"{group}/Header/Phases"].items(), key=lambda item: int(item[0]))
            ]
            header = {key: float(_scalar(file[f"{group}/Header/{key}"])) for key in _HEADER}
            phase, euler = (
                read_stored(file[f"{group}/Data/{name}"], f"{path}: '{group}/Data/{name}'").astype(np.float64)
                for name in ("Phase", "Euler")
            )
            phase, euler = phase.reshape(-1), euler.reshape(-1, 3)
    if len(euler) != len(phase):
        raise InputError(f"{path}: '{group}/Data' has {len(phase)} phases and {len(euler)} orientations.")
    return made_scan(
        path,
        {"phase": np.nan_to_num(phase), "euler": euler},
        (int(header["X Cells"]), int(header["Y Cells"])),
        (header["X Step"], header["Y Step"]),
        phases,
        frame="oxford",
        x_along_a=False,
    )


def _scalar(item: Any) -> Any:
    return read_stored(item, str(item.name)).reshape(-1)[0]


def _text(item: Any) -> str:
    value = _scalar(item)
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _laue(item: Any, path: Path) -> str:
    symbol = item.attrs.get("Symbol")
    if symbol is None:
        raise InputError(f"{path}: '{item.name}' has no attribute Symbol; expected such as m-3m.")
    value = np.asarray(symbol).reshape(-1)[0]
    return laue_group(value.decode() if isinstance(value, bytes) else str(value), path)
