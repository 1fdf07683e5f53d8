"""Speech tasks on Whisper: transcription, and classification on its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.engines import EngineSpec
from data_foundry.errors import FoundryError
from data_foundry.finetuning.classification import ClassifierTask
from data_foundry.finetuning.task import IGNORED, Features, GreedySteps, Prediction, Row, Task, padded, token_limit
from data_foundry.records import SAMPLE_RATE, Rejected
from data_foundry.training_config import TrainingConfig

if TYPE_CHECKING:
    import numpy as np
    import torch

LANGUAGE = "ml"


def decode_audio(row: Row) -> np.ndarray:
    """Return a row's samples, float32, mono, 16 kHz. Raises Rejected when they are not, or can't be decoded."""
    import soundfile

    audio = row.get("audio")
    if not audio or not audio.get("bytes"):
        raise Rejected("no_audio")
    try:
        samples, rate = soundfile.read(BytesIO(audio["bytes"]), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise Rejected("undecodable_audio", str(error)) from None
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise Rejected("not_16_khz_mono", f"{rate} Hz, shape {samples.shape}")
    return samples


class LogMel:
    """Turns samples into a Whisper base's log-mel features (mel bins x frames), always of its full window."""

    def __init__(self, folder: Path, config: Any) -> None:
        from transformers import WhisperFeatureExtractor

        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        # Two frames of features make one encoder position (the second convolution has stride 2).
        if self.extractor.nb_max_frames != 2 * config.max_source_positions:
            raise FoundryError(
                f"{folder.name}: its feature extractor makes {self.extractor.nb_max_frames} frames, "
                f"its encoder takes {2 * config.max_source_positions}.",
                "The base's files do not belong together; get them again.",
            )

    def encode(self, row: Row) -> np.ndarray:
        """Return float32 features. Raises Rejected("longer_than_base_window"): the extractor would cut it unasked."""
        samples = decode_audio(row)
        if len(samples) > self.extractor.n_samples:
            seconds, window = len(samples) / SAMPLE_RATE, self.extractor.n_samples / SAMPLE_RATE
            raise Rejected("longer_than_base_window", f"{seconds:.2f} s, the base hears {window:g} s")
        return self.extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features[0]


class WhisperTranscription(Task):
    """Speech to text. `peft_type` stays None: PEFT's seq2seq wrapper calls the model with `input_ids`."""

    bases = "Whisper"

    def __init__(
        self, spec: EngineSpec, config: TrainingConfig, folder: Path, base: Any, labels: Sequence[str] = ()
    ) -> None:
        from transformers import WhisperTokenizer

        super().__init__(spec, config, folder, base)
        self.log_mel = LogMel(folder, base)
        self.tokenizer = WhisperTokenizer.from_pretrained(folder, language=LANGUAGE, task="transcribe")
        self.positions = base.max_target_positions
        self.start = base.decoder_start_token_id

    @classmethod
    def fits(cls, base: Any) -> bool:
        return base.model_type == "whisper"

    def load_model(self, dtype: torch.dtype) -> Any:
        from transformers import WhisperForConditionalGeneration

        model = WhisperForConditionalGeneration.from_pretrained(self.folder, dtype=dtype)
        # Old checkpoints force tokens in both configs; generate() takes language and task as arguments instead.
        generation: Any = model.generation_config
        generation.forced_decoder_ids = None
        return model

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        features: Features = {"input_features": self.log_mel.encode(row)}
        if with_target:
            text = row["text"]
            if not text or not text.strip():
                raise Rejected("empty_text")
            tokens = self.tokenizer(text)["input_ids"]
            limit = token_limit(self.config, self.positions)
            if len(tokens) > limit:
                raise Rejected("too_many_tokens", f"{len(tokens)} tokens, the decoder takes {limit}")
            # The model shifts labels right itself and puts the start token in front.
            features["labels"] = tokens[1:] if tokens[0] == self.start else tokens
        return features

    def collate(self, features: Sequence[Features]) -> dict[str, torch.Tensor]:
        batch = {"input_features": _stacked(features)}
        if "labels" in features[0]:
            batch["labels"] = padded([row["labels"] for row in features], IGNORED)
        return batch

    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        import torch

        inputs = _stacked(features).to(model.device, model.dtype)
        steps = GreedySteps()
        multilingual = getattr(model.generation_config, "is_multilingual", True)
        sequences = model.generate(
            input_features=inputs,
            attention_mask=torch.ones(inputs.shape[0], inputs.shape[2], dtype=torch.long, device=inputs.device),
            logits_processor=steps.processors,
            do_sample=False,
            num_beams=1,
            max_new_tokens=token_limit(self.config, self.positions - 4),
            **({"language": LANGUAGE, "task": "transcribe"} if multilingual else {}),
        )
        texts = self.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        confidences = steps.confidences(sequences, model.generation_config.eos_token_id)
        return [Prediction(text.strip(), sure) for text, sure in zip(texts, confidences, strict=True)]


class WhisperClassification(ClassifierTask):
    """A class of speech, from a Whisper encoder."""

    bases = "Whisper (its encoder)"

    def __init__(
        self, spec: EngineSpec, config: TrainingConfig, folder: Path, base: Any, labels: Sequence[str] = ()
    ) -> None:
        super().__init__(spec, config, folder, base)
        self.log_mel = LogMel(folder, base)
        self.set_labels(base, "WhisperForAudioClassification", labels)

    @classmethod
    def fits(cls, base: Any) -> bool:
        return base.model_type == "whisper"

    def load_model(self, dtype: torch.dtype) -> Any:
        from transformers import WhisperForAudioClassification

        return self.load_with_head(WhisperForAudioClassification, dtype)

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        features: Features = {"input_features": self.log_mel.encode(row)}
        if with_target:
            features["labels"] = self.label_id(row)
        return features

    def collate(self, features: Sequence[Features]) -> dict[str, torch.Tensor]:
        import torch

        batch = {"input_features": _stacked(features)}
        if "labels" in features[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in features])
        return batch

    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        logits = model(input_features=_stacked(features).to(model.device, model.dtype)).logits
        return self.predictions(logits)


def _stacked(features: Sequence[Features]) -> torch.Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([row["input_features"] for row in features]))
