"""Every metric that the dashboard asks for is one that is exposed, with those labels."""

import json
import re
import shutil
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from data_foundry.config import PROJECT_ROOT
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.watch.reference import reference_key
from data_foundry.serving.watch.tallies import TallyReader
from data_foundry.serving.watch.traffic import REFUSED
from data_foundry.serving.watch.watcher import Watcher
from tests.serving.watch.calls import answer, gold, registered, trained

DASHBOARD = PROJECT_ROOT / "data_foundry" / "serving" / "grafana_dashboard.json"
_SELECTED = re.compile(r"(data_foundry_\w+)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"by \(([^)]*)\) \(")


def e_value(log):
    return {"log_e_value": log, "e_value": 1.0, "threshold": 180.0, "failed_after": None}


def judged(trial):
    metric = {"calls": 9, "mean": 0.1, "lower": -0.1, "upper": 0.3, "margin": 0.02, "unit": "share", "verdict": "hold",
              "reason": "too few", "harm": e_value(2.0), "safety": e_value(-1.0)}  # fmt: skip
    judgement = {"verdict": "hold", "reason": "too few", "calls": 9, "alpha": 0.05, "metrics": {"errors": metric},
                 "shown": {"disagreement": {"mean": 0.25}}}  # fmt: skip
    return {"trial": trial.id, "judgement": judgement, "decision": "goes on", "error": None}


@pytest.fixture
def exposed(settings, lake):
    """All samples of a watcher to which everything happened once, by name: (labels, value)."""
    registered(lake, "nlu", "v1", Stage.STAGING)
    rows = [{"row_id": str(n), "text": "ബിൽ", "label": "a", "label_kind": "intent"} for n in range(60)]
    model = trained(lake, "nlu", "v1", gold(lake, "nlu", rows), "text-classification")
    trials = standing_trials(Registry(lake))
    counts = {"chosen": 7, "mirrored": 5, "answered": 3, "timed_out": 1, "errors": {"died": 1}, "waiting": 6}
    mirror = {"trial": trials[0].id, "stage": "staging", "candidate": "v1", **counts, "dropped": {"queue_full": 2}}
    mirror["restarts"] = 4
    state = {"adapters": {"nlu": {"in_flight": 2, "waiting": 1, "trials": [mirror]}}, "missing": []}
    watcher = Watcher(settings)
    watcher.watch(gateway_state=lambda: state, rollout_state=lambda: {"trials": [judged(each) for each in trials]})
    watcher.start()
    for n in range(150):
        watcher.answered(
            answer(output="ab"[n % 2], version="base", fallback="v1" if n == 0 else None), {"text": "x"}, 1
        )
    watcher.failed("nlu", "base", "timed_out", None, 1.0)
    watcher.answered_error("invalid_api_key")
    until = time.monotonic() + 20
    while watcher._calls or TallyReader(lake).reference(reference_key("nlu", model)) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    watcher.close()
    watcher.answered(answer(), {"text": "x"}, 1)
    found = {}
    for family in text_string_to_metric_families(watcher.metrics()[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_each_query_of_the_dashboard_names_metrics_and_labels_that_are_exposed(exposed):
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    queries += [variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    assert len(queries) > 20
    for query in queries:
        asked = _SELECTED.findall(query)
        assert asked, query
        labels = {name for grouped in _GROUPED.findall(query) for name in re.split(r",\s*", grouped)}
        for metric, selectors in asked:
            assert metric in exposed, f"{metric} of {query}"
            own = set().union(*(labels for labels, _ in exposed[metric]))
            wanted = labels | set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors))
            assert wanted <= own, f"{metric} has {own}, asked for {wanted}"


def query_of(title):
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return next(panel for panel in panels if panel["title"] == title)["targets"][0]["expr"]


def test_the_share_of_failed_calls_leaves_out_broken_input_alone():
    (left_out,) = set(re.findall(r'kind!~"([^"]*)"', query_of("Failed calls, share")))
    assert all(re.fullmatch(left_out, kind) for kind in (*REFUSED, "rejected:too_long"))
    gateways = ("timed_out", "RuntimeError", "overloaded", "starting")
    assert not any(re.fullmatch(left_out, kind) for kind in gateways)


SERIES = {
    'data_foundry_traffic_share{adapter="idle", version="base"}': "1+0x40",
    'data_foundry_calls_total{adapter="idle", version="base"}': "7+0x40",
    'data_foundry_traffic_share{adapter="fails", version="base"}': "1+0x40",
    'data_foundry_failures_total{adapter="fails", version="base", kind="RuntimeError"}': "0+6x40",
    'data_foundry_traffic_share{adapter="answers", version="base"}': "0.95+0x40",
    'data_foundry_traffic_share{adapter="answers", version="v1"}': "0.05+0x40",
    'data_foundry_calls_total{adapter="answers", version="base"}': "0+6x40",
    'data_foundry_calls_total{adapter="answers", version="v1"}': "0+2x40",
    'data_foundry_traffic_share{adapter="both", version="base"}': "1+0x40",
    'data_foundry_calls_total{adapter="both", version="base"}': "0+6x40",
    'data_foundry_failures_total{adapter="both", version="base", kind="timed_out"}': "0+2x40",
    'data_foundry_failures_total{adapter="both", version="base", kind="starting"}': "0+4x40",
    'data_foundry_failures_total{adapter="both", version="none", kind="rejected:too_long"}': "0+9x40",
}
"""By the minute: adapters that nobody calls, that only fail, that only answer, and that do both and refuse callers."""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, of Prometheus, is not installed")
def test_prometheus_reads_a_whole_failure_as_all_and_no_failure_as_none(tmp_path):
    query = query_of("Failed calls, share").replace("$adapter", ".*").replace("$__rate_interval", "5m")
    wanted = {"fails": 1.0, "answers": 0.0, "both": 0.5}
    expected = [{"labels": f'{{adapter="{name}"}}', "value": share} for name, share in wanted.items()]
    test = {
        "rule_files": [],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
                "promql_expr_test": [{"expr": query, "eval_time": "30m", "exp_samples": expected}],
            }
        ],
    }
    file = tmp_path / "test.json"
    file.write_text(json.dumps(test), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, of Prometheus, is not installed")
def test_prometheus_parses_every_query_of_the_dashboard(tmp_path):
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = [
        {"record": f"panel:{n}", "expr": query.replace("$adapter", ".*").replace("$__rate_interval", "5m")}
        for n, query in enumerate(queries)
    ]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, of Prometheus, is not installed")
def test_prometheus_own_linter_finds_no_fault_with_the_metrics(settings):
    watcher = Watcher(settings)
    watcher._metrics.answered("nlu", "base", 0.1, 0.1, None)
    watcher._metrics.failed("nlu", "base", "timed_out")
    watcher._metrics.answered_error("invalid_api_key")
    done = subprocess.run(["promtool", "check", "metrics"], input=watcher.metrics()[0], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_metric_is_on_the_dashboard(exposed):
    text = DASHBOARD.read_text(encoding="utf-8")
    for name in exposed:
        base = re.sub(r"_(bucket|count|sum|created|total)$", "", name)
        assert base in text, name


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


def test_a_trials_evidence_and_a_shadows_counts_are_exposed_as_they_were_told(exposed):
    e_values = {labels["question"]: value for labels, value in exposed["data_foundry_trial_log10_e_value"]}
    assert e_values == {"harm": pytest.approx(0.8686), "safety": pytest.approx(-0.4343)}
    outcomes = {labels["outcome"]: value for labels, value in exposed["data_foundry_shadow_calls_total"]}
    assert outcomes == {"answered": 3, "timed_out": 1, "errors": 1, "dropped": 2}
    assert exposed["data_foundry_shadow_waiting"] == [({"adapter": "nlu", "version": "v1", "stage": "staging"}, 6)]
    shares = {labels["version"]: value for labels, value in exposed["data_foundry_traffic_share"]}
    assert {version: share for version, share in shares.items() if version == "v1"} == {"v1": 0.05}
