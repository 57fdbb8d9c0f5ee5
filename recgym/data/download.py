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
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock

from recgym.data import commerce
from recgym.data.log import DataError, InteractionLog
from recgym.data.paths import dataset_dir
from recgym.data.readers import READERS, detect, read, source_of
from recgym.data.registry import (
    DATASETS,
    PARQUET,
    Dataset,
    absent,
    check_counts,
    info,
    read_folder,
)
from recgym.data.sources import Source

logger = logging.getLogger("recgym.data")

CHUNK = 1 << 16
ATTEMPTS = 4  # connections in a row that bring nothing new
PAUSE = 0.5  # seconds before the first new attempt; doubled each time
TIMEOUT = 30  # seconds without a byte
NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)
# The file by which each layout is known, as patterns
KEY_FILES = {
    "ml-100k": ("u.data",),
    "ml-1m": ("ratings.dat",),
    "ml-csv": ("ratings.csv",),
    "lastfm": ("user_taggedartists-timestamps.dat", "user_taggedartists.dat"),
    "diginetica": ("train-item-views.csv",),
    "steam-200k": ("steam-200k.csv",),
    "amazon": ("reviews_*.json", "reviews_*.json.gz", "ratings_*.csv", "ratings_*.csv.gz"),
    "recbole": ("*.inter",),
    "gowalla": ("loc-gowalla_totalCheckins.txt", "loc-gowalla_totalCheckins.txt.gz"),
}
# Of layouts whose files come in large archives or alone in a folder of downloads: what is copied
COPIED = {
    "diginetica": ("train-item-views.csv", "product-categories.csv"),
    "steam-200k": KEY_FILES["steam-200k"],
    "amazon": (*KEY_FILES["amazon"], "meta_*.json", "meta_*.json.gz"),
    "recbole": ("*.inter", "*.item"),
    "gowalla": KEY_FILES["gowalla"],
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
    if entry.by_hand and not folder.is_dir():
        raise DataError(absent(entry))
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
        if not entry.checksum[0]:
            try:
                check_counts(entry, READERS[entry.format](archive, entry.name), part)
            except DataError:
                part.unlink()
                raise
        _place(folder, archive, archive.names)
        part.unlink()
    return folder


def import_path(
    path: str | Path, name: str | None = None, *, cache: str | Path | None = None
) -> Path:
    """Copy a downloaded file, or an unpacked folder, into the cache; return its folder there.

    A file is recognised by its checksum where one is known; others, and folders, by their layout
    and their counts of users, items and interactions, which must be those of the data set.
    ``name`` says which one it should be.

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
        entry, source, files = _recognise_file(path, wanted)
    folder = dataset_dir(entry.name, cache)
    with _locked(folder):
        _place(folder, source, files)
    return folder


def checksum_error(entry: Dataset, path: Path) -> str:
    """What is wrong with a file's checksum, or the empty string."""
    kind, expected = entry.checksum
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


def _recognise_file(path: Path, wanted: Dataset | None) -> tuple[Dataset, Source, list[str]]:
    entries = [e for e in DATASETS.values() if e.archive]
    if wanted is None:
        wanted = next((e for e in entries if e.checksum[0] and not checksum_error(e, path)), None)
    if wanted is None:
        wanted = next((e for e in entries if e.archive == path.name), None)
    counted = _counted(path)
    if wanted is None and not counted:
        raise DataError(
            f"{path}: not an official archive of {', '.join(e.name for e in entries)}. "
            "Read your own files with recgym.data.read(PATH)."
        )
    if wanted is not None and wanted.checksum[0]:
        wrong = checksum_error(wanted, path)
        if not wrong:
            own = path.name == wanted.archive
            source = source_of(path) if own else Source(path, name=wanted.archive)
            return wanted, source, _copied(wanted, source.names)
        if wanted not in counted:
            raise DataError(
                f"{path}: {wrong}, so it is not the complete {wanted.archive}. Download it again "
                f"from {wanted.url}; or unpack it and import the folder, whose content is then "
                "counted."
            )
    entry = wanted or counted[0]
    log = read(path, format=entry.format, name=entry.name)
    if wanted is None:
        entry = _by_counts(counted, log, parquet=False)
    check_counts(entry, log, path)
    source = source_of(path)
    return entry, source, _copied(entry, source.names)


def _counted(path: Path) -> list[Dataset]:
    """Data sets that a file, or a zip of any name, may be by its layout, and its content decides.

    Either no checksum is known, or the file is another than the one whose checksum is known.
    """
    try:
        source = source_of(path)
        found = _of_layout(detect(source), source.names)
    except DataError:
        return []
    return [
        e
        for e in found
        if not e.checksum[0]
        or (e.counts and commerce.category(e.archive) and e.archive not in source.names)
    ]


def _of_layout(layout: str | None, names: Iterable[str]) -> list[Dataset]:
    """The data sets of a layout, or of any; those of Amazon's categories in the names come alone.

    Where the names show no category of a known data set, all of them may be meant.
    """
    found = [e for e in DATASETS.values() if e.archive and layout in (None, e.format)]
    shown = {commerce.category(n) for n in names} - {None}
    return [e for e in found if commerce.category(e.archive) in shown] or found


def _by_counts(entries: list[Dataset], log: InteractionLog, *, parquet: bool) -> Dataset:
    """The one that has these counts, or the first."""
    found = (log.n_users, log.n_items, len(log))
    return next((e for e in entries if found in e.known_counts(parquet=parquet)), entries[0])


def _copied(entry: Dataset, names: Iterable[str]) -> list[str]:
    patterns = COPIED.get(entry.format, ("*",))
    return [n for n in names if any(fnmatchcase(n, p) for p in (*patterns, "*.parquet"))]


def _recognise_folder(path: Path, wanted: Dataset | None) -> tuple[Dataset, Source, list[str]]:
    source = Source(path)
    if PARQUET in source:
        layout, names, keys = None, (PARQUET,), (PARQUET,)
    else:
        layout = detect(source)
        names = commerce.amazon_files(source) if layout == "amazon" else source.names
        keys = KEY_FILES.get(layout, ())
    key = next((n for k in keys for n in names if fnmatchcase(n, k)), None)
    candidates = _of_layout(layout, names)
    if key is None or not candidates or (wanted is not None and wanted not in candidates):
        what = "a data set that recgym knows" if wanted is None else wanted.name
        raise DataError(
            f"{path}: this is not {what}. Read your own files with recgym.data.read(PATH)."
        )
    folder = source.folder(key)
    log = read_folder(wanted or candidates[0], folder)
    entry = wanted or _by_counts(candidates, log, parquet=layout is None)
    check_counts(entry, log, folder)
    inside = Source(folder)
    files = commerce.amazon_beside(key) or inside.names
    files = [n for n in files if n in inside and inside.folder(n) == folder]
    return entry, inside, _copied(entry, files)
