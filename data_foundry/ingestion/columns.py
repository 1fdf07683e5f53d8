"""Whole columns measured at once: what is filled, how Malayalam each text is, and a digest of each row's text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_foundry.preprocessing.text import script_counts

# A column of a block: an Arrow array, or a list of Python values where a file has no types.
Column = Any
SPAN_BYTES = 1024 * 1024
# The second byte of a Malayalam character in UTF-8 is this one or the next.
MALAYALAM_LEAD = 0xB4


def strings(column: Column) -> pa.Array:
    """Return a column as Arrow strings; null stays null, and what UTF-8 can't hold becomes a question mark."""
    if isinstance(column, pa.Array):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return column
        if not pa.types.is_nested(column.type) and not pa.types.is_binary(column.type):
            return pc.cast(column, pa.string())
        column = column.to_pylist()
    texts = [None if value is None else value if isinstance(value, str) else str(value) for value in column]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text and text.encode("utf-8", "replace").decode("utf-8") for text in texts], pa.string())


def trimmed(column: Column) -> pa.Array:
    """Return a column as Arrow strings without white space at their ends; null becomes an empty string."""
    return pc.utf8_trim_whitespace(pc.fill_null(strings(column), ""))


def lengths(column: pa.Array) -> np.ndarray:
    """Return the length in bytes of each string of a column without nulls."""
    return pc.binary_length(column).to_numpy(zero_copy_only=False)


def values_of(column: Column) -> list[Any]:
    """Return the cells of a column as Python values."""
    return column if isinstance(column, list) else column.to_pylist()


def filled(column: Column) -> np.ndarray:
    """Return which cells hold something: neither null, nor blank, nor an empty list."""
    if isinstance(column, pa.Array):
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return lengths(trimmed(column)) > 0
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False) > 0
        return column.is_valid().to_numpy(zero_copy_only=False)
    return np.fromiter((not is_empty(value) for value in column), dtype=bool, count=len(column))


def is_empty(value: Any) -> bool:
    """Tell whether a cell is null, blank, or an empty list or object."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, list | dict) and not value)


def digests(columns: Sequence[pa.Array]) -> np.ndarray:
    """Return a 64-bit digest per row of what trimmed columns hold together; 0 where all of them are empty."""
    joined = columns[0]
    if len(columns) > 1:
        joined = pc.binary_join_element_wise(*columns, "\x1f")
    offsets, data = _buffers(joined)
    view, bounds = memoryview(data.data), offsets.tolist()
    blake2b, whole = hashlib.blake2b, int.from_bytes
    values = [whole(blake2b(view[start:end], digest_size=8).digest(), "little") for start, end in pairwise(bounds)]
    result = np.array(values, dtype=np.uint64)
    result[np.logical_and.reduce([lengths(column) == 0 for column in columns])] = 0
    return result


def malayalam_ratios(column: pa.Array) -> np.ndarray:
    """Return `preprocessing.text.malayalam_ratio` of every string of a column without nulls.

    Counted on the bytes of many rows at once; rows with a character, or an address or markup, that the definition
    treats specially are counted one by one.
    """
    malayalam = np.zeros(len(column), dtype=np.int64)
    other = np.zeros(len(column), dtype=np.int64)
    offsets, data = _buffers(column)
    for first, last in _spans(offsets):
        bounds = offsets[first : last + 1] - offsets[first]
        ours, letters, special = _found(data[offsets[first] : offsets[last]])
        malayalam[first:last] = _per_row(ours, bounds)
        other[first:last] = _per_row(letters, bounds)
        for index in (first + np.flatnonzero(_per_row(special, bounds))).tolist():
            malayalam[index], other[index] = script_counts(column[index].as_py())
    total = malayalam + other
    return np.divide(malayalam, total, out=np.zeros(len(column)), where=total > 0)


def _per_row(places: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return how many of the sorted places lie in each row, which goes from one bound to the next."""
    return np.diff(np.searchsorted(places, bounds))


def _found(span: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where a Malayalam letter or mark begins, where a Latin letter is, and what needs a closer look."""
    size = len(span)
    data = np.concatenate([span, np.zeros(3, dtype=np.uint8)])
    here, second, third = data[:size], data[1 : size + 1], data[2 : size + 2]
    in_block = (here == 0xE0) & ((second & 0xFE) == MALAYALAM_LEAD)
    at = np.flatnonzero(in_block)
    code = ((second[at] & 1) << 6) | (third[at] & 0x3F)
    # General punctuation (U+2000 to U+203F) is of no script; any other character beyond the block may be.
    special = (here >= 0xC2) & ~in_block & ~((here == 0xE2) & (second == 0x80))
    special |= (here == ord("@")) | (here == ord("<"))
    dots = np.flatnonzero((here == ord(".")) | ((here == ord(":")) & (second == ord("/"))))
    if dots.size:
        before, twice = data[dots - 1] | 0x20, data[dots - 2] | 0x20
        special[dots] |= (here[dots] == ord(":")) | ((before == ord("w")) & (twice == ord("w")))
    # E or EE and a following AA or AU length mark are one character after NFC.
    pairs = np.flatnonzero(((code[:-1] == 0x46) | (code[:-1] == 0x47)) & ((code[1:] == 0x3E) | (code[1:] == 0x57)))
    special[at[pairs]] = True
    return at[_malayalam_table()[code]], np.flatnonzero(_LATIN[here]), np.flatnonzero(special)


_LATIN = np.zeros(256, dtype=bool)
_LATIN[[*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]] = True


@cache
def _malayalam_table() -> np.ndarray:
    return np.array([script_counts(chr(point))[0] for point in range(0x0D00, 0x0D80)], dtype=bool)


def _spans(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (first, last) ranges of rows whose bytes are few enough to be counted at once; one row at least."""
    first, rows = 0, len(offsets) - 1
    while first < rows:
        last = int(np.searchsorted(offsets, offsets[first] + SPAN_BYTES, side="right")) - 1
        last = min(max(last, first + 1), rows)
        yield first, last
        first = last


def _buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return (offsets, bytes) of a string array, the offsets counted from the first byte of `bytes`."""
    wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    _, offsets, data = column.buffers()
    if not len(column) or offsets is None:
        return np.zeros(len(column) + 1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    bounds = np.frombuffer(offsets, dtype=np.int64 if wide else np.int32)
    bounds = bounds[column.offset : column.offset + len(column) + 1].astype(np.int64)
    held = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    return bounds - bounds[0], held[bounds[0] : bounds[-1]]
