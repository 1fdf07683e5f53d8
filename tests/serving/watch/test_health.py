"""What is told from the disk alone: of callers, of what was taken back, of what waits for a person."""

import shlex
import time

import pytest

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.trials.decision import AFTER_HARM, APPROVAL
from data_foundry.serving.watch.health import Health, health
from data_foundry.serving.watch.reference import reference_key, sampled
from data_foundry.serving.watch.tallies import TallyWriter
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
    for kind in ("not_served", "rejected:too_long", "starting", "overloaded", "rejected:audio_empty"):
        tallies.failed("nlu", "none", now, kind)
    tallies.flush(now)
    traffic = told_of(settings, "nlu")["traffic"]
    for name, count in {"calls": 46, "failed": 4, "refused": 2}.items():
        assert sum(minute[name] for minute in traffic["minutes"]) == traffic["hour"][name] == count
    assert traffic["hour"]["success_rate"] == round(42 / 46, 6), "who is told to come again was not answered"


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
