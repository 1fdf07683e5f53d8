"""Translation with encoder-decoder bases: T5, Marian, M2M-100, NLLB, mBART."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_foundry.errors import FoundryError
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

if TYPE_CHECKING:
    import torch

LANGUAGES = {"ml": "Malayalam", "en": "English"}
# What tokenizers with a source language call ours: M2M-100, NLLB (FLORES), mBART.
LANGUAGE_CODES = {"ml": ("ml", "mal_Mlym", "ml_IN"), "en": ("en", "eng_Latn", "en_XX")}
# Marian's multilingual checkpoints open the source with the target language.
TARGET_TOKENS = {"ml": ">>mal<<", "en": ">>eng<<"}
T5_TYPES = ("t5", "mt5", "umt5")


class Translation(Task):
    """Text to text in the direction of each row: "ml-en" reads `text`, "en-ml" reads `translation`.

    How the base is told the direction is read from what it offers: prefixes in its config (`source_prefix`), languages
    in its tokenizer, target tokens in its vocabulary, or, for T5, words.
    """

    bases = "T5, Marian, M2M-100, NLLB or mBART"
    opened_by = "AutoModelForSeq2SeqLM"
    peft_type = "SEQ_2_SEQ_LM"

    def open(self, base: Any, labels: Sequence[str]) -> None:
        super().open(base, labels)
        self.codes = self._language_codes()
        self.prefixes = {} if self.codes else self._prefixes(base)
        if not self.codes and not self.prefixes and "direction" not in self.config.only:
            raise FoundryError(
                f"{self.config.base} can't be told which way to translate: it knows no languages by name.",
                'It may translate one way: say which, as in "only": {"direction": "en-ml"}, or name another base.',
            )

    @classmethod
    def fits(cls, base: Any) -> bool:
        return super().fits(base) and base.model_type != "whisper"

    def limits(self, base: Any) -> tuple[int | None, ...]:
        # T5's positions are relative: its tokenizer's length is advice, the setting is the limit.
        return () if base.model_type in T5_TYPES else super().limits(base)

    def encode(self, row: Row, *, with_target: bool = True) -> Features:
        source, target = row["direction"].split("-")
        texts = {"ml": row["text"], "en": row["translation"]}
        said = written(texts[source])
        if self.codes:
            self.tokenizer.src_lang, self.tokenizer.tgt_lang = self.codes[source], self.codes[target]
        encoded = self.tokenizer(self.prefixes.get(row["direction"], "") + said)
        features: Features = {name: encoded[name] for name in ("input_ids", "attention_mask")}
        features["target"] = target
        if with_target:
            features["labels"] = self.tokenizer(text_target=written(texts[target]))["input_ids"]
        self.check_length(max(len(features["input_ids"]), len(features.get("labels", ()))))
        return features

    def collate(self, features: Sequence[Features]) -> dict[str, torch.Tensor]:
        batch = {
            "input_ids": padded([row["input_ids"] for row in features], self.tokenizer.pad_token_id),
            "attention_mask": padded([row["attention_mask"] for row in features], 0),
        }
        if "labels" in features[0]:
            batch["labels"] = padded([row["labels"] for row in features], IGNORED)
        return batch

    def predict(self, model: Any, features: Sequence[Features]) -> list[Prediction]:
        found: dict[int, Prediction] = {}
        for target in sorted({row["target"] for row in features}):
            places = [place for place, row in enumerate(features) if row["target"] == target]
            batch = self.collate([features[place] for place in places])
            steps = GreedySteps()
            forced = {"forced_bos_token_id": self._code_id(self.codes[target])} if self.codes else {}
            sequences = model.generate(
                input_ids=batch["input_ids"].to(model.device),
                attention_mask=batch["attention_mask"].to(model.device),
                logits_processor=steps.processors,
                do_sample=False,
                num_beams=1,
                max_new_tokens=self.limit,
                **forced,
            )
            texts = self.decode(sequences.tolist())
            confidences = steps.confidences(sequences, model.generation_config.eos_token_id)
            found |= {p: Prediction(t.strip(), c) for p, t, c in zip(places, texts, confidences, strict=True)}
        return [found[place] for place in range(len(features))]

    def decode(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """Return the texts of token sequences, without language tokens: not every tokenizer counts those as special."""
        names = {self._code_id(code) for code in self.codes.values()}
        kept = [[token for token in tokens if token not in names and token != IGNORED] for tokens in sequences]
        return self.tokenizer.batch_decode(kept, skip_special_tokens=True)

    def _language_codes(self) -> dict[str, str]:
        if not hasattr(self.tokenizer, "src_lang"):
            return {}
        known = {language: [code for code in codes if self._knows(code)] for language, codes in LANGUAGE_CODES.items()}
        return {language: codes[0] for language, codes in known.items()} if all(known.values()) else {}

    def _knows(self, code: str) -> bool:
        return self._code_id(code) not in (None, self.tokenizer.unk_token_id)

    def _code_id(self, code: str) -> int | None:
        if hasattr(self.tokenizer, "lang_code_to_token"):  # M2M-100 writes "ml" as "__ml__"
            code = self.tokenizer.lang_code_to_token.get(code, code)
        tokenizer: Any = self.tokenizer
        return tokenizer.convert_tokens_to_ids(code)

    def _prefixes(self, base: Any) -> dict[str, str]:
        directions = [(source, target) for source in LANGUAGES for target in LANGUAGES if source != target]
        given = getattr(base, "source_prefix", None)
        if given:
            return dict(given)
        vocabulary = self.tokenizer.get_vocab()
        if all(token in vocabulary for token in TARGET_TOKENS.values()):
            return {f"{source}-{target}": f"{TARGET_TOKENS[target]} " for source, target in directions}
        if base.model_type in T5_TYPES:
            words = "translate {} to {}: "
            return {f"{s}-{t}": words.format(LANGUAGES[s], LANGUAGES[t]) for s, t in directions}
        return {}
