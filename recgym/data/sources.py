"""A directory, a zip archive or a single file, seen as one flat set of named files."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from recgym.data.log import DataError

# an encrypted entry is a RuntimeError of zipfile's, an unknown compression a NotImplementedError
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
GZIP_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error)


class Source:
    """Files of a data set by base name, whether they lie in a folder, in a zip, or alone.

    A file is found at the top or one folder down (GroupLens' archives hold one folder, HetRec's
    hold none). Raises :class:`DataError` where the path is absent, the archive is truncated or an
    entry of it points outside of the archive. ``only`` keeps the files of these names; ``name``
    is what a single file should be called.
    """

    def __init__(
        self, path: str | Path, *, only: Container[str] | None = None, name: str | None = None
    ):
        self.path = Path(path)
        self._zip = False
        if not self.path.exists():
            raise DataError(f"{self.path}: no such file or directory. Check the path.")
        if self.path.is_dir():
            paths = [p for depth in ("*", "*/*") for p in sorted(self.path.glob(depth))]
            self._files = _first_by_name(
                (p.name, str(p)) for p in paths if p.is_file() and not p.name.startswith(".")
            )
        elif zipfile.is_zipfile(self.path) or self.path.suffix.lower() == ".zip":
            self._zip = True
            self._files = _first_by_name(
                (PurePosixPath(name).name, name) for name in zip_names(self.path)
            )
        else:
            self._files = {name or self.path.name: str(self.path)}
        if only is not None:
            self._files = {k: v for k, v in self._files.items() if k in only}

    @property
    def names(self) -> tuple[str, ...]:
        """Base names of the files."""
        return tuple(self._files)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def where(self, name: str) -> str:
        """What messages call the file."""
        full = self._full(name)
        return f"{self.path}:{full}" if self._zip else full

    def _full(self, name: str) -> str:
        if name not in self._files:
            raise DataError(f"{self.path}: {name} is missing. Get the complete data set again.")
        return self._files[name]

    def folder(self, name: str) -> Path:
        """The folder of a file; not for archives."""
        return Path(self._full(name)).parent

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A binary stream of the file's content."""
        if not self._zip:
            with Path(self._full(name)).open("rb") as stream:
                yield stream
            return
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self._full(name)) as stream:
                yield stream
        except ZIP_ERRORS as error:
            raise DataError(f"{self.where(name)}: {_damaged(error)}") from error

    def bytes(self, name: str) -> bytes:
        """The file's whole content."""
        with self.open(name) as stream:
            return stream.read()


class Unpacked(Source):
    """A source whose ``.gz`` files are read as what they hold."""

    def __init__(self, source: Source):
        self.__dict__.update(source.__dict__)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A binary stream of the file's content, unpacked."""
        with super().open(name) as stream:
            if not name.endswith(".gz"):
                yield stream
                return
            try:
                with gzip.open(stream) as content:
                    yield content  # pyright: ignore[reportReturnType]
            except GZIP_ERRORS as error:
                raise DataError(
                    f"{self.where(name)}: the gzip file is truncated or damaged ({error}). "
                    "Download it again."
                ) from error


def zip_names(path: Path) -> list[str]:
    """Names of the files in an archive, all of which stay inside the folder it is unpacked to.

    Raises:
        DataError: the archive is truncated or not a zip, or a name is absolute or climbs with
            ``..`` ("zip slip").
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except ZIP_ERRORS as error:
        raise DataError(f"{path}: {_damaged(error)}") from error
    for info in infos:
        name = info.filename.replace("\\", "/")
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/") or is_link:
            raise DataError(
                f"{path}: entry {info.filename!r} points outside of the archive. "
                "Nothing was unpacked; get the file from its official address."
            )
    return [
        info.filename
        for info in infos
        if not info.filename.startswith("__MACOSX/")
        and not PurePosixPath(info.filename).name.startswith(".")
    ]


def _damaged(error: BaseException) -> str:
    return f"the zip archive is truncated or damaged ({error}). Delete it and download it again."


def _first_by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Shallow files come before deep ones, so that a copy in a subfolder does not hide them."""
    files: dict[str, str] = {}
    for name, full in sorted(pairs, key=lambda pair: _depth(pair[1])):
        files.setdefault(name, full)
    return files


def _depth(name: str) -> int:
    return name.replace("\\", "/").count("/")
