"""Atomic files, locks of folders, JSON and digests."""

import hashlib
import os
from pathlib import Path

import pytest

from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import digest, digest_json, lock_folder, read_json, replacing, write_json, write_text


def test_content_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_bytes(b"x" * 100_000)
        assert not path.exists()
    assert path.read_bytes() == b"x" * 100_000
    assert os.listdir(path.parent) == ["file.txt"]


def test_permissions_are_those_that_the_umask_leaves(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for umask in (0o077, 0o027, 0o022, 0o002):
        before = os.umask(umask)
        try:
            write_text(path, "private or not")
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask, oct(umask)


def test_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "a longer first text")
    write_text(path, "grün")
    assert path.read_text(encoding="utf-8") == "grün"


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    def write_half(failure: type[BaseException]) -> None:
        with replacing(tmp_path / "file.txt") as temporary:
            temporary.write_text("half")
            raise failure

    for failure in (ValueError, KeyboardInterrupt):
        with pytest.raises(failure):
            write_half(failure)
        assert not list(tmp_path.iterdir())


def test_failure_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "before")
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(StorageError, match=r"file\.txt: cannot be written \(No space left"), replacing(path):
        raise OSError(28, os.strerror(28))
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_text(tmp_path / "file" / "inner.txt", "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder: cannot be written"):
        write_text(tmp_path / "folder", "a")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": "µ"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_json_errors(tmp_path: Path) -> None:
    for data in (b"{", b"\xff"):
        (tmp_path / "a.json").write_bytes(data)
        with pytest.raises(InputError, match=r"a\.json: is not valid JSON"):
            read_json(tmp_path / "a.json")
    with pytest.raises(
        InputError, match=r"b\.json: cannot be read \(No such file or directory\); expected a JSON file"
    ):
        read_json(tmp_path / "b.json")


def test_digest_is_sha256_of_lengths_and_parts() -> None:
    expected = hashlib.sha256((2).to_bytes(8, "little") + b"ab" + (1).to_bytes(8, "little") + b"c").hexdigest()
    assert digest("ab", b"c") == expected
    assert digest("a", "bc") != digest("ab", "c") != digest("abc")
    assert digest("") != digest()


def test_digest_of_json_does_not_see_the_order_of_keys() -> None:
    assert digest_json({"a": 1, "b": [1, 2]}) == digest_json({"b": [1, 2], "a": 1})
    assert digest_json({"b": [2, 1], "a": 1}) != digest_json({"b": [1, 2], "a": 1})


def test_a_folder_is_locked_by_one_until_it_is_closed(tmp_path: Path) -> None:
    first = lock_folder(str(tmp_path / "new"))
    assert first is not None
    with pytest.raises(InputError, match="new: is in use by another process, or open in this one"):
        lock_folder(str(tmp_path / "new"))
    first.close()
    second = lock_folder(str(tmp_path / "new"))
    assert second is not None
    second.close()
    assert lock_folder("s3://bucket/folder") is None
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        lock_folder(str(tmp_path / "file"))
