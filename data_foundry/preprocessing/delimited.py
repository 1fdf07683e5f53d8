"""The rows of CSV and TSV files, line by line: a stray quote costs its own row, not those after it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import Any, TextIO

MAX_LINE = 16 << 20
MAX_QUOTED_LINES = 256
"""Lines that one quoted row may span; a quote that is closed later than that is taken for a stray one."""


def delimited_cells(file: TextIO, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (line number, cells) for every row of a file, or what is wrong with it instead of the cells.

    A quote that opens a cell and is not closed as one would swallow the rows after it: its line alone is wrong, and the
    lines after it are read for themselves.
    """
    csv.field_size_limit(MAX_LINE)
    lines = _Lines(file)
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    while lines.more():
        number = lines.number + 1
        try:
            yield number, next(reader)
        except csv.Error as error:
            taken = lines.taken
            if len(taken[0]) >= MAX_LINE:
                yield number, f"longer than {MAX_LINE >> 20} MiB; not read on"
                return
            if len(taken) == 1 and "end of data" not in str(error):
                # Text after a closing quote, within one line: read as other readers do, which lose nothing of it.
                yield number, next(csv.reader(taken, delimiter=delimiter, quoting=quoting))
                continue
            lines.give_back()
            yield number, f"a quote is opened and not closed as one: it would swallow {len(taken) - 1} more lines"


class _Lines:
    """The lines of a file for a CSV reader: at most so many for a row, which can then be given back but for the first.

    `number` counts the lines that were read and not given back; `taken` are those of the row at work.
    """

    def __init__(self, file: TextIO) -> None:
        self.number = 0
        self.taken: list[str] = []
        self._file = file
        self._ahead: deque[str] = deque()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MAX_QUOTED_LINES or not self._peek():
            raise StopIteration
        self.taken.append(self._ahead.popleft())
        self.number += 1
        return self.taken[-1]

    def more(self) -> bool:
        """Return whether there is another row, which begins with the next line."""
        self.taken = []
        return self._peek()

    def give_back(self) -> None:
        """Let the lines of the row but the first be read again."""
        self._ahead.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1

    def _peek(self) -> bool:
        if not self._ahead and (line := self._file.readline(MAX_LINE)):
            self._ahead.append(line)
        return bool(self._ahead)
