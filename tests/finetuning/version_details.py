"""Details of a version as its manifest holds them, with every figure that an evaluation can bring."""

from __future__ import annotations

from typing import Any


def iv(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    """An interval as it is stored; without bounds it is 0.02 wide."""
    if value is None or low is not None:
        return {"value": value, "low": low, "high": high}
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def compared(base: float, adapted: float) -> dict[str, Any]:
    return {"base": iv(base), "adapted": iv(adapted), "difference": iv(adapted - base)}


def evaluation(base: float, adapted: float, rows: int = 100) -> dict[str, Any]:
    """An evaluation of a classifier by macro-F1, without slices."""
    found = {"macro_f1": compared(base, adapted), "score": compared(base, adapted)}

    def figures(which: str) -> dict[str, Any]:
        return {
            **{name: part[which]["value"] for name, part in found.items()},
            "intervals": {name: [part[which]["low"], part[which]["high"]] for name, part in found.items()},
            "rows": rows,
            "confusion": {"labels": ["intent_a", "intent_b"]},
        }

    return {
        "rows": rows,
        "units": rows,
        "scorer": "scikit-learn",
        "decoding": "none: the likeliest label",
        "intervals": "95 % paired bootstrap, 1000 resamples over rows",
        "base": figures("base"),
        "adapted": figures("adapted"),
        "difference": {
            name: {
                "value": part["difference"]["value"],
                "interval": [part["difference"]["low"], part["difference"]["high"]],
            }
            for name, part in found.items()
        },
        "relative_error_reduction": {"error": "1 - score", **iv((adapted - base) / (1 - base)), "not_measured": None},
    }


def slices(*groups: tuple[str, int, float, float]) -> dict[str, Any]:
    """Slices by dialect: name, rows, base and adapted score of each group."""
    ranked = [group for group in groups if group[1] >= 20]
    gap = {"best": ranked[0][0], "worst": ranked[-1][0], "adapted": iv(0.1), "base": iv(0.2), "by_chance": 0.05}
    return {
        "dialect": {
            "groups": {name: {"rows": rows, "speakers": 7, **compared(b, a)} for name, rows, b, a in groups},
            "gap": gap if len(ranked) > 1 else None,
            "not_measured": None if len(ranked) > 1 else "fewer than two groups have 20 rows",
        }
    }


def details(base: float = 0.5, adapted: float = 0.95, **given: Any) -> dict[str, Any]:
    """Details of an NLU version before it is judged."""
    found = {"measures": {"score": compared(base, adapted)}}
    control = {**evaluation(0.9, 0.91, rows=400), "measures": {"score": compared(0.9, 0.91)}}
    return {
        "engine": "nlu",
        "task": "text-classification",
        "version": "0123456789ab",
        "config": {
            "base": "owner/base",
            "licence": "apache-2.0",
            "why": "it is small",
            "lora_rank": 8,
            "lora_alpha": 16,
            "target_modules": ["query"],
            "learning_rate": 1e-3,
            "seed": 0,
            "only": {"label_kind": "intent"},
        },
        "base": "owner/base",
        "base_revision": "c0ffee",
        "base_kind": "as_published",
        "rows": {"train": 80, "validation": 10, "test": 100},
        "refused": {},
        "refused_examples": {},
        "sources": [{"dataset": "owner/news", "revision": "abc", "licence": "cc-by-4.0", "rows": 190}],
        "training": {
            "trainable_parameters": 10,
            "parameters": 1000,
            "rows": 80,
            "replay_rows": 0,
            "steps": 12,
            "best_epoch": 2.0,
            "best_value": 0.9,
            "selected_by": "eval_macro_f1",
        },
        "evaluation": {
            **evaluation(base, adapted),
            "slices": slices(("malabar", 60, base, adapted), ("kochi", 40, base, adapted)),
        },
        **found,
        "control": control,
        "control_note": "400 control rows of the base's own domain",
        "phone": None,
        "phone_note": "nlu reads text: a phone line changes nothing of it",
        **given,
    }
