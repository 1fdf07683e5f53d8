"""Approval: a person's word for these bytes and this evaluation, for some days, until it is taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from finetuning.version_builders import publish_version, register_version
from trial_builders import UP, Line

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Conflict, Stage, Version
from data_foundry.lake import Layer
from data_foundry.serving.admission import admit
from data_foundry.serving.trials import approval as module
from data_foundry.serving.trials.approval import Approval, approval_of, approve, proposal, revoke

WHO = {"actor": "Asha", "reason": "listened to 50 of its answers"}


@pytest.fixture
def line(settings: Settings) -> Line:
    return Line(settings)


@pytest.fixture
def version(line: Line) -> Version:
    return line.version("second", Stage.SHADOW)


def stands(line: Line, version: Version) -> tuple[Approval | None, str]:
    known = line.now(version)
    return approval_of(line.registry.history(known.engine, known.version), known, line.settings.rollout)


def test_an_approval_is_a_link_of_the_chain_and_bound_to_weights_evaluation_and_approver(
    line: Line, version: Version
) -> None:
    given, given_on = approve(line.settings, "nlu", version.version, actor=" Asha ", reason="heard it: good")
    found, why = stands(line, version)
    assert found == given and why == f"Asha approved it until {given.until}"
    assert (given.approver, given.reason, given.version) == ("Asha", "heard it: good", version.version)
    assert (given.artefact_hash, given.evaluation_hash) == (version.artefact_hash, version.evaluation_hash)
    entry = line.registry.history("nlu", version.version)[-1]
    assert (entry.event, entry.actor, entry.hash, entry.to_stage) == ("noted", "Asha", given.hash, "shadow")
    assert entry.evidence["gates"] == given_on["gates"] and given_on["gates"][0]["gate"] == "minimum_score"
    assert given_on["score"]["adapted"]["value"] == 0.9
    assert line.registry.verify_history() == [] and line.now(version).stage is Stage.SHADOW


def test_what_the_calls_say_so_far_is_shown_and_kept_with_the_approval(line: Line, version: Version) -> None:
    line.call(version, 5)
    before = line.registry.history()
    (trial,) = proposal(line.settings, "nlu", version.version)["trials"]
    assert (trial["pairs"], trial["losses"], trial["judgement"]["verdict"]) == (5, 5, "hold")
    assert line.registry.history() == before, "a proposal writes nothing"
    approve(line.settings, "nlu", version.version, **WHO)
    assert line.registry.history()[-1].evidence["trials"] == [trial]


def test_in_staging_the_shadows_judgement_is_shown_too(line: Line, version: Version) -> None:
    line.call(version, 800)
    line.controller.tick()
    line.call(version, 5)
    shadow, staging = proposal(line.settings, "nlu", version.version)["trials"]
    assert (shadow["stage"], shadow["judgement"]["verdict"], shadow["pairs"]) == ("shadow", "pass", 800)
    assert (staging["stage"], staging["judgement"]["verdict"], staging["pairs"]) == ("staging", "hold", 5)


def test_a_store_that_can_not_be_read_does_not_forbid_the_word_that_may_precede_the_evidence(
    line: Line, version: Version
) -> None:
    line.store.path.parent.mkdir(parents=True)
    line.store.path.write_bytes(b"this is no database, whatever its name says" * 100)
    _, given_on = approve(line.settings, "nlu", version.version, **WHO)
    assert "file is not a database" in given_on["trials"][0]["fault"] and given_on["trials"][0]["judgement"] is None


def test_it_ends_when_the_weights_or_the_evaluation_change_and_does_not_come_back_with_them(
    line: Line, version: Version
) -> None:
    approve(line.settings, "nlu", version.version, **WHO)
    again = publish_version(line.lake, name="second", score=0.91, verdict="pass", extra=1)
    (line.lake.folder(Layer.MODELS, again.name) / "evaluation.json").touch()
    hashes = {"artefact_hash": version.artefact_hash, "evaluation_hash": "measured again"}
    given = {"base": "owner/base", "base_revision": None, "actor": "phase4", "reason": "measured again"}
    line.registry.register("nlu", version.version, **hashes, **given)
    assert stands(line, version)[1] == f"nobody has approved nlu/{version.version} since it was evaluated again"
    register_version(line.lake, again)
    assert line.now(version).evaluation_hash == version.evaluation_hash
    assert stands(line, version)[0] is None
    line.registry.register("nlu", version.version, **{**hashes, "artefact_hash": "others"}, **given)
    assert stands(line, version)[1].endswith("since its weights changed")


def test_hashes_are_compared_whatever_the_history_says_of_changes(line: Line, version: Version) -> None:
    from dataclasses import replace

    approve(line.settings, "nlu", version.version, **WHO)
    history = line.registry.history("nlu", version.version)
    for name, what in (("artefact_hash", "weights"), ("evaluation_hash", "evaluation")):
        found, why = approval_of(history, replace(version, **{name: "f" * 64}), line.settings.rollout)
        assert found is None and f"approved other {what}" in why


@pytest.mark.parametrize("days", [1e-9, 14.0])
def test_it_counts_for_the_days_that_the_settings_gave_or_give_whichever_are_fewer(
    line: Line, version: Version, days: float
) -> None:
    line.change("rollout", approval_days=14.0 if days < 1 else 1e-9)
    if days < 1:
        approve(line.settings, "nlu", version.version, **WHO)
    else:
        with pytest.raises(Conflict, match="expired"):
            approve(line.settings, "nlu", version.version, **WHO)
    line.change("rollout", approval_days=days)
    assert "the approval by Asha expired at" in stands(line, version)[1]


def test_it_is_revoked_by_name_and_reason_and_given_again(line: Line, version: Version) -> None:
    given, _ = approve(line.settings, "nlu", version.version, **WHO)
    assert revoke(line.settings, "nlu", version.version, actor="Ravi", reason="too early") == given
    assert stands(line, version) == (None, f"Ravi revoked the approval of nlu/{version.version}: too early")
    assert line.registry.history()[-1].evidence["revoked"] == given.hash
    with pytest.raises(FoundryError, match="There is no approval to revoke: Ravi revoked"):
        revoke(line.settings, "nlu", version.version, actor="Ravi", reason="too early")
    again, _ = approve(line.settings, "nlu", version.version, **WHO)
    assert stands(line, version)[0] == again != given
    assert line.registry.verify_history() == []


@pytest.mark.parametrize("left", [Stage.ROLLED_BACK, Stage.RETIRED])
def test_it_does_not_outlive_the_way_up(line: Line, version: Version, left: Stage) -> None:
    approve(line.settings, "nlu", version.version, **WHO)
    line.registry.transition("nlu", version.version, Stage.STAGING, actor="gateway", reason="calls")
    assert stands(line, version)[0] is not None, "on the way up it stays"
    line.registry.transition("nlu", version.version, left, actor="gateway", reason="harm")
    line.registry.transition("nlu", version.version, Stage.SHADOW, actor="phase4", reason="again")
    since = left.replace("_", " ")
    assert stands(line, version) == (None, f"nobody has approved nlu/{version.version} since it was {since}")


def test_another_versions_approval_is_not_this_ones(line: Line, version: Version) -> None:
    approve(line.settings, "nlu", version.version, **WHO)
    third = line.version("third", Stage.SHADOW)
    found, why = approval_of(line.registry.history(), third, line.settings.rollout)
    assert (found, why) == (None, f"nobody has approved nlu/{third.version}")


@pytest.mark.parametrize("stages", [(), UP, (Stage.SHADOW, Stage.RETIRED), (Stage.SHADOW, Stage.ROLLED_BACK)])
def test_only_what_is_on_its_way_to_production_is_approved(line: Line, stages: tuple[Stage, ...]) -> None:
    version = line.version("other", *stages)
    with pytest.raises(FoundryError, match="an approval is for what is on its way to production"):
        approve(line.settings, "nlu", version.version, **WHO)


@pytest.mark.parametrize(
    "file",
    ["adapter/adapter_model.safetensors", "adapter/adapter_config.json", "evaluation.json", "calibration.json"],
)
def test_files_that_are_not_what_was_registered_are_not_approved(line: Line, version: Version, file: str) -> None:
    path = line.lake.folder(Layer.MODELS, f"nlu/{version.version}") / file
    path.write_bytes(path.read_bytes()[::-1] if path.stat().st_size > 2 else b"[]")
    with pytest.raises(FoundryError, match="has other bytes than were published"):
        approve(line.settings, "nlu", version.version, **WHO)
    path.unlink()
    with pytest.raises(FoundryError, match="is missing"):
        approve(line.settings, "nlu", version.version, **WHO)


def test_files_that_were_published_again_and_not_registered_are_not_approved(line: Line, version: Version) -> None:
    publish_version(line.lake, name="second", weights={"adapter_model.safetensors": b"others"})
    with pytest.raises(FoundryError, match="is not what was registered"):
        approve(line.settings, "nlu", version.version, **WHO)


def test_what_its_gates_refuse_or_leave_to_a_person_is_not_approved(line: Line) -> None:
    refused = line.version("refused", Stage.SHADOW, verdict="fail")
    with pytest.raises(FoundryError, match="refused: minimum_score"):
        approve(line.settings, "nlu", refused.version, **WHO)
    undecided = line.version("undecided", verdict="inconclusive")
    admit(line.settings, "nlu", undecided.version, **WHO)
    line.registry.transition("nlu", undecided.version, Stage.SHADOW, actor="phase4", reason="admitted")
    approve(line.settings, "nlu", undecided.version, **WHO)
    other = line.version("other", Stage.SHADOW, verdict="inconclusive")
    with pytest.raises(FoundryError, match="a person must look"):
        approve(line.settings, "nlu", other.version, **WHO)


@pytest.mark.parametrize(
    ("who", "complaint"),
    [({"actor": " ", "reason": "because"}, "names who decides and why"), ({"actor": "Asha", "reason": ""}, "names who"),
     ({"actor": "Gateway", "reason": "calls"}, "is no person"), ({"actor": "phase4", "reason": "me"}, "is no person")],
)  # fmt: skip
def test_nobody_and_no_machine_approves_or_revokes(
    line: Line, version: Version, who: dict[str, str], complaint: str
) -> None:
    for act in (approve, revoke):
        with pytest.raises(FoundryError, match=complaint):
            act(line.settings, "nlu", version.version, **who)
    assert stands(line, version)[0] is None


@pytest.mark.parametrize("wrong", ["Asha\nevil", "Asha\x1b[2J", "Asha\u2028evil", "Asha \u202elive", "Asha \udc80"])
def test_what_is_no_plain_text_on_one_line_is_no_persons_name_and_no_reason(
    line: Line, version: Version, wrong: str
) -> None:
    before = line.registry.history()
    for who in ({**WHO, "actor": wrong}, {**WHO, "reason": wrong}):
        for act in (approve, revoke, admit):
            with pytest.raises(FoundryError, match="which is no text"):
                act(line.settings, "nlu", version.version, **who)
    assert line.registry.history() == before
    joined = {"actor": " അവന്\u200dറെ മകൾ\n", "reason": "ന്\u200cമ"}
    assert approve(line.settings, "nlu", version.version, **joined)[0].approver == "അവന്\u200dറെ മകൾ"


def test_what_changed_while_it_was_looked_at_is_not_approved(
    line: Line, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = module._proposed

    def look_then_change(*given: object) -> object:
        found = looked(*given)  # type: ignore[arg-type]
        line.registry.roll_back("nlu", version.version, actor="Ravi", reason="callers complained")
        return found

    monkeypatch.setattr(module, "_proposed", look_then_change)
    with pytest.raises(Conflict, match="stands elsewhere by now: rolled_back"):
        approve(line.settings, "nlu", version.version, **WHO)
    assert [entry for entry in line.registry.history() if "approved" in entry.evidence] == []


def test_an_approval_of_a_time_that_is_to_come_does_not_count(
    line: Line, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_foundry.finetuning.versions import registry_history

    ahead = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    with monkeypatch.context() as clock:
        clock.setattr(registry_history, "now", lambda: ahead)
        with pytest.raises(Conflict, match="a clock was wrong"):
            approve(line.settings, "nlu", version.version, **WHO)
    assert "which is still to come" in stands(line, version)[1]
    given, _ = approve(line.settings, "nlu", version.version, actor="Asha", reason="by the right clock")
    assert stands(line, version)[0] == given


def test_of_two_who_approve_at_once_each_is_told_of_the_own_word(
    line: Line, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    def somebody_else(registry: Any) -> None:
        monkeypatch.undo()
        approve(line.settings, "nlu", version.version, actor="Binu", reason="heard it, too")

    monkeypatch.setattr(module, "back_up", somebody_else)
    assert approve(line.settings, "nlu", version.version, **WHO)[0].approver == "Asha"
    found, _ = stands(line, version)
    assert found is not None and found.approver == "Binu"
