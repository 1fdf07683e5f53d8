"""The verdict of stored figures: what is not in them was not measured, and never counts as a pass."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from data_foundry.config import Settings, load_settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.finetuning.versions.verdict import figures, judged, write_verdict
from data_foundry.finetuning.versions.version_files import json_text, summary
from data_foundry.lake import Lake, Layer
from data_foundry.training_config import TrainingConfig
from finetuning.version_details import compared, details, evaluation, iv, slices

NLU = ENGINES[AIEngine.NLU]


def judge(found: dict[str, Any], settings: Settings | None = None, **config: Any) -> dict[str, Any]:
    settings = settings or load_settings(environ={})
    return judged(settings, NLU, TrainingConfig.model_validate({"base": "a/b", **config}), found)


def verdict_of(found: dict[str, Any], gate: str) -> str:
    return {each["gate"]: each["verdict"] for each in found["gates"]}[gate]


def test_a_version_that_holds_everywhere_passes_and_its_gate_says_what_the_score_is() -> None:
    found = judge(details())
    assert found["verdict"] == "pass", found["gates"]
    assert found["gates"][0]["measure"] == "macro-averaged F1 over the labels"
    assert summary(found) == "passed its gates; score 0.500 -> 0.950 on 100 test rows"


@pytest.mark.parametrize("missing", ["slices", "control"])
def test_figures_of_before_slices_or_without_control_are_for_a_person(missing: str) -> None:
    old = details()
    if missing == "control":
        old["control"] = None
    else:
        del old["evaluation"]["slices"], old["evaluation"]["units"], old["phone"], old["phone_note"]
    found = judge(old)
    assert found["verdict"] == "inconclusive"
    assert summary(found).startswith("for a person to decide: ")


def test_a_slice_that_lost_refuses_a_version_that_gained_on_the_whole() -> None:
    worse = details()
    worse["evaluation"]["slices"] = slices(("malabar", 60, 0.5, 0.95), ("kochi", 40, 0.9, 0.7))
    found = judge(worse)
    assert found["verdict"] == "fail"
    assert summary(found).startswith("refused by slice_regression")
    assert judge(worse, max_slice_regression=0.3)["verdict"] == "pass"
    assert judge(worse, min_slice_rows=50)["verdict"] == "inconclusive", "a group that no one judged is no pass"


def test_rows_of_an_unknown_group_are_no_slice() -> None:
    worse = details()
    worse["evaluation"]["slices"] = slices(
        ("malabar", 60, 0.5, 0.95), ("kochi", 40, 0.5, 0.95), ("unknown", 40, 0.9, 0.7)
    )
    assert judge(worse)["verdict"] == "pass"
    worse["evaluation"]["slices"] = slices(("malabar", 60, 0.5, 0.95), ("unknown", 40, 0.9, 0.7))
    assert verdict_of(judge(worse), "slice_regression") == "inconclusive", "one group is beside no other"
    worse["evaluation"]["slices"] = slices(("unknown", 40, 0.5, 0.95), ("malabar", 3, 0.5, 0.95))
    assert verdict_of(judge(worse), "slice_regression") == "inconclusive"


def test_a_loss_through_the_phone_is_judged_where_it_was_measured() -> None:
    heard = details(phone={**evaluation(0.9, 0.8), "measures": {"score": compared(0.9, 0.8)}})
    assert verdict_of(judge(heard), "phone_regression") == "fail"
    assert verdict_of(judge(heard, max_phone_regression=0.15), "phone_regression") == "pass"
    assert "phone_regression" not in [gate["gate"] for gate in judge(details())["gates"]]


def test_null_bounds_are_no_figure_and_no_pass() -> None:
    nothing = details(measures={"score": {which: iv(None) for which in ("base", "adapted", "difference")}})
    found = judge(nothing)
    assert verdict_of(found, "minimum_score") == verdict_of(found, "improvement") == "inconclusive"
    half = details()
    half["measures"]["score"]["adapted"] = {"value": 0.95, "low": None, "high": 1.0}
    assert verdict_of(judge(half), "minimum_score") == "inconclusive"


def test_the_rows_of_each_class_count_for_macro_f1() -> None:
    sure = details()
    sure["measures"]["score"]["adapted"] = iv(1.0, 1.0, 1.0)
    sure["evaluation"]["base"]["per_class"] = {"intent_a": {"rows": 97}, "intent_b": {"rows": 3}}
    assert figures(NLU, sure).test.classes == (97, 3)
    assert verdict_of(judge(sure), "minimum_score") == "inconclusive"


def test_what_was_resampled_counts_for_the_rule_of_three() -> None:
    sure = details()
    sure["measures"]["score"]["adapted"] = iv(1.0, 1.0, 1.0)
    sure["evaluation"]["units"] = 6
    assert figures(NLU, sure).test.units == 6
    assert verdict_of(judge(sure), "minimum_score") == "inconclusive"
    sure["evaluation"]["units"] = 60
    assert verdict_of(judge(sure), "minimum_score") == "pass"


def test_an_evaluation_is_valid_json_and_the_same_when_judged_again(lake: Lake) -> None:
    found = details()
    found["evaluation"]["adapted"]["macro_f1"] = math.nan
    found["evaluation"]["adapted"]["intervals"]["macro_f1"] = (math.nan, math.inf)
    texts = []
    for _ in range(2):
        found = judge(found)
        with lake.commit(Layer.MODELS, "nlu/0123456789ab", "key") as commit:
            write_verdict(commit, NLU, found)
            texts.append(commit.path("evaluation.json").read_text(encoding="utf-8"))
            found = commit.publish(rows_in=1, rows_out=1, details=found).details
        found = json.loads(json.dumps(lake.manifest(Layer.MODELS, "nlu/0123456789ab").details))  # type: ignore[union-attr]
    assert texts[0] == texts[1]
    adapted = json.loads(texts[0], parse_constant=pytest.fail)["adapted"]
    assert adapted["macro_f1"] is None and adapted["intervals"]["macro_f1"] == [None, None]
    assert json_text({"a": [1.5, "NaN", math.nan]}) == '{\n "a": [\n  1.5,\n  "NaN",\n  null\n ]\n}\n'


def test_judged_again_a_version_still_says_where_its_base_and_data_came_from() -> None:
    assert judge(details(hub="folder"))["hub"] == "folder"
    assert judge(details())["hub"] == "huggingface.co"
