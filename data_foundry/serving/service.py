"""The service: a gateway with what keeps its trials, what judges them, and what watches it."""

from __future__ import annotations

from collections.abc import Collection

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Registry
from data_foundry.lake import Lake
from data_foundry.serving.gateway import Gateway
from data_foundry.serving.trials.rollout import RolloutController
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Source
from data_foundry.serving.watch.watcher import Watcher


class Service:
    """Everything that serves calls, in one process; what speaks HTTP or runs on Ray is given one.

    `source` "replay": calls that are not callers', of which nothing is promoted. `only`: adapters, all by default.
    `store`: where pairs are kept, the one under the base path by default. Use `start` and `close`, once each.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: Source = "live",
        only: Collection[str] = (),
        store: TrialStore | None = None,
    ) -> None:
        self.settings, self.source = settings, source
        lake = Lake(settings)
        self.registry = Registry(lake)
        self.store = store or TrialStore(lake)
        self.watch = Watcher(settings, source=source)
        self.gateway = Gateway(settings, source=source, only=only, observers=(self.watch,), store=self.store)
        self.controller = RolloutController(
            settings, self.registry, self.store, self.gateway, source=source, adapters=only
        )
        self.watch.watch(gateway_state=self.gateway.state, rollout_state=self.controller.state)

    def start(self) -> None:
        """Load what answers, and begin to watch and to judge. Raises FoundryError."""
        self.watch.start()
        self.gateway.start()
        self.controller.start()

    def close(self, drain_seconds: float = 10.0) -> None:
        """Judge no more, answer the calls that came, for at most so many seconds, and end."""
        self.controller.close()
        self.gateway.close(drain_seconds)
        self.watch.close()
        self.store.close()
