"""The versions in a dataset's key: what its rules and the libraries beneath them are."""

from __future__ import annotations

import importlib
import re

import pytest

from data_foundry.preprocessing import rule_sets

from . import rule_probe

PINNED = {
    "rows": ("rows-6", "33b8bf7d57a7dcfb"),
    "text": ("text-4", "e009415c954ae578"),
    "content": ("content-4", "2b7f2d2a661e5a8e"),
    "prompts": ("prompts-1", "6c628dfe468e90aa"),
    "audio": ("audio-5", "4bda3ff8f3b552ff"),
    "segmentation": ("segmentation-3", "fcc78261e9cb04e1"),
    "quality": ("quality-4", "bf94cd623f430110"),
    "fingerprint": ("fingerprint-1", "70f23828a517e8ab"),
    "speaking_rate": ("speaking_rate-1", "dc5d6f048d02ea72"),
    "codec": ("codec-3", "2ed14b3491afd9a8"),
    "labels": ("labels-2", "0b50d24f3522812b"),
    "duplicate_text": ("duplicate_text-3", "02bd5f332cc2258f"),
    "duplicate_audio": ("duplicate_audio-2", "404e0b33e8a203ae"),
}  # fmt: skip
"""What the rules of each version make of the probes. A lake that silver was made in by a version keeps that silver for
as long as the version stands: two behaviours under one version are a dataset that is half old and half new."""


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


@pytest.mark.parametrize("name", rule_sets.RULE_SETS)
def test_rules_that_make_something_else_of_the_probes_have_another_version(name):
    version, found = rule_sets.RULE_SETS[name].version, rule_probe.digest(name)
    assert PINNED[name] == (version, found), (
        f"The rules {name} make something else of the probes than {PINNED[name][0]} did, or have a version that is not "
        f"pinned. Raise their version, unless it was raised since the last release, and pin {(version, found)} here."
    )


def test_every_rule_set_is_probed_and_pinned():
    assert set(PINNED) == set(rule_probe.PROBES) == set(rule_sets.RULE_SETS)


@pytest.mark.parametrize(
    ("name", "module", "constant", "other"),
    [
        ("text", "text_flags", "_MIXED", 0.2), ("segmentation", "segmentation", "_MIN_SILENCE", 0.2),
        ("content", "content.identifiers", "_PHONES", ()),
        ("duplicate_text", "duplicates", "_SIGN_OF_NUMBER", None),
        ("duplicate_audio", "duplicates", "_MEANING", ("audio_group", "text_group")),
        ("rows", "chunks", "_BOTH", ()),
        ("labels", "labels", "_NOTHING", frozenset()), ("quality", "loudness", "_HANGOVER", 0.4),
    ],
)  # fmt: skip
def test_the_probes_see_a_rule_that_changed(name, module, constant, other, monkeypatch):
    changed = importlib.import_module(f"data_foundry.preprocessing.{module}")
    before = rule_probe.digest(name)
    monkeypatch.setattr(changed, constant, re.compile("$^") if other is None else other)
    assert rule_probe.digest(name) != before
