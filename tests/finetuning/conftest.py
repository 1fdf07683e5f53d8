"""What the training tests share: a folder Hub of random bases, made once, and settings that point at it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import Settings, load_settings
from data_foundry.engines import ENGINES
from data_foundry.records import AIEngine
from finetuning import gold_builders, tiny_bases

BASES = {
    AIEngine.STT: ("tiny/whisper", ("q_proj", "v_proj", "fc1")),
    AIEngine.DIALECT: ("tiny/whisper", ("q_proj", "v_proj")),
    AIEngine.NLU: ("tiny/bert-topics", ("query", "value", "dense")),
    AIEngine.SENTIMENT: ("tiny/bert", ("query", "value", "dense")),
    AIEngine.TRANSLATION: ("tiny/t5", ("q", "v")),
    AIEngine.TTS: ("tiny/codec-llama", ("q_proj", "v_proj")),
}
# The product's own, off unless a test wants them.
VARIANTS = tuple(f"{engine}.{variant}" for engine, spec in ENGINES.items() for variant in spec.variants)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder Hub with one random base of every architecture; bert-topics has control and replay rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("hub")
    models = root / "models" / "tiny"
    tiny_bases.whisper(models / "whisper")
    tiny_bases.bert(models / "bert-topics")
    tiny_bases.bert(models / "bert", labels=())
    tiny_bases.encoder(models / "xlm-roberta")
    tiny_bases.t5(models / "t5", {"ml-en": ">>eng<< ", "en-ml": ">>mal<< "})
    tiny_bases.nllb(models / "nllb")
    tiny_bases.m2m100(models / "m2m100")
    tiny_bases.codec_llama(models / "codec-llama")
    for name in ("control", "replay"):
        table = pa.Table.from_pylist(
            [{k: r[k] for k in ("text", "label")} for r in gold_builders.rows(AIEngine.NLU, 20)]
        )
        pq.write_table(table, models / "bert-topics" / f"{name}.parquet")
    # A Trainer collects garbage before it trains: not through all the libraries every time.
    import peft  # noqa: F401
    from transformers import Trainer  # noqa: F401

    gc.collect()
    gc.freeze()
    return root


@pytest.fixture
def tiny_settings(hub: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a run over the folder Hub: tiny_settings(engine, epochs=2, training={"use_wandb": True})."""

    def build(engine: AIEngine, *, training: dict[str, Any] | None = None, **config: object) -> Settings:
        base, targets = BASES[engine]
        own = {
            "base": base,
            "target_modules": list(targets),
            "lora_rank": 4,
            "lora_alpha": 8,
            "epochs": 1,
            "batch_size": 4,
            "min_test_rows": 4,
            **({"only": {"label_kind": "topic"}} if engine is AIEngine.NLU else {}),
            **config,
        }
        further = training or {}
        sections = {
            "gpu_enabled": False,
            "mixed_precision": False,
            "engines": {engine.value: own},
            **further,
            "variants": {**{name: {"enabled": False} for name in VARIANTS}, **further.get("variants", {})},
        }
        return load_settings(
            flags={
                "base_path": str(tmp_path / "base"),
                "hub": {"source": str(hub)},
                "engines": [engine.value],
                "workers": 0,
                "training": sections,
            },
            environ={},
        )

    return build
