import base64
import pickle
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.vti import VtiReader, write_vti
from microdesign.microstructure.io.options import ReadOptions


def read(path: Path, **options: object) -> Microstructures:
    return Microstructures.concatenate(list(VtiReader().read(path, options=ReadOptions(**options))))


def document(arrays: str, extent: str = "0 3 0 2 0 2", spacing: str = "1 1 1", head: str = "", tail: str = "") -> str:
    return (
        f'<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt32" {head}>\n'
        f'<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{spacing}"><Piece Extent="{extent}">\n'
        f"{arrays}</Piece></ImageData>{tail}</VTKFile>"
    )


def cells(content: str, name: str = "phase", kind: str = "Int32", form: str = "ascii", more: str = "") -> str:
    array = f'<DataArray type="{kind}" Name="{name}" format="{form}" {more}>{content}</DataArray>'
    return f"<CellData>{array}</CellData>"


LABELS = np.random.default_rng(0).integers(0, 3, (3, 2, 2)).astype(np.int32)
FLAT = LABELS.ravel(order="F")
TEXT = " ".join(map(str, FLAT))


def test_x_runs_fastest(tmp_path: Path) -> None:
    (tmp_path / "a.vti").write_text(document(cells(TEXT), spacing="0.5 0.5 0.5"))
    batch = read(tmp_path / "a.vti")
    np.testing.assert_array_equal(batch.labels[0], LABELS)
    assert batch.pixel_size == 0.5


def test_encodings_of_other_programs(tmp_path: Path) -> None:
    data = FLAT.tobytes()
    inline = base64.b64encode(len(data).to_bytes(4, "little") + data).decode()
    (tmp_path / "inline.vti").write_text(document(cells(inline, form="binary")))
    blocks = [zlib.compress(data[:32]), zlib.compress(data[32:])]
    head = np.array([2, 32, len(data) - 32, *map(len, blocks)], "<u4").tobytes()
    packed = base64.b64encode(head) + base64.b64encode(b"".join(blocks))
    appended = f'<AppendedData encoding="base64">_{packed.decode()}</AppendedData>'
    (tmp_path / "zlib.vti").write_text(
        document(
            cells("", form="appended", more='offset="0"'), head='compressor="vtkZLibDataCompressor"', tail=appended
        )
    )
    for name in ("inline", "zlib"):
        np.testing.assert_array_equal(read(tmp_path / f"{name}.vti").labels[0], LABELS)


def test_points_count_as_pixels_where_there_are_no_cells(tmp_path: Path) -> None:
    points = cells(TEXT).replace("CellData", "PointData")
    (tmp_path / "a.vti").write_text(document(points, extent="0 2 0 1 0 1"))
    np.testing.assert_array_equal(read(tmp_path / "a.vti").labels[0], LABELS)


def test_an_image_without_extent_along_an_axis_is_flat(tmp_path: Path) -> None:
    (tmp_path / "a.vti").write_text(document(cells("0 1 2 0 1 1"), extent="0 3 0 2 0 0", spacing="1 1 9"))
    np.testing.assert_array_equal(read(tmp_path / "a.vti").labels[0], [[0, 0], [1, 1], [2, 1]])


def test_bricks_keep_their_edges(tmp_path: Path) -> None:
    (tmp_path / "a.vti").write_text(document(cells(TEXT), spacing="0.5 0.5 2"))
    batch = read(tmp_path / "a.vti")
    assert batch.spacing == (0.5, 0.5, 2.0)
    write_vti(tmp_path / "b.vti", replace(batch, length_unit="um", periodic=False))
    back = read(tmp_path / "b.vti")
    assert (back.spacing, back.length_unit, back.periodic) == ((0.5, 0.5, 2.0), "um", False)
    write_vti(tmp_path / "a1.vti", Microstructures(labels=batch.labels, n_phases=3, pixel_size=0.5))
    (tmp_path / "a.vti").unlink()
    with pytest.raises(InputError, match=r"b.vti: has spacing \(0.5, 0.5, 2.0\); expected \(0.5, 0.5, 0.5\)") as caught:
        read(tmp_path)
    assert "a1.vti" in str(caught.value)


def test_one_cell_thick_is_an_image(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 3, (4, 3))
    text = " ".join(map(str, image.ravel(order="F")))
    for extent, spacing, thick in [
        ("0 4 0 3 0 1", "0.5 0.5 7", (4, 3, 1)),
        ("0 4 5 6 0 3", "0.5 7 0.5", (4, 1, 3)),
        ("2 3 0 4 0 3", "7 0.5 0.5", (1, 4, 3)),
        ("0 4 0 3 0 0", "0.5 0.5 0", (4, 3)),
    ]:
        (tmp_path / "a.vti").write_text(document(cells(text), extent=extent, spacing=spacing))
        for dims in (None, 2):
            batch = read(tmp_path / "a.vti", dims=dims)
            np.testing.assert_array_equal(batch.labels, image[None], extent)
            assert batch.spacing == (0.5, 0.5), extent
        if len(thick) == 3:
            np.testing.assert_array_equal(read(tmp_path / "a.vti", dims=3).labels[0], image.reshape(thick), extent)
    (tmp_path / "a.vti").write_text(document(cells(TEXT)))
    with pytest.raises(InputError, match=r"holds a volume of \[3, 2, 2\] cells; expected one layer by --dims 2"):
        read(tmp_path / "a.vti", dims=2)


def test_the_time_of_a_series_is_no_property(tmp_path: Path) -> None:
    fields = "".join(
        f'<DataArray type="Float64" Name="{name}" NumberOfTuples="1" format="ascii">0.25</DataArray>'
        for name in ("TimeValue", "CYCLE", "TIME", "Ex")
    )
    text = document(cells(TEXT)).replace("<Piece", f"<FieldData>{fields}</FieldData><Piece")
    (tmp_path / "a.vti").write_text(text)
    assert {name: values.tolist() for name, values in read(tmp_path / "a.vti").properties.items()} == {"Ex": [0.25]}


def test_the_array_is_the_only_integer_one_or_the_named_one(tmp_path: Path) -> None:
    two = cells(TEXT) + cells(" ".join(["1"] * 12), name="grain")
    (tmp_path / "a.vti").write_text(document(two))
    with pytest.raises(InputError, match=r"holds 2 arrays .*; name one by --array out of: phase \(Int32\), grain"):
        read(tmp_path / "a.vti")
    np.testing.assert_array_equal(read(tmp_path / "a.vti", array="phase").labels[0], LABELS)
    with pytest.raises(InputError, match="has no array 'x'; name one by --array out of: phase"):
        read(tmp_path / "a.vti", array="x")
    (tmp_path / "b.vti").write_text(document(cells(TEXT) + cells(TEXT, name="stress", kind="Float32")))
    np.testing.assert_array_equal(read(tmp_path / "b.vti").labels[0], LABELS)


def test_a_folder_of_files(tmp_path: Path) -> None:
    for i in (10, 9):
        write_vti(tmp_path / f"a{i}.vti", Microstructures(labels=np.full((1, 4, 3), i - 9), n_phases=2))
    assert read(tmp_path).labels[:, 0, 0].tolist() == [0, 1]
    write_vti(tmp_path / "a11.vti", Microstructures(labels=np.zeros((1, 3, 4), int), n_phases=2))
    with pytest.raises(InputError, match=r"a11\.vti: has \(3, 4\) cells; expected \(4, 3\), as in a9\.vti"):
        read(tmp_path)


def test_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.vti"
    for content, message in [
        (document(cells(TEXT), spacing="1 0 2"), r"spacing \[1.0, 0.0, 2.0\]; expected three lengths above 0"),
        (document(cells("0 1 2")), r"'phase' holds 3 values; expected \[3, 2, 2\] by the extent"),
        (document(cells(TEXT.replace("2", "2.5"), kind="Float64")), "holds 2.5 at index .*; threshold a grey image"),
        (document(cells("")[:20]), "is no .vti file, or damaged"),
        (document(""), "holds 0 arrays that could be the labels"),
        (
            document(cells(TEXT)).replace("ImageData", "RectilinearGrid"),
            "holds RectilinearGrid; expected VTK ImageData",
        ),
        (document(cells(TEXT, form="binary"), head='compressor="vtkLZ4DataCompressor"'), "is compressed by vtkLZ4"),
        ("text", "is no .vti file, or damaged"),
    ]:
        path.write_text(content)
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match="is a pickle, which is never loaded"):
        read(path)
    write_vti(path, Microstructures(labels=np.zeros((1, 64, 64), int), n_phases=2))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"or damaged .*; the file is truncated"):
        read(path)
    with pytest.raises(InputError, match=r"got 2 images; expected one per \.vti file"):
        write_vti(path, Microstructures(labels=np.zeros((2, 4, 4), int), n_phases=2))
