"""LoRA on Whisper the way the public examples do it: Seq2SeqTrainer, features made for every batch.

Written after transformers' run_speech_recognition_seq2seq.py and PEFT's example of speech recognition: LoRA on q_proj
and v_proj, the collator that pads labels and cuts off their first token, every default of the Trainer left alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

DECODER_ONLY = r".*\.decoder\..*\.(q_proj|v_proj)"


class OnTheFly:
    """A `datasets` transform: audio bytes and text in, log-mel features and labels out."""

    def __init__(self, base: Path) -> None:
        from transformers import WhisperFeatureExtractor, WhisperTokenizer

        self.extractor = WhisperFeatureExtractor.from_pretrained(base)
        self.tokenizer = WhisperTokenizer.from_pretrained(base, language="ml", task="transcribe")

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        import soundfile

        samples = [soundfile.read(io.BytesIO(audio["bytes"]), dtype="float32")[0] for audio in batch["audio"]]
        return {
            "input_features": list(self.extractor(samples, sampling_rate=16_000, return_tensors="np").input_features),
            "labels": self.tokenizer(batch["text"]).input_ids,
        }


class Collator:
    """Stacks features, pads labels with -100, and leaves off the start token, which the model puts in front itself."""

    def __init__(self, transform: OnTheFly, start: int) -> None:
        self.extractor, self.tokenizer, self.start = transform.extractor, transform.tokenizer, start

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        batch = self.extractor.pad([{"input_features": row["input_features"]} for row in rows], return_tensors="pt")
        padded = self.tokenizer.pad([{"input_ids": row["labels"]} for row in rows], return_tensors="pt")
        labels = padded["input_ids"].masked_fill(padded.attention_mask.ne(1), -100)
        if (labels[:, 0] == self.start).all():
            labels = labels[:, 1:]
        batch["labels"] = labels
        return dict(batch)


def train(
    base: Path, rows: Path, folder: Path, given: dict[str, Any], callbacks: Sequence[TrainerCallback], *, decoder: bool
) -> dict[str, Any]:
    """Train on the clips of a Parquet file, write the adapter to `folder`; return what stands beside the times."""
    import torch
    from datasets import Audio, load_dataset
    from peft import LoraConfig, get_peft_model
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, WhisperForConditionalGeneration, set_seed

    torch.set_num_threads(given["threads"])
    clips = load_dataset("parquet", data_files=str(rows), split="train", cache_dir=str(folder / "datasets"))
    transform = OnTheFly(base)
    clips = clips.cast_column("audio", Audio(decode=False)).select_columns(["audio", "text"]).with_transform(transform)
    set_seed(given["seed"])
    model = WhisperForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    model.config.use_cache = False
    lora = LoraConfig(
        r=given["rank"],
        lora_alpha=given["alpha"],
        target_modules=DECODER_ONLY if decoder else ["q_proj", "v_proj"],
        lora_dropout=0.0,
        bias="none",
    )
    adapted = get_peft_model(model, lora)
    steps = -(-len(clips) // given["batch"]) * given["epochs"]
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=given["batch"],
        num_train_epochs=given["epochs"],
        learning_rate=given["rate"],
        warmup_steps=round(given["warmup"] * steps),
        seed=given["seed"],
        use_cpu=True,
        save_strategy="no",
        remove_unused_columns=False,
        label_names=["labels"],
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
    )
    trainer = Seq2SeqTrainer(
        model=adapted,
        args=arguments,
        train_dataset=clips,
        data_collator=Collator(transform, model.config.decoder_start_token_id),
        processing_class=transform.extractor,
        callbacks=list(callbacks),
    )
    trainer.train()
    adapted.save_pretrained(str(folder / "adapter"), save_embedding_layers=False)
    return {"trainable": adapted.get_nb_trainable_parameters()[0]}
