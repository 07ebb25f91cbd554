"""Text of others (names of files, manifests, what devices say) on its way to a terminal."""

from __future__ import annotations


def shown(text: object, *, lines: bool = False) -> str:
    """``text`` with everything that does not print as its escape: ``\\x1b``, ``\\u202e``.

    That are control characters, which steer a terminal, marks that turn the direction of writing,
    and the stand-ins for bytes of file names that are not UTF-8.

    lines  whether the text may have several lines; else a line break is escaped, too
    """
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape").decode()
        for c in str(text)
    )
