"""python -m data_foundry keys: made, listed and revoked from the terminal."""

from __future__ import annotations

import json

from data_foundry import __main__ as command
from data_foundry.serving.http.api_keys import ApiKeys


def keys(tmp_path, capsys, *words, code=0):
    assert command.main(["keys", *words, "--base-path", str(tmp_path)]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def test_a_key_is_shown_once_and_listed_without_it(tmp_path, capsys):
    key = keys(tmp_path, capsys, "create", "ivr").splitlines()[0]
    file = ApiKeys(tmp_path / "serving" / "api_keys.json")
    assert file.caller(key) == "ivr"
    listed = keys(tmp_path, capsys, "list")
    assert "ivr" in listed and key not in listed and file.entries()[0].sha256 not in listed
    assert json.loads(keys(tmp_path, capsys, "list", "--json"))[0]["revoked"] is None
    assert "opens nothing any more" in keys(tmp_path, capsys, "revoke", "ivr")
    assert file.caller(key) is None
    assert json.loads(keys(tmp_path, capsys, "create", "ivr", "--json"))["key"] != key


def test_mistakes_are_told_with_the_way_out(tmp_path, capsys):
    assert "keys list" in keys(tmp_path, capsys, "revoke", "nobody", code=2)
    assert "letters" in keys(tmp_path, capsys, "create", "a b", code=2)
    assert "no preview" in keys(tmp_path, capsys, "create", "ivr", "--dry-run", code=2)
    assert not (tmp_path / "serving" / "api_keys.json").exists()


def test_a_script_gets_the_key_alone(tmp_path, capsys):
    assert command.main(["keys", "create", "ivr", "--base-path", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert ApiKeys(tmp_path / "serving" / "api_keys.json").caller(said.out.removesuffix("\n")) == "ivr"
    assert "Authorization: Bearer" in said.err
