"""A lineage for people: from the raw row down to gold, one fact a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_foundry.figures import counted, readable_size
from data_foundry.lineage.check import Verdict

Lines = dict[str, Any]


def shown(lineage: Lines) -> Iterator[str]:
    """Yield the lines of a lineage."""
    yield f"row {lineage['row_id']}"
    for copy in lineage["copies"]:
        yield from _raw(copy["raw"])
        yield from _silver(copy)
        for line in copy["engines"]:
            yield from _engine(line)
    for line in lineage["without_silver"]:
        yield f"gold {line['path']} row {line['row']}: silver holds no row with this id any more"
    for fault in lineage["unreadable"]:
        yield f"! {fault}"


def _raw(raw: Lines) -> Iterator[str]:
    yield f"raw     {raw['dataset']} at commit {raw['revision']}"
    segment = raw.get("segment")
    cut = f", {segment['start']:.3f} s to {segment['end']:.3f} s of its recording" if segment else ""
    yield f"  {raw['file']}, row {raw['row']} (from 0){cut}; split {raw['source_split']}"
    if "sha256" in raw:
        yield f"  {raw['path']}, {readable_size(raw['bytes'])}, sha256 {raw['sha256']}"
    if "audio_format" in raw:
        where = f"{raw['audio_path']}, " if "audio_path" in raw else ""
        yield f"  recording: {where}{raw['audio_format'] or 'of no known format'}, {readable_size(raw['audio_bytes'])}"
    if "fault" in raw:
        yield f"  ! {raw['fault']}"


def _silver(copy: Lines) -> Iterator[str]:
    silver = copy["silver"]
    yield f"silver  {silver['path']}, row {silver['row']}, sha256 {silver['sha256']}"
    yield f"  rules: {', '.join(silver['rules'].values())} (code {silver['code_version']}, key {silver['key'][:12]})"
    if "rejected" in silver:
        yield f"  rejected: {silver['rejected']['reason']} ({silver['rejected']['detail']})"
    if "text" in copy:
        yield from _text(copy["text"])
    if "audio" in copy:
        audio = copy["audio"]
        yield f"  audio: {audio['source_rate']} Hz -> {audio['becomes']}, {readable_size(audio['bytes'])}"
        measures = {name: value for name, value in audio.items() if isinstance(value, float)}
        yield f"    {', '.join(f'{name} {value:g}' for name, value in measures.items())}"
    if "codes" in copy:
        codes = copy["codes"]
        size = f"{counted(codes['layers'], 'layer')} of {counted(codes['frames'], 'frame')}"
        yield f"  codec tokens: {codes['codec']}, {size}"
    if copy["labels"]:
        yield f"  {', '.join(f'{name} {value}' for name, value in copy['labels'].items())}"
    yield f"  flags: {', '.join(copy['flags']) or 'none'}"
    licence = copy["licence"]
    yield f"  licence: {licence['licence']}; {', '.join(licence['obligations']) or 'no obligations'}"


def _text(text: Lines) -> Iterator[str]:
    yield f"  text as found:   {text['as_found']!r}{' (personal data masked)' if 'masked' in text else ''}"
    yield f"  text normalised: {text['normalised']!r}"
    changes = ", ".join(f"{rule} {count}x" for rule, count in text["changes"].items()) or "none changed it"
    yield f"    rules of profile {text['profile']}: {changes}"
    for flag in text["content"]:
        yield f"    {flag['rule']} at {flag['start']} to {flag['end']}: {flag['evidence']}"
    if "translation" in text:
        yield f"  translation ({text['direction']}): {text['translation']!r}"


def _engine(line: Lines) -> Iterator[str]:
    if not line["took"]:
        lacks = f" (lacks: {', '.join(line['lacks'])})" if line["lacks"] and line["lacks"] != line["reasons"] else ""
        yield f"gold    {line['engine']} did not take it: {', '.join(line['reasons'])}{lacks}"
        return
    for row in line["rows"]:
        yield f"gold    {row['path']}, row {row['row']}, sha256 {row['sha256']}"
        yield f"  rules: {', '.join(row['rules'].values())} (code {row['code_version']}, key {row['key'][:12]})"
        share = ", ".join(f"{kind} with {counted(count, 'row')}" for kind, count in row["links"]["share"].items())
        size = counted(row["links"]["rows_in_group"], "row")
        weight = "" if row["sampling_weight"] is None else f"; sampling weight {row['sampling_weight']:g}"
        yield f"  side {row['split']}, group {row['group']} of {size}{f' (same {share})' if share else ''}{weight}"
        derived = {name: value for name, value in row["derived"].items() if value is not None}
        if derived:
            yield f"  derived: {', '.join(f'{name} {value}' for name, value in derived.items())}"


def verdict_shown(verdict: Verdict) -> Iterator[str]:
    """Yield the lines of a check, what changed since first."""
    for change in verdict.settings:
        yield f"made with other settings than now: {change}; derived again with those it was made with"
    for change in verdict.expected:
        yield f"made otherwise than now: {change}; a difference is expected"
    for fault in verdict.broken:
        yield f"! {fault}"
    for each in verdict.differences:
        yield f"! {each.where}: {each.column} differs\n    stored:  {each.stored}\n    derived: {each.derived}"
    differing = {each.where for each in verdict.differences}
    for where, columns in verdict.compared.items():
        if where not in differing:
            yield f"{where}: {counted(columns, 'column')} derived again, byte for byte the same"
    for note in verdict.not_derived:
        yield f"not derived: {note}"
