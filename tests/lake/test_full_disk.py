"""A disk that is really full: nothing half-visible, the earlier state stays, and with room the run goes on."""

import pytest

from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from tests.lake.builders import NAME, publish, tree

KIB = 1024


@pytest.mark.parametrize("free_kib", [8, 64, 300, 600, 900, 1000])
def test_a_commit_on_a_full_disk_is_refused_clearly_and_succeeds_with_room(with_settings, tmp_path, disk, free_kib):
    base = disk(2048)
    lake, undisturbed = Lake(with_settings(base_path=str(base))), Lake(with_settings(base_path=str(tmp_path / "big")))
    old = {"a": b"a" * 10 * KIB, "b": b"b" * 10 * KIB}
    new = {"a": b"A" * 400 * KIB, "b": b"B" * 400 * KIB, "c": b"C" * 300 * KIB}
    for each in (lake, undisturbed):
        publish(each, old)
    before = tree(base)
    (base / "filler").write_bytes(b"x" * (2048 - 32 - free_kib) * KIB)
    with pytest.raises(FoundryError) as refused:
        publish(lake, new, key="k2")
    assert "No space left on device" in refused.value.message and str(base) in refused.value.message
    assert "Free space" in refused.value.hint and "goes on" in refused.value.hint
    (base / "filler").unlink()
    assert tree(base) == before and lake.manifest(Layer.SILVER, NAME).key == "k1"
    for each in (lake, undisturbed):
        publish(each, new, key="k2")
    assert tree(base) == tree(tmp_path / "big")


def test_a_disk_that_holds_the_data_but_not_its_backup_leaves_the_data_and_makes_up_for_the_backup(
    with_settings, tmp_path, disk
):
    backup = disk(128)
    settings = with_settings(storage={"backup_enabled": True, "backup_path": str(backup)})
    lake = Lake(settings)
    with pytest.raises(FoundryError, match="No space left on device") as refused:
        publish(lake, {"a": b"a" * 300 * KIB}, layer=Layer.RAW)
    assert str(backup) in refused.value.message
    assert lake.manifest(Layer.RAW, NAME).key == "k1" and lake.files(Layer.RAW, NAME)
    assert "not complete" in lake.backup_fault(Layer.RAW, NAME)
    assert not [path for path in backup.rglob("*") if path.is_file()]
    disk(2048)
    lake.back_up(Layer.RAW, NAME)
    assert lake.backup_fault(Layer.RAW, NAME) is None
    assert tree(backup / "raw" / NAME) == tree(lake.folder(Layer.RAW, NAME))
