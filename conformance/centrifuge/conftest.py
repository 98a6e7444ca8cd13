"""Starts `openline serve` on a free port, as a demo or with a file, for the tests beside this file."""

import os
import re
import subprocess
import threading

import pytest

OPENLINE = os.environ.get("OPENLINE", "openline")


class Server:
    """A running `openline serve`; `key` opens its API."""

    def __init__(self, *arguments, key=None):
        self.tls = "--tls-cert" in arguments
        command = [OPENLINE, "serve", "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.key, self.port = key, None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if address := re.search(r"127\.0\.0\.1:(\d+)", line):
                self.port = int(address[1])
            if shown := re.search(r"X-API-Key: ([0-9a-f]+)", line):
                self.key = shown[1]
            if self.port and self.key:
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        raise AssertionError(f"{command} printed no address, but: {''.join(said)}")

    @property
    def websocket(self):
        scheme = "wss" if self.tls else "ws"
        return f"{scheme}://127.0.0.1:{self.port}/connection/websocket"

    @property
    def api(self):
        return f"http://127.0.0.1:{self.port}/api"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def demo():
    """The demo as it is without arguments, shared by all tests."""
    server = Server()
    yield server
    server.end()


@pytest.fixture(scope="session")
def closed(tmp_path_factory):
    """A server that believes tokens, and lets nobody in without one."""
    key, secret = "k" * 32, "s" * 32
    file = tmp_path_factory.mktemp("openline") / "openline.toml"
    file.write_text(
        f"""
        [api]
        keys = ["{key}"]
        [auth]
        secret = "{secret}"
        audience = "openline"
        [client]
        expiry_grace = "1s"
        [channels]
        presence = true
        [namespaces.chat]
        allow = {{ subscribe = "known", publish = ["ann"], history = "known", presence = "known" }}
        presence = true
        """
    )
    server = Server("--config", str(file), key=key)
    server.secret = secret
    yield server
    server.end()


@pytest.fixture(scope="session")
def over_tls(tmp_path_factory):
    """The demo over TLS; `ca` is its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    ca, key = folder / "server.pem", folder / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=a server", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", ca],
        check=True, capture_output=True,
    )
    server = Server("--tls-cert", str(ca), "--tls-key", str(key))
    server.ca = ca
    yield server
    server.end()
