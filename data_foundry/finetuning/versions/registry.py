"""The model registry: versions of adapters, the stage each has reached, and a history that can't be edited unseen.

One SQLite file. A version is what a training run published: its adapter's name (an engine, "stt", or a variant of one,
"stt.malabar"), the first 12 digits of its training key, the hash of its weights and the hash of its evaluation. Every
change is one transaction that writes the new state and a history entry together, so a kill leaves the old state or the
new one. Each history entry holds the hash of the one before it: an edited, removed or reordered entry breaks the chain,
which `verify_history` finds. (The chain has no secret in it: it guards against edits and accidents, not against
somebody who computes all of it again. Who needs that keeps `head()` somewhere else.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from data_foundry.adapter_name import engine_of
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry_history import (
    HISTORY_SCHEMA,
    REPLACED_BY,
    RESTORED,
    HistoryEntry,
    append,
    as_stored,
    displaced,
    faults,
    read_entries,
    replayed,
)
from data_foundry.lake import Database, Lake, Layer

FILE_NAME = "registry.sqlite"


class Stage(StrEnum):
    """How far a version has come. NONE: registered, hears nothing. SHADOW: hears mirrored calls, answers nobody."""

    NONE = "none"
    SHADOW = "shadow"
    STAGING = "staging"
    PRODUCTION = "production"
    RETIRED = "retired"
    ROLLED_BACK = "rolled_back"


# A version that was retired or taken back may be heard again, but only from the shadow up.
TRANSITIONS: dict[str, frozenset[str]] = {
    Stage.NONE: frozenset({Stage.SHADOW}),
    Stage.SHADOW: frozenset({Stage.STAGING, Stage.RETIRED, Stage.ROLLED_BACK}),
    Stage.STAGING: frozenset({Stage.PRODUCTION, Stage.RETIRED, Stage.ROLLED_BACK}),
    Stage.PRODUCTION: frozenset({Stage.RETIRED, Stage.ROLLED_BACK}),
    Stage.RETIRED: frozenset({Stage.SHADOW}),
    Stage.ROLLED_BACK: frozenset({Stage.SHADOW}),
}

# Of each adapter at most one version hears mirrored calls, one answers a share of the callers, and one every caller.
EXCLUSIVE = frozenset({Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION})

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
  engine TEXT NOT NULL, version TEXT NOT NULL, artefact_hash TEXT NOT NULL, evaluation_hash TEXT NOT NULL,
  base TEXT NOT NULL, base_revision TEXT, stage TEXT NOT NULL, reason TEXT NOT NULL,
  registered_at TEXT NOT NULL, stage_since TEXT NOT NULL, PRIMARY KEY (engine, version));
"""


@dataclass(frozen=True)
class Version:
    """One version; times are UTC, ISO 8601. `engine` is its adapter's name, `reason` why it stands at its stage.

    `stage_entry` is the sequence of the history entry that brought it there: it may come twice within a second.
    """

    engine: str
    version: str
    artefact_hash: str
    evaluation_hash: str
    base: str
    base_revision: str | None
    stage: Stage
    reason: str
    registered_at: str
    stage_since: str
    stage_entry: int = 0


class Conflict(FoundryError):
    """A version no longer stands as the caller saw it: somebody else was first, and nothing was changed."""


Check = Callable[[Sequence[HistoryEntry]], None]
"""Looks at an adapter's history inside the transaction of a change, and stops the change by what it raises."""


class Registry:
    """The versions under one base path. Opening it writes nothing; the first registration makes the file."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.path: Path = lake.folder(Layer.MODELS, FILE_NAME)
        schema, tables = _SCHEMA + HISTORY_SCHEMA, ("versions", "history")
        self._database = Database(self.path, "The model registry", schema, tables, lake.storage)

    def register(
        self,
        engine: str,
        version: str,
        *,
        artefact_hash: str,
        evaluation_hash: str,
        base: str,
        base_revision: str | None,
        actor: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
    ) -> Version:
        """Enter a version at stage none, or return it as it stands when it is known with these hashes.

        A known version with other weights starts again at none, because what it earned it earned with other bytes; one
        with another evaluation keeps its stage, and the history says so. Raises FoundryError for a name that no adapter
        can have, and when other weights come under the name of a version that answers callers.
        """
        engine_of(engine)
        with self._database.writing() as connection:
            known = _find(connection, engine, version)
            if known and (known.artefact_hash, known.evaluation_hash) == (artefact_hash, evaluation_hash):
                return known
            same_weights = known is not None and known.artefact_hash == artefact_hash
            if known and not same_weights and known.stage in (Stage.STAGING, Stage.PRODUCTION):
                raise FoundryError(
                    f"{engine}/{version} is in {known.stage} with weights {known.artefact_hash[:12]}; the folder now "
                    f"holds {artefact_hash[:12]}.",
                    "Put the registered weights back, or take the version back before registering others.",
                )
            event = "registered" if known is None else "evaluated again" if same_weights else "weights changed"
            stage = known.stage if known and same_weights else Stage.NONE
            hashes = {"artefact_hash": artefact_hash, "evaluation_hash": evaluation_hash}
            made_of = {**hashes, "base": base, "base_revision": base_revision}
            start = known.stage if known else None
            at = append(
                connection, event, engine, version, start, stage, actor, reason, {**(evidence or {}), **made_of}
            )
            connection.execute(
                "INSERT INTO versions VALUES (:engine, :version, :artefact_hash, :evaluation_hash, :base,"
                " :base_revision, :stage, :reason, :at, :at) ON CONFLICT (engine, version) DO UPDATE SET"
                " artefact_hash = :artefact_hash, evaluation_hash = :evaluation_hash, base = :base,"
                " base_revision = :base_revision, stage = :stage,"
                " reason = CASE WHEN stage = :stage AND stage <> 'none' THEN reason ELSE :reason END,"
                " stage_since = CASE WHEN stage = :stage THEN stage_since ELSE :at END",
                {"engine": engine, "version": version, **made_of, "stage": stage.value, "reason": reason, "at": at},
            )
            return _require(connection, engine, version)

    def note(
        self,
        engine: str,
        version: str,
        *,
        actor: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        expected: Stage | Version | None = None,
        check: Check | None = None,
    ) -> Version:
        """Say why a version stands where it stands, without moving it; `expected` and `check` as for a transition.

        The same reason on the same evidence again is nothing; on other evidence it is written.
        """
        with self._database.writing() as connection:
            known = _as_expected(connection, engine, version, expected, check)
            if known.reason == reason and _evidence_of(connection, known) == as_stored(evidence or {}):
                return known
            append(connection, "noted", engine, version, known.stage, known.stage, actor, reason, evidence or {})
            connection.execute(
                "UPDATE versions SET reason = ? WHERE engine = ? AND version = ?", (reason, engine, version)
            )
            return _require(connection, engine, version)

    def transition(
        self,
        engine: str,
        version: str,
        to_stage: Stage,
        *,
        actor: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        expected: Stage | Version | None = None,
        check: Check | None = None,
    ) -> Version:
        """Move a version to another stage and return it; the version that held an exclusive stage retires with it.

        `expected` is where the caller saw it: a stage, or the version itself, which then must have its hashes and not
        have left its stage since. `check` looks at its adapter's history while nobody can change it. Raises
        Conflict where it does not stand as expected, and FoundryError for an unknown version and for a transition that
        the table does not allow.
        """
        to_stage = Stage(to_stage)
        with self._database.writing() as connection:
            known = _as_expected(connection, engine, version, expected, check)
            _check_allowed(known, to_stage)
            if to_stage in EXCLUSIVE:
                for other in _select(connection, "engine = ? AND stage = ?", (engine, to_stage.value)):
                    took = f"{version} took its place in {to_stage}"
                    _move(connection, other, Stage.RETIRED, actor, took, {REPLACED_BY: version})
            _move(connection, known, to_stage, actor, reason, evidence or {})
            return _require(connection, engine, version)

    def roll_back(
        self,
        engine: str,
        version: str,
        *,
        actor: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        restore: Version | None = None,
        expected: Stage | Version | None = None,
        check: Check | None = None,
    ) -> tuple[Version, Version | None]:
        """Take a version back, and in the same transaction let `restore` answer again in its place; return both.

        `restore` is what `replaced` returned, given by a caller who found that its files are those that were
        registered. Raises Conflict where the version does not stand as `expected`, or `restore` is not what it took
        the place of (any more), and FoundryError where it is not in shadow, staging or production.
        """
        with self._database.writing() as connection:
            known = _as_expected(connection, engine, version, expected, check)
            _check_allowed(known, Stage.ROLLED_BACK)
            back = _replaced(connection, known) if restore else None
            if restore and (back is None or _identity(back) != _identity(restore)):
                stands = f"what it took the place of is {back.version if back else 'not there any more'}"
                raise Conflict(f"{engine}/{restore.version} can't be restored for {version}: {stands}.", "Look again.")
            _move(connection, known, Stage.ROLLED_BACK, actor, reason, evidence or {})
            if back is not None:
                said = f"serves again: {version}, which had taken its place, was rolled back"
                proof = {name: getattr(back, name) for name in ("artefact_hash", "evaluation_hash")}
                _move(connection, back, Stage.PRODUCTION, actor, said, {"for": version, **proof}, RESTORED)
                back = _require(connection, engine, back.version)
            return _require(connection, engine, version), back

    def replaced(self, engine: str, version: str) -> Version | None:
        """Return the version whose place in production a version took, if a rollback may restore it; else None.

        That is one that stands retired since, for no other reason.
        """
        with self._database.reading() as connection:
            known = _find(connection, engine, version) if connection else None
            return _replaced(connection, known) if connection and known else None

    def version(self, engine: str, version: str) -> Version | None:
        """Return a version, or None when it is not registered."""
        with self._database.reading() as connection:
            return _find(connection, engine, version) if connection else None

    def versions(self, engine: str | None = None, stage: Stage | None = None) -> list[Version]:
        """Return the versions of an engine (or all), latest change last, at one stage (or any)."""
        with self._database.reading() as connection:
            if connection is None:
                return []
            found = _select(connection, "engine = coalesce(?, engine) AND stage = coalesce(?, stage)", (engine, stage))
            order = {
                (row[0], row[1]): row[2]
                for row in connection.execute("SELECT engine, version, max(sequence) FROM history GROUP BY 1, 2")
            }
            return sorted(found, key=lambda version: order.get((version.engine, version.version), 0))

    def history(self, engine: str | None = None, version: str | None = None) -> list[HistoryEntry]:
        """Return the history, oldest first."""
        with self._database.reading() as connection:
            if connection is None:
                return []
            return list(read_entries(connection, engine, version))

    def head(self) -> str:
        """Return the hash of the latest history entry ("" when there is none)."""
        with self._database.reading() as connection:
            row = (
                connection and connection.execute("SELECT hash FROM history ORDER BY sequence DESC LIMIT 1").fetchone()
            )
            return row["hash"] if row else ""

    def verify_history(self) -> list[str]:
        """Return what is wrong with the history, as sentences; an empty list means that it is whole.

        Checks each entry's hash and its link to the entry before, that none was removed at the end, that every
        transition was legal, and that every version is in the versions table what its history made it: its stage,
        hashes, base, reason and times.
        """
        with self._database.reading() as connection:
            if connection is None:
                return []
            entries = list(read_entries(connection))
            rows = connection.execute("SELECT * FROM versions").fetchall()
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'history'").fetchone()
        wrong = faults(entries, TRANSITIONS, row[0] if row else 0)
        stands = {(each["engine"], each["version"]): dict(each) for each in rows}
        led = replayed(entries)
        for name in sorted(stands.keys() | led.keys()):
            known, expected = stands.get(name, {}), led.get(name, {})
            stage, leads = known.get("stage"), expected.get("stage")
            if stage != leads:
                wrong.append(f"{'/'.join(name)} stands at {stage}, its history leads to {leads}")
            if known:
                wrong += [
                    f"{'/'.join(name)} was edited in the versions table: its {column} is {known[column]!r}, its "
                    f"history says {value!r}"
                    for column, value in expected.items()
                    if column != "stage" and known[column] != value
                ]
        return wrong


def _select(connection: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[Version]:
    came = (
        "SELECT sequence FROM history WHERE engine = versions.engine AND version = versions.version"
        " AND from_stage IS NOT to_stage ORDER BY sequence DESC LIMIT 1"
    )
    query = f"SELECT *, coalesce(({came}), 0) stage_entry FROM versions WHERE {where} ORDER BY engine, version"
    rows = connection.execute(query, values)
    try:
        return [Version(**{**dict(row), "stage": Stage(row["stage"])}) for row in rows]
    except ValueError as error:
        raise FoundryError(f"The registry holds {error}.", "Use the release of this program that wrote it.") from None


def _find(connection: sqlite3.Connection, engine: str, version: str) -> Version | None:
    return next(iter(_select(connection, "engine = ? AND version = ?", (engine, version))), None)


def _evidence_of(connection: sqlite3.Connection, known: Version) -> dict[str, Any] | None:
    """Return the evidence that a version's reason rests on."""
    entries = reversed([*read_entries(connection, known.engine, known.version)])
    return next((entry.evidence for entry in entries if entry.reason == known.reason), None)


def _require(connection: sqlite3.Connection, engine: str, version: str) -> Version:
    found = _find(connection, engine, version)
    if found is None:
        raise FoundryError(
            f"No version {engine}/{version} is registered.",
            "`models list`, with this command's flags, shows those that are.",
        )
    return found


def _as_expected(
    connection: sqlite3.Connection, engine: str, version: str, expected: Stage | Version | None, check: Check | None
) -> Version:
    known = _require(connection, engine, version)
    if expected is not None:
        seen = known.stage if isinstance(expected, Stage) else _identity(known)
        if seen != (expected if isinstance(expected, Stage) else _identity(expected)):
            since = f"{known.stage} since {known.stage_since}, weights {known.artefact_hash[:12]}"
            raise Conflict(f"{engine}/{version} stands elsewhere by now: {since}.", "Look again, then decide.")
    if check is not None:
        check(list(read_entries(connection, engine)))
    return known


def _identity(version: Version) -> tuple[str | int, ...]:
    """What a move rests on: which version, which bytes, and which entry brought it to which stage."""
    hashes = version.artefact_hash, version.evaluation_hash
    return (version.engine, version.version, *hashes, version.stage, version.stage_entry)


def _check_allowed(known: Version, to_stage: Stage) -> None:
    if to_stage not in TRANSITIONS[known.stage]:
        allowed = ", ".join(sorted(TRANSITIONS[known.stage])) or "nothing"
        raise FoundryError(
            f"{known.engine}/{known.version} can't go from {known.stage} to {to_stage}.",
            f"From {known.stage} it may go to: {allowed}.",
        )


def _replaced(connection: sqlite3.Connection, known: Version) -> Version | None:
    if known.stage is not Stage.PRODUCTION:
        return None
    name = displaced(read_entries(connection, known.engine), known.engine, known.version)
    return _find(connection, known.engine, name) if name else None


def _move(
    connection: sqlite3.Connection,
    known: Version,
    to_stage: Stage,
    actor: str,
    reason: str,
    evidence: Mapping[str, Any],
    event: str = "moved",
) -> None:
    at = append(connection, event, known.engine, known.version, known.stage, to_stage, actor, reason, evidence)
    connection.execute(
        "UPDATE versions SET stage = ?, reason = ?, stage_since = ? WHERE engine = ? AND version = ?",
        (to_stage.value, reason, at, known.engine, known.version),
    )
