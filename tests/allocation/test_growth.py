"""Gold remembers its sides: what arrives moves nobody, but for groups that it joins, and those are told."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from allocation.silver_builders import (
    INTENTS,
    SPEECH,
    SPEECH_WITH_SPLITS,
    TOPICS,
    labelled_texts,
    publish_silver,
    silver_row,
    spoken_rows,
    words,
)
from data_foundry.allocation import allocate, assignments
from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer, sha256_file
from data_foundry.report import Action

SPLITS = ("train", "validation", "test")
DISTRICTS = {f"s{n}": ["Kollam", "Thrissur", "Kannur"][n % 3] for n in range(12)}


@pytest.fixture
def research(with_settings) -> Settings:
    return with_settings(licensing={"commercial_use": False}, engines=["stt", "dialect", "nlu"])


@pytest.fixture
def sides(run_phase3, read_gold):
    """Run phase 3 and say where each row of an engine stands."""

    def of(settings: Settings, engine: str) -> dict[str, str]:
        run_phase3(settings)
        return {row["row_id"]: split for split in SPLITS for row in read_gold(settings, engine)[split]}

    return of


def changed(settings: Settings, engine: str) -> dict:
    return Lake(settings).manifest(Layer.GOLD, engine).details["splits"]["changed"]


def gold_hashes(settings: Settings, engine: str) -> dict[str, str]:
    return {file.path: file.sha256 for file in Lake(settings).manifest(Layer.GOLD, engine).files}


def test_speakers_of_a_region_stay_where_they_are_when_others_arrive(research, sides):
    # So few speakers that ranks decide, not hashes: what nobody remembered would move.
    before = sides_before = {}
    rows: list[dict] = []
    for wave in range(4):
        more = {f"w{wave}s{n}": ["Kollam", "Thrissur", "Kannur"][n % 3] for n in range(9)}
        rows += spoken_rows(more, start=1000 * wave)
        publish_silver(Lake(research), rows)
        now = sides(research, "dialect")
        assert {row: now[row] for row in before} == before
        assert changed(research, "dialect") == {"rows": 0, "moves": {}, "examples": []}
        before = now
    assert len(before) == 144 and set(before.values()) == set(SPLITS) and sides_before == {}


def test_without_memory_the_same_growth_moves_rows(with_settings, sides):
    settings = with_settings(licensing={"commercial_use": False}, splits={"remember": False})
    rows, before, moved = [], {}, 0
    for wave in range(4):
        rows += spoken_rows({f"w{wave}s{n}": "Kollam" for n in range(4)}, start=1000 * wave)
        publish_silver(Lake(settings), rows)
        now = sides(settings, "dialect")
        moved += sum(now[row] != side for row, side in before.items())
        before = now
    assert moved


def test_a_dataset_that_arrives_with_a_test_split_of_its_own_moves_nobody(research, sides):
    rows = spoken_rows(DISTRICTS)
    publish_silver(Lake(research), rows)
    before = sides(research, "stt")
    rows += [silver_row(SPEECH_WITH_SPLITS, n, split, sound=900 + n, text=words(900 + n), speaker=f"p{n}")
             for n, split in enumerate(["train"] * 10 + ["test"] * 5)]  # fmt: skip
    publish_silver(Lake(research), rows)
    now = sides(research, "stt")
    assert {row: now[row] for row in before} == before and len(now) == len(before) + 15


def test_rows_that_join_two_groups_move_the_fewer_of_them_and_are_told(research, sides, run_phase3):
    rows = spoken_rows(DISTRICTS, each=4)
    publish_silver(Lake(research), rows)
    before = sides(research, "stt")
    speaker = {row["row_id"]: row["speaker"] for row in rows}
    in_train = next(speaker[row] for row, side in before.items() if side == "train")
    in_test = next(speaker[row] for row, side in before.items() if side == "test")
    # Two more lines of the first, so that most rows of the joined group are in train; then a clip that both hold.
    rows += [silver_row(SPEECH, 800 + n, sound=800 + n, speaker=in_train, district="Kollam") for n in range(2)]
    rows += [silver_row(SPEECH, 900, sound=900, speaker=in_train), silver_row(SPEECH, 901, sound=900, speaker=in_test)]
    publish_silver(Lake(research), rows)
    result = run_phase3(research)["stt"]
    now = sides(research, "stt")
    moved = sorted(row for row, name in speaker.items() if name == in_test)
    assert {row for row in before if now[row] != before[row]} == set(moved) and {now[row] for row in moved} == {"train"}
    told = changed(research, "stt")
    assert told["moves"] == {"test to train": 4} and told["examples"] == moved
    assert "4 rows changed sides" in result.reason
    _, engines = allocate.describe(research, Lake(research))
    finding = next(f for f in engines["stt"].findings if f["kind"] == "rows_changed_sides")
    assert finding["count"] == 4 and finding["severity"] == "warning" and "test to train 4" in finding["message"]


def test_of_as_many_rows_on_two_sides_the_held_out_side_is_taken(research, sides):
    rows = spoken_rows(DISTRICTS, each=4)
    publish_silver(Lake(research), rows)
    before = sides(research, "stt")
    speaker = {row["row_id"]: row["speaker"] for row in rows}
    pair = [next(speaker[row] for row, side in before.items() if side == at) for at in ("train", "test")]
    rows += [silver_row(SPEECH, 900 + n, sound=900, speaker=name, text=words(900)) for n, name in enumerate(pair)]
    publish_silver(Lake(research), rows)
    now = sides(research, "stt")
    assert {now[row["row_id"]] for row in rows if row["speaker"] in pair and row["row_id"] in now} == {"test"}


def test_a_row_that_leaves_for_a_published_test_row_is_told(research, sides):
    rows = labelled_texts(60)
    publish_silver(Lake(research), rows)
    before = sides(research, "nlu")
    train = next(row for row in rows if before[row["row_id"]] == "train")
    rows.append(silver_row(INTENTS, 1, "test", label="sports", text=train["text"]))
    publish_silver(Lake(research), rows)
    now = sides(research, "nlu")
    assert train["row_id"] not in now
    assert changed(research, "nlu") == {
        "rows": 1, "moves": {"train to leaks_into_test": 1}, "examples": [train["row_id"]],
    }  # fmt: skip


def told_as_moved(settings: Settings, engine: str) -> set[str]:
    told = changed(settings, engine)
    assert told["rows"] == sum(told["moves"].values()) == len(told["examples"]), "few enough to be all examples"
    return set(told["examples"])


def test_rows_that_left_for_the_same_leak_before_did_not_move(research, sides):
    rows = labelled_texts(60)
    leaking = [silver_row(INTENTS, n, label="affirm", text=rows[n]["text"]) for n in range(4)]
    rows[:4] = [{**row, "source_split": "test"} for row in rows[:4]]
    publish_silver(Lake(research), [*rows, *leaking])
    before = sides(research, "nlu")
    assert not before.keys() & {row["row_id"] for row in leaking}
    for more in (2, 4):
        publish_silver(Lake(research), [*rows, *leaking, *labelled_texts(more, start=900)])
        now = sides(research, "nlu")
        assert {row: now[row] for row in before} == before and told_as_moved(research, "nlu") == set()


def test_a_row_that_left_and_comes_back_is_told(research, sides):
    rows = labelled_texts(60)
    leaking = silver_row(INTENTS, 1, label="affirm", text=rows[0]["text"])
    held = {**rows[0], "source_split": "test"}
    publish_silver(Lake(research), [held, *rows[1:], leaking])
    assert leaking["row_id"] not in sides(research, "nlu")
    publish_silver(Lake(research), [*rows[1:], leaking])
    side = sides(research, "nlu")[leaking["row_id"]]
    assert changed(research, "nlu") == {
        "rows": 1, "moves": {f"left out to {side}": 1}, "examples": [leaking["row_id"]],
    }  # fmt: skip


def test_rows_that_get_another_anchor_stay_and_those_that_cannot_are_told(research, sides):
    rows = [{**row, "speaker": None} for row in spoken_rows(DISTRICTS)]
    publish_silver(Lake(research), rows)
    before = sides(research, "stt")
    publish_silver(Lake(research), [{**row, "speaker": f"s{at // 4}"} for at, row in enumerate(rows)])
    now = sides(research, "stt")
    moved = {row for row in before if now[row] != before[row]}
    told = changed(research, "stt")
    assert told["rows"] == len(moved) > 0 and set(told["examples"]) <= moved
    alone = [{**row, "speaker": f"p{at}"} for at, row in enumerate(rows)]
    publish_silver(Lake(research), alone)
    assert sides(research, "stt") == now and changed(research, "stt")["rows"] == 0


def test_rows_that_their_publisher_moves_are_told(research, sides):
    rows = labelled_texts(60)
    publish_silver(Lake(research), rows)
    before = sides(research, "nlu")
    publish_silver(Lake(research), [*({**row, "source_split": "validation"} for row in rows[:5]), *rows[5:]])
    now = sides(research, "nlu")
    assert told_as_moved(research, "nlu") == {row for row in before if now.get(row) != before[row]} != set()


def test_what_is_away_for_one_run_comes_back_to_its_side(research, sides):
    few = spoken_rows({f"a{n}": "Kollam" for n in range(4)})
    more = [
        silver_row(SPEECH_WITH_SPLITS, n, sound=500 + n, speaker=f"b{n % 5}", text=words(500 + n)) for n in range(20)
    ]
    lake = Lake(research)
    publish_silver(lake, [*few, *more])
    before = sides(research, "stt")
    publish_silver(lake, [*few, *more[:1]])
    assert len(sides(research, "stt")) == 17
    publish_silver(lake, [*few, *more])
    assert sides(research, "stt") == before


def test_nothing_runs_again_with_an_unchanged_key_although_gold_made_a_memory(research, sides):
    publish_silver(Lake(research), labelled_texts(40))
    for more in (0, 5, 5):
        publish_silver(Lake(research), labelled_texts(40 + more))
        sides(research, "nlu")
        steps = {step.subject: step.action for step in allocate.plan(research, Lake(research))}
        assert steps["nlu"] is Action.SKIP
    manifest = Lake(research).manifest(Layer.GOLD, "nlu")
    folder = Lake(research).folder(Layer.GOLD, "nlu")
    assert manifest.inputs[assignments.NOW] == sha256_file(folder / assignments.BEFORE)
    assert manifest.details["generation"] == 2


@pytest.mark.parametrize("setting", [{"test": 0.3}, {"validation": 0.2}, {"seed": 5}])
def test_other_shares_or_another_seed_forget_and_say_so(research, with_settings, sides, setting):
    publish_silver(Lake(research), labelled_texts(80))
    sides(research, "nlu")
    settings = with_settings(licensing={"commercial_use": False}, splits=setting)
    step = next(step for step in allocate.plan(settings, Lake(settings)) if step.subject == "nlu")
    assert step.action is Action.RUN and "so the sides that rows were on are forgotten" in step.reason
    assert step.payload["memory"] is None
    again = sides(settings, "nlu")
    fresh = with_settings(base_path=str(settings.base_path) + "2", licensing={"commercial_use": False}, splits=setting)
    publish_silver(Lake(fresh), labelled_texts(80))
    assert sides(fresh, "nlu") == again


@pytest.mark.slow
def test_the_same_silver_and_the_same_memory_give_the_same_bytes_for_engines_made_one_after_another_or_at_once(
    with_settings, tmp_path, run_phase3
):
    found = []
    for number, (workers, files) in enumerate(((0, 1), (1, 1), (2, 1))):
        settings = with_settings(
            base_path=str(tmp_path / f"base{number}"), workers=workers, licensing={"commercial_use": False}
        )
        rows = spoken_rows(DISTRICTS)
        publish_silver(Lake(settings), rows, files=files)
        run_phase3(settings)
        rows += spoken_rows({f"n{n}": "Kollam" for n in range(6)}, start=500)
        rows.append(silver_row(SPEECH, 990, sound=0, speaker="s7", text=words(990)))
        publish_silver(Lake(settings), rows, files=files)
        run_phase3(settings)
        found.append([gold_hashes(settings, engine) for engine in ("stt", "dialect")])
    assert found[0] == found[1] == found[2]
    assert found[0][0][assignments.NOW] == found[0][1][assignments.NOW]


def test_an_engine_that_was_not_there_takes_the_sides_of_the_one_it_shares_audio_with(with_settings, sides, read_gold):
    def settings(*engines: str) -> Settings:
        return with_settings(licensing={"commercial_use": False}, engines=list(engines))

    rows = spoken_rows({f"a{n}": "Kollam" for n in range(5)})
    publish_silver(Lake(settings()), rows)
    heard = sides(settings("stt"), "stt")
    rows += spoken_rows({f"b{n}": "Kollam" for n in range(5)}, start=500)
    publish_silver(Lake(settings()), rows)
    both = sides(settings("dialect"), "dialect")
    assert {row: both[row] for row in heard} == heard
    assert sides(settings("stt"), "stt") == both


def test_a_damaged_memory_is_an_error_with_a_way_out(research, sides):
    publish_silver(Lake(research), labelled_texts(40))
    sides(research, "nlu")
    (Lake(research).folder(Layer.GOLD, "nlu") / assignments.NOW).write_bytes(b"PAR1 no more PAR1")
    publish_silver(Lake(research), labelled_texts(41))
    step = next(step for step in allocate.plan(research, Lake(research)) if step.subject == "nlu")
    with pytest.raises(FoundryError, match="verify --repair"):
        allocate.run_step(research, step)


@pytest.mark.slow
def test_hash_seed_and_order_of_rows_do_not_matter(with_settings, tmp_path, read_gold):
    script = (
        "import sys; from data_foundry.allocation import allocate; from data_foundry.config import load_settings;"
        "from data_foundry.lake import Lake;"
        "s = load_settings(flags={'base_path': sys.argv[1], 'workers': 0, 'licensing': {'commercial_use': False}},"
        " environ={}); [allocate.run_step(s, step) for step in allocate.plan(s, Lake(s))]"
    )
    rows = spoken_rows(DISTRICTS) + labelled_texts(60)
    found, bytes_of = [], []
    for number in range(3):
        settings = with_settings(base_path=str(tmp_path / f"base{number}"), licensing={"commercial_use": False})
        mixed = rows if number < 2 else random.Random(number).sample(rows, len(rows))
        publish_silver(Lake(settings), mixed)
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([sys.executable, "-c", script, str(settings.base_path)], check=True, env=environment)
        rows_by_engine = {engine: read_gold(settings, engine) for engine in ("stt", "dialect", "nlu")}
        found.append(
            {
                (engine, row["row_id"]): (split, row["group"], row["sampling_weight"])
                for engine, splits in rows_by_engine.items()
                for split in SPLITS
                for row in splits[split]
            }
        )
        bytes_of.append([gold_hashes(settings, engine) for engine in ("stt", "dialect", "nlu")])
    assert found[0] == found[1] == found[2] and bytes_of[0] == bytes_of[1]


def test_a_plan_with_a_memory_imports_no_arrow(research, sides):
    publish_silver(Lake(research), labelled_texts(40))
    sides(research, "nlu")
    publish_silver(Lake(research), [*labelled_texts(41), silver_row(TOPICS, 99, label="sports")])
    script = (
        "import sys; from data_foundry.allocation import allocate; from data_foundry.config import load_settings;"
        "from data_foundry.lake import Lake;"
        "s = load_settings(flags={'base_path': sys.argv[1]}, environ={});"
        "steps = allocate.plan(s, Lake(s)); assert any(step.payload['memory'] for step in steps);"
        "loaded = {'pyarrow', 'numpy', 'scipy'} & set(sys.modules); assert not loaded, loaded"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", script, str(research.base_path)], check=True, env=environment)
