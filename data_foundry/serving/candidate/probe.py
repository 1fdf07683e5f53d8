"""Whether a version answers at all: a few calls put to it before it enters a stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as Late

from data_foundry.serving.calls import Row
from data_foundry.serving.candidate.process import CandidateProcess
from data_foundry.serving.candidate.said import CandidateFailed


def probe(process: CandidateProcess, version: str, rows: Sequence[Row], timeout_seconds: float) -> tuple[bool, str]:
    """Put rows to a version, one after the other, and return whether it answered all of them in time, and why not."""
    until = time.monotonic() + timeout_seconds
    if not rows:
        return False, "there is no call to probe it with"
    if not process.wait_ready(timeout_seconds):
        failure = process.failure
        return False, f"it is not loaded: {failure.reason if failure else process.state()['reason']}"
    for number, row in enumerate(rows, 1):
        asked = process.submit(version, row)
        try:
            asked.result(until - time.monotonic())
        except (CandidateFailed, Late) as failed:
            asked.cancel()
            why = str(failed) if isinstance(failed, CandidateFailed) else f"no answer in {timeout_seconds:g} s"
            return False, f"it failed call {number} of {len(rows)}: {why}"
    return True, f"it answered {len(rows)} of {len(rows)} calls"
