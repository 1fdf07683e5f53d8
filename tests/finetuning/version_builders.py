"""Builders of published and registered versions, whose figures are given and not measured."""

from __future__ import annotations

import json
from typing import Any

from data_foundry.finetuning.versions.registry import Registry, Version
from data_foundry.finetuning.versions.version_files import version_hashes, write_json
from data_foundry.lake import Lake, Layer, Manifest, fingerprint

CARD = '---\nlibrary_name: peft\n---\n\nmodel = PeftModel.from_pretrained(base, "adapter")\n'
CURVE = [
    {"step": 8, "epoch": 0.5, "loss": 2.1, "learning_rate": 1e-4},
    {"step": 16, "epoch": 1.0, "loss": 1.3, "learning_rate": 5e-5},
    {"step": 16, "epoch": 1.0, "eval_loss": 1.2},
]


def interval(value: float, spread: float = 0.04) -> dict[str, float]:
    return {"value": value, "low": value - spread, "high": value + spread}


def details_of(score: float = 0.9, verdict: str = "pass", **changes: Any) -> dict[str, Any]:
    """What a manifest says of a version, in the shape that training leaves it."""
    measure = {"base": interval(0.4), "adapted": interval(score), "difference": interval(score - 0.4)}
    gate = {"gate": "minimum_score", "verdict": verdict, "value": score, "bound": 0.85, "reason": f"score {score}"}
    lineage = {"gold": "a" * 64, "seed": 0, "libraries": {"torch": "2"}, "code": {"version": "1"}}
    return {
        "config": {"base": "owner/base", "lora_rank": 8, "target_modules": ["q", "v"], "only": {}, "why": ""},
        "task": "text-classification",
        "base": "owner/base",
        "base_revision": "c0ffee",
        "base_kind": "as_published",
        "rows": {"train": 500, "validation": 50, "test": 300},
        "sources": [{"dataset": "owner/news", "revision": "beef", "licence": "cc-by-4.0", "rows": 850}],
        "training": {"steps": 16, "best_epoch": 1.0, "selected_by": "eval_loss", "arguments": {"gpu": False}},
        "measures": {"chrf++": measure, "score": measure},
        "evaluation": {
            "rows": 300, "row_ids_hash": "rows of test", "scorer": "scikit-learn 1", "decoding": "none",
            "intervals": "95 % paired bootstrap",
            "slices": {"district": {"groups": {"കൊല്ലം": {"rows": 40, "speakers": 3, "adapted": interval(0.8)}},
                                    "gap": None, "not_measured": "one group"}},
        },
        "control": None,
        "gates": [gate],
        "verdict": verdict,
        "lineage": {**lineage, "hash": "b" * 64},
        **changes,
    }  # fmt: skip


def publish_version(
    lake: Lake,
    adapter: str = "nlu",
    name: str = "first",
    weights: dict[str, bytes] | None = None,
    temperature: float = 1.0,
    head: bool = False,
    **changes: Any,
) -> Manifest:
    """Publish a version as training does; `weights` are the adapter's files. Its version is a hash of `name`.

    `head`: with a head fitted on the frozen base, without which that can't do the task.
    """
    key, details = fingerprint(name), details_of(**changes)
    files = weights or {"adapter_model.safetensors": f"weights of {name}".encode(), "adapter_config.json": b"{}"}
    with lake.commit(Layer.MODELS, f"{adapter}/{key[:12]}", key) as commit:
        for file, content in files.items():
            commit.path(f"adapter/{file}").write_bytes(content)
        if head:
            commit.path("linear_probe/adapter_model.safetensors").write_bytes(b"a head")
        write_json(commit.path("evaluation.json"), {"verdict": details["verdict"]})
        write_json(commit.path("calibration.json"), {"temperature": temperature})
        commit.path("training_log.json").write_text(json.dumps({"adapter": {"curve": CURVE}}))
        commit.path("README.md").write_text(CARD)
        return commit.publish(inputs={"gold": "a" * 64}, rows_in=850, rows_out=850, details=details)


def register_version(lake: Lake, model: Manifest) -> Version:
    adapter, _, version = model.name.partition("/")
    weights, evaluation = version_hashes(model)
    return Registry(lake).register(
        adapter, version, artefact_hash=weights, evaluation_hash=evaluation, base="owner/base", base_revision=None,
        actor="phase4", reason="trained on owner/base", evidence={"verdict": model.details["verdict"]},
    )  # fmt: skip


def make_version(lake: Lake, adapter: str = "nlu", name: str = "first", **given: Any) -> str:
    """Publish and register a version; return its full name."""
    model = publish_version(lake, adapter, name, **given)
    register_version(lake, model)
    return model.name
