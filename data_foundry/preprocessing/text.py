"""Malayalam text: what any other package may use of it.

`normalize` and the two profiles of rules; `malayalam_ratio` and its counts; `is_well_formed` and `aksharas`;
`scoring_form` for comparing transcripts; `fidelity` and `text_flags` for judging what came in.

A leaf: it needs the standard library alone (`regex` for the rare text that holds a third script, indic-nlp-library for
`vistaar_compat`). Every function takes any Python string and runs in time linear in its length. The rules and their
sources are in `text_rules`; none of the Malayalam there was checked by a native speaker.
"""

from data_foundry.preprocessing import TEXT_RULES
from data_foundry.preprocessing.fidelity import Fidelity, fidelity
from data_foundry.preprocessing.normalization import PROFILES, NormalizedText, normalize
from data_foundry.preprocessing.orthography import aksharas, is_well_formed, malayalam_aksharas
from data_foundry.preprocessing.scoring import scoring_form, vistaar_compat
from data_foundry.preprocessing.script import malayalam_ratio, script_counts
from data_foundry.preprocessing.text_flags import FLAGS, text_flags
from data_foundry.preprocessing.text_rules import RULES

__all__ = [
    "FLAGS",
    "PROFILES",
    "RULES",
    "TEXT_RULES",
    "Fidelity",
    "NormalizedText",
    "aksharas",
    "fidelity",
    "is_well_formed",
    "malayalam_aksharas",
    "malayalam_ratio",
    "normalize",
    "scoring_form",
    "script_counts",
    "text_flags",
    "vistaar_compat",
]
