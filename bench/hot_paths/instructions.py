#!/usr/bin/env python3
"""Counts the instructions of the core's hot paths, and compares them with those on record.

    instructions.py             compares; ends with 1 if a path takes more than 3 % more
    instructions.py --record    writes instructions.json anew
    instructions.py --bin PATH  counts with that build of `hot_paths`, instead of building it

Times on a shared machine are noise; the number of instructions of the same program on the same input is not. callgrind counts
them: each path is run twice, the second time more often, and the difference is what the additional runs took.

Which instructions there are depends on the processor: the record is for x86-64 with AVX2, and is not compared elsewhere
(status 77). A path that takes fewer is no failure: record it, so that it stays so.
"""

import argparse
import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECORD = HERE / "instructions.json"
TOLERANCE = 0.03
SLACK = 8  # instructions: a small path may gain or lose some when code around it moves
FEW, MORE = 100, 1100  # the heap and the caches of the program have settled before the hundredth run
PROCESSOR = "x86-64 with AVX2"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--bin", type=pathlib.Path)
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        return not_run("no valgrind")
    if not is_recorded_processor():
        return not_run(f"the record is for {PROCESSOR}")
    program = arguments.bin or build()
    counts = {name: count(program, name) for name in run(program).split()}
    if arguments.record:
        RECORD.write_text(json.dumps({"processor": PROCESSOR, "instructions": counts}, indent=2) + "\n")
        print(f"wrote {RECORD}")
        return 0
    return compare(counts, json.loads(RECORD.read_text())["instructions"])


def compare(counts, recorded):
    worse, better = [], []
    for name, now in counts.items():
        before = recorded.get(name)
        if before is None:
            worse.append(name)
            print(f"{name:24} {now:>12,}  not on record")
            continue
        change = now / before - 1
        word = ""
        if abs(now - before) <= SLACK:
            pass
        elif change > TOLERANCE:
            worse.append(name)
            word = "MORE"
        elif change < -TOLERANCE:
            better.append(name)
            word = "fewer"
        print(f"{name:24} {now:>12,}  {change:+8.1%} of {before:,}  {word}")
    gone = recorded.keys() - counts.keys()
    if worse or gone:
        print(f"\nmore instructions, or not on record: {', '.join([*worse, *sorted(gone)])}")
        print(f"what is worth it goes on record: {pathlib.Path(sys.argv[0])} --record")
        return 1
    if better:
        print(f"\nfewer instructions: {', '.join(better)}; put them on record: {pathlib.Path(sys.argv[0])} --record")
    print(f"{len(counts)} paths compared")
    return 0


def count(program, name):
    few, more = (collected(program, name, times) for times in (FEW, MORE))
    return round((more - few) / (MORE - FEW))


def collected(program, name, times):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, name, str(times)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name} ended with {done.returncode}:\n{done.stderr}")
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def build():
    """As users build it: with the optimisations of a release."""
    command = ["cargo", "build", "--release", "--package", "openline-hot-paths", "--bin", "hot_paths"]
    messages = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"], cwd=HERE, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    built = (json.loads(line).get("executable") for line in messages.splitlines() if line.startswith("{"))
    return next(path for path in built if path)


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def is_recorded_processor():
    if platform.machine() != "x86_64":
        return False
    return re.search(r"^flags.*\bavx2\b", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE) is not None


def not_run(why):
    print(f"NOT RUN: {why}")
    return 77


if __name__ == "__main__":
    sys.exit(main())
