"""Trainable networks over interaction logs, one file each.

>>> from recgym.models import model_class
>>> model_class("bert4rec").Config(n_items=100)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recgym.models.base import NextItemModel

_NEXT_ITEM = {
    "bert4rec": ("recgym.models.bert4rec", "BERT4Rec"),
    "sasrec": ("recgym.models.sasrec", "SASRec"),
}


def names() -> list[str]:
    """Names of the next-item models that :func:`model_class` knows."""
    return sorted(_NEXT_ITEM)


def model_class(name: str) -> type[NextItemModel]:
    """The class of a next-item model by name; raises ``ValueError`` that lists the known ones."""
    from importlib import import_module

    if name not in _NEXT_ITEM:
        raise ValueError(f"There is no model {name!r}. Known: {', '.join(names())}.")
    module, attribute = _NEXT_ITEM[name]
    return getattr(import_module(module), attribute)


__all__ = ["model_class", "names"]
