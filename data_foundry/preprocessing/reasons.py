"""REASONS: why a row may be refused, and what each reason means; every rejected row carries one of these."""

from __future__ import annotations

from typing import get_args

from data_foundry.config import ContentRuleName

REASONS = {
    "malformed_row": "the line or record can't be read as a row, or a whole table has no column that is known",
    "no_metadata": "an audio file that no row of the metadata names",
    "left_out_by_selection": "its audio file was left on the Hub by hub.max_bytes_per_dataset or its like",
    "unknown_label": "a label or dialect that is not in the dataset's table; nothing is guessed",
    "empty_label": "no label or dialect, where the dataset's engine learns from them",
    "empty_text": "no text, or nothing but markup, and nothing else that an engine could use",
    "low_malayalam_ratio": "less Malayalam than text.min_malayalam_ratio asks of an utterance",
    "codec_empty": "a layer without codes",
    "codec_layers": "another number of layers than the codec has",
    "codec_unequal_layers": "layers of different lengths",
    "codec_length": "not the number of frames that the row states",
    "codec_not_integer": "a code that is no whole number",
    "codec_out_of_range": "a code outside the codebook",
    "audio_missing": "no audio in the cell, or no such file in the dataset",
    "audio_empty": "no bytes, or a header without samples",
    "audio_corrupt": "no decoder can read it",
    "audio_truncated": "it declares more than it holds",
    "audio_too_long": "longer than audio.max_source_seconds",
    "bad_chunk_times": "a timed chunk that ends before it starts, or after its recording",
    "too_short": "shorter than audio.min_seconds",
    "audio_silent": "quieter than audio.min_rms_dbfs",
    "audio_clipped": "more samples cut off at the peak than audio.max_clipping_share",
    "low_snr": "noisier than audio.min_snr_db, where that is set",
    "transcript_too_long": "more aksharas a second of speech than audio.max_aksharas_per_second",
    "transcript_too_short": "fewer aksharas a second of speech than audio.min_aksharas_per_second",
    "duplicate_text": "an earlier row says the same, and duplicates.text is drop",
    "duplicate_audio": "an earlier row holds the same samples and says the same, and duplicates.audio is drop",
    **{f"content_{rule}": f"the content rule {rule} found something, and content.exclude names it"
       for rule in get_args(ContentRuleName)},
}  # fmt: skip

ASKED_FOR = frozenset(
    ["low_snr", "duplicate_text", "left_out_by_selection", *(name for name in REASONS if name.startswith("content_"))]
)
"""The reasons that refuse no row unless a setting asks for it; by default what they are about is measured or flagged.

audio.min_snr_db, duplicates.text, the caps and selections of `hub`, and content.exclude ask.
"""
