"""The codec of the settings is looked for before anybody waits for its sound."""

from __future__ import annotations

import logging

import pytest

from data_foundry.config import load_settings
from data_foundry.errors import FoundryError
from data_foundry.hub import Withheld
from data_foundry.serving.http.voice import check_codec
from tests.loopback_hub import Fault, LoopbackHub


def settings_of(tmp_path, codec):
    hub = tmp_path / "hub"
    hub.mkdir(exist_ok=True)
    return load_settings(flags={"base_path": tmp_path, "hub": {"source": hub}, "serving": {"codec": codec}})


@pytest.mark.parametrize(("kind", "fits"), [("encodec", True), ("bert", False)])
def test_a_model_that_is_no_codec_is_told_from_one(tmp_path, kind, fits):
    from transformers import AutoConfig

    AutoConfig.for_model(kind).save_pretrained(tmp_path / "hub" / "models" / "owner" / "codec")
    settings = settings_of(tmp_path, "owner/codec")
    if fits:
        check_codec(settings)
        return
    with pytest.raises(FoundryError, match=r"serving\.codec names owner/codec, which is a bert model"):
        check_codec(settings)


def test_without_a_codec_nothing_is_looked_for(tmp_path):
    check_codec(settings_of(tmp_path, None))


def test_a_hub_that_can_not_be_reached_keeps_no_gateway_from_starting(tmp_path, caplog):
    settings = settings_of(tmp_path, "owner/codec")
    (tmp_path / "hub").rmdir()
    with caplog.at_level(logging.WARNING):
        check_codec(settings)
    assert "can't be looked up now" in caplog.text


def test_a_configuration_that_is_none_is_said(tmp_path):
    folder = tmp_path / "hub" / "models" / "owner" / "codec"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "mimi", "hidden_size": "x"}')
    with pytest.raises(FoundryError, match=r"owner/codec, whose config\.json can't be read"):
        check_codec(settings_of(tmp_path, "owner/codec"))


def test_a_hub_that_stumbles_keeps_no_gateway_from_starting_and_one_that_lacks_the_codec_is_believed(
    tmp_path, monkeypatch, caplog
):
    def refuse(error):
        def access(*_):
            raise error

        monkeypatch.setattr("data_foundry.hub.folder.FolderHub.access", access)

    settings = settings_of(tmp_path, "owner/codec")
    refuse(FoundryError("Too many requests.", "Come again."))
    with caplog.at_level(logging.WARNING):
        check_codec(settings)
    assert "Too many requests" in caplog.text
    refuse(Withheld("owner/codec is gated.", "Ask for it."))
    with pytest.raises(FoundryError, match="owner/codec is gated"):
        check_codec(settings)


def test_a_hub_that_asks_for_patience_is_asked_once(tmp_path, monkeypatch, caplog):
    waited = []
    monkeypatch.setattr("data_foundry.hub.patience.pause", lambda seconds, halt=None: waited.append(seconds))
    settings = load_settings(flags={"base_path": tmp_path, "serving": {"codec": "owner/codec"}})
    with LoopbackHub() as hub, caplog.at_level(logging.WARNING):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.faults = [Fault("/api/", 429, headers={"Retry-After": "300"}, times=9)]
        check_codec(settings)
    assert "can't be looked up now" in caplog.text and waited == []
