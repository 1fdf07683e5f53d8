"""The dataset card of the Malayalam IVR intent set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from data_foundry.bundled.intent import FILLINGS, STYLES, Intent

_HEADER = """\
---
pretty_name: Malayalam IVR intents
language:
- ml
license: cc0-1.0
size_categories:
- {size}
source_datasets:
- original
task_categories:
- text-classification
task_ids:
- intent-classification
configs:
- config_name: default
  data_files:
  - split: train
    path: data/intents.jsonl
---
"""
_TEXT = """\
# Malayalam IVR intents

{rows} short utterances in Malayalam, as callers of a customer line would say them, in {intents} intents:
{templates} phrasings, most of them with several fillings of their slots. Written for Data Foundry and shipped with it.
**No native speaker has checked them**, and no caller ever said them: they show what such a set looks like and give a
classifier its first examples; a line should replace them with its own callers' words.

## Columns

- `text`: what the caller says, without end marks, as a recogniser would give it.
- `intent`: one of the {intents} below.
- `template`: the author's phrasing that the row is a filling of, such as `pay_bill-07`; at most {most} rows share one.
- `style`: {styles}.

## Splits

None is published. Rows of one template differ by the words in its slots alone, so a split has to keep each `template`
on one side; then the phrasings of a test are unseen in training, though not the words in their slots. A test of 15 %
holds about {held_out} templates of an intent: enough for a figure over all intents, not for one of a single intent.

## Intents

{table}

## Limits

- Rows are not phrasings: {rows} rows are fillings of {templates} templates, {fewest} to {widest} an intent, and rows of
  one template differ in a word or two.
- Some lines are answers and mean what they are labelled only after a question of the line: `affirm` and `deny` with a
  day, a plan or a language in them ("not the family plan") are near to `change_plan`, `cancel_service` and
  `change_language`.
- Phrasings are those of one author; real callers hesitate, repeat themselves and are misheard.
- The domain is a general one (a utility, a telephone company, a bank, appointments), with no company's names.
- No dialect is written on purpose; `colloquial` is everyday speech as it is commonly spelled.
- Nobody is spoken of: there are no names, telephone numbers or addresses, and what places there are are towns.

## Licence

CC0-1.0: the authors of Data Foundry dedicate the set to the public domain.
"""
_ROWS = {1_000: "n<1K", 10_000: "1K<n<10K"}


def intent_card(intents: Mapping[str, Intent], rows: Sequence[tuple[str, str]]) -> str:
    """Return the card of a set with these intents; `rows` holds the (intent, style) of each row."""
    of_intent, of_style = Counter(intent for intent, _ in rows), Counter(style for _, style in rows)
    templates = {name: len(list(intent.templates(name))) for name, intent in intents.items()}
    lines = ["| intent | the caller wants or says | templates | rows |", "|---|---|---|---|"]
    for name, intent in intents.items():
        lines.append(f"| {name} | {intent.meaning} | {templates[name]} | {of_intent[name]} |")
    size = next(name for limit, name in _ROWS.items() if len(rows) < limit)
    styles = ", ".join(f"`{style}` ({of_style[style]} rows)" for style in STYLES.values())
    figures = {
        "rows": f"{len(rows):,}",
        "intents": len(intents),
        "templates": sum(templates.values()),
        "fewest": min(templates.values()),
        "widest": max(templates.values()),
        "held_out": round(0.15 * sum(templates.values()) / len(intents)),
        "most": FILLINGS,
    }
    return _HEADER.format(size=size) + "\n" + _TEXT.format(**figures, styles=styles, table="\n".join(lines))
