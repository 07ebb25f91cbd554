"""An ssh server in Python, for machines without OpenSSH's.

``python python_sshd.py FOLDER PORT`` serves on loopback with the keys of :mod:`sshd` in FOLDER;
every command runs through the script ``login`` there.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import asyncssh


async def copy(source: Any, target: Any) -> None:
    """From stream to stream until one of them ends; the target is told of the source's end."""
    with contextlib.suppress(OSError, asyncssh.Error, asyncssh.BreakReceived):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()


async def serve(folder: Path, port: int) -> None:
    async def execute(client: asyncssh.SSHServerProcess[bytes]) -> None:
        child = await asyncio.create_subprocess_exec(
            folder / "login",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={"SSH_ORIGINAL_COMMAND": client.command or ""},
        )
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        feeding = asyncio.create_task(copy(client.stdin, child.stdin))
        await asyncio.gather(copy(child.stdout, client.stdout), copy(child.stderr, client.stderr))
        client.exit(await child.wait() % 256)
        feeding.cancel()

    server = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[folder / "host"],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=execute,
        encoding=None,
    )
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
