"""Tomcat 10's WebSockets, without TLS and with: to our client, and behind our server."""

import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

OPENLINE = os.environ.get("OPENLINE", "openline")
JARS = os.environ.get("TOMCAT_JARS", "/usr/share/java/*")
HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module", params=["ws", "wss"])
def tomcat(request, certificate):
    """A running Tomcat: its URL, and the flags of a client that trusts it."""
    arguments = certificate if request.param == "wss" else ()
    command = [shutil.which("java"), "-cp", JARS, os.path.join(HERE, "Echo.java"), *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if port := re.match(r"listening on (\d+)", line):
                break
        else:
            raise AssertionError("".join(said))
        flags = ["--cacert", certificate[0]] if request.param == "wss" else []
        yield f"{request.param}://127.0.0.1:{port[1]}/echo", flags
        process.kill()


def connect(*arguments, input):
    done = subprocess.run([OPENLINE, "connect", "--wait", "500ms", *arguments], input=input, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.timeout(120)
def test_messages_come_back_and_the_close_does(tomcat):
    url, flags = tomcat
    lines = b"".join(b"%d " % number + b"x" * length + b"\n" for number, length in enumerate((0, 1, 125, 126, 8192, 65_536, 500_000)))
    code, out, err = connect(url, *flags, "--subprotocol", "chat", input=lines)
    assert (code, err) == (0, "openline: open, with subprotocol chat\nopenline: closed with 1000 Normal Closure\n")
    assert out == lines


@pytest.mark.timeout(60)
def test_binary_messages_come_back(tomcat):
    url, flags = tomcat
    code, out, err = connect(url, *flags, "--binary", input=b"\x00\xff\x80\n")
    assert (code, out) == (0, b"\x00\xff\x80"), err


def test_what_is_not_there_is_said(tomcat):
    url, flags = tomcat
    code, _, err = connect(url + "/nothing", *flags, input=b"")
    assert code == 5 and "404" in err, err


def test_tls_and_its_absence_are_told_apart(tomcat):
    url, _ = tomcat
    scheme, rest = url.split("://")
    code, _, err = connect(f"{'ws' if scheme == 'wss' else 'wss'}://{rest}", "-k", input=b"")
    # Tomcat answers plain HTTP on its TLS port with 400, and TLS on its plain port with an answer in HTTP.
    assert (code, "400" in err) == (5, True) if scheme == "wss" else (code == 4 and "does not speak TLS" in err), err


@pytest.fixture
def behind_us(tomcat, tmp_path):
    """The same Tomcat behind `openline serve`, which trusts it as the client does."""
    url, flags = tomcat
    file = tmp_path / "openline.toml"
    backend = url.removesuffix("/echo")
    ca = f'backend_ca = "{flags[1]}"' if flags else ""
    file.write_text(f'[server]\nlisten = ["127.0.0.1:0"]\n[[route]]\npath = "/"\nproxy = "{backend}"\n{ca}\n')
    command = [OPENLINE, "serve", "--config", file]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        port = re.match(r"listening on http://127.0.0.1:(\d+)", server.stdout.readline())
        assert port, server.stderr.read()
        yield f"127.0.0.1:{port[1]}"
        server.kill()


@pytest.mark.timeout(120)
def test_behind_us_its_lines_and_its_pages_work(behind_us):
    lines = b"".join(b"%d " % number + b"x" * length + b"\n" for number, length in enumerate((0, 1, 125, 126, 8192, 65_536, 500_000)))
    code, out, err = connect(f"ws://{behind_us}/echo", "--subprotocol", "chat", input=lines)
    assert (code, err) == (0, "openline: open, with subprotocol chat\nopenline: closed with 1000 Normal Closure\n")
    assert out == lines
    code, _, err = connect(f"ws://{behind_us}/nothing", input=b"")
    assert code == 5 and "404" in err, err
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{behind_us}/nothing")
    assert refused.value.code == 404 and b"Tomcat" in refused.value.read()
