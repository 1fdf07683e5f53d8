"""The engines. A new one is a file, a member of AIEngine, and its place in _SPECS."""

from data_foundry.engines.dialect import DIALECT
from data_foundry.engines.nlu import NLU
from data_foundry.engines.sentiment import SENTIMENT
from data_foundry.engines.spec import EngineSpec, Requirement
from data_foundry.engines.stt import STT
from data_foundry.engines.translation import TRANSLATION
from data_foundry.engines.tts import TTS
from data_foundry.records import AIEngine

_SPECS = (STT, DIALECT, NLU, SENTIMENT, TRANSLATION, TTS)
ENGINES: dict[AIEngine, EngineSpec] = {spec.engine: spec for spec in _SPECS}


def engines_sharing_rows(engine: AIEngine) -> tuple[EngineSpec, ...]:
    """Return the specs whose rows are split together with this engine's: itself, and with audio all that use audio."""
    if not ENGINES[engine].uses_audio:
        return (ENGINES[engine],)
    return tuple(spec for spec in ENGINES.values() if spec.uses_audio)


__all__ = ["ENGINES", "AIEngine", "EngineSpec", "Requirement", "engines_sharing_rows"]
