"""One call: a request comes on stdin, is done, and ends with a result or an error."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

from spit_edge.export.deploy.agent.environment import has_venv, is_whole, make_venv, use_venv
from spit_edge.export.deploy.agent.facts import facts, free_bytes
from spit_edge.export.deploy.agent.install import (
    build_engine,
    check,
    measure,
    place_plugin,
)
from spit_edge.export.deploy.agent.protocol import (
    FULL,
    Impatient,
    Refused,
    die_with_connection,
    keep_saying_alive,
    say,
    sentence,
    step,
)
from spit_edge.export.deploy.agent.releases import (
    adopt,
    assemble,
    clean,
    earlier,
    locked,
    missing,
    receive,
    remember,
    remembered,
    restart,
)
from spit_edge.export.deploy.agent.use import RELEASES, switch

Request = dict[str, Any]
_NEXT_TO_NOTHING = 2_000_000
"""Bytes of free disk with which nothing can be installed."""
_REMEMBERED = ("venv", "plugin", "engine", "backend")
"""Of a request to activate a release: what it takes to make that ready again."""


def main() -> None:
    """Answer the request; the exit status is 0 if it is done."""
    request: Request = json.loads(sys.stdin.buffer.readline())
    code = 1
    os.umask(os.umask(0o077) | 0o022)  # what is made here, only this user may write
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
        return {"missing": absent, "venv": has_venv(root, request["venv"])}


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
        venv, passed = _ready(root, folder, request)
        if not passed:
            return {"passed": False}
        if request["seconds"]:
            measure(venv, folder, request["backend"], request["seconds"])
        remember(folder, {name: request[name] for name in _REMEMBERED})
        use_venv(folder, venv)
        switch(root, request["release"])
        restart(request["restart"])
        return {"passed": True, **_clean(root, request["keep"])}


def _ready(root: Path, folder: Path, request: Request) -> tuple[Path, bool]:
    """The environment of a release with all that is made here, and whether its check passes."""
    venv = make_venv(root, folder, request["venv"])
    if request["plugin"]:
        place_plugin(venv, folder, request["plugin"])
    if request["engine"]:
        build_engine(venv, folder, request["engine"])
    return venv, check(venv, folder, request["backend"])


def _clean(root: Path, keep: int) -> Request:
    """What went; or what did not, which does not undo the release."""
    try:
        return {"removed": clean(root, keep), "remark": ""}
    except OSError as error:
        return {"removed": [], "remark": sentence(error)}


def _rollback(root: Path, request: Request) -> Request:
    if not root.is_dir():
        raise Refused(f"there is no {root} on the device")
    unit = request["restart"]
    die_with_connection()
    with locked(root):
        with step("checking the files of the release before"):
            release = earlier(root)
        folder = root / RELEASES / release
        if (made := remembered(folder)) is None:
            passed = _still_passes(folder)
        else:
            venv, passed = _ready(root, folder, made)
            if passed:
                use_venv(folder, venv)
        if passed:
            switch(root, release)
            restart(unit)
        return {"release": release, "passed": passed}


def _still_passes(folder: Path) -> bool:
    """Of a release by an older version, of which is not known how it was made ready."""
    venv = (folder / "venv").resolve()
    if not is_whole(venv):
        raise Refused(
            f"the Python environment of {folder.name} is damaged on the device, so what is in use "
            "stays: deploy that bundle again"
        )
    return check(venv, folder, "auto")


_OPERATIONS = {
    "facts": _facts,
    "compare": _compare,
    "receive": _receive,
    "adopt": _adopt,
    "activate": _activate,
    "rollback": _rollback,
}
