"""The one exception that is meant for users."""

from __future__ import annotations


class FoundryError(Exception):
    """What is wrong, and the way out.

    `message` states the fact with the offending value; `hint` says what to do next.
    The command line prints both without a traceback.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.hint}" if self.hint else self.message
