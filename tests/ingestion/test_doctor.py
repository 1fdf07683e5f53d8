"""The doctor names what is missing and where to click, and writes nothing."""

from __future__ import annotations

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.ingestion.doctor import diagnose
from tests.ingestion.builders import COMMENTS, DIALECTS, NEWS, comments, news

GOOD = "good-token-value"


def by_subject(settings):
    return {row["subject"]: row for row in diagnose(settings)}


def test_it_tells_readable_gated_and_missing_data_apart(hub, from_loopback, monkeypatch, tmp_path):
    hub.allow(GOOD)
    hub.add("datasets", NEWS, news())
    hub.add("datasets", COMMENTS, comments(), gated=True)
    monkeypatch.setenv("HF_TOKEN", GOOD)
    found = by_subject(from_loopback(datasets=[NEWS, COMMENTS, DIALECTS]))
    assert found[NEWS]["status"] == "warning" and found[NEWS]["gated"] is False
    assert "cc-by-nc-sa-4.0" in found[NEWS]["message"] and "commercial_use" in found[NEWS]["next_step"]
    assert found[COMMENTS]["status"] == "error" and "is gated" in found[COMMENTS]["message"]
    assert f"{hub.url}/datasets/{COMMENTS}" in found[COMMENTS]["next_step"]
    assert found[DIALECTS]["status"] == "error" and "no such repository" in found[DIALECTS]["message"]
    assert GOOD not in str(found)
    assert not (tmp_path / "base").exists()


def test_research_may_use_what_commerce_may_not(hub, from_loopback):
    hub.add("datasets", NEWS, news())
    settings = from_loopback(datasets=[NEWS], licensing={"commercial_use": False})
    assert by_subject(settings)[NEWS]["status"] == "ok"


def test_libraries_programs_and_disk_are_looked_at(from_folder):
    rows = diagnose(from_folder({NEWS: news()}))
    kinds = {row["check"] for row in rows}
    assert kinds == {"dataset", "token", "library", "program", "disk"}
    libraries = {row["subject"]: row for row in rows if row["check"] == "library"}
    assert libraries["pyarrow"]["status"] == "ok" and libraries["pyarrow"]["message"][0].isdigit()
    assert sum(row["check"] == "dataset" for row in rows) == len(DATASET_REGISTRY)
    for row in rows:
        assert row["status"] in ("ok", "warning", "error") and (row["next_step"] or row["status"] == "ok")
