"""Base models in the client's cache: verified, healed, and fetched in spite of faults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.hub import model_folder, model_revision
from tests.hub.builders import whole
from tests.loopback_hub import Fault

MODEL = {
    "config.json": b"{}",
    "model.safetensors": b"\1" * 99,
    "tf_model.h5": b"\2" * 99,
    "pytorch_model.bin": b"\3" * 99,
}


def test_a_model_comes_verified_and_without_weights_of_other_frameworks(hub, from_loopback):
    settings = from_loopback()
    sha = hub.add("models", "owner/base", MODEL)
    hub.faults = [Fault("model.safetensors", "corrupt")]
    folder = model_folder(settings, "owner/base")
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == MODEL["model.safetensors"]
    assert model_revision(settings, "owner/base", resolve=True) == folder.name == sha
    hub.requests.clear()
    assert model_folder(settings, "owner/base", sha) == folder
    assert hub.file_requests() == []


def test_a_ref_is_known_by_the_commit_that_it_was_brought_at_last_and_nobody_is_asked(hub, from_loopback):
    settings = from_loopback()
    first = hub.add("models", "owner/moving", MODEL)
    assert model_revision(settings, "owner/moving") == "main", "it was never brought"
    model_folder(settings, "owner/moving")
    hub.requests.clear()
    assert model_revision(settings, "owner/moving") == first
    second = hub.add("models", "owner/moving", {**MODEL, "config.json": b"{ }"})
    assert model_revision(settings, "owner/moving") == first != second
    assert hub.requests == []
    assert model_folder(settings, "owner/moving").name == second
    assert model_revision(settings, "owner/moving") == second
    assert model_revision(settings, "owner/moving", first) == first, "a commit needs no ref"


@pytest.mark.parametrize("act", ["reset", 500, "hangup"])
def test_a_model_survives_faults_of_its_download_and_xet_without_a_server(hub, from_loopback, act):
    hub.add("models", "owner/base", MODEL)
    hub.xet = True
    hub.faults = [Fault("config.json", act), Fault("model.safetensors", act)]
    folder = model_folder(from_loopback(), "owner/base")
    assert whole(folder, {name: MODEL[name] for name in ("config.json", "model.safetensors")})


def test_a_model_whose_bytes_stay_wrong_is_refused_and_not_left_in_the_cache(hub, from_loopback):
    hub.add("models", "owner/base", MODEL)
    hub.faults = [Fault("model.safetensors", "corrupt", times=99)]
    with pytest.raises(FoundryError, match=r"model\.safetensors has sha256"):
        model_folder(from_loopback(), "owner/base")
    hub.faults = []
    assert whole(model_folder(from_loopback(), "owner/base"), {"model.safetensors": MODEL["model.safetensors"]})


def test_an_interrupt_does_not_wait_for_a_model_that_never_comes(hub, tmp_path):
    hub.add("models", "owner/base", MODEL)
    hub.faults = [Fault("/resolve/", "silent", times=99, method="")]
    code = (
        "import sys; from data_foundry.hub.remote import RemoteHub\n"
        "try: RemoteHub(sys.argv[1], environ={}).model_folder('owner/base', None)\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    environ = {**os.environ, "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(PROJECT_ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, hub.url], env=environ, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not hub.struck and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    # Far less than the 30 s for which a stall is borne.
    said = process.communicate(timeout=15)[1]
    assert process.returncode == 130 and hub.struck, said


def test_parts_that_killed_downloads_of_a_model_left_are_swept_once_they_are_old(hub, from_loopback, tmp_path):
    hub.add("models", "owner/base", MODEL)
    blobs = tmp_path / "cache/models--owner--base/blobs"
    blobs.mkdir(parents=True)
    old, young = blobs / "aa.1234.incomplete", blobs / "bb.1234.incomplete"
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (1, 1))
    model_folder(from_loopback(), "owner/base")
    assert not old.exists() and young.exists()
