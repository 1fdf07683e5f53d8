"""Names of adapters: that of their engine ("stt"), or that of a variant of it ("stt.malabar")."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from data_foundry.errors import FoundryError
from data_foundry.records import AIEngine

# A name is a folder's name too, on file systems that don't tell capitals apart, and a part of a command.
VARIANT = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")


def engine_of(name: str) -> AIEngine:
    """Return the engine whose gold an adapter is trained on. Raises FoundryError for what can't be an adapter's name.

    >>> engine_of("stt.malabar")
    <AIEngine.STT: 'stt'>
    """
    try:
        return AIEngine(_checked(name).partition(".")[0])
    except ValueError as error:
        raise FoundryError(f"{name!r} names no adapter: {error}.", f"Engines: {', '.join(AIEngine)}.") from None


def is_adapter(name: str) -> bool:
    """Return whether a name can be an adapter's: a registry may hold those of another release."""
    try:
        return bool(_checked(name))
    except ValueError:
        return False


def is_of(name: str, wished: str) -> bool:
    """Return whether an adapter is the one that is wished for, or a variant of the engine that is."""
    return name == wished or name.startswith(f"{wished}.")


def _checked(name: str) -> str:
    engine, dot, variant = name.partition(".")
    if engine not in set(AIEngine):
        raise ValueError(f"there is no engine {engine!r}")
    if dot and not VARIANT.fullmatch(variant):
        raise ValueError(f"the variant {variant!r} is not 1 to 32 small letters, digits and underscores")
    return name


def _variant_name(name: str) -> str:
    if "." not in _checked(name):
        raise ValueError(f"{name!r} is an engine; a variant is {name}.<name>, such as {name}.malabar")
    return name


AdapterName = Annotated[str, AfterValidator(_checked)]
VariantName = Annotated[str, AfterValidator(_variant_name)]
