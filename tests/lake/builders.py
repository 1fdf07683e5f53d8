"""Builders of small lakes."""

from __future__ import annotations

from pathlib import Path

from data_foundry.lake import Lake, Layer, sha256_file

NAME = "owner/name"


def publish(lake: Lake, files: dict[str, bytes], key: str = "k1", layer: Layer = Layer.SILVER, **more):
    """Commit these files and return the manifest."""
    with lake.commit(layer, NAME, key) as commit:
        for path, content in files.items():
            commit.path(path).write_bytes(content)
        return commit.publish(**more)


def tree(folder: Path) -> dict[str, str]:
    """Everything below a folder: files by content, folders by name."""
    return {str(p.relative_to(folder)): "" if p.is_dir() else sha256_file(p) for p in sorted(folder.rglob("*"))}
