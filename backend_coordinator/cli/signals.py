"""Signals that stop a command: the first lets it end properly, the second ends it at once."""

import os
import signal
import threading
from contextlib import suppress
from types import FrameType

STOPPED = 130
"""The exit code of a command that was stopped where no signal says more: that of Ctrl-C."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TOLD = b"\nstopping: what is under way has a few seconds to end; once more ends it at once\n"
_caught: list[int] = []


def listen() -> None:
    """From now on the first signal is a KeyboardInterrupt; one that whoever started us ignores stays ignored."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _stop)


def exit_code(code: int | str | None) -> int | str | None:
    """The code of a command that ends with `code`: of one that a signal stopped, 128 and the signal's number."""
    return 128 + _caught[0] if code == STOPPED and _caught else code


def _stop(number: int, frame: FrameType | None) -> None:
    _caught.append(number)
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    with suppress(OSError):  # past Python's buffers, which this may have interrupted; the terminal may be gone
        os.write(2, _TOLD)
    raise KeyboardInterrupt
