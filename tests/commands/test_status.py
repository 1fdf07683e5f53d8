"""What `status` tells a person: sections that fit the terminal, whether a gateway runs or not."""

import json
import re
import time

import pytest

from data_foundry import __main__ as command
from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Pair, Side
from data_foundry.serving.watch.rules import rules_of
from data_foundry.serving.watch.tallies import NO_ADAPTER, TallyWriter
from tests.finetuning.version_builders import make_version
from tests.serving.watch.calls import gold, registered, trained

MAY_BE_WIDE = re.compile(r"^base path |^ +python -m data_foundry ")
"""Lines that name a folder; commands stay whole, for pasting."""
LONG = "not decided, a person must look (models admit dialect/v9): " + "score 0.020 on 35 rows is below 0.85; " * 20


@pytest.fixture
def status(settings, capsys, monkeypatch):
    def show(*flags, columns=100):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert command.main(["status", "--base-path", str(settings.base_path), *flags]) == 0
        return capsys.readouterr().out

    return show


@pytest.fixture
def busy(lake):
    """Two adapters with calls, a trial with pairs, a version for a person; a gateway that was killed an hour ago."""
    registered(lake, "nlu", "1f2e3d4c5b6a", Stage.PRODUCTION)
    registered(lake, "nlu", "77aa88bb99cc", Stage.SHADOW)
    registered(lake, "dialect", "v9", reason=LONG)
    rows = [{"row_id": str(n), "text": "ബിൽ", "label": "a", "label_kind": "intent"} for n in range(60)]
    trained(lake, "nlu", "1f2e3d4c5b6a", gold(lake, "nlu", rows), "text-classification")
    now = time.time()
    tallies = TallyWriter(lake, "gone", "live", now - 4000)
    for n in range(200):
        tallies.answered("nlu", "1f2e3d4c5b6a", now, 10 + n, False)
    tallies.failed("nlu", "1f2e3d4c5b6a", now, "timed_out")
    tallies.failed("nlu", "1f2e3d4c5b6a", now, "rejected:too_long")
    tallies.flush(now - 3600, {"gateway": "gone"})
    tallies._drop_connection()
    store = TrialStore(lake)
    trial = next(each for each in standing_trials(Registry(lake)) if each.candidate == "77aa88bb99cc")
    for n in range(30):
        sides = Side(10.0 + n / 10), Side(11.0 + n / 10)
        assert store.keep(Pair(trial.id, f"call{n}", now, *sides, disagreement=float(n % 10 == 0)))
    store.close()


@pytest.mark.parametrize("columns", [80, 100, 120, 300])
def test_no_line_is_wider_than_the_terminal(status, busy, columns):
    for text in (status(columns=columns), status("--engines", "nlu", "dialect", columns=columns)):
        assert max(len(line) for line in text.splitlines() if not MAY_BE_WIDE.search(line)) <= min(columns, 120)


def test_an_adapter_has_one_line_with_its_calls_and_percentile_bounds(status, busy):
    text = status(columns=120)
    (line,) = [line for line in text.splitlines() if line.startswith("  nlu ")]
    assert line.split()[:3] == ["nlu", "production", "1f2e3d4c5b6a"]
    assert "201" in line and "0.5 %" in line and "102-128" in line and "203-256" in line
    assert "nothing registered: stt, " in text and "none was ever heard of" not in text


def test_trials_are_judged_without_a_gateway_and_what_waits_for_a_person_is_named(status, busy):
    text = " ".join(status().split())
    assert "nlu/77aa88bb99cc in shadow against 1f2e3d4c5b6a: hold, 30 calls" in text
    assert re.search(r"latency (hold|pass) x1\.\d\d \(x", text) and "dialect/v9: not decided, a person" in text
    assert "not running (python -m data_foundry serve --base-path" in text and "of then" in text
    commands = [line.strip() for line in status().splitlines() if line.strip().startswith("python")]
    assert [command.split(" --base-path")[0] for command in commands] == [
        "python -m data_foundry models show dialect/v9",
        "python -m data_foundry models admit dialect/v9 --actor WHO --reason WHY",
    ]


def test_details_tell_everything_of_the_adapters_that_are_named_and_nothing_of_others(status, busy):
    text = " ".join(status("--engines", "dialect").split())
    assert LONG.strip() in text and "dialect.text: " in text and "nlu" not in text
    text = " ".join(status("--engines", "nlu").split())
    assert "not answered, last hour: rejected:too_long 1, timed_out 1" in text
    assert "77aa88bb99cc shadow hears 10 %" in text and "drift, last 24 h: no reference: a gateway computes it" in text


def test_what_a_running_gateway_does_not_do_and_whom_it_turned_away_is_said(status, lake):
    registered(lake, "nlu", "v1", Stage.STAGING)
    writer, now = TallyWriter(lake, "g", "live", time.time()), time.time()
    writer.failed(NO_ADAPTER, "none", now, "invalid_api_key")
    rules = rules_of(Settings())
    writer.flush(now, {"gateway": "g", "rules": {**rules, "shadow_testing": False, "rollback_enabled": False}})
    for text in (" ".join(status().split()), " ".join(status("--engines", "nlu").split())):
        assert "shadow testing is off (deployment.shadow_testing)" in text and "rollback is off" in text
        assert "nobody has approved nlu/v1" in text
    assert "requests answered with an error: invalid_api_key 1" in " ".join(status().split())
    writer.close(now)
    assert "is off" not in status()


def test_one_adapter_is_told_with_what_gateways_differ_in_and_whom_they_turned_away(status, lake):
    now = time.time()
    writers = [TallyWriter(lake, name, "live", now) for name in ("one", "other")]
    for share, writer in enumerate(writers):
        writer.failed(NO_ADAPTER, "none", now, "invalid_api_key")
        writer.flush(now, {"gateway": writer.gateway, "rules": {**rules_of(Settings()), "shadow_share": share}})
    for text in (" ".join(status().split()), " ".join(status("--engines", "nlu").split())):
        assert re.search(r"error The gateways that run differ in deployment\.shadow_share: \d and \d\.", text)
        assert re.search(r"requests answered with an error[^:]*: invalid_api_key 2", text)
    for writer in writers:
        writer.close(now)


def test_json_holds_the_same_whole_that_the_page_gets(status, busy):
    found = json.loads(status("--json"))
    assert found["health"]["running"] is False and found["health"]["last_heard"] is not None
    (nlu,) = [entry for entry in found["health"]["adapters"] if entry["adapter"] == "nlu"]
    shadow = next(trial for trial in nlu["trials"] if trial["stage"] == "shadow")
    assert shadow["pairs"] == 30 and shadow["disagreement"] == pytest.approx(0.1)
    assert {entry["engine"] for entry in found["deployments"]} == {e["adapter"] for e in found["health"]["adapters"]}


def test_nothing_is_written_by_looking(status, settings):
    status()
    assert not settings.base_path.exists()


def test_what_a_version_in_staging_is_asked_stands_beside_what_it_answered(status, lake):
    registered(lake, "stt", "new", Stage.STAGING)
    now = time.time()
    tallies = TallyWriter(lake, "gone", "live", now)
    for _ in range(120):
        tallies.answered("stt", "base", now, 10, False)
    tallies.close(now)
    text = " ".join(status("--engines", "stt").split())
    assert "base base asked 95 %, answered 120 of 120 calls" in text
    assert "new staging asked 5 %, answered 0 of 120 calls" in text


def test_an_adapter_that_answers_nobody_has_no_share_of_callers(status, lake):
    rows = [{"row_id": "1", "text": "ബിൽ", "label": "a", "label_kind": "intent"}]
    registered(lake, "sentiment", "v1", reason="refused")
    trained(lake, "sentiment", "v1", gold(lake, "sentiment", rows), "speech-to-text")
    found = json.loads(status("--json"))["health"]["adapters"]
    entry = next(each for each in found if each["adapter"] == "sentiment")
    assert entry["answering"] is None and "knows none of its labels" in entry["not_served"]
    assert [share["share"] for share in entry["shares"]] == [0.0]
    assert next(line for line in status().splitlines() if line.startswith("  sentiment ")).split()[2] == "nobody"
    assert "answers nobody" in status("--engines", "sentiment")


@pytest.mark.parametrize(("stage", "share"), [(Stage.SHADOW, "10 %"), (Stage.STAGING, "14 %")])
def test_what_is_on_trial_where_nobody_answers_is_told_to_hear_its_share_all_the_same(status, lake, stage, share):
    name = make_version(lake, "sentiment", head=True).partition("/")[2]
    for each in dict.fromkeys((Stage.SHADOW, stage)):
        Registry(lake).transition("sentiment", name, each, actor="Asha", reason="a test")
    text = " ".join(status("--engines", "sentiment").split())
    assert "can't do its task" in text and f"; {name} hears a share of the calls all the same" in text
    assert f"hears {share}" in text and ("answers nobody" in text) and "asked" not in text


def test_calls_that_were_refused_show_where_there_are_any(status, busy, lake):
    head = next(line for line in status(columns=120).splitlines() if line.lstrip().startswith("adapter "))
    assert "refused" in head.split()
    tallies, now = TallyWriter(lake, "new", "live", time.time()), time.time()
    for kind in ("starting", "overloaded", "rejected:empty_text"):
        tallies.failed("translation", "none", now, kind)
    tallies.close(now)
    line = next(line for line in status(columns=120).splitlines() if line.startswith("  translation "))
    assert line.split()[3:7] == ["2", "100.0", "%", "1"]


def test_the_gateways_that_run_are_named_with_where_each_is_reached(status, lake):
    addresses = [f"http://127.0.0.1:{port}" for port in range(9001, 9011)]
    writers = [TallyWriter(lake, f"g{address}", "live", time.time()) for address in addresses]
    for writer, address in zip(writers, addresses, strict=True):
        writer.flush(time.time(), {"gateway": f"g{address}", "address": address})
    writers[0].close(time.time(), {"address": addresses[0]})
    text = status()
    assert all(f"at {address}" in " ".join(text.split()) for address in addresses[1:]) and addresses[0] not in text
    told = json.loads(status("--json"))["health"]["gateways"]
    assert {gateway["address"] for gateway in told if gateway["running"]} == set(addresses[1:])
    for writer in writers[1:]:
        writer.close(time.time())
