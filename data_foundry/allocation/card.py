"""What stands beside gold rows for a person to read: the dataset card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_foundry.allocation.routing_table import routing_section
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines.spec import EngineSpec
from data_foundry.licence_terms import is_known, licence_names

MEANINGS = {
    "source_split": "where a row was published, so that an evaluation split (such as kathbath) inside `test` can be "
    "told apart",
    "group": "the same for rows that are linked, and so stand in one split",
    "sampling_weight": "how much a row should count when classes are to be balanced, 1.0 on average over `train`; no "
    "row is repeated for balance",
    "text_raw": "the text as its dataset has it, before it was normalised, with personal data masked",
    "dialect": "the region of the speaker: travancore, cochin or malabar",
    "label_source": "`declared`, or `district proxy`: the region of the district that the speaker lives in, which says "
    "where somebody lives and not how they speak",
    "label_kind": "`intent` or `topic`; `domain` for a text without a target",
    "ivr_label": "what a phone line makes of the polarity (negative: frustration, positive: satisfaction, mixed: "
    "neutral, unknown and not_malayalam: nothing), this project's reading and not the corpus's",
    "code_mixed": "whether the text mixes Malayalam and English, or writes Malayalam in Latin letters",
    "synthetic_reference": "whether the target side (the English of ml-en, the Malayalam of en-ml) is a machine's "
    "translation: a score then measures agreement with that machine; empty where nobody states it",
    "machine_translated": "whether the Malayalam is a machine's translation of English, and nobody's own words; empty "
    "where nobody states it",
    "codes": "codec tokens, one list per layer of the codec",
    "channel": "`clean`, or `phone` for a row that was sent through a simulated phone line",
    "channel_parameters": "of a phone row, as JSON: the line's codec, band, noise and losses, and what they came to",
}


def dataset_card(spec: EngineSpec, details: Mapping[str, Any], commercial_use: bool) -> str:
    """Return README.md of a gold set from its manifest's details: YAML by which `load_dataset(folder)` knows the
    splits, then prose.
    """
    rows = {**details["rows"], **details.get("phone_rows", {})}
    present = [split for split, count in rows.items() if count]
    # Without any, the Hub's clients would take another file of the folder for rows; so they say what they lack.
    listed = [f"  - split: {split}\n    path: {split}/*.parquet" for split in present or ["train"]]
    named = [licence_names(line["licence"]) or ["unknown"] for line in details["licences"]]
    licences = sorted({_hub_licence(name) for names in named for name in names})
    lines = [
        "---",
        "language:",
        "- ml",
        *(["license:", *[f"- {licence}" for licence in licences]] if licences else []),
        "configs:",
        "- config_name: default",
        "  data_files:",
        *listed,
        "---",
        "",
        f"# Gold: {spec.title}",
        "",
        f"Made by Data Foundry, phase 3. The target is `{spec.label}`. Rows: "
        + ", ".join(f"{count} {split}" for split, count in rows.items())
        + ".",
        *_about_splits(details, present),
        "",
        "## Columns",
        "",
        ", ".join(f"`{column}`" for column in spec.gold_columns) + ".",
        "",
        *[f"- `{column}`: {MEANINGS[column]}." for column in spec.gold_columns if column in MEANINGS],
        "",
        *(_codec_section(details["used"]) if "codec" in spec.columns else []),
        *routing_section(spec, details),
        *_licence_section(details["licences"], commercial_use),
        *_split_section(details["splits"]),
    ]
    return "\n".join(lines)


def _about_splits(details: Mapping[str, Any], present: list[str]) -> list[str]:
    """Return a sentence on each split that is more than train, validation or test."""
    said = []
    if "domain" in present:
        said.append("`domain` is text without a target, to adapt a base to the language before it learns the task.")
    for phone in details.get("phone_rows", {}):
        if phone in present:
            clean = phone.removesuffix("_phone")
            said.append(
                f"`{phone}` holds the rows of `{clean}` (same `row_id`) through a simulated phone line; "
                "`channel_parameters` says which."
            )
            silent = details.get("phone_without_audio", {}).get(phone)
            if silent:
                said.append(f"{silent} rows of `{clean}` are not in it: they have no audio.")
    return said


def _codec_section(used: Mapping[str, int]) -> list[str]:
    """Return the table of the codecs that made the tokens, as the registry declares them of their datasets."""
    codecs = {name: entry.codec for name in used if (entry := DATASET_REGISTRY.get(name)) and entry.codec}
    return [
        "## Codecs",
        "",
        "| dataset | codec | layers | codes a layer | frames/s | sample rate |",
        "|---|---|---|---|---|---|",
        *[
            f"| {dataset} | {codec.name} | {codec.layers} | {codec.codebook_size} | {codec.frames_per_second:g} "
            f"| {codec.sample_rate} |"
            for dataset, codec in codecs.items()
        ],
        "",
    ]


def _licence_section(obligations: list[dict[str, Any]], commercial_use: bool) -> list[str]:
    return [
        "## Licences and what they oblige to",
        "",
        "The run was for commercial use: rows that forbid it or whose terms are unknown are not in here."
        if commercial_use
        else "The run was **not** for commercial use: some rows may not train a product for sale.",
        "",
        "| dataset | licence | rows | obligations | note |",
        "|---|---|---|---|---|",
        *[
            f"| {line['dataset']} | {line['licence']} | {line['rows']} | {', '.join(line['obligations']) or 'none'} "
            f"| {line['note']} |"
            for line in obligations
        ],
        "",
    ]


def _split_section(certified: Mapping[str, Any]) -> list[str]:
    """Return what the splits were checked for, and how the rows of each class lie in them."""
    lines = [
        "## Splits",
        "",
        "No value of these stands on two sides (`splits.json` holds the certificate):",
        "",
        *[f"- {kind}: {check['method']} ({check['status']})" for kind, check in certified["disjoint_by"].items()],
        "",
    ]
    for name, values in certified["balance"].items():
        if not values:
            continue
        sides = list(dict.fromkeys(side for counts in values.values() for side in counts))
        lines += [
            f"| {name} | {' | '.join(sides)} |",
            "|---" * (len(sides) + 1) + "|",
            *[
                f"| {value} | {' | '.join(str(counts.get(side, 0)) for side in sides)} |"
                for value, counts in values.items()
            ],
            "",
        ]
    return lines


def _hub_licence(name: str) -> str:
    """Return the identifier that the Hub's cards know a licence by: its own, "unknown", or "other" for a custom one."""
    return name if name == "unknown" or is_known(name) else "other"


def to_json(value: Any) -> str:
    """Return JSON in a canonical form that a person can read."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
