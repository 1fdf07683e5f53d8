"""Builders of trials: versions that lie in a lake, and the pairs and losses that simulated calls leave in the store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from finetuning.version_builders import make_version

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.lake import Lake
from data_foundry.serving.trials.rollout import RolloutController
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Losses, Pair, Side, Trial

BEGIN = 1_760_000_000.0
UP = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)


def simulated(
    trial: str, calls: int, *, first: int = 0, failing: float = 0.0, slower: float = 1.0, worse: float = 0.0
) -> Iterator[tuple[Pair, Losses]]:
    """Calls with feedback, the same every time; both are wrong on the same tenth of them.

    Of the candidate `failing` are errors, its times are `slower` times the incumbent's, and `worse` of its answers are
    wrong where the incumbent's are right (negative: right where the incumbent's are wrong).
    """
    lot = random.Random(first)
    for number in range(first, first + calls):
        call, at = f"{number:016x}", BEGIN + number
        draw = [lot.random() for _ in range(4)]
        candidate = Side(None, "died") if draw[0] < failing else Side(slower * (10 + draw[1]), None, 0.9)
        wrong = draw[2] < 0.1
        losses = float(wrong), float((wrong and draw[3] >= -worse) or draw[3] < worse)
        disagreement = None if candidate.error else abs(losses[0] - losses[1])
        yield (
            Pair(trial, call, at, Side(10 + draw[2], None, 0.8), candidate, disagreement),
            Losses(trial, call, at, *losses),
        )


@dataclass
class FakeGateway:
    """Answers probes as it is told to, and counts how often it was asked to look at the registry."""

    answers: bool = True
    probed: list[tuple[str, str]] = field(default_factory=list)
    looks: int = 0

    def probe(self, adapter: str, version: str) -> tuple[bool, str]:
        self.probed.append((adapter, version))
        return self.answers, "3 of 3 calls answered" if self.answers else "0 of 3 calls answered"

    def look(self) -> None:
        self.looks += 1


class Line:
    """A lake with one adapter's versions, their trials' store, and a controller on it."""

    def __init__(self, settings: Settings, adapter: str = "nlu") -> None:
        self.settings, self.adapter = settings, adapter
        self.lake = Lake(settings)
        self.registry, self.store = Registry(self.lake), TrialStore(self.lake)
        self.gateway = FakeGateway()
        self.controller = self.another()

    def another(self, gateway: FakeGateway | None = None) -> RolloutController:
        """Return a controller as a second gateway, or this one after a restart, has it."""
        return RolloutController(self.settings, self.registry, TrialStore(self.lake), gateway or self.gateway)

    def version(self, name: str, *stages: Stage, **given: Any) -> Version:
        """Publish and register a version, and lead it through stages."""
        version = make_version(self.lake, self.adapter, name, **given).partition("/")[2]
        for stage in stages:
            self.registry.transition(self.adapter, version, stage, actor="Asha", reason=f"to {stage}")
        return self.now(version)

    def now(self, version: str | Version) -> Version:
        name = version if isinstance(version, str) else version.version
        found = self.registry.version(self.adapter, name)
        assert found is not None
        return found

    def trial(self, version: Version) -> Trial:
        """Return the trial that a version is in now."""
        (found,) = (trial for trial in standing_trials(self.registry) if trial.candidate == version.version)
        return found

    def call(self, version: Version, calls: int, first: int = 0, **how: float) -> None:
        """Keep simulated calls of a version's trial, with feedback."""
        found = simulated(self.trial(version).id, calls, first=first, **how)
        assert self.store.keep(*(each for observations in found for each in observations))

    def told(self, version: Version) -> dict[str, object]:
        """Return what the controller's state says of a version's trial."""
        (found,) = (each for each in self.controller.state()["trials"] if each["candidate"] == version.version)
        return found

    def change(self, section: str, **values: object) -> None:
        """Change settings, and let the controller have them."""
        changed = getattr(self.settings, section).model_copy(update=values)
        self.settings = self.settings.model_copy(update={section: changed})
        self.controller = self.another()
