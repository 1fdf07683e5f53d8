"""What the Hub refuses is told apart by what it really answers, with the page to click; the token shows nowhere."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.errors import FoundryError
from data_foundry.hub import fetch_all, open_hub
from data_foundry.hub.remote import RemoteHub
from tests.hub.builders import FILES, ID, remote
from tests.ingestion.builders import COMMENTS, NEWS, comments, news
from tests.loopback_hub import Fault

SECRET = "hf_averysecrettoken"
FINE = {"role": "fineGrained", "fineGrained": {"canReadGatedRepos": False, "scoped": []}}
AWAIT = "Your request to access dataset owner/name is awaiting a review from the repo authors."
REJECT = "Your request to access dataset owner/name has been rejected by the repo's authors."
ENABLE = (
    "Please enable access to public gated repositories in your fine-grained token settings to view this repository."
)
DISABLED = "Access to this resource is disabled."
SCOPE = "Forbidden: this token has no permission to read this repository"

# case: (token, what whoami tells, repository, message, hint)
REFUSED = {
    "gated, no token": ("", {}, {"gated": True}, r"is gated \(401\) and no access token", "set HUGGINGFACE_TOKEN or"),
    "terms not accepted": (SECRET, {}, {"gated": True}, "the account 'tester' has not accepted", "Accept them at"),
    "awaiting": (SECRET, {}, {"refuse": (403, "GatedRepo", AWAIT)}, "waits for its owners", "Wait until"),
    "rejected": (SECRET, {}, {"refuse": (403, "GatedRepo", REJECT)}, "owners rejected the account", "Ask them at"),
    "no gated scope": (SECRET, FINE, {"refuse": (403, "", ENABLE)}, "fine-grained token .* may not read", "Allow it"),
    "gated, fine-grained": (SECRET, FINE, {"gated": True}, "fine-grained token of .* may not read gated", "Allow it"),
    "disabled": (SECRET, {}, {"refuse": (403, "", DISABLED)}, "the Hub has disabled this repository", "Nobody"),
    "wrong scope": (SECRET, FINE, {"refuse": (403, "", SCOPE)}, "fine-grained token of .*'tester' lacks", "read"),
    "forbidden": (SECRET, {}, {"refuse": (403, "", "no")}, r"token of .* lacks the right .* \(403\) \(no\)", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_may_not_be_read_are_explained_with_the_page_to_click(hub, waits, tmp_path, case):
    token, auth, access, message, hint = REFUSED[case]
    hub.allow(SECRET, "other/one", **auth)
    hub.add("datasets", ID, FILES, **access)
    client = remote(hub, token)
    snapshot = client.snapshot("datasets", ID, None)
    for ask in (
        lambda: fetch_all(client, snapshot, snapshot.files, tmp_path, 1),
        lambda: client.access("datasets", ID),
    ):
        with pytest.raises(FoundryError, match=message) as raised:
            ask()
        assert ID in raised.value.message and hint in raised.value.hint
        assert f"{hub.url}/datasets/{ID}" in raised.value.hint or f"{hub.url}/settings/tokens" in raised.value.hint
        assert SECRET not in str(raised.value)
    assert waits == []
    hub.allow(SECRET, ID)
    assert not token or fetch_all(client, snapshot, snapshot.files, tmp_path, 1)


UNSEEN = {
    "missing": ("", None, r"no such repository .* \(401\): missing, renamed, or private; without a token"),
    "missing, with a token": (SECRET, None, r"no such repository .* \(404\): .* hidden from the account 'tester'"),
    "private": ("", {"private": True}, r"no such repository .* \(401\): missing, renamed, or private"),
    "private to others": (SECRET, {"private": True}, r"no such repository .* hidden from the account 'tester'"),
    "wrong token": ("hf_wrong", {}, r"refuses the access token \(401\): it is wrong; .* public data, too"),
    "wrong token, missing": ("hf_wrong", None, r"refuses the access token \(401\)"),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_a_repository_that_can_not_be_seen_is_explained(hub, waits, case):
    token, access, message = UNSEEN[case]
    hub.allow(SECRET)
    if access is not None:
        hub.add("datasets", ID, FILES, **access)
    with pytest.raises(FoundryError, match=message) as raised:
        remote(hub, token).snapshot("datasets", ID, None)
    assert ID in raised.value.message and hub.url in raised.value.hint
    assert not token or token not in str(raised.value)
    assert waits == []


def test_a_fine_grained_token_that_lacks_a_repository_is_suspected(hub, waits):
    hub.allow(SECRET, **FINE)
    with pytest.raises(FoundryError, match="its fine-grained token may lack this repository"):
        remote(hub, SECRET).snapshot("datasets", ID, None)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X-Error-Message": 'User Access Token "x" has expired'}, "it has expired"),
        ({"X-Error-Code": "RepoNotFound"}, "no such repository"),
        ({}, "it is wrong"),
    ],
)
def test_a_401_with_a_token_is_read_by_its_code_and_message(hub, waits, headers, message):
    hub.allow(SECRET)
    hub.faults = [Fault("/api/datasets/", 401, headers=headers)]
    with pytest.raises(FoundryError, match=message):
        remote(hub, SECRET).snapshot("datasets", ID, None)


@pytest.mark.parametrize("path", ["/api/datasets/", "/tree/", "/resolve/"])
def test_a_token_that_the_server_echoes_shows_nowhere(hub, waits, tmp_path, caplog, path):
    hub.allow(SECRET, ID)
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault(path, "echo", times=99)]
    client = remote(hub, SECRET)
    with (
        caplog.at_level(logging.DEBUG, logger="data_foundry"),
        pytest.raises(FoundryError, match="not with Bearer <token>") as raised,
    ):
        snapshot = client.snapshot("datasets", ID, None)
        fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert SECRET not in str(raised.value) + caplog.text + repr(client)
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


@pytest.mark.parametrize("length", [130, 140, 180, 190, 199])
def test_a_token_that_is_echoed_where_a_message_is_cut_shows_no_beginning(hub, waits, tmp_path, caplog, length):
    hub.allow(SECRET)
    padded = "x" * length + SECRET
    hub.add("datasets", ID, FILES, refuse=(403, "", padded))
    client = remote(hub, SECRET, retries=1)
    snapshot = client.snapshot("datasets", ID, None)
    said = []
    with caplog.at_level(logging.DEBUG, logger="data_foundry"):
        with pytest.raises(FoundryError, match="xxxx") as raised:
            fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
        said.append(str(raised.value))
        # Of a wrong answer, the log tells what came.
        hub.faults = [Fault("/tree/", 200, times=9, headers={"Content-Type": padded})]
        with pytest.raises(FoundryError, match="something else than a list") as raised:
            client.snapshot("datasets", ID, None)
        said.append(str(raised.value))
    assert "something else than a list" in caplog.text
    assert SECRET[:4] not in "".join(said) + caplog.text


@pytest.mark.parametrize(
    "address",
    ["https://someone:sesame@hub.example.org/path", "https://hub.example.org?token=sesame", "https://x.org/#sesame"],
)
def test_an_endpoint_that_holds_a_secret_is_refused_without_showing_it(address):
    with pytest.raises(FoundryError, match="HF_ENDPOINT holds") as caught:
        RemoteHub(environ={"HF_ENDPOINT": address})
    assert "sesame" not in str(caught.value)


def test_a_token_that_stands_in_the_endpoint_is_refused_without_showing_it():
    environ = {"HF_ENDPOINT": f"https://hub.example.org/{SECRET}/", "HF_TOKEN": SECRET}
    with pytest.raises(FoundryError, match="HF_ENDPOINT holds the access token") as caught:
        RemoteHub(environ=environ)
    assert SECRET not in str(caught.value)


def test_an_endpoint_is_a_web_address():
    assert RemoteHub(environ={"HF_ENDPOINT": "https://hub.example.org/a@b/"}).name == "https://hub.example.org/a@b"
    for address in ("hub.example.org", "ftp://x.org", "https://"):
        with pytest.raises(FoundryError, match="is no web address"):
            RemoteHub(environ={"HF_ENDPOINT": address})


@pytest.mark.parametrize(
    "value",
    ["hf_wrongtoken123\n4567890", "hf_wrongtoken123 4567890", "hf_wrongtoken123\u0d34", "'hf_wrongtoken123'", "\x7f"],
    ids=["line break", "blank", "Malayalam", "quotes", "control"],
)
def test_what_can_not_be_a_token_is_refused_before_any_request_and_never_shown(hub, value):
    with pytest.raises(FoundryError, match="HF_TOKEN holds no access token") as caught:
        RemoteHub(hub.url, environ={"HF_TOKEN": value})
    assert "wrongtoken" not in str(caught.value) and hub.requests == []


def test_the_token_is_taken_from_either_variable_and_never_from_a_login(hub, waits, tmp_path, monkeypatch):
    hub.allow(SECRET, ID)
    hub.add("datasets", ID, FILES, private=True)
    login = tmp_path / "login"
    login.write_text(SECRET)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(login))
    for environ in ({"HUGGINGFACE_TOKEN": SECRET}, {"HF_TOKEN": f" {SECRET}\n"}):
        client = RemoteHub(hub.url, environ=environ)
        assert client.snapshot("datasets", ID, None).files and SECRET not in repr(client)
        assert (client.account() or {})["name"] == "tester"
    assert hub.seen_tokens == {f"Bearer {SECRET}"}
    hub.requests.clear()
    without = RemoteHub(hub.url, environ={})
    with pytest.raises(FoundryError, match="no such repository") as raised:
        without.snapshot("datasets", ID, None)
    assert "`hf auth login` left on this machine is not read" in raised.value.hint and without.account() is None
    assert RemoteHub(hub.url, environ={"HF_TOKEN": "hf_wrong"}).account() == {"status": 401}


def test_without_a_token_nobody_is_asked_who_it_belongs_to(hub, from_loopback):
    assert open_hub(from_loopback()).account() is None
    assert hub.requests == []


def test_no_output_or_file_of_a_run_holds_the_token(hub, tmp_path):
    hub.allow(SECRET)
    hub.add("datasets", NEWS, news())
    hub.add("datasets", COMMENTS, comments(), sha=DATASET_REGISTRY[COMMENTS].revision or "")
    hub.faults = [Fault(f"/datasets/{COMMENTS}/resolve", "echo", times=99), Fault("/resolve/", 503), Fault("", "echo")]
    base, home = tmp_path / "base", tmp_path / "home"
    environ = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": SECRET, "HF_HOME": str(home)}
    environ |= {"NO_PROXY": "127.0.0.1", "PYTHONPATH": str(PROJECT_ROOT)}
    script = str(PROJECT_ROOT / "phase1-ingestion/ingest_hf_data.py")
    flags = ["--base-path", str(base), "--datasets", NEWS, COMMENTS]
    said = ""
    for command in ([script, *flags], [script, *flags], ["-m", "data_foundry", "doctor", *flags]):
        done = subprocess.run([sys.executable, *command], env=environ, capture_output=True, text=True, check=False)
        said += done.stdout + done.stderr
    assert "<token>" in said and COMMENTS in said and f"Bearer {SECRET}" in hub.seen_tokens
    files = [path for folder in (base, home) for path in folder.rglob("*") if path.is_file()]
    assert any("log" in path.name for path in files) and any("report" in path.name for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in said
