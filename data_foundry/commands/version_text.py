"""A version, and what two differ in, as lines that a person reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from data_foundry.commands.tables import WIDTH
from data_foundry.figures import readable_size
from data_foundry.finetuning.versions.card_figures import left_out
from data_foundry.finetuning.versions.version_files import ADAPTER, CALIBRATION, EVALUATION, version_hashes
from data_foundry.finetuning.versions.versions import UNREGISTERED, VersionRecord

HASH_SHOWN = 12


def version_lines(record: VersionRecord) -> Iterator[str]:
    """Yield all that is known of a version, section by section."""
    registered, details = record.registered, record.details
    stage = f"{registered.stage} since {registered.stage_since}" if registered else UNREGISTERED
    yield f"{record.name}: {stage}"
    if registered:
        yield from _wrapped(registered.reason)
    if record.model is None:
        yield "  its files are gone or can't be read: `verify --layer models`, with the same flags, says what is there"
    if details:
        yield from _titled("gates", (_wrapped(f"{g['gate']}: {g['verdict']}: {g['reason']}") for g in details["gates"]))
        yield from _titled("figures", ([line] for line in _figures(details)))
        yield from _titled("slices", ([line] for line in _slices(details["evaluation"].get("slices", {}))))
        yield from _titled("data", ([line] for line in _data(details)))
        yield from _titled("training", _config(details))
        yield from _titled("lineage", (_wrapped(line) for line in _lineage(details.get("lineage"))))
    if record.model:
        files = (f"  {file.path}  {readable_size(file.bytes)}  sha256 {file.sha256}" for file in record.model.files)
        yield from _titled("files", ([line] for line in files))
        weights, evaluation = (each[:HASH_SHOWN] for each in version_hashes(record.model))
        yield f"  an approval is bound to weights {weights} (all of {ADAPTER}/)"
        yield f"  and to evaluation {evaluation} ({EVALUATION} and {CALIBRATION})"
    yield from _titled("history", (_wrapped(_entry(entry)) for entry in record.history))


def difference_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what two versions differ in; `found` is what `version_difference` returned."""
    one, other = found["versions"]
    yield f"{one} ({found['stages'][0] or 'not registered'}) and {other} ({found['stages'][1] or 'not registered'})"
    for title in ("base", "data", "rows", "config", "judging", "lineage", "gates"):
        changes = found[title].items()
        yield from _titled(title, (_wrapped(f"{name}: {_value(a)} -> {_value(b)}") for name, (a, b) in changes))
        if not changes and not (title == "lineage" and found["without_lineage"]):
            yield f"{title}: no difference"
    if found["without_lineage"]:
        yield f"lineage: not recorded for {' and '.join(found['without_lineage'])}"
    yield ""
    yield f"figures of the adapted models, {found['why']}"
    for name, metric in found["metrics"].items():
        values = " -> ".join(_interval(value) for value in metric["values"])
        yield f"  {name}: {values}{_OVERLAP[metric['overlap']]}"


_OVERLAP = {None: "", True: "  (intervals overlap: not told apart)", False: "  (intervals apart)"}


def _titled(title: str, parts: Any) -> Iterator[str]:
    lines = [line for part in parts for line in part]
    if lines:
        yield ""
        yield title
        yield from lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _figures(details: Mapping[str, Any]) -> Iterator[str]:
    evaluation = details["evaluation"]
    yield f"  on {evaluation['rows']} test rows ({evaluation['intervals']}); base -> adapted, change"
    for name, measured in details["measures"].items():
        base, adapted, change = (_interval(measured[which]) for which in ("base", "adapted", "difference"))
        yield f"  {name}: {base} -> {adapted}, {change}"
    reduction = evaluation.get("relative_error_reduction")
    if reduction and reduction.get("value") is not None:
        yield f"  relative error reduction ({reduction.get('error', 'of the primary metric')}): {_interval(reduction)}"
    if speech := evaluation.get("speech"):
        values = ", ".join(f"{name.replace('_', ' ')} {_interval(value)}" for name, value in speech["cer"].items())
        yield f"  CER of speech, heard on {speech['rows']} rows: {values}"
        yield f"  {left_out(speech)}"
    for title, part in (("base's own domain", details.get("control")), ("phone line", details.get("phone"))):
        score = (part or {}).get("measures", {}).get("score")
        if score:
            yield f"  score on the {title}: {_interval(score['base'])} -> {_interval(score['adapted'])}"


def _slices(slices: Mapping[str, Any]) -> Iterator[str]:
    for dimension, measured in slices.items():
        figure = measured.get("figure", "score")
        for name, group in measured.get("groups", {}).items():
            speakers = f", {group['speakers']} speakers" if group.get("speakers") else ""
            yield f"  {dimension} {name} ({group['rows']} rows{speakers}): {figure} {_interval(group['adapted'])}"
        gap = measured.get("gap")
        if gap:
            chance = f"; chance alone gives up to {gap['by_chance']:.4f}" if gap.get("by_chance") is not None else ""
            yield f"  {dimension}: gap of {gap['best']} over {gap['worst']} {_interval(gap['adapted'])}{chance}"
        elif measured.get("not_measured"):
            yield f"  {dimension}: no gap measured: {measured['not_measured']}"


def _data(details: Mapping[str, Any]) -> Iterator[str]:
    yield "  " + ", ".join(f"{count} {split} rows" for split, count in details["rows"].items())
    for source in details["sources"]:
        yield f"  {source['dataset']}@{source['revision']} ({source['licence']}): {source['rows']} rows"


def _config(details: Mapping[str, Any]) -> Iterator[list[str]]:
    revision = details["base_revision"]
    yield [f"  {details['base']}@{revision}" if revision else f"  {details['base']}"]
    config = {name: value for name, value in details["config"].items() if name not in ("base", "revision")}
    yield _wrapped(", ".join(f"{name} {_value(value)}" for name, value in config.items()))


def _lineage(lineage: Mapping[str, Any] | None) -> Iterator[str]:
    for name, value in (lineage or {}).items():
        shown = ", ".join(f"{n} {_hash(v)}" for n, v in value.items()) if isinstance(value, Mapping) else _hash(value)
        yield f"{name}: {shown}"


def _entry(entry: Any) -> str:
    moved = f"{entry.from_stage or 'new'} -> {entry.to_stage}"
    return f"{entry.sequence} {entry.at} {entry.event} ({moved}) by {entry.actor}: {entry.reason}"


def _interval(value: Mapping[str, float | None]) -> str:
    if any(value.get(part) is None for part in ("value", "low", "high")):
        return "not defined"
    if value["low"] == value["high"]:
        return f"{value['value']:.4f} (no spread)"
    return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"


def _hash(value: Any) -> str:
    text = str(value)
    return text[:HASH_SHOWN] if len(text) in (40, 64) else text


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(str(each) for each in value) or "none"
    return "none" if value is None else _hash(value)
