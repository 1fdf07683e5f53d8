"""The groups of rows that links tie together: what they are known by, which side each takes, how strata are shared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from data_foundry.allocation.links import LINKS, components, digest
from data_foundry.config import Splits

SPLITS = ("train", "validation", "test")
SIDES = (*SPLITS, "domain")
TRAIN, VALIDATION, TEST, DOMAIN = range(4)
REJECTED = -1
# Of a row of which no side is remembered, not even that it left.
UNKNOWN = -2
LARGEST_GROUP_SHARE = 0.5

Keys = Mapping[str, np.ndarray]


def smallest_by(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each row the smallest value among the rows with its label."""
    _, inverse = np.unique(labels, return_inverse=True)
    smallest = np.full(inverse.max(initial=-1) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, inverse, values)
    return smallest[inverse]


def positions(keys: np.ndarray, seed: int) -> np.ndarray:
    """Return for each key a place from 0 to 1 that depends on it and the seed alone (SplitMix64's finalizer)."""
    mixed = keys ^ np.uint64(digest("seed", str(seed)))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))) / 2**64


def majority(values: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Return each group's most frequent value, the smallest of equals."""
    order = np.lexsort((values, inverse))
    group, value = inverse[order], values[order]
    starts = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (value[1:] != value[:-1])])
    counts = np.diff(np.r_[starts, len(order)])
    group, value = group[starts], value[starts]
    best = np.lexsort((value, -counts, group))
    _, first = np.unique(group[best], return_index=True)
    return value[best][first]


def remembered_sides(before: np.ndarray | None, inverse: np.ndarray, groups: int) -> np.ndarray:
    """Return each group's side before: that of most of its rows, of equals the held-out one, or REJECTED."""
    if before is None:
        return np.full(groups, REJECTED, dtype=np.int8)
    seen = before != REJECTED
    votes = np.bincount(inverse[seen] * 3 + before[seen], minlength=groups * 3).reshape(groups, 3)
    most = TEST - np.argmax(votes[:, ::-1], axis=1)
    return np.where(votes.any(axis=1), most, REJECTED).astype(np.int8)


def cut(links: Keys, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows' groups, and which rows lay in a group that held more than half of all rows and came apart."""
    labels, cut = components(links.values(), rows), np.zeros(rows, dtype=bool)
    speakers = links.get("speaker")
    near = [kind for kind in links if LINKS[kind].key is None]
    for left_out in (near, [kind for kind in links if LINKS[kind].weak]):
        heads, counts = np.unique(labels, return_counts=True)
        if counts.max() <= LARGEST_GROUP_SHARE * rows:
            break
        largest = labels == heads[np.argmax(counts)]
        # Without several speakers what holds it together is what it says: there is nothing else to divide it by.
        if left_out != near and (speakers is None or len(np.unique(speakers[largest & (speakers != 0)])) < 2):
            break
        apart = components([keys for kind, keys in links.items() if kind not in left_out], rows)
        if len(np.unique(apart[largest])) > 1:
            labels, cut = np.where(largest, apart, labels), cut | largest
    return labels, cut


@dataclass
class Groups:
    """The side of each group, its place on the line from 0 (test) to 1 (validation), where it may go, and whether it is
    bound to its side because it stood there before."""

    side: np.ndarray
    position: np.ndarray
    allowed: np.ndarray
    bound: np.ndarray
    shares: Splits
    placed: dict[str, int] = field(default_factory=dict)

    def hold_every(self, stratum: np.ndarray, held: dict[int, set[int]], fewest: int, tolerance: float) -> None:
        """Divide by rank each stratum that is missing on a side it could be on, or whose share there is far off.

        `tolerance`: by how much of its quota of groups a held-out side may miss it, either way. `held`: sides
        on which published rows hold a stratum already. A stratum with fewer groups than `fewest`, or of which nothing
        is known (a negative value), is left.
        """
        order = np.lexsort((self.position, stratum))
        for members in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
            if len(members) < fewest or stratum[members[0]] < 0:
                continue
            quota = self._quota(members, held.get(int(stratum[members[0]]), set()))
            found = {at: int(np.sum(self.side[members] == at)) for at in quota}
            if any(abs(found[at] - quota[at]) > tolerance * quota[at] or found[at] < min(1, quota[at]) for at in quota):
                self._divide_by_rank(members, quota)

    def hold_rows(self, sizes: np.ndarray) -> None:
        """Bring a held-out side that got under half of its share of rows up to that, by the rank of groups of train.

        `sizes`: rows per group. Groups are of one size mostly; where they are few and unequal, as speakers are, as many
        groups as asked can be a tenth of the rows asked. A group that would take the side over its share is passed.
        """
        order = np.argsort(self.position, kind="stable")
        for at, share, line in ((TEST, self.shares.test, order), (VALIDATION, self.shares.validation, order[::-1])):
            able = self.allowed[at] | (self.bound & (self.side == at))
            asked, found = share * sizes[able].sum(), sizes[self.side == at].sum()
            for group in line.tolist():
                if 2 * found >= asked:
                    break
                free = self.side[group] == TRAIN and not self.bound[group] and self.allowed[at, group]
                if free and found + sizes[group] <= max(asked, 1):
                    self.side[group] = at
                    found += sizes[group]
                    move = f"{SPLITS[TRAIN]} to {SPLITS[at]}"
                    self.placed[move] = self.placed.get(move, 0) + 1

    def _quota(self, members: np.ndarray, held: set[int]) -> dict[int, int]:
        """Return how many groups each held-out side should get: its share, at least one if train keeps one.

        What is bound to a side counts there, so a quota is never below it.
        """
        bound = {at: int(np.sum(self.bound[members] & (self.side[members] == at))) for at in range(3)}
        quota, left = {}, len(members) - max(1, bound[TRAIN])
        for at, share in ((TEST, self.shares.test), (VALIDATION, self.shares.validation)):
            able = int((self.allowed[at, members] | (self.bound[members] & (self.side[members] == at))).sum())
            least = int(share > 0 and at not in held)
            wanted = min(left, able, max(least, math.floor(share * able + 0.5)))
            quota[at] = max(wanted, bound[at])
            left = max(left - quota[at], 0)
        return quota

    def _divide_by_rank(self, members: np.ndarray, quota: dict[int, int]) -> None:
        """Give the first groups of the line to test and the last to validation (`members` are in line order)."""
        bound, before = self.bound[members], self.side[members]
        side = np.where(bound, before, TRAIN).astype(np.int8)
        for at, places in ((TEST, range(len(members))), (VALIDATION, range(len(members) - 1, -1, -1))):
            missing = quota[at] - int(np.sum(side == at))
            able = [
                place
                for place in places
                if side[place] == TRAIN and not bound[place] and self.allowed[at, members[place]]
            ]
            side[able[: max(missing, 0)]] = at
        for old, new in zip(before[before != side].tolist(), side[before != side].tolist(), strict=True):
            move = f"{SPLITS[old]} to {SPLITS[new]}"
            self.placed[move] = self.placed.get(move, 0) + 1
        self.side[members] = side
