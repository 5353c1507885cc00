# SPDX-License-Identifier: MIT
"""For end-to-end tests in Python: TAP, a directory of one's own, and programs to run."""
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile

top = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
build = os.environ.get("BUILD_DIR", os.path.join(top, "build"))
tmp = tempfile.mkdtemp(prefix="igrad-e2e.")
atexit.register(shutil.rmtree, tmp, True)
os.chdir(top)
number = 0
failed = False


def ok(condition, what):
    global number, failed
    number += 1
    failed |= not condition
    print(f"{'ok' if condition else 'not ok'} {number} - {what}", flush=True)
    return condition


def note(text):
    for line in str(text).splitlines():
        print("#", line, flush=True)


def same(got, wanted, what):
    if not ok(got == wanted, what):
        note(f"got    {got!r}\nwanted {wanted!r}")


def finish():
    print(f"1..{number}")
    sys.exit(failed)


def write(name, text):
    path = os.path.join(tmp, name)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


def run(*args, **more):
    return subprocess.run([os.path.join(build, "bin", "igrad-sim"), *map(str, args)], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, **more)


def output(*args):
    """What it prints, when all goes well and without a word on stderr."""
    result = run(*args)
    if result.returncode or result.stderr:
        ok(False, f"igrad-sim {' '.join(map(str, args))}: exit {result.returncode}")
        note(result.stderr)
        finish()
    return result.stdout


def parsed(*args):
    return json.loads(output(*args, "--json"))


def refuses(status, wanted, what, *args, **more):
    """Exits so, says so on stderr in one or two lines, and nothing on stdout."""
    result = run(*args, **more)
    wanted = [wanted] if isinstance(wanted, str) else wanted
    good = result.returncode == status and all(w in result.stderr for w in wanted) and not result.stdout
    if not ok(good and 1 <= len(result.stderr.splitlines()) <= 2, what):
        note(f"exit {result.returncode}, wanted {status} and {wanted}\n{result.stderr}{result.stdout}")
