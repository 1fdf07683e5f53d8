"""The dataset card of a raw dataset: a README.md that people, the Hub's tools and `load_dataset` can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from data_foundry.figures import counted, readable_size
from data_foundry.ingestion.bring import FILES

# More files than this are named by their folder in the card's header.
MOST_NAMED = 50
MOST_LEFT_OUT = 20
# Findings on files that a plain loader stops at, and those on folders of clips that it reads wrongly or stops at.
STOPPING = (
    "bad_encoding", "broken_line", "ragged_row", "schema_drift", "type_drift", "unreadable_file", "wrong_encoding",
)  # fmt: skip
LOST_CLIPS = ("left_out_by_selection", "missing_clip")
PUBLIC_HUB = "https://huggingface.co"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
_KNOWN_LICENCE = re.compile(r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[1-4]\.[05]|apache-2\.0|mit|unknown|odc-by|pddl")


def dataset_card(metadata: Mapping[str, Any]) -> str:
    """Return the card's text: the YAML header of the Hub, then what one must know to cite, read and check the data."""
    import yaml

    header = yaml.safe_dump(_header(metadata), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{header}---\n\n" + "\n".join(_body(metadata)).rstrip() + "\n"


def _header(metadata: Mapping[str, Any]) -> dict[str, Any]:
    licence = metadata["licence"]["effective"]
    named = _KNOWN_LICENCE.fullmatch(licence) is not None
    two_sides = {"translation", "source_text"} & metadata["roles"].keys()
    reading = metadata["reading"]
    splits = [
        {"split": split, "path": _patterns(metadata, paths)} for split, paths in reading["data_files"].items() if paths
    ]
    config = {"config_name": "default", "data_files": splits, **reading["options"]}
    return {
        "pretty_name": metadata["title"],
        "language": ["ml", "en"] if two_sides else ["ml"],
        "license": licence if named else "other",
        **({} if named else {"license_name": licence, **_licence_link(metadata)}),
        "size_categories": [next((name for limit, name in SIZES if metadata["rows"] < limit), "n>10M")],
        **_source_datasets(metadata["licence"]["parents"]),
        **({} if _hindrance(metadata) else {"configs": [config]}),
    }


def _source_datasets(parents: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the parents as the Hub names them; nothing where none is known, for that makes no original."""
    known = [parent for parent in parents if "/" in parent]
    return {"source_datasets": known or ["extended|other"]} if parents else {}


def _licence_link(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return where terms without a name on the Hub can be read: at the first parent there, or at the dataset itself."""
    hub = metadata["hub"] if metadata["homepage"] else PUBLIC_HUB
    parent = next((name for name in metadata["licence"]["parents"] if "/" in name), None)
    link = f"{hub}/datasets/{parent}" if parent else metadata["homepage"]
    return {"license_link": link} if link else {}


def _hindrance(metadata: Mapping[str, Any]) -> str | None:
    """Return why load_dataset would not read these files rightly, or None where it would.

    Its reader of audio folders yields every row of a metadata table in every split that has the table.
    """
    splits = metadata["reading"]["data_files"]
    clips = metadata["reading"]["builder"] == "audiofolder"
    if clips and len(splits) > 1:
        return "it would yield every row of the metadata table in each split"
    kinds = (*STOPPING, *LOST_CLIPS) if clips else STOPPING
    found = sorted(finding["kind"] for finding in metadata["findings"] if finding["kind"] in kinds)
    if found:
        return f"it may stop at what stands under Findings as {' and '.join(f'`{kind}`' for kind in found)}"
    return None if splits else "no file has rows"


def _patterns(metadata: Mapping[str, Any], paths: list[str]) -> list[str]:
    """Return the paths as load_dataset takes them: each file, or the folder that holds only this split's files."""
    ours, others = set(paths), [file for file in metadata["files"] if file["path"] not in set(paths)]
    tables = []
    if metadata["reading"]["builder"] == "audiofolder":
        tables = [f"{FILES}/{_escaped(file['path'])}" for file in others if file["path"].endswith((".jsonl", ".csv"))]
    if len(ours) <= MOST_NAMED:
        return [f"{FILES}/{_escaped(path)}" for path in paths] + tables
    mixed = {_folder(file["path"]) for file in others}
    whole = sorted({_folder(path) for path in paths} - mixed)
    single = [path for path in paths if _folder(path) in mixed]
    return [
        *(f"{FILES}/{_escaped(folder)}/*" for folder in whole),
        *(f"{FILES}/{_escaped(one)}" for one in single),
        *tables,
    ]


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _escaped(path: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", path)


def _body(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {metadata['title']}"
    yield ""
    if metadata["homepage"]:
        yield (
            f"A verified copy of `{metadata['repo_id']}` at commit `{metadata['revision']}`, byte for byte, in "
            f"`{FILES}/`. This card was derived from those files and the dataset registry; `metadata.json` says the "
            "same to programs."
        )
    elif metadata["hub"] == "package":
        yield (
            f"`{metadata['repo_id']}`, which comes with Data Foundry itself, byte for byte, in `{FILES}/`, with its "
            f"own card. `{metadata['revision']}` is the id that git gives to that tree. This card was derived from "
            "those files and the dataset registry; `metadata.json` says the same to programs."
        )
    else:
        yield (
            f"What a folder laid out like a Hub holds under the name `{metadata['repo_id']}`, byte for byte, in "
            f"`{FILES}/`. `{metadata['revision']}` is the id that git gives to that tree, and no commit of the Hub's "
            "dataset of this name. Licence, parents and known traps are what the dataset registry says of that one; "
            "nobody checked that these files are its."
        )
    yield from _section("Source", _source(metadata))
    yield from _section("Licence", _licence(metadata))
    yield from _section("What was brought", _selection(metadata["selection"]))
    yield from _section("Splits", _splits(metadata))
    yield from _section("Columns", _columns(metadata))
    if metadata["labels"]:
        yield from _section("Labels", _table(("label", "rows"), list(metadata["labels"].items())))
    if metadata["audio"]:
        yield from _section("Audio", _audio(metadata["audio"]))
    yield from _section("Metrics", _metrics(metadata))
    yield from _section("Findings", _findings(metadata["findings"]))
    yield from _section("Known traps", [f"- {trap}" for trap in metadata["known_traps"]])
    yield from _section("How to verify", _verify(metadata))
    yield from _section("How to read", _how_to_read(metadata))
    yield from _section("Citation", _citation(metadata))


def _section(title: str, lines: Any) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield from ("", f"## {title}", "", *lines)


def _source(metadata: Mapping[str, Any]) -> Iterator[str]:
    if metadata["homepage"]:
        yield f"- Repository: `{metadata['repo_id']}`, published by `{metadata['owner']}`"
        yield f"- Commit: `{metadata['revision']}`"
        yield f"- Page: {metadata['homepage']}/tree/{metadata['revision']}"
    else:
        if metadata["hub"] == "package":
            yield f"- Folder: `data_foundry/bundled/datasets/{metadata['repo_id']}` of the package"
        else:
            yield f"- Folder: `datasets/{metadata['repo_id']}` of `hub.source`; who filled it is not known"
        yield f"- Tree: `{metadata['revision']}`"
    yield f"- Declared for: {metadata['declared_engine']}, priority {metadata['priority']}"
    if metadata["synthetic_reference"]:
        yield "- Its reference side is machine output: scores measure agreement with that system"
    if metadata["fallbacks"]:
        yield f"- Should it vanish: {', '.join(metadata['fallbacks'])}"


def _licence(metadata: Mapping[str, Any]) -> Iterator[str]:
    licence = metadata["licence"]
    words = {True: "yes", False: "no", None: "nobody states it"}
    yield f"- In force: {licence['effective']}"
    yield f"- Tag of this repository: {licence['found'] or 'none'}"
    yield from (f"- Parent {name}: {terms}" for name, terms in licence["parents"].items())
    yield f"- Non-commercial: {words[licence['non_commercial']]}"
    yield f"- Share alike: {words[licence['share_alike']]}"
    yield f"- No derivatives: {words[licence['no_derivatives']]}"
    if licence["conflict"]:
        yield "- The statements conflict; the stricter one is taken"
    if licence["note"]:
        yield f"- {licence['note']}"


def _selection(selection: Mapping[str, Any]) -> Iterator[str]:
    left = selection["left_out"]
    yield f"{counted(selection['files'], 'file')}, {_exact(selection['bytes'])}."
    yield f"Left out: {counted(left['files'], 'file')}, {_exact(left['bytes'])}."
    limits = [counted(limit, unit) for unit in ("byte", "row") if (limit := selection[f"max_{unit}s"]) is not None]
    if limits:
        yield ""
        yield f"Limited to {' and '.join(limits)} (rule `{selection['rule']}`). {selection['order']}"
    if left["paths"]:
        yield ""
        yield from (f"- `{path}`" for path in left["paths"][:MOST_LEFT_OUT])
        if len(left["paths"]) > MOST_LEFT_OUT:
            yield f"- and {len(left['paths']) - MOST_LEFT_OUT} more, listed in `metadata.json`"


def _exact(size: int) -> str:
    return counted(size, "byte") if size < 1000 else f"{readable_size(size)} ({size:,} bytes)"


def _splits(metadata: Mapping[str, Any]) -> list[str]:
    audio = ("rows without their audio",) if metadata["rows_without_audio"] else ()
    return _table(("split", "files", "rows", *audio), [
        (
            f"{name} (evaluation only)" if name in metadata["evaluation_splits"] else name,
            split["files"], split["rows"], *(split.get("without_audio", 0) for _ in audio),
        )
        for name, split in metadata["splits"].items()
    ])  # fmt: skip


def _metrics(metadata: Mapping[str, Any]) -> Iterator[str]:
    if metadata["rows_without_audio"]:
        yield f"Measured over all rows, those without their audio ({metadata['rows_without_audio']:,}) included."
        yield ""
    rows = [(name, value, metadata["metric_definitions"][name]) for name, value in metadata["metrics"].items()]
    yield from _table(("metric", "value", "definition"), rows)


def _columns(metadata: Mapping[str, Any]) -> Iterator[str]:
    roles: dict[str, list[str]] = {}
    for role, names in metadata["roles"].items():
        for name in names if isinstance(names, list) else [names]:
            roles.setdefault(name, []).append(role)
    for number, schema in enumerate(metadata["schemas"]):
        if number:
            yield ""
        if len(metadata["schemas"]) > 1:
            yield from (f"In {counted(len(schema['files']), 'file')}, such as `{schema['files'][0]}`:", "")
        rows = [
            (f"`{name}`", kind, ", ".join(roles.get(name, [])), metadata["nulls"].get(name, ""))
            for name, kind in schema["columns"].items()
        ]
        yield from _table(("column", "type", "role", "nulls in all files"), rows)


def _audio(audio: Mapping[str, Any]) -> Iterator[str]:
    yield f"{counted(audio['payloads'], 'payload')}, {audio['sampled']:,} of them looked at."
    yield f"Unreadable: {audio['unreadable']:,}; empty: {audio['empty']:,}."
    yield ""
    yield from _table(("form", "payloads"), list(audio["forms"].items()))
    if audio["seconds_histogram"]:
        yield ""
        yield from _table(("seconds", "payloads"), list(audio["seconds_histogram"].items()))


def _findings(findings: list[dict[str, Any]]) -> Iterator[str]:
    if not findings:
        yield "None."
        return
    rows = [
        (found["severity"], found["kind"], found["count"], found["message"], "; ".join(found["examples"]))
        for found in findings
    ]
    yield from _table(("severity", "kind", "count", "what", "where, for example"), rows)


def _how_to_read(metadata: Mapping[str, Any]) -> Iterator[str]:
    hindrance = _hindrance(metadata)
    if hindrance is None:
        yield "`datasets.load_dataset` with the path of this folder, by the configuration above."
    else:
        yield f"By the pipeline's phase 2. `datasets.load_dataset` is given no configuration: {hindrance}."


def _verify(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "The sha256 of every file stands in `metadata.json` and `manifest.json`; `python -m data_foundry verify`"
    yield "checks the files against them."
    if metadata["homepage"]:
        yield "Against the Hub, which must list the same hashes at the commit:"
        yield ""
        yield "```python"
        yield "from huggingface_hub import HfApi"
        yield f'HfApi().dataset_info("{metadata["repo_id"]}", revision="{metadata["revision"]}", files_metadata=True)'
        yield "```"


def _citation(metadata: Mapping[str, Any]) -> Iterator[str]:
    if not metadata["homepage"]:
        known = metadata["hub"] == "package"
        yield (
            "As a part of Data Foundry, with the tree above: it has no page of its own."
            if known
            else ("None. To cite the Hub's dataset of this name, ingest it from the Hub.")
        )
        return
    key = re.sub(r"[^a-z0-9]+", "_", metadata["repo_id"].lower()).strip("_")
    licence = metadata["licence"]["effective"]
    parents = [f"{name} ({terms})" for name, terms in metadata["licence"]["parents"].items()]
    derived = f", derived from {' and '.join(parents)}" if parents else ""
    yield "```bibtex"
    yield f"@misc{{{key}_{metadata['revision'][:10]},"
    yield f"  title        = {{{{{metadata['title']}}}}},"
    yield f"  author       = {{{{{metadata['owner']}}}}},"
    yield f"  howpublished = {{Dataset {metadata['repo_id']}}},"
    yield f"  version      = {{{metadata['revision']}}},"
    yield f"  url          = {{{metadata['homepage']}/tree/{metadata['revision']}}},"
    yield f"  note         = {{Licence {licence}{derived}}}"
    yield "}"
    yield "```"
    yield ""
    yield "Add the year and the day of access (`year`, `urldate`): this card holds no time, so that it is the same for"
    yield "all who brought the commit." + (f" Cite the parents, too: {', '.join(parents)}." if parents else "")


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    if not rows:
        return []
    return [_line(head), _line(tuple("---" for _ in head)), *map(_line, rows)]


def _line(cells: tuple[Any, ...]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
