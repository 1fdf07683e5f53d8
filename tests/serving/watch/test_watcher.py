"""The watcher hears every call without waiting, counts what it lets go, and keeps callers' words out of figures."""

import re
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.watch import watcher as watching
from data_foundry.serving.watch.content import KeptContent
from data_foundry.serving.watch.health import Health, health
from data_foundry.serving.watch.prometheus import MOST_VALUES
from data_foundry.serving.watch.reference import reference_key
from data_foundry.serving.watch.tallies import TallyReader, TallyWriter, tallies_path
from data_foundry.serving.watch.watcher import Watcher
from tests.serving.watch.calls import answer, gold, registered, trained, wav

SECRET = "രഹസ്യം 9847012345"


def samples(watcher):
    text, kind = watcher.metrics()
    assert kind.startswith("text/plain")
    families = text_string_to_metric_families(text.decode())
    return {(sample.name, *sorted(sample.labels.items())): sample.value for f in families for sample in f.samples}


def value(found, name, **labels):
    return found.get((name, *sorted(labels.items())))


def test_what_was_heard_is_counted_and_on_the_disk_when_it_closed(settings, lake):
    with Watcher(settings) as watcher:
        for n in range(50):
            watcher.answered(answer(version="v1", milliseconds=n), {"text": "ബിൽ"}, 0.02)
        watcher.answered(answer(version="base", fallback="v1"), {"text": "ബിൽ"}, 0.5)
        watcher.failed("nlu", "v1", "timed_out", {"text": "ബിൽ"}, 30.0)
        watcher.failed("nlu", None, "rejected:too_long", None, 0.0)
    found = samples(watcher)
    assert value(found, "data_foundry_calls_total", adapter="nlu", version="v1") == 50
    assert value(found, "data_foundry_fallbacks_total", adapter="nlu", version="v1") == 1
    assert value(found, "data_foundry_failures_total", adapter="nlu", version="v1", kind="timed_out") == 1
    assert value(found, "data_foundry_call_seconds_bucket", adapter="nlu", version="v1", le="0.025") == 50
    told = next(entry for entry in health(settings)["adapters"] if entry["adapter"] == "nlu")["traffic"]["hour"]
    assert (told["calls"], told["answered"], told["failed"], told["refused"], told["fallbacks"]) == (52, 51, 1, 1, 1)
    assert told["milliseconds"]["p50"]["above"] < 20 <= told["milliseconds"]["p50"]["at_most"]
    assert TallyReader(lake).gateways()[0].closed is not None


def test_nothing_that_a_caller_sends_becomes_a_label_or_lies_on_the_disk(settings, lake):
    with Watcher(settings) as watcher:
        watcher.answered(answer("stt", output=SECRET, call_id=SECRET), {"text": SECRET}, 0.1)
        for n in range(200):
            watcher.failed(f"adapter {n} {SECRET}", None, f"a sentence with {SECRET}", {"text": SECRET}, 0.1)
            watcher.failed("stt", f"version{n}", f"Kind{n}", None, 0.1)
    text = watcher.metrics()[0].decode()
    assert "രഹസ്യം" not in text and "9847012345" not in text
    assert value(samples(watcher), "data_foundry_failures_total", adapter="other", version="none", kind="other") == 200
    assert len(set(re.findall(r'kind="(\w+)"', text))) == MOST_VALUES["kind"]
    assert b"9847012345" not in tallies_path(lake).read_bytes()
    status = watcher.status()
    assert SECRET not in str(status) and "other" not in [entry["adapter"] for entry in status["adapters"]]


def test_requests_that_were_answered_with_an_error_are_counted_by_code_and_durable(settings, lake):
    with Watcher(settings) as watcher:
        for _ in range(5):
            watcher.answered_error("invalid_api_key")
        watcher.answered_error(f"a sentence with {SECRET}")
    found = samples(watcher)
    assert value(found, "data_foundry_error_answers_total", code="invalid_api_key") == 5
    assert value(found, "data_foundry_error_answers_total", code="other") == 1
    assert not [name for name, *_ in found if name == "data_foundry_failures_total"], "they are no adapter's"
    assert health(settings)["error_answers"]["hour"] == {"invalid_api_key": 5, "other": 1}


def test_requests_that_were_answered_with_an_error_take_no_place_of_calls(settings, monkeypatch):
    """As while a flush waits for a lock: who has no key sends as many as it likes, and no call goes uncounted."""
    monkeypatch.setattr(watching, "QUEUED_CALLS", 10)
    stuck, count = threading.Event(), Watcher._tick

    def tick(watcher, now):
        stuck.wait(20)
        count(watcher, now)

    monkeypatch.setattr(Watcher, "_tick", tick)
    with Watcher(settings) as watcher:
        senders = [
            threading.Thread(target=lambda: [watcher.answered_error("invalid_api_key") for _ in range(500)])
            for _ in range(4)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(10)
        assert not any(sender.is_alive() for sender in senders)
        for _ in range(10):
            watcher.failed("nlu", None, "overloaded", None, 0.1)
        assert not watcher.dropped
        stuck.set()
    watcher.answered_error("invalid_api_key")
    assert watcher.dropped == {"closed": 1}
    told = health(settings)
    assert told["error_answers"]["hour"] == {"invalid_api_key": 2000}
    assert next(each for each in told["adapters"] if each["adapter"] == "nlu")["traffic"]["hour"]["failed"] == 10
    assert value(samples(watcher), "data_foundry_error_answers_total", code="invalid_api_key") == 2000


def test_who_asks_with_other_settings_is_told_by_which_the_gateway_goes(settings, lake):
    own = settings.deployment.model_copy(update={"shadow_share": 1.0, "rollback_enabled": False})
    with Watcher(settings.model_copy(update={"deployment": own})) as watcher:
        until = time.monotonic() + 20
        while not TallyReader(lake).gateways():
            assert time.monotonic() < until
            time.sleep(0.02)
        told = health(settings)["deployment"]
        assert (told["shadow_share"], told["rollback_enabled"]) == (1.0, False)
        assert watcher.status()["deployment"] == told
    assert health(settings)["deployment"]["shadow_share"] == settings.deployment.shadow_share


def test_a_caller_never_waits_for_a_watcher_that_is_stuck(settings, monkeypatch):
    monkeypatch.setattr(watching, "QUEUED_CALLS", 100)
    stuck = threading.Event()
    with Watcher(settings) as watcher:
        monkeypatch.setattr(watcher, "_tick", lambda now: stuck.wait(20))
        callers = [
            threading.Thread(target=lambda: [watcher.answered(answer(), {"text": "ബിൽ"}, 0.1) for _ in range(500)])
            for _ in range(4)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(10)
        assert not any(caller.is_alive() for caller in callers)
        # Threads that look at the queue at once may each put one more into it.
        assert 1900 - 4 <= watcher.dropped["calls"] <= 1900
        monkeypatch.undo()
        stuck.set()
    watcher.answered(answer(), {"text": "ബിൽ"}, 0.1)
    assert watcher.dropped["closed"] == 1
    assert value(samples(watcher), "data_foundry_watch_dropped_total", what="closed") == 1


def test_sound_is_held_of_a_few_calls_however_many_come(settings, monkeypatch):
    monkeypatch.setattr(watching, "CLIPS_A_SECOND", 1e9)
    watcher = Watcher(settings)
    sound = wav()
    for _ in range(100):
        watcher.answered(answer("stt", output="ശരി"), {"audio": {"bytes": sound}}, 0.1)
    assert sum(call.clip is not None for call in watcher._calls) == watching.QUEUED_CLIPS
    watcher.start()
    watcher.close()
    shapes = TallyReader(watcher._lake).shapes(0)
    assert shapes["stt", "base", "snr"].total() == watching.QUEUED_CLIPS
    assert shapes["stt", "base", "characters"].total() == 100
    assert watcher._clips.acquire(blocking=False)


def test_the_reference_is_computed_once_and_the_drift_told_against_it(settings, lake):
    rows = [{"row_id": str(n), "text": "ബിൽ എത്ര", "label": "billing", "label_kind": "intent"} for n in range(100)]
    model = trained(lake, "nlu", "1f2e3d4c5b6a", gold(lake, "nlu", rows), "text-classification")
    registered(lake, "nlu", "1f2e3d4c5b6a", Stage.PRODUCTION)
    with Watcher(settings) as watcher:
        for n in range(300):
            text, label = ("ബിൽ എത്ര", "billing") if n % 2 else ("cancel my connection at once please", "outage")
            watcher.answered(answer(output=label, version="1f2e3d4c5b6a"), {"text": text}, 0.02)
        until = time.monotonic() + 20
        while not TallyReader(lake).shapes(0) or TallyReader(lake).reference(reference_key("nlu", model)) is None:
            assert time.monotonic() < until
            time.sleep(0.05)
    drift = next(entry for entry in health(settings)["adapters"] if entry["adapter"] == "nlu")["drift"]
    assert drift["reference"] == {"version": "1f2e3d4c5b6a", "stage": "production", "rows": 100, "clips": 0}
    assert drift["verdict"] == "shifted"
    by_name = {entry["feature"]: entry for entry in drift["features"]}
    assert by_name["label"]["labels"] == ["billing", "outage"] and by_name["label"]["live"] == [150, 150]
    found = samples(watcher)
    assert value(found, "data_foundry_drift_psi", adapter="nlu", feature="malayalam_ratio") > 0.25
    assert value(found, "data_foundry_drift_verdict", adapter="nlu", feature="label", verdict="shifted") == 1
    stage = {"adapter": "nlu", "version": "1f2e3d4c5b6a"}
    assert value(found, "data_foundry_stage", **stage, stage="production") == 1
    assert value(found, "data_foundry_traffic_share", **stage) == 1


def test_a_replay_makes_neither_drift_nor_content(with_settings, lake):
    settings = with_settings(rollout={"keep_content": True})
    with Watcher(settings, source="replay") as watcher:
        watcher.answered(answer(), {"text": SECRET, "audio": {"bytes": wav()}}, 0.1)
    assert TallyReader(lake).shapes(0) == {} and KeptContent(settings).read() == []
    told = next(entry for entry in health(settings)["adapters"] if entry["adapter"] == "nlu")["traffic"]
    assert told["replayed"]["calls"] == 1 and told["day"]["calls"] == 0


def test_texts_are_kept_masked_where_the_settings_ask_for_it_and_sound_never(with_settings, lake):
    settings = with_settings(rollout={"keep_content": True})
    with Watcher(settings) as watcher:
        watcher.answered(answer("stt", output=SECRET), {"audio": {"bytes": b"RIFF-the-sound"}}, 0.1)
    kept = KeptContent(settings)
    (found,) = kept.read()
    kept.close()
    assert (found.said, found.answered) == (None, "രഹസ്യം [PHONE]")
    everything = b"".join(file.read_bytes() for file in lake.base_path.rglob("*") if file.is_file())
    assert b"RIFF-the-sound" not in everything and b"9847012345" not in everything


def test_content_that_expired_goes_when_a_gateway_starts(with_settings, lake):
    settings = with_settings(rollout={"keep_content": True, "content_days": 0.000001})
    with Watcher(settings) as watcher:
        watcher.answered(answer(output="billing"), {"text": "പഴയ വാക്ക്"}, 0.1)
    time.sleep(0.2)
    with Watcher(settings):
        pass
    assert "പഴയ".encode() not in b"".join(file.read_bytes() for file in (lake.base_path / "serving").iterdir())


def test_a_fault_of_the_watching_costs_figures_and_nothing_else(settings, monkeypatch):
    with Watcher(settings) as watcher:
        monkeypatch.setattr(watcher, "_count", lambda: 1 / 0)
        until = time.monotonic() + 10
        while not watcher.dropped["errors"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        monkeypatch.undo()
        watcher.answered(answer(), {"text": "ബിൽ"}, 0.1)
    assert value(samples(watcher), "data_foundry_calls_total", adapter="nlu", version="base") == 1


@pytest.mark.parametrize("wrong", [b"not a registry at all, " * 300])
def test_metrics_of_calls_stay_where_the_registry_can_not_be_read(settings, lake, wrong):
    watcher = Watcher(settings)
    path = Registry(lake).path
    path.parent.mkdir(parents=True)
    path.write_bytes(wrong)
    watcher._metrics.answered("nlu", "base", 0.1, 0.1, None)
    found = samples(watcher)
    assert value(found, "data_foundry_calls_total", adapter="nlu", version="base") == 1
    assert not [key for key in found if key[0] == "data_foundry_stage"]


def test_a_gateway_exposes_its_own_calls_and_not_those_of_the_others(settings, lake):
    def state(count):
        return {"adapters": {"nlu": {"in_flight": count, "waiting": 0, "trials": []}}, "missing": []}

    one, other = Watcher(settings), Watcher(settings)
    one.watch(gateway_state=lambda: state(3))
    other.watch(gateway_state=lambda: state(5))
    for watcher in (one, other):
        watcher._writer.flush(time.time(), watcher._own_state())
    assert value(samples(one), "data_foundry_calls_in_flight", adapter="nlu") == 3
    told = next(entry for entry in one.status()["adapters"] if entry["adapter"] == "nlu")
    assert told["in_flight"] == 8 and len(one.status()["gateways"]) == 2
    one.close()
    other.close()
    for watcher in (one, other):
        watcher._writer.close(time.time())


def test_the_day_holds_the_last_hour_at_every_look(settings, lake):
    health, now = Health(settings), time.time()
    tallies = TallyWriter(lake, "a", "live", now)
    tallies.answered("nlu", "base", now - 7200, 10, False)
    for calls in (1, 2):
        tallies.answered("nlu", "base", now, 10, False)
        assert tallies.flush(now)
        told = next(entry for entry in health.look(now)["adapters"] if entry["adapter"] == "nlu")["traffic"]
        assert (told["hour"]["calls"], told["day"]["calls"]) == (calls, calls + 1)
    tallies.close(now)


def test_a_gateway_that_can_not_tell_its_state_is_counted_all_the_same(settings, lake):
    with Watcher(settings) as watcher:
        watcher.watch(gateway_state=lambda: 1 / 0, rollout_state=lambda: {"trials": []})
        watcher.answered(answer(), {"text": "ബിൽ"}, 0.1)
        assert watcher.status()["adapters"]
    assert TallyReader(lake).gateways()[0].state["watch"]["faults"] == ["gateway_state: ZeroDivisionError"]
    assert sum(tally.calls for tally in TallyReader(lake).by_minute(0).values()) == 1
