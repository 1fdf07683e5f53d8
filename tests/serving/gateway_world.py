"""A lake with registered versions, and models that only pretend: what a gateway is tried on without weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import Settings
from data_foundry.finetuning.tasks.task import Prediction
from data_foundry.finetuning.versions.registry import Registry, Stage, Version
from data_foundry.finetuning.versions.version_files import version_hashes, write_json
from data_foundry.lake import Lake, Layer, fingerprint
from data_foundry.records import Rejected
from data_foundry.serving import hosts, placement, weights
from data_foundry.serving.calls import Answer, NotServed, Overloaded, TimedOut
from data_foundry.serving.candidate.process import Asked
from data_foundry.serving.candidate.said import CandidateFailed, Said
from data_foundry.serving.gateway import Gateway
from data_foundry.serving.residents import Resident
from data_foundry.serving.trials.trial import Trial

TOPIC = "nlu.topic"
CONFIG = {"base": "owner/base", "revision": None}


class Model:
    """Says its adapter's name and the text; "raise" in a text raises, "exit" ends the thread, "slow" waits for `go`.

    One thing at a time, as a model does: what it is to learn or forget waits for its prediction. "break" in a text
    raises where that is encoded.
    """

    def __init__(self, labels: tuple[str, ...] = ()) -> None:
        self.labels = labels
        self.loaded: list[str] = []
        self.batches: list[tuple[str | None, list[str]]] = []
        self.go = threading.Event()
        self.working = threading.Event()
        self.misfits: list[BaseException] = []
        self._lock = threading.Lock()

    def encode(self, row: Any) -> dict[str, Any]:
        if not row.get("text"):
            raise Rejected("empty_text")
        if "break" in row["text"]:
            raise ValueError(f"a caller said {row['text']}")
        return {"text": row["text"]}

    def predict(
        self, rows: Sequence[Any], adapter: str | None = None, features: Sequence[Any] | None = None
    ) -> list[Prediction]:
        assert features is not None
        with self._lock:
            return self._predicted(adapter, [each["text"] for each in features])

    def _predicted(self, adapter: str | None, texts: list[str]) -> list[Prediction]:
        assert adapter is None or adapter in self.loaded
        self.batches.append((adapter, texts))
        self.working.set()
        if any("slow" in text for text in texts):
            assert self.go.wait(20)
        if any("raise" in text for text in texts):
            raise RuntimeError(f"a caller said {texts}")
        if any("exit" in text for text in texts):
            raise SystemExit(3)
        sure = float("nan") if any("nan" in text for text in texts) else 0.9
        return [Prediction(f"{adapter or 'bare'}: {text}", sure) for text in texts]

    def add_adapter(self, name: str, folder: Path) -> None:
        with self._lock:
            if self.misfits:
                raise self.misfits.pop()
            self.loaded.append(name)

    def remove_adapter(self, name: str) -> None:
        with self._lock:
            self.loaded.remove(name)

    def bare(self) -> Model:
        return Model(self.labels)

    def held(self) -> AbstractContextManager[object]:
        """Let it come to no end of what it is asked for meanwhile."""
        return self._lock


class Mirror:
    """Takes note of what it is offered."""

    made: list[Mirror] = []
    labels = ("sports", "business")

    def __init__(self, settings: Settings, trial: Trial, **given: Any) -> None:
        self.trial, self.given = trial, given
        self.offered: list[tuple[str, str | None, str | None]] = []
        self.requests: list[str] = []
        self.closed = False
        Mirror.made.append(self)

    def start(self) -> None: ...

    def offer(self, call_id: str, request_id: str, row: Any, answer: Answer | None, error: str | None = None) -> bool:
        self.requests.append(request_id)
        self.offered.append((call_id, answer.version if answer else None, error))
        return True

    def probe(self, rows: Sequence[Any], seconds: float) -> tuple[bool, str]:
        return True, f"it answered {len(rows)} of {len(rows)} calls"

    def counts(self) -> dict[str, Any]:
        return {"chosen": len(self.offered)}

    def state(self) -> dict[str, Any]:
        return {"trial": self.trial.id, **self.counts()}

    def close(self) -> None:
        self.closed = True


class Hanging(Asked):
    """What a version is at, and does not come to an end with."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        self.since = time.monotonic()

    @property
    def own_seconds(self) -> float:
        """All of the time since it was asked."""
        return time.monotonic() - self.since


class Staging:
    """A version in staging that answers, fails, or leaves its callers waiting."""

    does = "answer"
    made: list[Staging] = []

    def __init__(self, settings: Settings, trial: Trial) -> None:
        self.trial, self.ready = trial, True
        self.asked: list[Asked] = []
        Staging.made.append(self)

    def start(self) -> None: ...

    def submit(self, row: Any) -> Asked:
        future = Hanging() if self.does == "hang" else Asked()
        if self.does == "answer":
            future.set_result(Said("staged", 0.9, 1.0))
        elif self.does == "hang":
            self.asked.append(future)
        else:
            future.set_exception(CandidateFailed(self.does))
        return future

    def state(self) -> dict[str, Any]:
        return {"state": "ready"}

    def close(self) -> None:
        for future in self.asked:
            future.set_exception(CandidateFailed("closed"))


class World:
    """Versions to publish and move, and gateways over them that are closed with the test."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.settings = settings
        self.models: list[Model] = []
        self.gateways: list[Gateway] = []
        self.base = tmp_path / "a-base"
        self.revision: str | None = "c0ffee"
        Mirror.made, Staging.made, Staging.does = [], [], "answer"
        monkeypatch.setattr(weights, "model_folder", lambda settings, base, revision=None: self.base)
        monkeypatch.setattr(weights, "model_revision", lambda settings, base, revision=None: self.revision)
        monkeypatch.setattr(hosts, "open_base", self._open)
        monkeypatch.setattr(hosts, "place_of", lambda wanted: (wanted.base_folder, wanted.task, wanted.labels))
        monkeypatch.setattr(placement, "Mirror", Mirror)
        monkeypatch.setattr(placement, "StagingProcess", Staging)

    @property
    def lake(self) -> Lake:
        return Lake(self.settings)

    @property
    def registry(self) -> Registry:
        return Registry(self.lake)

    def change(self, section: str, **values: Any) -> None:
        changed = getattr(self.settings, section).model_copy(update=values)
        self.settings = self.settings.model_copy(update={section: changed})

    def publish(self, adapter: str, name: str, *, probe: bool = False, temperature: float | None = None) -> Version:
        """Publish and register a version, at stage none."""
        key = fingerprint([adapter, name])
        with self.lake.commit(Layer.MODELS, f"{adapter}/{name}", key) as commit:
            commit.path("adapter/adapter_model.safetensors").write_text(f"weights of {name}")
            commit.path("evaluation.json").write_text("{}")
            if temperature is not None:
                write_json(commit.path("calibration.json"), {"temperature": temperature})
            if probe:
                commit.path("linear_probe/adapter_model.safetensors").write_text(f"a head beside {name}")
            model = commit.publish(details={"config": {**CONFIG, "max_length": 64}})
        artefact_hash, evaluation_hash = version_hashes(model)
        return self.registry.register(
            adapter,
            name,
            artefact_hash=artefact_hash,
            evaluation_hash=evaluation_hash,
            base="owner/base",
            base_revision="c0ffee",
            actor="a test",
            reason="it was published",
        )

    def move(self, adapter: str, name: str, to: Stage) -> Version:
        """Take a version up to a stage, step by step."""
        steps = [Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION]
        known = self.registry.version(adapter, name)
        assert known is not None
        start = steps.index(known.stage) + 1 if known.stage in steps else 0
        for stage in steps[start : steps.index(to) + 1] if to in steps else [to]:
            known = self.registry.transition(adapter, name, stage, actor="a test", reason=f"on to {stage}")
        return known

    def damage(self, adapter: str, name: str) -> None:
        """Write other bytes of the same length over a version's weights."""
        file = self.lake.folder(Layer.MODELS, f"{adapter}/{name}") / "adapter/adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[::-1])

    def gateway(self, *, start: bool = True, **given: Any) -> Gateway:
        found = Gateway(self.settings, **{"only": ("nlu.topic",), **given})
        self.gateways.append(found)
        if start:
            found.start()
            found.wait()
        return found

    def close(self) -> None:
        for model in self.models:
            model.go.set()
        for gateway in self.gateways:
            gateway.close()
            gateway.store.close()

    def _open(self, settings: Settings, wanted: weights.Weights) -> Model:
        model = Model(labels=("sports",))
        if wanted.name:
            model.loaded.append(wanted.name)
        self.models.append(model)
        return model


def eventually(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds, for half a minute at most."""
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.005)


def resident(adapter: str, name: str | None, model: Model, base: Path) -> Resident:
    """A version in a model's memory, or the bare base."""
    from data_foundry.training_config import TrainingConfig

    folder = base / name / "adapter" if name else None
    found = Resident(
        weights.Weights(
            adapter, name or "base", "text-classification", TrainingConfig(base="owner/base"), "c0ffee", base, folder
        ),
        model,
    )
    if found.weights.name:
        model.loaded.append(found.weights.name)
    return found


class Heard:
    """An observer that takes note."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def answered(self, answer: Answer, row: Any, seconds: float) -> None:
        self.said.append((answer.adapter, answer.version))

    def failed(self, adapter: str, version: str | None, kind: str, row: Any, seconds: float) -> None:
        self.said.append((adapter, version, kind))


def refresh(gateway: Gateway) -> None:
    """Let a gateway look at the registry, and wait until what it says is loaded."""
    gateway.look()
    gateway.wait()


def ask(gateway: Gateway, call_id: str = "call", text: str = "hello") -> Answer:
    return gateway.submit(TOPIC, call_id, {"text": text}).result(20)


def answers(gateway: Gateway) -> bool:
    try:
        return bool(ask(gateway))
    except (NotServed, Overloaded, TimedOut):
        return False


def produce(world: World, name: str = "v1", **given: Any) -> None:
    world.publish(TOPIC, name, **given)
    world.move(TOPIC, name, Stage.PRODUCTION)
