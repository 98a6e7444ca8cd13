"""Programs for the tests beside this file: `openline serve` and `connect`, and proxies as Debian has them, each on a free
port of this machine, without root, and for one test."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

OPENLINE = os.environ.get("OPENLINE", "openline")


class Program:
    """A running program, its output kept, and what was said so far waited for."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.said.append(line)
                self.changed.notify_all()
        with self.changed:
            self.said.append(None)
            self.changed.notify_all()

    def says(self, pattern):
        """Waits for a line that matches, among those that were said already, too."""
        seen = 0
        with self.changed:
            while True:
                for line in self.said[seen:]:
                    seen += 1
                    if line is None:
                        raise AssertionError(f"it ended without saying {pattern!r}: {self.said}")
                    if found := re.search(pattern, line):
                        return found
                assert self.changed.wait(20), f"it did not say {pattern!r}, but: {self.said}"

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture
def run():
    """Runs a program until the end of the test."""
    programs = []

    def start(*command):
        programs.append(Program(*command))
        return programs[-1]

    yield start
    for program in programs:
        program.end()


@pytest.fixture
def serve(run):
    """`openline serve` with these arguments, and the port that it has; what it logs tells who came."""

    def start(*arguments, host="127.0.0.1"):
        server = run(OPENLINE, "--log-level", "openline_server=debug", "serve", "--listen", f"{host}:0", *arguments)
        server.port = int(server.says(r"listening on https?://\S+:(\d+)")[1])
        return server

    return start


@pytest.fixture
def connect():
    """Runs `openline connect` with "hi" on its input; gives exit code, output and errors."""

    def run(*arguments, environment=None):
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        done = subprocess.run(
            [OPENLINE, "connect", "--wait", "300ms", *map(str, arguments)],
            input="hi\n", capture_output=True, text=True, timeout=30, env={**clean, **(environment or {})},
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def line():
    """An open `openline connect`, which ends when the test does."""
    lines = []

    def start(*arguments):
        process = subprocess.Popen(
            [OPENLINE, "connect", *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines.append(process)
        assert process.stderr.readline() == "openline: open\n"
        return process

    yield start
    for process in lines:
        process.kill()
        process.communicate()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port, program):
    """Waits until somebody does."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        assert program.process.poll() is None, f"it ended: {program.said}"
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}: {program.said}")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for proxy.test and 127.0.0.1, its key, and both in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key, both = folder / "cert.pem", folder / "key.pem", folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", cert, "-subj", "/CN=proxy.test", "-addext", "subjectAltName=DNS:proxy.test,IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )
    both.write_text(cert.read_text() + key.read_text())
    return pathlib.Path(cert), pathlib.Path(key), both


@pytest.fixture
def haproxy(run, tmp_path, certificate):
    """haproxy in front of a server: by HTTP or by TCP, with TLS towards clients unless said otherwise; gives its port."""

    def start(server, *, mode="http", to="", ssl=True, options=()):
        port = free_port()
        config = tmp_path / "haproxy.cfg"
        lines = [
            "defaults", f"  mode {mode}", "  timeout connect 5s", "  timeout client 30s", "  timeout server 30s", "  timeout tunnel 1h",
            "frontend in", f"  bind 127.0.0.1:{port}" + (f" ssl crt {certificate[2]}" if ssl else ""), "  default_backend out",
            "backend out", *(f"  {option}" for option in options), f"  server one 127.0.0.1:{server.port} {to}",
        ]
        config.write_text("\n".join(lines) + "\n")
        listens(port, run("haproxy", "-db", "-f", config))
        return port

    return start


@pytest.fixture
def nginx(run, tmp_path, certificate):
    """nginx in front of a server, with or without TLS towards clients: as people write it first, with its own buffering and timeouts, and a
    word about the upgrade; gives its port."""

    def start(server, *, ssl=True):
        port = free_port()
        config = tmp_path / "nginx.conf"
        tls = f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};" if ssl else ""
        config.write_text(f"""
daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
  uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port}{" ssl" if ssl else ""};
    {tls}
    location / {{
      proxy_pass http://127.0.0.1:{server.port};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
""")
        listens(port, run("nginx", "-e", "stderr", "-p", tmp_path, "-c", config))
        return port

    return start
