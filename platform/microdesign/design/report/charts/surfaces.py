"""Surfaces of volumes that can be turned in the page: Plotly's figures, and the JavaScript that draws them."""

import base64
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.export.surface import surface

COLOURS = ("#4878a8", "#d98a3d", "#5a9e5a", "#8d6cab", "#b35454")
"""Of phases 1, 2, ...; further ones begin again."""
_FINEST = 64
"""Voxels along an axis of what is shown; of larger volumes every second or third is left out."""
_LIGHT = {"ambient": 0.55, "diffuse": 0.7, "specular": 0.15, "roughness": 0.7}


@cache
def runtime() -> str:
    """JavaScript that defines `Plotly`, 5 MB, for a script element; it loads nothing."""
    from plotly.offline import get_plotlyjs  # a third of a second, and only pages of volumes need it

    script: str = get_plotlyjs()
    return script.replace("</script", "<\\/script")


def surface_figure(
    labels: NDArray[np.integer], phases: int, periodic: bool, edges: Sequence[float] = (1.0,) * 3, unit: str = ""
) -> dict[str, Any]:
    """Returns the surface of every phase but phase 0 as a figure of Plotly, plain values that JSON takes.

    Example:
        >>> ball = ((np.indices((12, 12, 12)) - 5.5) ** 2).sum(0) < 16
        >>> figure = surface_figure(ball.astype(np.uint8), phases=2, periodic=True, edges=(0.5,) * 3, unit="um")
        >>> [mesh["name"] for mesh in figure["data"]], figure["layout"]["scene"]["xaxis"]["title"]["text"]
        (['phase 1'], 'x [um]')

    Args:
        labels: Phase of each voxel, `(X, Y, Z)`.
        phases: How many phases there are; one that the volume lacks has no surface.
        periodic: Whether the volume goes on at its opposite faces.
        edges: Of a voxel along each axis.
        unit: Of the edges; empty for pixels.
    """
    step = -(-max(labels.shape) // _FINEST)
    shown = labels[::step, ::step, ::step]
    steps = tuple(edge * step for edge in edges)
    meshes = [_mesh(shown == phase, phase, steps, periodic) for phase in range(1, phases) if (shown == phase).any()]
    lengths = [n * edge for n, edge in zip(labels.shape, edges, strict=True)]
    axes = {
        f"{name}axis": {
            "title": {"text": f"{name} [{unit or 'pixels'}]"},
            "range": [0, length],
            "backgroundcolor": "#f6f6f6",
            "showbackground": True,
            "showspikes": False,
        }
        for name, length in zip("xyz", lengths, strict=True)
    }
    scene = axes | {"aspectmode": "data", "camera": {"eye": {"x": 1.5, "y": -1.5, "z": 1.1}}}
    layout = {
        "scene": scene,
        "margin": dict.fromkeys("lrtb", 0),
        "height": 420,
        "showlegend": len(meshes) > 1,
        "legend": {"x": 0, "y": 1},
    }
    return {"data": meshes, "layout": layout}


def _mesh(inside: NDArray[np.bool_], phase: int, edges: tuple[float, ...], periodic: bool) -> dict[str, Any]:
    points, triangles = surface(inside, edges, periodic)
    columns = {name: _packed(each, np.float32) for name, each in zip("xyz", points.T, strict=True)}
    corners = {name: _packed(each, np.int32) for name, each in zip("ijk", triangles.T, strict=True)}
    colour = COLOURS[(phase - 1) % len(COLOURS)]
    look = {"color": colour, "flatshading": False, "lighting": _LIGHT, "hoverinfo": "skip", "showlegend": True}
    return {"type": "mesh3d", "name": f"phase {phase}"} | columns | corners | look


def _packed(values: NDArray, dtype: type) -> dict[str, str]:
    """Numbers as Plotly reads them: base64 of an array, a third of the digits' bytes."""
    array: NDArray = np.ascontiguousarray(values, dtype)
    return {"dtype": array.dtype.str[1:], "bdata": base64.b64encode(array.tobytes()).decode()}
