"""Base models in the client's cache: verified, healed, and fetched in spite of faults."""

from __future__ import annotations

import os

import pytest

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
    assert model_revision(settings, "owner/base") == "main"
    assert model_revision(settings, "owner/base", resolve=True) == folder.name == sha
    hub.requests.clear()
    assert model_folder(settings, "owner/base", sha) == folder
    assert hub.file_requests() == []


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
