"""A trial as a gateway follows it: what the store keeps of it, and what its judge makes of that."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.serving.trials.judgement import Judge, Judgement
from data_foundry.serving.trials.store import Observation, TrialStore
from data_foundry.serving.trials.trial import Pair, Trial
from data_foundry.serving_settings import Rollout

TRIAL = "trial"
"""In the evidence of a move: the trial that it rests on, with its judgement."""


class FollowedTrial:
    """A trial and its judge, which has seen all that the store keeps up to `after`; `behind` says that it keeps more.

    Made anew after a restart, it comes to the same judgement, because it reads the same observations in the same order,
    at once or in rounds.
    """

    def __init__(self, trial: Trial, rollout: Rollout) -> None:
        self.trial = trial
        self.behind = False
        self._rollout = rollout
        self._begin()

    def _begin(self) -> None:
        self.after = self.pairs = self.losses = 0
        self._judge = Judge(self._rollout, self.trial)

    def read(self, store: TrialStore, most: int | None = None) -> Judgement:
        """Feed the judge what is new, or the first `most` of it, and return its judgement.

        Raises FoundryError for a store that can't be read; the next reading goes on where this one ended.
        """
        counted = 0
        for sequence, observation in islice(store.observations(self.trial.id, self.after), most):
            self._count(observation)
            self.after, counted = sequence, counted + 1
        # Whether more is kept than a full round had room for is seen in the next one.
        self.behind = counted == most
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

    def _count(self, observation: Observation) -> None:
        try:
            self._judge.observe(observation)
        except Exception:
            # A judge that stopped inside an observation is none that other gateways agree with.
            self._begin()
            raise
        if isinstance(observation, Pair):
            self.pairs += 1
        else:
            self.losses += 1
