"""Texts that say nearly the same: a letter, a space or a word apart, on the form in which transcripts are compared.

Two texts are near when their sets of three letters in a row, spaces left out, have a Jaccard similarity of at least
LEAST_SIMILARITY, and both say the same numbers in the same order and deny equally often. Candidates come from MinHash
and locality sensitive hashing (A. Broder 1997; J. Leskovec, A. Rajaraman and J. Ullman, "Mining of Massive Datasets",
chapter 3); each is then compared itself, so that no two texts are near by chance. From 23 letters and signs on one
changed letter is within the limit, unless the text repeats itself; a shorter text may be too different by it, and one
under SHORTEST is near none.

Neighbours in a bucket make the chains (each text a word from the next, say); within a chain all texts are then compared
with each other, the shortest chains first, until MOST_PAIRS pairs. What lies beyond is counted, not hidden.

The MinHash is rensa's, a hundredth of datasketch's time; the limits were chosen on measured texts (benchmarks/near).
"""

from __future__ import annotations

import hashlib
import re
from array import array

import numpy as np

from data_foundry.allocation.neighbours import Near, chained, distinct, equal_neighbours
from data_foundry.preprocessing.text import scoring_form

LEAST_SIMILARITY = 0.75
MOST_PAIRS = 1 << 23
"""How many pairs of texts are compared for being in one chain; a chain of 4,000 texts alone has as many."""
SHORTEST = 12
"""Letters and signs, spaces left out, below which a text is near no other: in "അതെ" and "അല്ല" each one counts."""

_SHINGLE = 3
_BANDS = 24
_ROWS = 5
_SEED = 20020610
_NEXT_IN_BUCKET = 16
_FEWEST_BANDS = 2
_CHUNK = 1 << 12
_PAIRS = 1 << 22

# The first letters of Malayalam's number words, by which their inflected and joined forms begin, too. Place names that
# begin so (Pathanamthitta) count as numbers then, which only asks more of two texts. Not checked by a native speaker.
_NUMBER_STEMS = (
    "പൂജ്യ", "ഒന്ന", "ഒരു", "രണ്ട", "മൂന്ന", "നാല", "നാൽപ", "നാനൂ", "അഞ്ച", "അഞ്ഞൂ", "ആറ", "ഏഴ", "എട്ട", "ഒമ്പ", "ഒൻപ",
    "പത്ത", "പതി", "പന്ത്ര", "ഇരുപ", "ഇരുന്നൂ", "മുപ്പ", "മുന്നൂ", "അമ്പ", "അൻപ", "അറുപ", "അറുനൂ", "എഴുപ", "എഴുനൂ", "എൺപ", "എണ്ണൂ",
    "തൊണ്ണൂ", "തൊള്ളാ", "നൂറ", "ആയിര", "മൂവായിര", "അയ്യായിര", "ലക്ഷ", "കോടി",
)  # fmt: skip
_NUMBER = re.compile(rf"\d+|(?<!\S)(?:{'|'.join(_NUMBER_STEMS)})\S*")
# Is not, do not want, must not, without: the endings by which Malayalam denies. "Good" (നല്ല) holds one, too.
_DENIAL = re.compile("ല്ല|വേണ്ട|രുത|ാതെ|ാത്ത")


class NearTexts:
    """Compares texts, which are added one by one.

    Memory: some 140 bytes and twice the length of its text (UTF-16) a row, and about 200 MB while comparing.
    """

    METHOD = (
        f"three letters in a row: Jaccard similarity of {LEAST_SIMILARITY:g} or more (MinHash, verified), "
        "with the same numbers and negations"
    )

    def __init__(self) -> None:
        self._forms = bytearray()
        self._ends = array("Q", [0])
        self._names = array("Q")

    def add(self, text: str | None) -> None:
        """Add the next row's text, None where it has none."""
        self.add_form(scoring_form(text) if text else "")

    def add_form(self, form: str) -> None:
        """Add the next row's text by its scoring form, empty where it has none."""
        if len(form) - form.count(" ") < SHORTEST:
            self._names.append(0)
        else:
            data = form.encode("utf-16-le", "surrogatepass")
            self._names.append(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") or 1)
            self._forms += data
        self._ends.append(len(self._forms))

    def found(self) -> Near:
        """Compare all rows with each other."""
        names = np.frombuffer(self._names, dtype=np.uint64) if len(self._names) else np.zeros(0, np.uint64)
        compared = np.flatnonzero(names)
        name, at, inverse = np.unique(names[compared], return_index=True, return_inverse=True)
        content = np.full(len(names), -1, dtype=np.int64)
        content[compared] = inverse
        texts = _Texts(self._forms, np.array(self._ends, dtype=np.int64), compared[at])
        first, second, counts = texts.near_pairs()
        counts = {"rows": len(names), "compared": len(compared), "contents": len(name), **counts}
        return Near(content, first, second, name, counts)


class _Texts:
    """The different texts, ordered by the hash of their form."""

    def __init__(self, forms: bytearray, ends: np.ndarray, rows: np.ndarray) -> None:
        """Take the texts of these rows out of their forms, which lie one behind the other."""
        count = len(rows)
        self.meaning = np.zeros(count, dtype=np.uint32)
        """A hash of the numbers and negations of a text: of two near texts it is equal."""
        self.bands = [np.zeros(count, dtype=np.uint32) for _ in range(_BANDS)]
        """For each band a hash per text of its part of the MinHash and of its meaning."""
        self._shingles: list[np.ndarray] = []
        self._sizes = np.zeros(count, dtype=np.int32)
        for at in range(0, count, _CHUNK):
            chosen = rows[at : at + _CHUNK]
            here = slice(at, at + len(chosen))
            spans = zip(ends[chosen].tolist(), ends[chosen + 1].tolist(), strict=True)
            self._add(here, [forms[start:end].decode("utf-16-le", "surrogatepass") for start, end in spans])

    def __len__(self) -> int:
        return len(self.meaning)

    def _add(self, here: slice, texts: list[str]) -> None:
        self.meaning[here] = [_meaning(text) for text in texts]
        shingles, owners = _shingles([text.replace(" ", "") for text in texts])
        digests = _minhash(shingles, owners, len(texts))
        for number, band in enumerate(self.bands):
            mixed = self.meaning[here].astype(np.uint64)
            for column in range(number * _ROWS, (number + 1) * _ROWS):
                mixed = _mixed(mixed ^ digests[:, column])
            band[here] = (mixed >> np.uint64(32)).astype(np.uint32)
        # The set of each text, sorted: its number in front of 30 bits of the hash.
        sets = distinct(owners.astype(np.uint64) << np.uint64(30) | shingles >> np.uint64(34))
        self._sizes[here] = np.bincount((sets >> np.uint64(30)).astype(np.int64), minlength=len(texts))
        self._shingles.append((sets & np.uint64(0x3FFFFFFF)).astype(np.int32))

    def near_pairs(self) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
        """Return the numbers of the texts that are near, first < second, and what was counted."""
        candidates = self._candidates()
        codes = self._similar(candidates)
        chains, left = self._in_chains(codes)
        codes = distinct(np.concatenate((codes, self._similar(chains))))
        counts = {"candidates": len(candidates) + len(chains), "pairs": len(codes), "pairs_not_compared": left}
        return codes // max(1, len(self)), codes % max(1, len(self)), counts

    def _in_chains(self, codes: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the codes of all pairs of texts that a chain of the pairs `codes` ties, and how many were too many."""
        groups = chained(codes // max(1, len(self)), codes % max(1, len(self)), len(self))
        sizes = np.bincount(groups, minlength=len(self)).astype(np.int64)
        heads = np.flatnonzero(sizes > 2)
        heads = heads[np.argsort(sizes[heads], kind="stable")]
        pairs = np.cumsum(sizes[heads] * (sizes[heads] - 1) // 2)
        fitting = int(np.searchsorted(pairs, MOST_PAIRS, side="right"))
        members = np.argsort(groups, kind="stable")
        starts = np.searchsorted(groups[members], heads[:fitting])
        found = [np.zeros(0, dtype=np.int64)]
        for start, size in zip(starts.tolist(), sizes[heads[:fitting]].tolist(), strict=True):
            chain = members[start : start + size]
            first, second = np.triu_indices(size, 1)
            found.append(chain[first] * len(self) + chain[second])
        left = int(pairs[-1] - (pairs[fitting - 1] if fitting else 0)) if len(pairs) else 0
        return np.concatenate(found), left

    def _candidates(self) -> np.ndarray:
        """Return sorted codes (first * texts + second) of the pairs that are alike in several bands."""
        found = [np.zeros(0, dtype=np.int64)]
        for number, band in enumerate(self.bands):
            following = self.bands[(number + 1) % _BANDS]
            for ours, theirs in equal_neighbours(band, _NEXT_IN_BUCKET, following):
                first, second = np.minimum(ours, theirs), np.maximum(ours, theirs)
                fewer = np.minimum(self._sizes[first], self._sizes[second])
                more = np.maximum(self._sizes[first], self._sizes[second])
                likely = (self.meaning[first] == self.meaning[second]) & (fewer >= LEAST_SIMILARITY * more)
                first, second = first[likely], second[likely]
                alike = np.zeros(len(first), dtype=np.int8)
                for other in self.bands:
                    alike += other[first] == other[second]
                found.append((first * len(self) + second)[alike >= _FEWEST_BANDS])
            if sum(map(len, found)) > _PAIRS:
                found = [distinct(np.concatenate(found))]
        return distinct(np.concatenate(found))

    def _similar(self, codes: np.ndarray) -> np.ndarray:
        """Return the codes of the pairs that are near."""
        from scipy.sparse import csr_array

        kept = [codes[:0]]
        if len(codes):
            asked = np.zeros(len(self), dtype=bool)
            asked[codes // len(self)] = True
            asked[codes % len(self)] = True
            places = range(0, len(self), _CHUNK)
            columns = np.concatenate(
                [
                    shingles[np.repeat(asked[at : at + _CHUNK], self._sizes[at : at + _CHUNK])]
                    for at, shingles in zip(places, self._shingles, strict=True)
                ]
            )
            starts = np.concatenate(([0], np.cumsum(np.where(asked, self._sizes, 0))))
            sets = csr_array((np.ones(len(columns), dtype=bool), columns, starts), shape=(len(self), 1 << 30))
            sets.has_canonical_format = True
        for at in range(0, len(codes), _CHUNK):
            first, second = np.divmod(codes[at : at + _CHUNK], len(self))
            both = np.diff(sets[first].multiply(sets[second]).tocsr().indptr)
            near = both >= LEAST_SIMILARITY * (self._sizes[first] + self._sizes[second] - both)
            kept.append(codes[at : at + _CHUNK][near])
        return np.concatenate(kept)


def _meaning(form: str) -> int:
    """Return a 32-bit hash of what two texts must share exactly: their numbers, and how often they deny."""
    said = "".join((f"{len(_DENIAL.findall(form))} ", *_NUMBER.findall(form)))
    return int.from_bytes(hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")


def _shingles(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return a 64-bit hash of every three letters in a row, text by text, and the number of the text of each."""
    data = [text.encode("utf-16-le", "surrogatepass") for text in texts]
    lengths = np.array([len(text) // 2 for text in data], dtype=np.int64)
    units = np.frombuffer(b"".join(data), dtype="<u2").astype(np.uint64)
    count = max(0, len(units) - _SHINGLE + 1)
    shingles = np.zeros(count, dtype=np.uint64)
    for place in range(_SHINGLE):
        shingles |= units[place : place + count] << np.uint64(16 * place)
    owners = np.repeat(np.arange(len(texts)), lengths)
    # The last places of a text run into the next one.
    whole = owners[:count] == owners[_SHINGLE - 1 :]
    return _mixed(shingles[whole]), owners[:count][whole]


def _minhash(shingles: np.ndarray, owners: np.ndarray, count: int) -> np.ndarray:
    """Return the MinHash of each of `count` texts, shape (texts, bands * rows), uint64."""
    from rensa import RMinHash

    starts = np.searchsorted(owners, np.arange(count + 1)).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, starts, _BANDS * _ROWS, _SEED)
    return np.array(matrix.to_rows(), dtype=np.uint64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return 64-bit hashes of 64-bit values: the finaliser of MurmurHash3 (A. Appleby, public domain)."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))
