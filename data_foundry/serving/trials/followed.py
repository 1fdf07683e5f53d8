"""A trial as a gateway follows it: what the store keeps of it, and what its judge makes of that."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.serving.trials.judgement import Judge, Judgement
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Losses, Pair, Trial
from data_foundry.serving_settings import Rollout

TRIAL = "trial"
"""In the evidence of a move: the trial that it rests on, with its judgement."""


class FollowedTrial:
    """A trial and its judge, which has seen all that the store keeps up to `after`.

    Made anew after a restart, it comes to the same judgement, because it reads the same observations in the same order.
    """

    def __init__(self, trial: Trial, rollout: Rollout) -> None:
        self.trial = trial
        self.after = self.pairs = self.losses = 0
        self._judge = Judge(rollout, trial)

    def read(self, store: TrialStore) -> Judgement:
        """Feed the judge what is new and return its judgement. Raises FoundryError for a store that can't be read."""
        for sequence, observation in store.observations(self.trial.id, self.after):
            if isinstance(observation, Pair):
                self._judge.pair(observation)
                self.pairs += 1
            elif isinstance(observation, Losses):
                self._judge.losses(observation)
                self.losses += 1
            self.after = sequence
        return self._judge.judgement()

    def looked_at(self, store: TrialStore) -> dict[str, Any]:
        """Read the store and return all as JSON; where it can't be read, `fault` says why and there is no judgement."""
        try:
            return self.as_json(self.read(store))
        except FoundryError as error:
            return {**self.as_json(None), "fault": error.message}

    def as_json(self, judgement: Judgement | None) -> dict[str, Any]:
        """Return the trial, how much was seen of it, and the judgement, JSON-like."""
        told = judgement.as_json() if judgement else None
        disagreement = (told or {}).get("shown", {}).get("disagreement", {}).get("mean")
        counts = {"pairs": self.pairs, "losses": self.losses, "disagreement": disagreement}
        return {"trial": self.trial.id, **asdict(self.trial), **counts, "judgement": told}
