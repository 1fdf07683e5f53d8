"""The lineage of a row as a value: raw file and row, silver row, every rule that touched it, and its gold rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.config import Settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer, Manifest
from data_foundry.lineage.find import Found, Place, read, rows_where
from data_foundry.lineage.origin import Origin, recording_file
from data_foundry.lineage.routes import routes
from data_foundry.lineage.settings_then import settings_then
from data_foundry.preprocessing.standardize import FILES
from data_foundry.records import AIEngine

if TYPE_CHECKING:
    import pyarrow as pa

Lines = dict[str, Any]

_MEASURES = (
    "duration", "peak", "clipping_share", "rms", "speech_level", "silence_share", "snr", "bandwidth", "dc_offset",
    "speaking_rate", "mos", "audio_group",
)  # fmt: skip
_SAID = ("speaker", "gender", "district", "dialect", "label", "prompt", "document")


def trace(lake: Lake, settings: Settings, found: Found) -> Lines:
    """Return the lineage of a row: {row_id, copies: [one per silver row], unreadable}, JSON-like, personal data masked.

    A copy holds raw, silver, text, audio or codes where the row has them, labels, licence, flags, and engines. Raises
    FoundryError where silver can't be read.
    """
    copies = [_copy(lake, settings, found, place) for place in found.silver]
    orphans = [] if found.silver else [_gold(lake, place) for place in found.gold]
    return {"row_id": found.row_id, "copies": copies, "without_silver": orphans, "unreadable": found.unreadable}


def _copy(lake: Lake, settings: Settings, found: Found, place: Place) -> Lines:
    table = read(lake, place)
    small = table.drop_columns([name for name in ("audio", "codes", "audio_fingerprint") if name in table.column_names])
    (row,) = small.to_pylist()
    lines: Lines = {
        "raw": _raw(lake, settings, place.name, row),
        "silver": {**_made(lake, place), **_refused(place, row)},
    }
    if row["text_raw"] is not None or row["text"] is not None:
        lines["text"] = _text(lake, place, row)
    if "audio" in table.column_names and table["audio"][0].is_valid:
        lines["audio"] = {
            "source_rate": row["source_rate"],
            "becomes": "16 kHz mono PCM16 WAV",
            "bytes": len(table["audio"][0]["bytes"].as_buffer()),
            **{name: row.get(name) for name in _MEASURES},
        }
    if row["codec"] is not None:
        layers = table["codes"][0]
        lines["codes"] = {"codec": row["codec"], "layers": len(layers), "frames": len(layers[0]) if len(layers) else 0}
    lines["labels"] = {name: row[name] for name in _SAID if row.get(name) is not None}
    lines["licence"] = _licence(place.name, row["licence"])
    lines["flags"] = row["flags"]
    lines["engines"] = [] if place.rejected else _engines(lake, settings, found, table)
    return lines


def _raw(lake: Lake, settings: Settings, dataset: str, row: Lines) -> Lines:
    """Return where the row came from; `fault` where its raw file is not as silver found it."""
    lines: Lines = {
        "dataset": dataset, "revision": row["revision"], "file": row["source_file"], "row": row["source_row"],
        "source_split": row["source_split"],
    }  # fmt: skip
    if row["segment_start"] is not None:
        lines["segment"] = {"start": row["segment_start"], "end": row["segment_end"]}
    manifest = lake.readable(Layer.RAW, dataset)
    file = (
        next((each for each in manifest.files if each.path == FILES + row["source_file"]), None) if manifest else None
    )
    if manifest is None or file is None:
        return {**lines, "fault": lake.fault(Layer.RAW, dataset) or "it is not in the lake"}
    lines |= {"path": f"raw/{dataset}/{file.path}", "sha256": file.sha256, "bytes": file.bytes}
    if manifest.details.get("revision") not in (None, row["revision"]):
        lines["fault"] = f"the lake holds commit {manifest.details['revision']} by now"
        return lines
    try:
        raw = Origin.of(lake, settings, dataset).raw_row(row["source_file"], row["source_row"])
    except FoundryError as error:
        return {**lines, "fault": error.message}
    if raw.payload is not None:
        lines |= _recording(manifest, raw.payload)
    return lines


def _recording(manifest: Manifest, payload: bytes | Path) -> Lines:
    """Return the format of a recording as it was found, and its own file where it has one."""
    from data_foundry.preprocessing.containers import sniff

    if not isinstance(payload, Path):
        return {"audio_format": sniff(payload[:16]), "audio_bytes": len(payload)}
    try:
        with payload.open("rb") as handle:
            head = handle.read(16)
        size = payload.stat().st_size
    except OSError as error:
        return {"fault": f"its recording can't be read: {error}"}
    file = recording_file(manifest, payload)
    return {
        "audio_path": f"raw/{manifest.name}/{file.path}", "audio_sha256": file.sha256, "audio_format": sniff(head),
        "audio_bytes": size,
    }  # fmt: skip


def _made(lake: Lake, place: Place) -> Lines:
    """Return where a derived row lies and by which rules and settings it was made."""
    manifest = lake.manifest(place.layer, place.name)
    assert manifest is not None
    return {
        "path": f"{place.layer}/{place.name}/{place.file.path}",
        "row": place.row,
        "split": place.split,
        "sha256": place.file.sha256,
        "key": manifest.key,
        "code_version": manifest.code_version,
        "rules": manifest.rule_sets,
        "settings": manifest.settings,
    }


def _refused(place: Place, row: Lines) -> Lines:
    return {"rejected": {"reason": row["reason"], "detail": row["detail"]}} if place.rejected else {}


def _text(lake: Lake, place: Place, row: Lines) -> Lines:
    """Return the text as found and as kept, and which rules of normalization changed it how often.

    Silver keeps no personal data, so where some was masked the rules are counted in the masked text.
    """
    from data_foundry.preprocessing.text import normalize

    manifest = lake.manifest(place.layer, place.name)
    profile = (manifest.settings if manifest else {}).get("text.profile", "modern")
    changes = normalize(row["text_raw"] or "", profile).changes
    lines: Lines = {
        "as_found": row["text_raw"], "normalised": row["text"], "profile": profile, "changes": changes,
        "malayalam_ratio": row["malayalam_ratio"], "content": row["content"], "text_group": row["text_group"],
    }  # fmt: skip
    if {"personal_data", "personal_data_in_raw", "raw_text_rewritten"} & set(row["flags"]):
        lines["masked"] = True
    if row["translation"] is not None:
        lines |= {"translation": row["translation"], "direction": row["direction"]}
    return lines


def _licence(dataset: str, licence: str) -> Lines:
    from data_foundry.allocation.licences import obligations

    entry = DATASET_REGISTRY.get(dataset)
    lines: Lines = {"licence": licence, "obligations": obligations(dataset, licence)}
    return lines | ({"note": entry.licence_note} if entry and entry.licence_note else {})


def _engines(lake: Lake, settings: Settings, found: Found, silver: pa.Table) -> list[Lines]:
    """Return for every engine its gold rows of this row, or why it has none."""
    lines = []
    for engine in ENGINES:
        places = [place for place in found.gold if place.name == engine]
        taken = [_gold(lake, place) for place in places if not place.rejected]
        refused = [read(lake, place)["reason"][0].as_py() for place in places if place.rejected]
        held = lake.readable(Layer.GOLD, engine)
        then = settings if held is None else settings_then(settings, held.settings)
        lacks = routes(silver, then)[engine].reasons
        line: Lines = {"engine": engine, "took": bool(taken)}
        if taken:
            line |= {"rows": taken}
        elif held is None:
            line |= {"reasons": ["its gold is not made"], "lacks": lacks}
        else:
            line |= {"reasons": refused or ["it is not in gold: silver was made anew since"], "lacks": lacks}
        lines.append(line)
    return lines


def _gold(lake: Lake, place: Place) -> Lines:
    """Return a gold row: where it lies, what split it, and what it holds beside its silver row."""
    table = read(lake, place)
    lines = _made(lake, place)
    if place.rejected:
        return {**lines, "reason": table["reason"][0].as_py()}
    spec = ENGINES[AIEngine(place.name)]
    (row,) = table.drop_columns([name for name in ("audio", "codes") if name in table.column_names]).to_pylist()
    return {
        **lines,
        "group": row["group"],
        "sampling_weight": row.get("sampling_weight"),
        "links": _links(lake, place, row),
        "derived": {name: row.get(name) for name in spec.derived},
    }


def _links(lake: Lake, place: Place, row: Lines) -> Lines:
    """Return what ties a gold row to others: how many rows of its group there are, and how many share what with it.

    Links by sound, by tokens and by likeness hold between rows of the group too; its columns alone do not tell them.
    """
    import pyarrow.compute as pc

    from data_foundry.allocation.links import LINKS, TEXT_FORM

    kinds = {
        kind: LINKS[kind] for kind in ENGINES[AIEngine(place.name)].links
        if LINKS[kind].key is not None and set(LINKS[kind].columns) <= row.keys()
    }  # fmt: skip
    columns = ["row_id", *{name: None for link in kinds.values() for name in link.columns}]
    mates = {
        mate["row_id"]: mate
        for _, mate in rows_where(lake, place.layer, place.name, ["group", *columns], pc.field("group") == row["group"])
        if mate["row_id"] != row["row_id"]
    }
    shared = {}
    for kind, link in kinds.items():
        if link.key is not None and (own := link.key({**row, TEXT_FORM: None})):
            shared[kind] = sum(link.key({**mate, TEXT_FORM: None}) == own for mate in mates.values())
    return {"rows_in_group": len(mates) + 1, "share": {kind: count for kind, count in shared.items() if count}}
