"""The phone channel: what a caller's speech has become when it reaches the phone line's models.

Rows of gold and training on the fly go through the same two functions:

    from data_foundry.telephony.channel import draw
    from data_foundry.telephony.line import through

    channel = draw(row_id, epoch, settings.telephony)  # the same for the same row id and seed, on any machine
    heard = through(samples, channel)                  # 16 kHz float32; as many samples, none of them shifted

The rows of gold are drawn with the seed of the settings.

What is not simulated: AMR, AMR-WB and EVS, the codecs of mobile calls, and so not a mobile codec followed by A-law at
the gateway either, which is how most callers arrive; radio frames in error; a handset's frequency response, acoustic
echo and its suppression. libsndfile has none of these codecs; ffmpeg decodes AMR, but encodes it only where it was
built with libopencore-amr (Debian's is not), and it has no EVS. GSM full rate stands in for them: a speech coder of
13 kb/s, though an older and coarser one. Each row goes through one codec.
"""

TELEPHONY_RULES = "telephony-2"
"""Version of what a channel does to samples: part of the key of every row that went through one."""
LIBRARIES = ("numpy", "scipy", "soxr", "soundfile")
"""Packages that make a channel's samples: their versions are in the key, too. soundfile brings libsndfile's codecs."""
