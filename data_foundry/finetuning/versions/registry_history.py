"""The registry's history: an append-only chain in which every entry holds the hash of the one before it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.lake import fingerprint
from data_foundry.report import now

HISTORY_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, event TEXT NOT NULL, engine TEXT NOT NULL,
  version TEXT NOT NULL, from_stage TEXT, to_stage TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
  evidence TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS history_of_a_version ON history (engine, version);
CREATE TRIGGER IF NOT EXISTS history_is_not_edited BEFORE UPDATE ON history
  BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER IF NOT EXISTS history_is_not_deleted BEFORE DELETE ON history
  BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
"""
# Events that enter a version with other hashes, and what their evidence says of it.
REGISTRATIONS = ("registered", "evaluated again", "weights changed")
RECORDED = ("artefact_hash", "evaluation_hash", "base", "base_revision")
RESTORED = "restored"
"""The event of a version that serves again, in the transaction that rolled back what had taken its place."""
REPLACED_BY = "replaced_by"
"""In the evidence of a retirement: the version that took the place."""


@dataclass(frozen=True)
class HistoryEntry:
    """One entry of the history; `evidence` is JSON-like, `hash` covers every other field but `sequence`."""

    sequence: int
    at: str
    event: str
    engine: str
    version: str
    from_stage: str | None
    to_stage: str
    actor: str
    reason: str
    evidence: dict[str, Any]
    previous_hash: str
    hash: str

    @property
    def expected_hash(self) -> str:
        """The hash that this entry's content asks for."""
        return fingerprint({k: v for k, v in asdict(self).items() if k not in ("sequence", "hash")})


def as_stored(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence as it comes back out of the history."""
    stored: dict[str, Any] = json.loads(json.dumps(evidence, sort_keys=True, default=str))
    return stored


def append(
    connection: sqlite3.Connection,
    event: str,
    engine: str,
    version: str,
    from_stage: str | None,
    to_stage: str,
    actor: str,
    reason: str,
    evidence: Mapping[str, Any],
) -> str:
    """Add the next entry of the chain inside the caller's transaction; return its time."""
    if not actor or not reason:
        raise FoundryError("A history entry names who and why.", "Give actor and reason.")
    last = connection.execute("SELECT hash FROM history ORDER BY sequence DESC LIMIT 1").fetchone()
    entry = HistoryEntry(
        sequence=0,
        at=now(),
        event=event,
        engine=engine,
        version=version,
        from_stage=str(from_stage) if from_stage else None,
        to_stage=str(to_stage),
        actor=actor,
        reason=reason,
        evidence=as_stored(evidence),
        previous_hash=last["hash"] if last else "",
        hash="",
    )
    values = {**asdict(entry), "evidence": json.dumps(entry.evidence, sort_keys=True, ensure_ascii=False)}
    connection.execute(
        "INSERT INTO history (at, event, engine, version, from_stage, to_stage, actor, reason, evidence, previous_hash,"
        " hash) VALUES (:at, :event, :engine, :version, :from_stage, :to_stage, :actor, :reason, :evidence,"
        " :previous_hash, :hash)",
        {**values, "hash": entry.expected_hash},
    )
    return entry.at


def read_entries(
    connection: sqlite3.Connection, engine: str | None = None, version: str | None = None
) -> Iterator[HistoryEntry]:
    """Yield the entries of an engine's version, or of all, oldest first."""
    wanted = {name: value for name, value in (("engine", engine), ("version", version)) if value is not None}
    where = " AND ".join(f"{name} = :{name}" for name in wanted) or "true"
    for row in connection.execute(f"SELECT * FROM history WHERE {where} ORDER BY sequence", wanted):
        try:
            evidence = json.loads(row["evidence"])
        except (ValueError, RecursionError):
            evidence = None
        if not isinstance(evidence, dict):
            evidence = {"unreadable": row["evidence"]}
        yield HistoryEntry(**{**dict(row), "evidence": evidence})


def replayed(entries: Iterable[HistoryEntry]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what a chain leads each (engine, version) to: the columns of its row, those that its entries speak of.

    Entries of before bases were recorded in them say nothing of the base.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        row = found.setdefault((entry.engine, entry.version), {"registered_at": entry.at})
        moved = entry.to_stage != row.get("stage")
        if entry.event in REGISTRATIONS:
            row |= {name: entry.evidence[name] for name in RECORDED if name in entry.evidence}
        # Another evaluation of what has earned a stage is no reason for the stage.
        if moved or entry.event not in REGISTRATIONS or entry.to_stage == "none":
            row["reason"] = entry.reason
        if moved:
            row |= {"stage": entry.to_stage, "stage_since": entry.at}
    return found


def displaced(entries: Iterable[HistoryEntry], engine: str, version: str) -> str | None:
    """Return the version that a version retired when it came to production, or None where it took nobody's place.

    One that has moved since, or stands retired for another reason, is not meant: a rollback may not bring it back.
    """
    own = [entry for entry in entries if entry.engine == engine]
    came = [i for i, e in enumerate(own) if e.version == version and _moves(e, "staging", "production")]
    left = own[came[-1] - 1] if came and came[-1] else None
    if left is None or not _moves(left, "production", "retired") or not _for(left, version):
        return None
    changes = [entry for entry in own if entry.version == left.version and entry.from_stage != entry.to_stage]
    return left.version if changes[-1] is left else None


def _moves(entry: HistoryEntry, start: str, end: str) -> bool:
    return (entry.event, entry.from_stage, entry.to_stage) == ("moved", start, end)


def _for(retired: HistoryEntry, version: str) -> bool:
    """Tell whether a version retired for another one; entries of before that was evidence say it in their reason."""
    named = retired.evidence.get(REPLACED_BY, retired.reason.partition(" took its place in production")[0])
    return bool(named == version)


def faults(entries: Sequence[HistoryEntry], transitions: Mapping[str, Collection[str]], written: int) -> list[str]:
    """Return what is wrong with a chain, as sentences.

    `written` is how many entries were ever appended, by the database's own count.
    """
    wrong: list[str] = []
    previous_hash, previous_sequence = "", 0
    stages: dict[tuple[str, str], str] = {}
    for at, entry in enumerate(entries):
        where = f"entry {entry.sequence} ({entry.engine}/{entry.version} {entry.event})"
        if entry.sequence != previous_sequence + 1:
            wrong.append(f"{where} follows entry {previous_sequence}: what stood between them is gone")
        if entry.hash != entry.expected_hash:
            wrong.append(f"{where} was edited: its content does not match its hash")
        if entry.previous_hash != previous_hash:
            wrong.append(f"{where} does not continue the entry before it")
        name = (entry.engine, entry.version)
        if entry.from_stage != stages.get(name):
            wrong.append(f"{where} starts at {entry.from_stage}, the version stood at {stages.get(name)}")
        if not _is_legal(entry, transitions):
            wrong.append(f"{where} went from {entry.from_stage} to {entry.to_stage}, which is not allowed")
        elif entry.event == RESTORED and not _was_restored(entries[: at + 1]):
            wrong.append(f"{where} serves again, though nothing that took its place was rolled back just before")
        stages[name] = entry.to_stage
        previous_hash, previous_sequence = entry.hash, entry.sequence
    if written != previous_sequence:
        wrong.append(f"{written} entries were written, the last one kept is {previous_sequence}")
    return wrong


def _is_legal(entry: HistoryEntry, transitions: Mapping[str, Collection[str]]) -> bool:
    """Tell whether an event may lead from its stage to its other one."""
    if entry.event == "moved":
        return entry.to_stage in transitions.get(entry.from_stage or "", ())
    if entry.event == RESTORED:
        return (entry.from_stage, entry.to_stage) == ("retired", "production")
    if entry.event in ("registered", "weights changed"):
        return entry.to_stage == "none"
    return entry.from_stage == entry.to_stage


def _was_restored(entries: Sequence[HistoryEntry]) -> bool:
    """Tell whether the last entry brings back what had lost its place to the version that the one before takes back."""
    if len(entries) < 2:
        return False
    before, entry = entries[-2:]
    taken_back = before.engine == entry.engine and _moves(before, "production", "rolled_back")
    return taken_back and displaced(entries[:-2], before.engine, before.version) == entry.version
