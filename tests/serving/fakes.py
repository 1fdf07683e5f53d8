"""Builders for tests of what stands before the gateway: a service that answers without a model, and sounds to send."""

from __future__ import annotations

import asyncio
import io
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile

from data_foundry.config import Settings
from data_foundry.finetuning.tasks.speech import decode_audio
from data_foundry.records import Rejected
from data_foundry.serving.calls import Answer, NotServed
from data_foundry.serving.feedback import NotALabel, SeveralRequests
from data_foundry.serving.http.api_keys import Keys
from data_foundry.serving.peers import Peers
from tests.processes import wait_for

VERSION = "3fa9c0de11aa"
TRANSCRIPT = "എന്റെ ബാലൻസ് എത്രയാണ്"
CODES = [[1, 2, 3], [4, 5, 6]]
LABELS = {
    "nlu": ("balance", "complaint"),
    "nlu.topic": ("sport", "business"),
    "sentiment": ("negative", "positive"),
    "dialect": ("malabar", "travancore"),
    "dialect.text": ("malabar", "travancore"),
}
TASKS = {
    "stt": "speech-to-text",
    "dialect": "audio-classification",
    "translation": "text-to-text",
    "tts": "text-to-codes",
}


@dataclass
class FakeRoute:
    adapter: str
    task: str
    labels: tuple[str, ...] = ()
    incumbent: str = VERSION
    why: str = ""
    since: str | None = "2026-01-02T03:04:05+00:00"
    mirrors: Mapping[Any, Any] = field(default_factory=dict)
    host: Any = None
    answering: Any = field(
        default_factory=lambda: SimpleNamespace(
            predictor=SimpleNamespace(task=SimpleNamespace(codec={"codebook_size": 64}))
        )
    )


def route(adapter: str, **changes: Any) -> FakeRoute:
    return FakeRoute(adapter, TASKS.get(adapter, "text-classification"), LABELS.get(adapter, ()), **changes)


class FakeGateway:
    """Answers at once what a test laid down; keeps the rows and the ids that it was given."""

    def __init__(self, adapters: tuple[str, ...] = (*LABELS, "stt", "translation", "tts")) -> None:
        self.table: dict[str, FakeRoute] = {name: route(name) for name in adapters}
        self.missing: list[str] = []
        self.rows: list[tuple[str, str, Mapping[str, Any]]] = []
        self.raises: BaseException | None = None
        self.fails: BaseException | None = None
        self.hangs = False
        self.waiting: list[Future[Answer]] = []
        self.remembered: list[tuple[str, str, str | None]] = []
        self.truths: list[tuple[str, str, Any]] = []
        self._lock = threading.Lock()

    def submit(
        self, adapter: str, call_id: str, row: Mapping[str, Any], *, request_id: str | None = None
    ) -> Future[Answer]:
        if self.raises is not None:
            raise self.raises
        if adapter not in self.table or self.table[adapter].why:
            raise NotServed(f"{adapter} is not served: its files in /secret/folder are gone.", "Mend it.")
        if adapter in ("stt", "dialect"):
            decode_audio(row)
        elif adapter == "nlu" and row["text"] == "unfit":
            raise Rejected("too_many_tokens", "900 tokens, the model takes 512")
        future: Future[Answer] = Future()
        with self._lock:
            self.rows.append((adapter, call_id, row))
        if self.hangs:
            self.waiting.append(future)
            return future
        if self.fails is not None:
            future.set_exception(self.fails)
            return future
        answer = self._answer(adapter, call_id, row)
        with self._lock:
            self.remembered.append((adapter, call_id, request_id))
        future.set_result(answer)
        return future

    def submit_speech(self, call_id: str, row: Mapping[str, Any], *, request_id: str | None = None) -> Future[Answer]:
        return self.submit("stt", call_id, row, request_id=request_id)

    def _answer(self, adapter: str, call_id: str, row: Mapping[str, Any]) -> Answer:
        labels = LABELS.get(adapter)
        if labels:
            return Answer(call_id, adapter, VERSION, labels[0], 0.75, 1.5, {labels[0]: 0.75, labels[1]: 0.25})
        if adapter == "translation":
            # What was said, so that a test sees whose words come back.
            said = row["text"] if row["direction"] == "ml-en" else row["translation"]
            return Answer(call_id, adapter, VERSION, f"<{said}>", None, 2.0)
        output: Any = CODES if adapter == "tts" else TRANSCRIPT
        return Answer(call_id, adapter, VERSION, output, None if adapter == "tts" else 0.5, 2.25)

    def routes(self) -> Mapping[str, FakeRoute]:
        return self.table

    def ready(self) -> list[str]:
        return self.missing

    def feedback(
        self, adapters: Sequence[str], truth: str, *, request_id: str | None = None, call_id: str | None = None
    ) -> dict[str, Any] | None:
        asked = request_id or call_id
        found = [each for each in self.remembered if each[0] in adapters and asked == each[2 if request_id else 1]]
        if len(found) > 1:
            raise SeveralRequests
        if not found:
            return None
        ((adapter, *_),) = found
        if (labels := LABELS.get(adapter)) and truth not in labels:
            raise NotALabel(labels)
        repeated = any(known[:2] == (asked, adapter) for known in self.truths)
        self.truths.append((str(asked), adapter, truth))
        return {"adapter": adapter, "version": VERSION, "loss": 0.0, "trials": [], "repeated": repeated}


class FakeWatch:
    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []
        self.codes: list[str] = []
        self.others = Peers()

    def failed(self, adapter: str, version: str | None, kind: str, row: Any, seconds: float) -> None:
        self.refused.append((adapter, kind))

    def answered_error(self, code: str) -> None:
        self.codes.append(code)

    def peers(self) -> Peers:
        return self.others

    def status(self) -> dict[str, Any]:
        return {"adapters": []}

    def metrics(self) -> tuple[bytes, str]:
        return b"# nothing\n", "text/plain; version=0.0.4"


class Gate:
    """Two callers, ours and theirs, whose keys are df-ours and df-theirs."""

    def caller(self, key: str | None) -> str | None:
        return {"df-ours": "ours", "df-theirs": "theirs"}.get(key or "")


class FakeService:
    """Stands in for `data_foundry.serving.service.Service`."""

    def __init__(self, settings: Settings, gateway: FakeGateway | None = None) -> None:
        self.settings = settings
        self.gateway = gateway or FakeGateway()
        self.watch: Any = FakeWatch()

    def start(self) -> None:
        pass

    def close(self, drain_seconds: float = 0.0) -> None:
        pass


@contextmanager
def running(service: FakeService, keys: Keys | None = None) -> Iterator[str]:
    """Run a real server over a service in a thread; yields its address."""
    from data_foundry.serving.http.server import address_of, listening_socket, server_of

    server = server_of(service, keys or Gate())
    with listening_socket("127.0.0.1", 0) as listening:
        # On the event loop that `serve` has: uvicorn by itself takes uvloop where it is installed.
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        address = address_of(listening)
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield address
        finally:
            server.should_exit = True
            thread.join()


def settings(base_path: Path, **serving: Any) -> Settings:
    return Settings.model_validate({"base_path": base_path, "serving": serving})


def tone(seconds: float = 1.0, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """A sound with some of speech's unrest in it, well under full scale."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 440 * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def audio_file(
    seconds: float = 1.0, rate: int = 16_000, channels: int = 1, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """An audio file as libsndfile writes it: subtype ULAW and ALAW are the phone's."""
    file = io.BytesIO()
    soundfile.write(file, tone(seconds, rate, channels), rate, format=kind, subtype=subtype)
    return file.getvalue()


def phone_wav(seconds: float = 1.0, subtype: str = "ULAW") -> bytes:
    return audio_file(seconds, 8000, subtype=subtype)


def wav_header(data_bytes: int, rate: int = 16_000, channels: int = 1, bits: int = 16, tag: int = 1) -> bytes:
    """A WAV header that may lie."""
    block = channels * bits // 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", (36 + data_bytes) & 0xFFFFFFFF, b"WAVE", b"fmt ", 16, tag, channels, rate,
        (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits, b"data", data_bytes,
    )  # fmt: skip
