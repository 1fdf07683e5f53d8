"""The client and the Hub's protocol: commits, lists, names, redirects, Xet, and what the server asks for."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from data_foundry.config import load_settings
from data_foundry.errors import FoundryError
from data_foundry.hub import fetch, fetch_all, hash_file, open_hub
from data_foundry.hub.fetching import PARTS
from data_foundry.hub.remote import RemoteHub
from tests.hub.builders import FILES, ID, LARGE, SMALL, file_of, kept, remote, whole
from tests.loopback_hub import Fault, Item


def test_a_commit_is_resolved_once_and_every_file_comes_from_it(hub, waits, tmp_path):
    first = hub.add("datasets", ID, FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    hub.add("datasets", ID, {**FILES, "README.md": b"# Moved\n"})
    assert snapshot.revision == first
    for file in snapshot.files:
        fetched = fetch(client, snapshot, file, tmp_path / "out")
        assert fetched.travelled and fetched.sha256 == hash_file(tmp_path / "out" / file.path)[1]
    assert whole(tmp_path / "out")
    again = fetch(client, snapshot, snapshot.files[0], tmp_path / "out")
    assert not again.travelled and again.sha256 == hash_file(tmp_path / "out" / snapshot.files[0].path)[1]
    assert client.snapshot("datasets", ID, first).revision == first


def test_a_file_costs_one_request_and_finished_ones_none(hub, waits, tmp_path):
    hub.add("datasets", ID, FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    assert all(each.travelled for each in fetch_all(client, snapshot, snapshot.files, tmp_path, 2).values())
    assert sorted(request.split()[0] for request in hub.file_requests()) == ["GET"] * 3
    hub.requests.clear()
    assert not any(each.travelled for each in fetch_all(client, snapshot, snapshot.files, tmp_path, 2).values())
    assert hub.requests == [] and whole(tmp_path)


def test_a_ref_that_moves_between_two_requests_changes_nothing(hub, waits, tmp_path):
    first = hub.add("datasets", ID, FILES)
    moves = lambda: hub.add("datasets", ID, {name: data[::-1] for name, data in FILES.items()})  # noqa: E731
    hub.faults = [Fault("/tree/", moves), Fault(SMALL, moves)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    fetch_all(client, snapshot, snapshot.files, tmp_path, 1)
    assert snapshot.revision == first and len(hub.repositories["datasets", ID].commits) == 3
    assert whole(tmp_path)


def test_a_long_list_of_files_is_read_page_by_page(hub, waits):
    files = {f"data/{number:03}.txt": b"%d" % number for number in range(25)}
    hub.add("datasets", ID, files)
    hub.page_size = 7
    hub.faults = [Fault("/tree/", 503), Fault("/tree/", "drop"), Fault("/tree/", "html")]
    assert {file.path for file in remote(hub).snapshot("datasets", ID, None).files} == set(files)
    assert len(waits) == 3


def test_a_list_without_hashes_is_never_believed(hub, waits):
    sha = hub.add("datasets", ID, FILES)
    commit = hub.repositories["datasets", ID].commits[sha]
    for change in ({"oid": "main"}, {"oid": ""}, {"size": -1}):
        commit[SMALL] = replace(Item.of(SMALL, FILES[SMALL]), **change)
        with pytest.raises(FoundryError, match="something else than a list of files"):
            remote(hub).snapshot("datasets", ID, None)


def test_a_defect_of_this_program_is_not_called_an_outage(hub, monkeypatch):
    hub.add("datasets", ID, FILES)
    client = remote(hub)
    monkeypatch.setattr(client, "_page", lambda url: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        client.snapshot("datasets", ID, None)


def test_a_pinned_revision_that_is_gone_is_not_replaced_by_another(hub, waits):
    hub.add("datasets", ID, FILES)
    with pytest.raises(FoundryError, match="the pinned revision is gone"):
        remote(hub).snapshot("datasets", ID, "0" * 40)


def test_an_api_that_never_answers_is_given_up(hub, waits):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault("/api/datasets/", "silent", times=9)]
    with pytest.raises(FoundryError, match=r"can't reach .* after 3 tries: ReadTimeout"):
        remote(hub, stall_seconds=0.2, retries=2).snapshot("datasets", ID, None)


def test_a_redirect_to_another_host_does_not_take_the_token_along(hub, waits, tmp_path):
    hub.allow("secret", ID)
    hub.add("datasets", ID, FILES, private=True)
    hub.cdn = True
    client = remote(hub, "secret")
    snapshot = client.snapshot("datasets", ID, None)
    fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert whole(tmp_path)
    assert hub.seen_tokens == {"Bearer secret"} and hub.cdn_tokens == {""}


def test_another_commit_behind_a_redirect_is_refused(hub, waits, tmp_path):
    hub.add("datasets", ID, FILES)
    hub.cdn = True
    hub.faults = [Fault(f"/resolve/{'0' * 40}", 404), Fault("/datasets/", "commit", times=99)]
    client = remote(hub, retries=0)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError, match="answered from commit ffff"):
        fetch(client, snapshot, file_of(snapshot, LARGE), tmp_path)


@pytest.mark.parametrize("on", [True, False])
def test_xet_without_its_server_falls_back_to_plain_http_with_one_warning(hub, waits, tmp_path, caplog, on):
    files = {**FILES, "data/train-00001.parquet": b"second" * 99}
    hub.add("datasets", ID, files)
    hub.xet = True
    client = remote(hub, xet=on)
    snapshot = client.snapshot("datasets", ID, None)
    assert [file.path for file in snapshot.files if file.xet] == [LARGE, "data/train-00001.parquet"]
    with caplog.at_level("WARNING", logger="data_foundry"):
        fetch_all(client, snapshot, snapshot.files, tmp_path, 1)
    assert whole(tmp_path, files)
    told = [record.getMessage() for record in caplog.records if "Xet failed" in record.getMessage()]
    assert len(told) == on and any("xet-read-token" in request for request in hub.requests) == on
    assert list((tmp_path / PARTS).iterdir()) == []


def test_a_refusal_is_not_put_down_to_xet(hub, waits, tmp_path, caplog):
    hub.add("datasets", ID, FILES, gated=True)
    hub.xet = True
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError, match="is gated"):
        fetch(client, snapshot, file_of(snapshot, LARGE), tmp_path)
    assert "Xet failed" not in caplog.text and client._downloads.by_xet(file_of(snapshot, LARGE))


def test_a_renamed_repository_is_followed_and_named(hub, waits, tmp_path, caplog):
    hub.add("datasets", ID, FILES)
    hub.rename("datasets", ID, "owner/new")
    client = remote(hub)
    with caplog.at_level("WARNING", logger="data_foundry"):
        snapshot = client.snapshot("datasets", ID, None)
    assert "owner/name was renamed: the Hub sends to owner/new" in caplog.text
    fetch_all(client, snapshot, snapshot.files, tmp_path, 1)
    assert whole(tmp_path)
    assert client.access("datasets", ID)["renamed_to"] == "owner/new"


@pytest.mark.parametrize("path", ["../../escape", "/etc/x", "a/../../b", "a\x00b", "a\x1b[31mb"])
def test_a_repository_with_hostile_names_is_refused_before_anything_is_fetched(hub, waits, path):
    hub.add("datasets", ID, {**FILES, path: b"x"})
    with pytest.raises(FoundryError, match="would leave its folder or hide"):
        remote(hub).snapshot("datasets", ID, None)
    assert hub.file_requests() == []


def test_names_that_differ_in_case_only_both_arrive(hub, waits, tmp_path):
    files = {"data/A.csv": b"1", "data/a.csv": b"2"}
    hub.add("datasets", ID, files)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert whole(tmp_path, files) and kept(tmp_path) == {"A.csv", "a.csv"}


@pytest.mark.parametrize("names", [("a", "a/b"), ("x" * 300, "y")], ids=["a file and a folder", "too long"])
def test_names_that_the_file_system_refuses_are_named(hub, waits, tmp_path, names):
    hub.add("datasets", ID, dict.fromkeys(names, b"1"))
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError, match="can't write to"):
        for file in snapshot.files:
            fetch(client, snapshot, file, tmp_path)


def test_a_link_at_a_files_place_is_replaced_and_not_followed(hub, waits, tmp_path):
    hub.add("datasets", ID, FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    outside = tmp_path / "outside"
    outside.write_bytes(FILES["README.md"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README.md").symlink_to(outside)
    assert fetch(client, snapshot, file_of(snapshot, "README.md"), tmp_path / "out").travelled
    assert not (tmp_path / "out/README.md").is_symlink()


def test_the_server_says_how_long_to_wait(hub, waits):
    hub.add("datasets", ID, FILES)
    date = formatdate(time.time() + 40, usegmt=True)
    hub.faults = [
        Fault("/api/", 429, headers={"Retry-After": "17"}),
        Fault("/api/", 429, headers={"Retry-After": date}),
        Fault("/api/", 429, headers={"RateLimit": '"api";r=0;t=55'}),
    ]
    remote(hub).snapshot("datasets", ID, None)
    assert 17 <= waits[0] < 18 and 20 < waits[1] < 25 and 55 <= waits[2] < 56


def test_a_wish_that_is_too_long_is_named_at_once(hub, waits):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault("/api/", 429, headers={"Retry-After": "7200"})]
    with pytest.raises(FoundryError, match="answers 429; it asks to wait 7200 s, and a run waits 330 s at most"):
        remote(hub).snapshot("datasets", ID, None)
    assert waits == []


def test_a_hub_that_nobody_answers_for_is_given_up_soon(waits):
    from data_foundry.hub.patience import Patience

    client = RemoteHub("http://127.0.0.1:9", Patience(9, 99), environ={})
    with pytest.raises(FoundryError, match=r"can't reach http://127\.0\.0\.1:9 after 3 tries"):
        client.snapshot("datasets", ID, None)
    assert len(waits) == 2
    with pytest.raises(FoundryError, match=r"the Hub: can't reach http://127\.0\.0\.1:9: "):
        client.reach()


def test_the_settings_reach_the_client(from_loopback):
    limits = {"retries": 1, "retry_budget": 7, "stall_seconds": 3, "xet": False}
    settings = from_loopback(hub={**limits, "max_parallel_downloads": 9})
    client = open_hub(settings)
    assert isinstance(client, RemoteHub) and isinstance(open_hub(load_settings(environ={})), RemoteHub)
    assert (client.patience.retries, client.patience.budget, client.stall_seconds, client.parallel) == (1, 7, 3.0, 9)
    assert client.patience.ledger.file == settings.base_path / "storage/.hub_retries"
    assert not settings.base_path.exists()
