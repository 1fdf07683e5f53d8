"""Train, validation and test that share no speaker, no text, no recording and no sound.

The order of decisions, each counted:
1. Published test rows, and every evaluation split (such as kathbath), are test. They are never moved.
2. A published validation or train row that shares a link with a test row leaves: `leaks_into_test`. A published train
   row that shares a link with a validation row leaves: `leaks_into_validation`. Only direct links count, so a speaker's
   other rows stay; but a voice stands for all its ids, where two of them share a sound.
3. The train rows that are left are grouped by every chain of links. A group of which rows were on a side before
   (`remembered`) goes there; should they have been on several, to that of most of them, of equals to the held-out one.
4. Of the other groups a share is taken for test and validation where a dataset publishes none, by a hash of the
   group's own key: a group's side does not depend on which other groups there are.
5. A label, dialect or gender of which chance would give a held-out side 40 % more or less groups than its share is
   divided by the rank of its groups' hashes instead, at least one to each side; so is a label within a dataset that
   would be missing on a side. That happens where groups are few (speakers of a region, say); only there could a group
   change sides when other groups arrive, and only where nothing is remembered.
6. Should one group hold more than half of all rows because of what they say, it is split: first by its chains of nearly
   equal texts or sounds, then by speaker. Texts that then stand on two sides are kept on one: `straddles_splits` counts
   the others.
7. Unlabelled rows, which only adapt a model to the domain, take no part in any of this. Those that share a link with a
   held-out row leave, and so do those that are themselves published as held out: `published_as_held_out`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from data_foundry.allocation.groups import (
    DOMAIN,
    REJECTED,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Groups,
    Keys,
    cut,
    majority,
    positions,
    remembered_sides,
    smallest_by,
)
from data_foundry.allocation.links import LINKS, components
from data_foundry.allocation.neighbours import Near
from data_foundry.config import Splits
from data_foundry.errors import FoundryError

LEAKS = ("leaks_into_test", "leaks_into_validation", "straddles_splits", "published_as_held_out")
INTO_TEST, INTO_VALIDATION, STRADDLES, HELD_OUT = range(4)
SHARE_TOLERANCE = 0.4


@dataclass(frozen=True)
class LinkedRows:
    """What a split is decided by, one array element per row.

    `dataset`, `label` and `strata` (further columns that every side should hold alike, such as gender): codes, for
    `strata` -1 where unknown; `published`: index into SPLITS of the side the source puts the row on (an evaluation
    split counts as test); `links`: uint64 keys per kind of link; `anchor`: uint64 key (see links.anchor); `remembered`:
    the side a row's anchor (of an anchor that is new: the row) was on before, REJECTED where it was on none; `stood`:
    the side the row itself was on, REJECTED if it left, UNKNOWN if it is new; `unlabelled`: which rows only adapt;
    `links_of_all`: keys of kinds that unlabelled rows would change for the others.
    """

    dataset: np.ndarray
    label: np.ndarray
    published: np.ndarray
    links: Keys
    anchor: np.ndarray
    strata: tuple[np.ndarray, ...] = ()
    remembered: np.ndarray | None = None
    stood: np.ndarray | None = None
    unlabelled: np.ndarray | None = None
    near: Mapping[str, Near] = field(default_factory=dict)
    near_of_all: Mapping[str, Near] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.anchor)

    def sharing(self, kind: str, which: np.ndarray) -> np.ndarray:
        """Return which rows share a kind of link directly with some of the rows `which` (both bool per row)."""
        if kind in self.near:
            return self.near[kind].touched(which)
        keys = self.links[kind]
        return (keys != 0) & np.isin(keys, keys[which & (keys != 0)])

    def on_two_sides(self, kind: str, side: np.ndarray) -> np.ndarray:
        """Return which rows of train and validation share a kind of link with a row of a more careful side."""
        found = np.zeros(len(self), dtype=bool)
        for at in (VALIDATION, TEST):
            if (side == at).any():
                found |= (side >= TRAIN) & (side < at) & self.sharing(kind, side == at)
        return found

    def links_among(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the keys of these rows by kind of link; what is near is chained anew, through these rows alone."""
        return {
            kind: self.near[kind].among(rows).keys if kind in self.near else keys[rows]
            for kind, keys in self.links.items()
        }

    def take(self, rows: np.ndarray) -> LinkedRows:
        """Return these rows alone."""
        return LinkedRows(
            dataset=self.dataset[rows],
            label=self.label[rows],
            published=self.published[rows],
            links=self.links_among(rows),
            anchor=self.anchor[rows],
            strata=tuple(values[rows] for values in self.strata),
            remembered=None if self.remembered is None else self.remembered[rows],
            near={kind: near.among(rows) for kind, near in self.near.items()},
        )


@dataclass
class Assignment:
    """The side of each row (index into SIDES, or REJECTED), why it was rejected (index into LEAKS), and its group.

    `found_by`: of each reason, which rows each kind of link found. `placed`: how many groups stand elsewhere than their
    hash says, by direction; `cut`: how many groups came out of one that was too large.
    """

    side: np.ndarray
    leak: np.ndarray
    group: np.ndarray
    found_by: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    placed: dict[str, int] = field(default_factory=dict)
    cut: int = 0

    def reject(self, reason: int, touching: Mapping[str, np.ndarray], which: np.ndarray) -> np.ndarray:
        """Reject those of the rows `which` that a kind of link found; return them as a mask."""
        found = np.zeros(len(self.side), dtype=bool)
        by_kind = self.found_by.setdefault(LEAKS[reason], {})
        for kind, touched in touching.items():
            here = touched & which
            by_kind[kind] = by_kind[kind] | here if kind in by_kind else here
            found |= here
        self.side[found], self.leak[found] = REJECTED, reason
        return found


def published_side(source_split: str) -> int:
    """Return the side a source split stands for: whatever is neither train nor validation is held out."""
    return {"train": TRAIN, "validation": VALIDATION}.get(source_split, TEST)


def assign(rows: LinkedRows, shares: Splits) -> Assignment:
    """Return every row's side. Raises FoundryError should two sides share a link in the end (a defect of ours)."""
    if rows.unlabelled is None or not rows.unlabelled.any():
        return _assign_labelled(rows, shares)
    whole = Assignment(
        np.full(len(rows), REJECTED, np.int8), np.full(len(rows), REJECTED, np.int8), rows.anchor.copy()
    )  # fmt: skip
    labelled = np.flatnonzero(~rows.unlabelled)
    own = _assign_labelled(rows.take(labelled), shares)
    whole.side[labelled], whole.leak[labelled], whole.group[labelled] = own.side, own.leak, own.group
    whole.placed, whole.cut = own.placed, own.cut
    for reason, by_kind in own.found_by.items():
        for kind, found in by_kind.items():
            mask = whole.found_by.setdefault(reason, {})[kind] = np.zeros(len(rows), dtype=bool)
            mask[labelled[found]] = True
    _assign_domain(replace(rows, near=rows.near_of_all), rows.unlabelled, whole)
    return whole


def _assign_domain(rows: LinkedRows, unlabelled: np.ndarray, whole: Assignment) -> None:
    held_out = unlabelled & (rows.published != TRAIN)
    whole.leak[held_out] = HELD_OUT
    left = unlabelled & ~held_out
    for at, reason in ((TEST, INTO_TEST), (VALIDATION, INTO_VALIDATION)):
        left &= ~whole.reject(reason, _touching(rows, whole.side == at), left)
    whole.side[left] = DOMAIN


def _assign_labelled(rows: LinkedRows, shares: Splits) -> Assignment:
    side, leak = np.full(len(rows), REJECTED, dtype=np.int8), np.full(len(rows), REJECTED, dtype=np.int8)
    assignment = Assignment(side, leak, np.zeros(len(rows), dtype=np.uint64))
    test = rows.published == TEST
    into_test = assignment.reject(INTO_TEST, _touching(rows, test), ~test)
    into_test |= assignment.reject(INTO_TEST, _same_person(rows, test), ~test & ~into_test)
    validation = (rows.published == VALIDATION) & ~into_test
    free = (rows.published == TRAIN) & ~into_test
    free &= ~assignment.reject(INTO_VALIDATION, _touching(rows, validation), free)
    free &= ~assignment.reject(INTO_VALIDATION, _same_person(rows, validation), free)
    side[test], side[validation] = TEST, VALIDATION
    if free.any():
        _assign_free(rows, np.flatnonzero(free), shares, assignment)
    kept = np.flatnonzero(side != REJECTED)
    verify(rows, side)
    labels = components(rows.links_among(kept).values(), len(kept))
    assignment.group[kept] = smallest_by(labels, rows.anchor[kept])
    return assignment


def verify(rows: LinkedRows, side: np.ndarray) -> None:
    """Raise FoundryError when a link of any kind stands on two sides."""
    for kind in rows.links:
        wrong = np.flatnonzero(rows.on_two_sides(kind, side))
        if len(wrong):
            other = rows.sharing(kind, np.arange(len(rows)) == wrong[0])
            found = [SPLITS[at] for at in np.unique(side[other & (side != REJECTED)]).tolist()]
            raise FoundryError(
                f"Two sides of a split share a {kind}: {' and '.join(found)}.",
                "This is a defect of the split, nothing was published; please report it.",
            )


def _touching(rows: LinkedRows, held_out: np.ndarray) -> dict[str, np.ndarray]:
    """Return by kind of link which rows share one with a held-out row; what is equal is not counted as near, too."""
    found = {kind: rows.sharing(kind, held_out) for kind in rows.links} if held_out.any() else {}
    for near, equal in (("near_text", "text"), ("near_audio", "audio")):
        if near in found and equal in found:
            found[near] &= ~found[equal]
    return found


def _same_person(rows: LinkedRows, held_out: np.ndarray) -> dict[str, np.ndarray]:
    """Return which rows are spoken by a voice that is held out, maybe under another id: two ids that share a sound.

    A speaker's rows are tied by the id, two ids by a recording, or by the same or nearly the same sound in both.
    """
    if "speaker" not in rows.links or not held_out.any():
        return {}
    voices = [keys for kind, keys in rows.links.items() if kind in ("speaker", "recording", "audio", "near_audio")]
    person = components(voices, len(rows))
    return {"speaker": np.isin(person, person[held_out])}


def _assign_free(rows: LinkedRows, free: np.ndarray, shares: Splits, assignment: Assignment) -> None:
    """Give each row that no published split decides a side, group by group."""
    links = rows.links_among(free)
    labels, came_apart = cut(links, len(free))
    assignment.cut = len(np.unique(labels[came_apart])) if came_apart.any() else 0
    keys = smallest_by(labels, rows.anchor[free])
    heads, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    position = positions(keys[first], shares.seed)
    dataset, label = rows.dataset[free], rows.label[free]
    # A group may be taken for a held-out side only if none of its datasets publishes that side itself.
    allowed = np.ones((3, len(heads)), dtype=bool)
    for held_out in (VALIDATION, TEST):
        publishing = np.unique(rows.dataset[rows.published == held_out])
        allowed[held_out, inverse[np.isin(dataset, publishing)]] = False
    side = np.full(len(heads), TRAIN, dtype=np.int8)
    side[allowed[TEST] & (position < shares.test)] = TEST
    side[allowed[VALIDATION] & (position >= 1 - shares.validation)] = VALIDATION
    remembered = remembered_sides(None if rows.remembered is None else rows.remembered[free], inverse, len(heads))
    known = remembered != REJECTED
    side[known] = remembered[known]
    groups = Groups(side, position, allowed, known, shares)
    fixed = assignment.side >= VALIDATION
    for values in (*rows.strata, rows.label):
        held = defaultdict(set)
        for at, value in set(zip(assignment.side[fixed].tolist(), values[fixed].tolist(), strict=True)):
            held[value].add(at)
        groups.hold_every(majority(values[free], inverse), held, fewest=2, tolerance=SHARE_TOLERANCE)
    # And no dataset, nor a label in it, is missing on a side; its groups may not join sides that it publishes anyway.
    labelled = np.where(label < 0, -1, dataset * (int(rows.label.max(initial=0)) + 1) + label)
    for values in (labelled, dataset):
        groups.hold_every(majority(values, inverse), {}, fewest=3, tolerance=math.inf)
    groups.hold_rows(np.bincount(inverse))
    assignment.placed = groups.placed
    assignment.side[free] = side[inverse]
    if came_apart.any():
        _reject_straddling(rows, free[came_apart], assignment, shares.seed)


def _reject_straddling(rows: LinkedRows, cut: np.ndarray, assignment: Assignment, seed: int) -> None:
    """Reject rows of cut groups so that nothing said stands on two sides.

    Of equal keys the side keeps its rows that has most of them, of equals the held-out one, unless that side would
    lose more than half of what it had; of rows that are only near those of the less careful side leave.
    """
    side = assignment.side
    had = np.bincount(side[side >= TRAIN], minlength=3)
    # What is equal first: as it is near as well, all of it would leave the less careful side otherwise.
    for kind in sorted((kind for kind in rows.links if LINKS[kind].weak), key=lambda kind: kind in rows.near):
        leaving = rows.on_two_sides(kind, side)
        if kind not in rows.near and leaving.any():
            keys = rows.links[kind]
            here = cut[np.isin(keys[cut], keys[leaving]) & (side[cut] != REJECTED)]
            values, inverse = np.unique(keys[here], return_inverse=True)
            there = np.bincount(inverse * 3 + side[here], minlength=3 * len(values)).reshape(-1, 3)
            keeps = _keeping(
                there, np.argsort(positions(values, seed)), np.bincount(side[side >= TRAIN], minlength=3), had
            )
            leaving = np.zeros(len(rows), dtype=bool)
            leaving[here[side[here] != keeps[inverse]]] = True
        assignment.reject(STRADDLES, {kind: leaving}, leaving)


def _keeping(there: np.ndarray, order: np.ndarray, left: np.ndarray, had: np.ndarray) -> np.ndarray:
    """Return which side keeps each key: `there` counts its rows by side, `left` and `had` all rows of the sides, now
    and at first; the keys are decided in `order`."""
    keeps = np.zeros(len(there), dtype=np.int8)
    for key in order.tolist():
        rows = there[key]
        # The held-out side wins among equals: the last of the largest.
        best = TEST - int(np.argmax(rows[::-1]))
        for at in (TEST, VALIDATION):
            if rows[at] and 2 * (left[at] - rows[at]) < had[at]:
                best = at
                break
        keeps[key] = best
        left -= np.where(np.arange(3) == best, 0, rows)
    return keeps
