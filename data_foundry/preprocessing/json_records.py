"""The objects of JSON files: one value a line, or one array; what can't be read costs its own row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from data_foundry.errors import FoundryError
from data_foundry.preprocessing.delimited import MAX_LINE, read_line, too_long
from data_foundry.records import Rejected

BLOCK = 1 << 20
"""Characters of a JSON array that are read at once."""
MAX_DEPTH = 100
"""Lists and objects that may stand in each other; what holds more of them is no row of any table."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_BRACKET = re.compile(r'"(?:[^"\\]+|\\.)*"?|[\[\]{}]', re.DOTALL)


def encodable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a JSON value with U+FFFD for each lone surrogate, which JSON may write and UTF-8 can't.

    Raises Rejected(malformed_row) for one that is nested deeper than MAX_DEPTH.
    """
    if isinstance(value, str):
        return value if value.isascii() or not _SURROGATE.search(value) else _SURROGATE.sub("\ufffd", value)
    if not isinstance(value, list | dict):
        return value
    if not depth:
        raise Rejected("malformed_row", f"its values are nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [encodable(item, depth - 1) for item in value]
    return {encodable(name): encodable(item, depth - 1) for name, item in value.items()}


def json_records(path: str, local: Path) -> Iterator[Mapping[str, Any] | Rejected]:
    """Yield the objects of a file with one JSON value a line, or of a file that is one array."""
    with local.open(encoding="utf-8-sig", errors="replace") as file:
        if _first_character(file) == "[":
            yield from _array_records(path, file)
            return
        for number, line in enumerate(iter(lambda: read_line(file), ""), start=1):
            if line is None:
                yield Rejected("malformed_row", f"{path} line {number} is {too_long()}")
                continue
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Rejected("malformed_row", f"{path} line {number} is not JSON: {error}")
                continue
            yield record if isinstance(record, dict) else Rejected("malformed_row", f"{path} line {number}: no object")


def _first_character(file: TextIO) -> str:
    """Return the first character of a file that is no blank, and go back to the start."""
    while (character := file.read(1)).isspace():
        pass
    file.seek(0)
    return character


def _array_records(path: str, file: TextIO) -> Iterator[Mapping[str, Any] | Rejected]:
    for number, value in enumerate(_array_items(path, file)):
        if isinstance(value, Rejected):
            yield Rejected(value.reason, f"{path} item {number}: {value.detail}")
        else:
            yield value if isinstance(value, dict) else Rejected("malformed_row", f"{path} item {number}: no object")


def _array_items(path: str, file: TextIO) -> Iterator[Any]:
    """Yield the items of a JSON array, of which memory holds one and a block, Rejected for one that Python can't hold.

    Raises FoundryError where it is no array.
    """
    decode = json.JSONDecoder().raw_decode
    while file.read(1) != "[":
        pass
    text, place, ended = "", 0, False
    while True:
        place += _blanks(text, place)
        if text[place : place + 1] == "]":
            return
        fault: Exception | str = "it does not end"
        try:
            value, end = _item(decode, text, place)
            end += _blanks(text, end)
            follows = text[end : end + 1]
            if follows in (",", "]"):
                yield value
                place = end + (follows == ",")
                continue
            if follows:
                ended, fault = True, f"an item is followed by {follows!r}"
        except (ValueError, RecursionError) as error:
            fault = error
        if ended or len(text) - place > MAX_LINE:
            raise FoundryError(f"{path} can't be read as a JSON array: {fault}.", "Ingest the dataset again.") from None
        block = file.read(BLOCK)
        text, place, ended = text[place:] + block, 0, not block


def _item(decode: Any, text: str, place: int) -> tuple[Any, int]:
    """Return the JSON value at a place and where it ends. Raises ValueError or RecursionError where no end is found."""
    try:
        value, end = decode(text, place)
        return value, end
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or too many brackets: its end is found by counting them.
        depth = 0
        for found in _BRACKET.finditer(text, place) if text[place : place + 1] in ("[", "{") else ():
            depth += (found[0] in "[{") - (found[0] in "]}")
            if not depth:
                return Rejected("malformed_row", str(error)), found.end()
        raise


def _blanks(text: str, place: int) -> int:
    """Return how many blanks stand at a place of a JSON text."""
    start = place
    while text[place : place + 1] in (" ", "\n", "\r", "\t"):
        place += 1
    return place - start
