"""python -m data_foundry approve and rollback: what a person types, sees, and what it leads to, gateway or none."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from serving.trials.trial_builders import UP, Line

from data_foundry import __main__ as command
from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Stage, Version
from data_foundry.lake import Layer
from data_foundry.serving.trials.approval import approve

Command = Callable[..., str]
WHO = ("--actor", "Asha", "--reason", "listened to 50 of its answers")


@pytest.fixture
def line(settings: Settings) -> Line:
    return Line(settings)


@pytest.fixture
def run(line: Line, capfd: pytest.CaptureFixture[str]) -> Command:
    """run("approve", ...) runs a command and returns what it printed; `code` is what it must end with."""

    def start(*words: str, code: int = 0) -> str:
        ended = command.main([*words, "--base-path", str(line.lake.base_path)])
        said = capfd.readouterr()
        assert ended == code, said.err + said.out
        return said.out if code == 0 else said.err

    return start


@pytest.fixture
def pair(line: Line) -> tuple[Version, Version]:
    """What answers callers, and what is in staging with some calls behind it."""
    first, second = line.version("first", *UP), line.version("second", Stage.SHADOW, Stage.STAGING)
    line.call(second, 5)
    return first, second


def test_approve_shows_what_it_rests_on_and_dry_run_only_shows(
    run: Command, line: Line, pair: tuple[Version, Version]
) -> None:
    name = f"nlu/{pair[1].version}"
    before = line.registry.history()
    shown = " ".join(run("approve", name, "--dry-run").split())
    told = json.loads(run("approve", name, "--dry-run", "--json"))
    assert line.registry.history() == before
    for word in (f"would approve {name}", "nobody has approved", "gate minimum_score: pass", "0.400 -> 0.900",
                 f"staging against {pair[0].version} (5 calls heard by both, 5 with feedback): hold: "):  # fmt: skip
        assert word in shown
    assert told["would"] == "approve" and told["artefact_hash"] == pair[1].artefact_hash
    assert f"{name} is approved by Asha until " in run("approve", name, *WHO)
    told = json.loads(run("approve", name, "--json", *WHO))
    assert told["approved"]["approver"] == "Asha" and told["trials"][0]["pairs"] == 5
    assert "Asha approved it until" in run("approve", name, "--dry-run")


def test_revoke_takes_the_approval_back(run: Command, line: Line, pair: tuple[Version, Version]) -> None:
    name = f"nlu/{pair[1].version}"
    assert "no approval to revoke" in run("approve", name, "--revoke", *WHO, code=2)
    run("approve", name, *WHO)
    assert run("approve", name, "--revoke", "--dry-run").startswith(f"would revoke the approval of {name} by Asha")
    assert run("approve", name, "--revoke", *WHO).startswith(f"revoked the approval of {name} by Asha")
    assert "no approval to revoke" in run("approve", name, "--revoke", *WHO, code=2)
    run("approve", name, *WHO)
    assert json.loads(run("approve", name, "--revoke", "--json", *WHO))["revoked"]["approver"] == "Asha"


def test_revoke_of_what_retired_says_that_no_rollback_makes_it_answer(
    run: Command, line: Line, pair: tuple[Version, Version]
) -> None:
    name = f"nlu/{pair[1].version}"
    run("approve", name, *WHO)
    line.registry.transition("nlu", pair[1].version, Stage.RETIRED, actor="Asha", reason="a newer one comes")
    assert f"approve {name} --revoke" in run("rollback", name, *WHO, code=2)
    for words in (("--dry-run",), WHO):
        assert "it answers nobody, and no rollback makes it answer" in run("approve", name, "--revoke", *words)


def test_revoke_says_that_what_answers_goes_on_and_what_stops_it(
    run: Command, line: Line, pair: tuple[Version, Version]
) -> None:
    name = f"nlu/{pair[1].version}"
    run("approve", name, *WHO)
    line.registry.transition("nlu", pair[1].version, Stage.PRODUCTION, actor="Asha", reason="to production")
    for words in (("--dry-run",), WHO):
        said = run("approve", name, "--revoke", *words)
        assert "it goes on answering every caller in production" in said and f"data_foundry rollback {name}" in said
    assert "goes on answering" in run("approve", name, "--revoke", *WHO, code=2), "though no approval is left to revoke"


def test_approve_says_of_speech_that_it_stays_in_shadow(run: Command, line: Line) -> None:
    speech = Line(line.settings, "tts").version("first", Stage.SHADOW)
    said = " ".join(run("approve", f"tts/{speech.version}", "--dry-run").split())
    assert "it can't come to production all the same: no feedback can be scored for speech: it stays in shadow" in said


def test_a_word_without_a_name_or_for_what_is_not_on_its_way_is_refused(
    run: Command, pair: tuple[Version, Version]
) -> None:
    assert "names who decides and why" in run("approve", f"nlu/{pair[1].version}", code=2)
    assert "is at stage production" in run("approve", f"nlu/{pair[0].version}", *WHO, code=2)
    assert "There is no version nlu/none" in run("approve", "nlu/none", *WHO, code=2)


def test_rollback_of_an_adapter_takes_what_answers_back_and_says_what_serves_now(
    run: Command, line: Line, pair: tuple[Version, Version]
) -> None:
    first, _ = pair
    third = line.version("third", *UP)
    assert line.now(first).stage is Stage.RETIRED
    shown = run("rollback", "nlu", "--dry-run")
    assert (
        shown
        == f"would roll back nlu/{third.version} from production; nlu/{first.version} would answer callers again\n"
    )
    assert line.now(third).stage is Stage.PRODUCTION
    assert run("rollback", "nlu", *WHO) == (
        f"rolled back nlu/{third.version} from production; nlu/{first.version} answers callers again\n"
    )
    assert (line.now(third).stage, line.now(first).stage) == (Stage.ROLLED_BACK, Stage.PRODUCTION)
    entry = line.registry.history("nlu", third.version)[-1]
    assert entry.actor == "Asha" and entry.reason == "Asha rolled it back: listened to 50 of its answers"
    assert line.registry.verify_history() == []
    told = json.loads(run("rollback", "nlu", "--json", *WHO))
    assert (told["serves"], told["restored"]) == ("base", None)


def test_rollback_names_a_version_at_any_stage(run: Command, line: Line, pair: tuple[Version, Version]) -> None:
    first, second = pair
    assert run("rollback", f"nlu/{second.version}", *WHO) == (
        f"rolled back nlu/{second.version} from staging; nlu/{first.version} answers callers\n"
    )
    shadow = line.version("shadow", Stage.SHADOW)
    run("rollback", f"nlu/{shadow.version[:6]}", *WHO)
    assert line.now(shadow).stage is Stage.ROLLED_BACK and line.now(first).stage is Stage.PRODUCTION
    for dry in ((), ("--dry-run",)):
        assert "nothing to take it back from" in run("rollback", f"nlu/{shadow.version}", *WHO, *dry, code=2)


def test_rollback_says_why_what_it_replaced_does_not_serve(run: Command, line: Line) -> None:
    first = line.version("first", *UP)
    line.version("second", *UP)
    (line.lake.folder(Layer.MODELS, f"nlu/{first.version}") / "adapter/adapter_model.safetensors").write_bytes(b"?")
    said = run("rollback", "nlu", "--dry-run")
    assert "the base would answer callers\n" in said and f"nlu/{first.version} can't serve again" in said
    assert json.loads(run("rollback", "nlu", "--json", *WHO))["not_restored"].startswith(f"nlu/{first.version} can't")
    assert line.now(first).stage is Stage.RETIRED


def test_rollback_says_that_nobody_answers_where_the_base_can_not_do_the_task(run: Command, line: Line) -> None:
    name = f"nlu/{line.version('first', *UP, head=True).version}"
    for words, start, verb in ((("--dry-run",), "would roll back", "would answer"), (WHO, "rolled back", "answers")):
        said = run("rollback", "nlu", *words)
        assert f"{start} {name} from production; nobody {verb} callers\n" in said and "can't do its task" in said


def test_a_rollback_of_nothing_or_by_nobody_is_refused_and_changes_nothing(run: Command, line: Line) -> None:
    assert "No version of nlu is in production, staging or shadow" in run("rollback", "nlu", *WHO, code=2)
    first = line.version("first", *UP)
    before = line.registry.history()
    assert "names who decides" in run("rollback", "nlu", code=2)
    assert "is no person" in run("rollback", "nlu", "--actor", "gateway", "--reason", "harm", code=2)
    assert line.registry.history() == before and line.now(first).stage is Stage.PRODUCTION


@pytest.mark.parametrize(
    "words", [("rollback", "nlu"), ("approve", "{}"), ("approve", "{}", "--revoke"), ("models", "admit", "{}")],
    ids=lambda words: words[-1] if len(words) > 2 else words[0],
)  # fmt: skip
def test_a_backup_that_is_asked_for_holds_the_registry_after_every_word_of_a_person(
    run: Command, line: Line, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATA_FOUNDRY_STORAGE__BACKUP_ENABLED", "true")
    undecided = "admit" in words
    version = line.version("first", *() if undecided else UP[:1], verdict="inconclusive" if undecided else "pass")
    name = f"nlu/{version.version}"
    if "--revoke" in words:
        approve(line.settings, "nlu", version.version, actor="Asha", reason="heard it")
    before = line.registry.head()
    run(*(word.format(name) for word in words), *WHO)
    assert line.registry.head() != before
    copy = line.lake.base_path / "backup" / "models" / "registry.sqlite"
    with closing(sqlite3.connect(copy)) as database:
        (last,) = database.execute("SELECT hash FROM history ORDER BY sequence DESC LIMIT 1").fetchone()
    assert last == line.registry.head()
