"""The schemas of a dataset's tables: which files share one, and how the others drift from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from data_foundry.ingestion.findings import Findings


@dataclass
class Schemas:
    """Schemas by the order in which they were met; files that have the same columns and types share one."""

    found: list[dict[str, Any]] = field(default_factory=list)

    def add(self, path: str, types: dict[str, str]) -> None:
        """Note one table's columns, {name: type} in the order of the file."""
        items = list(types.items())
        same = next((schema for schema in self.found if list(schema["columns"].items()) == items), None)
        if same is None:
            self.found.append({"columns": dict(types), "files": [path]})
        else:
            same["files"].append(path)

    def columns(self) -> dict[str, str]:
        """Return every column of any file with its type; a later file's type wins."""
        return {name: kind for schema in self.found for name, kind in schema["columns"].items()}

    def drift(self, findings: Findings) -> None:
        """Add findings on tables whose columns, types or order of columns differ from the first one's."""
        if not self.found:
            return
        first = self.found[0]["columns"]
        for other in self.found[1:]:
            columns, example, count = other["columns"], other["files"][0], len(other["files"])
            names = sorted(first.keys() ^ columns.keys())
            # A column that is empty throughout a text file has no type there, which is no drift.
            retyped = sorted(
                f"{name} ({first[name]}, {columns[name]})"
                for name in first.keys() & columns.keys()
                if "null" not in (kinds := {first[name], columns[name]}) and len(kinds) > 1
            )
            if names:
                text = f"Files differ in the columns {', '.join(names)}: a loader that expects one schema stops."
                findings.add("schema_drift", "warning", text, example, count)
            if retyped:
                text = f"Files differ in the types of {', '.join(retyped)}: a loader that expects one schema stops."
                findings.add("type_drift", "warning", text, example, count)
            if not names and list(first) != list(columns):
                findings.add("order_drift", "info", "Files hold the same columns in another order.", example, count)
