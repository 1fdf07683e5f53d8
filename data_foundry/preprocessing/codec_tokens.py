"""Codec tokens: what makes the layers of one utterance fit each other and the codec that is said to have made them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from data_foundry.dataset_entry import Codec
from data_foundry.records import Rejected, Seconds


def check_codes(layers: Sequence[Sequence[int] | None], encoded_len: Any, codec: Codec) -> Seconds:
    """Return the duration of an utterance's tokens, one list per layer: frames over the codec's frames a second.

    Raises Rejected: codec_empty, codec_layers (another number of layers than the codec has), codec_unequal_layers,
    codec_length (not the length the row states, or a length that is no count), codec_out_of_range (a code outside the
    codebook), codec_not_integer (a fraction, a truth value, a missing code or a text where a code should be).
    """
    present = [layer for layer in layers if layer is not None]
    if not present or any(_is_list(layer) and not len(layer) for layer in present):
        raise Rejected("codec_empty", "a layer has no codes")
    if not len(present) == len(layers) == codec.layers:
        raise Rejected("codec_layers", f"{len(present)} layers, {codec.name} has {codec.layers}")
    for number, layer in enumerate(layers, start=1):
        if not _is_list(layer):
            raise Rejected("codec_not_integer", f"layer {number} is a {type(layer).__name__}, not a list of codes")
    lengths = [len(layer) for layer in layers if layer is not None]
    if len(set(lengths)) > 1:
        raise Rejected("codec_unequal_layers", f"layers of {', '.join(map(str, lengths))} codes")
    stated = _stated_length(encoded_len)
    if stated is not None and stated != lengths[0]:
        raise Rejected("codec_length", f"{lengths[0]} codes a layer, the row says {encoded_len}")
    for number, layer in enumerate(layers, start=1):
        _check_layer(number, layer, codec)
    return lengths[0] / codec.frames_per_second


def _check_layer(number: int, layer: Any, codec: Codec) -> None:
    # The usual layer holds plain integers within range, which C can tell. Only another one is looked at code by code.
    if set(map(type, layer)) == {int} and min(layer) >= 0 and max(layer) < codec.codebook_size:
        return
    for code in layer:
        if not _is_integer(code):
            raise Rejected("codec_not_integer", f"code {code!r} in layer {number}")
        if not 0 <= code < codec.codebook_size:
            raise Rejected("codec_out_of_range", f"code {code} in layer {number}, allowed 0..{codec.codebook_size - 1}")


def _is_list(layer: Any) -> bool:
    return hasattr(layer, "__len__") and hasattr(layer, "__getitem__") and not isinstance(layer, str | bytes | dict)


def _is_integer(code: Any) -> bool:
    """Return whether a code is an integer of Python or NumPy; True is no code, and 7.0 is a sign of damage."""
    return hasattr(code, "__index__") and not isinstance(code, bool)


def _stated_length(encoded_len: Any) -> int | None:
    """Return the length a row states, None where it states none. 50, 50.0 and "50" are the same. Raises Rejected."""
    if encoded_len is None or encoded_len == "":
        return None
    try:
        length = float(encoded_len)
    except (TypeError, ValueError):
        raise Rejected("codec_length", f"the row's length {encoded_len!r} is no number") from None
    if math.isnan(length):
        return None
    if not length.is_integer() or length < 0:
        raise Rejected("codec_length", f"the row's length {encoded_len!r} is no count")
    return int(length)
