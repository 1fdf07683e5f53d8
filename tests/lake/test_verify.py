"""Verification: what is damaged in a lake is found by file, and what is removed is made again by its phase."""

import json

import pytest

from data_foundry import __main__ as command
from data_foundry.commands import verify as verify_command
from data_foundry.lake import Layer, sha256_file
from data_foundry.lake.verify import chosen, repair, verify
from tests.lake.builders import NAME, publish, tree


def flip(path) -> None:
    """Change one byte of a file and nothing else of it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def held(lake):
    """A folder of each layer, of the name that it has there; returns where each lies."""
    names = {Layer.RAW: NAME, Layer.SILVER: NAME, Layer.GOLD: "stt", Layer.MODELS: "stt/1a2b"}
    for layer, name in names.items():
        with lake.commit(layer, name, "k") as commit:
            for path in ("a.bin", "deep/b.bin"):
                commit.path(path).write_bytes(f"{layer} {path}".encode())
            commit.publish(rows={"deep/b.bin": 7}, rows_in=7, rows_out=7)
    return {layer: lake.folder(layer, name) for layer, name in names.items()}


def every(lake):
    return [damage for layer, name in chosen(lake, list(Layer), []) for damage in verify(lake, layer, name)]


def test_a_whole_lake_has_no_damage_and_every_byte_of_it_is_told(lake, held):
    assert every(lake) == []
    sizes = []
    assert verify(lake, Layer.RAW, NAME, sizes.append) == []
    assert sum(sizes) == lake.manifest(Layer.RAW, NAME).total_bytes


@pytest.mark.parametrize("layer", list(Layer))
def test_a_flipped_byte_is_found_in_every_layer_with_both_hashes_and_the_phase_to_run(lake, held, layer):
    before = sha256_file(held[layer] / "deep/b.bin")
    flip(held[layer] / "deep/b.bin")
    (damage,) = every(lake)
    assert (damage.layer, damage.file, damage.rows) == (layer, "deep/b.bin", 7)
    assert damage.fault == "has other bytes than were published"
    assert (damage.expected, damage.found) == (
        before,
        sha256_file(held[layer] / "deep/b.bin"),
    ) and before != damage.found
    phase = {"raw": "phase1", "silver": "phase2", "gold": "phase3", "models": "phase4"}[layer]
    which = f"--datasets {NAME}" if phase in ("phase1", "phase2") else "--engines stt"
    assert damage.way_out == f"python run_data_foundry.py --phases {phase} {which}"


def test_an_engines_name_stands_for_the_models_of_its_variants_too(lake, held):
    with lake.commit(Layer.MODELS, "stt.malabar/3c4d", "k") as commit:
        commit.publish()
    models = [(Layer.MODELS, "stt.malabar/3c4d"), (Layer.MODELS, "stt/1a2b")]
    assert chosen(lake, [Layer.MODELS], ["stt"]) == models
    assert chosen(lake, [Layer.GOLD, Layer.MODELS], ["stt.malabar"]) == models[:1]


def test_files_that_are_gone_cut_linked_or_not_listed_are_told_apart(lake, held):
    raw, silver, gold, model = held.values()
    (raw / "a.bin").unlink()
    (silver / "a.bin").write_bytes(b"cut")
    (gold / "a.bin").rename(gold / "other.bin")
    (gold / "a.bin").symlink_to(gold / "other.bin")
    (model / "manifest.json").write_text("{")
    faults = {(each.layer, each.file): each.fault for each in every(lake)}
    assert faults.pop(("models", "manifest.json")).startswith(f"{model / 'manifest.json'} can't be read as a manifest")
    assert faults == {
        ("raw", "a.bin"): "is missing",
        ("silver", "a.bin"): f"has 3 bytes instead of {len('silver a.bin')}",
        ("gold", "a.bin"): "is a link",
        ("gold", "other.bin"): "is not listed in the manifest",
    }


def test_what_an_unfinished_run_left_is_no_damage_and_a_hidden_file_of_the_data_is_looked_at(lake, held):
    left = held[Layer.RAW] / ".fetched" / ".partial" / "part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert every(lake) == []
    (held[Layer.RAW] / "deep" / ".hidden").write_bytes(b"x")
    assert [each.file for each in every(lake)] == ["deep/.hidden"]


def test_a_folder_that_is_published_while_it_is_read_is_looked_at_again(lake, held):
    def publish_anew(size):
        if lake.manifest(Layer.RAW, NAME).key == "k":
            publish(lake, {"a.bin": b"new", "deep/b.bin": b"newer"}, key="k2", layer=Layer.RAW)

    assert verify(lake, Layer.RAW, NAME, publish_anew) == [] and lake.manifest(Layer.RAW, NAME).key == "k2"


def test_repair_removes_what_is_damaged_and_of_what_is_made_as_a_whole_the_manifest(lake, held):
    for folder in held.values():
        flip(folder / "a.bin")
    (held[Layer.SILVER] / "stray").write_bytes(b"x")
    before = {layer: tree(folder) for layer, folder in held.items()}
    repair(lake, every(lake))
    for layer, folder in held.items():
        gone = set(before[layer]) - set(tree(folder))
        manifest = set() if layer is Layer.RAW else {"manifest.json"}
        assert gone == {"a.bin"} | manifest | ({"stray"} if layer is Layer.SILVER else set())
        assert {name: before[layer][name] for name in tree(folder)} == tree(folder)


@pytest.fixture
def verified(lake, capfd):
    """Run the command over the lake; return its exit code and what it printed."""

    def start(*flags):
        code = command.main(["verify", "--base-path", str(lake.base_path), *flags])
        return code, capfd.readouterr()

    return start


def test_the_command_tells_what_it_looked_at_and_what_is_damaged(lake, held, verified):
    code, told = verified()
    assert code == 0 and "8 files in 4 folders" in told.out and "every file has the bytes" in told.out
    flip(held[Layer.GOLD] / "a.bin")
    code, told = verified()
    assert code == 1 and "gold stt: a.bin has other bytes" in told.out and "1 damage" in told.out
    assert "verify --repair" in told.out and "--phases phase3 --engines stt" in told.out
    assert verified("--layer", "raw", "--layer", "silver")[0] == verified(NAME)[0] == 0
    assert verified("stt")[0] == verified("--engines", "stt")[0] == verified("--layer", "gold")[0] == 1
    code, told = verified("--json")
    found = json.loads(told.out)
    assert code == 1 and (found["folders"], found["files"], found["repaired"]) == (4, 8, False)
    assert [each["file"] for each in found["damages"]] == ["a.bin"] and "rows" not in found["damages"][0]


def test_the_command_tells_how_far_it_is(held, verified, monkeypatch):
    monkeypatch.setattr(verify_command, "PROGRESS_SECONDS", -1.0)
    sizes = [len(f"{layer} {path}") for layer in Layer for path in ("a.bin", "deep/b.bin")]
    told = verified()[1].err.splitlines()
    assert told == [f"verified {sum(sizes[: at + 1])} B of {sum(sizes)} B" for at in range(len(sizes))]


def test_a_name_that_is_nowhere_is_the_users_mistake_and_so_are_its_flags_elsewhere(held, verified):
    code, told = verified("owner/nam")
    assert code == 2 and "owner/nam" in told.err and NAME in told.err
    with pytest.raises(SystemExit):
        command.main(["status", "--repair"])


def test_only_a_repair_waits_for_the_lock(lake, held, verified):
    flip(held[Layer.RAW] / "a.bin")
    with lake.lock("another run"):
        # A second holder in one process would be let in as a child's; another lock file handle is refused.
        assert verified()[0] == 1
        code, told = verified("--repair")
    assert code == 2 and "Another run" in told.err and (held[Layer.RAW] / "a.bin").exists()
    assert verified("--repair")[0] == 1 and not (held[Layer.RAW] / "a.bin").exists()
