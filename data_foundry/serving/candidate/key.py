"""The operator's key of a base path: what calls are chosen and named by. Made once, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.lake.durable import fsync_folder, make_folder

KEY_BYTES = 32


def serving_key(settings: Settings) -> bytes:
    """Return the key in serving/key under the base path, 32 bytes; the first gateway there makes it.

    Gateways that start at once get the same one. Raises FoundryError where it is damaged, or others may read it.
    """
    path = settings.base_path / "serving" / "key"
    # A file is whole from the moment on that it has its name, so what is there is never half of a key.
    if not path.exists():
        _make(path)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise FoundryError(f"{path} can't be read as a key: {type(error).__name__}.", _hint(path)) from None
    if len(key) != KEY_BYTES:
        raise FoundryError(f"{path} holds {len(key)} bytes, not {KEY_BYTES}.", _hint(path))
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise FoundryError(f"Others may read {path}, which chooses and hides calls.", f"chmod 600 {path}")
    return key


def _hint(path: Path) -> str:
    return f"Put it back from a backup; or remove {path}: a new one is made, and running trials choose other calls."


def _make(path: Path) -> None:
    make_folder(path.parent)
    beside = path.with_name(f".key.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, leaves a key alone that another gateway made meanwhile.
        with suppress(FileExistsError):
            os.link(beside, path)
    except OSError as error:
        raise FoundryError(
            f"{path} can't be made: {error.strerror}.", "serving/ under the base path needs a disk with hard links."
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    fsync_folder(path.parent)
