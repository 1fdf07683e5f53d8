"""The phone channel: what a caller's speech has become when it reaches the phone line's models.

Rows of gold and training on the fly go through the same two functions:

    from data_foundry.telephony.channel import draw
    from data_foundry.telephony.line import through

    channel = draw(row_id, epoch, settings.telephony)  # the same for the same row id and seed, on any machine
    heard = through(samples, channel)                  # 16 kHz float32; as many samples, none of them shifted

The rows of gold are drawn with the seed of the settings.
"""

TELEPHONY_RULES = "telephony-1"
"""Version of what a channel does to samples: part of the key of every row that went through one."""
