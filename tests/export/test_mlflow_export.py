"""An export to a real MLflow server: nothing is lost, nothing is told twice, and what was cut off goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from finetuning.version_builders import details_of, make_version, publish_version

from data_foundry import __main__ as command
from data_foundry.errors import FoundryError
from data_foundry.export.mlflow_export import export_to_mlflow, read_back
from data_foundry.export.mlflow_record import IDENTITY, identity_of, mlflow_record
from data_foundry.export.mlflow_server import MlflowServer
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.finetuning.versions.versions import VersionRecord, find_version
from data_foundry.lake import Lake, Layer, fingerprint

# MLflow pins versions that the product's own environment has others of: it has one of its own (`make mlflow`).
PROGRAM = Path(sys.prefix, "mlflow", "bin", "mlflow")
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def uri(store: Path) -> Iterator[str]:
    """The address of an MLflow server with an SQLite backend, alone on the loopback."""
    if not PROGRAM.is_file():
        pytest.skip(f"no MLflow server is installed at {PROGRAM}: `make mlflow` installs it")
    port = free_port()
    storage = ["--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--artifacts-destination", str(store / "files")]
    quiet = {"DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (store / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(PROGRAM), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *storage],
            env={**os.environ, **quiet}, cwd=store, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            _await(f"http://127.0.0.1:{port}/health", server, store / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _await(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            opener.open(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the MLflow server did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def server(uri: str) -> Iterator[MlflowServer]:
    with MlflowServer(uri) as connection:
        yield connection


@pytest.fixture
def adapter(request: pytest.FixtureRequest) -> str:
    """A variant of the test's own, so that the tests share a server and no registered model."""
    return f"nlu.{fingerprint(request.node.name)[:16]}"


def move(lake: Lake, name: str, *stages: Stage) -> VersionRecord:
    adapter, _, version = name.partition("/")
    for stage in stages:
        Registry(lake).transition(adapter, version, stage, actor="Asha", reason=f"to {stage}", evidence={"calls": 7})
    return find_version(lake, name)


def deployed(lake: Lake, name: str) -> VersionRecord:
    """A version in shadow with the record of its deployment."""
    record = move(lake, name, Stage.SHADOW)
    with lake.commit(Layer.MODELS, f"{name}-deployment", "key") as commit:
        commit.publish(details={"decision": "in_shadow", "shadow": {"calls": 299, "verdict": "pass"}})
    return find_version(lake, record.name)


def by_mlflow(uri: str, model: str, alias: str) -> dict[str, Any]:
    """What MLflow's own client reads, in its own environment."""
    reader = Path(__file__).with_name("mlflow_reader.py")
    done = subprocess.run(
        [str(PROGRAM.with_name("python")), str(reader), uri, model, alias], stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def everything(store: Path) -> tuple[list[str], dict[str, tuple[bytes, int]]]:
    """Every row of the server's database, and every file with its content and time."""
    with sqlite3.connect(store / "mlflow.db") as database:
        rows = [line for line in database.iterdump() if line.startswith("INSERT")]
    database.close()
    files = {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in (store / "files").rglob("*.*")}
    return rows, files


def test_what_is_read_back_is_every_field_and_every_byte(
    lake: Lake, server: MlflowServer, uri: str, adapter: str
) -> None:
    record = deployed(lake, make_version(lake, adapter))
    assert record.model is not None
    done = export_to_mlflow(lake, record, server)
    assert done["outcome"] == "done" and done["version"] == "1"
    assert read_back(server, adapter, identity_of(record.model)) == record.as_json()
    # The same, seen by MLflow's own client.
    found = by_mlflow(uri, f"data-foundry-{adapter}", "shadow")
    wanted = mlflow_record(lake, record, record.model)
    assert found["status"] == ["READY", "FINISHED"]
    assert found["aliases"] == {"shadow": "1", record.version: "1"}
    assert found["tags"] == {**wanted.fixed, **wanted.state} and found["params"] == wanted.params
    assert found["files"].pop("manifest.json")
    assert found["files"] == {file.path: file.sha256 for file in record.model.files}
    assert found["metrics"]["curve/adapter/loss"] == [[8, 2.1], [16, 1.3]]
    assert found["metrics"]["test/chrfplusplus/adapted/low"] == [[0, 0.86]]
    # Vowel signs are no signs to MLflow: they are spelt, and the manifest has the name itself.
    assert found["metrics"]["slices/district/groups/കxd4aലxd4dലxd02/adapted"] == [[0, 0.8]]
    assert found["metrics"] == _points(wanted.metrics)
    gate = json.loads(found["tags"]["data_foundry.gate.minimum_score"])
    assert gate == record.details["gates"][0] and found["params"]["config.lora_rank"] == "8"
    assert json.loads(found["tags"]["data_foundry.lineage"]) == record.details["lineage"]


def _points(metrics: tuple[dict[str, Any], ...]) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {}
    for each in metrics:
        found.setdefault(each["key"], []).append([each["step"], each["value"]])
    return {key: sorted(points) for key, points in found.items()}


def test_exported_twice_it_changes_not_one_row_and_not_one_file(
    lake: Lake, server: MlflowServer, store: Path, adapter: str
) -> None:
    record = deployed(lake, make_version(lake, adapter))
    export_to_mlflow(lake, record, server)
    before = everything(store)
    assert len(before[0]) > 100 and before[1]
    done = export_to_mlflow(lake, record, server)
    assert done["outcome"] == "nothing to do" and everything(store) == before


def test_stages_are_followed_for_the_versions_that_are_there_already(
    lake: Lake, server: MlflowServer, adapter: str
) -> None:
    first = move(lake, make_version(lake, adapter, "a"), Stage.SHADOW, Stage.STAGING)
    model = export_to_mlflow(lake, first, server)["model"]
    assert _aliases(server, model) == {"staging": "1", first.version: "1"}
    move(lake, first.name, Stage.PRODUCTION)
    second = move(lake, make_version(lake, adapter, "b"), Stage.SHADOW)
    export_to_mlflow(lake, second, server)
    aliases = _aliases(server, model)
    assert aliases == {"production": "1", "shadow": "2", first.version: "1", second.version: "2"}
    second = move(lake, second.name, Stage.ROLLED_BACK)
    assert export_to_mlflow(lake, second, server)["outcome"] == "done"
    assert "shadow" not in _aliases(server, model)
    first, second = (find_version(lake, each.name) for each in (first, second))
    for record in (first, second):
        assert record.model is not None
        assert read_back(server, adapter, identity_of(record.model)) == record.as_json()


def test_a_version_that_was_restored_and_what_was_rolled_back_for_it_come_back_whole(
    lake: Lake, server: MlflowServer, adapter: str
) -> None:
    up = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)
    first, second = (move(lake, make_version(lake, adapter, name), *up) for name in ("a", "b"))
    registry = Registry(lake)
    # What a move rests on is some kilobytes: every metric of its trial.
    judgement = {"verdict": "fail", "metrics": {f"metric {n}": {"reason": "ദോഷം " * 40} for n in range(9)}}
    registry.roll_back(
        adapter, second.version, actor="gateway", reason="harm", evidence={"trial": {"judgement": judgement}},
        restore=registry.replaced(adapter, second.version),
    )  # fmt: skip
    for name in (first.name, second.name):
        record = find_version(lake, name)
        model = export_to_mlflow(lake, record, server)["model"]
        assert record.model is not None
        assert read_back(server, adapter, identity_of(record.model)) == record.as_json()
    assert find_version(lake, first.name).history[-1].event == "restored"
    assert _aliases(server, model) == {"production": "1", first.version: "1", second.version: "2"}


def _aliases(server: MlflowServer, model: str) -> dict[str, str]:
    return {each["alias"]: str(each["version"]) for each in (server.model(model) or {})["aliases"]}


def test_another_evaluation_is_another_version_there_and_the_first_one_stays(
    lake: Lake, server: MlflowServer, adapter: str
) -> None:
    record = move(lake, make_version(lake, adapter), Stage.SHADOW)
    model = export_to_mlflow(lake, record, server)["model"]
    publish_version(lake, adapter, gates=[{**details_of()["gates"][0], "bound": 0.8}])
    again = find_version(lake, make_version(lake, adapter, gates=[{**details_of()["gates"][0], "bound": 0.8}]))
    assert export_to_mlflow(lake, again, server)["version"] == "2"
    assert _aliases(server, model) == {"shadow": "2", record.version: "2"}
    assert record.model is not None
    assert read_back(server, adapter, identity_of(record.model))["manifest"] == record.as_json()["manifest"]


@pytest.mark.parametrize("moment", ["put", "log", "create_version", "set_alias"])
def test_an_export_that_is_cut_off_goes_on_and_leaves_one_run_and_one_version(
    lake: Lake, server: MlflowServer, adapter: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = move(lake, make_version(lake, adapter), Stage.SHADOW)
    called, calls = getattr(MlflowServer, moment), []

    def cut_off(*given: Any) -> Any:
        if calls:
            raise KeyboardInterrupt
        calls.append(given)
        return called(*given)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowServer, moment, cut_off)
        if moment in ("log", "create_version"):
            calls.append(moment)
        with pytest.raises(KeyboardInterrupt):
            export_to_mlflow(lake, record, server)
    done = export_to_mlflow(lake, record, server)
    assert record.model is not None and done["outcome"] == "done"
    assert read_back(server, record.adapter, identity_of(record.model)) == record.as_json()
    assert len(server.versions(done["model"])) == 1
    assert len(server.runs(server.experiment(done["model"]), IDENTITY, identity_of(record.model))) == 1


def test_what_somebody_edited_there_is_not_taken_for_the_version(
    lake: Lake, server: MlflowServer, adapter: str
) -> None:
    record = move(lake, make_version(lake, adapter), Stage.SHADOW)
    done = export_to_mlflow(lake, record, server)
    server.set_tag(done["model"], "1", "data_foundry.verdict", "pass, believe me")
    with pytest.raises(FoundryError, match=r"gives back another .*: tag data_foundry\.verdict"):
        export_to_mlflow(lake, record, server)
    server.set_tag(done["model"], "1", "data_foundry.verdict", "pass")
    server.put(server.run(done["run_id"]), "evaluation.json", b"{}")
    with pytest.raises(FoundryError, match=r"gives back another .*: file evaluation\.json"):
        export_to_mlflow(lake, record, server)


def test_the_command_exports_and_says_what_was_compared(
    lake: Lake, uri: str, adapter: str, capfd: pytest.CaptureFixture[str]
) -> None:
    name = make_version(lake, adapter)
    flags = ["--mlflow", uri, "--base-path", str(lake.base_path)]
    assert command.main(["models", "export", name, *flags, "--dry-run"]) == 0
    assert "would bring" in capfd.readouterr().out
    assert command.main(["models", "export", name, *flags, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["outcome"] == "done" and told["compared"]["files"] == 7
    assert command.main(["models", "export", name, *flags]) == 0
    assert "nothing to do" in capfd.readouterr().out


def test_a_version_that_is_not_registered_and_a_server_that_is_not_there_are_clear_errors(lake: Lake) -> None:
    published = find_version(lake, publish_version(lake).name)
    with MlflowServer(f"http://127.0.0.1:{free_port()}") as nobody:
        with pytest.raises(FoundryError, match="not registered yet"):
            export_to_mlflow(lake, published, nobody)
        registered = find_version(lake, make_version(lake))
        with pytest.raises(FoundryError, match="can't be reached"):
            export_to_mlflow(lake, registered, nobody)
    for address in ("sqlite:///mlflow.db", "databricks", "http://"):
        with pytest.raises(FoundryError, match="is not the address of an MLflow server"):
            MlflowServer(address)


def test_a_login_goes_by_the_environment_and_never_by_the_address() -> None:
    with pytest.raises(FoundryError, match="holds a login") as raised:
        MlflowServer("http://asha:s3cret@127.0.0.1:5000")
    assert "s3cret" not in str(raised.value)


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str | None]]]:
    """The address of a server that lets nobody in, and the logins that it was shown."""
    shown: list[str | None] = []

    class Closed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Closed) as closed:
        Thread(target=closed.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{closed.server_port}", shown
        closed.shutdown()


def test_a_token_or_a_user_is_shown_to_the_server_and_a_refusal_says_how_to_log_in(
    asked: tuple[str, list[str | None]],
) -> None:
    uri, shown = asked
    user = {"MLFLOW_TRACKING_USERNAME": "asha", "MLFLOW_TRACKING_PASSWORD": "s3cret"}
    for environ in ({}, user, {**user, "MLFLOW_TRACKING_TOKEN": "t0ken"}):
        with MlflowServer(uri, environ) as server, pytest.raises(FoundryError, match=r"refused .*: 401") as raised:
            server.model("data-foundry-nlu")
        assert "MLFLOW_TRACKING_TOKEN" in raised.value.hint and "s3cret" not in str(raised.value)
    assert shown == [None, f"Basic {b64encode(b'asha:s3cret').decode()}", "Bearer t0ken"]
