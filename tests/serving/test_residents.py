"""Versions in memory: real models, tiny ones, that share a base and answer with the weights of their files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from finetuning import tiny_bases

from data_foundry.config import Settings
from data_foundry.engines.adapters import spec_of
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import load_task
from data_foundry.finetuning.training.train import save_adapter, with_lora
from data_foundry.lake import Lake
from data_foundry.records import Rejected
from data_foundry.serving import residents
from data_foundry.serving.calls import InvalidAnswer
from data_foundry.serving.host import Host
from data_foundry.serving.hosts import Hosts, NotOpen
from data_foundry.serving.probes import probe_rows
from data_foundry.serving.residents import Resident, open_residents
from data_foundry.serving.weights import Weights
from data_foundry.training_config import TrainingConfig

TARGETS = {"whisper": ("q_proj", "v_proj"), "bert": ("query", "value"), "t5": ("q", "v")}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of tiny bases: a Whisper, a BERT with a head for topics and one without, and a T5."""
    folder = tmp_path_factory.mktemp("bases")
    tiny_bases.whisper(folder / "whisper")
    tiny_bases.bert(folder / "bert")
    tiny_bases.bert(folder / "encoder", labels=())
    tiny_bases.t5(folder / "t5")
    return folder


def version(bases: Path, base: str, adapter: str, name: str | None, value: float = 0.0, **given: Any) -> Weights:
    """A version whose LoRA weights are all `value`, or the bare base where it has no name."""
    spec, labels = spec_of(adapter), given.pop("labels", ())
    kind = "bert" if base == "encoder" else base
    only = given.pop("only", {})
    config = TrainingConfig(base=f"tests/{base}", target_modules=TARGETS[kind], lora_rank=2, max_length=40, only=only)
    folder = None
    if name is not None:
        task = load_task(spec, config, bases / base, labels)
        model = with_lora(task, config)
        for part, parameter in model.named_parameters():
            if "lora_B" in part:
                parameter.data.fill_(value)
        folder = bases / f"{base}-{adapter}-{name}" / name / "adapter"
        folder.mkdir(parents=True, exist_ok=True)
        save_adapter(model, folder, base=config.base, revision=None, labels=task.labels)
        labels = task.labels
    return Weights(adapter, name or "base", spec.task, config, "c0ffee", bases / base, folder, labels=labels, **given)


def said(resident: Resident, row: dict[str, Any]) -> Any:
    return resident.predict([row], [resident.encode(row)])[0]


SPEECH = {"audio": tiny_bases.tone(1.0)}


def test_the_adapters_of_all_dialects_share_one_base_in_memory_and_each_answers_by_its_own_weights(
    settings: Settings, bases: Path
) -> None:
    base = version(bases, "whisper", "stt", None)
    wanted = [base, *(version(bases, "whisper", f"stt.d{n}", f"v{n}", 3.0 * n) for n in range(3))]
    found = open_residents(settings, wanted)
    assert len({id(each.predictor) for each in found}) == len({id(each.encoding) for each in found}) == 1
    bare, same, other, third = (said(each, SPEECH) for each in found)
    assert same == bare
    assert len({each.confidence for each in (bare, other, third)}) == 3
    again = open_residents(settings, wanted[3:])
    assert said(again[0], SPEECH) == third, "alone in memory it says the same"


def test_apart_each_answers_through_its_own_layers_alone_and_as_it_does_together(
    settings: Settings, bases: Path
) -> None:
    wanted = [version(bases, "bert", "nlu.topic", None)]
    wanted += [version(bases, "bert", "nlu.topic", f"a{n}", float(n)) for n in (1, 2)]
    row = {"text": tiny_bases.SENTENCES[0]}
    together = [said(each, row) for each in open_residents(settings, wanted)]
    found = open_residents(settings, wanted, apart=True)
    assert [said(each, row) for each in (*found, *reversed(found))] == [*together, *reversed(together)]
    models: list[Any] = [each.predictor for each in found]
    assert [each.adapters for each in models] == [(), (wanted[1].name,), (wanted[2].name,)]
    base, *others = ({name: each.data_ptr() for name, each in each.model.named_parameters()} for each in models)
    assert not any("lora" in name for name in base), "a base goes through nobody's layers"
    for other in others:
        assert set(base.values()) == {
            place for name, place in other.items() if "lora" not in name and "modules_to_save" not in name
        }
    assert len({id(each.encoding) for each in found}) == 1


def test_the_weights_in_memory_are_those_of_the_file(settings: Settings, bases: Path) -> None:
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    wanted = [version(bases, "whisper", "stt", f"w{n}", float(n)) for n in (1, 2)]
    for each in open_residents(settings, wanted):
        name, folder = each.weights.name, each.weights.folder
        assert name and folder
        model: Any = each.predictor
        held = get_peft_model_state_dict(model.model, adapter_name=name, save_embedding_layers=False)
        filed = load_file(folder / "adapter_model.safetensors")
        assert held.keys() == filed.keys()
        assert all((held[part] == filed[part]).all() for part in filed)


def brought(hosts: Hosts, weights: Weights) -> tuple[Resident, Host]:
    """Return a version once it is in memory."""
    while True:
        try:
            return hosts.resident(weights)
        except NotOpen:
            hosts.open(weights)


def test_a_swap_on_a_real_model_leaves_the_answers_of_the_version_that_comes_back_as_they_were(
    settings: Settings, bases: Path
) -> None:
    hosts = Hosts(settings)
    old, new = (version(bases, "bert", "nlu.topic", name, value) for name, value in (("v1", 0.5), ("v2", -0.5)))
    row = {"text": tiny_bases.SENTENCES[0]}
    try:
        with pytest.raises(NotOpen, match="its base tests/bert is being loaded"):
            hosts.resident(old)
        first, host = brought(hosts, old)
        hosts.settle()
        before = said(first, row)
        second, same = brought(hosts, new)
        assert same is host and said(second, row).classes != before.classes
        hosts.retire_others({second})
        back, same = brought(hosts, old)
        hosts.retire_others({back})
        assert same is host and said(back, row) == before
    finally:
        hosts.close(20)


def test_a_published_head_is_shared_by_the_base_and_by_an_adapter_that_names_its_labels(
    settings: Settings, bases: Path
) -> None:
    wanted = [version(bases, "bert", "nlu.topic", None), version(bases, "bert", "nlu.topic", "v3", 1.0)]
    found = open_residents(settings, wanted)
    assert found[0].predictor is found[1].predictor
    assert found[0].labels == found[1].labels == tiny_bases.TOPICS


def test_versions_with_other_labels_have_bases_of_their_own(settings: Settings, bases: Path) -> None:
    wanted = [
        version(bases, "encoder", adapter, "v1", labels=labels)
        for adapter, labels in (("nlu", ("balance", "recharge")), ("sentiment", ("bad", "good")))
    ]
    found = open_residents(settings, wanted)
    assert found[0].predictor is not found[1].predictor
    assert said(found[0], {"text": "വിപണി"}).output in ("balance", "recharge")
    assert said(found[1], {"text": "വിപണി"}).output in ("bad", "good")


def test_confidence_is_calibrated_by_what_the_version_brings(settings: Settings, bases: Path) -> None:
    row = {"text": tiny_bases.SENTENCES[0]}
    (plain,) = open_residents(settings, [version(bases, "bert", "nlu.topic", "v4", 1.0)])
    (cooled,) = open_residents(settings, [version(bases, "bert", "nlu.topic", "v4", 1.0, temperature=4.0)])
    sure, less = said(plain, row), said(cooled, row)
    assert sure.output == less.output and sure.confidence > less.confidence > 0.25
    assert abs(sum(less.classes.values()) - 1) < 1e-6


def test_rows_that_go_together_are_answered_as_they_are_alone(settings: Settings, bases: Path) -> None:
    (resident,) = open_residents(settings, [version(bases, "bert", "nlu.topic", "v5", 1.0)])
    rows = [{"text": text} for text in ("വിപണി", tiny_bases.SENTENCES[1], "കളി ഇന്ന്")]
    together = resident.predict(rows, [resident.encode(row) for row in rows])
    for row, answer in zip(rows, together, strict=True):
        alone = said(resident, row)
        assert alone.output == answer.output and abs(alone.confidence - answer.confidence) < 1e-5


def test_an_adapter_of_one_direction_refuses_the_other(settings: Settings, bases: Path) -> None:
    wanted = version(bases, "t5", "translation", "v1", only={"direction": "en-ml"})
    (resident,) = open_residents(settings, [wanted])
    row = {"text": "വിപണി", "translation": "yes", "direction": "en-ml"}
    assert isinstance(said(resident, row).output, str)
    with pytest.raises(Rejected, match="other_direction"):
        resident.encode({**row, "direction": "ml-en"})


@pytest.mark.parametrize("direction", ["en-ml", "ml-en"])
def test_a_version_that_translates_one_way_can_be_probed_where_no_gold_lies(
    settings: Settings, bases: Path, direction: str
) -> None:
    (resident,) = open_residents(settings, [version(bases, "t5", "translation", "v1", only={"direction": direction})])
    rows = probe_rows(settings, Lake(settings), SimpleNamespace(adapter="translation", answering=resident))
    assert len(rows) == settings.rollout.probe_calls
    assert all(isinstance(said(resident, row).output, str) for row in rows)


def test_weights_that_are_no_numbers_answer_nothing(settings: Settings, bases: Path) -> None:
    (resident,) = open_residents(settings, [version(bases, "bert", "nlu.topic", "v6", float("nan"))])
    with pytest.raises(InvalidAnswer):
        said(resident, {"text": "വിപണി"})


def test_an_adapter_of_another_base_is_refused(settings: Settings, bases: Path) -> None:
    wrong = version(bases, "bert", "nlu.topic", "v7")
    other = Weights(**{**vars(wrong), "base_folder": bases / "whisper"})
    with pytest.raises(FoundryError):
        open_residents(settings, [other])


class Panic(BaseException):
    """What a library written in Rust ends with."""


@pytest.mark.parametrize("opens", ["load_task", "load_predictor"])
def test_a_library_that_panics_over_a_file_is_an_error_of_what_is_opened(
    settings: Settings, bases: Path, monkeypatch: pytest.MonkeyPatch, opens: str
) -> None:
    wanted = version(bases, "bert", "nlu.topic", "v8")

    def panic(*_: Any, **__: Any) -> None:
        raise Panic("no such normalizer")

    monkeypatch.setattr(residents, opens, panic)
    with pytest.raises(FoundryError, match="It can't be read: Panic: no such normalizer"):
        residents.place_of(wanted)
        residents.open_base(settings, wanted)
