"""Outlines of the phases of images, for drawings, laser cutters, lithography and CAD."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.units import convert
from microdesign.export.protocol import ExportOptions, Sample
from microdesign.export.surface import outlines
from microdesign.microstructure.drawing import greys

_DXF_UNITS = {"": 0, "mm": 4, "cm": 5, "m": 6, "km": 7, "nm": 12, "um": 13}


class SvgExporter:
    """Writes `NAME.svg`: a path of each phase, filled as in pictures, at its size where the unit is known."""

    takes = ("phase", "smooth")

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the drawing.

        Raises:
            InputError: It is a volume, or a phase is not there.
        """
        width, height = _image(sample).lengths
        tones = greys(sample.n_phases)
        paths = []
        for phase in options.phases_of(sample):
            # SVG's y runs downwards.
            parts = [
                "M" + "L".join(f"{x:.6g},{height - y:.6g}" for x, y in line) + "Z"
                for line in _of(sample, phase, options)
            ]
            fill = f"rgb({', '.join([str(tones[phase])] * 3)})"
            paths.append(f'  <path id="phase-{phase}" fill="{fill}" fill-rule="evenodd" d="{"".join(parts)}"/>')
        size = ""
        if sample.unit:
            mm = [convert(length, sample.unit, "mm") for length in (width, height)]
            size = f' width="{mm[0]:.9g}mm" height="{mm[1]:.9g}mm"'
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<svg xmlns="http://www.w3.org/2000/svg"{size} viewBox="0 0 {width:.9g} {height:.9g}">',
            *paths,
            "</svg>",
        ]
        path = folder / f"{sample.name}.svg"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [path], [f"coordinates in {sample.unit or 'pixels'}"]


class DxfExporter:
    """Writes `NAME.dxf`: closed polylines, phase I on the layer `PHASE_I`; needs ezdxf."""

    takes = ("phase", "smooth")

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the drawing.

        Raises:
            InputError: It is a volume, a phase is not there, or ezdxf is not installed.
        """
        _image(sample)
        document = _new_dxf()
        document.header["$INSUNITS"] = _DXF_UNITS.get(sample.unit, 0)
        space = document.modelspace()
        for phase in options.phases_of(sample):
            layer = f"PHASE_{phase}"
            document.layers.add(layer)
            for line in _of(sample, phase, options):
                space.add_lwpolyline(line.tolist(), close=True, dxfattribs={"layer": layer})
        path = folder / f"{sample.name}.dxf"
        document.saveas(path)
        return [path], [f"coordinates in {sample.unit or 'pixels'}"]


def _new_dxf() -> Any:
    try:
        ezdxf: Any = import_module("ezdxf")
    except ImportError:
        raise InputError("--to dxf: needs ezdxf; pip install 'microdesign[export]'.") from None
    # Without dates and random numbers: the same image makes the same file.
    ezdxf.options.write_fixed_meta_data_for_testing = True
    return ezdxf.new("R2010")


def _image(sample: Sample) -> Sample:
    if not sample.is_image:
        raise InputError(f"{sample.source}: is a volume; outlines are drawn of images, and stl has a volume's surface.")
    return sample


def _of(sample: Sample, phase: int, options: ExportOptions) -> list[NDArray[np.float64]]:
    return outlines(sample.labels == phase, sample.spacing, sample.periodic, options.smooth)
