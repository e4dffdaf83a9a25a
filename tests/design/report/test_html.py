"""The page of a result: it stands alone, says what the result says, and can be made again from it."""

import base64
import io
import re
from pathlib import Path

import matplotlib.image
import numpy as np

from microdesign.core.pixels import Pixel
from microdesign.design.report.export import data_uri, write_design, write_image, write_labels
from microdesign.design.report.figures import candidates_figure, gallery_figure
from microdesign.design.report.html import report_campaign, write_report
from microdesign.design.report.reference_pictures import part_picture, whole_picture
from microdesign.design.report.result_parts import ConstraintRange, ReferenceResult
from microdesign.design.report.verdict import TradeOff, Verdict
from microdesign.design.target.distance_to_data import DistanceToData
from microdesign.design.target.feasibility import Feasibility
from microdesign.microstructure.io.formats.vti import VtiReader
from tests.design.report.examples import campaign_result, candidate, image


def shown(page: Path) -> str:
    """The page without scripts and styles; pytest takes minutes to compare a megabyte of them."""
    return re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.S)


def test_the_page_says_what_the_result_says(tmp_path: Path) -> None:
    page = write_report(campaign_result(tmp_path))
    assert page == tmp_path / "report.html"
    text = shown(page)
    for expected in (
        *("3.141", "3.456 ± 0.23", "7.89 %", "11.10 %", "0.05", "0.78", "best of 17, random", "budget of 17"),
        "Dark: phase 1 (",
        *("3.21 %", "6.54 %", "<td>6 of 8</td>", "0.4321", "0 to 0.55", "1 to 9.87", "33.5 s", "87.60 %"),
        *("within discretization", "Microstructures for Ex 3.5 &lt;GPa&gt;", "campaign.yaml --set folder=again"),
        "49 redraws, blind draws and changed outlines",
        "evaluations 1 to 17: initial 9, bayesian 8; best error 20.00 %",
        "no answer",
        "folder: &lt;here&gt;",
    ):
        assert expected in text, expected
    assert "warning" not in text


def test_the_page_stands_alone_and_escapes(tmp_path: Path) -> None:
    page = write_report(campaign_result(tmp_path))
    text = shown(page)
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 8  # fields, five charts before they are drawn, two of the gallery
    assert len(re.findall(r'class="tile"[^>]*url\(data:image/png;base64,', text)) == 2  # candidate and baseline
    for kind in ("npy", "png", "vti"):
        name = f"candidate-1.{kind}"
        (content,) = re.findall(rf'<a href="data:[^;]*;base64,([^"]*)" download="{name}">', text)
        assert base64.b64decode(content) == (tmp_path / "candidates" / name).read_bytes()
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"<script[^>]*src|<link[^>]*href=\"(?!data:)", page.read_text())
    assert "&lt;GPa&gt;" in text
    assert "<GPa>" not in text


def test_it_is_made_again_from_the_result(tmp_path: Path) -> None:
    page = write_report(campaign_result(tmp_path))
    before = page.read_text()
    page.unlink()
    assert report_campaign(tmp_path) == page
    assert (page.read_text() == before) is True


def test_no_candidate_and_a_target_outside_the_data_are_said(tmp_path: Path) -> None:
    known = Feasibility(
        distance_to_data=DistanceToData(distance=3.0, usual=0.1), warnings=("Ex >= 5 takes an anisotropic one.",)
    )
    compromise = TradeOff(values={"Ex": 3.1}, error=0.114, source="training image")
    verdict = Verdict(kind="not met", sentence="Not met: Ex.", suggestion="Ask for less.", trade_offs=(compromise,))
    miss = candidate(tmp_path, error=0.2, files=write_design(tmp_path / "misses" / "miss-1.npy", image(), {}))
    result = campaign_result(tmp_path, candidates=(), misses=(miss,), feasibility=known, verdict=verdict)
    text = shown(write_report(result))
    assert '<p class="verdict missed">Not met: Ex. Ask for less.</p>' in text
    assert "<tr><td>training image</td><td>3.1</td><td>11.40 %</td></tr>" in text
    assert "Near miss 1" in text
    assert "<td>near miss 1</td>" in text
    assert "The target is OUTSIDE the training data: its nearest training sample is 3.000 standard deviations" in text
    assert '<p class="warning">Ex ≥ 5 takes an anisotropic one.</p>' in text
    assert text.count('class="warning"') == 2


def test_without_data_there_is_no_novelty(tmp_path: Path) -> None:
    text = write_report(campaign_result(tmp_path, baselines={}, candidates=(candidate(tmp_path, novelty=None),)))
    assert "best of 17" not in shown(text)
    assert "None" not in shown(text)


def test_images_for_programs_and_for_people(tmp_path: Path) -> None:
    write_image(tmp_path / "new" / "a.npy", image())
    loaded = np.load(tmp_path / "new" / "a.npy", allow_pickle=False)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, image())
    # x to the right, y up, phase 1 dark, four pixels each.
    shown = matplotlib.image.imread(io.BytesIO((tmp_path / "new" / "a.png").read_bytes()), format="png")
    assert shown.shape[:2] == (32, 24)
    np.testing.assert_array_equal(shown[::-4, ::4] < 0.5, image().T == 1)


def test_a_design_is_written_for_every_reader(tmp_path: Path) -> None:
    files = write_design(tmp_path / "a.npy", image(), {"Ex": 2.5, "kx": float("nan")})
    assert set(files) == {"npy", "png", "vti"}
    (read,) = VtiReader().read(Path(files["vti"]))
    np.testing.assert_array_equal(read.labels[0], image())
    assert {name: values[0] for name, values in read.properties.items()} == {"Ex": 2.5}


def test_figures_show_what_they_are_given() -> None:
    gallery = gallery_figure([[image()], [image(1), image(2)]], ["a", "b"])
    assert sum(len(axes.images) for axes in gallery.axes) == 3


def test_a_figure_of_no_candidates() -> None:
    assert candidates_figure([], []).axes
    assert len(candidates_figure([image(), image(1)], ["a", "b"]).axes) == 2


def test_the_image_that_a_target_comes_from_stands_beside(tmp_path: Path) -> None:
    labels = np.tile(image(), (3, 2))
    write_labels(tmp_path / "reference.npy", labels)
    beside = ReferenceResult(
        name="micrograph", properties={"Ex": 3.21, "ky": 7.0}, image=str(tmp_path / "reference.npy")
    )
    result = campaign_result(tmp_path).model_copy(update={"reference": beside})
    page = shown(write_report(result))
    assert "<b>Micrograph</b>, 18 x 16 pixels" in page
    assert "<td>micrograph</td><td>3.21</td>" in page
    assert next(row for row in result.table.rows if row[0] == "micrograph")[2] == "3.21"
    # Of a volume the part is a volume, of the size of designs.
    volume = np.zeros((12, 8, 8), np.uint8)
    volume[8:, :4, 4:] = 1
    assert part_picture(volume, 4) == data_uri(np.zeros((4, 4, 4), np.uint8))
    # Of a large image the picture stays small.
    sizes = [decoded(whole_picture(np.zeros(shape, np.uint8))).shape for shape in ((60, 90), (600, 500), (3000, 2000))]
    assert sizes == [(180, 120), (250, 300), (333, 500)]


def decoded(uri: str) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_lengths_are_in_the_unit_of_the_pixels(tmp_path: Path) -> None:
    assert '<div class="bar"' not in shown(write_report(campaign_result(tmp_path)))
    ranges = (ConstraintRange(name="feature_size_1", low=4.0, high=float("inf"), unit="µm"),)
    values = {"feature_size_1": 4.5}
    result = campaign_result(tmp_path, pixel_size=0.5, length_unit="um", constraints=ranges)
    result = result.model_copy(update={"candidates": (candidate(tmp_path, constraints=values),)})
    text = shown(write_report(result))
    # Images of 6 pixels along x are 3 um wide.
    assert text.count('<div class="bar" style="width: 33.33%">1 µm</div>') == 2
    assert "<td>at least 4</td>" in text
    assert "<th>feature size 1 [µm]</th>" in text
    assert "<td>4.5</td>" in text
    files = write_design(tmp_path / "a.npy", image(), {}, Pixel(0.5, "um"))
    rows = {kind: matplotlib.image.imread(files["png"]).shape[0] for kind in ("png",)}
    assert rows["png"] > 4 * image().shape[1], "the picture has a scale bar below it"
    (batch,) = VtiReader().read(Path(files["vti"]))
    assert batch.pixel_size == 0.5


def test_pictures_have_the_proportions_of_the_pixels(tmp_path: Path) -> None:
    """Images of 6 x 8 pixels of 0.5 x 1 um are 3 x 8 um; what needs distances in all directions is left out."""
    assert image().shape == (6, 8)
    assert 'id="two-point"' in write_report(campaign_result(tmp_path)).read_text()
    result = campaign_result(tmp_path, pixel_size=0.5, aspect=(1.0, 2.0), length_unit="um")
    page = write_report(result).read_text()
    assert "aspect-ratio: 6 / 16" in page
    assert "0.5 x 1 µm" in page
    assert 'id="two-point"' not in page
    files = write_design(tmp_path / "a.npy", image(), {}, Pixel(1.0, "", (1.0, 2.0)))
    assert matplotlib.image.imread(files["png"]).shape[:2] == (4 * 16, 4 * 6)
    (batch,) = VtiReader().read(Path(files["vti"]))
    assert batch.aspect == (1.0, 2.0)
