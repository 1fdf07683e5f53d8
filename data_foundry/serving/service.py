"""The service: a gateway with what keeps its trials, what judges them, and what watches it."""

from __future__ import annotations

import threading
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
    `store`: where pairs are kept, the one under the base path by default. `address`: the URL at which other gateways
    on the base path reach this one, see `peers.peer_address`; None: it asks none and is asked by none. Use `start` and
    `close`, once each, `close` also while `start` has not returned yet.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: Source = "live",
        only: Collection[str] = (),
        store: TrialStore | None = None,
        address: str | None = None,
    ) -> None:
        self.settings, self.source = settings, source
        lake = Lake(settings)
        self.registry = Registry(lake)
        self.store = store or TrialStore(lake)
        self.watch = Watcher(settings, source=source, address=address)
        self.gateway = Gateway(settings, source=source, only=only, observers=(self.watch,), store=self.store)
        self.controller = RolloutController(
            settings, self.registry, self.store, self.gateway, source=source, adapters=only
        )
        # `start` holds it until everything has begun, which takes no model; `close` stops that early, and waits for it.
        self._beginning, self._closed = threading.Lock(), False
        self.watch.watch(gateway_state=self.gateway.state, rollout_state=self.controller.state)

    def start(self) -> None:
        """Begin to watch, to look at the registry and to judge, and return when what answers is loaded.

        It returns sooner where `close` is called meanwhile. Raises FoundryError.
        """
        with self._beginning:
            if self._closed:
                return
            self.watch.start()
            self.gateway.start()
            self.controller.start()
        self.gateway.wait()

    def close(self, drain_seconds: float = 10.0) -> None:
        """Judge no more, answer the calls that came, for at most so many seconds, and end; load nothing more."""
        self._closed = True
        self.gateway.stop()
        with self._beginning:
            pass
        self.controller.close()
        self.gateway.close(drain_seconds)
        self.watch.close()
        self.store.close()
