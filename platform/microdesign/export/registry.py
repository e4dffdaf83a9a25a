"""The exporters by name, and finding one."""

from microdesign.core.errors import InputError
from microdesign.core.references import load_named
from microdesign.export.protocol import Exporter

_FORMATS = "microdesign.export.formats"
EXPORTERS: dict[str, str] = {
    "inp": f"{_FORMATS}.inp:InpExporter",
    "card": f"{_FORMATS}.card:CardExporter",
    "stl": f"{_FORMATS}.stl:StlExporter",
    "vtu": f"{_FORMATS}.meshes:VtuExporter",
    "msh": f"{_FORMATS}.meshes:MshExporter",
    "med": f"{_FORMATS}.meshes:MedExporter",
    "damask": f"{_FORMATS}.damask:DamaskExporter",
    "fans": f"{_FORMATS}.fans:FansExporter",
    "svg": f"{_FORMATS}.outlines:SvgExporter",
    "dxf": f"{_FORMATS}.outlines:DxfExporter",
    "openfoam-snappy": f"{_FORMATS}.snappy:SnappyExporter",
}
"""The known exporters, `module:name` by name of the format."""
REFUSED = {
    "step": "a STEP file describes smooth CAD surfaces, and a structure of pixels has none, but a "
    "plane face for each pixel's side; export to stl, and let a CAD program convert what it needs",
}
"""Formats that are asked for and cannot be had, with the reason."""


def load_exporter(name: str) -> Exporter:
    """Returns an exporter by its name in `EXPORTERS`, or by `module:name`.

    Raises:
        InputError: The name is unknown, or the object cannot be loaded or is no exporter.

    Example:
        >>> load_exporter("stl").takes
        ('phase', 'smooth')
    """
    if name in REFUSED:
        raise InputError(f"--to {name}: {REFUSED[name]}.")
    expected = f"one of: {', '.join(EXPORTERS)}, or module:name of an Exporter"
    if name not in EXPORTERS and ":" not in name:
        raise InputError(f"--to {name}: is unknown; expected {expected}.")
    found = load_named(EXPORTERS.get(name, name), f"--to {name}", expected)
    exporter: Exporter = found() if isinstance(found, type) else found
    missing = [part for part in ("takes", "write") if not hasattr(exporter, part)]
    if missing:
        raise InputError(f"--to {name}: has no '{missing[0]}'; expected the attributes of Exporter.")
    return exporter
