"""What a shadow costs callers: 16 clients against a gateway with one and a gateway without, in turns, in one run.

python -m benchmarks.serving.load BASE --work FOLDER [--scenarios shadow harmful swap] [--seconds 300] [--json FILE]

BASE holds storage/ and models/ of a finished `--profile sample` run; it is copied to FOLDER, where all is written.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import harmful
from benchmarks.serving.clients import Clients, Request, Seen, Target, speech_request, text_request
from data_foundry.config import Settings, load_settings
from data_foundry.finetuning.features.gold_rows import read_rows
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.version_files import version_hashes
from data_foundry.lake import Lake, Layer, fingerprint
from data_foundry.serving.gateway_process import GatewayProcess, gateway_process
from data_foundry.serving.replay_calls import g711_wav, held_out_ids

ADAPTER, SPEECH = "nlu.topic", "stt"
CLIENTS = 16
RESAMPLES = 2000
DRAIN_SECONDS = 60.0
WARM_SECONDS = 5.0
ON, OFF = "on", "off"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder, or one that is not there")
    parser.add_argument("--scenarios", nargs="+", choices=sorted(SCENARIOS), default=["shadow", "harmful", "swap"])
    parser.add_argument("--harms", nargs="+", choices=[*harmful.HARMS], default=[*harmful.HARMS])
    parser.add_argument("--seconds", type=float, default=300.0, help="of each interleaved run, breaks not counted")
    parser.add_argument("--block", type=float, default=10.0, help="seconds of one turn")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--speech-clients", type=int, default=0, help="so many of them send G.711 speech, not text")
    parser.add_argument("--every", type=float, default=0.0, help="seconds between a client's calls (0: at once)")
    parser.add_argument("--json", type=Path, help="write all figures there")
    given = parser.parse_args()
    if given.work.exists():
        raise SystemExit(f"{given.work} is there already: give a folder that is not.")
    for name in ("storage", "models"):
        shutil.copytree(given.base / name, given.work / name)
    settings = load_settings(profile="sample", flags={"base_path": str(given.work)}, environ={})
    started = time.monotonic()
    found: dict[str, Any] = {
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_before": os.getloadavg()[0],
        },
        "arguments": {
            name: getattr(given, name) for name in ("seconds", "block", "clients", "speech_clients", "every", "harms")
        },
    }
    for scenario in given.scenarios:
        found[scenario] = SCENARIOS[scenario](settings, given)
        print(json.dumps({scenario: found[scenario]}, indent=1), flush=True)
    found["machine"] |= {"load_after": os.getloadavg()[0], "minutes": round((time.monotonic() - started) / 60, 1)}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if all(found[scenario]["failed_calls"] == 0 for scenario in given.scenarios) else 1


def shadow(settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    """A version in shadow that hears its share, against none."""
    with _gateway(settings, ON) as on, _gateway(_without(settings), OFF) as off:
        _loaded(on)

        def with_one(clients: Clients) -> Turn:
            before = _counts(on)
            seen = clients.run(_target(on), given.block)
            # What the shadow has still to do must not slow the calls of a gateway that has none.
            waited = _drained(on)
            return Turn(seen, _less(_counts(on), before), waited)

        def without(clients: Clients) -> Turn:
            return Turn(clients.run(_target(off), given.block))

        return _in_turns(settings, given, {ON: with_one, OFF: without}, given.seconds)


def harms(settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    """Versions in shadow that hang, crash, answer garbage or eat memory, each against none.

    They would not be done when their turn ends, so each turn has a gateway of its own, also each one without: one that
    has answered for minutes is quicker than one that began just now.
    """
    deployment = settings.deployment.model_copy(
        # Rollback would end the harm after a few calls; time-out and memory are low so that harm is done over and over.
        update={"rollback_enabled": False, "shadow_timeout_seconds": 2.0}
    )
    rollout = settings.rollout.model_copy(update={"worker_memory_mib": 1024})
    harmed = settings.model_copy(update={"deployment": deployment, "rollout": rollout})

    def with_one(clients: Clients) -> Turn:
        with _gateway(harmed, ON, module=harmful.MODULE) as on:
            _loaded(on)
            clients.run(_target(on), WARM_SECONDS)
            before = _counts(on)
            seen = clients.run(_target(on), given.block)
            return Turn(seen, _less(_counts(on), before))

    def without(clients: Clients) -> Turn:
        with _gateway(_without(settings), OFF) as off:
            clients.run(_target(off), WARM_SECONDS)
            return Turn(clients.run(_target(off), given.block))

    found: dict[str, Any] = {"failed_calls": 0}
    for harm in given.harms:
        os.environ["HARM"] = harm
        found[harm] = _in_turns(settings, given, {ON: with_one, OFF: without}, given.seconds / len(given.harms))
        found["failed_calls"] += found[harm]["failed_calls"]
    return found


def swap(settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    """Promotions and rollbacks in front of callers: the base, a version, a second one, the first again, the base."""
    lake = Lake(settings)
    registry = Registry(lake)
    first = registry.versions(ADAPTER, Stage.SHADOW)[0]
    second = _another(lake, registry, first)
    seen: list[Seen] = []
    stop = threading.Event()
    moves = []
    with _gateway(settings, "swap") as gateway:
        clients = Clients(_requests(settings, given), given.every)
        caller = threading.Thread(target=lambda: seen.extend(clients.run(_target(gateway), 10 * given.seconds, stop)))
        caller.start()
        try:
            for version in (first, second):
                for stage in (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION):
                    if registry.version(ADAPTER, version.version).stage is not stage:  # type: ignore[union-attr]
                        registry.transition(ADAPTER, version.version, stage, actor="benchmark", reason=f"on to {stage}")
                moves.append(_until_served(gateway, version.version))
                time.sleep(given.seconds / 10)
            for version, back in ((second, first), (first, None)):
                restore = registry.replaced(ADAPTER, version.version)
                assert (restore and restore.version) == (back and back.version)
                registry.roll_back(ADAPTER, version.version, actor="benchmark", reason="back", restore=restore)
                moves.append(_until_served(gateway, back.version if back else "base"))
                time.sleep(given.seconds / 10)
        finally:
            stop.set()
            caller.join()
    own = [[name.rpartition("/")[2] for name in each.versions if name.startswith(f"{ADAPTER}/")] for each in seen]
    return {
        "failed_calls": sum(each.failed.total() for each in seen),
        "failures": _failures(seen),
        "answered_calls": sum(len(each.answered) for each in seen),
        "answered_by": dict(sum((Counter(each) for each in own), Counter())),
        "orders_seen": sorted({" ".join(name for name, _ in itertools.groupby(each)) for each in own if each}),
        "seconds_until_served": moves,
        "milliseconds": _figures([seconds for each in seen for _, seconds in each.answered]),
    }


SCENARIOS = {"shadow": shadow, "harmful": harms, "swap": swap}


@dataclass
class Turn:
    """What clients saw in one block, what the mirror counted meanwhile, and how long it was waited for after it."""

    seen: list[Seen]
    counts: Mapping[str, Any] = field(default_factory=dict)
    waited: float = 0.0


def _in_turns(
    settings: Settings, given: argparse.Namespace, turns: Mapping[str, Callable[[Clients], Turn]], seconds: float
) -> dict[str, Any]:
    """Let gateways with and without a shadow answer in turns, in pairs of blocks whose order is drawn by lot."""
    clients = Clients(_requests(settings, given), given.every)
    draw = random.Random(0)
    pairs: list[dict[str, list[Seen]]] = []
    heard: list[Turn] = []
    # Both are called before they are measured.
    for turn in turns.values():
        turn(clients)
    while len(pairs) * 2 * given.block < seconds:
        pair = {name: turns[name](clients) for name in draw.sample([ON, OFF], 2)}
        heard.append(pair[ON])
        pairs.append({name: turn.seen for name, turn in pair.items()})
    failures = {name: _failures(each for pair in pairs for each in pair[name]) for name in (ON, OFF)}
    kinds = sorted({kind for pair in pairs for each in pair[OFF] for kind, _ in each.answered})
    return {
        "failed_calls": sum(sum(each.values()) for each in failures.values()),
        "failures": failures,
        "blocks": 2 * len(pairs),
        "seconds_of_calls": round(2 * len(pairs) * given.block, 1),
        "seconds_of_draining": round(sum(each.waited for each in heard), 1),
        "shadow": reduce(_plus, (each.counts for each in heard)),
        **{kind: _compared(pairs, kind) for kind in kinds},
    }


def _compared(pairs: Sequence[dict[str, list[Seen]]], kind: str) -> dict[str, Any]:
    """Return callers' milliseconds with and without a shadow, and ratios with 95 % intervals over pairs of blocks."""
    blocks = {
        name: [np.array([s for each in pair[name] for k, s in each.answered if k == kind]) for pair in pairs]
        for name in (ON, OFF)
    }
    draw = np.random.default_rng(0)
    found: dict[str, Any] = {name: _figures(np.concatenate(blocks[name])) for name in (ON, OFF)}
    drawn = [draw.integers(len(pairs), size=len(pairs)) for _ in range(RESAMPLES)]
    for share in (50, 95, 99):
        ratios = [
            np.percentile(np.concatenate([blocks[ON][n] for n in some]), share)
            / np.percentile(np.concatenate([blocks[OFF][n] for n in some]), share)
            for some in drawn
        ]
        ratio = found[ON][f"p{share}"] / found[OFF][f"p{share}"]
        interval = [round(float(each), 3) for each in np.percentile(ratios, (2.5, 97.5))]
        found[f"p{share}_on_off"] = {"ratio": round(ratio, 3), "interval": interval}
    return found


def _without(settings: Settings) -> Settings:
    """Return the settings of a gateway without a shadow; it must not take back what does harm to another."""
    alone = settings.deployment.model_copy(update={"shadow_testing": False, "rollback_enabled": False})
    return settings.model_copy(update={"deployment": alone})


def _failures(seen: Iterable[Seen]) -> dict[str, int]:
    return dict(sum((each.failed for each in seen), Counter()))


def _figures(seconds: Any) -> dict[str, float]:
    milliseconds = np.asarray(seconds) * 1000
    ranks = {f"p{share}": round(float(np.percentile(milliseconds, share)), 2) for share in (50, 95, 99)}
    return {"calls": len(milliseconds), **ranks, "max": round(float(milliseconds.max()), 2)}


def _loaded(gateway: GatewayProcess) -> None:
    """Wait until all bases are in memory and the candidate's process is ready."""
    until = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < until:
        if ADAPTER in gateway.state()["adapters"] and _mirror(gateway)["process"]["state"] == "ready":
            return
        time.sleep(0.1)


def _gateway(settings: Settings, name: str, **options: Any) -> Any:
    log_file = settings.base_path / "logs" / f"load_{name}.log"
    return gateway_process(settings, log_file, only=(ADAPTER, SPEECH), **options)


def _target(gateway: GatewayProcess) -> Target:
    return Target(gateway.address, gateway.key)


def _mirror(gateway: GatewayProcess) -> dict[str, Any]:
    (trial,) = gateway.state()["adapters"][ADAPTER]["trials"]
    return dict(trial)


def _counts(gateway: GatewayProcess) -> dict[str, Any]:
    counts = _mirror(gateway)
    names = ("calls", "chosen", "mirrored", "answered", "timed_out", "errors", "dropped", "restarts")
    return {name: counts[name] for name in names}


def _less(after: Any, before: Any) -> Any:
    if isinstance(after, dict):
        return {name: _less(after[name], before.get(name, 0)) for name in after}
    return after - before


def _plus(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        return {name: _plus(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}
    return one + other


def _drained(gateway: GatewayProcess) -> float:
    """Wait until the shadow has nothing left to do; return the seconds."""
    started = time.monotonic()
    while _mirror(gateway)["waiting"] and time.monotonic() < started + DRAIN_SECONDS:
        time.sleep(0.05)
    return time.monotonic() - started


def _requests(settings: Settings, given: argparse.Namespace) -> list[list[Request]]:
    """Return what each client sends: held-out headlines, or held-out speech as a phone line carries it."""
    lake = Lake(settings)
    only = {"label_kind": "topic"}
    ids = held_out_ids(lake, ADAPTER, 1000, only)
    rows = read_rows(lake.files(Layer.GOLD, "nlu", under="test"))
    texts = [text_request(row["text"], ADAPTER) for row in rows if row["row_id"] in ids]
    heard: list[Request] = []
    if given.speech_clients:
        rows = read_rows(lake.files(Layer.GOLD, "stt", under="test_phone"))
        # What the sample's base hears at once is 4 s.
        heard = [speech_request(g711_wav(row)) for row in rows if row["duration"] < 3.9]
    return [heard if number < given.speech_clients else texts for number in range(given.clients)]


def _another(lake: Lake, registry: Registry, version: Version) -> Version:
    """Publish a version that differs from another by a thousandth of its weights."""
    from safetensors.torch import load_file, save_file

    model = lake.manifest(Layer.MODELS, f"{ADAPTER}/{version.version}")
    assert model is not None
    folder = lake.folder(Layer.MODELS, model.name)
    key = fingerprint([version.version, "another"])
    with lake.commit(Layer.MODELS, f"{ADAPTER}/{key[:12]}", key) as commit:
        for file in model.files:
            place = commit.path(file.path)
            if file.path == "adapter/adapter_model.safetensors":
                weights = load_file(folder / file.path)
                save_file({name: values * 1.001 for name, values in weights.items()}, place, {"format": "pt"})
            else:
                shutil.copyfile(folder / file.path, place)
        made = commit.publish(details=model.details)
    artefact_hash, evaluation_hash = version_hashes(made)
    return registry.register(
        ADAPTER,
        key[:12],
        artefact_hash=artefact_hash,
        evaluation_hash=evaluation_hash,
        base=version.base,
        base_revision=version.base_revision,
        actor="benchmark",
        reason="another one",
    )


def _until_served(gateway: GatewayProcess, version: str) -> float:
    """Wait until the gateway answers with a version; return the seconds."""
    started = time.monotonic()
    while gateway.state()["adapters"][ADAPTER]["version"] != version:
        if time.monotonic() > started + DRAIN_SECONDS:
            raise SystemExit(f"{version} is not served after {DRAIN_SECONDS:g} s")
        time.sleep(0.05)
    return round(time.monotonic() - started, 2)


if __name__ == "__main__":
    sys.exit(main())
