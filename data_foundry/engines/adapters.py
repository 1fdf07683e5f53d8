"""The adapters that can be trained: one for each engine, and one for each variant of it, all from the engine's gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from data_foundry.adapter_name import engine_of, is_of
from data_foundry.engines import ENGINES
from data_foundry.engines.spec import EngineSpec, Task, Variant
from data_foundry.errors import FoundryError
from data_foundry.mistakes import in_words
from data_foundry.training_config import Training, given, laid_over, training_config


def adapters(training: Training) -> dict[str, EngineSpec]:
    """Return the contract of every adapter by its name, each engine before its variants; `training` is as resolved.

    A variant is trained as its engine is, with what the product and the settings say of the variant laid over that.
    Raises FoundryError for a variant whose configuration is not complete.
    """
    found = {}
    for engine, spec in ENGINES.items():
        own = replace(spec, training=training_config(training, engine, spec.training))
        found[own.name] = own
        settled = [name.partition(".")[2] for name in training.variants if engine_of(name) is engine]
        for variant in dict.fromkeys([*spec.variants, *settled]):
            adapter = _variant(training, own, variant)
            if adapter is not None:
                found[adapter.name] = adapter
    return found


def spec_of(name: str, task: Task | None = None) -> EngineSpec:
    """Return the contract under which an adapter predicts, of settings that may have changed since it was trained.

    `task` is what its manifest says; without it, what the engine or its own variants do. Its `training` is the
    engine's. Raises FoundryError for what can't be an adapter's name.
    """
    spec, variant = ENGINES[engine_of(name)], name.partition(".")[2]
    known = spec.variants.get(variant)
    return replace(
        spec,
        variant=variant,
        variants={},
        title=_title(spec, variant, known),
        task=task or (known and known.task) or spec.task,
    )


def selected(training: Training, wished: Sequence[str]) -> dict[str, EngineSpec]:
    """Return the adapters that are wished for, an engine's name standing for its variants too; all where none are.

    Raises FoundryError for a variant that there is not.
    """
    every = adapters(training)
    for name in wished:
        if name not in every:
            own = [each for each in every if is_of(each, engine_of(name))]
            raise FoundryError(
                f"Unknown adapter: {name}.", f"Of this engine: {', '.join(own)}; others are named in training.variants."
            )
    return {name: spec for name, spec in every.items() if not wished or any(is_of(name, each) for each in wished)}


def _variant(training: Training, own: EngineSpec, variant: str) -> EngineSpec | None:
    """Return the contract of a variant of an engine as the settings resolve it; None where they switch it off."""
    name, known = f"{own.engine}.{variant}", own.variants.get(variant)
    values = given(training.variants.get(name))
    if not values.pop("enabled", True):
        return None
    task = values.pop("task", None) or (known and known.task) or own.task
    under: dict[str, Any] = own.training.model_dump() if task == own.task else {}
    try:
        if known is not None and known.task in (None, task):
            under = laid_over(under, known.training).model_dump()
        config = laid_over(under, values)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, each['loc']))}: {in_words(each)}" for each in error.errors())
        raise FoundryError(
            f"training.variants.{name} can't be trained: {mistakes}.",
            f"With a task of its own ({task}) it takes nothing from {own.engine}: give it a base, too.",
        ) from None
    return replace(own, variant=variant, variants={}, title=_title(own, variant, known), task=task, training=config)


def _title(spec: EngineSpec, variant: str, known: Variant | None) -> str:
    return known.title if known else f"{spec.title} ({variant})" if variant else spec.title
