"""The real client against a Hub on loopback: faults told apart, waited out or given up, and wrong bytes never kept."""

from __future__ import annotations

import pytest

from data_foundry.config import load_settings
from data_foundry.errors import FoundryError
from data_foundry.hub import fetch, hash_file, model_folder, model_revision, open_hub
from data_foundry.hub.remote import RemoteHub
from tests.loopback_hub import Fault, LoopbackHub

FILES = {"README.md": b"# Card\n", "data/train-00000.parquet": bytes(range(256)) * 512, "data/b.csv": b"id\n1\n"}


def remote(hub: LoopbackHub, token: str = "", retries: int = 3) -> RemoteHub:
    return RemoteHub(hub.url, retries=retries, environ={"HF_TOKEN": token} if token else {})


def test_a_commit_is_resolved_once_and_every_file_comes_from_it(hub, waits, tmp_path):
    first = hub.add("datasets", "owner/name", FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", "owner/name", None)
    hub.add("datasets", "owner/name", {**FILES, "README.md": b"# Moved\n"})
    assert snapshot.revision == first
    for file in snapshot.files:
        assert fetch(client, snapshot, file, tmp_path / "out") is True
        assert (tmp_path / "out" / file.path).read_bytes() == FILES[file.path]
        assert hash_file(tmp_path / "out" / file.path)[0 if file.sha256 is None else 1] == file.git_blob or file.sha256
    assert fetch(client, snapshot, snapshot.files[0], tmp_path / "out") is False
    assert client.snapshot("datasets", "owner/name", first).revision == first


CASES = {
    "missing": ("", {}, "no such repository .* missing, renamed, or private"),
    "missing, with a token": ("good", {}, r"no such repository .* \(404\)"),
    "private": ("", {"private": True}, "no such repository .* or private; then set HUGGINGFACE_TOKEN or HF_TOKEN"),
    "bad token": ("bad-secret", {}, "refuses the access token"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_repository_that_can_not_be_read_is_explained(hub, waits, case):
    token, access, message = CASES[case]
    hub.allow("good")
    if access:
        hub.add("datasets", "owner/name", FILES, **access)
    with pytest.raises(FoundryError, match=message) as raised:
        remote(hub, token).snapshot("datasets", "owner/name", None)
    assert "owner/name" in raised.value.message and raised.value.hint
    assert not token or token not in str(raised.value)
    assert waits == []


@pytest.mark.parametrize(("token", "step"), [("", "set HUGGINGFACE_TOKEN or HF_TOKEN"), ("good", "ask for access")])
def test_gated_data_says_where_to_click(hub, waits, tmp_path, token, step):
    hub.allow("good", "other/one")
    hub.add("datasets", "owner/name", FILES, gated=True)
    client = remote(hub, token)
    snapshot = client.snapshot("datasets", "owner/name", None)
    with pytest.raises(FoundryError, match="is gated") as raised:
        fetch(client, snapshot, snapshot.files[0], tmp_path)
    assert f"{hub.url}/datasets/owner/name" in raised.value.hint and step in raised.value.hint
    hub.allow("good", "owner/name")
    assert not token or fetch(client, snapshot, snapshot.files[0], tmp_path)


def test_a_revision_that_is_gone_is_not_replaced_by_another(hub, waits):
    hub.add("datasets", "owner/name", FILES)
    with pytest.raises(FoundryError, match="the pinned revision is gone"):
        remote(hub).snapshot("datasets", "owner/name", "0" * 40)


def test_a_hub_that_nobody_answers_for_is_given_up_soon(waits):
    with pytest.raises(FoundryError, match=r"can't reach http://127\.0\.0\.1:9 after 3 tries"):
        RemoteHub("http://127.0.0.1:9", retries=9, environ={}).snapshot("datasets", "owner/name", None)
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize("path", ["/api/datasets/owner/name", "/resolve/"])
def test_a_burst_of_server_errors_is_waited_out_longer_each_time(hub, waits, tmp_path, path):
    hub.add("datasets", "owner/name", FILES)
    hub.faults = [Fault(path, 503, times=3)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", "owner/name", None)
    assert fetch(client, snapshot, snapshot.files[-1], tmp_path)
    assert waits == [1.0, 2.0, 4.0]


def test_the_server_says_how_long_to_wait(hub, waits):
    hub.add("datasets", "owner/name", FILES)
    hub.faults = [Fault("/api/", 429, headers={"Retry-After": "17"}), Fault("/api/", 503)]
    remote(hub).snapshot("datasets", "owner/name", None)
    assert waits == [17.0, 2.0]


def test_a_server_that_never_recovers_is_given_up(hub, waits):
    hub.add("datasets", "owner/name", FILES)
    hub.faults = [Fault("/api/", 500, times=99)]
    with pytest.raises(FoundryError, match="answers 500 after 4 tries"):
        remote(hub).snapshot("datasets", "owner/name", None)


@pytest.mark.parametrize("act", ["corrupt", "reset", "short", "html"])
def test_a_file_that_arrives_wrong_once_is_fetched_again(hub, waits, tmp_path, act):
    hub.add("datasets", "owner/name", FILES)
    hub.faults = [Fault("train-00000.parquet", act)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", "owner/name", None)
    file = next(file for file in snapshot.files if file.sha256)
    assert fetch(client, snapshot, file, tmp_path)
    assert (tmp_path / file.path).read_bytes() == FILES[file.path]


@pytest.mark.parametrize("name", ["data/train-00000.parquet", "data/b.csv"])
def test_wrong_bytes_of_the_right_length_are_never_kept(hub, waits, tmp_path, name):
    hub.add("datasets", "owner/name", FILES)
    hub.faults = [Fault(name, "corrupt", times=99)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", "owner/name", None)
    file = next(file for file in snapshot.files if file.path == name)
    with pytest.raises(FoundryError, match=r"owner/name: .* has (sha256|git hash) \w+ instead of .*, 3 times in a row"):
        fetch(client, snapshot, file, tmp_path)
    assert not (tmp_path / name).exists()


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


def test_a_model_whose_bytes_stay_wrong_is_refused(hub, from_loopback):
    hub.add("models", "owner/base", MODEL)
    hub.faults = [Fault("model.safetensors", "corrupt", times=99)]
    with pytest.raises(FoundryError, match=r"model\.safetensors has sha256"):
        model_folder(from_loopback(), "owner/base")


def test_the_token_is_taken_from_either_variable_and_shows_in_no_text(hub, waits):
    hub.allow("hf_secret", "owner/name")
    hub.add("datasets", "owner/name", FILES, private=True)
    client = RemoteHub(hub.url, environ={"HUGGINGFACE_TOKEN": "hf_secret"})
    assert client.snapshot("datasets", "owner/name", None).files
    assert hub.seen_tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in repr(client)
    assert isinstance(open_hub(load_settings(environ={})), RemoteHub)
