"""The check of a lineage: the row is derived again from its raw file, and every column is compared byte for byte.

It is derived with the settings that it was made with, as the manifests keep them; which of them are others now is said
first. Beside the row itself the chain of hashes is held together: the files that hold it have the bytes of their
manifests, silver was made of the raw data that is there, and gold of that silver.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, LakeFile, Layer, Manifest, sha256_file
from data_foundry.lineage.compare import Difference, differences
from data_foundry.lineage.find import Found, Place, read, rows_where
from data_foundry.lineage.origin import Origin, gold_table, recording_file, silver_table
from data_foundry.lineage.settings_then import settings_then, told
from data_foundry.preprocessing.standardize import FILES, basis, why_changed
from data_foundry.records import AIEngine

if TYPE_CHECKING:
    import pyarrow as pa

    from data_foundry.preprocessing.readers import RawRow


@dataclass
class Verdict:
    """What a check found: `holds` when every byte is as derived and the chain of hashes is whole.

    `settings`: those that are others now than when the row was made; it is derived again with those of then.
    `expected`: what else changed since (rules, raw data), so that differences are no surprise. `broken`: where the
    chain of hashes breaks, or nothing can be derived. `compared`: columns compared, by place. `not_derived`: what
    depends on other rows, and how it was looked at.
    """

    settings: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    not_derived: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.broken and not self.differences

    def note(self, sentence: str) -> None:
        """Say once what could not be derived."""
        if sentence not in self.not_derived:
            self.not_derived.append(sentence)

    def note_changes(self, what: str, settings: list[str], others: str) -> None:
        """Say once which settings, and what else, changed since the rows of a folder were made."""
        for changes, said in ((", ".join(settings), self.settings), (others, self.expected)):
            if changes and (sentence := f"{what}: {changes}") not in said:
                said.append(sentence)


class Checker:
    """Checks rows of one lake; what many rows share (hashes of files, a dataset's rules) is worked out once."""

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self.lake, self.settings = lake, settings
        self._origins: dict[str, Origin] = {}
        self._then: dict[tuple[Layer, str], Settings] = {}
        self._files: dict[tuple[Layer, str, str], str | None] = {}
        self._sides: dict[str, dict[str, set[str]]] = {}

    def check(self, found: Found) -> Verdict:
        """Derive a row again and compare it with what silver and gold hold of it."""
        verdict = Verdict()
        if not found.silver:
            verdict.broken.append(f"No silver row has the id {found.row_id}: gold was made of other silver.")
        for place in found.silver:
            try:
                self._check_row(found, place, verdict)
            except FoundryError as error:
                verdict.broken.append(str(error))
        return verdict

    def _check_row(self, found: Found, place: Place, verdict: Verdict) -> None:
        origin = self._origin(place.name)
        manifest = self._manifest(Layer.SILVER, place.name)
        needed = basis(origin.settings, origin.raw, origin.entry)
        changed = told(manifest, basis(self.settings, origin.raw, origin.entry)["settings"], needed["settings"])
        verdict.note_changes(f"silver of {place.name}", changed, why_changed(manifest, needed))
        if manifest.inputs.get("raw") != needed["inputs"]["raw"]:
            verdict.broken.append(f"The raw data of {place.name} is not what its silver was made of.")
        stored = read(self.lake, place)
        base = {name: stored[name][0].as_py() for name in ("source_file", "source_row")}
        raw = origin.raw_row(base["source_file"], base["source_row"])
        verdict.broken += self._faults(origin, place, raw)
        row = origin.among_others(origin.silver_row(raw, found.row_id), place)
        refusal = row["reason"]
        if place.rejected != (refusal is not None):
            now = f"refused ({refusal})" if refusal is not None else "accepted"
            verdict.broken.append(f"{place}: as derived now the row is {now}.")
            return
        derived = silver_table(row, place.rejected)
        self._compare(str(place), stored, derived, verdict)
        if place.rejected:
            return
        for at in found.gold:
            verdict.broken += self._faults_of(at.layer, at.name, at.file)
            self._note_changes_of_gold(AIEngine(at.name), verdict)
            if at.rejected:
                self._check_refusal(at, derived, verdict)
            else:
                self._check_gold(at, place.name, derived, verdict)

    def _note_changes_of_gold(self, engine: AIEngine, verdict: Verdict) -> None:
        from data_foundry.allocation.keys import row_settings, rule_sets

        manifest, then = self._manifest(Layer.GOLD, engine), self._settings_then(Layer.GOLD, engine)
        settings = told(manifest, row_settings(self.settings, engine), row_settings(then, engine))
        needed = {**rule_sets(then, engine), **row_settings(then, engine)}
        before = {**manifest.rule_sets, **manifest.settings}
        names = [name for name in sorted({*needed, *before}) if before.get(name) != needed.get(name)]
        others = ", ".join(f"{name} {before.get(name)} -> {needed.get(name)}" for name in names)
        verdict.note_changes(f"gold {engine}", settings, others)

    def _check_gold(self, at: Place, dataset: str, silver: pa.Table, verdict: Verdict) -> None:
        engine, manifest = AIEngine(at.name), self._manifest(Layer.GOLD, at.name)
        if manifest.inputs.get(dataset) != self._manifest(Layer.SILVER, dataset).content_hash:
            verdict.broken.append(f"Gold {engine} was made of other silver of {dataset} than is there.")
        stored = read(self.lake, at)
        derived = gold_table(self._settings_then(Layer.GOLD, engine), engine, at.split, silver, stored)
        if derived is None:
            verdict.broken.append(f"{at}: by the settings that it was made with there is no {at.split}.")
            return
        self._compare(str(at), stored, derived, verdict)
        group = stored["group"][0].as_py()
        sides = ", ".join(sorted(self._group_sides(at.name)[group]))
        verdict.note(
            f"gold {engine}: group, side and sampling_weight depend on all rows; the rows of group {group} stand in "
            f"{sides}, and `verify --splits` looks at all links again"
        )

    def _check_refusal(self, at: Place, silver: pa.Table, verdict: Verdict) -> None:
        """Hold the reason for which an engine refused a row against what the row lacks."""
        from data_foundry.lineage.routes import decided_alone, routes

        engine = AIEngine(at.name)
        stored = read(self.lake, at)["reason"][0].as_py()
        derived = routes(silver, self._settings_then(Layer.GOLD, engine))[engine].refusal
        if stored == derived:
            verdict.compared[str(at)] = 1
        elif derived is not None or stored in decided_alone(engine):
            verdict.differences.append(Difference(str(at), "reason", stored, derived or "none"))
        else:
            verdict.note(f"gold {engine}: refused as {stored}, which depends on other rows")

    def _faults(self, origin: Origin, place: Place, raw: RawRow) -> list[str]:
        """Return which files of a row, from its recording to silver, have other bytes than their manifests say."""
        files = [file for file in origin.raw.files if file.path == FILES + raw.source_file]
        if isinstance(raw.payload, Path):
            files.append(recording_file(origin.raw, raw.payload))
        found = [fault for file in files for fault in self._faults_of(Layer.RAW, place.name, file)]
        return found + self._faults_of(place.layer, place.name, place.file)

    def _faults_of(self, layer: Layer, name: str, file: LakeFile) -> list[str]:
        key = (layer, name, file.path)
        if key not in self._files:
            path = self.lake.folder(layer, name) / file.path
            try:
                fault = None if sha256_file(path) == file.sha256 else "has other bytes than its manifest says"
            except OSError as error:
                fault = f"can't be read: {error}"
            self._files[key] = fault
        return [] if self._files[key] is None else [f"{layer}/{name}/{file.path} {self._files[key]}."]

    def _group_sides(self, engine: str) -> dict[str, set[str]]:
        """Return the splits in which the rows of each group of an engine's gold stand; phone rows stand with theirs."""
        from data_foundry.allocation.phone_rows import SUFFIX

        if engine not in self._sides:
            sides: dict[str, set[str]] = {}
            import pyarrow.compute as pc

            for at, row in rows_where(self.lake, Layer.GOLD, engine, ("group",), pc.field("group").is_valid()):
                sides.setdefault(row["group"], set()).add(at.split.removesuffix(SUFFIX))
            self._sides[engine] = sides
        return self._sides[engine]

    def _compare(self, where: str, stored: pa.Table, derived: pa.Table, verdict: Verdict) -> None:
        verdict.compared[where] = len(derived.column_names)
        verdict.differences += differences(where, stored, derived)

    def _origin(self, dataset: str) -> Origin:
        if dataset not in self._origins:
            self._origins[dataset] = Origin.of(self.lake, self._settings_then(Layer.SILVER, dataset), dataset)
        return self._origins[dataset]

    def _settings_then(self, layer: Layer, name: str) -> Settings:
        """Return the settings with which the rows of a folder were made."""
        if (layer, name) not in self._then:
            self._then[layer, name] = settings_then(self.settings, self._manifest(layer, name).settings)
        return self._then[layer, name]

    def _manifest(self, layer: Layer, name: str) -> Manifest:
        manifest = self.lake.manifest(layer, name)
        assert manifest is not None
        return manifest
