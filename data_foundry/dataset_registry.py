"""DATASET_REGISTRY: one entry per dataset. Adding an entry is all it takes to add a dataset."""

from __future__ import annotations

from data_foundry.dataset_entry import Codec, DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.records import AIEngine

TOPICS = {
    **{topic: topic for topic in ("business", "entertainment", "sports", "technology")},
    **{"sport": "sports", "tech": "technology", "technologies": "technology"},
    # The corpus lists its classes in alphabetical order; no card says that the numbers follow it.
    **{"0": "business", "1": "entertainment", "2": "sports", "3": "technology"},
}
SENTIMENTS = {
    **dict.fromkeys(("positive", "pos", "positive_state"), "positive"),
    **dict.fromkeys(("negative", "neg", "negative_state"), "negative"),
    **dict.fromkeys(("mixed_feelings", "mixed feelings", "mixed-feelings", "mixed_feeling", "mixed"), "mixed"),
    **dict.fromkeys(("unknown_state", "unknown state", "unknown-state", "unknown", "neutral"), "unknown"),
    **dict.fromkeys(
        ("not-malayalam", "not_malayalam", "not malayalam", "non-malayalam", "other_language", "other language"),
        "not_malayalam",
    ),
}
DIALECTS = {
    **dict.fromkeys(
        ("travancore", "thiruvithamkoor", "trivandrum", "thiruvananthapuram", "south", "southern"), "travancore"
    ),
    **dict.fromkeys(("cochin", "kochi", "ernakulam", "thrissur", "trichur", "central"), "cochin"),
    **dict.fromkeys(("malabar", "kozhikode", "calicut", "kannur", "north", "northern"), "malabar"),
}

# What callers of the line want; `data_foundry.bundled.intent_set` says what each means.
INTENTS = (
    "check_balance", "recharge", "pay_bill", "bill_amount", "bill_dispute", "block_card",
    "report_outage", "technical_support", "register_complaint", "track_status",
    "new_connection", "change_plan", "cancel_service",
    "talk_to_agent", "book_appointment", "change_appointment", "office_hours", "change_language",
    "repeat", "affirm", "deny", "out_of_scope",
)  # fmt: skip

AUDIO = ("audio", "audio_filepath", "chunked_audio_filepath", "file", "wav")
TEXT = ("text", "transcript", "transcription", "sentence", "normalized", "raw_transcription", "verbatim")
SPEAKER = ("speaker_id", "speaker", "client_id", "spk", "spk_id")
GENDER = ("gender", "sex", "speaker_gender")


def dataset_entry(repo_id: str) -> DatasetEntry:
    """Return the entry of a dataset. Raises FoundryError that lists the known ones."""
    try:
        return DATASET_REGISTRY[repo_id]
    except KeyError:
        known = "\n     ".join(DATASET_REGISTRY)
        raise FoundryError(f"{repo_id!r} is not in the dataset registry.", f"Known datasets:\n     {known}") from None


NANO_CODEC = Codec(
    name="nvidia/nemo-nano-codec-22khz-0.6kbps-12.5fps",
    layers=4,
    codebook_size=4032,
    frames_per_second=12.5,
    sample_rate=22_050,
)
NANO_CODEC_ROLES = {
    "text": TEXT,
    "codes": ("nano_layer_",),
    "encoded_len": ("encoded_len",),
    "speaker": SPEAKER,
    "gender": GENDER,
    "style": ("style", "emotion"),
}

_ENTRIES = (
    DatasetEntry(
        repo_id="Be-win/IndicST-malayalam-only",
        layout="parquet",
        declared_engine=AIEngine.STT,
        roles={
            "text": ("text",),
            "source_text": ("source_text",),
            "source_language": ("source_language", "source_lang", "src_lang"),
            "target_language": ("tar_lang", "target_language", "tgt_lang"),
            "task": ("task",),
            # The recording that was transcribed or translated: it comes once for each task and direction.
            "document": ("path",),
            "audio": AUDIO,
        },
        required=("audio", "text"),
        splits={"kathbath": "kathbath"},
        evaluation_splits=("kathbath",),
        text_group=("text", "source_text"),
        ratio_policy="malayalam_side",
        synthetic_reference=True,
        licence="krutrim-community-license-agreement-version-1.0",
        licence_note="Custom licence of the parent krutrim-ai-labs/IndicST, not OSI: needs a legal review.",
        parents={"krutrim-ai-labs/IndicST": "krutrim-community-license-agreement-version-1.0"},
        traps=(
            "`path` is a string that leads nowhere: there is no audio in this dataset. It names a row's recording.",
            "Which side is Malayalam depends on source_language and tar_lang; codes and names both occur.",
            "The side that was not spoken (English of ml-en, Malayalam of en-ml) is a machine's, IndicTrans2: "
            "scores measure agreement with that system.",
            "The split kathbath is an evaluation set and must not be trained on.",
        ),
        fallbacks=("krutrim-ai-labs/IndicST",),
    ),
    DatasetEntry(
        repo_id="ayush-shunyalabs/malayalam-speech-dataset",
        revision="538d6dacc9172a4c738c143df22bdbbc9d64da14",
        layout="parquet",
        declared_engine=AIEngine.STT,
        roles={
            "audio": AUDIO,
            "text": ("transcript", *TEXT),
            "speaker": SPEAKER,
            "gender": GENDER,
            "duration": ("duration",),
        },
        required=("audio", "text"),
        licence_note="Provenance unstated: an aggregation of other corpora whose terms are not named.",
        traps=(
            "47 train shards of about 1.5 GB: needs a disk budget.",
            "No sample rate is promised.",
            "May hold other corpora's test sets and synthetic speech.",
        ),
    ),
    DatasetEntry(
        repo_id="CXDuncan/Malayalam-IndicVoices",
        revision="75527f6aa5f6a0c5a4b2a32832af38ef725d2768",
        layout="audiofolder",
        declared_engine=AIEngine.STT,
        roles={
            "file_name": ("file_name", "file_names", "audio_file", "path"),
            "audio": AUDIO,
            "text": ("sentence", *TEXT),
            "chunks": ("verbatim", "normalized"),
            "speaker": SPEAKER,
            "gender": GENDER,
            "district": ("district",),
            "scenario": ("scenario",),
            "task": ("task_name",),
            "duration": ("duration",),
        },
        required=("audio", "text"),
        licence="cc-by-4.0",
        licence_note="The copy has no card and no tag; the parent ai4bharat/IndicVoices is CC-BY-4.0 and gated.",
        non_commercial=False,
        share_alike=False,
        no_derivatives=False,
        parents={"ai4bharat/IndicVoices": "cc-by-4.0"},
        traps=(
            "Data/Valid is not a split to the Hub's loader: validation rows come out inside train.",
            "Recordings are often longer than 30 s; `verbatim` and `normalized` hold timed chunks.",
            "8 kHz telephone legs stand beside 16 and 48 kHz recordings.",
        ),
        fallbacks=("asr-malayalam/indicvoices-v1a", "ai4bharat/IndicVoices"),
    ),
    DatasetEntry(
        repo_id="Aby003/Malayalam_Dialects",
        revision="6ba0238294399b3e366a4647791f31bf5626d2eb",
        layout="csv",
        declared_engine=AIEngine.DIALECT,
        priority="medium",
        roles={
            "text": ("text", "sentence", "dialect_text", "malayalam", "translation"),
            "dialect": ("dialect", "region", "variety", "label"),
            "audio": AUDIO,
            "source_id": ("id",),
        },
        required=("audio", "dialect"),
        labels=DIALECTS,
        ratio_policy="code_mixed",
        traps=(
            "Nine rows with the columns id and translation: no audio and no dialect label.",
            "A spreadsheet export whose file name has spaces; blank columns and cells may occur.",
        ),
    ),
    DatasetEntry(
        repo_id="Praha-Labs/rasa-malayalam-nano-codec",
        layout="parquet",
        declared_engine=AIEngine.NLU,
        priority="medium",
        roles={**NANO_CODEC_ROLES, "label": ("intent", "label", "class")},
        required=("text", "label"),
        label_kind="intent",
        codec=NANO_CODEC,
        licence="cc-by-4.0",
        licence_note="The parent ai4bharat/Rasa is CC-BY-4.0 and gated; a third party lists it as CC-BY-ND-4.0.",
        non_commercial=False,
        share_alike=False,
        parents={"ai4bharat/Rasa": "cc-by-4.0"},
        traps=(
            "Rasa is a speech synthesis corpus of AI4Bharat, not the NLU framework: codec tokens, no intents.",
            "Layers may differ in length; codes may lie outside the codebook; no speaker column is promised.",
        ),
        fallbacks=("ai4bharat/Rasa",),
    ),
    DatasetEntry(
        repo_id="Sakshamrzt/IndicNLP-Malayalam",
        layout="jsonl",
        declared_engine=AIEngine.NLU,
        roles={"text": ("news", "text", "article", "headline"), "label": ("class", "label", "category")},
        required=("text", "label"),
        labels=TOPICS,
        label_kind="topic",
        licence_found="cc-by-nc-4.0",
        licence="cc-by-nc-sa-4.0",
        licence_note="The copy says CC-BY-NC-4.0, the corpus it comes from CC-BY-NC-SA-4.0: the stricter one holds.",
        non_commercial=True,
        share_alike=True,
        no_derivatives=False,
        parents={"AI4Bharat IndicNLP news article classification": "cc-by-nc-sa-4.0"},
        traps=(
            "The class is a news topic, not an intent.",
            "Numbered classes are read in alphabetical order of the corpus's four topics: an assumption, on no card.",
            "The configuration is named train, like a split; there is no validation split.",
            "Articles are long: a 256-token input cuts most of them.",
        ),
    ),
    DatasetEntry(
        repo_id="wlkla/Malayalam_first_ready_for_sentiment",
        revision="e7a25fa7183efce754311c35e7762cb50d2be2a9",
        layout="tsv",
        declared_engine=AIEngine.SENTIMENT,
        priority="medium",
        roles={
            "text": ("query", "text", "comment", "sentence"),
            "label": ("label", "category", "sentiment", "class"),
        },
        required=("text", "label"),
        labels=SENTIMENTS,
        headerless_columns=("label", "query"),
        quoted=False,
        ratio_policy="code_mixed",
        licence="cc-by-4.0",
        licence_note="The copy has no tag; the corpus (Zenodo 4015234) is CC-BY-4.0.",
        non_commercial=False,
        share_alike=False,
        no_derivatives=False,
        parents={"Zenodo 4015234": "cc-by-4.0"},
        traps=(
            "Comments hold unbalanced quote marks: a reader that honours quotes merges rows.",
            "Mostly romanised Malayalam: a gate on Malayalam script would drop most rows.",
            "Polarity of film comments, not emotion; classes are unbalanced about 7 to 1.",
        ),
    ),
    DatasetEntry(
        repo_id="Be-win/malayalam-speech-with-english-translation",
        layout="parquet",
        declared_engine=AIEngine.TRANSLATION,
        roles={
            "audio": AUDIO,
            "text": ("text", "transcription", "transcript", "sentence", "malayalam", "ml", "ml_text", "source_text"),
            "translation": ("translation", "english_translation", "english", "en", "en_text", "target_text"),
            "speaker": SPEAKER,
            "gender": GENDER,
            "duration": ("duration",),
        },
        required=("text", "translation"),
        text_group=("text", "translation"),
        ratio_policy="malayalam_side",
        direction="ml-en",
        synthetic_reference=True,
        traps=(
            "No page states the columns: which side is Malayalam is to be checked by script, not by name.",
            "The English side is likely machine translation; it may be missing or equal to the Malayalam side.",
        ),
    ),
    DatasetEntry(
        repo_id="Praha-Labs/imasc_slr_Malayalam-nano-codec",
        layout="parquet",
        declared_engine=AIEngine.TTS,
        roles=NANO_CODEC_ROLES,
        required=("text", "codes"),
        codec=NANO_CODEC,
        licence="cc-by-sa-4.0",
        licence_note="No tag seen; the parents IMaSC and OpenSLR 63 are CC-BY-SA-4.0 (a clone between says CC-BY-4.0).",
        non_commercial=False,
        share_alike=True,
        no_derivatives=False,
        parents={"thennal/IMaSC": "cc-by-sa-4.0", "OpenSLR 63": "cc-by-sa-4.0", "vrclc/imasc_slr": "cc-by-4.0"},
        traps=(
            "Several speakers without a speaker column.",
            "Made from 16 kHz audio with a 22.05 kHz codec: nothing above 8 kHz.",
            "More rows than its two parents are known to have: duplicates are likely.",
        ),
        fallbacks=("vrclc/imasc_slr", "thennal/IMaSC"),
    ),
    DatasetEntry(
        repo_id="data-foundry/malayalam-ivr-intents",
        bundled=True,
        layout="jsonl",
        declared_engine=AIEngine.NLU,
        roles={"text": ("text",), "label": ("intent",), "prompt": ("template",), "style": ("style",)},
        required=("text", "label"),
        labels={intent: intent for intent in INTENTS},
        label_kind="intent",
        ratio_policy="code_mixed",
        licence_found="cc0-1.0",
        licence="cc0-1.0",
        licence_note="Written for this project, which dedicates it to the public domain.",
        non_commercial=False,
        share_alike=False,
        no_derivatives=False,
        traps=(
            "Written for this project and checked by no native speaker; no caller ever said these lines.",
            "Rows of one template differ by the words in its slots alone: they belong on one side of a split.",
            "A third is romanised or code-mixed: a gate on Malayalam script would drop most of that.",
        ),
    ),
)
DATASET_REGISTRY: dict[str, DatasetEntry] = {entry.repo_id: entry for entry in _ENTRIES}
