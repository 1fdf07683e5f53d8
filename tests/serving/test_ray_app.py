"""The gateway on Ray: replicas on one registry agree, and one that is killed costs no more than the calls it had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from finetuning import tiny_bases
from finetuning.version_builders import publish_version

from data_foundry.client import _error as client_error
from data_foundry.config import PROJECT_ROOT, Settings, load_settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.finetuning.versions.version_files import version_hashes
from data_foundry.lake import Lake
from data_foundry.serving import ray_app
from data_foundry.serving.watch.health import health
from data_foundry.training_config import TrainingConfig
from tests.processes import wait_for

CONFIG = {"base": "tiny/bert", "lora_rank": 4, "max_length": 64, "target_modules": ["query", "value", "dense"]}
# Written for this test; not checked by a native speaker.
TEXT = "ഇന്ന് കളി നല്ലത് ആണ്"
CLIENTS = 4
REPLICAS = 2
SECONDS = 300.0


def publish(settings: Settings, folder: Path) -> str:
    """Register a version of nlu with random weights; return its name."""
    import torch

    from data_foundry.finetuning.evaluation.predict import load_task
    from data_foundry.finetuning.training.train import save_adapter, with_lora
    from data_foundry.hub import model_folder

    torch.set_num_threads(1)
    lake, config = Lake(settings), TrainingConfig.model_validate(CONFIG)
    task = load_task(ENGINES[AIEngine.NLU], config, model_folder(settings, config.base, None), ())
    save_adapter(with_lora(task, config), folder, base=config.base, revision=None, labels=task.labels)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    told = {"config": config.model_dump(mode="json"), "base": config.base, "base_revision": None}
    model = publish_version(lake, "nlu", "first", weights=files, **told)
    weights, evaluation = version_hashes(model)
    name = model.name.partition("/")[2]
    Registry(lake).register(
        "nlu", name, artefact_hash=weights, evaluation_hash=evaluation, base=config.base, base_revision=None,
        actor="a test", reason="made of nothing",
    )  # fmt: skip
    return name


class Replicas:
    """The running command, and calls to it."""

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address, self.process = address, psutil.Process(process.pid)
        self.client = httpx.Client(base_url=address, timeout=60, trust_env=False)

    def call(self, client: httpx.Client | None = None) -> tuple[int, str, str]:
        """Return status, the replica that answered, and the version."""
        answer = (client or self.client).post("/v1/understand", json={"text": TEXT, "model": "nlu"})
        return answer.status_code, answer.headers.get(ray_app.SERVED_BY, ""), answer.headers.get("x-model-version", "")

    def feedback(self) -> tuple[int, int, int]:
        """Tell what was true of twenty calls; return how many were scored, and how many replicas answered and heard."""
        scored, answering, hearing = 0, set(), set()
        for _ in range(20):
            call = self.client.post("/v1/understand", json={"text": TEXT, "model": "nlu"})
            told = {"request_id": call.json()["request_id"], "adapter": "nlu", "truth": call.json()["intent"]["label"]}
            heard = self.client.post("/v1/feedback", json=told)
            scored += heard.status_code == 200
            answering.add(call.headers[ray_app.SERVED_BY])
            hearing.add(heard.headers[ray_app.SERVED_BY])
        return scored, len(answering), len(hearing)

    def until(self, enough: Callable[[list[tuple[int, str, str]]], bool], what: str) -> list[tuple[int, str, str]]:
        """Call until the last twenty calls are enough."""
        seen: list[tuple[int, str, str]] = []
        until = time.monotonic() + SECONDS
        while len(seen) < 20 or not enough(seen[-20:]):
            assert time.monotonic() < until, f"never: {what}; {Counter(seen[-20:])}"
            seen.append(self.call())
        return seen

    def processes(self) -> list[psutil.Process]:
        """The processes of the replicas."""
        found = []
        for child in self.process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if child.cmdline()[0].startswith("ray::ServeReplica"):
                    found.append(child)
        return found

    def addresses(self) -> set[str]:
        """Where any of its processes listens."""
        found = set()
        for child in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                sockets = child.net_connections("inet")
                found |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
        return found


def running(settings: Settings) -> list[str]:
    """Where the replicas are reached one by one, as the status tells."""
    return [each["address"] for each in health(settings)["gateways"] if each["running"]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tiny_bases.bert(tmp_path / "hub" / "models" / "tiny" / "bert")
    given = {
        "base_path": str(tmp_path),
        "hub": {"source": str(tmp_path / "hub")},
        "training": {"gpu_enabled": False, "engines": {"nlu": CONFIG}, "variants": {"nlu.topic": {"enabled": False}}},
        # Nothing is on trial here, so that no process is there for it.
        "deployment": {"shadow_testing": False},
        "serving": {"engine": "ray", "replicas": REPLICAS, "port": 0, "require_api_key": False, "poll_seconds": 0.1},
    }
    (tmp_path / "config.json").write_text(json.dumps(given))
    return load_settings(flags=given, environ={})


@pytest.fixture
def version(settings: Settings, tmp_path: Path) -> str:
    """A version that is in shadow, so that its base answers."""
    name = publish(settings, tmp_path / "made")
    Registry(Lake(settings)).transition("nlu", name, Stage.SHADOW, actor="a test", reason="to be heard")
    return name


@pytest.fixture
def replicas(settings: Settings, version: str, tmp_path: Path) -> Iterator[Replicas]:
    pytest.importorskip("ray", reason="Ray is not installed")
    command = [sys.executable, "-m", "data_foundry", "serve", "--config", str(tmp_path / "config.json")]
    log = tmp_path / "serve.log"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    with log.open("w") as lines:
        process = subprocess.Popen(command, env=environment, stdout=lines, stderr=lines, text=True)
    children: list[psutil.Process] = []
    try:
        until = time.monotonic() + SECONDS
        while "served at http" not in (said := log.read_text()):
            assert process.poll() is None and time.monotonic() < until, said
            time.sleep(0.05)
        found = Replicas(said.partition("served at ")[2].split()[0], process)
        with found.client:
            yield found
        children = found.process.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0, log.read_text()
        _, left = psutil.wait_procs(children, timeout=30)
        assert not left, f"left behind: {left}"
    finally:
        if process.poll() is None:
            children = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for each in children:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


@pytest.mark.ray
def test_two_replicas_answer_see_a_promotion_and_outlive_a_kill(
    settings: Settings, replicas: Replicas, version: str
) -> None:
    # Both answer.
    seen = replicas.until(lambda last: len({name for _, name, _ in last}) == REPLICAS, "both replicas answer")
    assert {(status, by) for status, _, by in seen} == {(200, "nlu/base")}
    assert replicas.addresses() <= {"127.0.0.1", "::ffff:127.0.0.1"}, "nobody but this machine reaches any part of it"

    # Feedback is scored whichever replica it reaches, and each can be asked by itself.
    wait_for(lambda: len(running(settings)) == REPLICAS)
    assert replicas.feedback() == (20, REPLICAS, REPLICAS)

    # Ray adds an id of its own to the header: a client reads the gateway's, of an answer and of a call without one.
    called = replicas.client.post("/v1/understand", json={"text": TEXT, "model": "nlu"})
    assert called.headers["x-request-id"].partition(",")[0].strip() == called.json()["request_id"]
    nobody = replicas.client.post("/v1/sentiment", json={"text": TEXT})
    assert nobody.status_code == 404 and len(nobody.json()["error"]["request_id"]) == 36
    assert nobody.headers["x-request-id"].partition(",")[0].strip() == nobody.json()["error"]["request_id"]
    assert client_error(nobody, "").request_id == nobody.json()["error"]["request_id"]
    for address in running(settings):
        assert "data_foundry_calls_total" in httpx.get(f"{address}/metrics", timeout=60, trust_env=False).text

    # Both see what the registry says, and no call fails meanwhile.
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        Registry(Lake(settings)).transition("nlu", version, stage, actor="a test", reason="on it goes")
    both = {(200, f"nlu/{version}")}
    seen = replicas.until(lambda last: {(status, by) for status, _, by in last} == both, "both promote")
    assert {status for status, _, _ in seen} == {200}
    before = {replica for _, replica, _ in seen}

    # One is killed under load: only what it was answering may fail, and another one takes its place.
    ended, answers = threading.Event(), Counter[int]()

    def go_on_calling() -> None:
        with httpx.Client(base_url=replicas.address, timeout=60, trust_env=False) as client:
            while not ended.is_set():
                answers[replicas.call(client)[0]] += 1

    clients = [threading.Thread(target=go_on_calling) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        victim = replicas.processes()[0]
        victim.kill()
        replicas.until(
            lambda last: (
                len({replica for _, replica, _ in last} - before) == 1
                and len({replica for _, replica, _ in last}) == REPLICAS
            ),
            "another replica takes its place",
        )
    finally:
        ended.set()
        for client in clients:
            client.join()
    failed = answers.total() - answers[200]
    assert answers[200] > 0 and failed <= CLIENTS, answers
    seen = replicas.until(lambda last: len({replica for _, replica, _ in last}) == REPLICAS, "both answer")
    assert {(status, by) for status, _, by in seen} == both
    wait_for(lambda: len(running(settings)) == REPLICAS)
    assert replicas.feedback()[0] == 20


def test_replicas_and_what_each_takes_follow_the_settings(settings: Settings) -> None:
    fixed = ray_app.options(settings)
    assert fixed["num_replicas"] == REPLICAS and "autoscaling_config" not in fixed
    assert fixed["ray_actor_options"] == {"num_cpus": 1, "num_gpus": 0.0}
    serving = settings.serving.model_copy(update={"max_replicas": 5, "gpus_per_replica": 0.25, "threads": 2})
    scaled = ray_app.options(settings.model_copy(update={"serving": serving}))
    assert "num_replicas" not in scaled and scaled["ray_actor_options"] == {"num_cpus": 2, "num_gpus": 0.25}
    assert (scaled["autoscaling_config"]["min_replicas"], scaled["autoscaling_config"]["max_replicas"]) == (2, 5)


def test_a_cluster_needs_a_base_path_that_all_its_machines_see(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    with pytest.raises(FoundryError, match=r"storage\.type is local"):
        ray_app.deployed(settings).__enter__()


@pytest.mark.parametrize(
    ("loopback", "keys", "host"),
    [(True, True, "127.0.0.1"), (True, False, "127.0.0.1"), (False, False, "127.0.0.1"), (False, True, "192.0.2.9")],
)
def test_a_replica_listens_to_other_machines_only_in_a_cluster_and_where_keys_are_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, loopback: bool, keys: bool, host: str
) -> None:
    util = SimpleNamespace(get_node_ip_address=lambda: "192.0.2.9")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(util=util))
    serving = settings.serving.model_copy(update={"require_api_key": keys})
    assert ray_app._own_host(settings.model_copy(update={"serving": serving}), loopback) == host


def test_more_gpus_than_there_are_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FoundryError, match=r"need 1\.5 GPUs; Ray has 1"):
        ray_app.require_gpus(1.0, 0.75, 2)
    ray_app.require_gpus(1.0, 0.5, 2)
