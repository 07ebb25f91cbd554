"""An ssh server in Python, for machines without OpenSSH's.

``python python_sshd.py FOLDER PORT`` serves on loopback with the keys of :mod:`sshd` in FOLDER;
every command runs through the script ``login`` there.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncssh


async def serve(folder: Path, port: int) -> None:
    async def execute(client: asyncssh.SSHServerProcess[bytes]) -> None:
        child = subprocess.Popen(
            [folder / "login"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"SSH_ORIGINAL_COMMAND": client.command or ""},
        )
        await client.redirect(child.stdin, child.stdout, child.stderr)
        await client.stdout.drain()
        await client.stderr.drain()
        client.exit(await asyncio.to_thread(child.wait) % 256)

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
