"""Our client through real forward proxies: tinyproxy (HTTP) and microsocks (SOCKS 5)."""

import signal

import pytest
from conftest import free_port, listens


@pytest.fixture
def tinyproxy(run, tmp_path):
    def start(*settings):
        port = free_port()
        config = tmp_path / "tinyproxy.conf"
        config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 20", *settings]) + "\n")
        proxy = run("tinyproxy", "-d", "-c", config)
        listens(port, proxy)
        return proxy, port

    return start


@pytest.fixture
def microsocks(run):
    def start(*arguments):
        port = free_port()
        proxy = run("microsocks", "-i", "127.0.0.1", "-p", port, *arguments)
        listens(port, proxy)
        return proxy, port

    return start


@pytest.mark.parametrize("tls", [False, True])
def test_http_proxy(serve, tinyproxy, connect, tls):
    server = serve(*["--tls-self-signed"] * tls)
    _, port = tinyproxy()
    url = f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}/test"
    code, out, err = connect(url, "-k", "--proxy", f"http://127.0.0.1:{port}")
    assert (code, out) == (0, "hi\n"), err


def test_http_proxy_with_credentials(serve, tinyproxy, connect):
    server = serve()
    _, port = tinyproxy("BasicAuth me secret")
    url = f"ws://127.0.0.1:{server.port}/test"
    assert connect(url, "-x", f"http://me:secret@127.0.0.1:{port}")[:2] == (0, "hi\n")
    for wrong in ("me:other@", ""):
        code, _, err = connect(url, "-x", f"http://{wrong}127.0.0.1:{port}")
        assert code == 4 and f"the proxy 127.0.0.1:{port}: it wants credentials" in err, err


def test_http_proxy_that_refuses(serve, tinyproxy, connect):
    server = serve()
    _, port = tinyproxy("ConnectPort 443")
    code, _, err = connect(f"ws://127.0.0.1:{server.port}/test", "-x", f"http://127.0.0.1:{port}")
    assert code == 4 and f"the proxy 127.0.0.1:{port}: it does not connect us: 403 Forbidden" in err, err


def test_http_proxy_whose_server_is_away(tinyproxy, connect):
    _, port = tinyproxy()
    code, _, err = connect(f"ws://127.0.0.1:{free_port()}/test", "-x", f"http://127.0.0.1:{port}")
    assert code == 4 and f"the proxy 127.0.0.1:{port}: it does not connect us: 50" in err, err


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxy(serve, microsocks, connect, scheme, tls):
    server = serve(*["--tls-self-signed"] * tls)
    _, port = microsocks()
    url = f"{'wss' if tls else 'ws'}://localhost:{server.port}/test"
    resolve = ["--resolve", f"localhost:{server.port}:127.0.0.1"]  # the proxy's own idea of it may be ::1
    code, out, err = connect(url, "-k", *resolve * (scheme == "socks5"), "--proxy", f"{scheme}://127.0.0.1:{port}")
    assert (code, out) == (0, "hi\n"), err


def test_socks_proxy_with_credentials(serve, microsocks, connect):
    server = serve()
    _, port = microsocks("-u", "me", "-P", "secret")
    url = f"ws://127.0.0.1:{server.port}/test"
    assert connect(url, "-x", f"socks5h://me:secret@127.0.0.1:{port}")[:2] == (0, "hi\n")
    code, _, err = connect(url, "-x", f"socks5h://me:other@127.0.0.1:{port}")
    assert code == 4 and "it does not accept the user name and the password" in err, err
    code, _, err = connect(url, "-x", f"socks5h://127.0.0.1:{port}")
    assert code == 4 and "it wants a user name and a password" in err, err


def test_socks_proxy_whose_server_is_away(microsocks, connect):
    _, port = microsocks()
    code, _, err = connect(f"ws://127.0.0.1:{free_port()}/test", "-x", f"socks5h://127.0.0.1:{port}")
    assert code == 4 and f"the proxy 127.0.0.1:{port}: the server refused its connection" in err, err


@pytest.mark.parametrize("kind", ["http", "socks5h"])
def test_a_proxy_that_hangs(serve, tinyproxy, microsocks, connect, kind):
    server = serve()
    proxy, port = tinyproxy() if kind == "http" else microsocks()
    proxy.signal(signal.SIGSTOP)
    code, _, err = connect(f"ws://127.0.0.1:{server.port}/test", "--timeout", "500ms", "-x", f"{kind}://127.0.0.1:{port}")
    assert code == 4 and "no WebSocket after 500ms: the proxy had not connected us to the server" in err, err


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("kind", ["http", "socks5h"])
def test_a_proxy_that_dies_in_mid_tunnel(serve, tinyproxy, microsocks, line, kind, tls):
    server = serve(*["--tls-self-signed"] * tls)
    proxy, port = tinyproxy() if kind == "http" else microsocks()
    url = f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}/test"
    open_line = line(url, "-k", "-x", f"{kind}://127.0.0.1:{port}")
    open_line.stdin.write("hi\n")
    open_line.stdin.flush()
    assert open_line.stdout.readline() == "hi\n"
    proxy.signal(signal.SIGKILL)
    assert open_line.wait(20) == 6
    said = open_line.stderr.read()
    assert "the line ended without a closing handshake (1006)" in said or "the line failed" in said, said


def test_the_environment_names_the_proxy(serve, tinyproxy, connect):
    server = serve("--host", "somewhere.test")
    proxy, port = tinyproxy("LogLevel Connect")
    url = f"ws://somewhere.test:{server.port}/test"
    there = ["--connect-to", f"somewhere.test::127.0.0.1:{server.port}"]
    for variable in ("ws_proxy", "http_proxy", "ALL_PROXY"):
        code, out, err = connect(url, *there, environment={variable: f"http://127.0.0.1:{port}"})
        assert (code, out) == (0, "hi\n"), err
    # Nobody listens there, so whoever asked it would fail.
    nobody = f"http://127.0.0.1:{free_port()}"
    assert connect(url, *there, environment={"http_proxy": nobody})[0] == 4
    for variables in ({"no_proxy": ".test"}, {"NO_PROXY": "*"}, {"no_proxy": f"somewhere.test:{server.port}"}):
        assert connect(url, *there, environment={"http_proxy": nobody, **variables})[:2] == (0, "hi\n")
    # What is said outright counts more.
    assert connect(url, *there, "-x", f"http://127.0.0.1:{port}", environment={"http_proxy": nobody})[:2] == (0, "hi\n")
