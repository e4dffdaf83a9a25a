"""Vega: the JavaScript that draws charts in a page without a network, and pictures of charts."""

import io
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

import vl_convert

from microdesign.core.errors import StorageError
from microdesign.core.files import replacing, user_cache

VEGA_LITE = "6.1"
"""Version of the language that the charts are written in."""
_SCALE, _COLOURS = 2.0, 64
"""Pixels of a picture by unit of the chart, and the colours of its palette: a third of the bytes of full colour."""


@cache
def runtime() -> str:
    """JavaScript that defines `vegaEmbed`, about 0.9 MB, for a script element; it loads nothing.

    Bundling takes seconds, so that the result stays in the user's cache folder.
    """
    path = user_cache() / f"vega-{version('vl-convert-python')}-{VEGA_LITE}.js"
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    bundle = bundle.replace("</script", "<\\/script")
    try:
        with replacing(path) as temporary:
            temporary.write_text(bundle, encoding="utf-8")
    except StorageError:  # a home that cannot be written costs these seconds each time
        pass
    return bundle


def picture(spec: Mapping[str, Any]) -> bytes:
    """A chart as the bytes of a PNG file."""
    return _drawn(json.dumps(spec))


@lru_cache(maxsize=64)
def _drawn(spec: str) -> bytes:
    """The page and MLflow show the same charts one after the other: each is drawn once."""
    from PIL import Image

    drawn = Image.open(io.BytesIO(vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=_SCALE)))
    paper = Image.new("RGB", drawn.size, "white")
    paper.paste(drawn, mask=drawn.getchannel("A"))
    buffer = io.BytesIO()
    paper.quantize(_COLOURS).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
