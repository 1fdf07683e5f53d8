"""The mess of real sets, made on purpose, and what a repository's folder holds besides data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ZWJ = "\u200d"
_LEGACY_CHILLUS = {atomic: f"{base}\u0d4d{ZWJ}" for atomic, base in zip("ൺൻർൽൾ", "ണനരലള", strict=True)}

# The Hub's own file sends binary files to LFS. Here the lines only keep Git from changing line ends: a large-file
# filter named in a folder of this repository would act on this repository.
GITATTRIBUTES = "*.parquet -text\n*.wav -text\n*.csv -text\n*.tsv -text\n*.jsonl -text\n"

SYNTHETIC = (
    "A small stand-in for the set of this name, for offline runs: texts written for this project, espeak-ng speech.\n"
    "It has the layout, columns, types and faults of the real set and none of its content.\n"
)


def legacy_chillus(text: str) -> str:
    """Write the five chillu letters the old way, as consonant, virama and zero-width joiner."""
    return "".join(_LEGACY_CHILLUS.get(letter, letter) for letter in text)


def mojibake(text: str) -> str:
    """UTF-8 bytes read as Latin-1: what a wrong decoder leaves of Malayalam."""
    return text.encode("utf-8").decode("latin-1")


def fresh_repository(datasets: Path, name: str, card: str | None = None) -> Path:
    """Make the empty folder of a dataset repository (``owner/name``), with ``.gitattributes`` and, if given, a card."""
    import shutil

    folder = datasets / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / ".gitattributes").write_text(GITATTRIBUTES, encoding="utf-8")
    if card is not None:
        (folder / "README.md").write_text(f"---\n{card.strip()}\n---\n\n{SYNTHETIC}", encoding="utf-8")
    return folder


def write_parquet(rows: list[dict[str, Any]], schema: pa.Schema, path: Path, features: dict[str, Any]) -> None:
    """Write rows as one Parquet file with the Hub's own schema note, so that audio columns open as audio."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    note = json.dumps({"info": {"features": features}})
    table = pa.Table.from_pylist(rows, schema=schema.with_metadata({"huggingface": note}))
    pq.write_table(table, path, compression="zstd", row_group_size=100, write_page_index=False)


def write_lines(lines: list[str], path: Path) -> None:
    """Write text lines with Unix line ends, whatever the platform."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))
