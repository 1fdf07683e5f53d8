"""The model card: valid for the Hub, true to the manifest, and silent on what was not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from data_foundry.config import load_settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.finetuning.versions.card import model_card
from data_foundry.finetuning.versions.card_metadata import METRICS
from data_foundry.finetuning.versions.verdict import judged
from data_foundry.training_config import TrainingConfig
from finetuning.version_details import compared, details, evaluation, iv

NLU = ENGINES[AIEngine.NLU]


def card(found: dict[str, Any], source: Path | None = None) -> str:
    settings = load_settings(flags={"hub": {"source": str(source)}} if source else {}, environ={})
    return model_card(NLU, judged(settings, NLU, TrainingConfig(base="owner/base"), found))


def test_the_hubs_own_reader_finds_licence_datasets_base_and_figures(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(card(details()), encoding="utf-8")
    data = ModelCard.load(file).data
    assert (data.license, data.base_model, data.library_name) == ("cc-by-4.0", "owner/base", "peft")
    assert (data.pipeline_tag, data.datasets, data.metrics) == ("text-classification", ["owner/news"], ["f1"])
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_type) == ("f1", 0.95, "owner/news")
    assert result.metric_name == "macro-F1, 95 % interval 0.9400 to 0.9600"
    index = eval_results_to_model_index(data.model_name, data.eval_results)
    assert model_index_to_eval_results(index) == ("nlu-0123456789ab", data.eval_results)


def test_figures_through_the_phone_are_results_of_their_own() -> None:
    heard = details(phone={**evaluation(0.4, 0.9), "measures": {"score": compared(0.4, 0.9)}})
    text = card(heard)
    results = ModelCard(text).data.eval_results
    assert [(each.dataset_config, each.metric_value) for each in results] == [("clean", 0.95), ("phone", 0.9)]
    assert "## Through the phone channel" in text
    assert "How it does through a phone line was not measured" not in text


@pytest.mark.parametrize(
    ("base", "data", "tags"),
    [
        ("apache-2.0", ["cc-by-4.0"], {"license": "cc-by-4.0"}),
        ("mit", ["cc-by-4.0", "cc-by-nc-sa-4.0"], {"license": "cc-by-nc-sa-4.0"}),
        ("mit", ["cc-by-nc-4.0", "cc-by-sa-4.0"], {"license": "other", "license_name": "terms-of-base-and-data"}),
        ("unknown", ["cc-by-4.0"], {"license": "other", "license_name": "terms-of-base-and-data"}),
        ("apache-2.0", ["a licence of their own"], {"license": "other", "license_name": "terms-of-base-and-data"}),
        ("mit", ["cc-by-4.0", "odc-by"], {"license": "other", "license_name": "cc-by-4.0-and-odc-by"}),
        ("apache-2.0", ["cc-by-1.0"], {"license": "other", "license_name": "cc-by-1.0"}),
    ],
)
def test_the_licence_tag_is_the_strictest_of_base_and_data_or_other(
    base: str, data: list[str], tags: dict[str, str]
) -> None:
    found = details(
        sources=[{"dataset": f"o/d{n}", "revision": "a", "licence": name, "rows": 1} for n, name in enumerate(data)]
    )
    found["config"]["licence"] = base
    loaded = ModelCard(card(found)).data.to_dict()
    assert {name: loaded[name] for name in ("license", "license_name") if name in loaded} == tags


def test_what_was_not_measured_is_a_limit_and_not_a_figure() -> None:
    text = card(details(control=None, control_note="owner/base has no control rows"))
    limits = text.split("## Limits")[1]
    assert "What it lost on the base's own domain was not measured: owner/base has no control rows." in limits
    assert "How it does through a phone line was not measured: nlu reads text" in limits
    assert "Not decided by its rows: base_domain." in limits
    assert "## Calibration" not in text
    bare = details()
    del bare["evaluation"]["slices"], bare["evaluation"]["relative_error_reduction"]
    text = card(bare)
    assert "## Slices" not in text and "elative error reduction" not in text
    assert "Whether it serves all groups of speakers alike was not measured." in text


def test_slices_gap_reduction_and_calibration_stand_with_their_intervals() -> None:
    found = details()
    one = {"ece": iv(0.1), "brier": iv(0.2), "reliability": []}
    found["evaluation"]["calibration"] = {
        "bins": 10, "base": one, "adapted": one, "adapted_with_temperature": None, "temperature": None,
        "temperature_note": "too few rows",
    }  # fmt: skip
    found["evaluation"]["earlier_versions_on_these_rows"] = 2
    text = card(found)
    assert "| dialect | malabar | 60 | 7 | 0.5000 [0.4900, 0.5100] | 0.9500 [0.9400, 0.9600] | +0.4500" in text
    assert "Gap by dialect, the bias figure: 0.1000 [0.0900, 0.1100] between malabar (best) and kochi (worst)" in text
    assert "Relative error reduction, of 1 - score: 90.0 % [89.0 %, 91.0 %]." in text
    assert "| adapted | 0.1000 [0.0900, 0.1100] | 0.2000 [0.1900, 0.2100] |" in text
    assert "2 earlier versions were measured on these same rows" in text
    found["evaluation"]["earlier_versions_on_these_rows"] = 1
    assert "1 earlier version was measured on these same rows" in card(found)


def test_slices_name_their_figure_and_an_interval_without_width_says_so() -> None:
    found = details()
    dialect = found["evaluation"]["slices"]["dialect"]
    dialect["figure"] = "accuracy"
    dialect["groups"]["kochi"]["adapted"] = iv(1.0, 1.0, 1.0)
    text = card(found)
    assert "| slice | group | rows | speakers | base accuracy | adapted accuracy | change |" in text
    assert "| dialect | kochi | 40 | 7 | 0.5000 [0.4900, 0.5100] | 1.0000 (no spread) | +0.4500" in text


def test_a_card_counts_the_rows_that_its_raw_figures_leave_out() -> None:
    found = details()
    evaluation = found["evaluation"]
    for which in ("base", "adapted"):
        evaluation[which] |= {"cer_raw": 0.25, "raw_rows_left_out": 3}
        evaluation[which]["intervals"]["cer_raw"] = [0.2, 0.3]
    evaluation["difference"]["cer_raw"] = {"value": 0.0, "interval": [0.0, 0.0]}
    text = card(found)
    assert "personal data is masked there, 3 rows whose text had to be rewritten for that left out." in text
    results = ModelCard(text).data.eval_results
    assert ["3 rows left out" in one.metric_name for one in results] == [one.metric_type == "cer" for one in results]
    for which in ("base", "adapted"):
        del evaluation[which]["raw_rows_left_out"]
    assert "personal data is masked there. Punctuation" in card(found)


def test_an_akshara_error_rate_is_not_passed_off_as_a_character_error_rate() -> None:
    assert {METRICS[name][0] for name in ("aer", "aer_raw")} == {"aer"}
    assert {name for name, (kind, _) in METRICS.items() if kind == "cer"} == {"cer", "cer_raw", "cer_vistaar_compat"}


def test_an_undefined_figure_is_said_to_be_and_is_no_result() -> None:
    found = details()
    found["evaluation"]["adapted"]["macro_f1"] = None
    found["evaluation"]["relative_error_reduction"] = {
        "error": "1 - score", **iv(None), "not_measured": "the base makes no error here",
    }  # fmt: skip
    text = card(found)
    assert "| macro_f1 | 0.5000 [0.4900, 0.5100] | not defined |" in text
    assert "Relative error reduction was not measured: the base makes no error here." in text
    assert "model-index" not in text and ModelCard(text).data.eval_results is None


def test_a_base_from_a_folder_is_said_to_be_from_one(tmp_path: Path) -> None:
    text = card(details(), source=tmp_path)
    assert 'base = AutoModelForSequenceClassification.from_pretrained(f"{hub}/models/owner/base")' in text
    assert "The base is no repository on huggingface.co" in text and str(tmp_path) not in text
    online = card(details())
    assert '.from_pretrained("owner/base", revision="c0ffee")' in online and "no repository" not in online


def test_a_new_head_is_loaded_with_its_labels_in_order() -> None:
    text = card(details(base_kind="linear_probe"))
    assert "labels = ['intent_a', 'intent_b']" in text
    assert "num_labels=len(labels), id2label=dict(enumerate(labels)), ignore_mismatched_sizes=True" in text
    assert "base means a linear probe" in text


def test_a_card_holds_the_lineage_by_hashes() -> None:
    lineage = {
        "gold": "g0", "config": "c0", "seed": 3, "base": {"name": "owner/base", "revision": "c0ffee", "files": "f0"},
        "code": {"version": "0.6.0", "sources": "s0"}, "python": "3.11", "libraries": {"torch": "2.13.0"}, "hash": "h0",
    }  # fmt: skip
    text = card(details(lineage=lineage))
    for part in ("| gold | `g0` |", "| configuration | `c0` |", "| code | 0.6.0, sources `s0` |", "torch 2.13.0"):
        assert part in text
    assert "Not recorded." in card(details())


def test_a_version_out_of_its_stored_manifest_has_the_same_card() -> None:
    found = details()
    assert card(json.loads(json.dumps(found))) == card(found)
