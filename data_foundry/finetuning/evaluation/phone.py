"""What the phone costs: the same rows clean and as heard through a phone line, joined by row id."""

from __future__ import annotations

from typing import Any

from data_foundry.finetuning.evaluation.bootstrap import Bootstrap, Resampled
from data_foundry.finetuning.evaluation.evaluate import Evaluation
from data_foundry.finetuning.evaluation.metrics import Measure
from data_foundry.finetuning.evaluation.slices import interval_json


def clean_to_phone(clean: Evaluation, phone: Evaluation) -> dict[str, Any]:
    """Return how much every measure changes from clean to phone (phone - clean) on the rows that both have.

    `base` and `adapted` are each model's change, `difference` how much more the adapted one changes than the base, all
    paired: the same rows, the same speakers drawn. Of error rates more is worse, of scores less.
    """
    import numpy as np

    places = {row_id: place for place, row_id in enumerate(clean.row_ids)}
    heard = [place for place, row_id in enumerate(phone.row_ids) if row_id in places]
    same = [places[phone.row_ids[place]] for place in heard]
    if not heard:
        return {"rows": 0, "measures": {}}
    bootstrap = Bootstrap(phone.bootstrap.number[np.array(heard)].tolist(), phone.bootstrap.over)

    def change(which: str, name: str) -> Resampled:
        before: Measure = getattr(clean, which).measures[name]
        after: Measure = getattr(phone, which).measures[name]
        return bootstrap(Measure(after.counts[heard], after.value)) - bootstrap(
            Measure(before.counts[same], before.value)
        )

    measures = {}
    for name in phone.measures.keys() & clean.measures.keys():
        base, adapted = change("base", name), change("adapted", name)
        found = {"base": base, "adapted": adapted, "difference": adapted - base}
        measures[name] = {which: interval_json(figure.interval) for which, figure in found.items()}
    return {"rows": len(heard), "measures": dict(sorted(measures.items()))}
