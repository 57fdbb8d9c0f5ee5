"""Make the embedded data set from Debian's package r-cran-dslabs 0.7.4-1 (object `movielens`).

    apt-get download r-cran-dslabs && dpkg -x r-cran-dslabs_0.7.4-1_all.deb dslabs
    python scripts/embed_movielens.py dslabs

Writes recgym/data/files/ml-latest-small/ratings.npz: rows in the order of the source's
ratings.csv, user ids 1..671 as counts, item codes, doubled ratings, seconds, and the items'
identifiers, titles, years and genres as text. The result is the same byte for byte on every run.
"""

from __future__ import annotations

import argparse
import bz2
import io
import lzma
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

TARGET = Path(__file__).parents[1] / "recgym/data/files/ml-latest-small/ratings.npz"
USERS, ITEMS, RATINGS = 671, 9066, 100_004


def read_lazyload(folder: Path, name: str) -> pd.DataFrame:
    """One object of an R lazy-load data base (Rdata.rdx is its index, Rdata.rdb its body)."""
    import rdata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = rdata.conversion.convert(rdata.parser.parse_file(folder / "Rdata.rdx"))
        start, length = (int(v) for v in index["variables"][name])
        chunk = (folder / "Rdata.rdb").read_bytes()[start : start + length]
        (size,) = struct.unpack(">I", chunk[:4])
        kinds = {b"2": bz2.decompress, b"Z": lzma.decompress}
        kind = kinds.get(chunk[4:5])
        body = kind(chunk[5:]) if kind else zlib.decompress(chunk[4:])
        assert len(body) == size, "the data base is truncated"
        return rdata.conversion.convert(rdata.parser.parse_data(body))


def columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """The frame as small integer arrays and text."""
    item_ids, item = np.unique(frame["movieId"].to_numpy(np.int32), return_inverse=True)
    user = frame["userId"].to_numpy(np.int32)
    assert (np.diff(user) >= 0).all(), "rows must be grouped by user"
    counts = np.bincount(user)[1:]
    assert (len(counts), len(item_ids), len(frame)) == (USERS, ITEMS, RATINGS)
    items = frame.drop_duplicates("movieId").set_index("movieId").loc[item_ids]
    text = {
        "titles": items["title"].fillna("").astype(str),
        "genres": items["genres"].astype(str).replace("(no genres listed)", ""),
    }
    return {
        "events_per_user": counts.astype(np.uint16),
        "item": item.astype(np.uint16),
        "rating2": (frame["rating"].to_numpy() * 2).astype(np.uint8),
        "seconds": frame["timestamp"].to_numpy(np.uint32),
        "item_ids": item_ids.astype(np.uint32),
        "years": items["year"].fillna(0).to_numpy(np.uint16),
        **{
            key: np.frombuffer("\n".join(column).encode(), dtype=np.uint8)
            for key, column in text.items()
        },
    }


def write(target: Path, arrays: dict[str, np.ndarray]) -> None:
    """A compressed .npz without time stamps, so that it can be compared byte for byte."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_LZMA
            archive.writestr(entry, buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("package", type=Path, help="folder of the unpacked Debian package")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    folder = arguments.package / "usr/lib/R/site-library/dslabs/data"
    write(arguments.target, columns(read_lazyload(folder, "movielens")))
    print(f"{arguments.target}: {arguments.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
