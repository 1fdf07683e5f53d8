"""The lines of a text file, one in memory, and what is wrong in its bytes: encoding, NUL, lone CR, endless lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_foundry.ingestion.findings import Findings

LONGEST_LINE = 4 * 1024 * 1024
_READ = 1024 * 1024
# UTF-32 first: its mark begins with that of UTF-16.
_WIDE_MARKS = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
_AFTER_LONE_CR = re.compile(r"(?<=\r)(?!\n)")


def text_lines(path: str, local: Path, findings: Findings) -> Iterator[str]:
    """Yield the decoded lines of a file with their ends; LF, CR LF and a lone CR end a line.

    Reading stops at a line longer than `LONGEST_LINE` bytes, which no row of a dataset is.
    """
    with local.open("rb", buffering=_READ) as file:
        number = 0
        while raw := file.readline(LONGEST_LINE):
            number += 1
            where = f"{path} line {number}"
            if number == 1:
                raw = _without_mark(raw, path, findings)
            if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
                text = f"Lines are longer than {LONGEST_LINE} bytes; the rest of the file was not read."
                findings.add("endless_line", "error", text, where)
                return
            if b"\0" in raw:
                findings.add("nul_byte", "warning", "Lines hold NUL bytes.", where)
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError:
                findings.add("bad_encoding", "warning", "Lines hold bytes that are not UTF-8.", where)
                line = raw.decode("utf-8", "replace")
            if b"\r" not in raw or "\r" not in line.rstrip("\r\n"):
                yield line
                continue
            text = "Lines hold a lone carriage return, which cuts a row in two."
            findings.add("lone_cr", "warning", text, where)
            yield from (part for part in _AFTER_LONE_CR.split(line) if part)


def _without_mark(raw: bytes, path: str, findings: Findings) -> bytes:
    name = next((name for name, marks in _WIDE_MARKS.items() if raw.startswith(marks)), None)
    if name is not None:
        findings.add("wrong_encoding", "error", f"The file is in {name}, not UTF-8: its rows can't be read.", path)
    if raw.startswith(codecs.BOM_UTF8):
        text = "The file begins with a byte order mark: a reader that keeps it renames the first column."
        findings.add("byte_order_mark", "info", text, path)
        return raw.removeprefix(codecs.BOM_UTF8)
    return raw


def is_json_array(local: Path) -> bool:
    """Tell whether a file begins like one JSON array instead of with an object on each line."""
    with local.open("rb") as file:
        return file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["


def array_elements(path: str, local: Path, findings: Findings) -> Iterator[tuple[Any, int]]:
    """Yield the elements of a file that is one JSON array with their lengths in characters, holding one at a time.

    Where the array breaks off, a finding says so and None stands for the broken element.
    """
    decoder, text, at, ended = json.JSONDecoder(), "", 0, False
    with local.open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(_READ)
        at = text.index("[") + 1
        while True:
            at = _past_blanks(text, at)
            if at < len(text):
                if text[at] == "]":
                    return
                try:
                    element, end = decoder.raw_decode(text, at)
                except (ValueError, RecursionError):
                    end = -1
                # A number may go on in the next block; an object or a string that ends does end.
                if end > 0 and (end < len(text) or ended):
                    yield element, end - at
                    at = end
                    continue
            if ended or len(text) - at > LONGEST_LINE:
                what = "The JSON array breaks off" if ended else f"Elements are longer than {LONGEST_LINE} characters"
                findings.add("broken_line", "warning", f"{what}; the rest of the file was not read.", path)
                yield None, 0
                return
            more = file.read(_READ)
            ended = not more
            text, at = text[at:] + more, 0


def _past_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at
