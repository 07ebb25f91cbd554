"""Devices that lie, are silent or talk too much: a sentence, exit code 2, and nothing left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spit_edge.export.__main__ import main
from spit_edge.export.deploy import child, remote
from tests.export.deploy import ssh

FACTS = {
    "root": "/nowhere/service", "machine": "aarch64", "python": "3.10.12", "venv": True,
    "numpy": None, "tensorrt": None, "to_compile": [], "gpu": None, "jetson": None,
    "rsync": False, "disk_free": 1 << 40, "memory_free": None, "current": None, "previous": None,
}  # fmt: skip


def result(value: object) -> str:
    return json.dumps({"event": "result", "value": value})


def deployed(bundle: Path, tmp_path: Path, *more: str) -> int:
    return main(["deploy", str(bundle), "me@jetson", *ssh.options(tmp_path), *more])


@pytest.mark.parametrize(
    "answer, said",
    [
        ('{"event":"result"}', "missing required field `value`"),
        ("[1,2]", "me@jetson did not answer; it said [1,2]"),
        ("{}", "did not answer"),
        ("", "did not answer"),
        ('{"event":7}', "says what spit-edge does not say"),
        ('{"event":"song"}', "says what spit-edge does not say"),
        ('{"event":"step"}', "says what spit-edge does not say"),
        ('{"event":"step","what":7}', "says what spit-edge does not say"),
        ('{"event":"done","what":"x","seconds":"long"}', "says what spit-edge does not say"),
        ('{"event":"done","what":"x","seconds":1e999}', "says what spit-edge does not say"),
        ('{"event":"table","text":[]}', "says what spit-edge does not say"),
        ('{"event":"error"}', "says what spit-edge does not say"),
        ('{"event":"error","text":null}', "says what spit-edge does not say"),
        ('{"event":"error","text":"\\u001b[2J\\u0007"}', "\\x1b[2J\\x07"),
        ('{"event":"result","value":' + "[" * 100_000, "says what spit-edge does not say"),
        ("[" * 100_000, "did not answer"),
        (result({}), "answers facts with {}"),
        (result([]), "answers facts with []"),
        (result({**FACTS, "root": 1}), "answers facts with"),
        (result({**FACTS, "root": "not/absolute"}), "answers facts with"),
        (result({**FACTS, "python": "three"}), "answers facts with"),
        (result({**FACTS, "tensorrt": "ten"}), "answers facts with"),
        (result({**FACTS, "machine": "\x1b[2J"}), "answers facts with"),
        (result({**FACTS, "disk_free": -1}), "answers facts with"),
        (result({**FACTS, "disk_free": 1 << 70}), "answers facts with"),
        (result({**FACTS, "gpu": {"sm": "x", "cuda": 0}}), "answers facts with"),
        (result({**FACTS, "current": "../../etc"}), "answers facts with"),
        (result({**FACTS, "to_compile": ["; reboot"]}), "answers facts with"),
        (result({**FACTS, "jetson": "x" * 1000}), "answers facts with"),
    ],
)
def test_lies(bundle: Path, tmp_path: Path, monkeypatch, capsys, answer: str, said: str) -> None:
    (tmp_path / "answer").write_text(answer + "\n")
    ssh.stand_in(tmp_path, f"cat {tmp_path}/answer", monkeypatch)
    assert deployed(bundle, tmp_path) == 2
    told = capsys.readouterr()
    assert said in told.err.splitlines()[-1] and "Traceback" not in told.err
    assert "\x1b" not in told.err + told.out and len(told.err) < 10_000


@pytest.mark.parametrize(
    "answer, said",
    [
        (r"printf '\377\376\n'", "it said \ufffd\ufffd"),
        (r"""printf '{"event":"error","text":"\377"}\n'""", "says what spit-edge does not say"),
        ("yes a | tr -d '\\n'", "says more than spit-edge does"),
        ("yes", "says more than spit-edge does"),
        ("""yes '{"event":"step","what":"x"}'""", "says more than spit-edge does"),
        ("yes >&2 & sleep 0.2; kill $!; exit 3", "stopped: y"),
    ],
)
def test_floods(bundle: Path, tmp_path: Path, monkeypatch, capsys, answer: str, said: str) -> None:
    pids = ssh.stand_in(tmp_path, answer, monkeypatch)
    assert deployed(bundle, tmp_path) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not ssh.alive(pids)


@pytest.mark.parametrize(
    "answer, code, said",
    [
        (result({"release": "\x1b[2J", "passed": True}), 2, "answers rollback with"),
        (result({"release": "a", "passed": "yes"}), 2, "answers rollback with"),
        (result({"release": "a", "passed": False}), 1, "does not give the reference's results"),
    ],
)
def test_lies_about_rollback(
    bundle: Path, tmp_path: Path, monkeypatch, capsys, answer: str, code: int, said: str
) -> None:
    (tmp_path / "answer").write_text(answer + "\n")
    ssh.stand_in(tmp_path, f"cat {tmp_path}/answer", monkeypatch)
    assert deployed(bundle, tmp_path, "--rollback") == code
    told = capsys.readouterr()
    assert said in told.err and not told.out


@pytest.mark.parametrize("missing", [{"0" * 64: 0}, {"known": 1 << 40}, {"known": -1}])
def test_lies_about_files(bundle: Path, tmp_path, monkeypatch, capsys, missing) -> None:
    real = json.dumps(FACTS | {"machine": os.uname().machine, "python": sys.version.split()[0]})
    known = json.loads((bundle / "manifest.json").read_text())["files"]["model.onnx"]["sha256"]
    missing = {known if name == "known" else name: have for name, have in missing.items()}
    answers = [f'{{"event":"result","value":{real}}}', result({"missing": missing, "venv": True})]
    for name, text in zip(("facts", "compare"), answers, strict=True):
        (tmp_path / name).write_text(text + "\n")
    ssh.stand_in(
        tmp_path,
        f"read -r _; read -r request; case $request in *compare*) cat {tmp_path}/compare;; "
        f"*) cat {tmp_path}/facts;; esac",
        monkeypatch,
    )
    assert deployed(bundle, tmp_path) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "asks for files that it was not offered" in said or "answers compare with" in said


@pytest.mark.parametrize(
    "answer",
    [
        "exec sleep 3600",
        "while :; do echo welcome; sleep 0.1; done",
        "while :; do printf x; sleep 0.1; done",
        "exec 1>&-; exec sleep 3600",
        "sleep 3600 & exit 255",
    ],
    ids=["silent", "words", "a line without end", "no answer", "others hold the pipe"],
)
def test_silence(bundle: Path, tmp_path: Path, monkeypatch, capsys, answer: str) -> None:
    monkeypatch.setattr(remote, "SILENCE", 2)
    pids = ssh.stand_in(tmp_path, answer, monkeypatch)
    start = time.monotonic()
    assert deployed(bundle, tmp_path) == 2
    assert time.monotonic() - start < 20
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no sign of life for 2 s" in said or "the connection to me@jetson broke" in said
    assert not ssh.alive(pids)


def test_silence_at_login_and_in_a_fleet(bundle: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(remote, "SILENCE", 2)
    pids = ssh.stand_in(tmp_path, "", monkeypatch)
    program = tmp_path / "bin" / "ssh"
    program.write_text(f"#!/bin/bash\necho $$ >> {pids}\nexec sleep 3600\n")
    (tmp_path / "devices.toml").write_text('[[device]]\nhost = "a"\n[[device]]\nhost = "b"\n')
    given = ["fleet", str(tmp_path / "devices.toml"), str(bundle), *ssh.options(tmp_path)]
    assert main(given) == 2
    assert capsys.readouterr().err.count("no sign of life for 2 s") == 2
    assert not ssh.alive(pids)


def test_a_device_that_takes_nothing(tmp_path: Path) -> None:
    talk = child.Child(["/bin/sleep", "3600"], patience=1)
    with pytest.raises(TimeoutError):
        talk.send(bytes(10_000_000))
    talk.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("command", ["deploy", "fleet"])
@pytest.mark.parametrize("sending", ["calling", "tar", "rsync"])
def test_one_signal_ends_it(
    bundle: Path, tmp_path: Path, monkeypatch, number: int, command: str, sending: str
) -> None:
    """Also while something is sent to a device that takes nothing; ssh ends in any case."""
    if sending == "rsync" and shutil.which("rsync") is None:
        pytest.skip("no rsync: apt-get install rsync")
    facts = FACTS | {"machine": os.uname().machine, "python": sys.version.split()[0]}
    (tmp_path / "facts").write_text(result(facts | {"rsync": sending == "rsync"}) + "\n")
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    absent = {file["sha256"]: 0 for file in files.values()}
    (tmp_path / "compare").write_text(result({"missing": absent, "venv": True}) + "\n")
    there, hang = tmp_path / "there", f"touch {tmp_path}/there; exec sleep 3600"
    calls = f"*facts*) cat {tmp_path}/facts;; *compare*) cat {tmp_path}/compare;; *) {hang};; esac"
    answer = f'case "$command" in rsync*) {hang};; esac; read -r _; read -r request; '
    answer += f"case $request in {calls}" if sending != "calling" else hang
    pids = ssh.stand_in(tmp_path, answer, monkeypatch)
    words = [sys.executable, "-m", "spit_edge.export", command]
    (tmp_path / "devices.toml").write_text('[[device]]\nhost = "me@jetson"\n')
    words += [str(tmp_path / "devices.toml")] if command == "fleet" else []
    words += [str(bundle), *(["me@jetson"] if command == "deploy" else []), *ssh.options(tmp_path)]
    deploying = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not there.exists():
            assert deploying.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.3)  # the pipe is full by then
        deploying.send_signal(number)
        _, told = deploying.communicate(timeout=5)
    finally:
        deploying.kill()
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert deploying.returncode == codes[signal.Signals(number)], told
    assert b"Traceback" not in told
    time.sleep(0.3)
    assert not ssh.alive(pids)
