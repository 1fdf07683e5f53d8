"""Features on disk: the encoded rows of one split in Arrow files, memory-mapped, read a row at a time.

A list of tokens is a flat array with offsets. A Whisper window is stored without its padding: its frames past the end
of the sound are one constant, so the frames up to there and that constant give it back bit for bit.
"""

from __future__ import annotations

import fcntl
import json
import os
from bisect import bisect_right
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from data_foundry.errors import FoundryError
from data_foundry.finetuning.tasks.task import Features

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

INDEX = "index.json"
"""Written last: a folder with it is complete."""
LOCK, MAKING = ".lock", ".making"
PLACE, LENGTH, FILL = "#place", "#length", "#fill"
FORMAT = "features-1"


class FeatureRows(Sequence[Features]):
    """Encoded rows in Arrow files, or a choice of them; item i is a row's features, read from the memory map."""

    def __init__(self, files: Sequence[Path], chosen: Sequence[int] | None = None) -> None:
        import numpy as np

        self._batches = [batch for file in files for batch in _batches(file)]
        ends = np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)
        self._starts = [0, *ends.tolist()]
        self._chosen = np.arange(self._starts[-1]) if chosen is None else np.asarray(chosen, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, place: int) -> Features: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Features | Self:
        if isinstance(place, slice):
            return self.select(range(*place.indices(len(self))))
        row = int(self._chosen[place])
        number = bisect_right(self._starts, row) - 1
        return _features(self._batches[number], row - self._starts[number])

    def select(self, numbers: Sequence[int]) -> Self:
        """Return some of these rows, in that order, as a view."""
        chosen = copy(self)
        chosen._chosen = self._chosen[list(numbers)]
        return chosen

    @property
    def places(self) -> list[int]:
        """The numbers of the rows where they come from: their places in the gold files."""
        return self._column(PLACE)

    @property
    def lengths(self) -> list[int]:
        """What batches of alike rows are made by (see Task.length)."""
        return self._column(LENGTH)

    def _column(self, name: str) -> list[int]:
        import numpy as np

        if not self._batches:
            return []
        return np.concatenate([batch.column(name).to_numpy() for batch in self._batches])[self._chosen].tolist()


class FeatureSet(FeatureRows):
    """The encoded rows in a complete folder, or a choice of them.

    It can be pickled and then reads the same files in another process. While it lives its folder is not removed.
    Raises FoundryError when the folder is not complete or a file's size is not what was written.
    """

    def __init__(self, folder: Path, chosen: Sequence[int] | None = None) -> None:
        self.folder = folder
        try:
            # Before it is read: what is locked is not removed.
            self._lock = FolderLock(folder)
        except FileNotFoundError:
            index = None
        else:
            index = read_index(folder)
        fault = _size_fault(folder, index) if index else "they were not finished"
        if index is None or fault:
            raise FoundryError(
                f"The features in {folder} are not whole: {fault}.", "Run phase 4 again; it makes them again."
            )
        self.details = index
        super().__init__([folder / part["file"] for part in index["parts"]], chosen)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder of features."""
        return cls(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.folder, self._chosen)

    def __copy__(self) -> Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    @property
    def nbytes(self) -> int:
        """Bytes on disk of the whole folder."""
        return sum(part["bytes"] for part in self.details["parts"])

    @property
    def refused(self) -> list[tuple[int, str, str, str]]:
        """Rows of the folder that the base can't take: place, row id, reason, detail."""
        return [(int(place), row_id, reason, detail) for place, row_id, reason, detail in self.details["refused"]]


class FeatureFile:
    """Writes one Arrow file of features, some rows at a time; it gets its name when it is whole and on the disk."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path, self.durable = path, durable
        self._beside = path.with_name(f".{path.name}.{os.getpid()}")
        self._writer: Any = None
        self._sink: Any = None

    def __enter__(self) -> Self:
        return self

    def write(self, places: Sequence[int], rows: Sequence[Features], lengths: Sequence[int]) -> None:
        """Append rows; all of a file's rows hold the same names, and arrays of the same shape."""
        import pyarrow as pa

        batch = _record_batch(places, rows, lengths)
        if self._writer is None:
            self._sink = pa.OSFile(str(self._beside), "wb")
            self._writer = pa.ipc.new_file(self._sink, batch.schema)
        self._writer.write_batch(batch)

    def __exit__(self, kind: object, *rest: object) -> None:
        from data_foundry.lake.durable import fsync

        try:
            if self._writer is not None:
                try:
                    self._writer.close()
                finally:
                    self._sink.close()
                if kind is None:
                    if self.durable:
                        fsync(self._beside)
                    self._beside.replace(self.path)
        finally:
            self._beside.unlink(missing_ok=True)


def read_index(folder: Path) -> dict[str, Any] | None:
    """Return what a complete folder of features holds, None where there is none that can be read."""
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if found.get("format") == FORMAT else None


class FolderLock:
    """Keeps a folder from being removed, or with `alone` from being held by others, until it is let go or collected.

    Who makes a folder's parts holds MAKING alone besides; readers of the old ones are not disturbed. A process that
    ends lets go. With `wait` false `held` tells whether it came about. Raises FileNotFoundError for no such folder.
    """

    def __init__(self, folder: Path, name: str = LOCK, *, alone: bool = False, wait: bool = True) -> None:
        self.held = False
        while not self.held:
            self._handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(self._handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                self.release()
                return
            # Who removed the folder while this one waited removed the lock with it.
            try:
                self.held = os.path.samestat(os.fstat(self._handle), (folder / name).stat())
            except FileNotFoundError:
                self.held = False
            if not self.held:
                self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self.held = -1, False

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self.release()


def _size_fault(folder: Path, index: dict[str, Any]) -> str:
    for part in index["parts"]:
        path = folder / part["file"]
        size = path.stat().st_size if path.is_file() else 0
        if size != part["bytes"]:
            return f"{part['file']} has {size} bytes, not {part['bytes']}"
    return ""


def _batches(path: Path) -> list[pa.RecordBatch]:
    import pyarrow as pa

    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number) for number in range(reader.num_record_batches)]


def _record_batch(places: Sequence[int], rows: Sequence[Features], lengths: Sequence[int]) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    columns: dict[str, pa.Array] = {PLACE: pa.array(places, pa.int64()), LENGTH: pa.array(lengths, pa.int64())}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, first in rows[0].items():
        values = [row[name] for row in rows]
        if isinstance(first, np.ndarray):
            kept = [value[:, : _frames(value)].ravel() for value in values]
            offsets = np.cumsum([0, *(len(value) for value in kept)], dtype=np.int64)
            columns[name] = pa.LargeListArray.from_arrays(offsets, pa.array(np.concatenate(kept)))
            columns[name + FILL] = pa.array(np.stack([value[-1, -1] for value in values]))
            shapes[name] = first.shape
        elif isinstance(first, str):
            columns[name] = pa.array(values, pa.string())
        else:
            columns[name] = pa.array(values, pa.int32() if isinstance(first, int) else pa.list_(pa.int32()))
    return pa.RecordBatch.from_pydict(columns, metadata={"shapes": json.dumps(shapes)})


def _frames(values: np.ndarray) -> int:
    """Return how many leading columns are not the one constant that fills the rest."""
    bits = values.view(f"u{values.itemsize}")
    if not (bits[:, -1] == bits[-1, -1]).all():
        return int(values.shape[1])
    other = (bits != bits[-1, -1]).any(axis=0)
    return int(other.nonzero()[0][-1]) + 1 if other.any() else 0


def _features(batch: pa.RecordBatch, row: int) -> Features:
    import numpy as np

    shapes = json.loads((batch.schema.metadata or {})[b"shapes"])
    found: Features = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in (PLACE, LENGTH) or name.endswith(FILL):
            continue
        value = column[row]
        if name not in shapes:
            found[name] = value.as_py()
            continue
        lines, width = shapes[name]
        kept = value.values.to_numpy(zero_copy_only=True).reshape(lines, -1)
        if kept.shape[1] < width:
            whole = np.full((lines, width), batch.column(name + FILL)[row].as_py(), dtype=kept.dtype)
            whole[:, : kept.shape[1]] = kept
            kept = whole
        found[name] = kept
    return found
