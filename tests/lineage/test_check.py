"""The check of a lineage: it holds for every row as the phases made it, and fails for a byte that is not theirs."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_foundry.lake import Lake, Layer
from data_foundry.lineage.check import Checker
from data_foundry.lineage.compare import differences
from data_foundry.lineage.find import Found, Place, find
from data_foundry.lineage.show import verdict_shown
from tests.lineage.conftest import BROKEN, NUMBER, RAW, change_cell
from tests.preprocessing.raw_builders import COMMENTS, DIALECTS, INDICVOICES, NEWS, STT, TOKENS


def every_row(lake: Lake) -> dict[str, Found]:
    """All rows of silver, rejected ones too, with their places in gold."""
    found: dict[str, Found] = {}
    for layer in (Layer.SILVER, Layer.GOLD):
        for name in lake.names(layer):
            for file in lake.manifest(layer, name).files:
                if not file.path.endswith(".parquet") or "/" not in file.path:
                    continue
                ids = pq.read_table(lake.folder(layer, name) / file.path)["row_id"].to_pylist()
                for at, row_id in enumerate(ids):
                    row = found.setdefault(row_id, Found(row_id))
                    (row.silver if layer is Layer.SILVER else row.gold).append(Place(layer, name, file, at))
    return found


def test_every_row_of_every_layout_is_derived_again_byte_for_byte(made):
    lake = Lake(made)
    checker, rows = Checker(lake, made), every_row(lake)
    seen: dict[str, set[str]] = {}
    for found in rows.values():
        verdict = checker.check(found)
        assert verdict.holds, (found, verdict)
        assert not verdict.expected
        (place,) = found.silver
        assert verdict.compared[str(place)] >= 41
        seen.setdefault(place.name, set()).add(place.split)
        for at in found.gold:
            assert at.rejected or verdict.compared[str(at)] >= 14
            seen.setdefault(at.name, set()).add(at.split)
    assert set(RAW) <= set(seen) and {"rejected", "train", "test"} <= seen[STT]
    assert {"test", "test_phone", "train"} <= seen["stt"] and "domain" in seen["nlu"]


def altered(lake: Lake, settings, row_id: str):
    """The verdict on one row, by a checker that knows nothing of before."""
    return Checker(lake, settings).check(find(lake, row_id))


def ids_of(lake: Lake, layer: Layer, name: str, path: str) -> list[str]:
    return pq.read_table(lake.folder(layer, name) / path)["row_id"].to_pylist()


RAW_FILES = {
    STT: "files/data/train-00000-of-00001.parquet", NEWS: "files/malayalam-train.jsonl", COMMENTS: "files/a.tsv",
    DIALECTS: "files/Dialects - Sheet1.csv", TOKENS: "files/data/train-0.parquet", INDICVOICES: "files/metadata.jsonl",
}  # fmt: skip
PART = "train/part-00000.parquet"


@pytest.mark.parametrize("name", RAW_FILES)
def test_another_text_in_the_raw_file_is_found_though_its_manifest_vouches_for_it(copied, rewrite, name):
    lake = Lake(copied)
    row_id = ids_of(lake, Layer.SILVER, name, PART)[0]

    def change(path):
        if path.suffix == ".parquet":
            column = "transcript" if name == STT else "text"
            change_cell(column, pq.read_table(path)[column].to_pylist().index(text), lambda cell: f"{cell} മഴ")(path)
        else:
            path.write_bytes(path.read_bytes().replace(text.encode(), f"{text} വെയിൽ".encode()))

    text = pq.read_table(lake.folder(Layer.SILVER, name) / PART)["text_raw"][0].as_py()
    rewrite(lake, Layer.RAW, name, RAW_FILES[name], change)
    verdict = altered(lake, copied, row_id)
    assert not verdict.holds
    assert f"silver of {name}: the raw data changed" in verdict.expected
    assert f"The raw data of {name} is not what its silver was made of." in verdict.broken
    assert {"text", "text_raw", "text_group"} <= {each.column for each in verdict.differences}


def test_another_sample_in_a_recording_is_found_in_silver_gold_and_the_phone_version(copied, rewrite):
    lake = Lake(copied)
    (row_id,) = ids_of(lake, Layer.SILVER, INDICVOICES, "validation/part-00000.parquet")

    def louder(path):
        content = bytearray(path.read_bytes())
        content[5001] ^= 64
        path.write_bytes(content)

    rewrite(lake, Layer.RAW, INDICVOICES, "files/Data/Valid/c.wav", louder)
    verdict = altered(lake, copied, row_id)
    assert {(each.where.split("/")[0], each.column) for each in verdict.differences} >= {
        ("silver", "audio"), ("silver", "audio_group"), ("gold", "audio"),
    }  # fmt: skip
    (told,) = (each for each in verdict.differences if each.where.startswith("silver") and each.column == "audio")
    assert "bytes, at " in told.stored and told.stored != told.derived


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", lambda cell: f"{cell}."),
        ("audio", lambda cell: {**cell, "bytes": cell["bytes"][:-1] + bytes([cell["bytes"][-1] ^ 1])}),
        ("duration", lambda cell: cell + 2**-40),
        ("licence", "cc0-1.0"),
        ("flags", ["clean"]),
        ("speaker", "S1"),
        ("snr", None),
        ("source_split", "test"),
    ],
)
def test_another_value_in_silver_is_found_though_its_manifest_vouches_for_it(copied, rewrite, column, value):
    lake = Lake(copied)
    row_id = ids_of(lake, Layer.SILVER, STT, PART)[0]
    rewrite(lake, Layer.SILVER, STT, PART, change_cell(column, 0, value))
    verdict = altered(lake, copied, row_id)
    assert [(each.where.split("/")[0], each.column) for each in verdict.differences] == [("silver", column)]
    assert f"Gold stt was made of other silver of {STT} than is there." in verdict.broken


@pytest.mark.parametrize("path", [PART, "test/part-00000.parquet", "test_phone/part-00000.parquet"])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "മഴ"),
        ("audio", lambda cell: {**cell, "bytes": cell["bytes"][:-1] + bytes([cell["bytes"][-1] ^ 1])}),
        ("audio", lambda cell: {**cell, "path": "x.wav"}),
        ("channel", "radio"),
        ("channel_parameters", "{}"),
        ("source_row", lambda cell: cell + 1),
    ],
)
def test_another_value_in_gold_is_found_though_its_manifest_vouches_for_it(copied, rewrite, path, column, value):
    lake = Lake(copied)
    row_id = ids_of(lake, Layer.GOLD, "stt", path)[0]
    rewrite(lake, Layer.GOLD, "stt", path, change_cell(column, 0, value))
    verdict = altered(lake, copied, row_id)
    (told,) = verdict.differences
    assert (told.where, told.column) == (f"gold/stt/{path} row 0", column)
    assert verdict.broken == []


def test_a_row_that_another_row_makes_a_duplicate_is_held_against_that_row(copied, rewrite):
    lake = Lake(copied)
    table = pq.read_table(lake.folder(Layer.SILVER, STT) / PART)
    repeated = next(at for at, flags in enumerate(table["flags"].to_pylist()) if "duplicate_text" in flags)
    row_id = table["row_id"][repeated].as_py()
    assert altered(lake, copied, row_id).holds
    rewrite(lake, Layer.SILVER, STT, PART, change_cell("flags", repeated, []))
    assert [each.column for each in altered(lake, copied, row_id).differences] == ["flags"]


def test_a_changed_file_breaks_the_chain_though_its_row_is_whole(copied):
    lake = Lake(copied)
    ids = ids_of(lake, Layer.SILVER, NEWS, PART)
    raw = lake.folder(Layer.RAW, NEWS) / "files/malayalam-train.jsonl"
    raw.write_bytes(raw.read_bytes().replace(BROKEN.encode(), BROKEN.upper().encode()))
    verdict = altered(lake, copied, ids[0])
    assert verdict.differences == [] and verdict.broken == [
        f"raw/{NEWS}/files/malayalam-train.jsonl has other bytes than its manifest says."
    ]


def test_changed_rules_and_settings_are_said_first(made, monkeypatch):
    from data_foundry.allocation import keys
    from data_foundry.preprocessing import rule_sets

    lake = Lake(made)
    row_id = ids_of(lake, Layer.GOLD, "stt", PART)[0]
    newer = rule_sets.RULE_SETS["text"]._replace(version="text-999")
    monkeypatch.setitem(rule_sets.RULE_SETS, "text", newer)
    monkeypatch.setitem(keys.RULE_SETS, "gold", "gold-999")
    stricter = made.model_copy(update={"audio": made.audio.model_copy(update={"min_seconds": 60.0})})
    found = find(lake, row_id)
    verdict = Checker(lake, stricter).check(found)
    assert verdict.settings == [f"silver of {found.silver[0].name}: audio.min_seconds 0.3 -> 60.0"] and verdict.holds
    silver, *gold = verdict.expected
    assert "-> text-999" in silver and "audio" not in silver
    assert gold and all(each.endswith("-> gold-999") for each in gold)
    lines = [*verdict_shown(verdict)]
    assert lines[0].startswith("made with other settings than now: silver") and "expected" in lines[1]
    assert Checker(lake, made).check(found).settings == []


def other_settings(made):
    """Settings of which each decides rows, and none is what `made` has."""
    others = {
        "audio": {"min_seconds": 60.0, "max_segment_seconds": 20.0, "usual_aksharas_per_second": (1.0, 2.0)},
        "text": {"profile": "encoding", "min_malayalam_ratio": 1.0},
        "duplicates": {"text": "drop", "audio": "keep"},
        "content": {"mask_personal_data": False, "exclude": ("mobile_number",), "public_numbers": ("9000012045",)},
        "licensing": {"commercial_use": True},
        "splits": {"seed": 7},
        "telephony": {"splits": ("train",), "seed": 9},
    }
    changed = {name: getattr(made, name).model_copy(update=values) for name, values in others.items()}
    return made.model_copy(update=changed)


def test_under_other_settings_every_row_is_held_against_those_it_was_made_with(made):
    lake, others = Lake(made), other_settings(made)
    checker, told = Checker(lake, others), set()
    for found in every_row(lake).values():
        verdict = checker.check(found)
        assert verdict.holds and verdict.expected == [] and verdict.settings, (found, verdict)
        assert len(verdict.settings) == len(set(verdict.settings))
        told.update(verdict.settings)
    said = "\n".join(sorted(told))
    assert "gold nlu: licensing.commercial_use false -> true, splits.seed 0 -> 7" in told
    for words in (
        "content.exclude.mobile_number null -> true",
        'text.profile "modern" -> "encoding"',
        "telephony.seed",
    ):
        assert words in said


def test_under_other_settings_another_value_is_found_all_the_same(copied, rewrite):
    lake = Lake(copied)
    row_id = ids_of(lake, Layer.GOLD, "stt", "test_phone/part-00000.parquet")[0]
    rewrite(lake, Layer.GOLD, "stt", "test_phone/part-00000.parquet", change_cell("channel", 0, "radio"))
    verdict = altered(lake, other_settings(copied), row_id)
    assert [each.column for each in verdict.differences] == ["channel"] and verdict.broken == []


@pytest.mark.parametrize("reason", ["licence_unknown", "duplicate", "no_intent_or_topic"])
def test_another_reason_of_a_refusal_that_the_row_alone_decides_is_found(copied, rewrite, reason):
    lake, path = Lake(copied), "rejected/part-00000.parquet"
    reasons = pq.read_table(lake.folder(Layer.GOLD, "stt") / path)["reason"].to_pylist()
    at = reasons.index("no_audio")
    row_id = ids_of(lake, Layer.GOLD, "stt", path)[at]
    assert altered(lake, copied, row_id).holds
    rewrite(lake, Layer.GOLD, "stt", path, change_cell("reason", at, reason))
    (told,) = altered(lake, copied, row_id).differences
    assert (told.column, told.stored, told.derived) == ("reason", reason, "no_audio")


def test_a_licence_is_no_reason_where_gold_was_made_for_any_use(copied, rewrite):
    lake, path = Lake(copied), "rejected/part-00000.parquet"
    engine, at, row_id = next(
        (engine, at, row_id) for engine in lake.names(Layer.GOLD)
        if (lake.folder(Layer.GOLD, engine) / path).exists()
        for at, row_id in enumerate(ids_of(lake, Layer.GOLD, engine, path))
        if any("depends on other rows" in note and f"gold {engine}:" in note
               for note in altered(lake, copied, row_id).not_derived))  # fmt: skip
    rewrite(lake, Layer.GOLD, engine, path, change_cell("reason", at, "licence_unknown"))
    (told,) = altered(lake, copied, row_id).differences
    assert (told.column, told.stored, told.derived) == ("reason", "licence_unknown", "none")


def test_a_row_whose_raw_data_is_gone_or_never_named_its_file_is_no_crash(copied, rewrite):
    lake = Lake(copied)
    ids = ids_of(lake, Layer.SILVER, NEWS, PART)
    rewrite(lake, Layer.SILVER, NEWS, PART, change_cell("source_file", 0, "../../../../../etc/passwd"))
    rewrite(lake, Layer.SILVER, NEWS, PART, change_cell("source_row", 1, 10**9))
    for row_id in ids[:2]:
        assert any("has no row" in each for each in altered(lake, copied, row_id).broken)
    (lake.folder(Layer.RAW, NEWS) / "manifest.json").unlink()
    assert any("is not in the lake" in each for each in altered(lake, copied, ids[2]).broken)


def test_no_difference_and_no_note_quotes_a_masked_number(copied, rewrite):
    lake = Lake(copied)
    table = pq.read_table(lake.folder(Layer.SILVER, STT) / PART)
    at = next(at for at, flags in enumerate(table["flags"].to_pylist()) if "personal_data" in flags)
    row_id = table["row_id"][at].as_py()
    rewrite(lake, Layer.SILVER, STT, PART, change_cell("text", at, "മഴ"))
    verdict = altered(lake, copied, row_id)
    assert [each.column for each in verdict.differences] == ["text"]
    assert NUMBER.split()[1] not in str(dataclasses.asdict(verdict))


def test_values_that_look_alike_and_are_not_differ():
    def one(**columns):
        return pa.table({name: pa.array([value], kind) for name, (value, kind) in columns.items()})

    stored = one(a=(0.0, pa.float64()), b=(1, pa.int32()), c=(float("nan"), pa.float64()), d=("x", pa.string()))
    derived = one(a=(-0.0, pa.float64()), b=(1, pa.int64()), c=(float("nan"), pa.float64()), e=("x", pa.string()))
    assert [each.column for each in differences("here", stored, derived)] == ["a", "b", "d", "e"]
