"""What is told from the disk alone: of callers, of what was taken back, of what waits for a person."""

import shlex
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.admission import ADMITTED, admission_of
from data_foundry.serving.trials.approval import APPROVED, UNTIL
from data_foundry.serving.trials.decision import AFTER_HARM, APPROVAL
from data_foundry.serving.trials.followed import TRIAL
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.watch.health import Health, health
from data_foundry.serving.watch.reference import reference_key, sampled
from data_foundry.serving.watch.rules import rules_of
from data_foundry.serving.watch.tallies import NO_ADAPTER, TallyWriter
from data_foundry.serving.watch.waiting import waiting
from tests.serving.watch.calls import gold, registered, trained


@pytest.fixture
def tallies(lake):
    found = TallyWriter(lake, "a", "live", time.time())
    yield found
    found.close(time.time())


def told_of(settings, adapter):
    return next(entry for entry in health(settings)["adapters"] if entry["adapter"] == adapter)


def roll_back(lake, adapter, version, reason="it answers billing to everything"):
    registry = Registry(lake)
    known = registry.version(adapter, version)
    registry.roll_back(adapter, version, actor="asha", reason=reason, evidence={}, restore=None, expected=known)


def test_a_minute_tells_broken_input_apart_and_its_calls_add_up_to_those_of_the_hour(settings, tallies):
    now = time.time()
    for n in range(42):
        tallies.answered("nlu", "base", now - 60 * (n % 3), 10, False)
    tallies.failed("nlu", "base", now, "timed_out")
    for kind in ("not_served", "rejected:too_long", "starting", "overloaded", "unavailable", "rejected:audio_empty"):
        tallies.failed("nlu", "none", now, kind)
    tallies.flush(now)
    traffic = told_of(settings, "nlu")["traffic"]
    for name, count in {"calls": 46, "failed": 4, "refused": 3}.items():
        assert sum(minute[name] for minute in traffic["minutes"]) == traffic["hour"][name] == count
    assert traffic["hour"]["success_rate"] == round(42 / 46, 6), "who is told to come again was not answered"


def told_by(tallies, **rules):
    """Let a gateway that runs say which settings it goes by."""
    tallies.flush(time.time(), {"gateway": tallies.gateway, "rules": {**rules_of(Settings()), **rules}})


def test_what_is_told_goes_by_the_settings_of_the_gateway_that_runs(settings, lake, tallies):
    registered(lake, "nlu", "v1", Stage.SHADOW)
    registered(lake, "stt", "v1", Stage.STAGING)
    told_by(tallies, shadow_share=1.0, staging_share=0.5, rollback_enabled=False)
    told = health(settings)
    assert (told["deployment"]["shadow_share"], told["deployment"]["rollback_enabled"]) == (1.0, False)
    assert [(share["role"], share["hears"]) for share in told_of(settings, "nlu")["shares"]][-1] == ("shadow", 1.0)
    assert told_of(settings, "stt")["shares"][-1]["share"] == 0.5 and told_of(settings, "nlu")["trials"]
    told_by(tallies, shadow_testing=False)
    entry = told_of(settings, "nlu")
    assert not entry["trials"] and [share["role"] for share in entry["shares"]] == ["base"]
    tallies.close(time.time(), {"gateway": tallies.gateway, "rules": {"shadow_testing": False}})
    assert told_of(settings, "nlu")["trials"], "it runs no more, and the next one goes by the settings"


def test_one_look_after_another_follows_settings_that_changed_beside_an_unchanged_registry(settings, lake, tallies):
    registered(lake, "nlu", "v1", Stage.SHADOW)
    looking, found = Health(settings), []
    for shadow_testing in (True, False, True):
        told_by(tallies, shadow_testing=shadow_testing)
        entries = looking.look(time.time())["adapters"]
        found.append(bool(next(entry for entry in entries if entry["adapter"] == "nlu")["trials"]))
    assert found == [True, False, True]


def test_gateways_that_go_by_different_settings_are_told_of(settings, lake, tallies):
    told_by(tallies, rollback_enabled=True)
    other = TallyWriter(lake, "b", "live", time.time())
    told_by(other, rollback_enabled=False)
    (error,) = health(settings)["errors"]
    assert "deployment.rollback_enabled: " in error and "true" in error and "false" in error
    other.close(time.time())
    assert not health(settings)["errors"]


def approved(lake, adapter, version, *, days=5.0, weights="a" * 64):
    until = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    evidence = {APPROVED: [weights, "b" * 64], UNTIL: until, "reason": "I heard 50 calls"}
    Registry(lake).note(adapter, version, actor="asha", reason="asha approved it for production", evidence=evidence)
    return until


def test_a_persons_word_on_a_version_is_told_with_who_why_and_until_when_and_so_is_that_it_counts_no_more(
    settings, lake
):
    registered(lake, "nlu", "v1", Stage.SHADOW)
    registered(lake, "stt", "v1", Stage.PRODUCTION)

    def word(adapter):
        return told_of(settings, adapter)["versions"][0]["approval"]

    assert word("nlu")["told"] == "nobody has approved nlu/v1" and word("nlu")["approver"] is None
    until = approved(lake, "nlu", "v1")
    given = word("nlu")
    assert (given["approver"], given["until"], given["reason"]) == ("asha", until, "I heard 50 calls")
    assert given["told"] == f"asha approved it until {until}: I heard 50 calls"
    approved(lake, "nlu", "v1", days=-1)
    assert word("nlu")["approver"] is None and "expired" in word("nlu")["told"]
    approved(lake, "nlu", "v1", weights="c" * 64)
    assert word("nlu")["approver"] is None and "other weights" in word("nlu")["told"]
    assert word("stt") is None, "what answers every caller is on its way no more"


def test_why_a_version_was_taken_back_and_its_figures_stay_when_a_person_admits_it_anew(settings, lake):
    registered(lake, "nlu", "v1", Stage.STAGING)
    trial = next(each for each in standing_trials(Registry(lake)) if each.adapter == "nlu")
    metric = {"calls": 9, "mean": 0.5, "lower": 0.2, "upper": 0.9, "margin": 0.01, "unit": "share", "verdict": "fail"}
    judgement = {"verdict": "fail", "reason": "it failed", "calls": 9, "metrics": {"errors": metric}}
    evidence = {TRIAL: {"trial": trial.id, **asdict(trial), "pairs": 9, "judgement": judgement}}
    known = Registry(lake).version("nlu", "v1")
    why = "rolled back: it did harm in staging"
    Registry(lake).roll_back("nlu", "v1", actor="gateway", reason=why, evidence=evidence, restore=None, expected=known)
    taken = told_of(settings, "nlu")["taken_back"]
    assert (taken["reason"], taken["by"], taken["admitted"]) == ("it did harm in staging", "gateway", None)
    assert (taken["trial"]["pairs"], taken["trial"]["incumbent"], taken["trial"]["stage"]) == (9, "base", "staging")
    assert [(each["metric"], each["mean"]) for each in taken["trial"]["metrics"]] == [("errors", 0.5)]
    said = "binu admitted it after it was taken back: mended"
    Registry(lake).note("nlu", "v1", actor="binu", reason=said, evidence={ADMITTED: ["a" * 64, "b" * 64]})
    again = told_of(settings, "nlu")["taken_back"]
    assert again == {**taken, "admitted": said}


def test_an_admission_that_counts_no_more_is_not_told_as_one_that_does(settings, lake):
    registered(lake, "nlu", "v1", Stage.SHADOW)
    roll_back(lake, "nlu", "v1")
    registry = Registry(lake)
    hashes = {"artefact_hash": "a" * 64, "evaluation_hash": "b" * 64}
    said = "binu admitted it after it was taken back: mended"
    registry.note("nlu", "v1", actor="binu", reason=said, evidence={ADMITTED: list(hashes.values())})
    assert told_of(settings, "nlu")["taken_back"]["admitted"] == said
    again = {**hashes, "evaluation_hash": "c" * 64}
    registry.register("nlu", "v1", **again, base="b/b", base_revision=None, actor="phase4", reason="evaluated again")
    assert admission_of(registry, registry.version("nlu", "v1")) is None
    assert told_of(settings, "nlu")["taken_back"]["admitted"] is None
    registry.note("nlu", "v1", actor="binu", reason="heard anew", evidence={ADMITTED: list(again.values())})
    assert told_of(settings, "nlu")["taken_back"]["admitted"] == "heard anew"


def test_requests_that_were_answered_with_an_error_are_told_by_code_and_are_no_adapters(settings, tallies):
    now = time.time()
    for code in ("invalid_api_key", "invalid_api_key", "model_not_found"):
        tallies.failed(NO_ADAPTER, "none", now, code)
    tallies.flush(now)
    told = health(settings)
    assert told["error_answers"]["hour"] == {"invalid_api_key": 2, "model_not_found": 1} == told["error_answers"]["day"]
    assert NO_ADAPTER not in [entry["adapter"] for entry in told["adapters"]]


def test_what_was_taken_back_is_told_with_why_and_who_answers_and_its_training_rows_stay_the_reference(
    settings, lake, tallies
):
    rows = [{"row_id": str(n), "text": "ബിൽ എത്ര", "label": "billing", "label_kind": "intent"} for n in range(100)]
    model = trained(lake, "nlu", "v1", gold(lake, "nlu", rows), "text-classification")
    registered(lake, "nlu", "v1", Stage.PRODUCTION)
    assert told_of(settings, "nlu")["taken_back"] is None
    roll_back(lake, "nlu", "v1")
    *_, reference = sampled(lake, "nlu", model)
    tallies.keep_reference(reference_key("nlu", model), reference.as_json(), time.time())
    now = time.time()
    for version in ("base", "v1"):
        for _ in range(150):
            tallies.shape("nlu", version, "label", now, "outage")
            tallies.shape("nlu", version, "characters", now, "8")
    tallies.flush(now)
    entry = told_of(settings, "nlu")
    assert entry["taken_back"]["version"] == "v1" and "billing to everything" in entry["taken_back"]["reason"]
    drift = entry["drift"]
    assert drift["reference"] == {"version": "v1", "stage": "rolled_back", "rows": 100, "clips": 0}
    assert drift["answered_by"] == "base"
    features = {feature["feature"]: feature for feature in drift["features"]}
    assert features["characters"]["verdict"] == "shifted" and features["characters"]["calls"] == 300
    assert features["label"]["verdict"] == "not_judged" and features["label"]["calls"] == 150


def test_what_was_taken_back_is_told_no_more_once_another_version_is_tried(settings, lake):
    registered(lake, "nlu", "v1", Stage.STAGING)
    roll_back(lake, "nlu", "v1")
    assert told_of(settings, "nlu")["taken_back"]["version"] == "v1"
    registered(lake, "nlu", "v2", Stage.SHADOW)
    assert told_of(settings, "nlu")["taken_back"] is None


def test_what_was_taken_back_is_told_no_more_once_another_version_answers(settings, lake):
    registered(lake, "nlu", "v1", Stage.STAGING)
    roll_back(lake, "nlu", "v1")
    registered(lake, "nlu", "v2", Stage.PRODUCTION)
    assert told_of(settings, "nlu")["taken_back"] is None
    roll_back(lake, "nlu", "v2")
    assert told_of(settings, "nlu")["taken_back"]["version"] == "v2"


def test_what_a_rollback_put_back_ends_no_word_of_it(settings, lake):
    before = registered(lake, "nlu", "v1", Stage.PRODUCTION)
    registry = Registry(lake)
    registered(lake, "nlu", "v2", Stage.PRODUCTION)
    known, before = registry.version("nlu", "v2"), registry.version("nlu", before.version)
    registry.roll_back("nlu", "v2", actor="asha", reason="worse", evidence={}, restore=before, expected=known)
    assert registry.version("nlu", "v1").stage is Stage.PRODUCTION
    told = told_of(settings, "nlu")
    assert told["taken_back"]["version"] == "v2" and told["answering"] != "v2"


def test_calls_are_held_against_no_version_that_never_answered(settings, lake):
    looking = Health(settings)
    registered(lake, "nlu", "v1", Stage.SHADOW)
    roll_back(lake, "nlu", "v1")
    assert looking.reference_version(looking.versions()) is None
    registered(lake, "nlu", "v2", Stage.PRODUCTION)
    roll_back(lake, "nlu", "v2")
    assert looking.reference_version(looking.versions()).version == "v2"


def test_what_waits_for_a_person_comes_with_commands_that_name_the_base_path(tmp_path):
    settings = Settings(base_path=tmp_path / "line one")
    trial = {"candidate": "v2", "decision": "why", "reason": "", "act": "hold", "waits_for": APPROVAL}
    undecided = {"version": "v9", "stage": "none", "reason": "not decided, a person must look"}
    entries = [
        {"adapter": "dialect", "trials": [], "versions": [undecided, {**undecided, "reason": "refused"}]},
        {"adapter": "nlu", "trials": [trial, {**trial, "candidate": "v3", "waits_for": None}], "versions": []},
        {"adapter": "stt", "trials": [{**trial, "act": "note", "waits_for": None}], "versions": []},
        {"adapter": "tts", "trials": [{**trial, "waits_for": AFTER_HARM}], "versions": []},
    ]
    found = waiting(settings, entries)
    assert [each["name"] for each in found] == ["stt/v2", "tts/v2", "nlu/v2", "dialect/v9"], "harm first"
    for each in found:
        for command in each["commands"]:
            words = shlex.split(command)
            assert words[:3] == ["python", "-m", "data_foundry"]
            assert words[-2:] == ["--base-path", f"{tmp_path}/line one"]
    assert [shlex.split(command)[3:5] for command in found[-1]["commands"]] == [["models", "show"], ["models", "admit"]]
    assert [command.split()[3] for each in found[:2] for command in each["commands"]] == ["rollback"] * 2


def test_a_look_does_not_read_what_thousands_of_ended_gateways_left(settings, lake, monkeypatch):
    now = time.time()
    for n in range(40):
        TallyWriter(lake, f"ended{n}", "live", now - 5000).close(now - 4000 + n)
    looking = Health(settings)
    read = []
    known = looking.reader.gateways
    monkeypatch.setattr(looking.reader, "gateways", lambda *asked, **how: read.extend(known(*asked, **how)) or read)
    told = looking.look(now)
    assert [gateway["gateway"] for gateway in told["gateways"]] == [f"ended{n}" for n in range(32, 40)]
    assert len(read) == 8 and told["last_heard"] is not None
