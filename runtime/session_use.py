"""Who uses a session: calls in several threads, the one that closes it, and forked processes."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from spit_edge.runtime.errors import BackendUnavailable


class SessionUse:
    """Lets calls through until the session is closed, in the process that opened it.

    holds  what a forked child must never release, as the threads that it would wait for are not
           in the child
    """

    def __init__(self, holds: object) -> None:
        self._holds, self._forked = holds, False
        self._calls, self._closed = 0, False
        self._changed = threading.Condition()
        _uses.add(self)

    def check_process(self) -> None:
        """Raise BackendUnavailable in a process that was forked from the one that opened it."""
        if self._forked:
            raise BackendUnavailable(
                "this session was opened before the process forked, and its threads are not here: "
                'open one in the child, or start it with multiprocessing\'s method "spawn"'
            )

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around a call.  Raises BackendUnavailable if the session is closed or a parent's."""
        self.check_process()
        with self._changed:
            if self._closed:
                raise BackendUnavailable("this session is closed: open another one")
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def close(self) -> bool:
        """Turn further calls away and wait for those that run; False if there is nothing to do."""
        if self._forked:
            return False
        with self._changed:
            first, self._closed = not self._closed, True
            self._changed.wait_for(lambda: self._calls == 0)
            return first

    def forked(self) -> None:
        """This is a child now."""
        self._forked = True
        _left_alone.append(self._holds)


_uses: weakref.WeakSet[SessionUse] = weakref.WeakSet()
_left_alone: list[object] = []


def _in_child() -> None:
    for use in list(_uses):
        use.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
