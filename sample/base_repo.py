"""A base's repository in the sample hub: the checkpoint's folder, its card and its control rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWNER = "data-foundry"
CARD = """---
language:
{languages}
license: apache-2.0
library_name: transformers
pipeline_tag: {pipeline_tag}
tags:
- malayalam
- synthetic
- sample
---

# {title}

{summary}

A stand-in base for offline runs: {parameters:,} parameters, trained from random weights by `python -m sample bases` on
synthetic data only. **It says nothing about real Malayalam speech or text**: its texts were made from templates written
for this project and checked by no native speaker, and its speech, where it has any, is espeak-ng's.

## Trained on

{trained_on}

## Measured

{figures}

`control.parquet` holds rows of the base's own domain whose texts were not in its training data; `replay.parquet` holds
rows that were, to be mixed into an adaptation so that it forgets less. One seed, one run. Weights repeat bit for bit
only on the same machine with the same libraries.

## Load

```python
{loading}
```
"""


@dataclass(frozen=True)
class Card:
    """What a base's model card says besides the parts common to all bases."""

    title: str
    summary: str
    pipeline_tag: str
    trained_on: str
    loading: str
    languages: tuple[str, ...] = ("ml",)


def repository(root: Path, name: str) -> Path:
    """Return the folder of base `name` below the hub folder `root`, made if absent."""
    folder = root / "models" / OWNER / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_card(folder: Path, card: Card, figures: Mapping[str, float | int | str], parameters: int) -> None:
    """Write README.md, the model card, with one table row for each measured figure."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    text = CARD.format(
        languages="\n".join(f"- {language}" for language in card.languages),
        pipeline_tag=card.pipeline_tag,
        title=card.title,
        summary=card.summary,
        parameters=parameters,
        trained_on=card.trained_on,
        figures=f"| figure | value |\n|---|---|\n{rows}",
        loading=card.loading,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def write_rows(folder: Path, **tables: Sequence[Mapping[str, Any]]) -> None:
    """Write one parquet file a table, `control=rows` as control.parquet.

    Audio is a struct of `bytes` and `path`, codec codes are lists of lists of int16.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, rows in tables.items():
        table = pa.Table.from_pylist([dict(row) for row in rows])
        if "codes" in table.column_names:
            codes = table["codes"].cast(pa.list_(pa.list_(pa.int16())))
            table = table.set_column(table.column_names.index("codes"), "codes", codes)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", row_group_size=100)


def compact_json(folder: Path) -> None:
    """Rewrite the tokenizer's JSON without white space: the sample hub has a size to keep."""
    for path in sorted(folder.glob("*.json")):
        if path.name in {"tokenizer.json", "vocab.json"}:
            content = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def parameters_of(model: Any) -> int:
    """Count a model's parameters, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
