# SPDX-License-Identifier: MIT
"""A training in a guest that does not know what happens to its machine, and what must come of it."""
import gzip
import os
import subprocess

from machine import Successor, wait_for
from tap import build, tmp

NETWORK = "784-256-128-10"
IMAGES = {"train": 9600, "t10k": 100}
DEVICE = "rows=64,cols=64"

# What the guest needs is copied into its memory: shares cannot migrate.
PREPARE = """set -e
cp /igrad/build/bin/igrad-train /tmp/igrad-train
cp -r /out/data /tmp/data
umount /out
[ ! -e /data ] || umount /data 2>/dev/null || true
umount /igrad/build 2>/dev/null || true
umount /igrad
echo ready
"""


def small_data(path):
    """The first images of the data set: unpacking all takes an emulated guest too long."""
    os.mkdir(path)
    for part, count in IMAGES.items():
        for name, head, size in ((f"{part}-images-idx3-ubyte", 16, 784), (f"{part}-labels-idx1-ubyte", 8, 1)):
            with gzip.open(os.path.join(build, "data", name + ".gz")) as file:
                data = file.read(head + count * size)
            with open(os.path.join(path, name), "wb") as file:
                file.write(data[:4] + count.to_bytes(4, "big") + data[8:])


def expected(data, recipe):
    """Its parameters and figures in the simulator."""
    saved = os.path.join(tmp, "sim.safetensors")
    done = subprocess.run([os.path.join(build, "bin/igrad-train"), "--device", f"sim:{DEVICE}", "--data", data, *recipe, "--save", saved,
                           "--json", NETWORK], check=True, capture_output=True, text=True)
    digest = subprocess.run(["sha256sum", saved], check=True, capture_output=True, text=True).stdout.split()[0]
    return digest, figures(done.stdout)


def figures(text):
    """What does not depend on the clock of who measured."""
    words = text.replace("{", ",").replace("}", ",").split(",")
    return [word for word in words if word.split(":")[0] in ('"cycles"', '"macs"', '"sram_accesses"', '"dram_bytes"')]


def share(job):
    """A directory for the guest, with data and a script that it is to run."""
    path = os.path.join(tmp, "share")
    os.mkdir(path)
    small_data(os.path.join(path, "data"))
    with open(os.path.join(path, "job"), "w") as file:
        file.write(PREPARE + job)
    return path


START = "cp /out/job /tmp/job && cd / && exec sh /tmp/job"


def migrate(machine, uri):
    machine.monitor.command("migrate", uri=uri)

    def status():
        now = machine.monitor.command("query-migrate").get("status")
        return now if now in ("completed", "failed") else None
    return wait_for("the migration does not end", status) == "completed"


def hop(machine, kind, number):
    """To a file that is read afterwards, or to a process that listens already."""
    path = os.path.join(tmp, f"hop{number}")
    if kind == "file":
        good = migrate(machine, f"file:{path}")
        after = Successor(machine, f"{machine.name.rstrip('0123456789')}{number}", f"file:{path}") if good else None
    else:
        after = Successor(machine, f"{machine.name.rstrip('0123456789')}{number}", f"unix:{path}")
        wait_for("nobody listens", lambda: os.path.exists(path))
        good = migrate(machine, f"unix:{path}")
    if good:
        wait_for("the state does not arrive", lambda: after.monitor.command("query-status")["status"] != "inmigrate")
        after.monitor.command("cont")
    return after if good else None
