"""What the endpoints take and give, for the OpenAPI document and for checking JSON bodies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

Words = Annotated[StrictStr, Field(json_schema_extra={"minLength": 1})]
"""A text that says something; the endpoint refuses an empty one as it does one of spaces."""
Id = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TextRequest(_Given):
    """A text of a caller's, in Malayalam; `model` names another adapter of the engine than the usual one."""

    text: Annotated[Words, Field(examples=["എന്റെ ബാലൻസ് എത്ര"])]
    model: StrictStr | None = None


class TranslateRequest(TextRequest):
    """A text and the direction to translate it in; en-ml takes English."""

    direction: Literal["ml-en", "en-ml"] = "ml-en"


class SpeechRequest(_Given):
    """A text to be spoken. `voice` is taken for the client's sake: a model speaks with the voices it was trained on."""

    input: Words
    model: StrictStr | None = None
    voice: StrictStr | dict[str, Any] | None = None
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=1, le=1)] = 1
    instructions: StrictStr | None = None


class TokensRequest(_Given):
    """A text to be spoken, as codec tokens."""

    input: Words
    model: StrictStr | None = None


class FeedbackRequest(_Given):
    """What was true of a request: the label's name, or the text that was said or should have been written.

    Give the `request_id` of the answer, or the `call_id` where one request alone was answered under it; and the
    `adapter` of the answer, or the `task`.
    """

    request_id: Id | None = None
    call_id: Id | None = None
    truth: Words
    adapter: StrictStr | None = None
    task: Literal["transcription", "intent", "topic", "sentiment", "dialect", "translation"] | None = None


class Answered(BaseModel):
    """What every answer tells: `milliseconds` are of the model's work; `fallback` the version it stands in for."""

    call_id: str
    request_id: str
    adapter: str
    version: str
    milliseconds: float
    fallback: str | None = None


class Transcription(Answered):
    text: str
    confidence: float | None


class VerboseTranscription(Transcription):
    task: Literal["transcribe"]
    language: Literal["malayalam"]
    duration: float


class Label(Answered):
    label: str
    confidence: float | None
    confidences: dict[str, float]


class Sentiment(Label):
    """`ivr_label` is what the polarity means on a phone line; None where it is unknown or means nothing."""

    ivr_label: str | None


class Understanding(BaseModel):
    """`not_served` says why the intent or the topic is None."""

    call_id: str
    request_id: str
    intent: Label | None
    topic: Label | None
    not_served: dict[str, str]


class Translated(Answered):
    text: str
    direction: Literal["ml-en", "en-ml"]
    confidence: float | None


class Tokens(Answered):
    """`codes` has one list a layer, all of `frames` numbers."""

    codes: list[list[int]]
    layers: int
    frames: int


class Scored(BaseModel):
    """`request_id` and `call_id` as they were given; `repeated`: feedback came before, and it is that which counts."""

    request_id: str | None
    call_id: str | None
    adapter: str
    accepted: Literal[True]
    repeated: bool


class Model(BaseModel):
    """A model in OpenAI's shape, with what answers under its name."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    version: str
    task: str
    labels: list[str]


class Models(BaseModel):
    object: Literal["list"]
    data: list[Model]


class Health(BaseModel):
    status: Literal["alive"]


class Readiness(BaseModel):
    """`missing`: adapters that the registry names and this gateway does not serve; /v1/status says why."""

    ready: bool
    missing: list[str]


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None
    request_id: str | None = Field(description="the request's own id; null where what came was no request")


class Error(BaseModel):
    """An error in OpenAI's shape."""

    error: ErrorDetail
