"""Speech tasks on Whisper: transcription, and classification on its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.tasks.classification import ClassifierTask, set_linear
from data_foundry.finetuning.tasks.task import (
    IGNORED,
    Features,
    GreedySteps,
    Prediction,
    Row,
    Task,
    padded,
    written,
)
from data_foundry.records import SAMPLE_RATE, Rejected

if TYPE_CHECKING:
    import numpy as np
    import torch

LANGUAGE = "ml"
FRAME_BLOCK = 64
"""Log-mel features are computed in whole blocks of so many frames, so that the shapes of matrices stay few."""


def decode_audio(row: Row) -> np.ndarray:
    """Return a row's samples, float32, mono, 16 kHz. Raises Rejected when they are not, or can't be decoded."""
    import numpy as np
    import soundfile

    audio = row.get("audio")
    if not audio or not audio.get("bytes"):
        raise Rejected("no_audio")
    try:
        samples, rate = soundfile.read(BytesIO(audio["bytes"]), dtype="float32")
    except soundfile.SoundFileError as error:
        raise Rejected("undecodable_audio", str(error)) from None
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise Rejected("not_16_khz_mono", f"{rate} Hz, shape {samples.shape}")
    if not len(samples):
        raise Rejected("no_audio", "0 samples")
    if not np.isfinite(samples).all():
        raise Rejected("undecodable_audio", "samples that are no number")
    return samples


class LogMel:
    """Turns samples into a Whisper base's log-mel features (mel bins x frames), always of its full window.

    They are those of WhisperFeatureExtractor, bit for bit. It computes a whole window for the shortest clip; here the
    sound and a little silence after it are computed, and what follows is the same constant to the window's end.
    """

    def __init__(self, folder: Path, config: Any) -> None:
        from transformers import WhisperFeatureExtractor

        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        self._exact: bool | None = None
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
        if self._exact is None:
            self._exact = self._short_is_exact()
        return self._short(samples) if self._exact else self._whole(samples)

    def _whole(self, samples: np.ndarray) -> np.ndarray:
        return self.extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features[0]

    def _short(self, samples: np.ndarray) -> np.ndarray:
        """Return the features of a clip computed on its sound alone."""
        import numpy as np

        hop, reach = self.extractor.hop_length, self.extractor.n_fft
        # Behind the last frame that hears any sound, at least one that hears none: the constant of the rest.
        frames = -(-(len(samples) + reach) // (FRAME_BLOCK * hop)) * FRAME_BLOCK
        if frames >= self.extractor.nb_max_frames:
            return self._whole(samples)
        found = self.extractor(samples, sampling_rate=SAMPLE_RATE, max_length=frames * hop, return_tensors="np")
        sound = found.input_features[0]
        window = np.full((len(sound), self.extractor.nb_max_frames), sound[-1, -1], dtype=sound.dtype)
        window[:, :frames] = sound
        return window

    def _short_is_exact(self) -> bool:
        """Try it: whether a product of matrices depends on their width is up to the machine's linear algebra."""
        import numpy as np

        if self.extractor.dither:
            return False
        noise = np.random.default_rng(0).normal(scale=0.1, size=self.extractor.n_samples).astype(np.float32)
        clips = (noise[: round(share * len(noise))] for share in (0.01, 0.17, 0.42))
        return all(np.array_equal(self._short(clip), self._whole(clip)) for clip in clips)


class WhisperTranscription(Task):
    """Speech to text. `peft_type` stays None: PEFT's seq2seq wrapper calls the model with `input_ids`.

    With config.freeze_encoder features hold `encoder_states` (positions x width; bfloat16 as its bits, uint16) in place
    of the sound: what comes before them, SpecAugment and the encoder's dropout where a base asks for them, is left out.
    """

    bases = "Whisper"
    opened_by = "WhisperForConditionalGeneration"
    limited_by = "decoder"
    freezable = ("encoder",)

    @classmethod
    def fits(cls, base: Any) -> bool:
        return base.model_type == "whisper"

    def open(self, base: Any, labels: Sequence[str]) -> None:
        super().open(base, labels)
        self.log_mel = LogMel(self.folder, base)
        self.positions: int = base.max_target_positions
        self.start: int = base.decoder_start_token_id

    def open_tokenizer(self) -> Any:
        from transformers import WhisperTokenizer

        return WhisperTokenizer.from_pretrained(self.folder, language=LANGUAGE, task="transcribe")

    def limits(self, base: Any) -> tuple[int | None, ...]:
        return (base.max_target_positions,)

    def load_model(self, dtype: torch.dtype) -> Any:
        model = super().load_model(dtype)
        # Old checkpoints force tokens in both configs; generate() takes language and task as arguments instead.
        generation: Any = model.generation_config
        generation.forced_decoder_ids = None
        return model

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        features: Features = {"input_features": self.log_mel.encode(row)}
        if with_target:
            tokens = self.tokenizer(written(row["text"]))["input_ids"]
            # The model shifts labels right itself and puts the start token in front.
            features["labels"] = tokens[1:] if tokens[0] == self.start else tokens
            self.check_length(len(features["labels"]))
        return features

    def length(self, features: Features) -> int:
        return len(features["labels"])

    def effort(self, row: Row, features: Features) -> int:
        """The longer the sound, the longer its transcript: its frames, or its seconds where its features are gone."""
        if "input_features" in features:
            return _sounding_frames(features["input_features"])
        return round(100 * (row.get("duration") or 0))

    def collate(self, features: Sequence[Features]) -> dict[str, Any]:
        batch: dict[str, Any] = self._heard(features)
        if "labels" in features[0]:
            batch["labels"] = padded([row["labels"] for row in features], IGNORED)
        return batch

    def frozen_output(self, model: Any, features: Sequence[Features]) -> torch.Tensor:
        inputs = _stacked(features).to(model.device, model.dtype)
        return model.get_encoder()(inputs).last_hidden_state

    def with_frozen_output(self, features: Features, output: Any) -> Features:
        return {"encoder_states": output, **{name: v for name, v in features.items() if name != "input_features"}}

    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        import torch
        from transformers.modeling_outputs import BaseModelOutput

        heard = self._heard(features)
        if states := heard.pop("encoder_outputs", None):
            heard["encoder_outputs"] = BaseModelOutput(states[0].to(model.device, model.dtype))
        else:
            sound = heard["input_features"].to(model.device, model.dtype)
            mask = torch.ones(sound.shape[0], sound.shape[2], dtype=torch.long, device=sound.device)
            heard = {"input_features": sound, "attention_mask": mask}
        steps = GreedySteps()
        multilingual = getattr(model.generation_config, "is_multilingual", True)
        sequences = model.generate(
            **heard,
            logits_processor=steps.processors,
            do_sample=False,
            num_beams=1,
            max_new_tokens=min(self.limit, self.positions - 4),
            **({"language": LANGUAGE, "task": "transcribe"} if multilingual else {}),
        )
        texts = self.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        confidences = steps.confidences(sequences, model.generation_config.eos_token_id)
        return [Prediction(text.strip(), sure) for text, sure in zip(texts, confidences, strict=True)]

    def _heard(self, features: Sequence[Features]) -> dict[str, Any]:
        if "encoder_states" not in features[0]:
            return {"input_features": _stacked(features)}
        states = _stacked(features, "encoder_states")
        # The model takes what an encoder returns, whose first element are the states.
        return {"encoder_outputs": (states,)}


class WhisperClassification(ClassifierTask):
    """A class of speech, from a Whisper encoder."""

    bases = "Whisper (its encoder)"

    opened_by = "WhisperForAudioClassification"

    @classmethod
    def fits(cls, base: Any) -> bool:
        return base.model_type == "whisper"

    def open(self, base: Any, labels: Sequence[str]) -> None:
        self.log_mel = LogMel(self.folder, base)
        self.set_labels(base, self.opened_by, labels)

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        features: Features = {"input_features": self.log_mel.encode(row)}
        if with_target:
            features["labels"] = self.label_id(row)
        return features

    def length(self, features: Features) -> int:
        """Every row is a full window of sound, so none is longer than another."""
        return 0

    def effort(self, row: Row, features: Features) -> int:
        return 0

    def collate(self, features: Sequence[Features]) -> dict[str, torch.Tensor]:
        import torch

        batch = {"input_features": _stacked(features)}
        if "labels" in features[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in features])
        return batch

    def logits(self, model: Any, features: Sequence[Features]) -> torch.Tensor:
        found: torch.Tensor = model(input_features=_stacked(features).to(model.device, model.dtype)).logits
        return found

    def read_by_head(self, model: Any, features: Sequence[Features]) -> torch.Tensor:
        """Return the mean of the encoder's states: the head projects every state, and takes the mean of those."""
        heard: list[torch.Tensor] = []
        hook = self._projector(model).register_forward_pre_hook(lambda layer, given: heard.append(given[0].mean(1)))
        try:
            self.logits(model, features)
        finally:
            hook.remove()
        return heard[0]

    def set_head(self, model: Any, weights: np.ndarray, bias: np.ndarray) -> None:
        """Let the projection make the logits and the last layer pass them on: what is linear twice is so once."""
        import numpy as np

        projector, last = self._projector(model), self.head_layer(model)
        if len(weights) > projector.out_features:
            raise FoundryError(
                f"{len(weights)} labels are more than the {projector.out_features} numbers that the head of "
                f"{self.config.base} passes on.",
                "Train on fewer labels, or name a base with a larger classifier_proj_size.",
            )
        spare = projector.out_features - len(weights)
        set_linear(projector, np.pad(weights, ((0, spare), (0, 0))), np.pad(bias, (0, spare)))
        set_linear(last, np.eye(*last.weight.shape), np.zeros(len(bias)))

    def _projector(self, model: Any) -> Any:
        named = dict(model.named_modules())
        return named.get("base_model.model.projector.modules_to_save.default") or named["projector"]


def _sounding_frames(log_mel: np.ndarray) -> int:
    """Return the frames up to the silence that fills a window (mel bins x frames): one constant to its end."""
    import numpy as np

    sound = np.asarray(log_mel)
    sounding = np.flatnonzero((sound != sound[-1, -1]).any(axis=0))
    return int(sounding[-1]) + 1 if len(sounding) else 0


def _stacked(features: Sequence[Features], name: str = "input_features") -> torch.Tensor:
    import numpy as np
    import torch

    found = torch.from_numpy(np.stack([row[name] for row in features]))
    return found.view(torch.bfloat16) if found.dtype == torch.uint16 else found
