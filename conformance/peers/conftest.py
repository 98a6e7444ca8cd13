"""Starts `openline serve` on a free port, and runs `openline connect`, for the tests beside this file."""

import os
import re
import subprocess
import threading

import pytest

OPENLINE = os.environ.get("OPENLINE", "openline")


class Server:
    """A running `openline serve`."""

    def __init__(self, *arguments):
        command = [OPENLINE, "serve", "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = []
        for line in self.process.stdout:
            said.append(line)
            if address := re.search(r"127\.0\.0\.1:(\d+)", line):
                self.port = int(address[1])
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        raise AssertionError(f"{command} printed no address, but: {''.join(said)}")

    def url(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def serve():
    """Starts a server with these arguments, for one test."""
    servers = []

    def start(*arguments):
        servers.append(Server(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


@pytest.fixture(scope="session")
def demo():
    """The demo as it is without arguments, shared by all tests."""
    server = Server()
    yield server
    server.end()


@pytest.fixture
def connect():
    """Runs `openline connect` with this input; gives its exit code, standard output and standard error."""

    def run(*arguments, input=""):
        done = subprocess.run([OPENLINE, "connect", *arguments], input=input, capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout, done.stderr

    return run
