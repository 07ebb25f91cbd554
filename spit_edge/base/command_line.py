"""What both command lines share: exit codes, and errors as sentences instead of tracebacks.

0: done.  1: done, and a comparison failed.  2: not done.  130: interrupted.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spit_edge.base.text import shown

DONE, FAILED, NOT_DONE, INTERRUPTED = 0, 1, 2, 130


def guarded(command: Callable[[], int], expected: tuple[type[Exception], ...]) -> int:
    """Run ``command``; turn ``expected`` errors and Ctrl-C into a line on stderr and a code."""
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What the locale cannot print, such as names in other scripts, must not end the work.
            stream.reconfigure(errors="backslashreplace")
    with _noticed_interrupts() as interrupts:
        try:
            return command()
        except (Exception, KeyboardInterrupt) as error:
            # Packages that are interrupted while they load turn Ctrl-C into errors of their own.
            if interrupts or isinstance(error, KeyboardInterrupt):
                print("interrupted", file=sys.stderr)
                return INTERRUPTED
            if isinstance(error, expected):
                print(f"error: {shown(error, lines=True)}", file=sys.stderr)
                return NOT_DONE
            if isinstance(error, OSError):
                where = f" ({shown(error.filename)})" if error.filename else ""
                print(f"error: {error.strerror or error}{where}", file=sys.stderr)
                return NOT_DONE
            raise


@contextmanager
def _noticed_interrupts() -> Iterator[list[int]]:
    """A list that gets an entry with every Ctrl-C, which raises KeyboardInterrupt as ever."""
    seen: list[int] = []

    def interrupt(number: int, _: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    # Only the main thread may set handlers, and a caller's own one stays.
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _show_warning(message: object, *_: object, **__: object) -> None:
    print(f"warning: {shown(message, lines=True)}", file=sys.stderr)
