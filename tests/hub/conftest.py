"""The fixtures of ingestion's tests serve here, too."""

from tests.ingestion.conftest import from_loopback, hermetic, hub, waits

__all__ = ["from_loopback", "hermetic", "hub", "waits"]
