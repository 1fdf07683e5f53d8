"""What a candidate's process says of a call, believed only after it was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_foundry.serving.calls import InvalidAnswer
from data_foundry.training_config import Task

MAX_CHARACTERS = 100_000
MAX_FAILURE_CHARACTERS = 60
MAX_LAYERS, MAX_FRAMES = 64, 20_000
MAX_CLASSES = 1_000
MAX_NUMBER = 1e15
LABELLED = ("text-classification", "audio-classification")
ROUNDING = 1e-6
"""By so much a sum of probabilities may exceed 1."""

OUT_OF_MEMORY = "out_of_memory"
NOT_ITS_FAULT = frozenset({"not_ready", "queue_full", "closed", "lost"})
"""Failures that say nothing of the version that was asked."""
SPREADING = frozenset({"MemoryError", "OutOfMemoryError", "NotEnoughMemory", "AcceleratorError"})
"""Errors that a version may meet because of another one in its process: memory that ran out, a graphics card that the
other one's fault left unusable."""
UNNAMED = frozenset({"RuntimeError", "OSError"})
"""What libraries raise, too, where memory runs out. Where memory is `scarce` it counts as SPREADING; else, as any other
error, it is that of the version that raised it."""


@dataclass(frozen=True)
class Said:
    """One version's answer; `milliseconds` of its model's work, without the time that it waited for a processor."""

    output: str | list[list[int]]
    confidence: float | None
    milliseconds: float
    classes: Mapping[str, float] = field(default_factory=dict)


class CandidateFailed(Exception):
    """A version did not answer a call. Holds nothing of what a caller said.

    `kind` is "timed_out", "died", "out_of_memory", "not_loaded", "InvalidAnswer" or the type of an exception; `dropped`
    is true where the version was not to blame: "not_ready", "queue_full", "closed", or "lost" by a fault of the
    gateway's own. `where` is a line of code, if any. `scarce`: the process had taken much memory by then. `doubtful`:
    another version was heard in that process before, and may be to blame.
    """

    def __init__(self, kind: str, where: str = "", *, scarce: bool = False, doubtful: bool = False) -> None:
        super().__init__(f"{kind} at {where}" if where else kind)
        self.kind, self.where, self.scarce, self.doubtful = kind, where, scarce, doubtful

    @property
    def spreading(self) -> bool:
        """Whether another version in the process can have caused this error."""
        return self.kind in SPREADING or (self.scarce and self.kind in UNNAMED)

    @property
    def dropped(self) -> bool:
        """Whether the call counts for neither version."""
        return self.kind in NOT_ITS_FAULT


def said_in(message: Mapping[str, Any], task: Task, labels: Sequence[str] = ()) -> Said:
    """Return the answer in a message. Raises CandidateFailed for an error in it, InvalidAnswer for no answer."""
    if "error" in message:
        kind, where = message["error"], message.get("where", "")
        named = isinstance(kind, str) and kind.isidentifier() and len(kind) <= MAX_FAILURE_CHARACTERS
        told = isinstance(where, str) and len(where) <= 2 * MAX_FAILURE_CHARACTERS
        scarce = message.get("scarce") is True
        raise CandidateFailed(kind if named else InvalidAnswer.__name__, where if told else "", scarce=scarce)
    if not _is_output(message.get("output"), task):
        raise InvalidAnswer("not what this task answers")
    output, milliseconds = message["output"], message.get("milliseconds")
    classes = message.get("classes")
    if not isinstance(classes, Mapping) or len(classes) > MAX_CLASSES:
        raise InvalidAnswer("no classes")
    if task in LABELLED and any(known and output not in known for known in (labels, classes)):
        raise InvalidAnswer("not a label that the model knows")
    confidence = message.get("confidence")
    return Said(
        output,
        None if confidence is None else _share(confidence),
        _number(milliseconds),
        {name: _share(share) for name, share in classes.items()},
    )


def _number(value: Any) -> float:
    # An integer may be too great for any float.
    if type(value) not in (int, float) or not 0 <= value <= MAX_NUMBER:
        raise InvalidAnswer("not a finite number")
    return float(value)


def _share(value: Any) -> float:
    if _number(value) > 1 + ROUNDING:
        raise InvalidAnswer("no share")
    return min(value, 1.0)


def _is_output(value: Any, task: Task) -> bool:
    if task == "text-to-codes":
        return _are_codes(value)
    return _is_text(value) and bool(value or task not in LABELLED)


def _is_text(value: Any) -> bool:
    """Half a surrogate pair passes as JSON, but no text can hold it that is to be sent on."""
    return isinstance(value, str) and len(value) <= MAX_CHARACTERS and not any("\ud800" <= c <= "\udfff" for c in value)


def _are_codes(value: Any) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_LAYERS:
        return False
    if not all(isinstance(layer, list) and len(layer) <= MAX_FRAMES for layer in value):
        return False
    if len({len(layer) for layer in value}) != 1:
        return False
    return all(type(code) is int and 0 <= code <= MAX_NUMBER for layer in value for code in layer)
