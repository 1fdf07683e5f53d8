"""A mistake in a value that a person wrote, in the person's words instead of the validator's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KINDS = {
    "extra_forbidden": "unknown key",
    "missing": "it is missing",
    **dict.fromkeys(("byte_size", "byte_size_unit"), "it must be a size, such as 500MB (decimal) or 1.5GiB (binary)"),
    **dict.fromkeys(("int_parsing", "int_from_float", "int_type"), "it must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "it must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "it must be true or false"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "it must hold keys: { ... }"),
    "tuple_type": "it must be a list: [ ... ]",
    "string_type": "it must be text",
    "path_type": "it must be a path",
}


def in_words(mistake: Mapping[str, Any]) -> str:
    """Say of one of a ValidationError's errors what the value must be."""
    said = str(mistake["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    return _KINDS.get(mistake["type"], said)
