"""The tests that centrifuge-python brings along, as they are published, against this server instead of the one they name.

Three constants of theirs are others here: the address, and in the tokens that they make the secret, which must have 32 bytes,
and `exp`, without which no token is believed. What they promise of that server's configuration is in SETTINGS.
"""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest

from conftest import Server

SECRET = "s" * 32

OPEN = 'allow = { subscribe = "anyone", publish = "anyone", history = "anyone", presence = "anyone" }'

SETTINGS = f"""
    [api]
    keys = ["{"k" * 32}"]
    [auth]
    secret = "{SECRET}"
    [client]
    anonymous = true
    personal_namespace = ""
    [channels]
    presence = true
    push_join_leave = true
    history = {{ count = 100, age = "300s" }}
    {OPEN}
    [namespaces.smallhistory]
    history = {{ count = 2, age = "300s" }}
    {OPEN}
"""

# Fewer would mean that they are no longer found. (All pass, 185 of them; the others talk to a server of their own making.)
TESTS = 62


def substitute(text, address):
    text = text.replace("localhost:8000", address)
    text = text.replace('hmac_secret = "secret"', f'hmac_secret = "{SECRET}"')
    return text.replace('payload = {"sub": user}', 'payload = {"sub": user, "exp": 4102444800}')


@pytest.fixture
def suite(tmp_path):
    """The tests, out of the package's source distribution."""
    version = importlib.metadata.version("centrifuge-python")
    store = pathlib.Path(os.environ.get("OPENLINE_SDISTS") or tmp_path)
    archive = store / f"centrifuge_python-{version}.tar.gz"
    if not archive.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        only_source = ["--no-binary", "centrifuge-python", "--dest", str(store)]
        subprocess.run([*pip, *only_source, f"centrifuge-python=={version}"], check=True)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / f"centrifuge_python-{version}"


@pytest.mark.timeout(600)
def test_the_suite_of_centrifuge_python(suite, tmp_path):
    (tmp_path / "openline.toml").write_text(SETTINGS)
    server = Server("--config", str(tmp_path / "openline.toml"), key="k" * 32)
    for file in (suite / "tests").glob("*.py"):
        file.write_text(substitute(file.read_text(), f"127.0.0.1:{server.port}"))
    ours = [file for file in (suite / "tests").glob("test_*.py") if "require_centrifugo" in file.read_text()]
    # Theirs are in the folder beside the package: what is tested is the package that is installed.
    (suite / "centrifuge").rename(suite / "centrifuge.source")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "60", *map(str, ours)]
    # Two helpers of theirs are named as tests are, and are none.
    not_tests = [f"--deselect=tests/test_client.py::test_get_{kind}_token" for kind in ("client", "subscription")]
    try:
        run = subprocess.run([*command, *not_tests], cwd=suite, capture_output=True, text=True)
    finally:
        server.end()
    print(run.stdout[-10_000:])
    assert run.returncode == 0, run.stdout[-2000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) >= TESTS
