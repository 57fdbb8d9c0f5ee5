"""What the IRS paper shows besides benches and studies, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from recgym.benchmark.exhibits import Exhibit, Tell
from recgym.benchmark.influence_path import paths, predictions, trained_irn, vectors, worlds
from recgym.benchmark.influence_path.place import Place

_MAKE: Mapping[str, Callable[[Place], Exhibit]] = {
    "influence-path-evaluators": predictions.evaluators,
    "influence-path-next-item": predictions.next_item,
    "influence-path-impressionability": trained_irn.impressionability,
    "influence-path-learning": trained_irn.learning,
    "influence-path-evolution": paths.evolution,
    "influence-path-conditioning": trained_irn.conditioning,
    "influence-path-case": paths.case,
    "influence-path-worlds": worlds.worlds,
    "influence-path-vectors": vectors.vectors,
}


def exhibit(name: str, dataset: str | None, variant: str, tell: Tell) -> Exhibit:
    """An exhibit by its name in :data:`recgym.benchmark.exhibits.EXHIBITS`."""
    return _MAKE[name](Place(dataset, variant, tell))
