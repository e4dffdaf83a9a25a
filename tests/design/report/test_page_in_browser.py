"""The page in a browser: nothing is loaded, nothing is wider than the window, tiles tile, charts show designs.

Of volumes: surfaces can be turned.
"""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.design.report.html import write_report
from microdesign.design.report.result_parts import Manufacturing
from tests.design.report.examples import campaign_result, candidate

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed; it is among the dev extras"
)
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60_000
"""Milliseconds; a loaded machine may take long to draw."""


class Opened:
    """A page, and what went wrong in it.

    Args:
        page: Of playwright.
        folder: The campaign's.
    """

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.said: list[str] = []
        self.errors: list[str] = []
        self.requested: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))
        page.goto((folder / "report.html").as_uri())
        page.wait_for_function(
            "document.querySelectorAll('.chart svg.marks').length === document.querySelectorAll('.chart').length"
        )

    def _note(self, message: Any) -> None:
        (self.errors if message.type == "error" else self.said).append(message.text)

    def excess(self, width: int) -> int:
        """Pixels that the page is wider than a window of a width."""
        self.page.set_viewport_size({"width": width, "height": 800})
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    with playwright.sync_playwright() as library:
        # A machine without a graphics card draws by the processor.
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        started = library.chromium.launch(executable_path=BROWSER, args=arguments, timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("campaign")
    made = Manufacturing(thicker={"Ex": 0.1}, thinner={"Ex": -0.1}, rough={"Ex": 0.01}, worst_error=0.12)
    best = candidate(folder, manufacturing=made)
    best = best.model_copy(update={"nearest": best.files["npy"]})
    write_report(campaign_result(folder, candidates=(best,), pixel_size=0.5, length_unit="um"))
    return Opened(browser.new_page(viewport={"width": 1100, "height": 800}), folder)


def test_it_loads_nothing_and_complains_of_nothing(opened: Opened) -> None:
    assert opened.said + opened.errors == []
    assert opened.page.locator(".chart svg.marks").count() == 5
    assert [url for url in opened.requested if not url.startswith(("data:", "blob:"))] == [
        (opened.folder / "report.html").as_uri()
    ]


def test_nothing_is_wider_than_the_window(opened: Opened) -> None:
    assert {width: opened.excess(width) for width in (360, 768, 1100)} == {360: 0, 768: 0, 1100: 0}
    opened.page.emulate_media(media="print")
    assert opened.excess(690) == 0  # A4 within its margins
    # What scrolls in a window would be cut off on paper.
    cut = (
        "[...document.querySelectorAll('table')].filter((each) => each.offsetWidth > document.body.clientWidth).length"
    )
    assert opened.page.evaluate(cut) == 0
    opened.page.emulate_media(media="screen")
    opened.excess(1100)


def test_downloads_are_the_files(opened: Opened) -> None:
    found = opened.page.evaluate("[...document.querySelectorAll('a[download]')].map((a) => [a.download, a.href])")
    files = {name: base64.b64decode(address.partition("base64,")[2]) for name, address in found}
    assert set(files) == {f"candidate-1.{kind}" for kind in ("npy", "png", "vti")}
    for name, content in files.items():
        assert content == (opened.folder / "candidates" / name).read_bytes()
    with opened.page.expect_download() as waiting:
        opened.page.click("a[download='candidate-1.npy']")
    labels = np.load(waiting.value.path(), allow_pickle=False)
    np.testing.assert_array_equal(labels, np.load(opened.folder / "candidates" / "candidate-1.npy"))


def test_the_pointer_shows_two_by_two(opened: Opened) -> None:
    tile = opened.page.locator(".tile").first
    size = "(tile) => getComputedStyle(tile).backgroundSize"
    assert tile.evaluate(size) == "100% 100%"
    tile.hover()
    assert tile.evaluate(size) == "50% 50%"
    opened.page.mouse.move(0, 0)


def test_the_pointer_on_a_point_shows_the_design(opened: Opened) -> None:
    opened.page.locator("#convergence .mark-symbol.role-mark path").last.hover()
    shown = opened.page.locator("#vg-tooltip-element")
    shown.wait_for(state="visible")
    text = shown.inner_text()
    assert "evaluation 2, candidate 1" in text
    assert "3.456 <GPa> (predicted 3.141)" in text
    assert shown.locator("img").evaluate("(image) => image.naturalWidth") == 6


def test_the_surface_of_a_volume_can_be_turned(browser: Any, tmp_path: Path) -> None:
    """It is drawn when it is opened, shows the phase, and looks otherwise after the pointer has turned it."""
    write_report(campaign_result(tmp_path, shape=(8, 8, 8), pixel_size=0.5, length_unit="um"))
    opened = Opened(browser.new_page(viewport={"width": 1100, "height": 800}), tmp_path)
    assert opened.page.locator("canvas").count() == 0
    opened.page.click("details.turned summary")
    opened.page.wait_for_selector(".surface canvas")
    place = opened.page.locator(".surface").bounding_box()
    opened.page.wait_for_timeout(500)
    before = opened.page.locator(".surface").screenshot()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x + 120, y + 40, steps=4)
    opened.page.mouse.up()
    opened.page.wait_for_timeout(500)
    assert opened.page.locator(".surface").screenshot() != before
    assert opened.errors == []  # without a graphics card the browser warns of its slowness
    assert {width: opened.excess(width) for width in (360, 1100)} == {360: 0, 1100: 0}
