"""The replay: held-out rows sent to a gateway as a client sends calls, and what came of those the candidate heard.

The gateway is a real one, in a process of its own, that serves the candidate's adapter alone. Every figure is measured
on this machine in this run and stands with the number of calls it rests on; what can't be measured is None with a
reason. The verdict judges liveness alone: whether the candidate answers what it is asked. With no mirrored call there
is nothing to judge, and the verdict is inconclusive. The judgement by which live calls promote and take back is told
beside it, and moves nothing: replayed calls are few, and no caller's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from data_foundry.config import Settings
from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Conflict, Registry, Stage, Version
from data_foundry.lake import Lake
from data_foundry.serving.gateway_process import gateway_process
from data_foundry.serving.replay_calls import ReplayCall, replay_calls
from data_foundry.serving.shadow import Replayed, is_lost, shadow_report
from data_foundry.serving.trials.standing import standing_trials
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Trial

if TYPE_CHECKING:
    import httpx

OK, REFUSED, BUSY = 200, 400, 429
MISTAKES = ("invalid_", "unknown_", "unsupported_", "missing_", "bad_")
"""How reasons begin that are a client's mistake, and not the row's."""
LOOK_SECONDS = 0.1
LOOK_EVERY = 16
"""After so many calls the replay looks how many wait for the candidate: it has time, a live gateway would drop some."""
MAX_RETRIES = 100


class ReplayedGateway(Protocol):
    """What a replay needs of a gateway: a client that calls it with its key, and its state."""

    @property
    def client(self) -> httpx.Client: ...

    def state(self) -> dict[str, Any]: ...


def replay_version(
    settings: Settings, lake: Lake, registry: Registry, spec: EngineSpec, version: Version
) -> dict[str, Any]:
    """Replay a version's held-out calls through a gateway and return the shadow report, JSON-like.

    Raises FoundryError when the gateway does not start, or answers a call with anything but an answer or a refusal,
    and Conflict where somebody moved a version of the adapter meanwhile.
    """
    trial = replayed_trial(registry, version)
    log_file = settings.base_path / "logs" / f"replay_{version.engine}_{version.version}.log"
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        # Pairs of an earlier replay of the same version are not this one's.
        path = Path(folder) / "trials.sqlite"
        with gateway_process(settings, log_file, source="replay", only=(version.engine,), store=path) as gateway:
            calls = replay_calls(lake, spec, version, settings.deployment.max_replay_calls)
            replayed = replay(calls, gateway, trial, settings)
        store = TrialStore(lake, path)
        try:
            observations = [each for _, each in store.observations(trial.id)]
        finally:
            store.close()
    return shadow_report(spec, trial, settings, replayed, observations)


def replayed_trial(registry: Registry, version: Version) -> Trial:
    """Return the trial that a replay of a version in shadow is. Raises Conflict where it is not in shadow."""
    for trial in standing_trials(registry, "replay"):
        if (trial.adapter, trial.candidate, trial.stage) == (version.engine, version.version, Stage.SHADOW):
            return trial
    raise Conflict(
        f"{version.engine}/{version.version} is not in shadow any more.",
        "Somebody moved it meanwhile; run phase 4 again.",
    )


def replay(calls: Iterable[ReplayCall], gateway: ReplayedGateway, trial: Trial, settings: Settings) -> Replayed:
    """Send calls one after the other, with feedback for each that is answered, and wait until the shadow is done."""
    done = Replayed()
    patience = settings.deployment.shadow_timeout_seconds
    high = settings.deployment.shadow_queue_size // 2
    for call in calls:
        done.calls += 1
        done.sent_as[call.sent_as] += 1
        answer = _post(gateway.client, call)
        if reason := _refusal(answer):
            done.refused[reason] += 1
            continue
        if answer.status_code != OK:
            raise _failed(call, answer)
        _require_version(trial, answer.headers["x-model-version"])
        done.milliseconds.append(float(answer.headers["x-model-milliseconds"]))
        if call.truth:
            # Whatever a server in between adds, the gateway's own id stands first.
            request_id = answer.headers["x-request-id"].partition(",")[0].strip()
            # A call that was sent again because it waited too long may have been answered twice.
            told = {"request_id": request_id, "adapter": trial.adapter, "truth": call.truth}
            feedback = gateway.client.post("/v1/feedback", json=told)
            if feedback.status_code != OK:
                raise _failed(call, feedback)
        if done.calls % LOOK_EVERY == 0:
            _wait(gateway, trial, lambda counts: counts["waiting"] <= high, patience)
    # A candidate whose verdict is known already need not be heard to its end.
    most = patience * (settings.deployment.shadow_queue_size + 1)
    done.counts = _wait(gateway, trial, lambda counts: not counts["waiting"] or is_lost(counts), most)
    return done


def _wait(
    gateway: ReplayedGateway, trial: Trial, enough: Callable[[Mapping[str, Any]], bool], seconds: float
) -> Mapping[str, Any]:
    """Look at the mirror's counts until they are enough, for at most so many seconds, and return them."""
    until = time.monotonic() + seconds
    while True:
        counts = _counts(gateway.state(), trial)
        if enough(counts) or time.monotonic() > until:
            return counts
        time.sleep(LOOK_SECONDS)


def _counts(state: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
    for found in state["adapters"].get(trial.adapter, {}).get("trials", ()):
        if found["trial"] == trial.id:
            counts: Mapping[str, Any] = found
            return counts
    raise Conflict(
        f"The gateway does not try {trial.adapter}/{trial.candidate} any more.",
        "Somebody moved a version of it during the replay; run phase 4 again.",
    )


def _post(client: httpx.Client, call: ReplayCall) -> httpx.Response:
    import httpx

    for _ in range(MAX_RETRIES):
        try:
            answer = client.post(call.path, headers={"X-Call-Id": call.call_id}, **call.body)
        except httpx.HTTPError as error:
            raise FoundryError(
                f"The gateway left call {call.call_id} without an answer: {type(error).__name__}.",
                "Its log is in logs/.",
            ) from None
        if answer.status_code != BUSY:
            break
        time.sleep(float(answer.headers.get("retry-after", LOOK_SECONDS)))
    return answer


def _refusal(answer: httpx.Response) -> str | None:
    """Return why a call was refused for what it holds, None where it was not."""
    reason: str | None = answer.json()["error"]["code"] if answer.status_code == REFUSED else None
    return None if reason is None or reason.startswith(MISTAKES) else reason


def _require_version(trial: Trial, answered: str) -> None:
    if answered != f"{trial.adapter}/{trial.incumbent}":
        raise Conflict(
            f"{answered} answered a replayed call, not {trial.adapter}/{trial.incumbent}.",
            "Another version was promoted during the replay; run phase 4 again.",
        )


def _failed(call: ReplayCall, answer: httpx.Response) -> FoundryError:
    return FoundryError(
        f"The gateway answered call {call.call_id} ({answer.request.url.path}) with {answer.status_code}: "
        f"{answer.text[:300]}",
        "Its log is in logs/.",
    )
