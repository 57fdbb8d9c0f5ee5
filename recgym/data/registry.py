"""The data sets known by name, and :func:`load`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from recgym.data.log import DataError, InteractionLog
from recgym.data.paths import dataset_dir, shared_dir
from recgym.data.splits import k_core

PARQUET = "interactions.parquet"
VARIANTS = ("raw", "clean", "paper")
GROUPLENS = "https://files.grouplens.org/datasets"
AMAZON = "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
RESEARCH = "Research only, not commercial; cite; do not share on (GroupLens)."
IFRQE = (
    "https://raw.githubusercontent.com/Paitesanshi/IFRQE/0aee8430835c2d70d017ad2fa1518caff88a91e2"
)
REDISTRIBUTABLE = "Not commercial; cite; share on the same terms only (GroupLens)."


@dataclass(frozen=True)
class Dataset:
    """One data set that :func:`load` knows."""

    name: str
    title: str
    licence: str  # one sentence
    archive: str = ""  # the official file's name; '' where nothing needs to be downloaded
    url: str = ""
    size: int = 0  # bytes of the archive, 0 where unknown
    sha256: str = ""
    md5: str = ""
    format: str = ""  # of `recgym.data.read`
    counts: tuple[int, int, int] | None = None  # users, items, interactions of variant "raw"
    editions: tuple[tuple[int, int, int], ...] = ()  # published counts of other official files
    # of an interactions.parquet that holds a paper's selection, where official files hold more
    parquet_counts: tuple[int, int, int] | None = None
    variants: tuple[str, ...] = ("raw", "clean")
    embedded: bool = False  # always present
    by_hand: bool = False  # the address is a page that wants an account

    @property
    def checksum(self) -> tuple[str, str]:
        """Kind and value; ``("", "")`` where none is known and the content is counted instead."""
        kind = "sha256" if self.sha256 else "md5" if self.md5 else ""
        return kind, self.sha256 or self.md5

    def known_counts(self, *, parquet: bool) -> tuple[tuple[int, int, int], ...]:
        """What its Parquet, or its official files, may count; empty where anything goes."""
        if parquet and self.parquet_counts:
            return (self.parquet_counts,)
        return (self.counts, *self.editions) if self.counts else ()


def _movielens(name: str, title: str, **fields) -> Dataset:
    return Dataset(
        name, title, archive=f"{name}.zip", url=f"{GROUPLENS}/movielens/{name}.zip", **fields
    )


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Dataset(
                "ml-latest-small",
                "MovieLens latest-small (2016)",
                REDISTRIBUTABLE,
                counts=(671, 9_066, 100_004),
                embedded=True,
            ),
            Dataset(
                "synthetic",
                "A seeded Markov world of genres",
                "None: made up by recgym.",
                embedded=True,
            ),
            _movielens(
                "ml-100k",
                "MovieLens 100K (1998)",
                licence=RESEARCH,
                size=4_924_029,
                sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                format="ml-100k",
                counts=(943, 1_682, 100_000),
            ),
            _movielens(
                "ml-1m",
                "MovieLens 1M (2000)",
                licence=RESEARCH,
                size=5_917_549,
                sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
                format="ml-1m",
                counts=(6_040, 3_706, 1_000_209),
                variants=VARIANTS,
            ),
            _movielens(
                "ml-20m",
                "MovieLens 20M (2015)",
                licence=REDISTRIBUTABLE,
                size=198_702_078,
                sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
                format="ml-csv",
                counts=(138_493, 26_744, 20_000_263),
            ),
            _movielens(
                "ml-25m",
                "MovieLens 25M (2019)",
                licence=REDISTRIBUTABLE,
                size=261_978_986,
                sha256="8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
                format="ml-csv",
                counts=(162_541, 59_047, 25_000_095),
            ),
            Dataset(
                "lastfm-2k",
                "Last.fm 2K, artists (HetRec 2011)",
                "Non-commercial use, cite (HetRec 2011, Last.fm).",
                archive="hetrec2011-lastfm-2k.zip",
                url=f"{GROUPLENS}/hetrec2011/hetrec2011-lastfm-2k.zip",
                md5="296d61afe4e8632b173fc2dd3be20ce2",
                format="lastfm",
                counts=(1_892, 12_523, 71_064),
                variants=VARIANTS,
            ),
            Dataset(
                "diginetica",
                "Diginetica, views by session (CIKM Cup 2016)",
                "Terms of the CIKM Cup 2016: no open licence, do not share on.",
                archive="train-item-views.csv",
                url="https://competitions.codalab.org/competitions/11161",
                format="diginetica",
                counts=(202_633, 43_097, 982_961),
                editions=((310_324, 122_993, 1_235_380),),
                variants=VARIANTS,
                by_hand=True,
            ),
            Dataset(
                "steam-200k",
                "Steam, 200,000 purchases and plays (Kaggle)",
                "Terms of its Kaggle page: do not share on.",
                archive="steam-200k.csv",
                url="https://www.kaggle.com/datasets/tamber/steam-video-games",
                format="steam-200k",
                counts=(12_393, 5_155, 128_804),
                by_hand=True,
            ),
            Dataset(
                "amazon-video-games",
                "Amazon Video Games (2014)",
                "No open licence; research use, cite McAuley et al.; do not share on.",
                archive="reviews_Video_Games_5.json.gz",
                url=f"{AMAZON}/reviews_Video_Games_5.json.gz",
                format="amazon",
                counts=(31_013, 23_715, 287_107),
                # the 5-core, and all reviews or ratings
                editions=((24_303, 10_672, 231_780), (826_767, 50_210, 1_324_753)),
            ),
            Dataset(
                "ifrqe-simulation",
                "Simulated world of the IFRQE paper's authors",
                "No licence stated by its authors: do not share on.",
                archive="simulation.inter",
                url=f"{IFRQE}/dataset/simulation/simulation.inter",
                size=255_787,
                sha256="871e9e5206a8897831bcb81d75da9835dec9c23e1b662d67c242c8644fede184",
                format="recbole",
                counts=(1_000, 1_000, 12_305),
            ),
            Dataset(
                "amazon-beauty",
                "Amazon Beauty, reviews (2014)",
                "Research only; cite; do not share on (J. McAuley, UCSD; Amazon).",
                archive="reviews_Beauty.json.gz",
                url=f"{AMAZON}/reviews_Beauty.json.gz",
                md5="906aede3b59d160d57f418d009ccf948",
                format="amazon",
                counts=(1_210_271, 249_274, 2_023_070),
                editions=((22_363, 12_101, 198_502),),  # the 5-core
                parquet_counts=(8_159, 5_862, 98_566),
                variants=VARIANTS,
            ),
            Dataset(
                "gowalla",
                "Gowalla, check-ins (2009-2010)",
                "Research; cite E. Cho et al., KDD 2011 (SNAP, Stanford).",
                archive="loc-gowalla_totalCheckins.txt.gz",
                url="https://snap.stanford.edu/data/loc-gowalla_totalCheckins.txt.gz",
                size=105_470_044,
                md5="8ebd5ed2dd376d8982987c49429cb9f9",
                format="gowalla",
                parquet_counts=(29_858, 40_981, 1_027_370),
                variants=VARIANTS,
            ),
        )
    }
)


def names() -> tuple[str, ...]:
    """The names that :func:`load` knows."""
    return tuple(DATASETS)


def info(name: str) -> Dataset:
    """Title, licence, address and checksum of a data set; :class:`DataError` if unknown."""
    if name not in DATASETS:
        raise DataError(
            f"No data set is called {name!r}. Known: {', '.join(DATASETS)}. "
            "Your own files: recgym.data.read(PATH), or a path that exists, where one is taken."
        )
    return DATASETS[name]


def locate(name: str) -> Path | None:
    """The folder that holds a data set on this machine, ``None`` where it is absent."""
    entry = info(name)
    if entry.embedded:
        return None
    folder = dataset_dir(name)
    if folder.is_dir():
        return folder
    shared = shared_dir()
    if shared is None:
        return None
    files = (PARQUET, entry.archive)
    return shared / name if any((shared / name / file).is_file() for file in files) else None


def load(name: str, variant: str = "clean") -> InteractionLog:
    """A data set by name.

    Args:
        name: one of :func:`names`.
        variant: ``"raw"`` is everything; ``"clean"`` its 5-core (users and items with at least five
            interactions); ``"paper"`` what the influence-path paper (``ml-1m``, ``lastfm-2k``),
            the data-selection paper (``diginetica``) or the data-valuation paper used
            (``amazon-beauty``, ``gowalla``; where the files are Parquet, they hold this selection
            and nothing else, also as ``"raw"``). The synthetic world is always whole.

    Looks in the cache (``RECGYM_CACHE``), then in the folder named by ``RECGYM_SHARED_DATA``.
    Logs are immutable and kept in memory, so a second call costs nothing. MovieLens 1M from that
    folder has no ``time`` (its order is the paper's authors'); from the official archive it has.

    Raises:
        DataError: unknown name or variant; the data set is not on this machine (the message is the
            command that gets it).
    """
    entry = info(name)
    if variant not in entry.variants:
        raise DataError(f"{name} has no variant {variant!r}. It has: {', '.join(entry.variants)}.")
    if entry.embedded:
        return _embedded(name, variant)
    folder = locate(name)
    if folder is None:
        raise DataError(absent(entry))
    files = tuple(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
        if path.is_file()
    )
    return _load(entry, variant, folder, files)


def absent(entry: Dataset) -> str:
    """The sentence that gets a data set."""
    if entry.by_hand:
        return (
            f"{entry.name} is not on this machine: download {entry.archive} from {entry.url} (it "
            "wants an account) and run `recgym data import PATH`."
        )
    return (
        f"{entry.name} is not on this machine: run `recgym data fetch {entry.name}`, or, without a "
        f"network, download {entry.archive} from {entry.url} and run `recgym data import PATH`."
    )


@functools.lru_cache(maxsize=16)
def _embedded(name: str, variant: str) -> InteractionLog:
    if name == "synthetic":
        from recgym.data import synthetic

        return synthetic.default_world().log()
    from recgym.data.embedded import movielens_latest_small

    raw = movielens_latest_small() if variant == "raw" else _embedded(name, "raw")
    return raw if variant == "raw" else k_core(raw)


@functools.lru_cache(maxsize=8)
def _load(entry: Dataset, variant: str, folder: Path, files: tuple) -> InteractionLog:
    if variant == "raw":
        log = read_folder(entry, folder)
        check_counts(entry, log, folder)
        return log
    if variant == "clean":
        return k_core(_load(entry, "raw", folder, files))
    from recgym.data import paper

    if entry.parquet_counts:
        prepared = (folder / PARQUET).is_file()
        return paper.valuation(_load(entry, "raw", folder, files), prepared=prepared)
    if entry.name == "ml-1m":
        return paper.capped(_load(entry, "raw", folder, files))
    if entry.name == "diginetica":
        raw = _load(entry, "raw", folder, files)
        return paper.diginetica(raw, cut=len(raw) == entry.editions[0][2])
    return _lastfm_paper(entry, folder)


def read_folder(entry: Dataset, folder: Path) -> InteractionLog:
    """Everything, from the official files or from ``interactions.parquet``."""
    from recgym.data.readers import parquet_folder, read

    if (folder / PARQUET).is_file():
        return parquet_folder(folder, entry.name)
    return read(folder, format=entry.format, name=entry.name)


def check_counts(entry: Dataset, log: InteractionLog, folder: Path) -> None:
    """Refuse a folder that holds something else, or less."""
    found = (log.n_users, log.n_items, len(log))
    known = entry.known_counts(parquet=(folder / PARQUET).is_file())
    if known and found not in known:
        expected = " or ".join(" / ".join(f"{n:,}" for n in counts) for counts in known)
        get = entry.url if entry.by_hand else f"`recgym data fetch {entry.name}`"
        raise DataError(
            f"{folder}: {' / '.join(f'{n:,}' for n in found)} users, items and interactions, but "
            f"{entry.name} has {expected}. Get the complete data set "
            f"({get}), or read your own with recgym.data.read(PATH)."
        )


def _lastfm_paper(entry: Dataset, folder: Path) -> InteractionLog:
    from recgym.data import formats, paper
    from recgym.data.sources import Source
    from recgym.data.tables import read_parquet

    source = Source(folder)
    if any(file in source for file in formats.TAGGINGS):
        taggings = formats.lastfm_taggings(source)
        return paper.lastfm(taggings, formats.lastfm_items(source, taggings), name=entry.name)
    if "taggings.parquet" not in source:
        raise DataError(
            f"{folder}: variant 'paper' needs all tag assignments in their order "
            f"({formats.TAGGINGS[0]} or taggings.parquet). Get the official archive: "
            f"recgym data fetch {entry.name}"
        )
    taggings = read_parquet(source, "taggings.parquet")
    taggings = taggings.with_frame(
        taggings.frame.assign(timestamp=taggings.frame["timestamp_ms"] // 1000)
    )
    items = read_parquet(source, "items.parquet") if "items.parquet" in source else None
    return paper.lastfm(taggings, items, name=entry.name)
