"""Moments in a take as timecodes, HH:MM:SS:FF.fff: frames that are counted anew each second, and parts of a frame.

No timecode says how many frames a second has. The app Live Link Face counts 60, or 30 in a recording at that rate, and then
no number above 29 occurs; Epic's own importer for Unreal tells the two apart by that.
"""

import math
import re
from collections.abc import Sequence

import numpy as np

from otlib.errors import InputError

USUAL_RATE, SLOW_RATE = 60, 30  # frames a second that the app counts
_DAY = 24 * 3600  # seconds after which timecodes begin again
_TIMECODE = re.compile(r"(\d{1,2}):([0-5]?\d):([0-5]?\d)[:;](\d{1,3}(?:\.\d{1,9})?)", re.ASCII)


def timecode_seconds(codes: Sequence[str], rate: float | None, at: Sequence[str]) -> tuple[np.ndarray, str]:
    """Return the moments in seconds, (N,), which go on over midnight, and what was supposed, "" for nothing.

    Args:
        codes: (N,) timecodes.
        rate: frames that they count a second; None to find out: 60 if a number is 30 or more, 30 if none is although a
            second passes, and 60, which is then supposed, in a take within one second. At 29.97, 59.94 and the like, each
            second of the timecode has the next whole number of frames, at that rate.
        at: (N,) where each stands, for messages.

    Raises:
        InputError: a text is no timecode, or counts more frames than a second has.
    """
    whole, frames = np.empty(len(codes)), np.empty(len(codes))
    for row, code in enumerate(codes):
        if (parts := _TIMECODE.fullmatch(code.strip())) is None:
            raise InputError(f"{at[row]} has the timecode {code[:40]!r}, which is not HH:MM:SS:FF or HH:MM:SS:FF.fff")
        hours, minutes, seconds = map(int, parts.groups()[:3])
        whole[row], frames[row] = 3600 * hours + 60 * minutes + seconds, float(parts[4])
    supposed = ""
    if rate is None:
        rate = USUAL_RATE if (frames >= SLOW_RATE).any() else SLOW_RATE
        if rate == SLOW_RATE and np.ptp(whole) == 0:
            rate, supposed = USUAL_RATE, f"timecodes within one second are taken to count {USUAL_RATE} frames a second"
    if (over := frames >= math.ceil(rate)).any():
        row = int(over.argmax())
        raise InputError(f"{at[row]} has the timecode {codes[row]}, but a second has {rate:g} frames; say with "
                         "--timecode-rate how many it has")
    moments = (whole * math.ceil(rate) + frames) / rate
    day = _DAY * math.ceil(rate) / rate
    return moments + day * np.cumsum(np.diff(moments, prepend=moments[:1]) < -day / 2), supposed
