"""Phase 4 from gold to shadow with a real, tiny model: trained by the real code, heard through the real gateway."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.finetuning.features.gold_rows import read_rows
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action, Outcome, StepResult
from data_foundry.serving import deploy
from data_foundry.serving.candidate.selection import is_chosen
from data_foundry.serving.replay_calls import held_out_ids
from data_foundry.serving.residents import open_residents
from data_foundry.serving.weights import base_weights, version_weights

pytestmark = pytest.mark.slow

KEY = hashlib.sha256(b"replay nlu").digest()
"""What chooses the calls of a replay, the same ones in every run."""

# Written for this test; not checked by a native speaker.
WORDS = {
    "business": ("ബാങ്ക്", "വിപണി", "ഓഹരി"),
    "entertainment": ("സിനിമ", "നടൻ", "പാട്ട്"),
    "sports": ("ഫുട്ബോൾ", "ഗോൾ", "ടീം"),
    "technology": ("ഫോൺ", "ആപ്പ്", "ക്യാമറ"),
}
FILLER = ("ഇന്ന്", "പുതിയ", "കേരളം", "വലിയ", "എന്ന്", "വാർത്ത")


def news(count: int, seed: int) -> list[dict[str, Any]]:
    """Gold rows of four topics, each told by its words."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        label = list(WORDS)[number % 4]
        text = [draw.choice(WORDS[label]), draw.choice(WORDS[label]), *draw.sample(FILLER, 2)]
        draw.shuffle(text)
        row = dict.fromkeys(ENGINES[AIEngine.NLU].gold_columns, "")
        row |= {"row_id": f"{seed:08x}{number:08x}", "dataset": "owner/news", "revision": "c0ffee", "licence": "mit"}
        rows.append({**row, "text": " ".join(text), "label": label, "label_kind": "topic"})
    return rows


def tiny_base(folder: Path, with_head: bool) -> None:
    """Write a BERT with one small layer and random weights, a word tokenizer, and rows of its own domain."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *FILLER, *(word for group in WORDS.values() for word in group)]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        id2label=dict(enumerate(WORDS)),
        label2id={label: number for number, label in enumerate(WORDS)},
    )
    (BertForSequenceClassification if with_head else BertModel)(config).save_pretrained(folder)
    pq.write_table(pa.Table.from_pylist(news(40, seed=1)), folder / "control.parquet")


def write_gold(lake: Lake) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = news(360, seed=0)
    splits = {"train": rows[:200], "validation": rows[200:240], "test": rows[240:]}
    with lake.commit(Layer.GOLD, "nlu", "gold") as commit:
        for split, part in splits.items():
            pq.write_table(pa.Table.from_pylist(part), commit.path(f"{split}/part-00000.parquet"))
        counts = {f"{split}/part-00000.parquet": len(part) for split, part in splits.items()}
        commit.publish(rows=counts, rows_in=len(rows), rows_out=len(rows))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny_base(folder / "models" / "owner" / "with-head", with_head=True)
    tiny_base(folder / "models" / "owner" / "without-head", with_head=False)
    return folder


@pytest.fixture
def phase(hub: Path, with_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    def build(base: str, **changes: Any) -> Settings:
        learning = {"target_modules": ["query", "value", "dense"], "learning_rate": 0.01, "epochs": 8}
        only = {"label_kind": "topic"}
        training = {
            "gpu_enabled": False,
            "mixed_precision": False,
            "engines": {"nlu": {"base": base, "only": only, **learning}},
            "variants": {"nlu.topic": {"enabled": False}},
        }
        settings = with_settings(engines=["nlu"], hub={"source": str(hub)}, training=training, **changes)
        write_gold(Lake(settings))
        return settings

    return build


def run_to_the_end(settings: Settings) -> dict[str, StepResult]:
    """Run phase 4 as the command does: plan, run what is ready, plan again."""
    results: dict[str, StepResult] = {}
    while ready := [step for step in deploy.plan(settings, Lake(settings)) if step.action is Action.RUN]:
        for step in ready:
            assert step.name not in results, f"{step.name} does not come to an end: {step.reason}"
            results[step.name] = deploy.run_step(settings, step)
    return results


def test_a_trained_adapter_is_heard_through_the_gateway_and_a_second_run_has_nothing_to_do(
    phase: Callable[..., Settings],
) -> None:
    settings = phase("owner/with-head", deployment={"shadow_share": 0.5})
    lake = Lake(settings)
    results = run_to_the_end(settings)
    assert results["deploy nlu"].outcome is Outcome.DONE, results["deploy nlu"].reason
    (version,) = Registry(lake).versions("nlu")
    assert version.stage is Stage.SHADOW
    _, engines = deploy.describe(settings, lake)
    shadow = engines["nlu"].model_dump()["shadow"]
    assert (shadow["calls"], shadow["answered_calls"], shadow["verdict"]) == (120, 120, "pass")
    assert 40 < shadow["mirrored"] == shadow["candidate_answered"] <= 80
    # The weights that were heard are the ones that were published, and the callers' are the base's.
    ids = held_out_ids(lake, "nlu", 1000, {})
    files = lake.files(Layer.GOLD, "nlu", under="test")
    chosen = [row for row in read_rows(files) if is_chosen(f"replay/{row['row_id']}", KEY, 0.5, "shadow")]
    assert len(ids) == 120 and len(chosen) == shadow["mirrored"]
    weights = [version_weights(settings, lake, version), base_weights(settings, lake, "nlu", [version])]
    for resident, side in zip(open_residents(settings, weights), ("candidate", "incumbent"), strict=True):
        said = [resident.predict([row], [resident.encode(row)])[0].output for row in chosen]
        right = sum(output == row["label"] for output, row in zip(said, chosen, strict=True))
        assert shadow[side]["quality"] == {
            "metric": "accuracy",
            "meaning": "share of calls with the same label",
            "value": round(right / len(chosen), 4),
            "calls": len(chosen),
        }
        assert shadow[side]["milliseconds"]["p50"] > 0
    assert shadow["incumbent"]["version"] == "base"
    assert shadow["candidate"]["quality"]["value"] > shadow["incumbent"]["quality"]["value"] + 0.3
    assert [step.action for step in deploy.plan(settings, lake)] == [Action.SKIP, Action.SKIP]
    log = settings.base_path / "logs" / f"replay_nlu_{version.version}.log"
    assert WORDS["business"][0] not in log.read_text(encoding="utf-8"), "what callers say is in no log"


def test_where_the_base_has_no_head_the_head_fitted_on_it_answers_callers(phase: Callable[..., Settings]) -> None:
    settings = phase("owner/without-head")
    lake = Lake(settings)
    run_to_the_end(settings)
    (version,) = Registry(lake).versions("nlu")
    heard = Registry(lake).transition("nlu", version.version, Stage.SHADOW, actor="a test", reason="to be heard")
    stand_in = base_weights(settings, lake, "nlu", [heard])
    assert stand_in.folder is not None and stand_in.folder.name == "linear_probe"
    (resident,) = open_residents(settings, [stand_in])
    row = news(1, seed=7)[0]
    assert resident.predict([row], [resident.encode(row)])[0].output in WORDS
