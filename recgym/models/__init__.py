"""Trainable networks over interaction logs, one file each.

>>> from recgym.models import model_class
>>> model_class("bert4rec").Config(n_items=100)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recgym.models.base import LogModel

_NEXT_ITEM = {
    "bert4rec": ("recgym.models.bert4rec", "BERT4Rec"),
    "caser": ("recgym.models.caser", "Caser"),
    "gru4rec": ("recgym.models.gru4rec", "GRU4Rec"),
    "sasrec": ("recgym.models.sasrec", "SASRec"),
}
_USER_ITEM = {
    "bpr": ("recgym.models.bpr", "BPR"),
    "transrec": ("recgym.models.transrec", "TransRec"),
}


def names() -> list[str]:
    """Names of the next-item models, which score a history whoever's it is."""
    return sorted(_NEXT_ITEM)


def user_item_names() -> list[str]:
    """Names of the models that must know whose history they score."""
    return sorted(_USER_ITEM)


def model_class(name: str) -> type[LogModel]:
    """The class of a model by name; raises ``ValueError`` that lists the known ones."""
    from importlib import import_module

    known = _NEXT_ITEM | _USER_ITEM
    if name not in known:
        raise ValueError(f"There is no model {name!r}. Known: {', '.join(sorted(known))}.")
    module, attribute = known[name]
    return getattr(import_module(module), attribute)


__all__ = ["model_class", "names", "user_item_names"]
