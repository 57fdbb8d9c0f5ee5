"""Trainable networks over interaction logs, one file each.

>>> from recgym.models import model_class
>>> model_class("bert4rec").Config(n_items=100)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recgym.models.base import LogModel
    from recgym.models.collaborative import Collaborative

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
_COLLABORATIVE = {
    "lightgcn": ("recgym.models.lightgcn", "LightGCN"),
    "mf": ("recgym.models.mf", "MF"),
    "mgcf": ("recgym.models.mgcf", "MGCF"),
    "neumf": ("recgym.models.neumf", "NeuMF"),
}


def names() -> list[str]:
    """Names of the next-item models, which score a history whoever's it is."""
    return sorted(_NEXT_ITEM)


def user_item_names() -> list[str]:
    """Names of the models that must know whose history they score."""
    return sorted(_USER_ITEM)


def collaborative_names() -> list[str]:
    """Names of the models of (user, item) pairs, whose training data are valued or selected."""
    return sorted(_COLLABORATIVE)


def model_class(name: str) -> type[LogModel]:
    """The class of a model by name; raises ``ValueError`` that lists the known ones."""
    return _class(name, _NEXT_ITEM | _USER_ITEM, "model")


def collaborative_class(name: str) -> type[Collaborative]:
    """The class of a collaborative model by name; raises ``ValueError`` with the known ones."""
    return _class(name, _COLLABORATIVE, "collaborative model")


def _class(name: str, known: dict[str, tuple[str, str]], what: str) -> Any:
    from importlib import import_module

    if name not in known:
        raise ValueError(f"There is no {what} {name!r}. Known: {', '.join(sorted(known))}.")
    module, attribute = known[name]
    return getattr(import_module(module), attribute)


__all__ = ["collaborative_class", "collaborative_names", "model_class", "names", "user_item_names"]
