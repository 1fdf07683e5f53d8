"""Train, validation and test that share no speaker, no text, no recording and no sound.

The order of decisions, each counted:
1. Published test rows, and every evaluation split (such as kathbath), are test. They are never moved.
2. A published validation or train row that shares a link with a test row leaves: `leaks_into_test`. A published train
   row that shares a link with a validation row leaves: `leaks_into_validation`. Only direct links count, so a speaker's
   other rows stay.
3. The train rows that are left are grouped by every chain of links. Where a dataset publishes no test (or no
   validation), a share of its groups is taken for it, by a hash of the group's own key: a group's side does not depend
   on which other groups there are.
4. A label of which chance would give a held-out side 40 % more or less groups than its share is divided by the rank of
   its groups' hashes instead, at least one to each side; so is a label within a dataset that would be missing on a
   side. That happens where groups are few (speakers of a region, say), and only there a group can change sides when
   other groups arrive; with 500 groups a label it is a chance of about 1 in 400 (shares of 0.1 and 0.15).
5. Should one group of several speakers hold more than half of all rows, because they said the same words, it is split
   by speaker, and texts that then stand on two sides are kept on one: `straddles_splits` counts the others.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from data_foundry.allocation.links import LINKS, components, digest
from data_foundry.config import Splits
from data_foundry.errors import FoundryError

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
REJECTED = -1
LEAKS = ("leaks_into_test", "leaks_into_validation", "straddles_splits")
LARGEST_GROUP_SHARE = 0.5
SHARE_TOLERANCE = 0.4


@dataclass(frozen=True)
class LinkedRows:
    """What a split is decided by, one array element per row.

    `dataset`, `label`: codes; `published`: index into SPLITS of the side the source puts the row on (an evaluation
    split counts as test); `links`: uint64 keys per kind of link; `anchor`: uint64 key (see links.anchor).
    """

    dataset: np.ndarray
    label: np.ndarray
    published: np.ndarray
    links: dict[str, np.ndarray]
    anchor: np.ndarray

    def __len__(self) -> int:
        return len(self.anchor)


@dataclass
class Assignment:
    """The side of each row (index into SPLITS, or REJECTED), why it was rejected (index into LEAKS), and its group.

    `moved`: how many groups stand elsewhere than their hash says, by direction; `cut`: how many groups came out of
    one that was split by speaker.
    """

    side: np.ndarray
    leak: np.ndarray
    group: np.ndarray
    moved: dict[str, int] = field(default_factory=dict)
    cut: int = 0


def published_side(source_split: str) -> int:
    """Return the side a source split stands for: whatever is neither train nor validation is held out."""
    return {"train": TRAIN, "validation": VALIDATION}.get(source_split, TEST)


def assign(rows: LinkedRows, shares: Splits) -> Assignment:
    """Return every row's side. Raises FoundryError should two sides share a link in the end (a defect of ours)."""
    side = np.full(len(rows), REJECTED, dtype=np.int8)
    leak = np.full(len(rows), REJECTED, dtype=np.int8)
    test = rows.published == TEST
    into_test = ~test & _touches(rows, test)
    validation = (rows.published == VALIDATION) & ~into_test
    into_validation = (rows.published == TRAIN) & ~into_test & _touches(rows, validation)
    leak[into_test], leak[into_validation] = 0, 1
    side[test], side[validation] = TEST, VALIDATION
    assignment = Assignment(side, leak, np.zeros(len(rows), dtype=np.uint64))
    free = np.flatnonzero((rows.published == TRAIN) & (leak == REJECTED))
    if len(free):
        _assign_free(rows, free, shares, assignment)
    kept = np.flatnonzero(side != REJECTED)
    verify(rows, side)
    labels = components([keys[kept] for keys in rows.links.values()], len(kept))
    assignment.group[kept] = _smallest_by(labels, rows.anchor[kept])
    return assignment


def verify(rows: LinkedRows, side: np.ndarray) -> None:
    """Raise FoundryError when a link of any kind stands on two sides."""
    for kind, keys in rows.links.items():
        seen: dict[int, int] = {}
        present = np.flatnonzero((keys != 0) & (side != REJECTED))
        for key, at in zip(keys[present].tolist(), side[present].tolist(), strict=True):
            if seen.setdefault(key, at) != at:
                raise FoundryError(
                    f"Two sides of a split share a {kind}: {SPLITS[seen[key]]} and {SPLITS[at]}.",
                    "This is a defect of the split, nothing was published; please report it.",
                )


def _touches(rows: LinkedRows, held_out: np.ndarray) -> np.ndarray:
    """Return which rows share a link of any kind with a held-out row."""
    found = np.zeros(len(rows), dtype=bool)
    for keys in rows.links.values():
        found |= (keys != 0) & np.isin(keys, keys[held_out & (keys != 0)])
    return found


def _smallest_by(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each row the smallest value among the rows with its label."""
    _, inverse = np.unique(labels, return_inverse=True)
    smallest = np.full(inverse.max(initial=-1) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, inverse, values)
    return smallest[inverse]


def _assign_free(rows: LinkedRows, free: np.ndarray, shares: Splits, assignment: Assignment) -> None:
    """Give each row that no published split decides a side, group by group."""
    links = {kind: keys[free] for kind, keys in rows.links.items()}
    labels = components(links.values(), len(free))
    labels, cut = _cut_by_speaker(labels, links)
    assignment.cut = len(np.unique(labels[cut])) if cut.any() else 0
    keys = _smallest_by(labels, rows.anchor[free])
    heads, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    position = np.array([digest(str(shares.seed), str(key)) / 2**64 for key in keys[first].tolist()])
    dataset, label = rows.dataset[free], rows.label[free]
    # A group may be taken for a held-out side only if none of its datasets publishes that side itself.
    allowed = np.ones((3, len(heads)), dtype=bool)
    for held_out in (VALIDATION, TEST):
        publishing = np.unique(rows.dataset[rows.published == held_out])
        allowed[held_out, inverse[np.isin(dataset, publishing)]] = False
    side = np.full(len(heads), TRAIN, dtype=np.int8)
    side[allowed[TEST] & (position < shares.test)] = TEST
    side[allowed[VALIDATION] & (position >= 1 - shares.validation)] = VALIDATION
    groups = _Groups(side, position, allowed, shares)
    fixed = assignment.side >= VALIDATION
    wide = _majority(label, inverse)
    held = defaultdict(set)
    for at, value in zip(assignment.side[fixed].tolist(), rows.label[fixed].tolist(), strict=True):
        held[value].add(at)
    groups.hold_every(wide, held, fewest=2, tolerance=SHARE_TOLERANCE)
    # And no dataset is missing on a side, whose own published sides its groups may not join anyway.
    groups.hold_every(
        _majority(dataset * (int(rows.label.max()) + 1) + label, inverse), {}, fewest=3, tolerance=math.inf
    )
    assignment.moved = groups.moved
    chosen = side[inverse]
    if cut.any():
        straddling = _straddling(links, chosen, cut, shares.seed)
        chosen = np.where(straddling, REJECTED, chosen)
        assignment.leak[free[straddling]] = 2
    assignment.side[free] = chosen


def _majority(values: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Return each group's most frequent value, the smallest of equals."""
    pairs, counts = np.unique(np.stack([inverse, values]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    _, first = np.unique(pairs[0][order], return_index=True)
    return pairs[1][order][first]


@dataclass
class _Groups:
    """The side of each group, its place on the line from 0 (test) to 1 (validation), and where it may go."""

    side: np.ndarray
    position: np.ndarray
    allowed: np.ndarray
    shares: Splits
    moved: dict[str, int] = field(default_factory=dict)

    def hold_every(self, stratum: np.ndarray, held: dict[int, set[int]], fewest: int, tolerance: float) -> None:
        """Divide by rank each stratum that is missing on a side it could be on, or whose share there is far off.

        `tolerance`: by how much of its quota of groups a held-out side may miss it, either way. `held`: sides
        on which published rows hold a stratum already. A stratum with fewer groups than `fewest` is left.
        """
        order = np.lexsort((self.position, stratum))
        for members in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
            if len(members) < fewest:
                continue
            have = held.get(int(stratum[members[0]]), set())
            quota = self._quota(members, have)
            found = {at: int(np.sum(self.side[members] == at)) for at in quota}
            if any(abs(found[at] - quota[at]) > tolerance * quota[at] or found[at] < min(1, quota[at]) for at in quota):
                self._divide_by_rank(members, quota)

    def _quota(self, members: np.ndarray, have: set[int]) -> dict[int, int]:
        """Return how many groups each held-out side should get: its share, at least one if train keeps one."""
        quota, left = {}, len(members) - (TRAIN not in have)
        for at, share in ((TEST, self.shares.test), (VALIDATION, self.shares.validation)):
            able = int(self.allowed[at, members].sum())
            least = int(share > 0 and at not in have)
            quota[at] = min(left, able, max(least, math.floor(share * able + 0.5)))
            left -= quota[at]
        return quota

    def _divide_by_rank(self, members: np.ndarray, quota: dict[int, int]) -> None:
        """Give the first groups of the line to test and the last to validation (`members` are in line order)."""
        side = np.full(len(members), TRAIN, dtype=np.int8)
        for at, places in ((TEST, range(len(members))), (VALIDATION, range(len(members) - 1, -1, -1))):
            able = [place for place in places if side[place] == TRAIN and self.allowed[at, members[place]]]
            side[able[: quota[at]]] = at
        for before, after in zip(self.side[members].tolist(), side.tolist(), strict=True):
            if before != after:
                move = f"{SPLITS[before]} to {SPLITS[after]}"
                self.moved[move] = self.moved.get(move, 0) + 1
        self.side[members] = side


def _cut_by_speaker(labels: np.ndarray, links: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Split a group that holds more than half of the rows and several speakers; return labels and the rows it held."""
    none = np.zeros(len(labels), dtype=bool)
    heads, counts = np.unique(labels, return_counts=True)
    largest = labels == heads[np.argmax(counts)]
    speakers = links.get("speaker")
    if speakers is None or counts.max() <= LARGEST_GROUP_SHARE * len(labels):
        return labels, none
    if len(np.unique(speakers[largest & (speakers != 0)])) < 2:
        return labels, none
    strong = components([keys for kind, keys in links.items() if not LINKS[kind].weak], len(labels))
    return np.where(largest, strong, labels), largest


def _straddling(links: dict[str, np.ndarray], side: np.ndarray, cut: np.ndarray, seed: int) -> np.ndarray:
    """Return which rows of cut groups must leave so that no text stands on two sides; a hash of the text keeps one."""
    leaving = np.zeros(len(side), dtype=bool)
    for kind in (kind for kind in links if LINKS[kind].weak):
        sides: dict[int, set[int]] = defaultdict(set)
        here = np.flatnonzero(cut & (links[kind] != 0) & ~leaving)
        pairs: Iterable[tuple[int, int, int]] = list(
            zip(here.tolist(), links[kind][here].tolist(), side[here].tolist(), strict=True)
        )
        for _, key, at in pairs:
            sides[key].add(at)
        for row, key, at in pairs:
            found = sorted(sides[key])
            if len(found) > 1 and at != found[digest(str(seed), str(key)) % len(found)]:
                leaving[row] = True
    return leaving
