"""The Malayalam IVR intent set: enough of it, varied, in normal form, and its committed files are what makes them."""

from __future__ import annotations

from collections import Counter

import pytest

from data_foundry.bundled import FOLDER
from data_foundry.bundled.intent import FILLINGS, STYLES, Intent, Template
from data_foundry.bundled.intent_set import INTENTS, REPO_ID, Utterance, files, fillings, utterances, write
from data_foundry.bundled.slots import SLOTS
from data_foundry.config import ContentChecks
from data_foundry.dataset_registry import dataset_entry
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.text import is_well_formed, malayalam_ratio, normalize, scoring_form, script_counts

ROWS = list(utterances())
TEMPLATES = [template for name, intent in INTENTS.items() for template in intent.templates(name)]


def of(intent: str) -> list[Utterance]:
    return [row for row in ROWS if row.intent == intent]


def test_the_committed_files_are_what_the_templates_make(tmp_path):
    write(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    folder = FOLDER / "datasets"
    there = {path.relative_to(FOLDER): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert there == made, "run python -m data_foundry.bundled"
    assert len(made) == len(files()) == 2


def test_there_are_intents_enough_with_those_that_every_line_needs():
    assert len(INTENTS) >= 16
    assert {"affirm", "deny", "repeat", "talk_to_agent", "out_of_scope"} <= INTENTS.keys()
    assert set(dataset_entry(REPO_ID).labels.values()) == INTENTS.keys()


@pytest.mark.parametrize("intent", INTENTS)
def test_an_intent_has_forty_phrasings_and_some_in_every_style(intent):
    """Forty templates, not forty rows: fillings of one template do not make an intent varied."""
    rows = of(intent)
    assert len({row.template for row in rows}) >= 40
    assert Counter(row.template for row in rows).most_common(1)[0][1] <= FILLINGS
    styles = {style: len({row.template for row in rows if row.style == style}) for style in STYLES.values()}
    assert min(styles.values()) >= 5, styles


@pytest.mark.parametrize("intent", INTENTS)
def test_the_phrasings_of_an_intent_are_not_one_sentence_in_disguise(intent):
    """No two templates of an intent have the same words outside their slots."""
    frames = Counter(scoring_form(t.filled(**dict.fromkeys(t.slots, " "))) for t in TEMPLATES if _intent(t) == intent)
    assert max(frames.values()) == 1, frames.most_common(3)


def test_no_utterance_stands_twice_whatever_its_intent():
    repeated = [text for text, count in Counter(scoring_form(row.text) for row in ROWS).items() if count > 1]
    assert repeated == []


def test_every_row_is_in_the_normal_form_already():
    changed = [row for row in ROWS if normalize(row.text).text != row.text or not is_well_formed(row.text)]
    assert changed == []


def test_nothing_in_it_is_personal_data_or_abuse():
    reviewer = Reviewer(ContentChecks())
    assert [row for row in ROWS if reviewer.check(row.text)] == []


def test_the_styles_are_what_they_are_called():
    for row in ROWS:
        malayalam, latin = script_counts(row.text)
        scripts = {"romanised": (False, True), "code_mixed": (True, True)}.get(row.style, (True, False))
        assert (malayalam > 0, latin > 0) == scripts, row
    assert malayalam_ratio(next(row.text for row in ROWS if row.style == "formal")) == 1.0


def test_every_slot_is_filled_and_every_value_of_the_table_is_of_use():
    assert not [row for row in ROWS if "{" in row.text or "  " in row.text or row.text != row.text.strip()]
    assert {slot for template in TEMPLATES for slot in template.slots} == SLOTS.keys()
    for slot, values in SLOTS.items():
        assert len(values) == len(set(values)) >= 3 and all(values), slot


ENDINGS = {
    "in": ("ൽ", "ത്ത്", "ട്ട്", "il", "thu", "ttu"),
    "of": ("ന്റെ", "യുടെ", "ത്തെ", "nte"),
    "to": ("ക്ക്", "ത്തിന്", "kku"),
    "with": ("ട്", "odu"),
    "acc": ("രെ", "റെ", "നെ", "ne", "re"),
}
OBLIQUE = ("ന്റെ", "യുടെ", "ലേക്ക്", "ത്തേക്ക്", "ത്തിൽ", "ത്തിന്", "nte", "odu", "athil", "ekku")


def test_a_slots_name_says_its_case_and_its_script():
    """Romanised slots too: a template that takes the wrong case is then seen where it is written."""
    for slot, values in SLOTS.items():
        words = slot.split("_")
        latin = words.pop() if words[-1] in ("e", "r") else None
        assert all((malayalam_ratio(value) == 0.0) == bool(latin) for value in values), slot
        said = ENDINGS.get(words[-1], ())
        assert not said or all(value.endswith(said) for value in values), slot
        if words[-1] not in ENDINGS and words[0] not in ("whose", "clock"):
            assert not any(value.endswith(OBLIQUE) for value in values), slot


def test_a_template_shows_each_slot_in_turn_and_never_the_same_twice():
    template = Template("x-01", "formal", "{amount} {bill} {visit_acc_r}")
    made = fillings(template)
    assert len(made) == len(set(made)) == FILLINGS
    assert {text.split()[0] for text in made} <= {value.split()[0] for value in SLOTS["amount"]}
    assert fillings(Template("x-02", "formal", "ശരി")) == ["ശരി"]
    assert fillings(template) == made


def test_an_intents_lines_are_numbered_in_their_order_with_the_style_of_their_letter():
    intent = Intent("says so", "\nf ശരി\nr sheri {day_r}\n")
    assert list(intent.templates("x")) == [
        Template("x-01", "formal", "ശരി"),
        Template("x-02", "romanised", "sheri {day_r}"),
    ]


def test_the_card_counts_what_is_there_and_says_that_no_native_speaker_checked():
    card = files()["README.md"].decode()
    assert f"{len(ROWS):,} short utterances" in card and f"in {len(INTENTS)} intents" in card
    assert f"{len(TEMPLATES)} phrasings" in card and f"are fillings of {len(TEMPLATES)} templates" in card
    assert "mean what they are labelled only after a question" in card
    assert "No native speaker has checked them" in " ".join(card.split()) and "license: cc0-1.0" in card
    for name, intent in INTENTS.items():
        phrasings = sum(_intent(template) == name for template in TEMPLATES)
        assert f"| {name} | {intent.meaning} | {phrasings} | {len(of(name))} |" in card


def test_load_dataset_opens_the_folder_as_it_lies_in_the_package(tmp_path):
    from datasets import load_dataset

    data = load_dataset(str(FOLDER / "datasets" / REPO_ID), cache_dir=str(tmp_path))
    assert set(data) == {"train"} and [Utterance(**row) for row in data["train"]] == ROWS


def _intent(template: Template) -> str:
    return template.id.rsplit("-", 1)[0]
