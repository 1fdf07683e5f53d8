"""Predictions: every architecture, adapters switched by name, and what a base refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import Predictor, load_predictor, load_task
from data_foundry.finetuning.tasks.codec_lm import CodecLanguageModel
from data_foundry.finetuning.tasks.task import Task
from data_foundry.finetuning.training.train import save_adapter, with_lora
from data_foundry.records import AIEngine, Rejected
from data_foundry.training_config import TrainingConfig
from finetuning import tiny_bases
from finetuning.conftest import BASES
from finetuning.gold_builders import row, rows


def config_for(engine: AIEngine, base: str | None = None, **changes: Any) -> TrainingConfig:
    name, targets = BASES[engine]
    own: dict[str, Any] = {"target_modules": targets, "lora_rank": 4, "max_length": 200}
    return TrainingConfig(base=base or name, **{**own, **changes})


def task_for(
    hub: Path, engine: AIEngine, base: str | None = None, labels: tuple[str, ...] = (), **changes: Any
) -> Task:
    config = config_for(engine, base, **changes)
    return load_task(ENGINES[engine], config, hub / "models" / config.base, labels)


def adapter_with(task: Task, folder: Path, value: float, head: float = 0.0) -> Path:
    """An adapter whose LoRA weights are all `value`, and which adds `head` to what its head says of the first label.

    The base's own answers for 0, others for more.
    """
    import torch

    model = with_lora(task, task.config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(value)
            elif "modules_to_save" in name and name.endswith("bias"):
                parameter[0] += head
    folder.mkdir(parents=True)
    save_adapter(model, folder, base=task.config.base, revision=None, labels=task.labels)
    return folder


@pytest.fixture
def topics(hub: Path, tmp_path: Path) -> Predictor:
    task = task_for(hub, AIEngine.NLU)
    folders = {"same": adapter_with(task, tmp_path / "same", 0.0), "other": adapter_with(task, tmp_path / "other", 2.0)}
    return load_predictor(ENGINES[AIEngine.NLU], task.config, task.folder, folders)


@pytest.mark.parametrize(
    "engine, base",
    [
        (AIEngine.STT, None),
        (AIEngine.NLU, None),
        (AIEngine.TRANSLATION, "tiny/t5"),
        (AIEngine.TRANSLATION, "tiny/nllb"),
        (AIEngine.TRANSLATION, "tiny/m2m100"),
        (AIEngine.TTS, None),
    ],
)
def test_every_architecture_predicts_the_same_for_a_row_alone_and_in_a_batch(
    engine: AIEngine, base: str | None, hub: Path
) -> None:
    config = config_for(engine, base).model_copy(update={"max_length": 32 if engine != AIEngine.TTS else 200})
    predictor = load_predictor(ENGINES[engine], config, hub / "models" / config.base)
    batch = rows(engine, 3)
    together = predictor.predict(batch)
    alone = [predictor.predict([one])[0] for one in batch]
    assert [p.output for p in together] == [p.output for p in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.confidence is not None and 0 < one.confidence <= 1
        assert one.confidence == pytest.approx(other.confidence, rel=1e-3)


def test_adapters_are_switched_by_name_and_none_is_the_base(topics: Predictor, hub: Path) -> None:
    batch = rows(AIEngine.NLU, 4)
    bare = load_predictor(ENGINES[AIEngine.NLU], topics.task.config, topics.task.folder).predict(batch)
    assert topics.adapters == ("same", "other")
    assert topics.predict(batch) == bare
    other = topics.predict(batch, "other")
    assert [p.classes for p in other] != [p.classes for p in bare]
    assert topics.predict(batch, "same") == bare
    assert topics.predict(batch) == bare
    topics.remove_adapter("other")
    assert topics.predict(batch, "same") == bare
    topics.remove_adapter("same")
    assert topics.predict(batch) == bare


def test_the_adapter_that_answered_last_is_let_go_of_without_a_warning(topics: Predictor) -> None:
    batch = rows(AIEngine.NLU, 2)
    same = topics.predict(batch, "same")
    topics.predict(batch, "other")
    topics.remove_adapter("other")
    assert topics.predict(batch, "same") == same


def test_the_head_of_an_adapter_goes_with_it(hub: Path, tmp_path: Path) -> None:
    task, batch = task_for(hub, AIEngine.NLU), rows(AIEngine.NLU, 2)
    folder = adapter_with(task, tmp_path / "sure", 0.5, head=5.0)
    predictor = load_predictor(ENGINES[AIEngine.NLU], task.config, task.folder)
    bare = predictor.predict(batch)
    for last in ("sure", None):
        predictor.add_adapter("sure", folder)
        assert predictor.predict(batch, "sure")[0].confidence > 0.9 > 0.5 > bare[0].confidence
        assert predictor.bare().predict(batch) == bare
        predictor.predict(batch, last)
        predictor.remove_adapter("sure")
        assert predictor.predict(batch) == bare
    bad = tmp_path / "bad"
    shutil.copytree(folder, bad)
    weights = load_file(bad / "adapter_model.safetensors")
    last = sorted(name for name in weights if "lora" in name)[-1]
    save_file({**weights, last: weights[last][:, :1].contiguous()}, bad / "adapter_model.safetensors")
    with pytest.raises(FoundryError, match="does not fit"):
        predictor.add_adapter("bad", bad)
    assert predictor.predict(batch) == bare


def test_what_answers_already_is_not_switched_on_again(topics: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, walks = rows(AIEngine.NLU, 2), []
    before = {name: topics.predict(batch, name) for name in ("other", "same", None)}

    def note(owner: Any, switch: str) -> None:
        does = getattr(owner, switch)

        def noted(*given: Any, **named: Any) -> Any:
            walks.append(switch)
            return does(*given, **named)

        monkeypatch.setattr(owner, switch, noted)

    note(topics.model, "set_adapter")
    note(topics.model.base_model, "disable_adapter_layers")
    note(topics.model.base_model, "enable_adapter_layers")
    for name, walked in (
        (None, []),
        ("other", ["enable_adapter_layers", "set_adapter"]),
        ("same", ["set_adapter"]),
        (None, ["disable_adapter_layers"]),
    ):
        for first in (walked, [], []):
            assert topics.predict(batch, name) == before[name]
            assert walks == first
            walks.clear()


@pytest.mark.parametrize("on", ["other", "same", None])
def test_whatever_answered_last_each_answers_as_itself_after_a_change(
    topics: Predictor, hub: Path, tmp_path: Path, on: str | None
) -> None:
    batch = rows(AIEngine.NLU, 2)
    bare, other = topics.predict(batch), topics.predict(batch, "other")
    wide = adapter_with(task_for(hub, AIEngine.NLU, target_modules=("query", "value", "key")), tmp_path / "wide", 1.0)

    def says(name: str | None, what: Any) -> None:
        """Look at who was on before the change first, then at the one that changed, and at the base."""
        assert topics.predict(batch, name) == what
        assert topics.predict(batch) == bare

    topics.predict(batch, on)
    topics.remove_adapter("other")
    says(on if on != "other" else "same", bare)
    topics.predict(batch, on if on != "other" else None)
    topics.add_adapter("other", tmp_path / "same")
    says("other", bare)
    topics.predict(batch, on)
    topics.remove_adapter("other")
    topics.add_adapter("other", tmp_path / "other")
    says("other", other)
    topics.predict(batch, on)
    # It has layers where no other has any.
    topics.add_adapter("wide", wide)
    says(on, {"other": other}.get(on or "", bare))
    says("other", other)
    found = topics.predict(batch, "wide")
    assert found not in (bare, other)
    topics.predict(batch, on)
    (tmp_path / "bad").mkdir()
    with pytest.raises(FoundryError):
        topics.add_adapter("bad", tmp_path / "bad")
    says(on, {"other": other}.get(on or "", bare))
    says("wide", found)


@pytest.mark.parametrize(
    "engine, base",
    [
        (AIEngine.STT, None),
        (AIEngine.NLU, None),
        (AIEngine.TRANSLATION, "tiny/t5"),
        (AIEngine.TTS, None),
    ],
)
def test_a_bare_predictor_shares_the_weights_and_no_layer_of_an_adapter(
    engine: AIEngine, base: str | None, hub: Path, tmp_path: Path
) -> None:
    task = task_for(hub, engine, base, max_length=32 if engine != AIEngine.TTS else 200)
    folders = {name: adapter_with(task, tmp_path / name, value, value) for name, value in (("one", 0.5), ("two", -0.5))}
    batch = rows(engine, 2)
    first = load_predictor(ENGINES[engine], task.config, task.folder)
    said = {None: first.predict(batch)}
    names, held = list(first.model.state_dict()), {each.data_ptr() for each in first.model.parameters()}
    second = first.bare()
    second.add_adapter("one", folders["one"])
    said["one"] = second.predict(batch, "one")
    assert said["one"] == load_predictor(ENGINES[engine], task.config, task.folder, folders).predict(batch, "one")
    # A bare one of one that has an adapter, and lets it answer.
    third = second.bare()
    assert list(third.model.state_dict()) == names and third.predict(batch) == said[None]
    third.add_adapter("two", folders["two"])
    said["two"] = third.predict(batch, "two")
    assert said["two"] != said["one"] != said[None]
    for predictor, name in ((first, None), (second, "one"), (third, "two")):
        assert predictor.predict(batch, name) == said[name] and predictor.adapters == ((name,) if name else ())
        parts = dict(predictor.model.named_parameters())
        own = {part for part in parts if "lora_" in part or "modules_to_save" in part}
        assert bool(own) == bool(name)
        assert {each.data_ptr() for part, each in parts.items() if part not in own} == held
    assert list(first.model.state_dict()) == names


def test_every_adapter_answers_with_its_own_head(hub: Path, tmp_path: Path) -> None:
    import torch

    task = task_for(hub, AIEngine.DIALECT, labels=("cochin", "malabar"))
    folders = {}
    for number, name in enumerate(task.labels):
        model = with_lora(task, task.config)
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "classifier" in parameter_name and parameter_name.endswith("bias"):
                    parameter.copy_(torch.tensor([9.0, 0.0] if number == 0 else [0.0, 9.0]))
        folders[name] = tmp_path / name
        folders[name].mkdir()
        save_adapter(model, folders[name], base=task.config.base, revision=None, labels=task.labels)
    predictor = load_predictor(ENGINES[AIEngine.DIALECT], task.config, task.folder, folders)
    batch = rows(AIEngine.DIALECT, 2)
    for name in ("cochin", "malabar", "cochin"):
        assert [prediction.output for prediction in predictor.predict(batch, name)] == [name] * 2


def test_an_unknown_adapter_is_named_with_those_in_memory(topics: Predictor) -> None:
    with pytest.raises(FoundryError, match=r"No adapter 'new' is loaded\.\n.*same, other"):
        topics.predict(rows(AIEngine.NLU, 1), "new")


def test_an_adapter_for_other_labels_is_refused(topics: Predictor, hub: Path, tmp_path: Path) -> None:
    task = task_for(hub, AIEngine.SENTIMENT, labels=("negative", "positive"))
    other = adapter_with(task, tmp_path / "sentiment", 0.0)
    with pytest.raises(FoundryError, match="knows negative, positive; the model in memory business"):
        topics.add_adapter("sentiment", other)


@pytest.mark.parametrize("weights", ["of another rank", "no weights at all"])
def test_an_adapter_that_can_not_be_loaded_leaves_nothing_beside_the_others(
    topics: Predictor, tmp_path: Path, weights: str
) -> None:
    batch, bad = rows(AIEngine.NLU, 2), tmp_path / "bad"
    shutil.copytree(tmp_path / "other", bad)
    if weights == "of another rank":
        file = bad / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "r": 3}))
    else:
        (bad / "adapter_model.safetensors").write_bytes(b"no weights at all")
    before = topics.predict(batch, "other"), sum(each.numel() for each in topics.model.parameters())
    with pytest.raises(Exception, match=r"does not fit|deserializing"):
        topics.add_adapter("bad", bad)
    assert set(topics.model.peft_config) == {"same", "other"} == set(topics.adapters)
    assert (topics.predict(batch, "other"), sum(each.numel() for each in topics.model.parameters())) == before


def test_an_adapter_that_lacks_some_of_its_weights_is_refused(topics: Predictor, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(tmp_path / "other", bad)
    weights = load_file(bad / "adapter_model.safetensors")
    weights.pop(next(name for name in sorted(weights) if "lora" in name))
    save_file(weights, bad / "adapter_model.safetensors")
    with pytest.raises(FoundryError, match="1 of its weights are missing"):
        topics.add_adapter("bad", bad)
    assert set(topics.adapters) == {"same", "other"}


def test_an_adapter_that_lacks_its_head_is_refused(hub: Path, tmp_path: Path) -> None:
    task, bad = task_for(hub, AIEngine.DIALECT, labels=("cochin", "malabar")), tmp_path / "bad"
    shutil.copytree(adapter_with(task, tmp_path / "good", 0.5, head=9.0), bad)
    weights = load_file(bad / "adapter_model.safetensors")
    save_file({name: each for name, each in weights.items() if "lora" in name}, bad / "adapter_model.safetensors")
    known = {"good": tmp_path / "good"}
    predictor = load_predictor(ENGINES[AIEngine.DIALECT], task.config, task.folder, known)
    with pytest.raises(FoundryError, match="does not fit"):
        predictor.add_adapter("bad", bad)
    assert predictor.adapters == ("good",)


def test_a_name_that_is_part_of_anothers_makes_no_weights_missing(topics: Predictor, tmp_path: Path) -> None:
    for name in ("v1-1_25", "v1-1_2", "v1"):
        topics.add_adapter(name, tmp_path / "other")
    batch = rows(AIEngine.NLU, 2)
    assert topics.predict(batch, "v1") == topics.predict(batch, "other")


def test_a_first_adapter_that_can_not_be_loaded_leaves_the_base_as_it_was(hub: Path, tmp_path: Path) -> None:
    task, bad = task_for(hub, AIEngine.TRANSLATION), tmp_path / "bad"
    good = adapter_with(task, tmp_path / "good", 0.5)
    shutil.copytree(good, bad)
    weights = load_file(bad / "adapter_model.safetensors")
    last = sorted(weights)[-1]
    # All but one fit, and are in the model by then.
    save_file({**weights, last: weights[last][:, :1].contiguous()}, bad / "adapter_model.safetensors")
    base = load_predictor(ENGINES[AIEngine.TRANSLATION], task.config, task.folder)
    batch, names = rows(AIEngine.TRANSLATION, 2), list(base.model.state_dict())
    before = base.predict(batch)
    with pytest.raises(FoundryError, match="does not fit tiny/t5"):
        base.add_adapter("bad", bad)
    assert (base.predict(batch), list(base.model.state_dict()), base.adapters) == (before, names, ())
    base.add_adapter("good", good)
    assert base.predict(batch) == before
    assert [one.output for one in base.predict(batch, "good")] != [one.output for one in before]


def test_an_adapter_of_another_base_is_refused(hub: Path, tmp_path: Path) -> None:
    folder = adapter_with(task_for(hub, AIEngine.TTS), tmp_path / "tts", 0.0)
    task = task_for(hub, AIEngine.TRANSLATION)
    with pytest.raises(FoundryError, match="does not fit tiny/t5"):
        load_predictor(ENGINES[AIEngine.TRANSLATION], task.config, task.folder, {"tts": folder})


def test_a_base_without_a_head_predicts_only_with_an_adapter_that_brings_one(hub: Path, tmp_path: Path) -> None:
    task = task_for(hub, AIEngine.DIALECT, labels=("cochin", "malabar"))
    assert (task.base_kind, task.labels) == ("linear_probe", ("cochin", "malabar"))
    folder = adapter_with(task, tmp_path / "dialect", 0.0)
    spec = ENGINES[AIEngine.DIALECT]
    predictor = load_predictor(spec, task.config, task.folder, {"dialect": folder})
    (prediction,) = predictor.predict(rows(AIEngine.DIALECT, 1), "dialect")
    assert set(prediction.classes) == {"cochin", "malabar"}
    with pytest.raises(FoundryError, match="alone knows no dialects"):
        predictor.predict(rows(AIEngine.DIALECT, 1))
    with pytest.raises(FoundryError, match="has no head for dialect"):
        load_predictor(spec, task.config, task.folder)


def test_a_published_head_is_kept_only_if_it_knows_every_label(hub: Path) -> None:
    known = task_for(hub, AIEngine.NLU, labels=("sports", "business"))
    assert (known.base_kind, known.labels) == ("as_published", tiny_bases.TOPICS)
    other = task_for(hub, AIEngine.NLU, labels=("sports", "weather"))
    assert (other.base_kind, other.labels) == ("linear_probe", ("sports", "weather"))


REFUSALS: list[tuple[AIEngine, str | None, dict[str, Any], str]] = [
    (AIEngine.STT, None, {"audio": tiny_bases.tone(2.01)}, "longer_than_base_window"),
    (AIEngine.STT, None, {"audio": tiny_bases.tone(0.5, rate=8000)}, "not_16_khz_mono"),
    (AIEngine.STT, None, {"audio": {"bytes": b"RIFF", "path": "x"}}, "undecodable_audio"),
    (AIEngine.STT, None, {"audio": None}, "no_audio"),
    (AIEngine.STT, None, {"text": " "}, "empty_text"),
    (AIEngine.STT, None, {"text": "കളി " * 40}, "too_many_tokens"),
    (AIEngine.NLU, None, {"text": "കളി " * 80}, "too_many_tokens"),
    (AIEngine.NLU, None, {"label": "weather"}, "unknown_label"),
    (AIEngine.SENTIMENT, "tiny/xlm-roberta", {"text": "കളി " * 40}, "too_many_tokens"),
    (AIEngine.TRANSLATION, "tiny/nllb", {"translation": "no " * 80}, "too_many_tokens"),
    (AIEngine.TTS, None, {"codes": [[16], [0], [0], [0]]}, "codes_beyond_codebook"),
    (AIEngine.TTS, None, {"codes": [[-1], [0], [0], [0]]}, "codes_beyond_codebook"),
    (AIEngine.TTS, None, {"codes": [[1], [0], [0]]}, "other_codec_layers"),
    (AIEngine.TTS, None, {"codes": [[1, 2], [0], [0], [0]]}, "other_codec_layers"),
    (AIEngine.TTS, None, {"codes": []}, "no_codec_tokens"),
    (AIEngine.TTS, None, {"codes": [[n % 16 for n in range(60)]] * 4}, "too_many_tokens"),
]


@pytest.mark.parametrize("engine, base, changes, reason", REFUSALS)
def test_what_a_base_cannot_take_is_refused_with_its_reason_and_never_cut(
    engine: AIEngine, base: str | None, changes: dict[str, Any], reason: str, hub: Path
) -> None:
    task = task_for(hub, engine, base, labels=("positive", "negative") if engine is AIEngine.SENTIMENT else ())
    task.encode(row(engine, 0))
    with pytest.raises(Rejected) as refusal:
        task.encode(row(engine, 0, **changes))
    assert refusal.value.reason == reason


@pytest.mark.parametrize("layers", [1, 4, 8])
def test_codec_tokens_of_any_number_of_layers_become_a_sequence_and_come_back(layers: int, hub: Path) -> None:
    task = task_for(hub, AIEngine.TTS)
    assert isinstance(task, CodecLanguageModel)
    task.codec["layers"] = layers
    codes = [[(3 * frame + layer) % 16 for frame in range(5)] for layer in range(layers)]
    sequence = task.interleaved(codes)
    assert len(set(sequence)) == len(sequence) == 5 * layers and task.frames(sequence) == codes
    with pytest.raises(Rejected, match="other_codec_layers"):
        task.interleaved([*codes, codes[0]])


def test_a_refused_call_names_the_row_and_the_reason(hub: Path) -> None:
    task = task_for(hub, AIEngine.STT)
    predictor = load_predictor(ENGINES[AIEngine.STT], task.config, task.folder)
    long = row(AIEngine.STT, 7, audio=tiny_bases.tone(3))
    with pytest.raises(
        FoundryError, match=r"Row train-stt-0007 .* longer_than_base_window \(3.00 s, the base hears 2 s"
    ):
        predictor.predict([long])
    refusal = predictor.why_not(long)
    assert refusal is not None and refusal.reason == "longer_than_base_window"
    assert predictor.why_not(row(AIEngine.STT, 0)) is None


def test_a_text_that_leaves_no_place_for_speech_is_refused_without_a_target_too(hub: Path) -> None:
    task = task_for(hub, AIEngine.TTS)
    with pytest.raises(Rejected, match="too_many_tokens"):
        task.encode(row(AIEngine.TTS, 0, text="കളി " * 200), with_target=False)


def test_predicting_reads_no_target(hub: Path) -> None:
    for engine, hidden in ((AIEngine.STT, "text"), (AIEngine.NLU, "label"), (AIEngine.TTS, "codes")):
        task = task_for(hub, engine, max_train_rows=1)
        predictor = load_predictor(ENGINES[engine], task.config, task.folder)
        whole = row(engine, 1)
        without = {name: value for name, value in whole.items() if name != hidden}
        assert predictor.predict([whole]) == predictor.predict([without])


@pytest.mark.parametrize(
    "base, direction, opening",
    [
        ("tiny/t5", "ml-en", ">>eng<<"),
        ("tiny/t5", "en-ml", ">>mal<<"),
        ("tiny/nllb", "ml-en", "mal_Mlym"),
        ("tiny/nllb", "en-ml", "eng_Latn"),
        ("tiny/m2m100", "ml-en", "__ml__"),
        ("tiny/m2m100", "en-ml", "__en__"),
    ],
)
def test_the_direction_is_told_in_the_way_the_base_offers(base: str, direction: str, opening: str, hub: Path) -> None:
    task: Any = task_for(hub, AIEngine.TRANSLATION, base)
    features = task.encode(row(AIEngine.TRANSLATION, 0, direction=direction))
    assert task.tokenizer.convert_ids_to_tokens(features["input_ids"])[0] == opening
    target = {"ml-en": "thanks", "en-ml": row(AIEngine.TRANSLATION, 0)["text"]}[direction]
    assert task.decode([features["labels"]])[0].strip() == target
    assert "__" not in task.decode([features["input_ids"]])[0]


def test_a_t5_without_prefixes_is_asked_in_words(hub: Path, tmp_path: Path) -> None:
    folder = tiny_bases.t5(tmp_path / "plain")
    vocabulary = folder / "tokenizer.json"
    vocabulary.write_text(vocabulary.read_text(encoding="utf-8").replace(">>mal<<", ">>xxx<<"), encoding="utf-8")
    task: Any = load_task(ENGINES[AIEngine.TRANSLATION], config_for(AIEngine.TRANSLATION), folder)
    assert task.prefixes["ml-en"] == "translate Malayalam to English: "


def test_codec_sequences_follow_the_contract_and_read_back(hub: Path) -> None:
    task: Any = task_for(hub, AIEngine.TTS)
    codes = [[1, 1, 2], [3, 3, 3], [5, 5, 5], [7, 7, 8]]
    sequence = task.encode({"text": "കളി", "codes": codes})["input_ids"]
    c, start = tiny_bases.CODEC, tiny_bases.CODEC["audio_start"]
    assert sequence[:2] == [c["start_of_human"], c["start_of_text"]]
    text_end = sequence.index(c["end_of_text"])
    assert sequence[text_end : text_end + 4] == [
        c["end_of_text"],
        c["end_of_human"],
        c["start_of_ai"],
        c["start_of_speech"],
    ]
    # The second frame equals the first and is left out; layer i is offset by 16 i.
    audio = [start + 1, start + 16 + 3, start + 32 + 5, start + 48 + 7, start + 2, start + 19, start + 37, start + 56]
    assert sequence[text_end + 4 :] == [*audio, c["end_of_speech"], c["end_of_ai"]]
    assert task.frames(audio) == [[1, 2], [3, 3], [5, 5], [7, 8]]
    assert task.frames([audio[0], audio[1], audio[0], *audio[:4], c["end_of_speech"]]) == [[1], [3], [5], [7]]


def test_a_base_without_codec_numbers_is_read_as_kani_tts(hub: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = tmp_path / "kani"
    shutil.copytree(hub / "models" / "tiny" / "codec-llama", folder)
    config = json.loads((folder / "config.json").read_text())
    del config["codec"]
    (folder / "config.json").write_text(json.dumps(config))
    task: Any = load_task(ENGINES[AIEngine.TTS], config_for(AIEngine.TTS), folder)
    assert task.interleaved([[4031], [0], [0], [1]]) == [64410 + 4031, 64410 + 4032, 64410 + 8064, 64410 + 12096 + 1]
    assert task.audio_end == 80_538
    with pytest.raises(Rejected, match="codes_beyond_codebook"):
        task.interleaved([[4032], [0], [0], [0]])


def test_token_scores_are_those_of_the_codec_tokens_alone(hub: Path) -> None:
    import torch

    task: Any = task_for(hub, AIEngine.TTS)
    predictor = load_predictor(ENGINES[AIEngine.TTS], task.config, task.folder, batch_size=2)
    batch = rows(AIEngine.TTS, 3)
    scores = predictor.teacher_forced(batch)
    assert [score.tokens for score in scores] == [12, 16, 20]
    ids = torch.tensor([task.encode(batch[0])["input_ids"]])
    with torch.inference_mode():
        logs = predictor.model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    expected = sum(-float(logs[place - 1, token]) for place, token in enumerate(ids[0].tolist()) if token >= 200)
    assert scores[0].loss == pytest.approx(expected, rel=1e-4)


def test_whisper_features_are_the_extractors_own(hub: Path) -> None:
    import numpy as np
    import soundfile
    from transformers import AutoProcessor

    task = task_for(hub, AIEngine.STT)
    one = row(AIEngine.STT, 3)
    import io

    samples, _ = soundfile.read(io.BytesIO(one["audio"]["bytes"]), dtype="float32")
    processor = AutoProcessor.from_pretrained(task.folder)
    expected = processor.feature_extractor(samples, sampling_rate=16_000, return_tensors="np").input_features[0]
    assert np.array_equal(task.encode(one)["input_features"], expected)


def counted_calls(model: Any) -> list[int]:
    """Rows in each pass through a Whisper's encoder from here on."""
    passes: list[int] = []
    model.get_encoder().register_forward_hook(lambda module, inputs, output: passes.append(len(output[0])))
    return passes


def decoder_adapter(task: Task, folder: Path, value: float) -> Path:
    task.frozen_modules = ("encoder",)
    try:
        return adapter_with(task, folder, value)
    finally:
        task.frozen_modules = ()


@pytest.mark.parametrize("given", [True, False], ids=["features given", "features made"])
def test_the_encoder_runs_once_for_the_base_and_the_adapters_that_leave_it_alone(
    given: bool, hub: Path, tmp_path: Path
) -> None:
    task = task_for(hub, AIEngine.STT)
    folders = {
        "decoder": decoder_adapter(task, tmp_path / "decoder", 0.5),
        "other": decoder_adapter(task, tmp_path / "other", -0.5),
        "whole": adapter_with(task, tmp_path / "whole", 0.5),
    }
    config = config_for(AIEngine.STT, max_length=8)
    predictor = load_predictor(ENGINES[AIEngine.STT], config, task.folder, folders, batch_size=2)
    batch = rows(AIEngine.STT, 3)
    names = (None, "decoder", "other", "whole")
    plain = {name: predictor.predict(batch, name) for name in names}
    assert len({tuple(p.confidence for p in found) for found in plain.values()}) == 4, (
        "they must differ to be told apart"
    )
    passes = counted_calls(predictor.model)
    encoded = []
    features = [task.encode(each) for each in batch] if given else None
    task_encode = predictor.task.encode
    predictor.task.encode = lambda row, **rest: encoded.append(row) or task_encode(row, **rest)  # type: ignore[method-assign,func-returns-value]
    with predictor.encode_once(batch, features):
        for name in names:
            before = len(passes)
            found = predictor.predict(batch, name)
            assert [p.output for p in found] == [p.output for p in plain[name]]
            assert [p.confidence for p in found] == pytest.approx([p.confidence for p in plain[name]], rel=1e-5)
            assert sum(passes[before:]) == (0 if name in ("decoder", "other") else 3)
        assert predictor.predict(batch[1:], "decoder") == predictor.predict(batch[1:], "decoder")
        stranger = predictor.predict(rows(AIEngine.STT, 1))
        assert stranger[0].output == plain[None][0].output
    assert len(encoded) == (1 if given else 4)
    passes.clear()
    predictor.predict(batch)
    assert sum(passes) == 3, "outside of it nothing is kept"


def test_rows_are_predicted_longest_first_and_answered_in_their_order(hub: Path) -> None:
    predictor = load_predictor(ENGINES[AIEngine.NLU], config_for(AIEngine.NLU), hub / "models/tiny/bert-topics")
    predictor.task.predict = lambda model, features: (
        seen.append([len(f["input_ids"]) for f in features])
        or [  # type: ignore[method-assign,func-returns-value]
            len(f["input_ids"]) for f in features
        ]
    )
    seen: list[list[int]] = []
    texts = ["കളി " * number for number in (1, 7, 3, 20, 2)] * 10
    batch = [{"row_id": str(n), "text": text} for n, text in enumerate(texts)]
    found = predictor.predict(batch)
    assert found == [len(predictor.task.encode(each, with_target=False)["input_ids"]) for each in batch]
    assert [length for lengths in seen for length in lengths] == sorted(found, reverse=True)  # type: ignore[type-var]


def test_out_of_memory_halves_the_batch_of_a_prediction(hub: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictor = load_predictor(ENGINES[AIEngine.NLU], config_for(AIEngine.NLU), hub / "models/tiny/bert-topics")
    batch = rows(AIEngine.NLU, 10)
    plain = [prediction.output for prediction in predictor.predict(batch)]
    run = predictor.task.predict

    def little_memory(model: Any, features: Any) -> Any:
        if len(features) > 3:
            raise MemoryError
        return run(model, features)

    predictor.task.predict = little_memory  # type: ignore[method-assign]
    assert [prediction.output for prediction in predictor.predict(batch)] == plain
    assert predictor.batch_size <= 3
    assert "out of memory with 10 rows at a time" in caplog.text


def test_a_task_opened_again_in_another_process_is_the_same_task(hub: Path) -> None:
    import pickle

    task = task_for(hub, AIEngine.DIALECT, labels=("cochin", "malabar"), lora_rank=3)
    other = pickle.loads(pickle.dumps(task))
    assert type(other) is type(task)
    assert (other.config, other.labels, other.folder) == (task.config, task.labels, task.folder)
    assert (other.encoding, other.base_kind) == (task.encoding, task.base_kind)
