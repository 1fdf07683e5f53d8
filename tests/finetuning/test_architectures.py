"""Every class of base: from rows to an adapter that plain transformers and PEFT open, whatever its folder is called."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import load_predictor, load_task
from data_foundry.finetuning.tasks.classification import ClassifierTask
from data_foundry.finetuning.tasks.codec_lm import CodecLanguageModel
from data_foundry.finetuning.tasks.task import Row
from data_foundry.finetuning.training.linear_probe import fit_linear_probe
from data_foundry.finetuning.training.lora import with_lora
from data_foundry.finetuning.training.train import train_adapter
from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine
from data_foundry.training_config import Training, TrainingConfig
from finetuning import tiny_bases
from finetuning.gold_builders import commit_gold, gold, row, rows
from finetuning.test_adapt import Build, run, version

QUIET = Training(gpu_enabled=False, mixed_precision=False)
Answers = Callable[[Path, Path, Sequence[Row]], list[Any]]


def opened(model_class: str, folder: Path, adapter: Path | None, **given: Any) -> Any:
    """A base as from_pretrained reads it, with the adapter that PEFT lays on it."""
    import transformers
    from peft import PeftModel

    model = getattr(transformers, model_class).from_pretrained(folder, **given)
    return (PeftModel.from_pretrained(model, str(adapter)) if adapter else model).eval()


def transcripts(folder: Path, adapter: Path, batch: Sequence[Row]) -> list[str]:
    import soundfile
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    model = opened("AutoModelForSpeechSeq2Seq", folder, adapter)
    said = []
    for one in batch:
        samples, rate = soundfile.read(io.BytesIO(one["audio"]["bytes"]), dtype="float32")
        features = processor.feature_extractor(samples, sampling_rate=rate, return_tensors="pt").input_features
        tokens = model.generate(input_features=features, language="ml", task="transcribe", max_new_tokens=44)
        said.append(processor.batch_decode(tokens, skip_special_tokens=True)[0].strip())
    return said


def dialects(folder: Path, adapter: Path, batch: Sequence[Row]) -> list[dict[str, float]]:
    import soundfile
    from transformers import AutoFeatureExtractor

    labels = json.loads((adapter / "labels.json").read_text(encoding="utf-8"))
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = opened("AutoModelForAudioClassification", folder, adapter, num_labels=len(labels))
    samples = [soundfile.read(io.BytesIO(one["audio"]["bytes"]), dtype="float32")[0] for one in batch]
    features = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
    return shares(model(input_features=features).logits, labels)


def classes(folder: Path, adapter: Path, batch: Sequence[Row]) -> list[dict[str, float]]:
    from transformers import AutoTokenizer

    labels = json.loads((adapter / "labels.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = opened("AutoModelForSequenceClassification", folder, adapter, num_labels=len(labels))
    return shares(model(**tokenizer([one["text"] for one in batch], padding=True, return_tensors="pt")).logits, labels)


def shares(logits: Any, labels: Sequence[str]) -> list[dict[str, float]]:
    return [dict(zip(labels, values, strict=True)) for values in logits.softmax(-1).tolist()]


def translations(codes: dict[str, str], prefix: str = "", names: Sequence[str] = (), token: str = "{}") -> Answers:
    """Plain code for bases told the language by `codes` in the tokenizer, or else by `prefix` in the text."""

    def answer(folder: Path, adapter: Path, batch: Sequence[Row]) -> list[str]:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = opened("AutoModelForSeq2SeqLM", folder, adapter)
        found = []
        for one in batch:
            source, target = one["direction"].split("-")
            forced = {}
            if codes:
                tokenizer.src_lang = codes[source]
                forced["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids(token.format(codes[target]))
            text = one["text"] if source == "ml" else one["translation"]
            encoded = tokenizer(prefix.format({"ml": "mal", "en": "eng"}[target]) + text, return_tensors="pt")
            tokens = model.generate(**encoded, num_beams=1, do_sample=False, max_new_tokens=32, **forced)
            said = tokenizer.batch_decode(tokens, skip_special_tokens=True)[0]
            # M2M-100's tokenizer does not count its language tokens as special.
            found.append(said.removeprefix(token.format(codes.get(target))).strip())
        return found

    return answer


def codec_tokens(folder: Path, adapter: Path, batch: Sequence[Row]) -> list[Any]:
    """The codes after each text, one row at a time, so that nothing is padded."""
    import torch
    from transformers import AutoTokenizer

    tokenizer, model, c = AutoTokenizer.from_pretrained(folder), opened("AutoModelForCausalLM", folder, adapter), CODEC
    found = []
    for one in batch:
        text = tokenizer(one["text"])["input_ids"]
        prompt = [c["start_of_human"], c["start_of_text"], *text, c["end_of_text"], c["end_of_human"]]
        prompt += [c["start_of_ai"], c["start_of_speech"]]
        end, pad, most = c["end_of_speech"], c["pad"], LIMITS[TTS] - len(prompt)
        tokens = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=most, eos_token_id=end, pad_token_id=pad
        )[0, len(prompt) :].tolist()
        found.append(tokens)
    return found


CODEC = tiny_bases.CODEC


@dataclass(frozen=True)
class Architecture:
    """One class of base: how it is built, in a folder of which name, and what plain code says with its adapter."""

    engine: AIEngine
    build: Callable[[Path], Path]
    targets: tuple[str, ...]
    folder: str
    answers: Answers


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a class's base, misleadingly named, made when it is first asked for."""
    places: dict[str, Path] = {}

    def base(name: str) -> Path:
        if name not in places:
            one = ARCHITECTURES[name]
            places[name] = one.build(tmp_path_factory.mktemp("bases") / one.folder)
        return places[name]

    return base


def text_encoder(name: str, **config: Any) -> Callable[[Path], Path]:
    return lambda folder: tiny_bases.encoder(folder, name, **config)


ATTENTION_AND_FFN = ("q_proj", "fc1", "fc2")
STT, NLU, DIALECT, MT, TTS = AIEngine.STT, AIEngine.NLU, AIEngine.DIALECT, AIEngine.TRANSLATION, AIEngine.TTS
DISTILBERT = {"dim": 16, "hidden_dim": 32, "n_layers": 1, "n_heads": 2}
MODERN_BERT = {f"{name}_token_id": None for name in ("eos", "bos", "cls", "sep")}
LIMITS = {TTS: 80, STT: tiny_bases.LABEL_POSITIONS}
NLLB_CODES = {"ml": "mal_Mlym", "en": "eng_Latn"}
ARCHITECTURES: dict[str, Architecture] = {
    "Whisper": Architecture(STT, tiny_bases.whisper, ("q_proj", "v_proj", "fc1"), "bert-base-marian", transcripts),
    "Whisper's encoder": Architecture(DIALECT, tiny_bases.whisper, ("q_proj", "v_proj"), "wav2vec2-xlsr", dialects),
    "BERT": Architecture(NLU, tiny_bases.bert, ("query", "value", "dense"), "whisper-small", classes),
    "XLM-R": Architecture(NLU, text_encoder("XLMRoberta"), ("query", "value"), "t5-base", classes),
    "ALBERT": Architecture(NLU, text_encoder("Albert", embedding_size=8), ("query", "value", "ffn"), "bert", classes),
    "ELECTRA": Architecture(NLU, text_encoder("Electra", embedding_size=8), ("query", "value"), "gpt2", classes),
    "DistilBERT": Architecture(NLU, text_encoder("DistilBert", **DISTILBERT), ("q_lin", "v_lin"), "llama-3", classes),
    "ModernBERT": Architecture(NLU, text_encoder("ModernBert", **MODERN_BERT), ("Wqkv", "Wi"), "xlm-roberta", classes),
    "DeBERTa": Architecture(
        NLU, text_encoder("DebertaV2", relative_attention=True), ("query_proj", "value_proj"), "m2m100", classes
    ),
    "T5": Architecture(MT, tiny_bases.t5, ("q", "v"), "opus-mt-ml-en", translations({}, ">>{}<< ")),
    "mT5": Architecture(
        MT, lambda folder: tiny_bases.t5(folder, name="MT5"), ("q", "v"), "nllb-200", translations({}, ">>{}<< ")
    ),
    "Marian": Architecture(MT, tiny_bases.marian, ATTENTION_AND_FFN, "whisper-tiny", translations({}, ">>{}<< ")),
    "M2M-100": Architecture(
        MT, tiny_bases.m2m100, ATTENTION_AND_FFN, "nllb", translations({"ml": "ml", "en": "en"}, token="__{}__")
    ),
    "NLLB": Architecture(MT, tiny_bases.nllb, ATTENTION_AND_FFN, "m2m100", translations(NLLB_CODES)),
    "mBART": Architecture(
        MT, tiny_bases.mbart50, ATTENTION_AND_FFN, "t5-small", translations({"ml": "ml_IN", "en": "en_XX"})
    ),
    "Llama": Architecture(TTS, tiny_bases.codec_llama, ("q_proj", "v_proj"), "bert-base", codec_tokens),
    "LFM2": Architecture(
        TTS,
        lambda folder: tiny_bases.codec_lm(
            folder, "Lfm2", num_hidden_layers=2, layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False
        ),
        ("q_proj", "v_proj", "w1", "in_proj"),
        "whisper-large",
        codec_tokens,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_class_of_base_learns_and_plain_code_opens_its_adapter(
    name: str, tmp_path: Path, built: Callable[[str], Path]
) -> None:
    one = ARCHITECTURES[name]
    folder = built(name)
    spec = ENGINES[one.engine]
    config = TrainingConfig(
        base=f"owner/{one.folder}",
        target_modules=one.targets,
        lora_rank=4,
        learning_rate=3e-2,
        epochs=4,
        batch_size=8,
        max_length=LIMITS.get(one.engine, 32),
    )
    batch = rows(one.engine, 8)
    labels = tuple(sorted({str(r[spec.label]) for r in batch})) if one.engine in (NLU, DIALECT) else ()
    task = load_task(spec, config, folder, labels)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    record = train_adapter(task, config, QUIET, [task.encode(r) for r in batch], (), adapter)
    losses = [point["loss"] for point in record.curve if "loss" in point]
    assert losses[-1] < losses[0], losses

    predictor = load_predictor(spec, config, folder, {"trained": adapter})
    asked = batch[:2]
    ours = predictor.predict(asked, "trained")
    answers = one.answers(folder, adapter, asked)
    if labels:
        assert all(p.classes == pytest.approx(a, abs=1e-5) for p, a in zip(ours, answers, strict=True))
    else:
        told = [task.frames(tokens) for tokens in answers] if isinstance(task, CodecLanguageModel) else answers
        assert [p.output for p in ours] == told
    probed = isinstance(task, ClassifierTask) and task.base_kind == "linear_probe"
    if isinstance(task, ClassifierTask) and probed:
        probe = tmp_path / "probe"
        fit_linear_probe(task, config, QUIET, [task.encode(r) for r in batch], (), probe)
        predictor.add_adapter("probe", probe)
        told = zip(predictor.predict(asked, "probe"), one.answers(folder, probe, asked), strict=True)
        assert all(p.classes == pytest.approx(a, abs=1e-5) for p, a in told)
    untaught = predictor.predict(asked, "probe" if probed else None)
    assert [p.confidence for p in untaught] != [p.confidence for p in ours]


@pytest.mark.parametrize("name", ["T5", "mT5", "Marian", "M2M-100", "NLLB", "mBART"])
def test_a_translation_is_generated_from_the_tokens_that_training_began_with(
    name: str, built: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    config = TrainingConfig(base="owner/name", max_length=32)
    task = load_task(ENGINES[MT], config, built(name))
    model: Any = task.load_model(torch.float32).eval()
    heard: list[list[int]] = []
    decoder = model.get_decoder()
    forward = decoder.forward

    def listen(input_ids: Any = None, **rest: Any) -> Any:
        heard.append(input_ids[0].tolist())
        return forward(input_ids=input_ids, **rest)

    monkeypatch.setattr(decoder, "forward", listen)
    encoded = task.encode(row(MT, 1))
    with torch.inference_mode():
        model(**task.collate([encoded]))
        task.predict(model, [encoded])
    (taught, first, *later) = heard
    # A base that is told the target by a token has it forced as the first that it generates.
    opening = [*first, *later[0]] if hasattr(task, "codes") and task.codes else first
    assert taught[: len(opening)] == opening and len(opening) in (1, 2)


def test_a_base_of_one_direction_wants_to_be_given_that_direction_alone(tmp_path: Path) -> None:
    folder = tiny_bases.marian(tmp_path / "marian", targets=())
    config = TrainingConfig(base="owner/marian", max_length=32)
    with pytest.raises(FoundryError, match=r'can\'t be told.*\n.*"only": {"direction": "en-ml"}'):
        load_task(ENGINES[MT], config, folder)
    task = load_task(ENGINES[MT], config.model_copy(update={"only": {"direction": "en-ml"}}), folder)
    assert task.encode(row(MT, 1))["labels"]


@pytest.mark.parametrize("content", ['{"hidden_size": 16}', '{"model_type": "no-such"}', "{", None])
def test_a_base_whose_config_names_no_class_is_refused_whatever_its_folder_is_called(
    content: str | None, tmp_path: Path
) -> None:
    folder = tmp_path / "whisper-small"
    folder.mkdir()
    if content is not None:
        (folder / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(FoundryError, match="can't be opened as a base model"):
        load_task(ENGINES[STT], TrainingConfig(base="openai/whisper-small"), folder)


def test_a_base_of_another_class_is_refused_with_the_classes_that_fit(built: Callable[[str], Path]) -> None:
    bert = built("BERT")
    for engine, fitting in ((STT, "Whisper"), (MT, "T5, Marian, M2M-100, NLLB or mBART"), (TTS, "causal language")):
        with pytest.raises(FoundryError, match=rf"is a bert model, which can't learn .*\n.*{fitting}"):
            load_task(ENGINES[engine], TrainingConfig(base="openai/whisper-small"), bert)
    with pytest.raises(FoundryError, match="is a whisper model, which can't learn text-to-text"):
        load_task(ENGINES[MT], TrainingConfig(base="google/bert"), built("Whisper"))


# The class of every engine's own base, as its config on the Hub names it, and the head that is not for LoRA.
DEFAULT_BASES: dict[AIEngine, tuple[str, str, dict[str, Any]]] = {
    STT: ("openai/whisper-small", "WhisperForConditionalGeneration", tiny_bases.SMALL_SEQ2SEQ),
    DIALECT: ("openai/whisper-small", "WhisperForAudioClassification", tiny_bases.SMALL_SEQ2SEQ),
    NLU: ("google/muril-base-cased", "BertForSequenceClassification", tiny_bases.SMALL_ENCODER),
    AIEngine.SENTIMENT: ("google/muril-base-cased", "BertForSequenceClassification", tiny_bases.SMALL_ENCODER),
    MT: ("facebook/m2m100_418M", "M2M100ForConditionalGeneration", tiny_bases.SMALL_SEQ2SEQ),
    TTS: (
        "nineninesix/kani-tts-450m-0.2-pt",
        "Lfm2ForCausalLM",
        {**tiny_bases.SMALL_ENCODER, "num_key_value_heads": 1, "num_hidden_layers": 2}
        | {"layer_types": ["conv", "full_attention"]},
    ),
}


@pytest.mark.parametrize("engine", DEFAULT_BASES)
def test_every_engines_own_target_modules_are_linear_layers_of_its_own_base(engine: AIEngine) -> None:
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    base, name, config = DEFAULT_BASES[engine]
    training = ENGINES[engine].training
    assert training.base == base
    model_class: Any = getattr(transformers, name)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    model = model_class(model_class.config_class(vocab_size=64, **config, **ids))
    linear = {path.rpartition(".")[2] for path, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    assert set(training.target_modules) <= linear
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=list(training.target_modules)))
    touched = {
        path.split(".lora_A")[0].rpartition(".")[2] for path, _ in adapted.named_parameters() if "lora_A" in path
    }
    assert touched == set(training.target_modules)


@pytest.mark.parametrize("name", ["T5", "DistilBERT", "ModernBERT", "LFM2", "Whisper"])
def test_target_modules_that_a_class_does_not_have_are_answered_with_those_it_has(
    name: str, built: Callable[[str], Path]
) -> None:
    one = ARCHITECTURES[name]
    config = TrainingConfig(base="owner/name", target_modules=("qkv_of_another",), max_length=48)
    task = load_task(ENGINES[one.engine], config, built(name), ("a", "b"))
    with pytest.raises(FoundryError, match=r"LoRA does not fit owner/name") as refusal:
        with_lora(task, config)
    assert all(target in refusal.value.hint for target in one.targets)


@pytest.mark.parametrize(
    "engine, base, plain, changes",
    [
        (STT, "whisper", transcripts, {"epochs": 3, "learning_rate": 1e-2}),
        (AIEngine.SENTIMENT, "bert", classes, {"epochs": 6, "learning_rate": 2e-2}),
    ],
)
def test_plain_code_gets_from_a_published_adapter_the_answers_that_were_measured(
    engine: AIEngine, base: str, plain: Answers, changes: dict[str, Any], tiny_settings: Build, hub: Path
) -> None:
    settings = tiny_settings(engine, **changes)
    commit_gold(Lake(settings), engine, gold(engine))
    run(settings)
    manifest = version(settings)
    folder = Lake(settings).folder(Layer.MODELS, manifest.name) / "adapter"
    examples = manifest.details["evaluation"]["examples"]
    asked = [row(engine, int(example["row_id"][-4:]), "test") for example in examples]
    answers = plain(hub / "models" / "tiny" / base, folder, asked)
    told = [max(answer, key=answer.__getitem__) if isinstance(answer, dict) else answer for answer in answers]
    assert told == [example["adapted"] for example in examples] and len(told) == 5
