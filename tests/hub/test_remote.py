"""The client and the Hub's protocol: commits, lists, names, redirects, Xet, and what the server asks for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from email.utils import formatdate

import httpx2
import pytest

from data_foundry.config import PROJECT_ROOT, load_settings
from data_foundry.errors import FoundryError
from data_foundry.hub import fetch, fetch_all, hash_file, open_hub
from data_foundry.hub.explain import WrongAnswer
from data_foundry.hub.fetching import PARTS
from data_foundry.hub.listing import read_info, read_page
from data_foundry.hub.remote import RemoteHub
from data_foundry.ingestion.ingest import plan, run_step
from data_foundry.lake import Lake
from data_foundry.report import Outcome
from tests.hub.builders import FILES, ID, LARGE, SMALL, file_of, kept, remote, whole
from tests.ingestion.builders import NEWS, news
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


@pytest.mark.parametrize("size", [1, 2], ids=["a folder", "a folder and a file"])
@pytest.mark.parametrize("act", ["again", "around"])
def test_a_list_that_never_ends_is_left_after_the_first_repetition(hub, waits, act, size):
    hub.add("datasets", ID, FILES)
    hub.page_size = size
    hub.faults = [Fault("/tree/", act, times=99)]
    for ask in (remote(hub).snapshot, remote(hub).access):
        hub.requests.clear()
        with pytest.raises(FoundryError, match="lists a path twice"):
            ask("datasets", ID, "main")
        assert sum("/tree/" in request for request in hub.requests) == 2


def test_a_list_that_goes_on_where_the_hub_redirected_to_does_not_get_the_token(hub, waits):
    hub.allow("secret", ID)
    sha = hub.add("datasets", ID, FILES, private=False)
    hub.page_size = 1
    place = f"{hub.cdn_url}/api/datasets/{ID}/tree/{sha}?recursive=true"
    hub.faults = [Fault("/tree/", 307, times=1, headers={"Location": place})]
    with pytest.raises(FoundryError, match="the list of files goes on at another host"):
        remote(hub, "secret", retries=0).snapshot("datasets", ID, None)
    assert hub.struck and hub.cdn_tokens == {""}


@pytest.mark.parametrize(
    ("home", "following", "believed"),
    [
        ("http://hub.example.org", "/api/x?cursor=2", True),
        ("http://hub.example.org", "https://hub.example.org/api/x?cursor=2", True),
        ("https://hub.example.org/mirror", "https://hub.example.org/mirror/api/x", True),
        ("https://hub.example.org", "http://hub.example.org/api/x", False),
        ("http://hub.example.org:80", "https://hub.example.org:443/api/x", False),
        ("https://hub.example.org", "https://hub.example.org.evil.example/api/x", False),
        ("https://hub.example.org", "//evil.example/api/x", False),
    ],
)
def test_the_next_page_is_at_the_hub_itself(home, following, believed):
    link = {"Link": f'<{following}>; rel="next"'}
    request = httpx2.Request("GET", f"{home}/api/x")
    answer = httpx2.Response(200, headers=link, json=[{"type": "directory", "path": "a"}], request=request)
    if believed:
        assert read_page(answer, home)[1].endswith(following)
    else:
        with pytest.raises(WrongAnswer, match="another host"):
            read_page(answer, home)


def test_a_list_whose_paths_are_no_text_is_never_believed():
    for path in (7, None, ["a"], {}):
        listed = [{"type": "file", "path": path, "size": 1, "oid": "0" * 40}]
        answer = httpx2.Response(200, json=listed, request=httpx2.Request("GET", "http://hub.example.org"))
        with pytest.raises(WrongAnswer, match="something else than a list of files"):
            read_page(answer, "http://hub.example.org")


def test_a_list_that_goes_on_after_nothing_is_never_believed():
    link, request = {"Link": '</api/x>; rel="next"'}, httpx2.Request("GET", "http://hub.example.org")
    with pytest.raises(WrongAnswer, match="goes on after an empty page"):
        read_page(httpx2.Response(200, headers=link, json=[], request=request), "http://hub.example.org")
    assert read_page(httpx2.Response(200, json=[], request=request), "http://hub.example.org") == ([], "")


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
    monkeypatch.setattr(client, "_get", lambda url: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        client.snapshot("datasets", ID, None)


def test_a_commit_costs_one_small_request_and_a_pinned_one_none(hub, waits):
    sha = hub.add("datasets", ID, {f"{number}.csv": b"1" for number in range(99)})
    client = remote(hub)
    assert client.resolve("datasets", ID, None) == sha
    assert hub.requests == [f"GET /api/datasets/{ID}/revision/main"]
    assert client.resolve("datasets", ID, sha) == sha and len(hub.requests) == 1
    # What the Hub named itself is listed without asking for it again.
    assert len(client.snapshot("datasets", ID, sha).files) == 99
    assert hub.requests[1:] == [f"GET /api/datasets/{ID}/tree/{sha}"]
    assert client._info("datasets", ID, "main") == {"id": ID, "sha": sha, "gated": None, "tags": []}


def test_a_finished_dataset_costs_a_rerun_one_request(hub, from_loopback):
    files = {**news(), **{f"notes/{number}.txt": b"%d" % number for number in range(20)}}
    hub.add("datasets", NEWS, files)
    hub.page_size = 3
    settings = from_loopback(datasets=[NEWS])
    (step,) = plan(settings, Lake(settings))
    assert run_step(settings, step).outcome is Outcome.DONE
    hub.requests.clear()
    assert run_step(settings, step).outcome is Outcome.SKIPPED
    assert hub.requests == [f"GET /api/datasets/{NEWS}/revision/main"]
    hub.add("datasets", NEWS, {**files, "notes/0.txt": b"changed"})
    hub.requests.clear()
    assert run_step(settings, step).outcome is Outcome.DONE
    assert sum("/revision/" in request for request in hub.requests) == 1 and len(hub.file_requests()) == 1


def test_a_commit_is_resolved_without_the_parts_of_the_client_that_take_long_to_import(hub, tmp_path):
    sha = hub.add("datasets", ID, FILES)
    code = (
        "import sys; from data_foundry.hub.remote import RemoteHub\n"
        f"print(RemoteHub({hub.url!r}, environ={{}}).resolve('datasets', {ID!r}, None))\n"
        "print(sorted({'huggingface_hub.hf_api', 'datasets', 'pyarrow', 'numpy', 'torch'} & set(sys.modules)))"
    )
    environ = {**os.environ, "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(PROJECT_ROOT)}
    # The client has a request of its own for those whom another program started.
    environ |= {"AI_AGENT": "one", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == [sha, "[]", ""], done.stderr
    assert hub.requests == [f"GET /api/datasets/{ID}/revision/main"]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"id": "x/y", "sha": 7}', b'{"id": 1, "sha": "%s"}' % (b"0" * 40)])
def test_what_says_nothing_of_a_repository_is_never_believed(body):
    answer = httpx2.Response(200, content=body, request=httpx2.Request("GET", "http://hub.example.org"))
    with pytest.raises(WrongAnswer, match="something else than what it knows of a repository"):
        read_info(answer)


def test_a_mirror_that_answers_with_another_commit_is_refused(hub, waits):
    sha = hub.add("datasets", ID, FILES)
    hub.repositories["datasets", ID].commits["0" * 40] = {}
    place = f"/api/datasets/{ID}/revision/{'0' * 40}?expand=sha"
    hub.faults = [Fault("/revision/", 307, times=9, headers={"Location": place})]
    hub.faults[0].times = 1
    with pytest.raises(FoundryError, match="answered with another commit"):
        remote(hub).snapshot("datasets", ID, sha)


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


@pytest.mark.parametrize("path", ["../../escape", "/etc/x", "a/../../b", "a\x00b", "a\x1b[31mb", "a\u202egpj.exe"])
def test_a_repository_with_hostile_names_is_refused_before_anything_is_fetched(hub, waits, path):
    hub.add("datasets", ID, {**FILES, path: b"x"})
    with pytest.raises(FoundryError, match="would leave its folder or hide"):
        remote(hub).snapshot("datasets", ID, None)
    assert hub.file_requests() == []


def test_names_with_the_joiners_of_malayalam_arrive(hub, waits, tmp_path):
    # Our own words, which no native speaker checked: a chillu of the old spelling, and a conjunct kept apart.
    files = {"audio/അവന്\u200d.csv": b"1", "audio/പൂ\u200cച്ച.csv": b"2", "a\u00a0b.csv": b"3"}
    hub.add("datasets", ID, files)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert whole(tmp_path, files)


def test_names_that_differ_in_case_only_both_arrive(hub, waits, tmp_path):
    files = {"data/A.csv": b"1", "data/a.csv": b"2"}
    hub.add("datasets", ID, files)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert whole(tmp_path, files) and kept(tmp_path) == {"A.csv", "a.csv"}


def test_a_name_that_the_file_system_refuses_is_named(hub, waits, tmp_path):
    hub.add("datasets", ID, {"x" * 300: b"1", "y": b"1"})
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError, match="can't read or write"):
        for file in snapshot.files:
            fetch(client, snapshot, file, tmp_path)


def test_a_path_that_is_listed_as_a_file_and_as_a_folder_is_refused(hub, waits):
    hub.add("datasets", ID, {"a": b"1", "a/b": b"1"})
    with pytest.raises(FoundryError, match="lists a path twice"):
        remote(hub).snapshot("datasets", ID, None)


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
    with pytest.raises(
        FoundryError,
        match="answers 429, too many requests in a time; it asks to wait 7200 s, and a run waits 330 s at most",
    ):
        remote(hub).snapshot("datasets", ID, None)
    assert waits == []


@pytest.mark.parametrize("token", ["", "hf_some"])
def test_a_rate_limit_is_explained_and_a_token_named_where_there_is_none(hub, waits, token):
    hub.allow(token or "hf_other")
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault("/api/", 429, times=99)]
    with pytest.raises(FoundryError, match="answers 429, too many requests in a time after 4 tries") as raised:
        remote(hub, token).snapshot("datasets", ID, None)
    assert ("raises the Hub's limit" in raised.value.hint) == (not token)


def test_a_quick_look_does_not_speak_of_the_setting_that_it_does_not_use(hub, from_loopback, waits):
    hub.faults = [Fault("/api/", 503, times=99)]
    with pytest.raises(FoundryError, match="answers 503 after 2 tries; a quick look tries no more") as raised:
        open_hub(from_loopback(hub={"retries": 5}), patient=False).snapshot("datasets", ID, None)
    assert "hub.retries =" not in raised.value.message


def test_a_hub_that_nobody_answers_for_is_given_up_soon(waits):
    from data_foundry.hub.patience import Patience

    client = RemoteHub("http://127.0.0.1:9", Patience(9, 99), environ={})
    with pytest.raises(FoundryError, match=r"can't reach http://127\.0\.0\.1:9 after 3 tries: .*; more are no use"):
        client.snapshot("datasets", ID, None)
    assert len(waits) == 2
    with pytest.raises(FoundryError, match=r"the Hub: can't reach http://127\.0\.0\.1:9: "):
        client.reach()


def test_an_endpoint_that_redirects_is_reached(hub, waits):
    hub.faults = [Fault("/api/datasets", 308, headers={"Location": f"{hub.cdn_url}/api/datasets"})]
    remote(hub).reach()
    assert hub.struck and hub.cdn_tokens == {""}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_hub_that_stumbles_is_not_put_down_to_a_proxy(hub, waits, status):
    hub.faults = [Fault("/api/datasets", status)]
    with pytest.raises(FoundryError, match=rf"the Hub: {hub.url} answers {status}\.") as raised:
        remote(hub).reach()
    assert "Run again later" in raised.value.hint and "proxy" not in str(raised.value)


def test_the_settings_reach_the_client(from_loopback):
    limits = {"retries": 1, "retry_budget": 7, "stall_seconds": 3, "xet": False}
    settings = from_loopback(hub={**limits, "max_parallel_downloads": 9})
    client = open_hub(settings)
    assert isinstance(client, RemoteHub) and isinstance(open_hub(load_settings(environ={})), RemoteHub)
    assert (client.patience.retries, client.patience.budget, client.stall_seconds, client.parallel) == (1, 7, 3.0, 9)
    assert client.patience.ledger.file == settings.base_path / "storage/.hub_retries"
    assert not settings.base_path.exists()
