"""The versions in a dataset's key: what its rules and the libraries beneath them are."""

from __future__ import annotations

import pytest

from data_foundry.preprocessing import rule_sets


def test_the_libraries_that_make_samples_count_where_there_is_audio_and_nowhere_else():
    audio = rule_sets.versions({"audio"})
    assert set(rule_sets.LIBRARIES) <= set(audio)
    assert not set(rule_sets.LIBRARIES) & set(rule_sets.versions({"text", "codes", "labels"}))


@pytest.mark.parametrize("name", rule_sets.LIBRARIES)
def test_a_library_goes_by_its_installed_version(name):
    said = rule_sets.versions({"audio"})[name]
    library, version = said.split(" ")
    assert library == name
    assert version[0].isdigit() or version.startswith("n"), said


def test_an_upgraded_library_changes_the_key_of_datasets_with_audio(monkeypatch):
    before = {kind: rule_sets.versions({kind}) for kind in ("audio", "text")}
    monkeypatch.setattr(rule_sets, "library_version", lambda name: "next")
    assert rule_sets.versions({"audio"})["soxr"] == "soxr next" != before["audio"]["soxr"]
    assert rule_sets.versions({"text"}) == before["text"]


def test_a_missing_program_or_package_is_said_to_be_none(monkeypatch):
    monkeypatch.setattr(rule_sets.shutil, "which", lambda name: None)
    rule_sets.library_version.cache_clear()
    try:
        assert rule_sets.library_version("ffmpeg") == "none"
        assert rule_sets.library_version("no-such-package") == "none"
    finally:
        rule_sets.library_version.cache_clear()
