"""How hard the bundled intents are, and how much a split that ignores templates flatters.

    python -m benchmarks.intents.measure

A plain classifier (character n-grams, logistic regression) is trained and tested in five folds, twice: with each
template on one side, as the splits of gold have it, and with rows dealt out at random.
"""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline

from data_foundry.bundled.intent_set import utterances

FOLDS = 5
SEEDS = range(3)


def predicted(texts: np.ndarray, intents: np.ndarray, templates: np.ndarray | None, seed: int) -> np.ndarray:
    """Return the intent predicted of each row by a model that did not see its fold."""
    folds = StratifiedKFold if templates is None else StratifiedGroupKFold
    found = np.empty_like(intents)
    for train, test in folds(FOLDS, shuffle=True, random_state=seed).split(texts, intents, templates):
        grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True)
        model = make_pipeline(grams, LogisticRegression(C=20, max_iter=2000))
        found[test] = model.fit(texts[train], intents[train]).predict(texts[test])
    return found


def main() -> None:
    """Print the macro-averaged F1 of both ways, and per style and intent where templates are kept apart."""
    texts, intents, templates, styles = (np.array(column) for column in zip(*utterances(), strict=True))
    print(f"{len(texts)} rows, {len(set(templates))} templates, {len(set(intents))} intents, {FOLDS} folds")
    for name, groups in (("rows at random", None), ("templates kept apart", templates)):
        found = [predicted(texts, intents, groups, seed) for seed in SEEDS]
        scores = [f1_score(intents, each, average="macro") for each in found]
        print(f"{name}: macro-F1 {np.median(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})")
    right = np.mean([each == intents for each in found], axis=0)
    for style in dict.fromkeys(styles):
        print(f"  {style}: {right[styles == style].mean():.3f} of {np.sum(styles == style)} rows right")
    f1 = {intent: np.mean([f1_score(intents == intent, each == intent) for each in found]) for intent in set(intents)}
    for intent, score in sorted(f1.items(), key=lambda item: (item[1], item[0])):
        print(f"  {intent}: F1 {score:.2f}")


if __name__ == "__main__":
    main()
