"""Changed gold retrains what it touches and carries it into the shadow without a hand, up to where a person decides."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finetuning import tiny_bases
from finetuning.gold_builders import commit_gold, row, rows
from replayed_gateway import started

from data_foundry.compute import guarded
from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine
from data_foundry.report import Action, Outcome, StepResult
from data_foundry.serving import deploy, replay

TOPICS = ("business", "entertainment", "sports", "technology")


@pytest.fixture
def settings(tmp_path: Path, with_settings: Callable[..., Settings]) -> Settings:
    """Two engines on one tiny base; `nlu` has a variant that knows only one source. What is asked of them is little."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    torch.set_num_threads(1)
    base = tmp_path / "hub" / "models" / "tiny" / "bert"
    tiny_bases.bert(base)
    pq.write_table(
        pa.Table.from_pylist([{"text": r["text"], "label": r["label"]} for r in rows(AIEngine.NLU, 20)]),
        base / "control.parquet",
    )
    tolerant = {"max_base_regression": 1.0, "max_slice_regression": 1.0, "min_score": 0.5}
    few = {"min_test_rows": 4, "min_slice_rows": 1}
    learning = {"target_modules": ["query", "value", "dense"], "learning_rate": 0.02, "epochs": 6, "batch_size": 4}
    own = {"base": "tiny/bert", "lora_rank": 4, **learning, **tolerant, **few}
    return with_settings(
        engines=["nlu", "sentiment"],
        hub={"source": str(tmp_path / "hub")},
        training={
            "gpu_enabled": False,
            "mixed_precision": False,
            "engines": {"nlu": {**own, "only": {"label_kind": "topic"}}, "sentiment": own},
            "variants": {
                "nlu.topic": {"enabled": False},
                "nlu.news": {"only": {"dataset": "owner/news"}, "epochs": 10},
                "nlu.rare": {"only": {"dataset": "owner/rare"}, "min_train_rows": 10},
            },
        },
    )


def gold(engine: AIEngine, **counts: int) -> dict[str, list[dict[str, Any]]]:
    """Rows of two sources in turn, each told by its words; the sentiments of this test are the topics."""
    sizes = {"train": 40, "validation": 8, "test": 40, **counts}
    return {
        split: [
            {**row(AIEngine.NLU, number, split), "dataset": ("owner/news", "owner/name")[number // 4 % 2]}
            | ({} if engine is AIEngine.NLU else {"row_id": f"{split}-{engine}-{number}"})
            for number in range(size)
        ]
        for split, size in sizes.items()
    }


def truths(settings: Settings) -> Callable[[str], str]:
    """What is right for each held-out call, by its id: a candidate that knows it all."""
    import pyarrow.parquet as pq

    lake = Lake(settings)
    files = [file for name in ("nlu", "sentiment") for file in lake.files(Layer.GOLD, name, under="test")]
    known = {each["row_id"]: each["label"] for file in files for each in pq.read_table(file).to_pylist()}
    return known.__getitem__


def run_phase(settings: Settings) -> dict[str, StepResult]:
    """Run phase 4 to its end, as the command does."""
    results: dict[str, StepResult] = {}
    while ready := [step for step in deploy.plan(settings, Lake(settings)) if step.action is Action.RUN]:
        for step in ready:
            assert step.name not in results, f"{step.name} does not come to an end: {step.reason}"
            results[step.name] = guarded(deploy.run_step, settings, step)
    return results


def stages(settings: Settings, name: str) -> list[Stage]:
    """The stages of an adapter's versions, oldest version first."""
    found = Registry(Lake(settings)).versions(name)
    return [version.stage for version in sorted(found, key=lambda version: version.registered_at)]


def trained(results: dict[str, StepResult]) -> set[str]:
    return {
        name.removeprefix("adapt ")
        for name, result in results.items()
        if name.startswith("adapt ") and result.rows_in and not result.reason.startswith("not trained")
    }


def test_changed_gold_goes_as_far_as_the_shadow_by_itself_and_leaves_all_others_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(f"2030-01-01T00:00:{second:02d}Z" for second in range(60))
    monkeypatch.setattr("data_foundry.finetuning.versions.registry_history.now", lambda: next(clock))
    # What is tried here is where versions go; a real gateway replays calls in test_deploy_real_model.
    start = started("text-classification", lambda call_id: TOPICS[0], lambda: truths(settings))
    monkeypatch.setattr(replay, "gateway_process", start)
    lake, registry = Lake(settings), Registry(Lake(settings))
    for engine in (AIEngine.NLU, AIEngine.SENTIMENT):
        commit_gold(lake, engine, gold(engine))
    first = run_phase(settings)
    assert trained(first) == {"nlu", "nlu.news", "sentiment"}
    assert {name: result.outcome for name, result in first.items() if name.startswith("deploy")} == dict.fromkeys(
        ("deploy nlu", "deploy nlu.news", "deploy sentiment"), Outcome.DONE
    ), first
    assert first["adapt nlu.rare"].reason.startswith("not trained: 0 training rows with dataset owner/rare")
    assert [stages(settings, name) for name in ("nlu", "nlu.news", "sentiment", "nlu.rare")] == [
        [Stage.SHADOW], [Stage.SHADOW], [Stage.SHADOW], [],
    ]  # fmt: skip
    # A person lets the first one answer callers, and another candidate is being heard.
    (nlu,) = registry.versions("nlu")
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        registry.transition("nlu", nlu.version, stage, actor="a person", reason="heard long enough")
    hashes = {"artefact_hash": "a" * 64, "evaluation_hash": "b" * 64}
    registry.register("nlu", "0" * 12, **hashes, base="tiny/bert", base_revision=None, actor="test", reason="earlier")
    registry.transition("nlu", "0" * 12, Stage.SHADOW, actor="test", reason="earlier")

    # Rows of one source of one engine come: its adapter is made again, those made of other rows are not.
    commit_gold(lake, AIEngine.NLU, with_more(4))
    second = run_phase(settings)
    assert trained(second) == {"nlu"}
    assert "sentiment" not in {name.split()[1] for name in second}
    assert second["adapt nlu.news"].reason.startswith("not trained again")
    assert stages(settings, "nlu") == [Stage.PRODUCTION, Stage.RETIRED, Stage.SHADOW], second["deploy nlu"].reason
    assert stages(settings, "nlu.news") == stages(settings, "sentiment") == [Stage.SHADOW]
    _, engines = deploy.describe(settings, lake)
    assert engines["nlu"].model_dump()["shadow"]["incumbent"]["version"] == nlu.version

    # Labels that nothing tells: the gates stop it, and say why; what is heard goes on being heard.
    spoilt = with_more(8)
    for number, each in enumerate(spoilt["train"]):
        each["label"] = TOPICS[number // 4 % 4]
    commit_gold(lake, AIEngine.NLU, {**spoilt, "test": spoilt["test"][:32]})
    last = run_phase(settings)
    assert last["deploy nlu"].outcome is Outcome.REFUSED
    assert last["deploy nlu"].reason.startswith("refused: minimum_score: score 0."), last["deploy nlu"].reason
    assert stages(settings, "nlu") == [Stage.PRODUCTION, Stage.RETIRED, Stage.SHADOW, Stage.NONE]
    assert registry.verify_history() == []

    assert_nothing_is_left_to_do(settings)


def with_more(count: int) -> dict[str, list[dict[str, Any]]]:
    """The gold of nlu with rows of the source that nlu.news does not know."""
    splits = gold(AIEngine.NLU)
    splits["train"] += [{**row(AIEngine.NLU, 100 + number), "dataset": "owner/name"} for number in range(count)]
    return splits


def assert_nothing_is_left_to_do(settings: Settings) -> None:
    """A run with nothing to do imports nothing that trains or reads rows."""
    assert run_phase(settings) == {}
    code = (
        "import sys; from data_foundry.config import Settings; from data_foundry.lake import Lake;"
        "from data_foundry.serving import deploy; settings = Settings.model_validate_json(sys.stdin.read());"
        "steps = deploy.plan(settings, Lake(settings)); deploy.describe(settings, Lake(settings));"
        "print({step.action.value for step in steps}, [m for m in ('torch', 'transformers', 'pyarrow', 'numpy')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=PROJECT_ROOT,
        input=settings.model_dump_json(),
    )  # fmt: skip
    assert done.stdout.strip() == "{'skip'} []"
