"""Every metric that the dashboard asks for is one that is exposed, with those labels."""

import json
import re
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from data_foundry.config import PROJECT_ROOT
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.watch.reference import reference_key
from data_foundry.serving.watch.tallies import TallyReader
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
    counts = {"chosen": 7, "mirrored": 5, "answered": 3, "timed_out": 1, "errors": {"died": 1}, "waiting": 0}
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
    assert outcomes == {"answered": 3, "timed_out": 1, "errors": 1, "dropped": 2, "waiting": 0}
    shares = {labels["version"]: value for labels, value in exposed["data_foundry_traffic_share"]}
    assert {version: share for version, share in shares.items() if version == "v1"} == {"v1": 0.05}
