#!/usr/bin/env python3
"""The Autobahn|Testsuite against openline, as server and as client, with a gate that cannot pass by accident.

    run.py [--bin DIR] [--full] [SUBJECT...]      SUBJECT: server, library, client; all three when none is named;
                                                  or tls-server, tls-client: some of the cases, over wss
    run.py [--bin DIR] --write                    all cases of all subjects, and results.md beside this file renewed
    run.py --url ws://127.0.0.1:9001/             any server that is already running
    run.py --client-command "COMMAND"             any client: COMMAND is run with the address and the agent's name appended

DIR is where cargo put the programs under test (target/verify). Groups 12 and 13, compression, take a quarter of an hour
for each subject, so without `--full` only some of their cases are run.
`wstest` reports only at the end, leaves old reports in place and exits 0 whatever it found, so here the report starts
empty, must hold exactly the cases that were asked for, and every case must be OK in both `behavior` and `behaviorClose`.
Exit status: 0 passed, 1 failed, 77 not run (no Python 2.7, for which the suite is written).
"""

import argparse
import collections
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REQUIREMENTS = HERE / "requirements.txt"
RESULTS = HERE / "results.md"

CASES = (HERE / "cases.txt").read_text().split()

# Groups 12 and 13 are permessage-deflate: five kinds of data and seven sets of parameters, each with a thousand messages
# of 18 sizes. What takes long is the suite's own compression in Python 2, so of each these sizes are run always: 16 bytes,
# 256, 4 KiB, and 8 KiB in frames of 256 bytes.
COMPRESSION = {"12", "13"}
SAMPLED = {"1", "3", "5", "11"}
SAMPLE = [case for case in CASES if case.split(".")[0] not in COMPRESSION or case.split(".")[2] in SAMPLED]

# Over wss: framing, pings, closing, and some of the compression. What is between is the same as without.
OVER_TLS = [case for case in SAMPLE if case.split(".")[0] in {"1", "2", "7"} or case.startswith("12.1.")]

# These three only report what the peer does; they have no outcome that is OK.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}

# Group 9 sends messages of 16 MiB: the default limits would rightly refuse them.
BIG = ["--max-message-bytes", str(32 << 20), "--max-frame-bytes", str(32 << 20)]

Subject = collections.namedtuple("Subject", "role title command url tls", defaults=[None, None, False])


def ours(programs):
    """What is under test; `url` is a path until the server has said where it listens."""
    return {
        "server": Subject(
            "server",
            "openline serve",
            [f"{programs}/openline", "serve", "--listen", "127.0.0.1:0", *BIG],
            "/test",
        ),
        "library": Subject(
            "server", "examples/echo_server", [f"{programs}/examples/echo_server", "127.0.0.1:0", "--takeover"], "/"
        ),
        "client": Subject("client", "examples/autobahn_client", [f"{programs}/examples/autobahn_client"]),
    }


def over_tls(programs):
    """The same over wss."""
    known = ours(programs)
    server, client = known["server"], known["client"]
    return {
        "tls-server": server._replace(title="openline serve, wss", command=[*server.command, "--tls-self-signed"], tls=True),
        "tls-client": client._replace(title="examples/autobahn_client, wss", tls=True),
    }


SHARDS = os.cpu_count() or 1  # wstest is one Python 2 thread, and the slow side of every case
DEADLINE = 300  # seconds for one subject; 95 are usual
FULL_DEADLINE = 3600  # with all of the compression
EVIDENCE = 10  # failed cases whose wire log is printed; past that it is one fault, not many


class NotRun(Exception):
    """Something the suite needs is not on this machine."""


class Failed(Exception):
    """The peer under test, or the suite itself, did not do what it had to."""


def main():
    arguments = parse_arguments()
    cache = pathlib.Path(arguments.cache).resolve()
    try:
        wstest = install(cache)
    except NotRun as reason:
        print(f"NOT RUN: {reason}", file=sys.stderr)
        return 77
    asked_for = CASES if arguments.full or arguments.write else SAMPLE
    deadline = FULL_DEADLINE if asked_for is CASES else DEADLINE
    indices, passed = {}, True
    for name, subject in subjects(arguments).items():
        reports = cache / "autobahn-reports" / name
        cases = OVER_TLS if subject.tls else asked_for
        started = time.monotonic()
        try:
            index = run(wstest, subject, reports, cases, deadline)
        except Failed as reason:
            print(f"{subject.title}: FAILED: {reason}")
            passed = False
            continue
        problems = verdict(cases, index)
        for number, (case, problem) in enumerate(problems):
            print(f"{subject.title}: FAILED: {case} {problem}")
            if number < EVIDENCE:
                print(evidence(reports, case))
        if len(problems) > EVIDENCE:
            print(f"{subject.title}: the wire logs of all cases are in {reports}")
        passed &= not problems
        indices[name] = index
        print(f"{subject.title}: {summary(index)}, {time.monotonic() - started:.0f} s")
    if arguments.write:
        RESULTS.write_text(table(indices))
    return 0 if passed else 1


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("subject", nargs="*")
    parser.add_argument("--bin", default=ROOT / "target" / "verify")
    parser.add_argument("--cache", default=os.environ.get("OPENLINE_CACHE", ROOT / ".cache"))
    parser.add_argument("--url")
    parser.add_argument("--client-command")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.subject) - set(ours("") | over_tls("")):
        parser.error(f"unknown subject: {', '.join(unknown)}")
    if arguments.write and (arguments.subject or arguments.url or arguments.client_command):
        parser.error("--write wants all three subjects: name none")
    return arguments


def subjects(arguments):
    if arguments.url:
        return {"other": Subject("server", arguments.url, url=arguments.url)}
    if arguments.client_command:
        return {"other": Subject("client", arguments.client_command, shlex.split(arguments.client_command))}
    programs = pathlib.Path(arguments.bin).resolve()
    known = ours(programs) | over_tls(programs)
    return {name: known[name] for name in arguments.subject or ours("")}


# The gate


def verdict(cases, index):
    """What is wrong with a report: pairs of case and problem, none when the subject passed."""
    problems = [(case, "is missing from the report") for case in cases if case not in index]
    problems += [(case, "was not asked for") for case in index if case not in cases]
    for case in (case for case in cases if case in index):
        found = index[case]["behavior"], index[case]["behaviorClose"]
        wanted = {("INFORMATIONAL", "INFORMATIONAL")} if case in INFORMATIONAL else {("OK", "OK")}
        if found not in wanted:
            problems.append((case, f"behavior {found[0]}, behaviorClose {found[1]}"))
    return problems


def evidence(reports, case):
    """What the suite saw in one case: its own words and the end of the wire log."""
    files = list(reports.glob(f"*/*_case_{case.replace('.', '_')}.json"))
    if not files:
        return "    no report of this case"
    report = json.loads(files[0].read_text())
    lines = [f"{key}: {report[key]}" for key in ("description", "expectation", "result", "resultClose", "received")]
    lines += [f"close codes: the peer's {report['remoteCloseCode']}, the suite's {report['localCloseCode']}"]
    lines += [f"unclean: {report['wasNotCleanReason']}"] if not report["wasClean"] else []
    lines += [f"wire: {entry}" for entry in report["wirelog"][-12:]]
    return "\n".join("    " + line[:400].replace("\n", " ") for line in lines)


def summary(index):
    counts = collections.Counter(entry["behavior"] for entry in index.values())
    return f"{len(index)} cases: " + ", ".join(f"{count} {behavior}" for behavior, count in counts.most_common())


# Running


def run(wstest, subject, reports, cases, seconds):
    """Runs cases, in shards side by side, and gives back one index of what the suite found."""
    shutil.rmtree(reports, ignore_errors=True)
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as cleanup:
        if subject.role == "server" and subject.command:
            subject = subject._replace(url=cleanup.enter_context(server(subject.command)) + subject.url)
            if subject.tls:
                subject = subject._replace(url=subject.url.replace("ws://", "wss://"))
        shards = []
        for number in range(SHARDS):
            home = reports / str(number)
            home.mkdir(parents=True)
            start = fuzz_server if subject.role == "server" else fuzz_client
            shards.append((home, start(wstest, home, cases[number::SHARDS], subject, cleanup)))
        for home, process in shards:
            try:
                status = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise Failed(f"not done after {seconds} s; the end of {end_of_log(home)}")
            if status != 0:
                raise Failed(f"exit status {status}; the end of {end_of_log(home)}")
    index = {}
    for home, _ in shards:
        if not (home / "index.json").exists():
            raise Failed(f"there is no report; the end of {end_of_log(home)}")
        for cases in json.loads((home / "index.json").read_text()).values():
            index.update(cases)
    return index


def fuzz_server(wstest, home, cases, subject, cleanup):
    """One shard of cases against a server: the suite is the client, and ends when it is through."""
    spec = {"outdir": str(home), "servers": [{"agent": "openline", "url": subject.url}], "cases": cases}
    return suite(wstest, "fuzzingclient", home, spec, cleanup)


def fuzz_client(wstest, home, cases, subject, cleanup):
    """One shard of cases against a client: the suite is the server, and the client under test ends when it is through."""
    with socket.socket() as probe:  # the suite cannot say which port it got, so it is told a free one
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"{'wss' if subject.tls else 'ws'}://127.0.0.1:{port}"
    spec, environment = {"outdir": str(home), "url": url, "cases": cases}, dict(os.environ)
    if subject.tls:
        certificate, key = map(str, certificate_in(home))
        spec |= {"cert": certificate, "key": key}
        environment["SSL_CERT_FILE"] = certificate
    process = suite(wstest, "fuzzingserver", home, spec, cleanup)
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            break
        if process.poll() is not None:
            raise Failed(f"the fuzzing server did not start; the end of {end_of_log(home)}")
        time.sleep(0.05)
    return started([*subject.command, url, "openline"], home / "log", cleanup, env=environment)


def certificate_in(home):
    """A certificate for this machine that nobody vouches for, and its key."""
    certificate, key = home / "certificate.pem", home / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    done = subprocess.run([*command, "-out", certificate, "-keyout", key], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"cannot make a certificate: {done.stderr}")
    return certificate, key


def suite(wstest, mode, home, spec, cleanup):
    (home / "spec.json").write_text(json.dumps({**spec, "exclude-cases": [], "exclude-agent-cases": {}}))
    command = [str(wstest), "--mode", mode, "--spec", "spec.json", "--webport", "0"]
    return started(command, home / "log", cleanup, cwd=home)


def started(command, log, cleanup, **options):
    file = cleanup.enter_context(open(log, "ab"))
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **options)
    except OSError as error:
        raise Failed(f"cannot start {command[0]}: {error}")
    cleanup.callback(end, process)
    return process


def end_of_log(home):
    return f"{home}/log:\n{(home / 'log').read_text(errors='replace')[-2000:]}"


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def server(command):
    """Starts a server on a free port and reads from what it prints which one that was."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise Failed(f"cannot start {command[0]}: {error}")
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if address := re.search(r"(?:127\.0\.0\.1|\[::1\]|localhost):\d+", line):
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield f"ws://{address[0]}"
                return
        raise Failed(f"{command[0]} printed no address, but:\n{''.join(said)}")
    finally:
        end(process)


# The environment


def install(cache):
    """The path of `wstest`, in an environment made once for this list of requirements."""
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    home = cache / f"autobahn-{stamp}"
    wstest = home / "v27" / "bin" / "wstest"
    if (home / "complete").exists() and wstest.exists():
        return wstest
    python = python27()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    print("installing the Autobahn|Testsuite (once, about a minute)", flush=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", home / "v3"],
        [home / "v3/bin/pip", "install", *quiet, "virtualenv<20.22"],  # newer ones cannot make 2.7 environments
        [home / "v3/bin/virtualenv", "--quiet", "--python", python, home / "v27"],
        [home / "v27/bin/pip", "install", *quiet, "--requirement", REQUIREMENTS],
    ):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotRun(f"cannot install: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    (home / "complete").touch()
    return wstest


def python27():
    candidates = [shutil.which(name) for name in ("python2.7", "python2")]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        candidates += sorted(pathlib.Path(root).glob("versions/2.7*/bin/python2.7"))
    for python in filter(None, candidates):
        # A pyenv shim is found on PATH even when it stands for nothing: ask it.
        asked = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
        if asked.stdout.strip() == "(2, 7)":
            return python
    raise NotRun("the Autobahn|Testsuite needs Python 2.7, and there is none on PATH or in pyenv")


# The table

GROUPS = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Closing handshake",
    "9": "Limits and performance",
    "10": "Automatic fragmentation",
    "12": "Compression of different data",
    "13": "Compression with different parameters",
}


def table(indices):
    subjects = ours("")
    lines = [
        "# Autobahn|Testsuite 25.10.1",
        "",
        "Cases that are OK in both `behavior` and `behaviorClose`, of all in the group. Renewed by `run.py --write`.",
        "",
        "| group | " + " | ".join(f"`{subject.title}`" for subject in subjects.values()) + " |",
        "|---|" + "---|" * len(subjects),
    ]
    for group, title in GROUPS.items():
        cases = [case for case in CASES if case.split(".")[0] == group]
        cells = [cell(cases, indices.get(name, {})) for name in subjects]
        lines.append(f"| {group} {title} | " + " | ".join(cells) + " |")
    lines.append("| **all** | " + " | ".join(f"**{cell(CASES, indices.get(name, {}))}**" for name in subjects) + " |")
    lines += ["", f"Informational are {', '.join(sorted(INFORMATIONAL))}: they only report, and cannot be OK.", ""]
    return "\n".join(lines)


def cell(cases, index):
    passed = {case for case in cases if case in index and not verdict([case], {case: index[case]})}
    informational = len(passed & INFORMATIONAL)
    return f"{len(passed) - informational} of {len(cases)}" + f" + {informational} informational" * bool(informational)


if __name__ == "__main__":
    sys.exit(main())
