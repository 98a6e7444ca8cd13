"""haproxy and nginx end TLS in front of us, and pass on where their clients are."""

import socket
import ssl

import pytest

HERE = "127.0.0.1"
CLIENT = "127.0.0.9"  # where our client comes from: an address that no proxy has


def echoes(connect, certificate, port, *arguments):
    code, out, err = connect(
        f"wss://proxy.test:{port}/test", "--resolve", f"proxy.test:{port}:{HERE}", "--cacert", certificate[0], *arguments
    )
    assert (code, out) == (0, "hi\n"), err


def opens(certificate, port, *fields):
    """A WebSocket from the address of the client, which says this about itself."""
    trust = ssl.create_default_context(cafile=certificate[0])
    with socket.create_connection((HERE, port), timeout=10, source_address=(CLIENT, 0)) as plain:
        with trust.wrap_socket(plain, server_hostname="proxy.test") as line:
            own_port = plain.getsockname()[1] if plain.fileno() >= 0 else line.getsockname()[1]
            request = ["GET /test HTTP/1.1", "Host: proxy.test", "Upgrade: websocket", "Connection: Upgrade",
                       "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *fields, "", ""]
            line.sendall("\r\n".join(request).encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                received = line.recv(4096)
                assert received, answer
                answer += received
            assert answer.startswith(b"HTTP/1.1 101 "), answer
            return own_port


@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
def test_x_forwarded_for(serve, haproxy, nginx, connect, certificate, proxy):
    server = serve("--host", "proxy.test", "--trust-proxy", HERE)
    port = haproxy(server, options=["option forwardfor"]) if proxy == "haproxy" else nginx(server)
    echoes(connect, certificate, port)
    opens(certificate, port)
    server.says(rf"a line opened.* peer={HERE}:\d+ client={CLIENT}\b")
    # What a client says about itself stands before what the proxy saw, and is not believed.
    opens(certificate, port, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 127.0.0.1")
    opens(certificate, port)
    assert not any("6.6.6.6" in line for line in server.said if line), server.said


def test_a_proxy_that_nobody_trusts_is_refused(serve, nginx, connect, certificate):
    port = nginx(serve("--host", "proxy.test"))
    code, _, err = connect(f"wss://proxy.test:{port}/test", "--resolve", f"proxy.test:{port}:{HERE}", "--cacert", certificate[0])
    assert code == 5 and "it came through a proxy" in err, err


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
def test_haproxy_with_the_proxy_protocol(serve, haproxy, connect, certificate, version):
    server = serve("--host", "proxy.test", "--trust-proxy", HERE, "--proxy-protocol")
    port = haproxy(server, mode="tcp", to=version)
    echoes(connect, certificate, port)
    own_port = opens(certificate, port)
    server.says(rf"a line opened.* peer={CLIENT}:{own_port} client={CLIENT}\b")


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_haproxy_passes_our_own_tls_through(serve, haproxy, connect, certificate, version):
    server = serve(
        "--host", "proxy.test", "--trust-proxy", HERE, "--proxy-protocol",
        "--tls-cert", certificate[0], "--tls-key", certificate[1],
    )
    port = haproxy(server, mode="tcp", to=version, ssl=False)
    echoes(connect, certificate, port)
    own_port = opens(certificate, port)
    server.says(rf"a line opened.* peer={CLIENT}:{own_port}\b")


def test_without_the_header_nobody_gets_in(serve, haproxy, connect, certificate):
    server = serve("--host", "proxy.test", "--trust-proxy", HERE, "--proxy-protocol")
    port = haproxy(server, mode="tcp")
    code, _, _ = connect(f"wss://proxy.test:{port}/test", "--resolve", f"proxy.test:{port}:{HERE}", "--cacert", certificate[0])
    assert code in (4, 5)
    server.says("no PROXY header")
