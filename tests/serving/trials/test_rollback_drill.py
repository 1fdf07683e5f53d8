"""The rollback drill: after harm, by the hash of the weights in memory, the version of before serves again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from finetuning import tiny_bases
from finetuning.version_builders import publish_version
from processes import wait_for
from serving.gateway_world import Mirror, Staging
from trial_builders import Line

from data_foundry import __main__ as command
from data_foundry.config import Settings
from data_foundry.engines import ENGINES
from data_foundry.finetuning.evaluation.predict import load_task
from data_foundry.finetuning.training.train import save_adapter, with_lora
from data_foundry.finetuning.versions.registry import Stage, Version
from data_foundry.finetuning.versions.version_files import version_hashes
from data_foundry.records import AIEngine
from data_foundry.serving import placement
from data_foundry.serving.calls import Answer
from data_foundry.serving.gateway import Gateway
from data_foundry.serving.trials.approval import approve
from data_foundry.serving.trials.trial import BASE
from data_foundry.training_config import TrainingConfig

TOPIC = "nlu"
CONFIG = {"base": "tiny/bert-topics", "lora_rank": 4, "max_length": 64, "target_modules": ["query", "value", "dense"]}
ENOUGH, BOUND = 800, 40


@pytest.fixture
def line(with_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """A line whose versions are real adapters of a small random BERT; the candidates' processes only pretend."""
    hub = tmp_path / "hub"
    tiny_bases.bert(hub / "models" / "tiny" / "bert-topics")
    settings = with_settings(
        hub={"source": str(hub)},
        training={"gpu_enabled": False, "engines": {TOPIC: CONFIG}},
        serving={"poll_seconds": 3600.0},
    )
    monkeypatch.setattr(placement, "Mirror", Mirror)
    monkeypatch.setattr(placement, "StagingProcess", Staging)
    return Line(settings, TOPIC)


@pytest.fixture
def gateway(line: Line) -> Iterator[Gateway]:
    gateway = Gateway(line.settings, only=(TOPIC,), store=line.store)
    line.controller = line.another(gateway)
    yield gateway
    gateway.close()
    line.store.close()


def train(line: Line, folder: Path, name: str, weight: float) -> Version:
    """Register a version whose adapter's own weights are all the same."""
    import torch

    from data_foundry.hub import model_folder

    config = TrainingConfig.model_validate(CONFIG)
    task = load_task(ENGINES[AIEngine.NLU], config, model_folder(line.settings, config.base, None), ())
    adapted = with_lora(task, config)
    with torch.no_grad():
        for parameter, values in adapted.named_parameters():
            if "lora_B" in parameter:
                values.fill_(weight)
    made = folder / name
    made.mkdir()
    save_adapter(adapted, made, base=config.base, revision=None, labels=task.labels)
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    told = {"config": config.model_dump(mode="json"), "base": config.base, "base_revision": None}
    model = publish_version(line.lake, TOPIC, name, weights=files, **told)
    weights, evaluation = version_hashes(model)
    return line.registry.register(
        TOPIC, model.name.partition("/")[2], artefact_hash=weights, evaluation_hash=evaluation, base=config.base,
        base_revision=None, actor="phase4", reason="trained",
    )  # fmt: skip


def hash_in_memory(gateway: Gateway) -> str:
    """Hash the adapter's tensors in the model that answers callers now."""
    resident = gateway.routes()[TOPIC].answering
    assert resident is not None
    model: Any = resident.predictor
    # Its thread may be taking the last version's weights away.
    with model._lock:
        held, name = model.model.state_dict(), f".{resident.weights.name}."
    own = {key.replace(name, "."): values for key, values in held.items() if name in key}
    return hash_of({key.replace(".modules_to_save.", "."): values for key, values in own.items()})


def hash_of_files(line: Line, version: Version) -> str:
    """Hash the adapter's tensors as its files hold them."""
    from safetensors.torch import load_file

    folder = line.lake.base_path / "models" / TOPIC / version.version / "adapter"
    return hash_of(load_file(folder / "adapter_model.safetensors"))


def hash_of(tensors: dict[str, Any]) -> str:
    parts = ((name, values.contiguous().numpy().tobytes()) for name, values in sorted(tensors.items()))
    return hashlib.sha256(b"".join(name.encode() + values for name, values in parts)).hexdigest()


def asked(gateway: Gateway, call_id: str) -> Answer:
    return gateway.submit(TOPIC, call_id, {"text": tiny_bases.SENTENCES[0]}).result(60)


class Callers(threading.Thread):
    """Calls that never pause; what was answered by which version, and what failed."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(daemon=True)
        self.gateway, self.hanging_up = gateway, threading.Event()
        self.answered: list[tuple[str, float | None]] = []
        self.failed: list[Exception] = []

    def run(self) -> None:
        while not self.hanging_up.wait(0.002):
            try:
                answer = asked(self.gateway, f"call {len(self.answered)}")
                self.answered.append((answer.version, answer.confidence))
            except Exception as error:
                self.failed.append(error)

    def hang_up(self) -> None:
        self.hanging_up.set()
        self.join()


def test_after_harm_in_production_the_old_weights_serve_again_and_no_call_fails(
    line: Line, gateway: Gateway, tmp_path: Path
) -> None:
    who = {"actor": "Asha", "reason": "listened to 50 of its answers"}

    def produce(version: Version) -> None:
        """By the whole way up: shadow, calls, staging, calls and a person's word, production."""
        line.registry.transition(TOPIC, version.version, Stage.SHADOW, actor="phase4", reason="passed its gates")
        for stage in (Stage.STAGING, Stage.PRODUCTION):
            gateway.look()
            gateway.wait()
            line.call(version, ENOUGH)
            if stage is Stage.PRODUCTION:
                approve(line.settings, TOPIC, version.version, **who)
            line.controller.tick()
            gateway.wait()
            assert line.now(version).stage is stage, line.told(version)

    first, second = train(line, tmp_path, "first", 0.5), train(line, tmp_path, "second", 2.0)
    assert hash_of_files(line, first) != hash_of_files(line, second)
    gateway.start()
    gateway.wait()
    produce(first)
    assert hash_in_memory(gateway) == hash_of_files(line, first)
    callers = Callers(gateway)
    callers.start()
    try:
        produce(second)
        assert hash_in_memory(gateway) == hash_of_files(line, second)
        line.call(second, 300)
        line.controller.tick()
        assert line.now(second).stage is Stage.PRODUCTION
        line.call(second, BOUND, first=300, failing=1.0)
        line.controller.tick()
        gateway.wait()
        assert line.now(second).stage is Stage.ROLLED_BACK and line.now(first).stage is Stage.PRODUCTION
        assert (gateway.ready(), line.controller.state()["errors"]) == ([], [])
        assert hash_in_memory(gateway) == hash_of_files(line, first)
    finally:
        callers.hang_up()
    again = asked(gateway, "after")
    assert again.version == first.version and callers.failed == []
    said = dict(callers.answered)
    assert set(said) <= {first.version, second.version}
    # Beside another adapter a batch may round otherwise.
    assert again.confidence == pytest.approx(said[first.version], rel=1e-4)
    assert line.registry.verify_history() == []


def test_what_a_damaged_predecessor_can_not_do_the_base_does(line: Line, gateway: Gateway, tmp_path: Path) -> None:
    up = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)
    first, second = train(line, tmp_path, "first", 0.5), train(line, tmp_path, "second", 2.0)
    for version in (first, second):
        for stage in up:
            line.registry.transition(TOPIC, version.version, stage, actor="a test", reason="on")
    gateway.start()
    gateway.wait()
    assert hash_in_memory(gateway) == hash_of_files(line, second)
    path = line.lake.base_path / "models" / TOPIC / first.version / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[::-1])
    line.call(second, BOUND, worse=1.0)
    line.controller.tick()
    gateway.wait()
    assert line.now(second).stage is Stage.ROLLED_BACK and line.now(first).stage is Stage.RETIRED
    assert asked(gateway, "after").version == BASE


def test_a_rollback_by_hand_reaches_a_gateway_that_runs_at_its_next_look(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line.change("serving", poll_seconds=0.05)
    first, second = train(line, tmp_path, "first", 0.5), train(line, tmp_path, "second", 2.0)
    for version in (first, second):
        for stage in (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION):
            line.registry.transition(TOPIC, version.version, stage, actor="a test", reason="on")
    gateway = Gateway(line.settings, only=(TOPIC,), store=line.store)
    gateway.start()
    gateway.wait()
    try:
        assert asked(gateway, "before").version == second.version
        words = ["rollback", TOPIC, "--actor", "Asha", "--reason", "callers complained"]
        assert command.main([*words, "--base-path", str(line.lake.base_path)]) == 0
        assert f"nlu/{first.version} answers callers again" in capsys.readouterr().out
        wait_for(lambda: gateway.routes()[TOPIC].incumbent == first.version)
        assert hash_in_memory(gateway) == hash_of_files(line, first)
    finally:
        gateway.close()
