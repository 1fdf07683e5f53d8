"""Settings of the gateway, and of the rollout that it carries out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from data_foundry.adapter_name import AdapterName
from data_foundry.section import Section, Share

Seconds = Annotated[float, Field(gt=0)]
PEER_URL = r"^https?://[A-Za-z0-9._:\[\]-]+$"
"""A scheme and a host, with or without a port: nothing after them, and no name or password before."""


class Serving(Section):
    """Where the gateway listens, and what one call may cost.

    `require_api_key` false lets every caller in, and only where `host` is a loopback address. A body over
    `max_upload_mib`, speech over `max_audio_seconds` and a text over `max_text_characters` are refused. Of each adapter
    `max_waiting_calls` may wait, more are turned away at once; up to `max_batch` that wait together are answered
    together. A call that is not answered within `request_timeout_seconds` is given up. The registry is looked at every
    `poll_seconds`. `dialect_adapters` names, for a dialect, the adapter that hears its speakers once it is in
    production and the dialect's answer was at least `min_dialect_confidence` sure. `stand_in_heads` true lets the head
    that training fitted on a frozen base answer callers, where that base can't do the task by itself, no version is in
    production and one with such a head hears calls or has heard them: no person approves such a head, so by default
    nothing answers there. `codec` names the codec model of
    the Hub that makes sound of TTS tokens; None: tokens only. `threads`: threads of one model's arithmetic.

    `peer_url`: where other gateways on the same base path reach this one, to ask for feedback on what it answered, with
    the key of who gave it: https where others listen between them. None: where it listens; the loopback address where
    that is every address and `storage.type` is local, the address that this machine has towards others where it is
    shared. Each replica on Ray has an address of its own, and this is not looked at.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    engine: Literal["local", "ray"] = "local"
    replicas: Annotated[int, Field(ge=1)] = 1
    max_replicas: Annotated[int, Field(ge=1)] | None = None
    gpus_per_replica: Annotated[float, Field(ge=0)] = 0.0
    require_api_key: bool = True
    max_upload_mib: Annotated[float, Field(gt=0)] = 16.0
    max_audio_seconds: Annotated[float, Field(gt=0, le=30)] = 30.0
    max_text_characters: Annotated[int, Field(ge=1)] = 2000
    max_waiting_calls: Annotated[int, Field(ge=1)] = 64
    max_batch: Annotated[int, Field(ge=1)] = 8
    request_timeout_seconds: Seconds = 30.0
    poll_seconds: Seconds = 1.0
    threads: Annotated[int, Field(ge=1)] = 1
    dialect_adapters: dict[str, AdapterName] = {}
    min_dialect_confidence: Share = 0.8
    stand_in_heads: bool = False
    codec: str | None = None
    peer_url: Annotated[str, Field(pattern=PEER_URL)] | None = None


class Rollout(Section):
    """How a candidate comes from the shadow to callers, and what takes it back.

    `staging_share` of the calls is answered by a version in staging. Each trial (one version against one incumbent at
    one stage) takes back a version that does no harm with a chance of at most a third of `alpha`, over all its looks:
    `alpha` for the three stages of a rollout, and a third more for every time that the incumbent becomes another. That
    does not hold between versions alike that at random end their process, or fail where memory runs short: such an end
    may be the candidate's doing at the incumbent's call, and counts against it. And each lets a version that is as bad
    as a limit leave its stage upwards with a chance of at most `alpha`. Harm is: more calls that failed or stalled than
    the incumbent's by over `max_error_increase` (a share; stalled: over four times `max_latency_ratio` as long as the
    other version's), times over `max_latency_ratio` of the incumbent's (geometric mean of the same calls' ratios, each
    cut at a quarter and at four times the limit), and a loss (error rate of a transcript, or share of wrong labels, in
    0..1, on the same calls) higher by over `max_quality_loss`. Tighter limits find less harm sooner, and let an equal
    version wait longer. A stage is left upwards after `min_calls` pairs at least; the evidence that the limits ask for
    is more than the default. An approval counts for `approval_days`. A version that does not answer `probe_calls` calls
    before a stage does not enter it. In production a version is watched as in the shadow, by `deployment.shadow_share`
    of the calls; before, every call is mirrored until `watched_calls` pairs are made (by each gateway, since its
    start), so that what is harmful there is taken back before many callers meet it.

    `feedback_minutes`: how long an answer is held in memory so that feedback on its call can be scored.
    `keep_content` true stores what callers said and what was answered for `content_days`, as text alone, personal data
    masked; otherwise nothing of it is stored. `worker_memory_mib`: what a candidate's own process may take before it is
    ended.
    """

    staging_share: Share = 0.05
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    max_error_increase: Annotated[float, Field(ge=0, lt=1)] = 0.01
    max_latency_ratio: Annotated[float, Field(gt=1, le=10)] = 1.5
    max_quality_loss: Annotated[float, Field(ge=0, lt=1)] = 0.05
    min_calls: Annotated[int, Field(ge=1)] = 200
    approval_days: Annotated[float, Field(gt=0, le=3650)] = 14.0
    probe_calls: Annotated[int, Field(ge=1)] = 3
    watched_calls: Annotated[int, Field(ge=0)] = 500
    feedback_minutes: Annotated[float, Field(gt=0)] = 30.0
    keep_content: bool = False
    content_days: Annotated[float, Field(gt=0)] = 7.0
    worker_memory_mib: Annotated[int, Field(ge=256)] = 4096
