"""Many devices: their list, their table, and one that fails among others."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from spit_edge.base.command_line import DONE, NOT_DONE
from spit_edge.export.__main__ import main
from spit_edge.export.deploy import fleet
from spit_edge.export.deploy.errors import DeployError
from spit_edge.export.deploy.fleet import FleetTable, read_members
from spit_edge.export.deploy.target import DeployOptions, parse_target
from tests.export.deploy.conftest import Device


@pytest.mark.parametrize(
    "text, name, host, root",
    [
        ("user@jetson", None, "user@jetson", "spit-edge/bundle"),
        ("jetson", "door", "jetson", "spit-edge/door"),
        ("user@jetson:/opt/spit", None, "user@jetson", "/opt/spit"),
        ("jetson:services", "door", "jetson", "services/door"),
        ("[fe80::1]:/opt", None, "fe80::1", "/opt"),
    ],
)
def test_targets(text, name, host, root) -> None:
    target = parse_target(text, name, "bundle")
    assert (target.host, target.root) == (host, root)


@pytest.mark.parametrize(
    "text, name", [("-oProxyCommand=x", None), ("", None), (":/opt", None), ("a b", None),
                   ("jetson", "../up"), ("jetson", "-x"), ("jetson:-x", None)],
)  # fmt: skip
def test_what_is_no_target(text, name) -> None:
    with pytest.raises(DeployError):
        parse_target(text, name, "bundle")


def devices(file: Path, text: str):
    file.write_text(text)
    return read_members(
        file, DeployOptions(keep=7), service=None, default_service="bundle", ssh_config=None
    )


def test_device_list(tmp_path) -> None:
    listed = devices(
        tmp_path / "devices.toml",
        '[[device]]\nhost = "u@a"\nname = "door"\nengine = "never"\n'
        '[[device]]\nhost = "b"\ndir = "/opt/spit"\nbackend = "onnxruntime"\n',
    )
    assert [(d.name, d.target.root) for d in listed] == [
        ("door", "spit-edge/bundle"), ("b", "/opt/spit"),
    ]  # fmt: skip
    assert listed[0].options == DeployOptions(engine="never", keep=7)
    assert listed[1].options == DeployOptions(backend="onnxruntime", keep=7)


@pytest.mark.parametrize(
    "text, why",
    [
        ("device = 3", "not a list of devices"),
        ("[[device]", "not a list of devices"),
        ('[[device]]\nhost = "a"\nengin = "now"', "engin"),
        ('[[device]]\nhost = "a"\n[[device]]\nhost = "a"', "twice"),
        ("device = []", "lists no devices"),
        ("device = " + "[" * 100_000, "nested too deeply"),
        ("device = " + "{a=" * 100_000, "nested too deeply"),
        ("device = " + "9" * 5000, "not a list of devices"),
        ("#" * (1 << 20) + "#", "not a file of at most"),
    ],
)
def test_wrong_device_lists(tmp_path, text: str, why: str) -> None:
    with pytest.raises(DeployError, match=why):
        devices(tmp_path / "devices.toml", text)


def test_device_lists_that_are_no_text_files(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "latin").write_bytes(b'[[device]]\nhost = "caf\xe9"\n')
    for file in (
        tmp_path,
        tmp_path / "none",
        tmp_path / "fifo",
        Path("/dev/zero"),
        tmp_path / "latin",
    ):
        with pytest.raises(DeployError, match=str(file)):
            read_members(
                file, DeployOptions(), service=None, default_service="bundle", ssh_config=None
            )


def test_live_table(monkeypatch) -> None:
    """On a terminal, states change in place; a line for each change would flood it."""
    terminal = Console(file=io.StringIO(), force_terminal=True, width=60)
    monkeypatch.setattr(fleet, "console", lambda **_: terminal)
    table = FleetTable(["door", "gate"])
    with table.shown():
        for percent in range(0, 100, 10):
            table.set("door", f"sending, {percent} %")
        table.set("door", "uses 0123", DONE)
        table.set("gate", "cannot be reached", NOT_DONE)
    assert isinstance(terminal.file, io.StringIO)
    screen = Text.from_ansi(terminal.file.getvalue()).plain
    *_, head, line, door, gate = (row.strip() for row in screen.splitlines() if row.strip())
    assert head.split() == ["device", "state"] and set(line) == {"─"}
    assert (door.split(), gate.split()) == (
        ["door", "uses", "0123"], ["gate", "cannot", "be", "reached"],
    )  # fmt: skip
    assert screen.count("sending") < 10


@pytest.mark.slow
def test_one_fails_and_the_others_go_on(device: Device, bundle: Path, tmp_path, capsys) -> None:
    config = tmp_path / "config"
    away = "Host device-away\n    Port 1\n"
    config.write_text(away + device.server.config.read_text())
    file = tmp_path / "devices.toml"
    places = {name: device.disk / name for name in ("device-a", "device-away", "device-b")}
    file.write_text(
        "".join(f'[[device]]\nhost = "{name}"\ndir = "{at}"\n' for name, at in places.items())
    )
    given = ["fleet", str(file), str(bundle), "--ssh-config", str(config)]
    assert main([*given, *device.wares]) == 2
    printed = capsys.readouterr()
    releases = {name: (at / "current").resolve().name for name, at in places.items()}
    assert releases["device-a"] == releases["device-b"] != "current"
    assert releases["device-away"] == "current"  # there is none
    table = printed.out
    assert table.count(f"uses {releases['device-a']}") == 2 and "cannot be reached" in table

    # With all at hand, the exit code is 0; and going back is impossible on both.
    file.write_text(file.read_text().replace("device-away", "device-c"))
    assert main([*given, *device.wares]) == 0
    capsys.readouterr()
    assert main([*given, "--rollback"]) == 2
    assert capsys.readouterr().out.count("no earlier release") == 3
