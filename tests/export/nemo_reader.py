"""NeMo's own readers of manifests, without the hundred packages that NeMo's training needs.

Importing any module of NeMo runs the __init__ files of the packages above it, which import its models. Here those
packages are put in place empty, so that the modules that read manifests are loaded alone, as they are published.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

_PACKAGES = (
    "nemo.collections", "nemo.collections.common", "nemo.collections.common.data",
    "nemo.collections.common.data.lhotse", "nemo.collections.common.parts",
    "nemo.collections.common.parts.preprocessing",
)  # fmt: skip
_PATH_EXPANSION = "nemo.collections.asr.data.audio_to_text"


@contextmanager
def nemo_readers() -> Iterator[SimpleNamespace]:
    """Yield `item_iter`, `ASRAudioText`, `ASRSpeechLabel` and `LazyNeMoIterator`; skip where NeMo is not installed."""
    found = importlib.util.find_spec("nemo")
    if found is None or found.origin is None:
        pytest.skip("NeMo is not there: pip install --no-deps nemo_toolkit")
    root = Path(found.origin).parent
    before = set(sys.modules)
    for name in _PACKAGES:
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    # It stands beside the speech models and only expands braces in a path, of which ours have none.
    expansion = ModuleType(_PATH_EXPANSION)
    expansion.expand_sharded_filepaths = lambda path, **_: [path]  # type: ignore[attr-defined]
    sys.modules[_PATH_EXPANSION] = expansion
    try:
        preprocessing = "nemo.collections.common.parts.preprocessing"
        collections = import_module(f"{preprocessing}.collections")
        yield SimpleNamespace(
            item_iter=import_module(f"{preprocessing}.manifest").item_iter,
            ASRAudioText=collections.ASRAudioText,
            ASRSpeechLabel=collections.ASRSpeechLabel,
            LazyNeMoIterator=import_module("nemo.collections.common.data.lhotse.nemo_adapters").LazyNeMoIterator,
        )
    finally:
        for name in [name for name in set(sys.modules) - before if name.split(".")[0] == "nemo"]:
            del sys.modules[name]
