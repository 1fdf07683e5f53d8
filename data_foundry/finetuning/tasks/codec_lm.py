"""Text to speech as language modelling over codec tokens, in the order of sequence that KaniTTS set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_foundry.finetuning.tasks.task import (
    IGNORED,
    Features,
    GreedySteps,
    Prediction,
    Row,
    Task,
    TokenScore,
    padded,
    written,
)
from data_foundry.records import Rejected

if TYPE_CHECKING:
    import torch

# The numbers of nineninesix/kani-tts: NanoCodec's four layers of 4032 codes after 64,410 other ids. A base with other
# numbers says so under `codec` in its config.
KANI_CODEC: dict[str, int] = {
    "layers": 4,
    "codebook_size": 4032,
    "audio_start": 64_410,
    "pad": 64_407,
    "start_of_text": 1,
    "end_of_text": 2,
    "start_of_speech": 64_401,
    "end_of_speech": 64_402,
    "start_of_human": 64_403,
    "end_of_human": 64_404,
    "start_of_ai": 64_405,
    "end_of_ai": 64_406,
}
LONGEST_SPEECH_SECONDS = 12


class CodecLanguageModel(Task):
    """Predicts codec tokens after a text.

    A sequence is start_of_human, start_of_text, text, end_of_text, end_of_human, start_of_ai, start_of_speech, codes,
    end_of_speech, end_of_ai. Codes stand frame by frame, layer i offset by i * codebook_size from audio_start, and a
    frame equal to the one before it is left out. The loss covers the whole sequence, as in KaniTTS's recipe.
    """

    bases = "a causal language model over codec tokens (KaniTTS)"
    opened_by = "AutoModelForCausalLM"
    peft_type = "CAUSAL_LM"

    def open(self, base: Any, labels: Sequence[str]) -> None:
        super().open(base, labels)
        self.codec: dict[str, Any] = {**KANI_CODEC, **(getattr(base, "codec", None) or {})}
        self.audio_end = self.codec["audio_start"] + self.codec["layers"] * self.codec["codebook_size"]

    @classmethod
    def fits(cls, base: Any) -> bool:
        from transformers import AutoModelForMaskedLM

        # Encoders such as BERT can be opened as language models too, and then see the tokens that they are to foresee.
        sees_ahead = type(base) in AutoModelForMaskedLM._model_mapping and not getattr(base, "is_decoder", False)
        return super().fits(base) and not base.is_encoder_decoder and not sees_ahead

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        codec = self.codec
        text = self.tokenizer(written(row["text"]))["input_ids"]
        text = text if text[:1] == [codec["start_of_text"]] else [codec["start_of_text"], *text]
        prompt = [codec["start_of_human"], *text, codec["end_of_text"], codec["end_of_human"]]
        prompt += [codec["start_of_ai"], codec["start_of_speech"]]
        self.check_length(len(prompt), "tokens before any speech", spare=1)
        if not with_target:
            return {"input_ids": prompt}
        sequence = [*prompt, *self.interleaved(row["codes"]), codec["end_of_speech"], codec["end_of_ai"]]
        self.check_length(len(sequence))
        return {"input_ids": sequence, "labels": sequence}

    def without_target(self, features: Features) -> Features:
        ids = features["input_ids"]
        return {"input_ids": ids[: ids.index(self.codec["start_of_speech"]) + 1]}

    def interleaved(self, codes: Sequence[Sequence[int]] | None) -> list[int]:
        """Return codes (layers x frames) as token ids, frame by frame. Raises Rejected for codes of another codec."""
        if not codes or not len(codes[0]):
            raise Rejected("no_codec_tokens")
        layers, size = self.codec["layers"], self.codec["codebook_size"]
        if len(codes) != layers or len({len(layer) for layer in codes}) != 1:
            raise Rejected(
                "other_codec_layers", f"{[len(layer) for layer in codes]} frames a layer, not {layers} equal"
            )
        low, high = min(map(min, codes)), max(map(max, codes))
        if low < 0 or high >= size:
            raise Rejected("codes_beyond_codebook", f"{low} to {high}, the base's codebook has {size}")
        frames = list(zip(*codes, strict=True))
        kept = [frame for place, frame in enumerate(frames) if place == 0 or frame != frames[place - 1]]
        start = self.codec["audio_start"]
        return [start + layer * size + int(code) for frame in kept for layer, code in enumerate(frame)]

    def frames(self, tokens: Sequence[int]) -> list[list[int]]:
        """Return the codes (layers x frames) in generated tokens; what does not stand in layer order is left out."""
        layers, size, start = self.codec["layers"], self.codec["codebook_size"], self.codec["audio_start"]
        found: list[list[int]] = [[] for _ in range(layers)]
        frame: list[int] = []
        for token in tokens:
            layer, code = divmod(token - start, size)
            if layer == len(frame):
                frame.append(code)
            else:
                frame = [code] if layer == 0 else []
            if len(frame) == layers:
                for values, value in zip(found, frame, strict=True):
                    values.append(value)
                frame = []
        return found

    def collate(self, features: Sequence[Features]) -> dict[str, torch.Tensor]:
        rows = [row["input_ids"] for row in features]
        batch = {
            "input_ids": padded(rows, self.codec["pad"]),
            "attention_mask": padded([[1] * len(row) for row in rows], 0),
        }
        if "labels" in features[0]:
            batch["labels"] = padded([row["labels"] for row in features], IGNORED)
        return batch

    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        """Generate speech for texts: greedy, at most `LONGEST_SPEECH_SECONDS` or what the base's positions allow."""
        rows = [row["input_ids"] for row in features]
        ids = padded(rows, self.codec["pad"], left=True).to(model.device)
        mask = padded([[1] * len(row) for row in rows], 0, left=True).to(model.device)
        rate = self.codec.get("frames_per_second", 12.5)
        longest = int(LONGEST_SPEECH_SECONDS * rate * self.codec["layers"])
        steps = GreedySteps()
        sequences = model.generate(
            input_ids=ids,
            attention_mask=mask,
            logits_processor=steps.processors,
            do_sample=False,
            num_beams=1,
            max_new_tokens=min(longest, self.limit - ids.shape[1]),
            eos_token_id=self.codec["end_of_speech"],
            pad_token_id=self.codec["pad"],
        )
        confidences = steps.confidences(sequences, self.codec["end_of_speech"])
        generated = sequences[:, ids.shape[1] :].tolist()
        return [Prediction(self.frames(row), sure) for row, sure in zip(generated, confidences, strict=True)]

    def teacher_forced(self, model: Any, features: Sequence[Features]) -> list[TokenScore]:
        import torch

        batch = {name: values.to(model.device) for name, values in self.collate(features).items()}
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1].float()
        target = batch["labels"][:, 1:]
        spoken = (target >= self.codec["audio_start"]) & (target < self.audio_end)
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), target.masked_fill(~spoken, IGNORED), ignore_index=IGNORED, reduction="none"
        )
        right = (logits.argmax(-1) == target) & spoken
        sums = zip(losses.double().sum(1).tolist(), right.sum(1).tolist(), spoken.sum(1).tolist(), strict=True)
        return [TokenScore(loss, int(hits), int(tokens)) for loss, hits, tokens in sums]
