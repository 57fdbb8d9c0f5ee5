"""Getting data sets: download with resume and checksum, or import of a file already here.

A data set appears in the cache as a whole folder or not at all: it is unpacked beside its place
and renamed, under a lock, so that two processes may ask for it at once.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock

from recgym.data.log import DataError
from recgym.data.paths import dataset_dir
from recgym.data.registry import DATASETS, Dataset, check_counts, info, read_folder
from recgym.data.sources import Source

logger = logging.getLogger("recgym.data")

CHUNK = 1 << 16
ATTEMPTS = 4  # connections in a row that bring nothing new
PAUSE = 0.5  # seconds before the first new attempt; doubled each time
TIMEOUT = 30  # seconds without a byte
NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)
# The file by which each layout is known
KEY_FILES = {
    "ml-100k": ("u.data",),
    "ml-1m": ("ratings.dat",),
    "ml-csv": ("ratings.csv",),
    "lastfm": ("user_taggedartists-timestamps.dat", "user_taggedartists.dat"),
    "amazon": ("reviews_Beauty.json.gz", "reviews_Beauty.json"),
    "gowalla": ("loc-gowalla_totalCheckins.txt.gz", "loc-gowalla_totalCheckins.txt"),
}


def fetch(name: str, *, cache: str | Path | None = None, url: str | None = None) -> Path:
    """Download a data set into the cache, unless it is there, and return its folder.

    A download that was cut goes on where it stopped, in this call or in a later one.

    Args:
        name: one of :func:`recgym.data.names`.
        cache: folder to use in place of the cache (``RECGYM_CACHE``).
        url: address to use in place of the official one (a mirror); the checksum is the same.

    Raises:
        DataError: no network (the message says which file to bring from where), wrong checksum,
            damaged archive. Nothing half-written stays, but the ``.part`` file to resume from.
    """
    entry = info(name)
    if not entry.archive:
        raise DataError(f"{name} is part of recgym: there is nothing to fetch. Just load it.")
    folder = dataset_dir(name, cache)
    with _locked(folder):
        if folder.is_dir():
            return folder
        part = folder.parent / f"{entry.archive}.part"
        resumed = part.exists()
        address = url or entry.url
        _download(entry, address, part)
        wrong = checksum_error(entry, part)
        if wrong and resumed:  # the part may have been another file's beginning
            logger.warning("%s: %s; downloading from the start.", part, wrong)
            part.unlink()
            _download(entry, address, part)
            wrong = checksum_error(entry, part)
        if wrong:
            part.unlink()
            raise DataError(
                f"{address}: {wrong}. The file was deleted. Run `recgym data fetch {name}` again; "
                f"if this repeats, download {entry.archive} from {entry.url} with a browser and "
                "run `recgym data import PATH`."
            )
        archive = Source(part, name=entry.archive)
        _place(folder, archive, archive.names)
        part.unlink()
    return folder


def import_path(
    path: str | Path, name: str | None = None, *, cache: str | Path | None = None
) -> Path:
    """Copy a downloaded archive, or an unpacked folder, into the cache; return its folder there.

    An archive is recognised by its checksum; a folder by its layout and its counts of users, items
    and interactions, which must be those of the data set. ``name`` says which one it should be.

    Raises:
        DataError: not a data set that is known, another one than ``name``, damaged, incomplete.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such file or directory. Check the path.")
    wanted = None if name is None else info(name)
    if wanted is not None and not wanted.archive:
        raise DataError(f"{name} is part of recgym: there is nothing to import. Just load it.")
    if path.is_dir():
        entry, source, files = _recognise_folder(path, wanted)
    else:
        entry = _recognise_archive(path, wanted)
        source = Source(path, name=entry.archive)
        files = source.names
    folder = dataset_dir(entry.name, cache)
    with _locked(folder):
        _place(folder, source, files)
    return folder


def checksum_error(entry: Dataset, path: Path) -> str:
    """What is wrong with a file's checksum, or the empty string."""
    kind = "sha256" if entry.sha256 else "md5"
    expected = getattr(entry, kind)
    if not expected:
        return ""
    found = _digest(path, kind)
    return "" if found == expected else f"{kind} is {found}, expected {expected}"


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f"{folder.name}.lock"):
            yield
    except OSError as error:
        raise DataError(
            f"{folder.parent}: cannot write here ({error.strerror or error}). "
            "Make room, or set RECGYM_CACHE to a folder that you own."
        ) from error


def _place(folder: Path, source: Source, files: Iterable[str]) -> None:
    """Copy files, flat, to a folder that appears at once, in place of an older one."""
    prefix = f".{folder.name}@"
    for abandoned in folder.parent.glob(f"{prefix}*"):  # by a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    fresh = Path(mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        for file in files:
            with source.open(file) as stream, (fresh / file).open("wb") as target:
                shutil.copyfileobj(stream, target, 1 << 20)
        fresh.chmod(0o755)
        if folder.exists():
            old = Path(mkdtemp(prefix=prefix, dir=folder.parent))
            os.replace(folder, old / "old")
            os.replace(fresh, folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _download(entry: Dataset, url: str, part: Path) -> None:
    """Bring ``part`` to its full length, from where it stands."""
    from tqdm import tqdm

    fruitless, error = 0, None
    with tqdm(
        desc=entry.archive, total=entry.size or None, unit="B", unit_scale=True, disable=None
    ) as bar:
        while fruitless < ATTEMPTS:
            before = part.stat().st_size if part.exists() else 0
            if entry.size and before > entry.size:
                part.unlink()
                continue
            if entry.size and before == entry.size:
                return
            bar.n = before
            try:
                if _receive(url, part, before, bar):
                    return
                error = "the connection was cut"
            except urllib.error.HTTPError as answer:
                if answer.code < 500:
                    raise DataError(_by_hand(entry, url, f"the server says {answer}")) from answer
                error = answer
            except NETWORK_ERRORS as failure:
                error = getattr(failure, "reason", None) or failure
            after = part.stat().st_size if part.exists() else 0
            fruitless = 0 if after > before else fruitless + 1
            if 0 < fruitless < ATTEMPTS:
                time.sleep(PAUSE * 2 ** (fruitless - 1))
    raise DataError(_by_hand(entry, url, str(error)))


def _by_hand(entry: Dataset, url: str, reason: str) -> str:
    return (
        f"{entry.name}: cannot download {url} ({reason}). Try again later (what has arrived is "
        f"kept), or, on a machine with a network, download {entry.archive} from {entry.url}, bring "
        "it here and run `recgym data import PATH`."
    )


def _receive(url: str, part: Path, offset: int, bar) -> bool:
    """One connection; whether the file is complete afterwards."""
    request = urllib.request.Request(url, headers={"User-Agent": "recgym"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as answer:
        if answer.code == 416:  # nothing after the offset: the checksum decides
            return True
        raise
    with response:
        span = response.headers.get("Content-Range", "")
        resumes = response.status == 206 and span.startswith(f"bytes {offset}-")
        if response.status == 206 and not resumes:
            part.unlink(missing_ok=True)  # an answer to another question: start over
            return False
        length = response.headers.get("Content-Length")
        expected = None if length is None else int(length)
        received = 0
        if not resumes:
            bar.n = 0
        if expected is not None:
            bar.total = expected + (offset if resumes else 0)
        with part.open("ab" if resumes else "wb") as target:
            while chunk := _chunk(response):
                target.write(chunk)
                received += len(chunk)
                bar.update(len(chunk))
    return expected is None or received >= expected


def _chunk(response) -> bytes:
    try:
        return response.read(CHUNK)
    except OSError as error:  # TLS errors among them; not to be taken for a full disk
        raise ConnectionError(str(error)) from error


def _recognise_archive(path: Path, wanted: Dataset | None) -> Dataset:
    candidates = [e for e in DATASETS.values() if e.archive]
    if wanted is None:
        for entry in candidates:
            if not checksum_error(entry, path):
                return entry
        wanted = next((e for e in candidates if e.archive == path.name), None)
        if wanted is None:
            raise DataError(
                f"{path}: not an official archive of {', '.join(e.name for e in candidates)}. "
                "Read your own files with recgym.data.read(PATH)."
            )
    if wrong := checksum_error(wanted, path):
        raise DataError(
            f"{path}: {wrong}, so it is not the complete {wanted.archive}. Download it again from "
            f"{wanted.url}; or unpack it and import the folder, whose content is then counted."
        )
    return wanted


def _recognise_folder(path: Path, wanted: Dataset | None) -> tuple[Dataset, Source, list[str]]:
    from recgym.data.readers import detect

    source = Source(path)
    if "interactions.parquet" in source:
        keys, layout = ("interactions.parquet",), None
    else:
        layout = detect(source)
        keys = KEY_FILES.get(layout, ())
    key = next((k for k in keys if k in source), None)
    candidates = [e for e in DATASETS.values() if e.archive and layout in (None, e.format)]
    if key is None or not candidates or (wanted is not None and wanted not in candidates):
        what = "a data set that recgym knows" if wanted is None else wanted.name
        raise DataError(
            f"{path}: this is not {what}. Read your own files with recgym.data.read(PATH)."
        )
    folder = source.folder(key)
    log = read_folder(wanted or candidates[0], folder)
    if wanted is None:
        found = (log.n_users, log.n_items, len(log))
        wanted = next(
            (e for e in candidates if found in (e.counts, e.parquet_counts)), candidates[0]
        )
    check_counts(wanted, log, folder)
    inside = Source(folder)
    return wanted, inside, [n for n in inside.names if inside.folder(n) == folder]
