"""What a power cut leaves of a folder: a command's file calls by strace, replayed on a disk that keeps what was synced.

The disk is the worst that POSIX allows: a name is there after a cut if its folder was synced since it got the name, and
so on up to the folder that is watched; a file has its content if it was synced after it was last written.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate"}
_COPIES = {"copy_file_range": 1, "sendfile": 0}  # place of the file descriptor that is written to
_NAMES = {"rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"}
_CALLS = {"open", "openat", "creat", "fsync", "fdatasync", *_WRITES, *_COPIES, *_NAMES}
_LINE = re.compile(r"^(\d+\.\d+) (\w+)\((.*)\)\s+= (\d+)(?:<(.*)>)?$")
_STRING = re.compile(r'(?:<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"(\d+)<([^>]*)>")


@dataclass
class _Node:
    """A file or folder; `names` is what is in a folder, `synced` what of it would be there after a cut."""

    names: dict[str, "_Node"] = field(default_factory=dict)
    synced: dict[str, "_Node"] = field(default_factory=dict)
    dirty: bool = False


class Disk:
    """The disk below one folder, which is empty at first."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._root = folder, _Node()

    def lost(self) -> list[str]:
        """What a cut would take now: names, and those of files without their content. Hidden names do not count."""
        found: list[str] = []

        def look(node: _Node, path: str) -> None:
            for name, child in sorted(node.names.items()):
                if name.startswith("."):
                    continue
                if node.synced.get(name) is not child:
                    found.append(f"{path}{name}: name")
                elif child.dirty:
                    found.append(f"{path}{name}: content")
                look(child, f"{path}{name}/")

        look(self._root, "")
        return found

    def left(self, to: Path) -> None:
        """Copies what a cut at the end of the command leaves; files without their content are empty."""

        def copy(node: _Node, source: Path, target: Path) -> None:
            target.mkdir()
            for name, child in node.synced.items():
                if node.names.get(name) is not child or not (source / name).exists():
                    continue
                if (source / name).is_dir():
                    copy(child, source / name, target / name)
                elif child.dirty:
                    (target / name).touch()
                else:
                    shutil.copyfile(source / name, target / name)

        copy(self._root, self.folder, to)

    def call(self, name: str, descriptors: Sequence[str], paths: Sequence[str], flags: str, opened: str) -> None:
        """Takes a call that succeeded."""
        if name in ("open", "openat", "creat"):
            writes = name == "creat" or "O_WRONLY" in flags or "O_RDWR" in flags
            if "O_TMPFILE" not in flags and (where := self._parent(opened)) and writes:
                parent, last = where
                # As if it wrote at once: what is mapped into memory is written without a call.
                parent.names.setdefault(last, _Node()).dirty = True
        elif name in _WRITES or name in _COPIES:
            place = _COPIES.get(name, 0)
            if place < len(descriptors) and (node := self._node(descriptors[place])):
                node.dirty = True
        elif name in ("fsync", "fdatasync"):
            if node := self._node(descriptors[0]):
                node.dirty, node.synced = False, dict(node.names)
        elif name.startswith("mkdir"):
            if where := self._parent(paths[0]):
                where[0].names[where[1]] = _Node()
        elif name.startswith(("unlink", "rmdir")):
            if where := self._parent(paths[0]):
                where[0].names.pop(where[1], None)
        else:
            source, target = (self._parent(path) for path in paths[:2])
            node = source[0].names.get(source[1]) if source else None
            if source and name.startswith("rename"):
                source[0].names.pop(source[1], None)
            if target:
                target[0].names[target[1]] = node or _Node(dirty=True)

    def _node(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        try:
            parts = Path(path).relative_to(self.folder).parts
        except ValueError:
            return None
        for part in parts:
            node = node.names.get(part) if node else None
        return node

    def _parent(self, path: str) -> tuple[_Node, str] | None:
        if Path(path) == self.folder:
            return None
        node = self._node(str(Path(path).parent))
        return (node, Path(path).name) if node else None


def traceable() -> bool:
    """Whether strace is there and may look at what a process calls."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


def traced(command: Sequence[Any], traces: Path, **options: Any) -> "subprocess.Popen[bytes]":
    """Starts a command whose calls go to files in `traces`, an empty folder outside the one that is watched."""
    strace = ["strace", "-f", "-ff", "--seccomp-bpf", "-qq", "-y", "-ttt", "-s", "200", "-e", "signal=none"]
    strace += ["-e", "trace=" + ",".join(sorted(_CALLS)), "-o", str(traces / "calls")]
    return subprocess.Popen([*strace, *map(str, command)], **options)


def replay(traces: Path, folder: Path, said: Callable[[str, Disk], None] = lambda text, disk: None) -> Disk:
    """Replays the calls of a traced command, of all its processes, on a disk.

    Args:
        traces: As for `traced`.
        folder: The folder that is watched, its real and whole path.
        said: Called with each text that goes to standard output or error, and the disk as it was then.
    """
    disk = Disk(folder)
    for name, arguments, opened in _calls(traces):
        descriptors = _DESCRIPTOR.findall(arguments)
        if name == "write" and descriptors and descriptors[0][0] in ("1", "2"):
            text = _STRING.search(arguments)
            said(text.group(2).encode().decode("unicode_escape") if text else "", disk)
        paths = [str(Path(base or folder) / path) for base, path in _STRING.findall(arguments)]
        disk.call(name, [path for _, path in descriptors], paths, arguments, opened)
    return disk


def _calls(traces: Path) -> Iterator[tuple[str, str, str]]:
    lines = [line for file in traces.iterdir() for line in file.read_text(errors="replace").splitlines()]
    found = [match.groups() for line in lines if (match := _LINE.match(line))]
    for _, name, arguments, _, opened in sorted(found, key=lambda each: float(each[0])):
        yield name, arguments, opened or ""
