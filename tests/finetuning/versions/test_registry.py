"""The model registry: legal transitions only, a history that shows edits, and a consistent state after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import TRANSITIONS, Conflict, Registry, Stage, Version
from data_foundry.lake import Lake


@pytest.fixture
def registry(lake: Lake) -> Registry:
    return Registry(lake)


def register(registry: Registry, version: str = "aaaaaaaaaaaa", engine: str = "stt", **hashes: str) -> Version:
    given = {"artefact_hash": f"weights of {version}", "evaluation_hash": f"evaluation of {version}", **hashes}
    return registry.register(
        engine, version, base="owner/base", base_revision="c0ffee", actor="test", reason="trained", **given
    )


def move(registry: Registry, version: str, *stages: Stage, engine: str = "stt") -> Version | None:
    for stage in stages:
        registry.transition(engine, version, stage, actor="test", reason=f"to {stage}", evidence={"calls": 7})
    return registry.version(engine, version)


def at_stage(registry: Registry, stage: Stage) -> str:
    """Register a version and lead it to a stage by legal steps; return its name."""
    path = {
        Stage.NONE: (),
        Stage.SHADOW: (Stage.SHADOW,),
        Stage.STAGING: (Stage.SHADOW, Stage.STAGING),
        Stage.PRODUCTION: (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION),
        Stage.RETIRED: (Stage.SHADOW, Stage.RETIRED),
        Stage.ROLLED_BACK: (Stage.SHADOW, Stage.ROLLED_BACK),
    }[stage]
    register(registry)
    move(registry, "aaaaaaaaaaaa", *path)
    return "aaaaaaaaaaaa"


def test_a_registered_version_stands_at_none_with_who_and_why_in_the_history(registry: Registry) -> None:
    version = register(registry)
    assert (version.stage, version.base, version.base_revision) == (Stage.NONE, "owner/base", "c0ffee")
    (entry,) = registry.history()
    assert (entry.event, entry.actor, entry.reason, entry.to_stage) == ("registered", "test", "trained", "none")
    assert entry.evidence["artefact_hash"] == "weights of aaaaaaaaaaaa"


def test_registering_the_same_version_again_changes_nothing(registry: Registry) -> None:
    register(registry)
    move(registry, "aaaaaaaaaaaa", Stage.SHADOW)
    before = registry.history()
    assert register(registry).stage is Stage.SHADOW
    assert registry.history() == before


def test_other_weights_under_a_known_name_lose_the_stage_that_was_earned(registry: Registry) -> None:
    at_stage(registry, Stage.SHADOW)
    assert register(registry, artefact_hash="other weights").stage is Stage.NONE
    assert registry.history()[-1].event == "weights changed"
    assert registry.verify_history() == []


def test_other_weights_under_the_name_of_a_version_that_answers_callers_are_refused(registry: Registry) -> None:
    at_stage(registry, Stage.PRODUCTION)
    with pytest.raises(FoundryError, match="is in production with weights"):
        register(registry, artefact_hash="other weights")
    assert registry.versions(stage=Stage.PRODUCTION)[0].artefact_hash == "weights of aaaaaaaaaaaa"


def test_another_evaluation_keeps_the_stage_and_is_in_the_history(registry: Registry) -> None:
    at_stage(registry, Stage.SHADOW)
    again = register(registry, evaluation_hash="stricter gates")
    assert (again.stage, again.evaluation_hash) == (Stage.SHADOW, "stricter gates")
    assert registry.history()[-1].event == "evaluated again"


@pytest.mark.parametrize("start", list(Stage))
@pytest.mark.parametrize("end", list(Stage))
def test_only_the_transitions_of_the_table_are_allowed(registry: Registry, start: Stage, end: Stage) -> None:
    version = at_stage(registry, start)
    if end in TRANSITIONS[start]:
        assert move(registry, version, end).stage is end  # type: ignore[union-attr]
    else:
        before = registry.history()
        with pytest.raises(FoundryError, match=f"can't go from {start} to {end}"):
            move(registry, version, end)
        assert registry.history() == before
        assert registry.version("stt", version).stage is start  # type: ignore[union-attr]
    assert registry.verify_history() == []


def test_production_can_only_be_reached_through_shadow_and_staging() -> None:
    assert [start for start, ends in TRANSITIONS.items() if Stage.PRODUCTION in ends] == [Stage.STAGING]
    assert [start for start, ends in TRANSITIONS.items() if Stage.STAGING in ends] == [Stage.SHADOW]


def test_a_new_shadow_retires_the_older_one_of_its_engine_and_no_other(registry: Registry) -> None:
    for version, engine in (("aaaaaaaaaaaa", "stt"), ("bbbbbbbbbbbb", "nlu"), ("cccccccccccc", "stt")):
        register(registry, version, engine)
        move(registry, version, Stage.SHADOW, engine=engine)
    stages = {version.version: version.stage for version in registry.versions()}
    assert stages == {"aaaaaaaaaaaa": Stage.RETIRED, "bbbbbbbbbbbb": Stage.SHADOW, "cccccccccccc": Stage.SHADOW}
    assert registry.version("stt", "aaaaaaaaaaaa").reason == "cccccccccccc took its place in shadow"  # type: ignore[union-attr]
    assert registry.verify_history() == []


def test_an_unknown_version_or_engine_is_refused(registry: Registry) -> None:
    with pytest.raises(FoundryError, match="No version stt/nothing"):
        move(registry, "nothing", Stage.SHADOW)
    for name in ("weather", "weather.rain", "stt.", "stt/malabar", "stt.Malabar"):
        with pytest.raises(FoundryError, match="names no adapter"):
            register(registry, engine=name)


def test_a_variant_has_a_shadow_and_a_production_of_its_own(registry: Registry) -> None:
    for version, name in (("aaaaaaaaaaaa", "stt"), ("bbbbbbbbbbbb", "stt.malabar"), ("cccccccccccc", "stt.malabar")):
        register(registry, version, name)
        move(registry, version, Stage.SHADOW, engine=name)
    assert [version.version for version in registry.versions("stt", Stage.SHADOW)] == ["aaaaaaaaaaaa"]
    assert [version.version for version in registry.versions("stt.malabar", Stage.SHADOW)] == ["cccccccccccc"]
    assert registry.verify_history() == []


def test_a_transition_without_who_and_why_is_refused(registry: Registry) -> None:
    register(registry)
    with pytest.raises(FoundryError, match="who and why"):
        registry.transition("stt", "aaaaaaaaaaaa", Stage.SHADOW, actor="test", reason="")


def test_the_database_itself_refuses_to_edit_or_delete_history(registry: Registry) -> None:
    at_stage(registry, Stage.SHADOW)
    connection = sqlite3.connect(registry.path)
    for statement in ("UPDATE history SET reason = 'because'", "DELETE FROM history WHERE sequence = 1"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        ("UPDATE history SET reason = 'because' WHERE sequence = 2", "entry 2 .* was edited"),
        ("UPDATE history SET evidence = '{\"calls\": 8}' WHERE sequence = 2", "entry 2 .* was edited"),
        ("UPDATE history SET evidence = 'x' WHERE sequence = 2", "entry 2 .* was edited"),
        ("UPDATE history SET at = '2020-01-01T00:00:00Z' WHERE sequence = 1", "entry 1 .* was edited"),
        ("DELETE FROM history WHERE sequence = 2", "entry 3 .* follows entry 1"),
        ("DELETE FROM history WHERE sequence = 3", "3 entries were written, the last one kept is 2"),
        ("UPDATE versions SET stage = 'production'", "stands at production, its history leads to staging"),
        ("DELETE FROM versions", "stands at None"),
        ("UPDATE versions SET artefact_hash = 'f00'", "edited in the versions table: its artefact_hash is 'f00'"),
        ("UPDATE versions SET evaluation_hash = 'f00'", "edited in the versions table: its evaluation_hash is 'f00'"),
        ("UPDATE versions SET reason = 'all good'", "its reason is 'all good', its history says 'to staging'"),
        ("UPDATE versions SET base = 'evil'", "its base is 'evil', its history says 'owner/base'"),
        ("UPDATE versions SET base_revision = NULL", "its base_revision is None, its history says 'c0ffee'"),
        ("UPDATE versions SET stage_since = '2020-01-01T00:00:00Z'", "its stage_since is '2020"),
    ],
)
def test_a_row_edited_behind_the_registry_breaks_the_chain(registry: Registry, edit: str, complaint: str) -> None:
    at_stage(registry, Stage.STAGING)
    assert registry.verify_history() == []
    connection = sqlite3.connect(registry.path)
    connection.executescript(f"DROP TRIGGER history_is_not_edited; DROP TRIGGER history_is_not_deleted; {edit};")
    connection.close()
    wrong = "\n".join(registry.verify_history())
    assert re.search(complaint, wrong), wrong


def test_an_entry_rehashed_after_an_edit_is_still_found(registry: Registry) -> None:
    at_stage(registry, Stage.STAGING)
    entry = registry.history()[1]
    forged = type(entry)(**{**entry.__dict__, "reason": "because"})
    connection = sqlite3.connect(registry.path)
    connection.execute("DROP TRIGGER history_is_not_edited")
    connection.execute("UPDATE history SET reason = 'because', hash = ? WHERE sequence = 2", (forged.expected_hash,))
    connection.commit()
    connection.close()
    assert registry.verify_history() == ["entry 3 (stt/aaaaaaaaaaaa moved) does not continue the entry before it"]


KILLED_HALFWAY = """
import os, signal, sys
from data_foundry.config import load_settings
from data_foundry.finetuning.versions import registry as module
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake

registry = Registry(Lake(load_settings(flags={"base_path": sys.argv[1]}, environ={})))
register = lambda v: registry.register("stt", v, artefact_hash="w", evaluation_hash="e", base="b", base_revision=None,
                                       actor="test", reason="trained")
die = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
register("aaaaaaaaaaaa")
registry.transition("stt", "aaaaaaaaaaaa", Stage.SHADOW, actor="test", reason="passed")
register("bbbbbbbbbbbb")
if sys.argv[2] == "between":
    die()
append = module.append
calls = []
def append_then_die(*args):
    at = append(*args)
    calls.append(args)
    if len(calls) == 2:  # the older shadow is retired, the newer one's entry is written, nothing is committed
        die()
    return at
module.append = append_then_die
registry.transition("stt", "bbbbbbbbbbbb", Stage.SHADOW, actor="test", reason="passed")
"""


@pytest.mark.parametrize("moment", ["between", "inside"])
def test_a_kill_between_or_inside_changes_leaves_the_old_state_whole(
    registry: Registry, lake: Lake, moment: str
) -> None:
    child = subprocess.run(
        [sys.executable, "-c", KILLED_HALFWAY, str(lake.base_path), moment],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert registry.verify_history() == []
    stages = {version.version: version.stage for version in registry.versions("stt")}
    assert stages == {"aaaaaaaaaaaa": Stage.SHADOW, "bbbbbbbbbbbb": Stage.NONE}
    assert move(registry, "bbbbbbbbbbbb", Stage.SHADOW).stage is Stage.SHADOW  # type: ignore[union-attr]
    assert registry.version("stt", "aaaaaaaaaaaa").stage is Stage.RETIRED  # type: ignore[union-attr]
    assert registry.verify_history() == []


def test_many_writers_at_once_make_one_whole_chain(lake: Lake) -> None:
    names = [f"{number:012x}" for number in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: register(Registry(lake), name), names))
    assert sorted(version.version for version in Registry(lake).versions()) == names
    assert Registry(lake).verify_history() == []


def test_looking_at_a_registry_that_is_not_there_writes_nothing(registry: Registry, lake: Lake) -> None:
    assert registry.versions() == [] and registry.history() == [] and registry.verify_history() == []
    assert registry.version("stt", "aaaaaaaaaaaa") is None and registry.head() == ""
    assert not lake.base_path.exists()


def test_reading_leaves_the_registry_and_its_folder_as_they_were(registry: Registry) -> None:
    at_stage(registry, Stage.SHADOW)
    before = registry.path.read_bytes(), sorted(path.name for path in registry.path.parent.iterdir())
    assert registry.versions() and registry.history() and registry.verify_history() == []
    assert (registry.path.read_bytes(), sorted(path.name for path in registry.path.parent.iterdir())) == before
    assert before[1] == ["registry.sqlite"]


MADE_BEFORE_VARIANTS = """
CREATE TABLE versions (
  engine TEXT NOT NULL, version TEXT NOT NULL, artefact_hash TEXT NOT NULL, evaluation_hash TEXT NOT NULL,
  base TEXT NOT NULL, base_revision TEXT, stage TEXT NOT NULL, reason TEXT NOT NULL,
  registered_at TEXT NOT NULL, stage_since TEXT NOT NULL, PRIMARY KEY (engine, version));
CREATE TABLE history (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, event TEXT NOT NULL, engine TEXT NOT NULL,
  version TEXT NOT NULL, from_stage TEXT, to_stage TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
  evidence TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL UNIQUE);
INSERT INTO versions VALUES ('nlu', 'eae4383689ca', 'weights', 'evaluation', 'owner/base', NULL, 'shadow',
  'passed its gates', '2026-01-02T03:04:05Z', '2026-01-02T03:04:06Z');
INSERT INTO history VALUES (1, '2026-01-02T03:04:05Z', 'registered', 'nlu', 'eae4383689ca', NULL, 'none', 'phase4',
  'trained', '{"verdict": "pass"}', '',
  'a2b6271e93256234c8e79a85b002a162706a63d789bf9130424f45bd4b3a8df5');
INSERT INTO history VALUES (2, '2026-01-02T03:04:06Z', 'moved', 'nlu', 'eae4383689ca', 'none', 'shadow', 'phase4',
  'passed its gates', '{}',
  'a2b6271e93256234c8e79a85b002a162706a63d789bf9130424f45bd4b3a8df5',
  '475911b36be9c557b966ef774827176d7d0e953efd946b7970e46702d121e8f1');
"""


def test_a_registry_made_before_there_were_variants_opens_and_goes_on(registry: Registry) -> None:
    registry.path.parent.mkdir(parents=True)
    connection = sqlite3.connect(registry.path)
    connection.executescript(MADE_BEFORE_VARIANTS)
    connection.close()
    assert registry.verify_history() == []
    known = registry.version("nlu", "eae4383689ca")
    assert known is not None and (known.stage, known.stage_entry) == (Stage.SHADOW, 2)
    register(registry, "bbbbbbbbbbbb", "nlu")
    move(registry, "bbbbbbbbbbbb", Stage.SHADOW, engine="nlu")
    assert registry.version("nlu", "eae4383689ca").stage is Stage.RETIRED  # type: ignore[union-attr]
    assert registry.verify_history() == []


FIRST, SECOND, THIRD = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"
UP = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)


def replace(registry: Registry, *versions: str) -> None:
    """Bring versions to production one after the other."""
    for version in versions:
        register(registry, version)
        move(registry, version, *UP)


def roll_back(registry: Registry, version: str, **how: object) -> tuple[Version, Version | None]:
    return registry.roll_back("stt", version, actor="test", reason="callers complained", **how)  # type: ignore[arg-type]


def stages(registry: Registry) -> dict[str, Stage]:
    return {version.version: version.stage for version in registry.versions("stt")}


def test_a_new_version_in_staging_retires_the_one_that_was_there(registry: Registry) -> None:
    for version in (FIRST, SECOND):
        register(registry, version)
        move(registry, version, Stage.SHADOW, Stage.STAGING)
    assert stages(registry) == {FIRST: Stage.RETIRED, SECOND: Stage.STAGING}
    (retired,) = [entry for entry in registry.history() if entry.to_stage == "retired"]
    assert retired.evidence == {"replaced_by": SECOND}


def test_a_rollback_of_production_restores_what_it_replaced_in_the_same_change(registry: Registry) -> None:
    replace(registry, FIRST, SECOND)
    before = registry.replaced("stt", SECOND)
    assert before is not None and (before.version, before.stage) == (FIRST, Stage.RETIRED)
    taken, restored = roll_back(registry, SECOND, restore=before, evidence={"calls": 40})
    assert (taken.stage, restored and restored.stage) == (Stage.ROLLED_BACK, Stage.PRODUCTION)
    assert stages(registry) == {FIRST: Stage.PRODUCTION, SECOND: Stage.ROLLED_BACK}
    last = registry.history()[-2:]
    assert [(e.event, e.version, e.to_stage) for e in last] == [
        ("moved", SECOND, "rolled_back"), ("restored", FIRST, "production"),
    ]  # fmt: skip
    assert last[0].evidence == {"calls": 40} and last[1].evidence["artefact_hash"] == before.artefact_hash
    assert registry.version("stt", FIRST).reason.startswith("serves again: bbbbbbbbbbbb")  # type: ignore[union-attr]
    assert registry.verify_history() == []


def test_what_was_restored_can_be_rolled_back_to_what_it_had_replaced_itself(registry: Registry) -> None:
    replace(registry, FIRST, SECOND, THIRD)
    roll_back(registry, THIRD, restore=registry.replaced("stt", THIRD))
    assert registry.replaced("stt", SECOND) == registry.version("stt", FIRST)
    roll_back(registry, SECOND, restore=registry.replaced("stt", SECOND))
    assert stages(registry) == {FIRST: Stage.PRODUCTION, SECOND: Stage.ROLLED_BACK, THIRD: Stage.ROLLED_BACK}
    assert registry.replaced("stt", FIRST) is None, "it took nobody's place"
    assert registry.verify_history() == []


def test_a_rollback_restores_nothing_unless_it_is_told_to_and_from_the_shadow_it_can_not(registry: Registry) -> None:
    replace(registry, FIRST, SECOND)
    first = registry.version("stt", FIRST)
    register(registry, THIRD)
    move(registry, THIRD, Stage.SHADOW)
    with pytest.raises(Conflict, match="can't be restored for cccccccccccc"):
        roll_back(registry, THIRD, restore=first)
    assert roll_back(registry, THIRD) == (registry.version("stt", THIRD), None)
    assert roll_back(registry, SECOND)[1] is None
    assert stages(registry) == {FIRST: Stage.RETIRED, SECOND: Stage.ROLLED_BACK, THIRD: Stage.ROLLED_BACK}
    with pytest.raises(FoundryError, match="can't go from rolled_back to rolled_back"):
        roll_back(registry, SECOND)
    assert registry.verify_history() == []


def test_what_has_moved_since_it_was_replaced_is_not_restored(registry: Registry) -> None:
    replace(registry, FIRST, SECOND)
    seen = registry.replaced("stt", SECOND)
    move(registry, FIRST, Stage.SHADOW, Stage.ROLLED_BACK)
    assert registry.replaced("stt", SECOND) is None
    before = registry.history()
    with pytest.raises(Conflict, match="is not there any more"):
        roll_back(registry, SECOND, restore=seen)
    assert registry.history() == before


def test_a_version_that_came_twice_replaced_what_was_there_the_second_time(registry: Registry) -> None:
    replace(registry, FIRST, SECOND)
    move(registry, FIRST, *UP)
    assert registry.replaced("stt", FIRST) == registry.version("stt", SECOND)
    roll_back(registry, FIRST, restore=registry.replaced("stt", FIRST))
    assert registry.replaced("stt", SECOND) is None, "what it had replaced was rolled back since"
    assert registry.verify_history() == []


def test_what_a_person_retired_before_another_came_was_not_replaced_by_it(registry: Registry) -> None:
    replace(registry, FIRST)
    register(registry, SECOND)
    move(registry, SECOND, Stage.SHADOW, Stage.STAGING)
    move(registry, FIRST, Stage.RETIRED)
    move(registry, SECOND, Stage.PRODUCTION)
    assert registry.replaced("stt", SECOND) is None


def test_a_move_that_expects_another_stage_or_another_stay_there_changes_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(registry)
    seen = move(registry, FIRST, Stage.SHADOW)
    go = {"actor": "test", "reason": "passed"}
    with pytest.raises(Conflict, match="stands elsewhere by now: shadow since"):
        registry.transition("stt", FIRST, Stage.STAGING, expected=Stage.STAGING, **go)
    register(registry, evaluation_hash="measured again")
    for change in (
        lambda: registry.transition("stt", FIRST, Stage.STAGING, expected=seen, **go),
        lambda: registry.roll_back("stt", FIRST, expected=seen, **go),
        lambda: registry.note("stt", FIRST, expected=seen, **go),
    ):
        before = registry.history()
        with pytest.raises(Conflict, match="stands elsewhere"):
            change()
        assert registry.history() == before
    seen = registry.version("stt", FIRST)
    monkeypatch.setattr("data_foundry.finetuning.versions.registry_history.now", lambda: "2099-01-01T00:00:00Z")
    move(registry, FIRST, Stage.ROLLED_BACK, Stage.SHADOW)
    with pytest.raises(Conflict, match="shadow since 2099"):
        registry.transition("stt", FIRST, Stage.STAGING, expected=seen, **go)
    assert move(registry, FIRST, Stage.STAGING).stage is Stage.STAGING  # type: ignore[union-attr]


def test_a_move_that_expects_another_stay_changes_nothing_though_both_began_in_one_second(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_foundry.finetuning.versions.registry_history.now", lambda: "2099-01-01T00:00:00Z")
    register(registry)
    seen = move(registry, FIRST, Stage.SHADOW)
    again = move(registry, FIRST, Stage.ROLLED_BACK, Stage.SHADOW)
    assert seen is not None and again is not None and seen.stage_since == again.stage_since
    with pytest.raises(Conflict, match="stands elsewhere by now"):
        registry.transition("stt", FIRST, Stage.STAGING, actor="test", reason="passed", expected=seen)
    assert registry.transition("stt", FIRST, Stage.STAGING, actor="test", reason="passed", expected=again)


def test_what_a_version_replaced_is_read_from_its_own_adapters_history(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(registry, FIRST, SECOND)
    own = len(registry.history())
    for number in range(20):
        register(registry, f"{number:012x}", "nlu")
    parsed = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: parsed.append(text) or loads(text))
    assert registry.replaced("stt", SECOND) == registry.version("stt", FIRST) and len(parsed) == own
    parsed.clear()
    assert len(registry.history("stt", FIRST)) == len(parsed) < own


def test_of_two_that_move_a_version_at_once_one_does_and_the_other_learns_of_it(registry: Registry, lake: Lake) -> None:
    seen = [register(registry, f"{number:012x}") for number in range(8)]

    def move_it(version: Version) -> bool:
        try:
            Registry(lake).transition(
                "stt", version.version, Stage.SHADOW, actor="test", reason="passed", expected=version
            )
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        moved = list(pool.map(move_it, [version for version in seen for _ in range(2)]))
    assert sum(moved) == 8
    assert registry.verify_history() == []


def test_a_check_sees_the_adapters_history_and_what_it_raises_stops_the_change(registry: Registry) -> None:
    register(registry)
    register(registry, SECOND)
    seen = []

    def refuse(entries: object) -> None:
        seen.append([(entry.version, entry.event) for entry in entries])  # type: ignore[attr-defined]
        raise Conflict("no")

    for change in (
        lambda: registry.transition("stt", FIRST, Stage.SHADOW, actor="a", reason="r", check=refuse),
        lambda: registry.note("stt", FIRST, actor="a", reason="r", check=refuse),
    ):
        with pytest.raises(Conflict, match="no"):
            change()
    assert seen == [[(FIRST, "registered"), (SECOND, "registered")]] * 2 and len(registry.history()) == 2


FORGED = """
INSERT INTO history (at, event, engine, version, from_stage, to_stage, actor, reason, evidence, previous_hash, hash)
VALUES (:at, :event, :engine, :version, :from_stage, :to_stage, :actor, :reason, '{}', :previous_hash, :hash)
"""


def forge(registry: Registry, event: str, version: str, start: str, end: str) -> None:
    """Append an entry as if the registry had, and let the versions table agree with it."""
    entry = registry.history()[-1]
    given = {"event": event, "version": version, "from_stage": start, "to_stage": end, "evidence": {}}
    new = type(entry)(**{**entry.__dict__, **given, "sequence": 0, "previous_hash": entry.hash, "hash": ""})
    connection = sqlite3.connect(registry.path)
    connection.execute(FORGED, {**new.__dict__, "evidence": "{}", "hash": new.expected_hash})
    connection.execute(
        "UPDATE versions SET stage = ?, stage_since = ?, reason = ? WHERE version = ?",
        (end, new.at, new.reason, version),
    )
    connection.commit()
    connection.close()


def test_a_retired_version_comes_to_production_by_a_rollback_of_its_successor_alone(registry: Registry) -> None:
    replace(registry, FIRST, SECOND, THIRD)
    forge(registry, "restored", SECOND, "retired", "production")
    (wrong,) = registry.verify_history()
    assert "serves again, though nothing that took its place was rolled back just before" in wrong


def test_of_several_that_are_retired_only_the_one_replaced_may_be_restored(registry: Registry) -> None:
    replace(registry, FIRST, SECOND, THIRD)
    roll_back(registry, THIRD)
    forge(registry, "restored", FIRST, "retired", "production")
    assert "serves again, though" in "".join(registry.verify_history())


@pytest.mark.parametrize(
    ("event", "start", "end"),
    [("moved", "retired", "production"), ("noted", "retired", "production"), ("restored", "rolled_back", "production"),
     ("evaluated again", "retired", "staging"), ("registered", "retired", "production"), ("blessed", "none", "shadow")],
)  # fmt: skip
def test_an_event_that_may_not_lead_there_is_found(registry: Registry, event: str, start: str, end: str) -> None:
    replace(registry, FIRST)
    register(registry, SECOND)
    if start != "none":
        move(registry, SECOND, Stage.SHADOW, Stage(start))
    forge(registry, event, SECOND, start, end)
    assert f"went from {start} to {end}, which is not allowed" in "".join(registry.verify_history())


def test_a_registry_of_before_replacements_were_evidence_restores_by_the_reason(registry: Registry) -> None:
    replace(registry, FIRST, SECOND)
    connection = sqlite3.connect(registry.path)
    connection.execute("DROP TRIGGER history_is_not_edited")
    connection.execute("UPDATE history SET evidence = '{}' WHERE to_stage = 'retired'")
    connection.commit()
    connection.close()
    assert registry.replaced("stt", SECOND).version == FIRST  # type: ignore[union-attr]


ROLLED_BACK_AND_KILLED = """
import os, signal, sys
from data_foundry.config import load_settings
from data_foundry.finetuning.versions import registry as module
from data_foundry.finetuning.versions.registry import Registry
from data_foundry.lake import Lake

registry = Registry(Lake(load_settings(flags={"base_path": sys.argv[1]}, environ={})))
append = module.append
def append_then_die(connection, event, *args):
    at = append(connection, event, *args)
    if event == "restored":  # both entries are written, nothing is committed
        os.kill(os.getpid(), signal.SIGKILL)
    return at
module.append = append_then_die
registry.roll_back("stt", "bbbbbbbbbbbb", actor="test", reason="harm", restore=registry.replaced("stt", "bbbbbbbbbbbb"))
"""


def test_a_kill_inside_a_rollback_leaves_the_version_in_production_and_never_nobody(
    registry: Registry, lake: Lake
) -> None:
    replace(registry, FIRST, SECOND)
    child = subprocess.run(
        [sys.executable, "-c", ROLLED_BACK_AND_KILLED, str(lake.base_path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert stages(registry) == {FIRST: Stage.RETIRED, SECOND: Stage.PRODUCTION}
    roll_back(registry, SECOND, restore=registry.replaced("stt", SECOND))
    assert stages(registry) == {FIRST: Stage.PRODUCTION, SECOND: Stage.ROLLED_BACK}
    assert registry.verify_history() == []


def test_a_damaged_registry_is_a_clear_error(registry: Registry) -> None:
    registry.path.parent.mkdir(parents=True)
    registry.path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(FoundryError, match="can't be used: file is not a database"):
        registry.versions()


def test_a_note_is_written_once_and_moves_nothing(registry: Registry) -> None:
    register(registry)
    for _ in range(2):
        noted = registry.note(
            "stt", "aaaaaaaaaaaa", actor="test", reason="refused: cer 0.4", evidence={"gate": "score"}
        )
    assert (noted.stage, noted.reason) == (Stage.NONE, "refused: cer 0.4")
    assert [entry.event for entry in registry.history()] == ["registered", "noted"]
    assert registry.verify_history() == []


def test_whatever_happens_to_a_version_the_history_leads_to_its_row(registry: Registry) -> None:
    name = "aaaaaaaaaaaa"
    register(registry)
    register(registry, evaluation_hash="of none")
    move(registry, name, Stage.SHADOW)
    register(registry, evaluation_hash="of a shadow")
    registry.note("stt", name, actor="test", reason="in shadow")
    register(registry, artefact_hash="others")
    register(registry, artefact_hash="others again")
    assert registry.verify_history() == []


def test_the_same_reason_on_other_evidence_is_written(registry: Registry) -> None:
    register(registry)
    for evidence in ({"seen": "one"}, {"seen": "other"}, {"seen": "other"}, {"seen": "one"}):
        registry.note("stt", "aaaaaaaaaaaa", actor="test", reason="admitted", evidence=evidence)
    assert [entry.evidence.get("seen") for entry in registry.history()] == [None, "one", "other", "one"]


def test_who_may_only_read_sees_what_still_lies_in_the_log(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    register(registry)
    holder = sqlite3.connect(registry.path)  # while somebody has it open, nobody tidies the log away
    holder.execute("SELECT count(*) FROM versions").fetchone()
    move(registry, "aaaaaaaaaaaa", Stage.SHADOW)
    assert registry.path.with_name("registry.sqlite-wal").stat().st_size
    monkeypatch.setattr(os, "access", lambda *_: False)
    (found,) = registry.versions()
    holder.close()
    assert found.stage is Stage.SHADOW


def test_a_log_that_can_not_be_read_is_a_clear_error(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    register(registry)
    registry.path.with_name("registry.sqlite-wal").write_bytes(b"changes")
    monkeypatch.setattr(os, "access", lambda *_: False)

    def refused(*_: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(registry._database, "connect", refused)
    with pytest.raises(FoundryError, match="readonly database") as raised:
        registry.versions()
    assert "latest changes still lie in registry.sqlite-wal" in raised.value.hint


def test_a_registry_on_shared_storage_keeps_no_write_ahead_log(with_settings, tmp_path: Path) -> None:
    registry = Registry(Lake(with_settings(storage={"type": "shared"})))
    register(registry)
    connection = sqlite3.connect(registry.path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.close()


@pytest.mark.parametrize("written", ["[1, 2]", '"a word"', "null", "[" * 100_000])
def test_evidence_that_is_no_object_is_told_as_unreadable(registry: Registry, written: str) -> None:
    register(registry)
    connection = sqlite3.connect(registry.path)
    connection.execute("DROP TRIGGER history_is_not_edited")
    connection.execute("UPDATE history SET evidence = ?", (written,))
    connection.commit()
    connection.close()
    assert [entry.evidence for entry in registry.history()] == [{"unreadable": written}]
    assert registry.verify_history()


def test_a_stage_of_another_release_is_a_clear_error(registry: Registry) -> None:
    register(registry)
    connection = sqlite3.connect(registry.path)
    connection.execute("UPDATE versions SET stage = 'quarantined'")
    connection.commit()
    connection.close()
    with pytest.raises(FoundryError, match="The registry holds 'quarantined'"):
        registry.versions()
