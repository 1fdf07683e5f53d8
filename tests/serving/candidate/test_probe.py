"""A probe that waits no longer leaves nothing behind to be computed."""

from __future__ import annotations

from types import SimpleNamespace

from data_foundry.serving.candidate.probe import probe
from data_foundry.serving.candidate.process import Asked


def test_a_call_whose_answer_a_probe_does_not_wait_for_any_more_is_taken_back() -> None:
    asked = Asked()
    process = SimpleNamespace(wait_ready=lambda seconds: True, submit=lambda version, row: asked)
    assert probe(process, "new", [{"text": "call"}], 0.01) == (False, "it failed call 1 of 1: no answer in 0.01 s")
    assert asked.cancelled()
