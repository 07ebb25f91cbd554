"""What both command lines share: exit codes, and errors as sentences instead of tracebacks.

0: done.  1: done, and a comparison failed.  2: not done.  130: interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

DONE, FAILED, NOT_DONE, INTERRUPTED = 0, 1, 2, 130


def guarded(command: Callable[[], int], expected: tuple[type[Exception], ...]) -> int:
    """Run ``command``; turn ``expected`` errors and Ctrl-C into a line on stderr and a code."""
    warnings.showwarning = _show_warning
    try:
        return command()
    except expected as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_DONE
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return NOT_DONE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _show_warning(message: object, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
