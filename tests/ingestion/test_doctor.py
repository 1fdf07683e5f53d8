"""The doctor names what is missing and where to click, once each, and writes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from data_foundry.__main__ import main
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.ingestion.disk import SPARE_BYTES
from data_foundry.ingestion.doctor import diagnose
from data_foundry.ingestion.ingest import plan, run_step
from data_foundry.lake import Lake
from data_foundry.training_config import training_config
from tests.ingestion.builders import COMMENTS, DIALECTS, NEWS, SPEECH, comments, news
from tests.loopback_hub import Fault

GOOD = "good-token-value"
BUNDLED = [name for name, entry in DATASET_REGISTRY.items() if entry.bundled]


def add_pinned(hub, name, files, **access):
    """Put a dataset on the Hub at the commit that the registry pins."""
    return hub.add("datasets", name, files, sha=DATASET_REGISTRY[name].revision or "", **access)


def by_subject(settings):
    return {row["subject"]: row for row in diagnose(settings)}


def of(settings, check):
    return [row for row in diagnose(settings) if row["check"] == check]


def test_it_tells_readable_gated_and_missing_data_apart(hub, from_loopback, monkeypatch, tmp_path):
    hub.allow(GOOD)
    hub.add("datasets", NEWS, news())
    add_pinned(hub, COMMENTS, comments(), gated=True)
    monkeypatch.setenv("HF_TOKEN", GOOD)
    found = by_subject(from_loopback(datasets=[NEWS, COMMENTS, DIALECTS]))
    assert found[NEWS]["status"] == "warning" and found[NEWS]["gated"] is False
    assert "cc-by-nc-sa-4.0" in found[NEWS]["message"] and "commercial_use" in found[NEWS]["next_step"]
    assert found[COMMENTS]["status"] == "error" and "is gated" in found[COMMENTS]["message"]
    assert f"{hub.url}/datasets/{COMMENTS}" in found[COMMENTS]["next_step"]
    assert found[DIALECTS]["status"] == "error" and "no such repository" in found[DIALECTS]["message"]
    assert GOOD not in str(found)
    assert not (tmp_path / "base").exists()
    assert hub.file_requests() == []


@pytest.mark.parametrize("licence", ["research-only", "cc-by-4.0", "some-custom-licence"])
def test_what_gold_would_refuse_is_a_warning_whatever_the_card_is_tagged(hub, from_loopback, licence):
    hub.add("datasets", SPEECH, {"README.md": f"---\nlicense: {licence}\n---\n".encode()})
    found = by_subject(from_loopback(datasets=[SPEECH]))[SPEECH]
    assert found["status"] == "warning" and "commercial training" in found["message"]


def test_research_may_use_what_commerce_may_not(hub, from_loopback):
    hub.add("datasets", NEWS, news())
    settings = from_loopback(datasets=[NEWS], licensing={"commercial_use": False})
    assert by_subject(settings)[NEWS]["status"] == "ok"


def test_libraries_programs_gpu_and_disk_are_looked_at(from_folder):
    rows = diagnose(from_folder({NEWS: news()}))
    kinds = {row["check"] for row in rows}
    assert kinds == {"hub", "dataset", "model", "token", "library", "program", "gpu", "disk"}
    libraries = {row["subject"]: row for row in rows if row["check"] == "library"}
    assert libraries["pyarrow"]["status"] == "ok" and libraries["pyarrow"]["message"][0].isdigit()
    assert sum(row["check"] == "dataset" for row in rows) == len(DATASET_REGISTRY)
    for row in rows:
        assert row["status"] in ("ok", "warning", "error") and (row["next_step"] or row["status"] == "ok")


def test_sizes_are_those_that_the_hub_lists_and_stand_against_the_free_disk(hub, from_loopback, monkeypatch):
    files = {NEWS: news(), COMMENTS: comments()}
    for name, content in files.items():
        add_pinned(hub, name, content)
    sizes = {name: sum(map(len, content.values())) for name, content in files.items()}
    settings = from_loopback(datasets=list(files))
    found = by_subject(settings)
    assert {name: found[name]["bytes"] for name in files} == sizes
    (disk,) = of(settings, "disk")
    assert disk["needed_bytes"] == sum(sizes.values()) and disk["status"] == "ok"
    capped = from_loopback(datasets=list(files), hub={"max_bytes_per_dataset": 10})
    assert of(capped, "disk")[0]["needed_bytes"] == 20
    usage = shutil.disk_usage("/")

    def with_free(size: int) -> dict:
        monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=size))
        return of(settings, "disk")[0]

    # A run refuses what does not fit beside the room that is kept spare.
    room = sum(sizes.values()) + SPARE_BYTES
    assert with_free(room - 1)["status"] == "error" and "67.1 MB that are kept spare" in with_free(room - 1)["message"]
    assert with_free(room)["status"] == "warning" and "--base-path" in with_free(room)["next_step"]
    assert with_free(room + sum(sizes.values()))["status"] == "ok"
    settings = from_loopback(datasets=list(files), hub={"max_rows_per_dataset": 1})
    assert with_free(room - 1)["status"] == "warning" and "bring at most" in with_free(room - 1)["message"]


def test_a_disk_that_can_not_be_written_to_or_is_too_small_for_what_a_folder_brings_is_an_error(
    from_folder, monkeypatch, tmp_path
):
    settings = from_folder({NEWS: news()}).model_copy(update={"datasets": (NEWS,)})
    assert of(settings, "disk")[0]["status"] == "ok" and of(settings, "disk")[0]["needed_bytes"] > 0
    (tmp_path / "file").write_text("x")
    (disk,) = of(settings.model_copy(update={"base_path": tmp_path / "file" / "base"}), "disk")
    assert (disk["status"], disk["subject"], disk["message"]) == ("error", str(tmp_path / "file"), "is no folder")
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda path: usage._replace(free=SPARE_BYTES))
        assert of(settings, "disk")[0]["status"] == "error"
    twice = {"storage": settings.storage.model_copy(update={"backup_enabled": True})}
    (disk,) = of(settings.model_copy(update=twice), "disk")
    assert disk["needed_bytes"] == 2 * of(settings, "disk")[0]["needed_bytes"]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (disk,) = of(settings, "disk")
    assert (disk["status"], disk["message"]) == ("error", "can't be written to") and "--base-path" in disk["next_step"]


def test_a_hub_that_nobody_answers_for_is_said_once(hub, from_loopback, monkeypatch):
    settings = from_loopback()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    rows = diagnose(settings)
    errors = [row for row in rows if row["status"] == "error"]
    assert [row["check"] for row in errors] == ["hub"] and "can't reach http://127.0.0.1:9" in errors[0]["message"]
    assert [row["subject"] for row in rows if row["check"] in ("dataset", "model", "token")] == BUNDLED
    assert hub.requests == []


@pytest.mark.parametrize("act", [503, 404, "html", "drop"])
def test_a_hub_that_stumbles_over_everything_is_said_once(hub, from_loopback, act):
    hub.faults = [Fault("", act, times=99, method="")]
    assert [row["check"] for row in diagnose(from_loopback()) if row["status"] == "error"] == ["hub"]
    assert len(hub.requests) == 1


def test_a_dataset_on_which_the_hub_stumbles_is_an_error_of_that_dataset(hub, from_loopback, waits):
    hub.add("datasets", NEWS, news())
    add_pinned(hub, COMMENTS, comments())
    hub.faults = [Fault(f"/api/datasets/{NEWS}", 500, times=99)]
    settings = from_loopback(datasets=[NEWS, COMMENTS])
    found = by_subject(settings)
    assert found[NEWS]["status"] == "error" and "answers 500" in found[NEWS]["message"]
    assert found[COMMENTS]["status"] == "ok" and len(waits) == 1
    assert not settings.base_path.exists()


TOKENS = {
    "none": ("", {}, "warning", "not set", "settings/tokens"),
    "read": (GOOD, {}, "ok", "of the account 'tester', role read", ""),
    "fine": (
        GOOD,
        {"role": "fineGrained", "fineGrained": {"canReadGatedRepos": False}},
        "warning",
        "may not read gated",
        "settings/tokens",
    ),
    "wrong": ("bad-token-value", {}, "error", "the Hub refuses it (401)", "settings/tokens"),
}


def test_a_token_that_is_refused_is_said_once(hub, from_loopback, monkeypatch):
    hub.allow(GOOD)
    monkeypatch.setenv("HF_TOKEN", "bad-token-value")
    rows = diagnose(from_loopback())
    assert [row["check"] for row in rows if row["status"] == "error"] == ["token"]
    assert [row["subject"] for row in rows if row["check"] in ("dataset", "model")] == BUNDLED


@pytest.mark.parametrize("case", TOKENS)
def test_the_token_is_named_by_its_account_and_rights_and_never_shown(hub, from_loopback, monkeypatch, case):
    token, auth, status, message, step = TOKENS[case]
    hub.allow(GOOD, **auth)
    monkeypatch.setenv("HF_TOKEN", token)
    rows = diagnose(from_loopback(datasets=[NEWS]))
    (row,) = [row for row in rows if row["check"] == "token"]
    assert row["status"] == status and message in row["message"] and step in row["next_step"]
    assert not token or token not in str(rows)


def test_the_base_models_of_the_chosen_engines_are_asked_for(hub, from_loopback):
    settings = from_loopback(datasets=[NEWS], engines=["nlu", "sentiment"])
    chosen = (AIEngine("nlu"), AIEngine("sentiment"))
    bases = [training_config(settings.training, engine, ENGINES[engine].training).base for engine in chosen]
    hub.add("models", bases[0], {"config.json": b"{}"})
    rows = {row["subject"]: row for row in of(settings, "model")}
    assert set(rows) == set(bases)
    assert rows[bases[0]]["status"] == "ok" and "nlu" in rows[bases[0]]["message"] and rows[bases[0]]["bytes"] == 2
    hub.add("models", bases[0], {"config.json": b"{}"}, gated=True)
    (row,) = [row for row in of(settings, "model") if row["subject"] == bases[0]]
    assert row["status"] == "error" and f"{hub.url}/{bases[0]}," in row["next_step"]


def test_a_pinned_dataset_is_asked_for_at_its_commit(hub, from_loopback):
    sha = add_pinned(hub, COMMENTS, comments())
    assert DATASET_REGISTRY[COMMENTS].revision == sha
    hub.add("datasets", COMMENTS, {**comments(), "more.csv": b"x" * 999})
    settings = from_loopback(datasets=[COMMENTS])
    row = by_subject(settings)[COMMENTS]
    assert row["revision"] == sha and row["bytes"] == sum(map(len, comments().values()))
    (step,) = plan(settings, Lake(settings))
    run_step(settings, step)
    assert of(settings, "disk")[0]["needed_bytes"] == 0
    del hub.repositories["datasets", COMMENTS].commits[sha]
    row = by_subject(settings)[COMMENTS]
    assert row["status"] == "error" and "the pinned revision is gone" in row["message"]


def test_a_pinned_base_model_is_asked_for_at_its_commit(hub, from_loopback):
    pinned = {"training": {"engines": {"nlu": {"revision": "1" * 40}}}}
    settings = from_loopback(datasets=[NEWS], engines=["nlu"], **pinned)
    base = training_config(settings.training, AIEngine("nlu"), ENGINES[AIEngine("nlu")].training).base
    hub.add("models", base, {"config.json": b"{}"}, sha="1" * 40)
    hub.add("models", base, {"config.json": b"{} "})
    (row,) = of(settings, "model")
    assert (row["status"], row["revision"], row["bytes"]) == ("ok", "1" * 40, 2)


@pytest.mark.parametrize("stated", ["2023-02-30", "2024-13-01T00:00:00Z", '"\\UFFFFFFFF"', "[" * 3000])
def test_a_card_with_an_impossible_value_does_not_end_the_doctor(from_folder, stated):
    card = f"---\nlicense: cc-by-nc-sa-4.0\nmade: {stated}\n---\n".encode()
    row = by_subject(from_folder({NEWS: {**news(), "README.md": card}}))[NEWS]
    assert row["status"] == "warning" and "cc-by-nc-sa-4.0" in row["licence"]


def test_a_renamed_dataset_is_a_warning_with_its_new_name(hub, from_loopback):
    hub.add("datasets", NEWS, news())
    hub.rename("datasets", NEWS, "owner/new")
    row = by_subject(from_loopback(datasets=[NEWS]))[NEWS]
    assert row["status"] == "warning" and "renamed to owner/new" in row["message"]


@pytest.mark.parametrize(
    ("printed", "torch", "status", "message"),
    [
        ("NVIDIA H100, 81559 MiB\n", "2.13.0", "ok", "training uses it"),
        ("NVIDIA H100, 81559 MiB\n", "2.13.0+cpu", "warning", "CPU build"),
        (None, "2.13.0", "warning", "no NVIDIA GPU answers"),
    ],
)
def test_a_gpu_counts_when_driver_and_torch_both_know_it(from_folder, monkeypatch, printed, torch, status, message):
    def answer(command, **_):
        if printed is None:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, 0, printed, "")

    monkeypatch.setattr("data_foundry.ingestion.machine.subprocess.run", answer)
    monkeypatch.setattr("importlib.metadata.version", lambda name: torch)
    (row,) = of(from_folder({NEWS: news()}), "gpu")
    assert row["status"] == status and message in row["message"]
    off = from_folder({NEWS: news()}, training={"gpu_enabled": False})
    assert of(off, "gpu")[0]["status"] == "ok"


def test_the_command_prints_json_and_fails_for_an_error(hub, from_loopback, tmp_path, capsys):
    from_loopback()
    add_pinned(hub, COMMENTS, comments())
    flags = ["doctor", "--json", "--base-path", str(tmp_path / "base"), "--datasets"]
    assert main([*flags, COMMENTS, DIALECTS]) == 1
    rows = {row["subject"]: row["status"] for row in json.loads(capsys.readouterr().out)}
    assert (rows[COMMENTS], rows[DIALECTS]) == ("ok", "error")
