"""What is nearly the same among many contents: pairs, the groups that chains of pairs make, and the rows they tie.

Contents (different texts, or different fingerprints) are numbered in the order of their bytes, not of their rows, so
nothing here depends on the order in which rows were met.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Near:
    """The rows of a comparison and which of their contents are near.

    `content`: int64 per row, the number of its content, -1 for a row that was not compared. `first`, `second`: int64
    numbers of contents that are directly near, first < second. `name`: uint64 per content, a hash of it, never 0.
    """

    content: np.ndarray
    first: np.ndarray
    second: np.ndarray
    name: np.ndarray
    counts: dict[str, int] = field(default_factory=dict)

    @cached_property
    def keys(self) -> np.ndarray:
        """Return a uint64 key per row, equal along every chain of near contents; 0 for a row that is near no other.

        Rows of an equal content are near, too. The key is the name of the group's smallest content: it may change when
        a content joins the group.
        """
        groups = chained(self.first, self.second, len(self.name))
        rows = np.bincount(groups[self.content[self.content >= 0]], minlength=len(self.name))
        return self._by_row(np.where(rows[groups] < 2, np.uint64(0), self.name[groups]))

    def among(self, rows: np.ndarray) -> Near:
        """Return the comparison of some rows alone: `rows` are their numbers or a mask; pairs of which both stay."""
        content = self.content[rows]
        held = np.zeros(len(self.name), dtype=bool)
        held[content[content >= 0]] = True
        both = held[self.first] & held[self.second]
        return replace(self, content=content, first=self.first[both], second=self.second[both])

    def touched(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows hold a content that some of `rows` (bool per row) hold too, or one directly near it."""
        held = np.zeros(len(self.name), dtype=bool)
        held[self.content[rows & (self.content >= 0)]] = True
        near = held.copy()
        near[self.second[held[self.first]]] = True
        near[self.first[held[self.second]]] = True
        return self._by_row(near)

    def _by_row(self, values: np.ndarray) -> np.ndarray:
        """Return each row's value of its content, 0 for a row without one."""
        found = np.zeros(len(self.content), dtype=values.dtype)
        compared = self.content >= 0
        found[compared] = values[self.content[compared]]
        return found


def chained(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Return for each of `count` contents the smallest number that a chain of pairs ties it to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(first):
        return np.arange(count)
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, smallest, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return smallest[inverse]


def equal_neighbours(
    keys: np.ndarray, most: int, then: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield arrays of places (i, j), i != j, with an equal key: each place with the `most` next of its key.

    "Next" is by `then` and place; of a key that more than `most` + 1 places share, only such pairs are met. Cost and
    memory are linear: at worst len(keys) * most pairs, of which no more than len(keys) are held at a time.
    """
    order = np.argsort(keys, kind="stable") if then is None else np.lexsort((then, keys))
    ordered = keys[order]
    left = np.arange(len(order))
    for step in range(1, most + 1):
        left = left[left < len(order) - step]
        left = left[ordered[left] == ordered[left + step]]
        if not len(left):
            return
        yield order[left], order[left + step]


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the different values, sorted: what np.unique does, whose hash table takes several times as long."""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered
