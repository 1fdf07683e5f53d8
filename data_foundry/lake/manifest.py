"""What makes a folder of the lake complete: the manifest, and the layers it can lie in."""

from __future__ import annotations

import hashlib
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from data_foundry import __version__
from data_foundry.errors import FoundryError

MANIFEST = "manifest.json"
_CHECKSUM = re.compile(rb',\n "checksum": "([0-9a-f]{64})"\n}\n\Z')


class Layer(StrEnum):
    """RAW: bytes of a Hub commit. SILVER: standardized rows. GOLD: training sets. MODELS: evaluated adapters."""

    RAW = "raw"
    SILVER = "silver"
    GOLD = "gold"
    MODELS = "models"


class LakeFile(BaseModel):
    """One published file: `path` relative to its folder, POSIX style; `rows` where the file holds rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


class Manifest(BaseModel):
    """What makes a folder of the lake complete: its files, where they came from, and where every row went."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    schema_version: int = 1
    layer: Layer
    name: str
    key: str
    code_version: str = __version__
    inputs: dict[str, str] = {}
    rule_sets: dict[str, str] = {}
    settings: dict[str, Any] = {}
    files: tuple[LakeFile, ...] = ()
    rows_in: int = 0
    rows_out: int = 0
    rejected: dict[str, int] = {}
    details: dict[str, Any] = {}

    @property
    def content_hash(self) -> str:
        """Hash of the files' paths and contents: what a later step's key depends on."""
        return fingerprint([(file.path, file.sha256) for file in self.files])

    @property
    def counts(self) -> dict[str, Any]:
        """Where the rows went: rows_in, rows_out and rejected, as a step reports them."""
        return {"rows_in": self.rows_in, "rows_out": self.rows_out, "rejected": self.rejected}

    @property
    def total_bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def text(self) -> str:
        """The manifest as its file holds it; its last line is the sha256 of all before it."""
        body = self.model_dump_json(indent=1).removesuffix("\n}")
        return f'{body},\n "checksum": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'


def read_manifest(folder: Path) -> Manifest | None:
    """Return a folder's manifest, or None where there is none.

    Raises FoundryError when it can't be read, or when it has another byte than was written; one of an earlier version
    has no checksum to tell by.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        if found := _CHECKSUM.search(content):
            content = content[: found.start()]
            if hashlib.sha256(content).hexdigest() != found[1].decode():
                raise FoundryError(
                    f"{path} can't be read as a manifest: it has other bytes than were written.", _way_out(path)
                )
            content += b"\n}"
        return Manifest.model_validate_json(content)
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        why = _first_mistake(error) if isinstance(error, ValidationError) else str(error)
        raise FoundryError(f"{path} can't be read as a manifest: {why}.", _way_out(path)) from None


def _way_out(path: Path) -> str:
    return f"Delete {path} and run its phase again; raw files that are whole are not fetched anew."


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in mistake["loc"])
    return f"{place}: {mistake['msg']}" if place else mistake["msg"]


def fingerprint(value: Any) -> str:
    """Return the sha256 (hex) of a JSON-like value in canonical form."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
