"""A gateway for tests of what replays calls: it speaks the real one's HTTP and keeps its trial store, in this process.

Both versions are functions of the call's id, and every time it tells is made up and the same in every run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Registry
from data_foundry.lake import Lake
from data_foundry.serving.agreement import disagreement_of, loss_of
from data_foundry.serving.candidate.selection import is_chosen
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Losses, Pair, Side, Trial

Says = Callable[[str], Any]
"""What a version answers to a call, by its id; it may raise."""


@dataclass
class ReplayedGateway:
    """Answers with `incumbent`, lets `candidate` hear the chosen calls, and turns away what `refuses` names."""

    trial: Trial
    task: Any
    store: TrialStore
    share: float
    incumbent: Says
    candidate: Says
    refuses: Callable[[str], str | None] = lambda call_id: None
    busy: int = 0
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    outputs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=lambda: {"calls": 0, "chosen": 0, "answered": 0})
    errors: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.handle), base_url="http://gateway")

    def state(self) -> dict[str, Any]:
        mirrored = self.counts["answered"] + self.errors.total()
        counts = {**self.counts, "mirrored": mirrored, "timed_out": 0, "errors": dict(self.errors), "dropped": {}}
        trial = {"trial": self.trial.id, **counts, "waiting": 0, "examples": self.examples}
        return {"adapters": {self.trial.adapter: {"trials": [trial]}}}

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/feedback":
            return self._feedback(json.loads(request.content))
        if self.busy:
            self.busy -= 1
            return httpx.Response(429, headers={"retry-after": "0"}, json={"error": {"code": "overloaded"}})
        call_id = request.headers["x-call-id"]
        self.requests.append((call_id, request.url.path, request.content))
        if reason := self.refuses(call_id):
            return httpx.Response(400, json={"error": {"code": reason}})
        heard = self.incumbent(call_id)
        self.counts["calls"] += 1
        if is_chosen(call_id, b"replay", self.share, "shadow"):
            self.counts["chosen"] += 1
            self._mirror(call_id, heard)
        version = f"{self.trial.adapter}/{self.trial.incumbent}"
        headers = {
            "x-model-version": version,
            "x-model-milliseconds": "2.5",
            "x-request-id": f"request of {call_id}, another",
        }
        return httpx.Response(200, headers=headers, json={})

    def _mirror(self, call_id: str, heard: Any) -> None:
        number = self.counts["chosen"]
        incumbent, apart = Side(2 + number / 10, None, 0.9), None
        try:
            said = self.candidate(call_id)
        except Exception as error:
            candidate = Side(None, type(error).__name__)
            self.errors[type(error).__name__] += 1
            self.examples = [f"{type(error).__name__}: {error}"]
        else:
            candidate, apart = Side(3 + number / 10, None, 0.9), disagreement_of(self.task, heard, said)
            self.counts["answered"] += 1
            self.outputs[call_id] = (heard, said)
        self.store.keep(Pair(self.trial.id, call_id, float(number), incumbent, candidate, apart))

    def _feedback(self, told: dict[str, str]) -> httpx.Response:
        call_id = told["request_id"].removeprefix("request of ")
        if call_id in self.outputs:
            losses = [loss_of(self.task, output, told["truth"]) for output in self.outputs[call_id]]
            assert losses[0] is not None and losses[1] is not None
            at = float(self.counts["chosen"])
            self.store.keep(Losses(self.trial.id, call_id, at, losses[0], losses[1]))
        return httpx.Response(200, json={})


def started(task: Any, incumbent: Says, candidate: Callable[[], Says], **options: Any) -> Any:
    """Return what stands in for `gateway_process`; `candidate` is asked for when a gateway starts."""

    @contextmanager
    def start(
        settings: Settings, log_file: Path, *, source: str, only: Sequence[str], store: Path
    ) -> Iterator[ReplayedGateway]:
        assert source == "replay"
        lake = Lake(settings)
        (trial,) = [
            t for t in standing_trials(Registry(lake), "replay") if [t.adapter] == [*only] and t.stage == "shadow"
        ]
        kept = TrialStore(lake, store)
        share = settings.deployment.shadow_share
        try:
            yield ReplayedGateway(trial, task, kept, share, incumbent, candidate(), **options)
        finally:
            kept.close()

    return start
