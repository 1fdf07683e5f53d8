"""The content checks at work on rows: find, mask, flag, count, and refuse what the settings name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import Any

from data_foundry.config import ContentChecks
from data_foundry.errors import FoundryError
from data_foundry.preprocessing.content.abuse import LIST_RULES, own_lexicon, with_list
from data_foundry.preprocessing.content.counts import ContentCounts
from data_foundry.preprocessing.content.identifiers import find_identifiers, may_identify
from data_foundry.preprocessing.content.identity import identity_terms
from data_foundry.preprocessing.content.lexicon import Vocabulary
from data_foundry.preprocessing.content.masking import PLACEHOLDERS, mask
from data_foundry.preprocessing.content.politeness import find_impolite
from data_foundry.preprocessing.content.rule import Found
from data_foundry.preprocessing.content.rules import RULES
from data_foundry.preprocessing.content.spelled_digits import digit_words, find_spelled_numbers
from data_foundry.preprocessing.text import normalize
from data_foundry.records import ContentFlag, Rejected

_FEW_WORDS = 5
"""A number said in fewer words than this is not looked for."""


class Reviewer:
    """Content checks under one set of settings; `counts` is what they found so far.

    Raises FoundryError where the settings name an abuse list that can't be read.
    """

    def __init__(self, settings: ContentChecks) -> None:
        self.settings = settings
        self.counts = ContentCounts()
        self.public = frozenset("".join(filter(str.isdecimal, number)) for number in settings.public_numbers)
        lexicon = own_lexicon()
        if settings.abuse_list is not None:
            licence = settings.abuse_list_licence or ""
            lexicon = with_list(lexicon, settings.abuse_list, licence, settings.abuse_allow)
        self.vocabulary = Vocabulary.of(lexicon)

    def check(self, text: str, prompt: bool = False) -> list[ContentFlag]:
        """Return what the rules find in a normalised text, in order; counts nothing.

        `prompt` says that the phone line itself would say the text, so that its manners are checked too.
        """
        found = self._find(text, self.vocabulary.listed(text), Counter() if prompt else None)
        return [ContentFlag(rule=one.rule, start=one.start, end=one.end, evidence=one.evidence) for one in found]

    def personal_data(self, text: str) -> list[Found]:
        """Return the personal data in a normalised text: identifiers by shape, and numbers said in words."""
        return self._personal_data(text, self.vocabulary.listed(text))

    def review(self, row: dict[str, Any], spoken: bool, prompt: bool = False) -> None:
        """Check the text of a row, mask what is personal in `text` and `text_raw`, and set `content` and `flags`.

        `spoken` says that the row has audio or codec tokens, which still say what the text hides. The places of flags
        are those in the text as the row keeps it. Raises Rejected(content_<rule>) for a rule that the settings
        exclude, after masking.
        """
        text = row["text"]
        if text is None:
            self._settle_raw(row, [])
            return
        self.counts.lines += 1
        listed = self.vocabulary.listed(text)
        if listed:
            terms = identity_terms()
            self.counts.add_terms(terms[word] for word in listed if word in terms)
        found = self._find(text, listed, self.counts.prompts if prompt else None)
        if found or row["text_raw"] != text:
            self._settle_raw(row, found)
        if not found:
            return
        self.counts.lines_flagged += 1
        rules = [one.rule for one in found]
        self.counts.flags.update(rules)
        evidence = {one.rule: one.evidence for one in reversed(found)}
        if not PLACEHOLDERS.keys().isdisjoint(rules):
            row["flags"] = [*row["flags"], "personal_data"]
            if spoken:
                row["flags"].append("personal_data_in_audio")
                self.counts.in_audio += 1
            if self.settings.mask_personal_data:
                row["text"], found = self._hide(text, found)
                self.counts.rows_masked += 1
        row["content"] = [
            {"rule": one.rule, "start": one.start, "end": one.end, "evidence": one.evidence} for one in found
        ]
        self._refuse(rules, evidence)

    def review_translation(self, row: dict[str, Any]) -> None:
        """Check the normalised translation of a row: mask what is personal, flag what was found, count it by rule.

        The column `content` holds places in the text, so a translation's findings stand in `flags` alone:
        personal_data_in_translation and abuse_in_translation. Raises Rejected as `review` does.
        """
        text = row["translation"]
        found = self._find(text, self.vocabulary.listed(text), None) if text else []
        if not found:
            return
        rules = [one.rule for one in found]
        self.counts.translation_flags.update(rules)
        personal = [one for one in found if one.rule in PLACEHOLDERS]
        row["flags"] = [
            *row["flags"],
            *(["personal_data_in_translation"] if personal else []),
            *(["abuse_in_translation"] if len(personal) < len(found) else []),
        ]
        if personal and self.settings.mask_personal_data:
            row["translation"] = self._hide(text, personal)[0]
            self.counts.masked_translations += 1
        self._refuse(rules, {one.rule: f"{one.evidence}, in the translation" for one in found})

    def _refuse(self, rules: list[str], evidence: dict[str, str]) -> None:
        """Raise Rejected for the first rule that the settings exclude."""
        for rule in rules:
            if rule in self.settings.exclude:
                self.counts.excluded[rule] += 1
                raise Rejected(f"content_{rule}", evidence[rule])

    def masked_raw(self, text: str | None) -> str | None:
        """Return a text as found in its source with its personal data masked; the same text twice changes nothing.

        Data that only shows once the text is repaired (a number broken by an invisible character or by markup) cannot
        be masked place by place: then the repaired text is returned, masked.
        """
        return self._masked_raw(text)[0] if text and self.settings.mask_personal_data else text

    def pseudonym(self, speaker: str | None) -> str | None:
        """Return a speaker's id as found, or where it holds personal data masked, with six hex digits of its hash.

        Speakers stay apart, or their splits would be one, while six digits of a hash fit hundreds of phone numbers.
        """
        masked = self.masked_raw(speaker)
        if speaker is None or masked == speaker:
            return speaker
        return f"{masked}-{hashlib.sha256(speaker.encode(errors='surrogatepass')).hexdigest()[:6]}"

    def _hide(self, text: str, found: list[Found]) -> tuple[str, list[Found]]:
        """Return the masked text and the flags' places in it; what shows only once its neighbour is masked goes too."""
        masked, moved = mask(text, found)
        while shown := self.personal_data(masked):
            masked, moved = mask(masked, [*moved, *shown])
        return masked, moved

    def _masked_raw(self, text: str) -> tuple[str, bool]:
        """Return the masked text, and whether it had to be repaired for it."""
        listed = self.vocabulary.listed(text)
        if not (may_identify(text) or len(listed) >= _FEW_WORDS):
            return text, False
        masked, rewritten = self._hide(text, self._personal_data(text, listed))[0], False
        for profile in ("encoding", "modern"):
            repaired = normalize(masked, profile).text
            if repaired != masked and (hidden := self.personal_data(repaired)):
                masked, rewritten = self._hide(repaired, hidden)[0], True
        return masked, rewritten

    def _settle_raw(self, row: dict[str, Any], found: list[Found]) -> None:
        """Mask the raw text; where the two texts then differ by more than the rules of text do, it becomes the text.

        Personal data that only the raw text holds, such as a number in a link, is flagged and counted by itself.
        """
        raw = row["text_raw"]
        personal = [one for one in found if one.rule in PLACEHOLDERS]
        if not raw or not (personal or may_identify(raw)):
            return
        masked, rewritten = self._masked_raw(raw)
        if not personal and masked != raw:
            row["flags"] = [*row["flags"], "personal_data_in_raw"]
            self.counts.raw_alone += 1
        if not self.settings.mask_personal_data:
            return
        row["text_raw"] = masked
        if personal:
            text = self._hide(row["text"], personal)[0]
            if text not in (normalize(row["text_raw"], profile).text for profile in ("modern", "encoding")):
                row["text_raw"], rewritten = text, True
        if rewritten:
            row["flags"] = [*row["flags"], "raw_text_rewritten"]
            self.counts.rewritten_raw += 1

    def _find(self, text: str, listed: list[str], prompts: Counter[str] | None) -> list[Found]:
        found = self._personal_data(text, listed)
        if listed and not self.vocabulary.abuse.keys().isdisjoint(listed):
            found += self.vocabulary.find_abuse(text)
        if prompts is not None:
            found += find_impolite(text, prompts)
        return sorted(found, key=lambda one: one.start) if len(found) > 1 else found

    def _personal_data(self, text: str, listed: list[str]) -> list[Found]:
        found = find_identifiers(text, self.public)
        if len(listed) >= _FEW_WORDS:
            digits = digit_words()
            if sum(word in digits for word in listed) >= _FEW_WORDS:
                found += find_spelled_numbers(text, self.public)
        return found


def key_settings(settings: ContentChecks, kinds: Collection[str]) -> dict[str, Any]:
    """Return the settings that decide what the checks do to a dataset, flat, the abuse list by its content.

    Each excluded rule stands alone, and only where it can meet a row: prompts are codec tokens with their text, and an
    abuse list finds nothing where none is named. Raises FoundryError where that list can't be read.
    """
    public = sorted({"".join(filter(str.isdecimal, number)) for number in settings.public_numbers})
    values: dict[str, Any] = {"mask_personal_data": settings.mask_personal_data, "public_numbers": public}
    if settings.abuse_list is not None:
        try:
            content = settings.abuse_list.read_bytes()
        except OSError as error:
            raise FoundryError(
                f"content.abuse_list {settings.abuse_list} can't be read: {error}.", "Name a readable file, or null."
            ) from None
        # The evidence of a flag names the file and its licence.
        values["abuse_list"] = [
            settings.abuse_list.name, settings.abuse_list_licence, hashlib.sha256(content).hexdigest()
        ]  # fmt: skip
        values["abuse_allow"] = sorted(set(settings.abuse_allow))
    met = {rule.name for rule in RULES if rule.group != "prompts" or "codes" in kinds}
    met |= LIST_RULES if settings.abuse_list is not None else set()
    values |= {f"exclude.{rule}": True for rule in sorted(met.intersection(settings.exclude))}
    return {f"content.{name}": value for name, value in values.items()}
