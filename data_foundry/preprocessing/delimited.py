"""The rows of CSV and TSV files, line by line: a stray quote costs its own row, not those after it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TextIO

MAX_LINE = 16 << 20
MAX_QUOTED_LINES = 256
"""Lines that one quoted row may span; a quote that is closed later than that is taken for a stray one."""

_PASSED_OVER = 1 << 20


def read_line(file: TextIO) -> str | None:
    """Return the next line, "" after the last, and None for one of MAX_LINE characters and more: it is passed over."""
    line = file.readline(MAX_LINE)
    if len(line) < MAX_LINE or line.endswith(("\n", "\r")):
        return line
    while (rest := file.readline(_PASSED_OVER)) and not rest.endswith(("\n", "\r")):
        pass
    return None


def too_long() -> str:
    """Say what is wrong with a line for which `read_line` gives None."""
    return f"longer than {MAX_LINE >> 20} MiB"


def delimited_cells(
    file: TextIO, delimiter: str, quoted: bool, is_row: Callable[[list[str]], bool] = lambda cells: False
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (line number, cells) for every row of a file, or what is wrong with it instead of the cells.

    A quote that opens a cell and is not closed as one would swallow the rows after it: its line alone is wrong, and the
    lines after it are read for themselves. So it is where a later stray quote closes it, if the first line of such a
    row is a row by itself: `is_row` tells that of its cells, quotes stripped.
    """
    csv.field_size_limit(MAX_LINE)
    lines = _Lines(file)
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    while lines.more():
        number = lines.number + 1
        try:
            cells = next(reader)
        except _TooLong:
            if len(lines.taken) == 1:
                yield number, too_long()
                continue
            swallowed = True
        except csv.Error as error:
            if len(lines.taken) == 1 and "end of data" not in str(error):
                # Text after a closing quote, within one line: read as other readers do, which lose nothing of it.
                yield number, next(csv.reader(lines.taken, delimiter=delimiter, quoting=quoting))
                continue
            swallowed = True
        else:
            swallowed = len(lines.taken) > 1 and is_row(_unquoted(lines.taken[0], delimiter))
        if swallowed:
            count = len(lines.taken) - 1
            lines.give_back()
            yield number, f"a quote is opened and not closed as one: it would swallow {count} more lines"
        else:
            yield number, cells


def _unquoted(line: str, delimiter: str) -> list[str]:
    return [cell.strip('" \r\n') for cell in line.split(delimiter)]


class _TooLong(Exception):
    """The line that a CSV reader asks for is longer than a line may be."""


class _Lines:
    """The lines of a file for a CSV reader: at most so many for a row, which can then be given back but for the first.

    `number` counts the lines that were read and not given back; `taken` are those of the row at work. One that is too
    long is not kept: an empty string stands for it in `taken`, and None ahead.
    """

    def __init__(self, file: TextIO) -> None:
        self.number = 0
        self.taken: list[str] = []
        self._file = file
        self._ahead: deque[str | None] = deque()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MAX_QUOTED_LINES or not self._peek():
            raise StopIteration
        if self._ahead[0] is None and self.taken:
            # It is a row of its own, once those before it are given back.
            raise _TooLong
        line = self._ahead.popleft()
        self.taken.append(line or "")
        self.number += 1
        if line is None:
            raise _TooLong
        return line

    def more(self) -> bool:
        """Return whether there is another row, which begins with the next line."""
        self.taken = []
        return self._peek()

    def give_back(self) -> None:
        """Let the lines of the row but the first be read again."""
        self._ahead.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1

    def _peek(self) -> bool:
        if not self._ahead and (line := read_line(self._file)) != "":
            self._ahead.append(line)
        return bool(self._ahead)
