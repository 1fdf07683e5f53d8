"""A disk that is full or may not be written to is named as such, and the run can be taken up again."""

from __future__ import annotations

import errno
import os

import pytest

from data_foundry.errors import FoundryError
from data_foundry.hub import disk_error, fetch_all, model_folder
from tests.hub.builders import FILES, ID, LARGE, remote


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (errno.ENOSPC, "owner/name: a.csv: /some/place: No space left on device.", "Free space"),
        (errno.EDQUOT, "owner/name: a.csv: /some/place: Disk quota exceeded.", "quota"),
        (errno.EACCES, "owner/name: a.csv: /some/place: Permission denied.", "right to write"),
        (errno.EROFS, "owner/name: a.csv: /some/place: Read-only file system.", "choose another with --base-path"),
        (errno.EIO, "owner/name: a.csv: /some/place: Input/output error.", "Check that disk"),
        (errno.ENOTDIR, "owner/name: a.csv: can't read or write /some/place: Not a directory.", "--base-path"),
    ],
)
def test_an_error_of_the_disk_is_named(code, message, hint):
    told = disk_error(OSError(code, os.strerror(code), "/some/place"), "owner/name: a.csv")
    assert told.message == message and hint in told.hint


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_ends_a_fetch_cleanly_and_the_next_goes_on(hub, waits, tmp_path, monkeypatch, code):
    hub.add("datasets", ID, FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)

    def full(*_, **__):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched, pytest.raises(FoundryError, match=os.strerror(code)) as raised:
        patched.setattr("data_foundry.hub.transfer.Transfer.write", full)
        fetch_all(client, snapshot, snapshot.files, tmp_path, 2)
    assert "can't reach" not in str(raised.value) and waits == []
    assert len(fetch_all(client, snapshot, snapshot.files, tmp_path, 2)) == 3
    assert (tmp_path / LARGE).read_bytes() == FILES[LARGE]


def test_a_folder_that_may_not_be_written_to_is_named(hub, waits, tmp_path):
    hub.add("datasets", ID, FILES)
    client = remote(hub)
    snapshot = client.snapshot("datasets", ID, None)
    (tmp_path / "out").write_text("a file where a folder belongs")
    with pytest.raises(FoundryError, match=r"can't read or write .*out"):
        fetch_all(client, snapshot, snapshot.files, tmp_path / "out", 2)


def test_a_full_disk_under_the_models_cache_is_named(hub, from_loopback, monkeypatch):
    hub.add("models", "owner/base", {"config.json": b"{}"})
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/x")

    def full(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", full)
    with pytest.raises(FoundryError, match=r"config\.json: /cache/x: No space left on device"):
        model_folder(from_loopback(), "owner/base")
