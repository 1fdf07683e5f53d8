"""Phases run as a user types them over a loopback Hub that does its worst, and what must be true whatever it did.

Three datasets: VICTIM, whose requests the faults strike, and OTHERS, which must not suffer. The Malayalam is that of
`tests.ingestion.builders`.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from data_foundry.config import PROJECT_ROOT, load_settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.hub import TOKEN_VARIABLES
from data_foundry.hub.fetching import PARTS
from data_foundry.ingestion.bring import FETCHED
from data_foundry.lake import Lake, Layer
from tests.ingestion.builders import COMMENTS, NEWS, SENTENCES, SPEECH, Files, comments, news, parquet
from tests.loopback_hub import LoopbackHub

SCRIPTS = {
    "phase1": PROJECT_ROOT / "phase1-ingestion" / "ingest_hf_data.py",
    "phase2": PROJECT_ROOT / "phase2-preprocessing" / "standardize_data.py",
}
VICTIM, OTHERS = SPEECH, (COMMENTS, NEWS)
# Git LFS holds the shard, Git itself the small file. No other dataset has files of these names.
SHARD, SMALL = "data/train-00001.parquet", "NOTES.md"
TOKEN = "hf_aTokenThatMustNeverShow"


def shard(split: str, number: int, rows: int = 10, **more: list[str]) -> bytes:
    texts = [f"{SENTENCES[row % 6]} {split} {number} {row}" for row in range(rows)]
    return parquet(
        {"text": texts, "translation": [f"my balance {split} {number} {row}" for row in range(rows)], **more}
    )


def victim(**changed: bytes | None) -> Files:
    """The victim's files; `changed` replaces some by the number of their train shard: victim(t1=shard(...))."""
    files = {"README.md": b"---\nlicense: cc-by-4.0\n---\n# Speech\n", SMALL: b"# Notes\n"}
    files["data/test-00000.parquet"] = shard("test", 0)
    for number in range(3):
        files[f"data/train-{number:05}.parquet"] = changed.get(f"t{number}") or shard("train", number)
    return files


def stock(hub: LoopbackHub, files: Files | None = None, token: str = TOKEN) -> str:
    """Make the Hub whole again: every dataset as it was at first, nothing struck; return the victim's commit."""
    hub.repositories, hub.faults, hub.xet, hub.delay, hub.tokens, hub.auth = {}, [], False, 0.0, {}, {}
    if token:
        hub.allow(token, VICTIM, *OTHERS)
    hub.add("datasets", NEWS, news())
    hub.add("datasets", COMMENTS, comments(), sha=DATASET_REGISTRY[COMMENTS].revision)
    forget(hub)
    return hub.add("datasets", VICTIM, files or victim())


def forget(hub: LoopbackHub) -> None:
    """Forget which requests came."""
    hub.requests, hub.ranges, hub.struck = [], [], []


@dataclass
class Run:
    """How a phase ended: its exit code, what it printed, and its report."""

    code: int
    printed: str
    report: dict[str, Any]

    def of(self, dataset: str) -> dict[str, Any]:
        """Return the report's step of a dataset."""
        return next(step for step in self.report["steps"] if step["subject"] == dataset)


@dataclass
class Stage:
    """A base path, the Hub that its runs ask, and the processes that it started."""

    base: Path
    hub: LoopbackHub
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *flags: str, phase: str = "phase1", **how: Any) -> subprocess.Popen[str]:
        """Start a phase's script as a user types it, in a process of its own. `how` as for `run`."""
        argv, environ = self._command(flags, **how)
        command = [sys.executable, str(SCRIPTS[phase]), *argv]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.started.append(subprocess.Popen(command, env=environ, **pipes))
        return self.started[-1]

    def ended(self, process: subprocess.Popen[str], phase: str = "phase1") -> Run:
        """Wait for a process and return how it ended."""
        printed, _ = process.communicate(timeout=300)
        return Run(process.returncode, printed, self._report(phase))

    def run(self, *flags: str, phase: str = "phase1", typed: bool = False, **how: Any) -> Run:
        """Run a phase's script: `typed` in a process of its own, else in this one, which spares its imports.

        Of `how`, datasets= and token= are what they say, modules= is a folder that Python looks into first; all others
        are settings of the Hub, as stall_seconds=1.
        """
        if typed:
            return self.ended(self.start(*flags, phase=phase, **how), phase)
        argv, environ = self._command(flags, **how)
        main = runpy.run_path(str(SCRIPTS[phase]))["main"]
        printed, log = io.StringIO(), logging.getLogger("data_foundry")
        handlers, propagate, level = log.handlers[:], log.propagate, log.level
        log.handlers.clear()
        try:
            with mock.patch.dict(os.environ, environ, clear=True), redirect_stderr(printed), redirect_stdout(printed):
                code = main(argv)
        finally:
            for handler in log.handlers:
                handler.close()
            log.handlers[:], log.propagate = handlers, propagate
            log.setLevel(level)
        return Run(code, printed.getvalue(), self._report(phase))

    def runs_through(self, *flags: str, **how: Any) -> None:
        """Run phases 1 and 2 and check that nothing fails."""
        for phase in SCRIPTS:
            run = self.run(*flags, phase=phase, **how)
            assert run.code == 0, run.printed

    def _command(
        self,
        flags: Sequence[str],
        datasets: Sequence[str] = (VICTIM, *OTHERS),
        token: str = TOKEN,
        modules: Path | None = None,
        **settings: Any,
    ) -> tuple[list[str], dict[str, str]]:
        environ = {name: value for name, value in os.environ.items() if name not in TOKEN_VARIABLES}
        environ |= {"HF_ENDPOINT": self.hub.url, "NO_PROXY": "127.0.0.1", "HF_HOME": str(self.base.parent / "hf-home")}
        environ["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, (modules, PROJECT_ROOT))))
        if token:
            environ[TOKEN_VARIABLES[0]] = token
        environ |= {f"DATA_FOUNDRY_HUB__{name.upper()}": str(value) for name, value in settings.items()}
        return ["--base-path", str(self.base), "--workers", "0", "--datasets", *datasets, *flags], environ

    def _report(self, phase: str) -> dict[str, Any]:
        file = self.base / "reports" / f"{phase}_report.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    @property
    def lake(self) -> Lake:
        return Lake(load_settings(flags={"base_path": str(self.base)}, environ={}))

    def raw(self, dataset: str = VICTIM) -> Path:
        return self.lake.folder(Layer.RAW, dataset)

    def tree(self, *layers: str) -> dict[str, str]:
        """Return the hashes of the files in the lake's layers, by default raw and silver."""
        found = hashes(self.base / "storage")
        return {path: sha256 for path, sha256 in found.items() if path.split("/")[0] in (layers or ("raw", "silver"))}

    def missing(self, files: Files | None = None) -> list[str]:
        """Return which of the victim's files have not come whole yet, not even to where files wait to be whole."""
        came = set(hashes(self.raw()).values())
        wanted = sorted((files or victim()).items())
        return [f"{VICTIM}/{path}" for path, data in wanted if hashlib.sha256(data).hexdigest() not in came]

    def asked(self) -> list[str]:
        """Return the files that the Hub was asked for, as owner/name/path, sorted."""
        parts = (
            request.partition(" ")[2].removeprefix("/datasets/").split("/") for request in self.hub.file_requests()
        )
        return sorted("/".join([*each[:2], *each[4:]]) for each in parts)

    def check_manifests(self) -> None:
        """Check that every byte that a manifest lists is the Hub's of the one commit it names, or phase 1's own."""
        for dataset in (VICTIM, *OTHERS):
            manifest = self.lake.manifest(Layer.RAW, dataset)
            if manifest is None:
                continue
            lying, listed = hashes(self.raw(dataset)), {file.path: file.sha256 for file in manifest.files}
            assert {path: lying.get(path) for path in listed} == listed, dataset
            commit = self.hub.repositories["datasets", dataset].commits[manifest.inputs["revision"]]
            right = {f"files/{name}": hashlib.sha256(item.content).hexdigest() for name, item in commit.items()}
            assert {path: sha256 for path, sha256 in listed.items() if path.startswith("files/")} == right, dataset

    def check_raw(self) -> None:
        """Check in addition that nothing lies there unlisted, but for whole files of a commit and parts of such."""
        self.check_manifests()
        for dataset in (VICTIM, *OTHERS):
            manifest, lying = self.lake.manifest(Layer.RAW, dataset), hashes(self.raw(dataset))
            staged = {path for path in lying if path.startswith(f"{FETCHED}/")}
            listed = {"manifest.json", *(file.path for file in manifest.files)} if manifest else set()
            assert lying.keys() - staged == listed, dataset
            repository = self.hub.repositories.get(("datasets", dataset))
            commits = repository.commits.values() if repository else ()
            for path in staged:
                name = path.removeprefix(f"{FETCHED}/")
                right = {hashlib.sha256(each[name].content).hexdigest() for each in commits if name in each}
                assert name.startswith(f"{PARTS}/") or lying[path] in right, path

    def check_token(self, run: Run, token: str = TOKEN) -> None:
        """Check that the token stands neither in what was printed nor in any file that the run wrote."""
        assert token not in run.printed
        for path in self.base.rglob("*"):
            assert path.is_dir() or token.encode() not in path.read_bytes(), path


def hashes(root: Path) -> dict[str, str]:
    """Return {path: sha256} of every file below a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
