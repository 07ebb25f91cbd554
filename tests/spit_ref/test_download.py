"""Downloads: the whole file or none, and a sentence that says what went wrong."""

from __future__ import annotations

import http.client
import os
import socket
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from spit_edge.spit_ref.download import CHUNK, DownloadError, download
from tests.simulators.file_server import Server, md5, sends, server

__all__ = ["server"]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.pth"


def assert_refused(url: str, target: Path, pattern: str, *, timeout: float = 5.0) -> None:
    with pytest.raises(DownloadError, match=pattern) as caught:
        download(url, target, md5(b"right"), timeout=timeout)
    message = str(caught.value)
    assert url in message and str(target) in message and "--weights" in message
    assert not target.parent.is_dir() or os.listdir(target.parent) == []


def test_download_writes_the_file(server: Server, target: Path) -> None:
    server.answer = sends(b"right")
    download(server.root, target, md5(b"right"))
    assert target.read_bytes() == b"right"
    assert os.listdir(target.parent) == [target.name]


def test_download_replaces_only_on_success(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    server.answer = sends(b"wrong")
    with pytest.raises(DownloadError):
        download(server.root, target, md5(b"right"))
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == [target.name]


def test_wrong_md5(server: Server, target: Path) -> None:
    server.answer = sends(b"wrong")
    assert_refused(server.root, target, f"{md5(b'wrong')}, not {md5(b'right')}")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<p>Sign in</p>", "text/html; charset=utf-8"),
        (b"\r\n <!DOCTYPE HTML><title>Sign in</title>", "application/octet-stream"),
        (b"<HTML lang='en'>", "application/octet-stream"),
    ],
)
def test_login_page(server: Server, target: Path, body: bytes, kind: str) -> None:
    server.answer = sends(body, kind=kind)
    assert_refused(server.root, target, "login page")


def test_not_found(server: Server, target: Path) -> None:
    server.answer = sends(b"<html>", status=404, kind="text/html")
    assert_refused(server.root, target, "404")


def test_cut_connection(server: Server, target: Path) -> None:
    server.answer = sends(b"ri", length=5)
    assert_refused(server.root, target, "cut after 2 of 5 bytes")


def test_cut_connection_of_unknown_length(server: Server, target: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nri")

    server.answer = answer
    assert_refused(server.root, target, "MD5")


def test_no_answer_at_all(server: Server, target: Path) -> None:
    server.answer = lambda handler: None
    assert_refused(server.root, target, "closed connection without response")


def test_silent_server(server: Server, target: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        server.closing.wait(5)

    server.answer = answer
    start = time.monotonic()
    assert_refused(server.root, target, "timed out", timeout=0.2)
    assert time.monotonic() - start < 2


def test_server_that_falls_silent(server: Server, target: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        sends(b"ri", length=5)(handler)
        server.closing.wait(5)

    server.answer = answer
    assert_refused(server.root, target, "timed out", timeout=0.2)


def test_nobody_listens(server: Server, target: Path) -> None:
    url = server.root
    server.close()
    assert_refused(url, target, "refused")


def test_unknown_host(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert_refused("http://weights.invalid/file", target, "Name or service not known")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "http://[", "x"])
def test_addresses_that_are_none(target: Path, url: str) -> None:
    with pytest.raises(DownloadError):
        download(url, target, md5(b"right"))
    assert not target.exists()


def test_only_http(tmp_path: Path, target: Path) -> None:
    (tmp_path / "here").write_bytes(b"right")
    assert_refused((tmp_path / "here").as_uri(), target, "only http and https")


def test_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file")
    with pytest.raises(DownloadError, match="folder"):
        download(server.root, tmp_path / "folder" / "file.pth", md5(b"right"))
    assert server.requests == []


def test_ctrl_c_leaves_no_file(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = sends(bytes(3 * CHUNK))
    seen: list[list[str]] = []
    read = http.client.HTTPResponse.read

    def read_once(answer: http.client.HTTPResponse, size: int) -> bytes:
        seen.append(os.listdir(target.parent))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return read(answer, size)

    monkeypatch.setattr(http.client.HTTPResponse, "read", read_once)
    with pytest.raises(KeyboardInterrupt):
        download(server.root, target, md5(b"right"))
    assert len(seen) == 2 and seen[1][0].startswith(".file.pth-")
    assert os.listdir(target.parent) == []


def test_redirect_with_a_cookie(server: Server, target: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/file" and handler.headers["Cookie"] == "guest=yes":
            return sends(b"right")(handler)
        if handler.path == "/file":
            return sends(b"no", status=403)(handler)
        handler.send_response(302)
        handler.send_header("Set-Cookie", "guest=yes")
        handler.send_header("Location", "/file")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return None

    server.answer = answer
    download(f"{server.root}share", target, md5(b"right"))
    assert target.read_bytes() == b"right"
    assert server.requests == ["/share", "/file"]
