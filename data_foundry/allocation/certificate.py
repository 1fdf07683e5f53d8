"""The certificate that a gold set's splits are disjoint: what linked what, what left for it, what nobody can know."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_foundry.allocation.candidates import NEAR, Candidates, Codes
from data_foundry.allocation.groups import REJECTED, SIDES, SPLITS, TEST, TRAIN, UNKNOWN
from data_foundry.allocation.links import LINKS, components
from data_foundry.allocation.near_text import SHORTEST
from data_foundry.allocation.splits import LEAKS, Assignment, LinkedRows
from data_foundry.config import Splits

SCHEMA_VERSION = 3
# What no method here could establish, by the kind of link that it concerns.
LIMITS = {
    "speaker": "Speaker ids of two datasets do not tell of each other: one person under two ids is joined only through "
    "a text, a sound or a recording that both hold. A row without an id is `speaker: unverified`.",
    "prompt": "Prompts and documents are compared by their names within a dataset, across datasets by what they say.",
    "near_text": "Nearly equal texts are found by what they share, not by what they mean: a paraphrase is none. A text "
    f"under {SHORTEST} letters and signs is not compared, and in one under 23 a changed letter may be too much. "
    "Pairs left out of the comparison, in chains of thousands of texts, are counted: `pairs_not_compared`.",
    "near_audio": "The same words spoken twice are two sounds: only copies of one recording are near. A clip with less "
    "than half a second of speech is not compared.",
    "translation": "English sides are compared for equality, not nearness.",
}


def certificate(
    candidates: Candidates, rows: LinkedRows, assignment: Assignment, split_of_gold: np.ndarray, shares: Splits
) -> dict[str, Any]:
    """Return what was checked of a gold set's splits, how, and what could not be checked.

    `rows`: what the split was decided by; `split_of_gold`: index into SIDES of each candidate that became a gold row,
    REJECTED otherwise.
    """
    gold = (split_of_gold >= TRAIN) & (split_of_gold <= TEST)
    dialects = _balance(candidates.dialects, candidates["dialect"], split_of_gold)
    return {
        "schema_version": SCHEMA_VERSION,
        "engine": candidates.engine,
        "checked_together_with": [other.engine for other in candidates.others],
        "shared_rows": _shared(candidates, gold),
        "disjoint_by": {
            kind: {**_check(candidates, kind, rows, assignment, gold), **tied}
            for kind, tied in _tied(rows, assignment.side != REJECTED).items()
        },
        "rejected_by": _rejected(candidates, assignment),
        "groups": {
            name: len(np.unique(assignment.group[split_of_gold == number])) for number, name in enumerate(SPLITS)
        },
        "rows": {name: int(np.sum(split_of_gold == number)) for number, name in enumerate(SIDES)},
        "balance": {
            "label": _balance(candidates.strata, candidates["stratum"], split_of_gold),
            "gender": _balance(candidates.genders, candidates["gender"], split_of_gold),
            **({} if candidates.spec.stratum == "dialect" else {"dialect": dialects}),
            "dataset": _balance(candidates.datasets, candidates["dataset"], split_of_gold),
        },
        "shares": {"validation": shares.validation, "test": shares.test, "seed": shares.seed},
        "groups_placed_by_rank": dict(sorted(assignment.placed.items())),
        "groups_cut": assignment.cut,
        "not_verified": _not_verified(candidates, gold),
        "not_linked": {kind: link.method for kind, link in LINKS.items() if kind not in candidates.kinds},
        "limits": {kind: limit for kind, limit in LIMITS.items() if kind in candidates.kinds},
    }


def changes(rows: LinkedRows, assignment: Assignment, own: np.ndarray) -> tuple[dict[str, int], np.ndarray]:
    """Return how many own rows stand elsewhere than they themselves did before, by direction, and which."""
    if rows.stood is None:
        return {}, np.zeros(len(rows), dtype=bool)
    moved = own & (rows.stood != UNKNOWN) & (rows.stood != assignment.side)
    codes, counts = np.unique(
        np.stack([rows.stood[moved], assignment.side[moved], assignment.leak[moved]]), axis=1, return_counts=True
    )
    table = {}
    for before, side, leak, count in zip(*codes.tolist(), counts.tolist(), strict=True):
        was = "left out" if before == REJECTED else SIDES[before]
        table[f"{was} to {LEAKS[leak] if side == REJECTED else SIDES[side]}"] = count
    return dict(sorted(table.items())), moved


def _check(
    candidates: Candidates, kind: str, rows: LinkedRows, assignment: Assignment, gold: np.ndarray
) -> dict[str, Any]:
    without, in_all = _without(candidates, kind), int(gold.sum())
    lacking, verified = int((gold & without).sum()), "compared" if kind in NEAR else "verified"
    values = rows.near[kind].content if kind in rows.near else rows.links[kind]
    if lacking == in_all:
        verified = "unverified"
    elif lacking:
        verified = f"{'not compared' if kind in NEAR else 'unverified'} for {lacking} of {in_all} rows"
    return {
        "method": candidates.methods.get(kind, LINKS[kind].method),
        "status": verified,
        "rows_with_it": in_all - lacking,
        "distinct_values": len(np.unique(values[gold & ~without])),
        "rows_on_two_sides": int(rows.on_two_sides(kind, assignment.side).sum()),
        **({"comparison": rows.near[kind].counts} if kind in rows.near else {}),
    }


def _without(candidates: Candidates, kind: str) -> np.ndarray:
    """Return which candidates have nothing that this kind of link could compare."""
    near = candidates.near.get(kind)
    return candidates[f"link:{kind}"] == 0 if near is None else near.content < 0


def _tied(rows: LinkedRows, linked: np.ndarray) -> dict[str, dict[str, int]]:
    """Return by kind of link what it ties together among the `linked` rows, other engines' too.

    `groups` counts its values that several rows have, `linked_rows` and `pairs` those rows; of nearly equal rows a
    group is a chain, its pairs are the direct ones. `joins`: how many groups fewer there are than the kinds before it
    leave.
    """
    table: dict[str, dict[str, int]] = {}
    before, left = [], int(linked.sum())
    keys_of = rows.links_among(np.flatnonzero(linked))
    for kind in (kind for kind in LINKS if kind in keys_of):
        keys = keys_of[kind]
        _, counts = np.unique(keys[keys != 0], return_counts=True)
        several = counts[counts > 1].astype(np.int64)
        near = rows.near.get(kind)
        pairs = int((several * (several - 1) // 2).sum()) if near is None else len(near.among(linked).first)
        before.append(keys)
        groups = len(np.unique(components(before, len(keys))))
        table[kind] = {
            "groups": len(several),
            "linked_rows": int(several.sum()),
            "pairs": pairs,
            "joins": left - groups,
        }
        left = groups
    return table


def _rejected(candidates: Candidates, assignment: Assignment) -> dict[str, dict[str, dict[str, int]]]:
    """Return {reason: {kind of link: {rows, alone}}} of the engine's own rows; `alone`: no other kind found them."""
    own, table = candidates["own"] != 0, {}
    for reason, by_kind in assignment.found_by.items():
        finds = np.zeros(len(own), dtype=np.int8)
        for found in by_kind.values():
            finds += found
        counts = {
            kind: {"rows": int(np.sum(found & own)), "alone": int(np.sum(found & own & (finds == 1)))}
            for kind, found in sorted(by_kind.items())
        }
        table[reason] = {kind: count for kind, count in counts.items() if count["rows"]}
    return {reason: by_kind for reason, by_kind in sorted(table.items()) if by_kind}


def _shared(candidates: Candidates, gold: np.ndarray) -> dict[str, int]:
    """Return how many gold rows serve another engine, too: they stand on the same side there."""
    bits = candidates["others"][gold]
    return {other.engine: int(np.sum(bits >> bit & 1)) for bit, other in enumerate(candidates.others)}


def _balance(codes: Codes, column: np.ndarray, split_of_gold: np.ndarray) -> dict[str, dict[str, int]]:
    """Return rows by value and split, of the values that gold holds."""
    table: dict[str, dict[str, int]] = {}
    for code, name in sorted(enumerate(codes.names), key=lambda pair: pair[1]):
        sides = split_of_gold[column == code]
        counts = {split: int(np.sum(sides == number)) for number, split in enumerate(SPLITS)}
        if any(counts.values()):
            table[name or "unknown"] = counts
    return {} if list(table) == ["unknown"] else table


def _not_verified(candidates: Candidates, gold: np.ndarray) -> dict[str, dict[str, int]]:
    """Return by kind of link, and by dataset, how many gold rows have nothing to compare by."""
    table = {}
    for kind in candidates.kinds:
        lacking = candidates["dataset"][gold & _without(candidates, kind)]
        counts = zip(*np.unique(lacking, return_counts=True), strict=True)
        table[kind] = {candidates.datasets.names[code]: int(count) for code, count in counts}
    return {kind: by_dataset for kind, by_dataset in sorted(table.items()) if by_dataset}


def sampling_weights(strata: np.ndarray, train: np.ndarray, cap: float) -> np.ndarray:
    """Return a weight per row, by which train's strata come to count alike: 1.0 on average over train, 1.0 elsewhere.

    A row's weight is the inverse of its stratum's share in train, relative to equal shares and held between 1 / `cap`
    and `cap`, before all are divided by their mean.
    """
    weights = np.ones(len(strata))
    if train.any():
        _, inverse, counts = np.unique(strata[train], return_inverse=True, return_counts=True)
        share = np.clip(train.sum() / (len(counts) * counts), 1 / cap, cap)
        # Summed without rounding: the order in which strata were met does not matter.
        weights[train] = (share / (math.fsum(share * counts) / train.sum()))[inverse]
    return weights
