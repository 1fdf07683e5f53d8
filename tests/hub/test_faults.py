"""Every fault of a Hub: one that passes leaves no trace, one that lasts is named, and wrong bytes are never kept."""

from __future__ import annotations

import pytest

from data_foundry.errors import FoundryError
from data_foundry.hub import fetch, fetch_all
from data_foundry.hub.fetching import PARTS
from tests.hub.builders import FILES, ID, LARGE, SMALL, file_of, kept, remote, whole
from tests.loopback_hub import Fault

PASSING = {
    **{f"{status} on {path}": (path, status) for status in (500, 503) for path in (f"/api/datasets/{ID}", "/tree/")},
    **{f"{status} on a file": (LARGE, status) for status in (408, 429, 500, 502, 503, 504)},
    **{f"{act} of {path}": (path, act) for act in ("drop", "html") for path in (f"/api/datasets/{ID}", "/tree/")},
    **{act: (LARGE, act) for act in ("corrupt", "reset", "hangup", "short", "long", "html", "commit", "drop")},
    **{f"small file, {act}": (SMALL, act) for act in ("corrupt", "reset", "hangup", "short", "long", "html", "commit")},
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_leaves_no_trace(hub, waits, tmp_path, fault):
    path, act = PASSING[fault]
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault(path, act, times=2)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert len(hub.struck) == 2 and whole(tmp_path)
    assert kept(tmp_path) == {"README.md", "b.csv", "train-00000.parquet"}
    assert list((tmp_path / PARTS).iterdir()) == []


@pytest.mark.parametrize("act", ["etag", "bare", "norange"])
def test_what_headers_say_or_leave_out_does_not_matter_where_the_bytes_are_right(hub, waits, tmp_path, act):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault(LARGE, "reset"), Fault(LARGE, act, times=9)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    fetch_all(client, snapshot, snapshot.files, tmp_path, 1)
    assert whole(tmp_path)


LASTING = {
    "corrupt": rf"{ID}: {LARGE} has sha256 \w+ instead of \w+, 3 times in a row",
    "short": r"the server sent 65536 bytes instead of 131072 after 4 tries",
    "long": r"the server sent 262144 bytes instead of 131072 after 4 tries",
    "html": r"the server sent 24 bytes instead of 131072: a web page after 4 tries",
    "commit": r"the server answered from commit ffff\w+ instead of",
    "reset": r"can't reach .* connection lost",
    "hangup": r"can't reach .* after \d+ tries",
    "drop": r"can't reach .* connection lost",
    500: r"answers 500 after 4 tries; hub.retries = 3 allows no more\.\n",
    404: r"answers 404, without a reason that a Hub would give",
    503: r"answers 503 after 4 tries",
    429: r"answers 429, too many requests in a time after 4 tries",
}


@pytest.mark.parametrize("act", LASTING)
def test_a_fault_that_lasts_is_named_and_nothing_wrong_is_kept(hub, waits, tmp_path, act):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault(LARGE, act, times=99)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError, match=LASTING[act]) as raised:
        fetch_all(client, snapshot, snapshot.files, tmp_path, 1)
    assert ID in raised.value.message and LARGE in raised.value.message and raised.value.hint
    assert "train-00000.parquet" not in kept(tmp_path)
    hub.faults = []
    fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert whole(tmp_path)


def test_wrong_bytes_of_a_small_file_are_told_by_its_git_hash(hub, waits, tmp_path):
    hub.add("datasets", ID, FILES)
    hub.faults = [Fault(SMALL, "corrupt", times=99)]
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    with pytest.raises(FoundryError, match=r"has git hash \w+ not \w+, 3 times in a row"):
        fetch(client, snapshot, file_of(snapshot, SMALL), tmp_path)
    assert not (tmp_path / SMALL).exists()


def test_a_file_that_disappears_from_its_commit_is_named(hub, waits, tmp_path):
    sha = hub.add("datasets", ID, FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    del hub.repositories["datasets", ID].commits[sha][SMALL]
    with pytest.raises(FoundryError, match=rf"{ID}: {SMALL} is gone from its commit \(404\)"):
        fetch(client, snapshot, file_of(snapshot, SMALL), tmp_path)
    assert waits == [] and not (tmp_path / SMALL).exists()
