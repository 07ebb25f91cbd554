"""An ssh server for tests, on loopback: its own keys, configuration and environment."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulators import python_sshd

HOST = "device"
"""As the client's configuration calls it."""


def missing() -> str | None:
    """Why there can be no server here."""
    for program in ("ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            return f"there is no {program}: apt-get install openssh-client"
    return None


def find_sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def write_config(place: Path, client: Mapping[str, object], **changed: object) -> Path:
    """A configuration for ``ssh -F``."""
    words = "".join(f"    {k} {v}\n" for k, v in {**client, **changed}.items())
    place.write_text(f"Host {HOST}*\n{words}")
    return place


@dataclass
class Server:
    """A running server.

    config  for ``ssh -F``: the only key, the only known host
    client  what stands in it
    login   script that every command runs through; rewrite it to change the environment
    """

    config: Path
    client: Mapping[str, object]
    login: Path
    port: int
    process: subprocess.Popen[bytes]

    def set_environment(self, path: str, home: Path, before: str = "") -> None:
        """What commands see: PATH and HOME; ``before`` runs first."""
        lines = [
            "#!/bin/sh",
            f"PATH={shlex.quote(path)} HOME={shlex.quote(str(home))}",
            "export PATH HOME",
            'cd "$HOME"',
            before,
            'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"',
        ]
        self.login.write_text("\n".join(lines) + "\n")
        self.login.chmod(0o755)


def make_key(path: Path) -> str:
    """A fresh key at ``path``; its public half."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(words, check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


@contextmanager
def running(folder: Path, command: Sequence[str] = ()) -> Iterator[Server]:
    """A server with all its files in ``folder``.

    command  what starts sshd, up to its arguments; by default the one of this machine, or one in
             Python where there is none.  It reads ``folder`` at the same path.
    """
    program = list(command) or [found for found in [find_sshd()] if found]
    if program and os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd, run by root, locks itself up
    public, host = make_key(folder / "client"), make_key(folder / "host")
    (folder / "authorized_keys").write_text(public + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    login = folder / "login"
    lines = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "ForceCommand": login,
    }
    (folder / "sshd_config").write_text("".join(f"{k} {v}\n" for k, v in lines.items()))
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n")
    client = {
        "HostName": "127.0.0.1",
        "Port": port,
        "User": getpass.getuser(),
        "IdentityFile": folder / "client",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": folder / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
    }
    write_config(folder / "ssh_config", client)
    if program:
        words = [*program, "-D", "-e", "-f", str(folder / "sshd_config")]
    else:
        words = [sys.executable, python_sshd.__file__, str(folder), str(port)]
    process = subprocess.Popen(words, stderr=(folder / "log").open("wb"))
    try:
        _wait(port, process, folder / "log")
        yield Server(folder / "ssh_config", client, login, port, process)
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"sshd ended: {log.read_text()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"sshd does not answer: {log.read_text()}")
