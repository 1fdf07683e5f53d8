"""API keys: shown once, kept as hashes, seen by gateways that run."""

from __future__ import annotations

import json
import stat
import threading

import pytest

from data_foundry.errors import FoundryError
from data_foundry.serving.http.api_keys import ApiKeys


@pytest.fixture
def keys(tmp_path):
    return ApiKeys(tmp_path / "serving" / "api_keys.json")


def test_a_key_opens_until_it_is_revoked_in_a_gateway_that_runs(keys):
    gateway = ApiKeys(keys.file)
    assert gateway.caller("df-anything") is None
    key = keys.create("ivr")
    other = keys.create("crm")
    assert (gateway.caller(key), gateway.caller(other)) == ("ivr", "crm")
    keys.revoke("ivr")
    assert (gateway.caller(key), gateway.caller(other)) == (None, "crm")
    assert gateway.caller(None) is gateway.caller("") is gateway.caller(key[:-1]) is None


def test_the_file_holds_no_key_and_only_its_owner_may_read_it(keys):
    made = [keys.create(name) for name in ("a", "b")]
    text = keys.file.read_text()
    assert not any(key in text or key.removeprefix("df-") in text for key in made)
    assert stat.S_IMODE(keys.file.stat().st_mode) == 0o600
    assert sorted(path.name for path in keys.file.parent.iterdir()) == [".api_keys.lock", "api_keys.json"]


def test_keys_are_never_alike(keys):
    made = {keys.create(f"caller-{number}") for number in range(20)}
    assert len(made) == 20 and min(map(len, made)) >= 46, "256 bits"


def test_a_name_can_be_given_again_once_its_key_is_revoked(keys):
    first = keys.create("ivr")
    with pytest.raises(FoundryError, match="already"):
        keys.create("ivr")
    keys.revoke("ivr")
    with pytest.raises(FoundryError, match="No active key is named ivr"):
        keys.revoke("ivr")
    second = keys.create("ivr")
    assert keys.caller(first) is None and keys.caller(second) == "ivr"
    assert [entry.revoked is None for entry in keys.entries()] == [False, True]


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-x", "ക", "a\n"])
def test_odd_names_are_refused(keys, name):
    with pytest.raises(FoundryError, match="can't be a key's name"):
        keys.create(name)


def test_many_writers_at_once_lose_no_key(keys):
    threads = [threading.Thread(target=ApiKeys(keys.file).create, args=(f"c{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.name for entry in keys.active()) == sorted(f"c{number}" for number in range(12))


def test_a_file_that_others_can_read_is_not_trusted(keys):
    keys.create("ivr")
    keys.file.chmod(0o644)
    with pytest.raises(FoundryError, match="chmod 600"):
        ApiKeys(keys.file).active()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [{"name": "x"}]}', '{"keys": 3}'])
def test_a_damaged_file_is_told_and_who_could_call_goes_on(keys, text, caplog):
    key = keys.create("ivr")
    assert keys.caller(key) == "ivr"
    keys.file.write_text(text)
    assert keys.caller(key) == "ivr" and "API keys unchanged" in caplog.text
    with pytest.raises(FoundryError, match="does not hold API keys"):
        keys.entries()
    assert ApiKeys(keys.file).caller(key) is None, "a gateway that starts now lets nobody in"


def test_a_file_that_is_gone_lets_nobody_in(keys):
    key = keys.create("ivr")
    assert keys.caller(key) == "ivr"
    keys.file.unlink()
    assert keys.caller(key) is None


def test_a_hash_that_is_none_opens_nothing(keys):
    key = keys.create("ivr")
    content = json.loads(keys.file.read_text())
    content["keys"][0]["sha256"] = "not hex"
    keys.file.write_text(json.dumps(content))
    assert ApiKeys(keys.file).caller(key) is None
