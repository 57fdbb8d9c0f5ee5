"""Means, interquartile means and bootstrap intervals over seeds and evaluation episodes.

What is resampled follows how the numbers came about. A benchmark runs every agent with S seeds,
and a seed decides both what the agent learned and which tasks it was given; each run is evaluated
on U units (users), **the same users in every run**. Two things could have come out differently:
the seeds and the users. So each resample draws S seeds with replacement and, independently, U
units with replacement, the same units for all seeds (the pigeonhole bootstrap: A. B. Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007). Resampling 5 × 671 episodes as if
they were independent would treat one user's five episodes as five users and give intervals that
are too narrow. Where the runs do not share their units, episodes are resampled within each drawn
seed instead.

What the intervals are worth, from simulated runs of 5 seeds × 200 users whose truth is known
(``tests/benchmark/test_scoring.py`` repeats one cell): where users differ, 95 % intervals cover
96 % of the time, against 67 % for resampling episodes as if they were independent; where the
seeds dominate, five of them are few and cover 86 to 90 %; where nothing but noise per episode
exists, they are conservative (up to √3 too wide).

- Deterministic agents are treated the same way: their seeds change the tasks only, which is then
  all that the seed part of the interval holds.
- With one seed the interval holds the variance over users only, nothing of training.
- Differences between agents are paired: both played the same tasks, the difference is taken per
  task and then resampled the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import stats

Statistic = Literal["mean", "iqm"]
RESAMPLES = 2_000
# Floats that one block of resampled episodes may hold (about 64 MB).
_BLOCK = 8_000_000


@dataclass(frozen=True)
class Estimate:
    """A statistic and its 95 % (or ``level``) percentile bootstrap interval."""

    value: float
    low: float
    high: float
    episodes: int
    seeds: int

    @property
    def columns(self) -> dict[str, float]:
        """``value``, ``low`` and ``high``, for a row of a CSV."""
        return {"value": self.value, "low": self.low, "high": self.high}

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def excludes(self, value: float) -> bool:
        """Whether ``value`` lies outside the interval."""
        return not self.low <= value <= self.high


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half, NaN left out: a quarter (rounded down) is cut from each side."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    return float(stats.trim_mean(values, 0.25)) if values.size else float("nan")


def estimate(
    samples: Sequence[np.ndarray],
    statistic: Statistic = "mean",
    *,
    crossed: bool = True,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Statistic over all episodes of all seeds, with its bootstrap interval.

    Args:
        samples: one array of episodes per seed; NaN marks an episode where the number is
            undefined, which is left out.
        statistic: ``"mean"`` or ``"iqm"`` (interquartile mean).
        crossed: position u is the same unit in every array, which then have one length; resample
            seeds and units independently. Otherwise episodes are resampled within drawn seeds.
        level: coverage of the interval.
        resamples: number of bootstrap resamples.
        seed: of the resampling, so that a report is reproducible.

    Raises:
        ValueError: no episodes, an unknown statistic, or ``crossed`` with unequal lengths.
    """
    arrays = [np.asarray(values, dtype=float) for values in samples]
    if not arrays or not all(values.ndim == 1 and values.size for values in arrays):
        raise ValueError("scoring needs at least one seed, and one-dimensional, non-empty samples")
    if statistic not in ("mean", "iqm"):
        raise ValueError(f'unknown statistic {statistic!r}: choose "mean" or "iqm"')
    if crossed and len({values.size for values in arrays}) > 1:
        raise ValueError(
            f"crossed resampling needs one length, got {[values.size for values in arrays]}"
        )
    everything = np.concatenate(arrays)
    defined = int((~np.isnan(everything)).sum())
    if not defined:
        return Estimate(float("nan"), float("nan"), float("nan"), 0, len(arrays))
    value = interquartile_mean(everything) if statistic == "iqm" else float(np.nanmean(everything))
    if crossed:
        draws = _crossed(np.stack(arrays), statistic, resamples, seed)
    else:
        draws = _nested(arrays, statistic, resamples, np.random.default_rng(seed))
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), defined, len(arrays))


def paired_difference(
    left: Sequence[np.ndarray],
    right: Sequence[np.ndarray],
    statistic: Statistic = "mean",
    **options: object,
) -> Estimate:
    """Estimate of ``left − right``, episode by episode on the same tasks.

    Args:
        left, right: per seed one array of episodes, in the same order of tasks.
        statistic: of the differences.
        options: of :func:`estimate`.

    Raises:
        ValueError: the two do not have the same seeds and episodes.
    """
    if [np.shape(values) for values in left] != [np.shape(values) for values in right]:
        raise ValueError("a paired difference needs the same seeds and the same episodes of both")
    differences = [
        np.asarray(a, float) - np.asarray(b, float) for a, b in zip(left, right, strict=True)
    ]
    return estimate(differences, statistic, **options)  # type: ignore[arg-type]


def _crossed(samples: np.ndarray, statistic: Statistic, resamples: int, seed: int) -> np.ndarray:
    """(R,) resampled statistics of samples (S, U)."""
    n_seeds, n_units = samples.shape
    if statistic == "mean":
        # A resample is a product of counts, so its mean is a bilinear form.
        seeds, units = _counts(n_seeds, n_units, resamples, seed)
        defined = ~np.isnan(samples)
        filled = np.where(defined, samples, 0.0)
        total = np.einsum("ru,ru->r", seeds @ filled, units)
        if defined.all():
            return total / samples.size
        count = np.einsum("ru,ru->r", seeds @ defined.astype(float), units)
        with np.errstate(invalid="ignore"):
            return total / count
    rng = np.random.default_rng(seed)
    draws = []
    for size in _blocks(resamples, samples.size):
        seeds = rng.integers(n_seeds, size=(size, n_seeds, 1))
        units = rng.integers(n_units, size=(size, 1, n_units))
        draws.append(_iqm_rows(samples[seeds, units].reshape(size, -1)))
    return np.concatenate(draws)


@lru_cache(maxsize=4)
def _counts(n_seeds: int, n_units: int, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each resample drew each seed (R, S) and each unit (R, U)."""
    rng = np.random.default_rng(seed)
    seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=resamples)
    units = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=resamples)
    return seeds.astype(float), units.astype(float)


def _nested(
    samples: list[np.ndarray], statistic: Statistic, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """(R,) resampled statistics: seeds drawn first, then episodes within each drawn seed."""
    n_seeds, longest = len(samples), max(values.size for values in samples)
    lengths = np.array([values.size for values in samples])
    padded = np.full((n_seeds, longest), np.nan)
    for row, values in zip(padded, samples, strict=True):
        row[: values.size] = values
    draws = []
    for size in _blocks(resamples, padded.size):
        seeds = rng.integers(n_seeds, size=(size, n_seeds, 1))
        uniform = rng.random((size, n_seeds, longest))
        episodes = np.floor(uniform * lengths[seeds]).astype(np.intp)
        drawn = padded[seeds, episodes]
        drawn[np.arange(longest) >= lengths[seeds]] = np.nan
        flat = drawn.reshape(size, -1)
        draws.append(np.nanmean(flat, axis=1) if statistic == "mean" else _iqm_rows(flat))
    return np.concatenate(draws)


def _iqm_rows(values: np.ndarray) -> np.ndarray:
    """(R,) interquartile means of the rows of (R, n); NaN is left out row by row."""
    if not np.isnan(values).any():
        return np.asarray(stats.trim_mean(values, 0.25, axis=1))
    ordered = np.sort(values, axis=1)  # NaN last
    count = (~np.isnan(values)).sum(axis=1, keepdims=True)
    cut = count // 4
    place = np.arange(values.shape[1])
    middle = (place >= cut) & (place < count - cut)
    with np.errstate(invalid="ignore"):
        return np.where(middle, ordered, 0.0).sum(axis=1) / middle.sum(axis=1)


def _blocks(resamples: int, episodes: int) -> list[int]:
    block = max(1, min(resamples, _BLOCK // max(1, episodes)))
    sizes = [block] * (resamples // block)
    return sizes + ([resamples % block] if resamples % block else [])
