"""A manifest that can't be read stops the dataset or engine that it belongs to, in every phase, and no other."""

import runpy

import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines.adapters import adapters
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action
from run_data_foundry import SCRIPTS

DATASET = "Sakshamrzt/IndicNLP-Malayalam"
ENGINE = DATASET_REGISTRY[DATASET].declared_engine.value


@pytest.fixture
def corrupt(lake):
    """Put a torn manifest into the lake: corrupt(Layer.RAW, name)."""

    def tear(layer: Layer, name: str) -> str:
        folder = lake.folder(layer, name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text('{"schema_version": 1, "layer":')
        return str(folder)

    return tear


@pytest.mark.parametrize(
    ("phase", "layer", "name", "stopped"),
    [
        ("phase2", Layer.RAW, DATASET, {DATASET}),
        ("phase3", Layer.SILVER, DATASET, {ENGINE}),
        ("phase3", Layer.GOLD, ENGINE, {ENGINE}),
        ("phase4", Layer.GOLD, ENGINE, {ENGINE, f"{ENGINE}.topic"}),
    ],
)
def test_only_what_the_manifest_belongs_to_fails_with_the_reason_and_the_way_out(
    settings, corrupt, phase, layer, name, stopped
):
    folder = corrupt(layer, name)
    script = runpy.run_path(str(PROJECT_ROOT / SCRIPTS[phase]))["PHASE"]
    steps = script.plan(settings, Lake(settings))
    failing = [step for step in steps if step.action is Action.FAIL]
    assert {step.subject for step in failing} == stopped and len({step.subject for step in steps}) > len(stopped)
    assert all(f"{folder}/manifest.json can't be read" in step.reason for step in failing)
    assert all(f"Delete {folder}/manifest.json and run its phase again" in step.reason for step in failing)
    datasets, engines = script.describe(settings, Lake(settings))
    assert set(datasets) <= set(DATASET_REGISTRY) and set(engines) <= set(adapters(settings.training))
    assert len(datasets) + len(engines) > len(stopped)


def test_a_silver_manifest_that_can_not_be_read_stops_its_dataset_only(settings, lake, corrupt):
    with lake.commit(Layer.RAW, DATASET, "k") as commit:
        commit.path("files/a.csv").write_text("a")
        commit.publish(details={"revision": "1" * 40, "licence": {"effective": "mit"}})
    folder = corrupt(Layer.SILVER, DATASET)
    script = runpy.run_path(str(PROJECT_ROOT / SCRIPTS["phase2"]))["PHASE"]
    actions = {step.subject: step.action for step in script.plan(settings, lake)}
    assert actions.pop(DATASET) is Action.FAIL and set(actions.values()) == {Action.WAIT}
    datasets, _ = script.describe(settings, lake)
    assert datasets[DATASET].status == "not standardized" and folder


def test_a_raw_manifest_that_can_not_be_read_leaves_the_other_datasets_their_plan(settings, lake, corrupt):
    corrupt(Layer.RAW, DATASET)
    script = runpy.run_path(str(PROJECT_ROOT / SCRIPTS["phase1"]))["PHASE"]
    steps = {step.subject: step for step in script.plan(settings, lake)}
    assert set(steps) == set(DATASET_REGISTRY) and "can't be read as a manifest" in steps[DATASET].reason
    datasets, _ = script.describe(settings, lake)
    assert set(datasets) == set(DATASET_REGISTRY)


def test_a_version_whose_manifest_can_not_be_read_leaves_the_report_of_the_others(settings, lake, corrupt):
    corrupt(Layer.MODELS, f"{ENGINE}/0123456789ab")
    script = runpy.run_path(str(PROJECT_ROOT / SCRIPTS["phase4"]))["PHASE"]
    assert {step.action for step in script.plan(settings, lake)} <= {Action.WAIT, Action.SKIP}
    assert len(script.describe(settings, lake)[1]) == len(adapters(settings.training))
