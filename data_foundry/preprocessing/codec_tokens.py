"""Codec tokens: what makes the layers of one utterance fit each other and the codec that is said to have made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_foundry.dataset_entry import Codec
from data_foundry.records import Rejected, Seconds


def check_codes(layers: Sequence[Sequence[int] | None], encoded_len: Any, codec: Codec) -> Seconds:
    """Return the duration of an utterance's tokens, one list per layer.

    Raises Rejected: codec_empty, codec_layers (another number of layers than the codec has), codec_unequal_layers,
    codec_length (not the length the row states), codec_out_of_range (a code outside the codebook).
    """
    if not layers or any(not layer for layer in layers):
        raise Rejected("codec_empty", "a layer has no codes")
    if len(layers) != codec.layers:
        raise Rejected("codec_layers", f"{len(layers)} layers, {codec.name} has {codec.layers}")
    lengths = [len(layer or ()) for layer in layers]
    if len(set(lengths)) > 1:
        raise Rejected("codec_unequal_layers", f"layers of {', '.join(map(str, lengths))} codes")
    if encoded_len is not None and encoded_len != lengths[0]:
        raise Rejected("codec_length", f"{lengths[0]} codes a layer, the row says {encoded_len}")
    for number, layer in enumerate(layers, start=1):
        for code in layer or ():
            if code is None or not 0 <= code < codec.codebook_size:
                raise Rejected(
                    "codec_out_of_range", f"code {code} in layer {number}, allowed 0..{codec.codebook_size - 1}"
                )
    return lengths[0] / codec.frames_per_second
