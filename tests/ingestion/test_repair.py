"""What a repair removed is fetched or made again by its phase, with the same bytes, in every layer but the models'."""

from __future__ import annotations

import pytest

from data_foundry.__main__ import main
from data_foundry.allocation import allocate
from data_foundry.ingestion import ingest
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing import standardize
from data_foundry.report import Action
from tests.ingestion.builders import NEWS, news
from tests.lake.builders import tree

PHASES = {Layer.RAW: ingest, Layer.SILVER: standardize, Layer.GOLD: allocate}


@pytest.fixture
def settings(from_folder):
    """A run over one dataset whose first three phases are done."""
    settings = from_folder({NEWS: news(train=40, test=12)}, engines=["nlu"], licensing={"commercial_use": False})
    settings = settings.model_copy(update={"datasets": (NEWS,)})
    for phase in PHASES.values():
        run(phase, settings)
    return settings


def run(phase, settings):
    (step,) = phase.plan(settings, Lake(settings))
    return phase.run_step(settings, step)


@pytest.mark.parametrize("layer", PHASES)
def test_a_flipped_byte_is_found_removed_and_made_again_by_its_phase_alone(settings, capfd, layer):
    lake = Lake(settings)
    before = {each: tree(settings.base_path / "storage" / each) for each in PHASES}
    (manifest,) = lake.manifests(layer)
    for file in manifest.files:
        damaged = lake.folder(layer, manifest.name) / file.path
        data = bytearray(damaged.read_bytes())
        data[len(data) // 2] ^= 1
        damaged.write_bytes(data)
        assert main(["verify", "--base-path", str(settings.base_path), "--repair"]) == 1
        assert f"{file.path} has other bytes" in capfd.readouterr().out and not damaged.exists()
        steps = {each: phase.plan(settings, lake)[0].action for each, phase in PHASES.items()}
        assert steps[layer] is Action.RUN, steps
        run(PHASES[layer], settings)
        assert {each: tree(settings.base_path / "storage" / each) for each in PHASES} == before, file.path
        assert main(["verify", "--base-path", str(settings.base_path)]) == 0
        capfd.readouterr()
