"""A small data set that the registry knows for the time of a test."""

from __future__ import annotations

import hashlib

import data_layouts as layouts

from recgym.data import InteractionLog, registry
from recgym.data.registry import Dataset


def archive(folder, log: InteractionLog) -> bytes:
    files = layouts.ml_csv(log)
    return layouts.as_zip(folder / "tiny.zip", files).read_bytes()


def entry(content: bytes, log: InteractionLog, **change) -> Dataset:
    fields = {
        "name": "tiny", "title": "Tiny", "licence": "For tests.", "archive": "tiny.zip",
        "url": "http://127.0.0.1:9/tiny.zip", "size": len(content), "format": "ml-csv",
        "sha256": hashlib.sha256(content).hexdigest(),
        "counts": (log.n_users, log.n_items, len(log)),
    }  # fmt: skip
    return Dataset(**{**fields, **change})


def register(monkeypatch, *entries: Dataset) -> None:
    known = {**registry.DATASETS, **{e.name: e for e in entries}}
    monkeypatch.setattr("recgym.data.registry.DATASETS", known)
    monkeypatch.setattr("recgym.data.download.DATASETS", known)
