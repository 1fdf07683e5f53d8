"""Builders of what a watcher hears, and of versions that are registered without being trained."""

from __future__ import annotations

from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake
from data_foundry.serving.calls import Answer

LADDER = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)


def answer(adapter="nlu", output="billing", version="base", milliseconds=12.0, call_id="call-1", fallback=None):
    return Answer(call_id, adapter, version, output, 0.9, milliseconds, fallback=fallback)


def registered(lake: Lake, engine: str, version: str, stage: Stage = Stage.NONE, reason: str = "it passed its gates"):
    """Enter a version and take it up to a stage."""
    registry = Registry(lake)
    hashes = {"artefact_hash": "a" * 64, "evaluation_hash": "b" * 64}
    found = registry.register(
        engine, version, **hashes, base="tiny", base_revision=None, actor="phase4", reason=reason
    )  # fmt: skip
    for step in LADDER[: LADDER.index(stage) + 1] if stage in LADDER else ():
        found = registry.transition(engine, version, step, actor="asha", reason=reason)
    return found


def wav(seconds=2.0, noise=0.001, seed=0) -> bytes:
    """16 kHz mono sound: syllables of a hum above noise, as phone lines and callers make it, roughly."""
    import io

    import numpy as np
    import soundfile

    time = np.arange(int(seconds * 16_000)) / 16_000
    syllables = (np.sin(2 * np.pi * 3 * time) > 0) * np.sin(2 * np.pi * 220 * time)
    sound = 0.3 * syllables + noise * np.random.default_rng(seed).standard_normal(len(time))
    file = io.BytesIO()
    soundfile.write(file, sound.astype("float32"), 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def gold(lake: Lake, engine: str, rows: list, split: str = "train"):
    """Publish rows as an engine's gold, in row groups of 20; return the manifest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_foundry.lake import Layer

    with lake.commit(Layer.GOLD, engine, "key") as commit:
        file = f"{split}/part-00000.parquet"
        pq.write_table(pa.Table.from_pylist(rows), commit.path(file), row_group_size=20)
        return commit.publish(rows_in=len(rows), rows_out=len(rows))


def trained(lake: Lake, engine: str, version: str, on, task: str, only=None):
    """Publish a version's manifest, as trained on a gold's rows."""
    from data_foundry.finetuning.versions.version_lineage import gold_hash
    from data_foundry.lake import Layer

    with lake.commit(Layer.MODELS, f"{engine}/{version}", "key") as commit:
        commit.path("README.md").write_text("a version", encoding="utf-8")
        details = {
            "task": task, "lineage": {"gold": gold_hash(on)}, "config": {"only": only or {}},
            "measures": {"score": {"adapted": {"value": 0.9}}},
        }  # fmt: skip
        return commit.publish(details=details)
