"""One call: a request comes on stdin, is done, and ends with a result or an error."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

from spit_edge.export.deploy.agent.facts import facts, free_bytes
from spit_edge.export.deploy.agent.install import (
    READY,
    build_engine,
    check,
    make_venv,
    measure,
    place_plugin,
    use_venv,
)
from spit_edge.export.deploy.agent.protocol import (
    FULL,
    Impatient,
    Refused,
    die_with_connection,
    keep_saying_alive,
    say,
    sentence,
)
from spit_edge.export.deploy.agent.releases import (
    VENVS,
    adopt,
    assemble,
    clean,
    locked,
    missing,
    receive,
    restart,
    rollback,
    switch,
)

Request = dict[str, Any]
_NEXT_TO_NOTHING = 2_000_000
"""Bytes of free disk with which nothing can be installed."""


def main() -> None:
    """Answer the request; the exit status is 0 if it is done."""
    request: Request = json.loads(sys.stdin.buffer.readline())
    code = 1
    keep_saying_alive()
    try:
        say("result", value=_OPERATIONS[request["operation"]](_root(request), request))
        code = 0
    except Refused as error:
        # Programs that fail for want of space do not all say so.
        say("error", text=f"{FULL}\n{error}" if _full(_root(request)) else str(error))
    except tarfile.ReadError:
        say("error", text="the connection broke while files were sent: deploy again")
    except OSError as error:
        say("error", text=sentence(error))
    # The lifeline's thread is waiting for stdin, which would hold up an orderly end.
    os._exit(code)


def _full(root: Path) -> bool:
    return root.exists() and free_bytes(root) < _NEXT_TO_NOTHING


def _root(request: Request) -> Path:
    return Path(os.path.abspath(os.path.expanduser(request["root"])))


def _facts(root: Path, _: Request) -> Request:
    return facts(root)


def _compare(root: Path, request: Request) -> Request:
    with locked(root):
        absent = missing(root, request["files"])
        return {"missing": absent, "venv": (root / VENVS / request["venv"] / READY).exists()}


def _receive(root: Path, request: Request) -> None:
    with locked(root):
        receive(root, Impatient(sys.stdin.buffer))


def _adopt(root: Path, request: Request) -> None:
    with locked(root):
        adopt(root, request["files"])


def _activate(root: Path, request: Request) -> Request:
    die_with_connection()
    with locked(root):
        folder = assemble(root, request["release"], request["files"])
        venv = make_venv(root, folder, request["venv"])
        if request["plugin"]:
            place_plugin(venv, folder, request["plugin"])
        if request["engine"]:
            build_engine(venv, folder, request["engine"])
        if not check(venv, folder, request["backend"]):
            return {"passed": False}
        if request["seconds"]:
            measure(venv, folder, request["backend"], request["seconds"])
        use_venv(folder, venv)
        switch(root, request["release"])
        restart(request["restart"])
        return {"passed": True, **_clean(root, request["keep"])}


def _clean(root: Path, keep: int) -> Request:
    """What went; or what did not, which does not undo the release."""
    try:
        return {"removed": clean(root, keep), "remark": ""}
    except OSError as error:
        return {"removed": [], "remark": sentence(error)}


def _rollback(root: Path, request: Request) -> Request:
    if not root.is_dir():
        raise Refused(f"there is no {root} on the device")
    with locked(root):
        release = rollback(root)
        restart(request["restart"])
        return {"release": release, "passed": True}


_OPERATIONS = {
    "facts": _facts,
    "compare": _compare,
    "receive": _receive,
    "adopt": _adopt,
    "activate": _activate,
    "rollback": _rollback,
}
