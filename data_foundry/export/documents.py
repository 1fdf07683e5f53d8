"""What an export says of itself: how to open it, and what its licences oblige to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_foundry.engines.spec import EngineSpec
from data_foundry.figures import counted

if TYPE_CHECKING:
    from data_foundry.export.formats import ExportFormat


def readme(
    spec: EngineSpec,
    kind: ExportFormat,
    splits: Mapping[str, Mapping[str, Any]],
    licences: Sequence[Mapping[str, Any]],
) -> str:
    """Return README.md of an export, whose code is run from the export's own folder."""
    first, said = next((split, line) for split, line in splits.items() if line["rows"])
    return "\n".join(
        [
            f"# {spec.title[:1].upper()}{spec.title[1:]}, as {kind.title}",
            "",
            "Exported by Data Foundry from its gold, whose card, certificate of disjoint splits and manifest lie in",
            "`gold/`. Every row keeps its `row_id`, and the dataset, commit, file and row that it came from.",
            "",
            "| split | rows | hours |",
            "|---|---|---|",
            *[f"| {split} | {line['rows']:,} | {_hours(line)} |" for split, line in splits.items()],
            "",
            *[
                f"{counted(count, 'row')} of {split} without audio stayed in gold.\n"
                for split, line in splits.items()
                for count in line["left_out"].values()
            ],
            kind.opening.format(split=first, last=max(said.get("shards", 1) - 1, 0)),
            f"`sha256sum -c SHA256SUMS` checks every file. {counted(len(licences), 'set')} of terms bind who uses the "
            "rows: see LICENCES.md.",
            "",
        ]
    )


def _hours(line: Mapping[str, Any]) -> str:
    return f"{line['seconds'] / 3600:.3f}" if "seconds" in line else "-"


def licences_document(licences: Sequence[Mapping[str, Any]]) -> str:
    """Return LICENCES.md: a line per dataset and licence of the exported rows, with what follows from it."""
    return "\n".join(
        [
            "# Licences and what they oblige to",
            "",
            "| dataset | licence | rows | obligations | note |",
            "|---|---|---|---|---|",
            *[
                f"| {line['dataset']} | {line['licence']} | {line['rows']:,} "
                f"| {', '.join(line['obligations']) or 'none'} | {line['note']} |"
                for line in licences
            ],
            "",
        ]
    )
