"""Write the nine dataset repositories of the sample Hub, with the real ids, layout, columns, types and faults."""

from __future__ import annotations

import time
from pathlib import Path

from sample.corpus import utterances
from sample.pool import Pool
from sample.repos_speech import write_indicvoices, write_speech_with_english, write_telephone_speech
from sample.repos_text import write_comments, write_dialects, write_indicst, write_news
from sample.repos_tokens import write_imasc_tokens, write_rasa_tokens


def build(root: Path) -> dict[str, float]:
    """Write ``datasets/<owner>/<name>`` for all nine ids under ``root``; returns the seconds each took.

    Needs espeak-ng and ffmpeg; raises RuntimeError when one is missing.
    """
    datasets = root / "datasets"
    train = Pool(utterances("ivr", "train", 2600, seed=11))
    validation = Pool(utterances("ivr", "validation", 420, seed=11))
    test = Pool(utterances("ivr", "test", 640, seed=11))
    seconds: dict[str, float] = {}
    started = time.monotonic()

    def done(name: str) -> None:
        nonlocal started
        seconds[name], started = round(time.monotonic() - started, 1), time.monotonic()

    write_telephone_speech(datasets, train, validation, test)
    done("ayush-shunyalabs/malayalam-speech-dataset")
    shared = write_speech_with_english(datasets, train)
    done("Be-win/malayalam-speech-with-english-translation")
    write_indicvoices(datasets, train, validation)
    done("CXDuncan/Malayalam-IndicVoices")
    spoken = write_imasc_tokens(datasets, train)
    done("Praha-Labs/imasc_slr_Malayalam-nano-codec")
    write_rasa_tokens(datasets, train, spoken)
    done("Praha-Labs/rasa-malayalam-nano-codec")
    write_indicst(datasets, train, validation, test, shared)
    done("Be-win/IndicST-malayalam-only")
    write_dialects(datasets)
    write_news(datasets)
    write_comments(datasets)
    done("the text sets")
    return seconds
