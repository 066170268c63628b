"""Setting or seed? Whether what an axis changes is more than what another seed changes.

The same seeds are drawn at both ends of the axis, so each seed gives one paired difference; a bootstrap over the seeds
(Efron 1979, doi:10.1214/aos/1176344552) gives the interval of their mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SEED = "Seed"  # the column of a table of `measured`
FEWEST = 3  # seeds
ENOUGH = 6  # seeds that all agree do so by chance in 2 · ½⁶ = 3 %; with three it is 25 %
RESAMPLES = 10_000
DECISIONS = 1_000  # resamplings where each one is decided on anew
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Effect:
    """The mean change of one measure from the first to the last value of an axis."""

    first: str
    last: str
    change: float
    low: float
    high: float
    seeds: int

    @property
    def within_seed_noise(self) -> bool:
        return self.low <= 0 <= self.high

    def sentence(self, name: str, axis: str) -> str:
        """`name` of the measure, `axis` by name -> one plain sentence."""
        found = (
            f"{name}, {axis} {self.first} to {self.last}: {self.change:+.3f} "
            f"(95 % of resamplings of the {self.seeds} seeds: {self.low:+.3f} to {self.high:+.3f})"
        ).replace("-", "−")
        if self.within_seed_noise:
            return f"{found}: within seed noise, another choice of seeds could turn it round."
        few = (
            ""
            if self.seeds >= ENOUGH
            else f" With {self.seeds} seeds that is a hint; take {ENOUGH} or more to be sure."
        )
        return f"{found}: more than the seeds differ.{few}"


def effect(table: pd.DataFrame, axis: str, measure: str) -> Effect | None:
    """Columns of a table of `measured` -> the effect of its axis; None with fewer than FEWEST seeds that have both
    ends, or where the axis is the seed itself."""
    if axis == SEED or SEED not in table or measure not in table:
        return None
    values = list(dict.fromkeys(table[axis]))
    means = table.pivot_table(index=SEED, columns=axis, values=measure, aggfunc="mean", sort=False)
    if len(values) < 2 or not {values[0], values[-1]} <= set(means.columns):
        return None
    apart = (means[values[-1]] - means[values[0]]).dropna().to_numpy()
    if len(apart) < FEWEST:
        return None
    rng = np.random.default_rng(0)  # the same table gives the same sentence
    resampled = rng.choice(apart, (RESAMPLES, len(apart))).mean(axis=1)
    low, high = np.percentile(resampled, INTERVAL)
    shown = [f"{v:g}" if isinstance(v, int | float) else str(v) for v in (values[0], values[-1])]
    return Effect(*shown, float(apart.mean()), float(low), float(high), len(apart))


def agreement(seeds: int, decide: Callable[[np.ndarray], Any]) -> float:
    """What decides by some of so many seeds, given as their indices, which may repeat -> the share of resamplings of
    the seeds, 0 … 1, that are decided on as all of them are. `decide` gives None of one that says nothing; it does not
    count."""
    rng = np.random.default_rng(0)  # the same values give the same share
    drawn = rng.integers(0, seeds, (DECISIONS, seeds))
    found = decide(np.arange(seeds))
    said = [decision for rows in drawn if (decision := decide(rows)) is not None]
    return float(np.mean([decision == found for decision in said]))
