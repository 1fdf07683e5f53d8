"""The live page: complete in itself, safe, and shown what the gateway knows."""

import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.serving.http.app import create_app
from data_foundry.serving.http.watching import FILES, PAGE, router
from data_foundry.serving.watch.watcher import Watcher
from tests.serving import fakes
from tests.serving.watch.calls import answer, registered

NODE = shutil.which("node")
SCRIPTS = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in FILES if name.endswith(".js"))
NASTY = "<script>alert(1)</script> & <img src=x onerror=alert(2)>"


@pytest.fixture
def client(settings, lake):
    registered(lake, "nlu", "v1", Stage.STAGING, reason=NASTY)
    registered(lake, "sentiment", "v8", Stage.SHADOW)
    Registry(lake).transition("sentiment", "v8", Stage.ROLLED_BACK, actor="asha", reason="it called all of it praise")
    watcher = Watcher(settings)
    with watcher:
        watcher.answered(answer(), {"text": "ബിൽ"}, 0.1)
        for _ in range(7):
            watcher.failed("translation", None, "overloaded", None, 0.0)
        for _ in range(3):
            watcher.failed("translation", None, "rejected:empty_text", None, 0.0)
            watcher.answered_error("invalid_api_key")
        watcher.failed("translation", None, "not_served", None, 0.0)
    application = FastAPI()
    application.include_router(router(watcher))
    with TestClient(application) as found:
        yield found


def test_the_page_and_its_files_are_served_under_a_policy_without_inline_scripts_or_other_hosts(client):
    kinds = {"css": "text/css", "js": "text/javascript"}
    for path, kind in {"/": "text/html", **{f"/page/{name}": kinds[name.partition(".")[2]] for name in FILES}}.items():
        found = client.get(path)
        assert found.status_code == 200 and found.headers["content-type"].startswith(kind)
        policy = found.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert found.headers["x-content-type-options"] == "nosniff"
    assert client.get("/page/../watching.py").status_code == 404
    assert client.get("/page/%2e%2e%2fwatching.py").status_code == 404


def test_the_page_holds_no_script_style_or_handler_of_its_own_and_asks_nobody_else():
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page)) == {"data:,", *(f"/page/{name}" for name in FILES)}
    assert not re.search(r"<style|style=|\son\w+=|<script(?! src=)", page)
    for name in FILES:
        text = (PAGE / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), name
    # What would turn text into markup or code.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", SCRIPTS)
    assert SCRIPTS.count('"use strict"') == len(FILES) - 1


def test_every_place_that_the_script_fills_is_in_the_page():
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    asked = r'byId\("([\w-]+)"\)', r'querySelector\("#([\w-]+)'
    for name in {name for pattern in asked for name in re.findall(pattern, SCRIPTS)}:
        assert f'id="{name}"' in page, name


def test_the_status_is_whole_and_holds_reasons_as_they_are(client):
    found = client.get("/v1/status")
    assert found.headers["cache-control"] == "no-store" and found.headers["content-type"] == "application/json"
    status = found.json()
    nlu = next(entry for entry in status["adapters"] if entry["adapter"] == "nlu")
    assert nlu["versions"][0]["reason"] == NASTY and NASTY in [entry["reason"] for entry in status["history"]]
    assert nlu["traffic"]["hour"]["calls"] == 1 and nlu["trials"][0]["verdict"] == "hold"
    json.dumps(status, allow_nan=False)


def test_every_field_that_the_script_reads_of_an_adapter_is_in_the_status(client):
    status = client.get("/v1/status").json()
    entry = next(each for each in status["adapters"] if each["adapter"] == "nlu")
    for name, told in {"status": status, "entry": entry, "trial": entry["trials"][0], "hour": entry["traffic"]["hour"],
                       "drift": entry["drift"], "feature": entry["drift"]["features"][0], "rules": status["deployment"],
                       "share": entry["shares"][0], "gateway": status["gateways"][0],
                       "minute": entry["traffic"]["minutes"][0]}.items():  # fmt: skip
        for field in set(re.findall(rf"\b{name}\.(\w+)", SCRIPTS)):
            assert field in told or (name == "entry" and field in status["history"][0]), f"{name}.{field}"


def test_metrics_are_prometheus_own_format(client):
    found = client.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=")
    assert 'data_foundry_calls_total{adapter="nlu",version="base"} 1.0' in found.text


def asked(lake):
    """Return what a gateway that starts now answers."""
    service = fakes.FakeService(Settings(base_path=lake.base_path))
    service.watch = Watcher(service.settings)
    with TestClient(create_app(service, fakes.Gate()), headers={"Authorization": "Bearer df-ours"}) as found:
        return found.get("/v1/status")


def test_a_registry_that_can_not_be_read_is_told_and_damaged_counts_hide_no_stage(client, lake):
    path = lake.base_path / "serving" / "tallies.sqlite"
    path.write_bytes(b"not a database, " * 300)
    status = asked(lake).json()
    assert "can't be used" in status["errors"][0] and status["history"][0]["version"] == "v8"
    Registry(lake).path.write_bytes(b"nor is this, " * 300)
    refused = asked(lake)
    assert refused.status_code == 503 and "registry" in refused.json()["error"]["message"]


@pytest.mark.skipif(NODE is None, reason="no Node is installed")
def test_a_key_given_while_the_gateway_does_not_answer_is_tried_again_and_none_is_not():
    done = subprocess.run(
        [NODE, str(Path(__file__).with_name("page_polls.js")), str(PAGE)], capture_output=True, text=True, timeout=60
    )
    assert not done.stderr and done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["keyless"] == {"asks": 1, "timers": 0, "form": True, "key": None}
    assert found["keyless, back on the tab"] == {"asks": 0, "timers": 0, "form": True, "key": None}
    assert found["key given, no answer"] == {"asks": 1, "timers": 1, "form": True, "key": "df-good"}
    assert found["still none, back on the tab"] == {"asks": 1, "timers": 1, "form": True, "key": "df-good"}
    assert found["it answers"] == {"asks": 1, "timers": 1, "form": False, "key": "df-good"}
    assert found["it knows the key no more"] == {"asks": 1, "timers": 0, "form": True, "key": None}


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("scheme", ["0", "1"], ids=["dark", "light"])
def test_a_browser_draws_the_page_and_shows_a_nasty_reason_as_text(client, tmp_path, scheme):
    server = uvicorn.Server(uvicorn.Config(client.app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom",
                 "--window-size=500,900", "--enable-logging=stderr", f"--user-data-dir={tmp_path}",
                 f"--blink-settings=preferredColorScheme={scheme}"]  # fmt: skip
        done = subprocess.run(
            [CHROMIUM, *flags, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=90
        )
    finally:
        server.should_exit = True
        thread.join()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in done.stdout and done.stdout.count("<script") == 3
    assert "4 refused" in done.stdout and "grey: refused" in done.stdout, "broken input, or none served, was a call"
    assert "7 failed" in done.stdout and "0.00 % answered" in done.stdout, "calls that were turned away were calls"
    assert "answered with an error this hour: invalid_api_key 3" in done.stdout
    assert "Nobody has approved nlu/v1" in done.stdout
    assert "was rolled back" in done.stdout and "it called all of it praise" in done.stdout
    assert "<img" not in done.stdout and "staging, hears" in done.stdout and "gateway" in done.stdout
    assert "CONSOLE" not in done.stderr and "Content Security Policy" not in done.stderr, done.stderr
