#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A training that moves from one QEMU to the next while its jobs run, ends as one that stayed."""
import gzip
import os
import random
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from tap import build, finish, note, ok, same, tmp  # noqa: E402
from machine import Machine, Successor, wait_for  # noqa: E402

NETWORK = "784-256-128-10"
RECIPE = ["--epochs", "5", "--batch", "64", "--lr", "0.1", "--seed", "7"]
IMAGES = {"train": 9600, "t10k": 100}
DEVICE = "rows=64,cols=64"

seed = int(os.environ.get("IGRAD_TEST_SEED", time.time_ns() % 1000000))
random.seed(seed)
note(f"IGRAD_TEST_SEED={seed}")


def small_data(path):
    """The first images of the data set: unpacking all takes an emulated guest too long."""
    os.mkdir(path)
    for part, count in IMAGES.items():
        for name, head, size in ((f"{part}-images-idx3-ubyte", 16, 784), (f"{part}-labels-idx1-ubyte", 8, 1)):
            with gzip.open(os.path.join(build, "data", name + ".gz")) as file:
                data = file.read(head + count * size)
            with open(os.path.join(path, name), "wb") as file:
                file.write(data[:4] + count.to_bytes(4, "big") + data[8:])


def expected(data):
    """Its parameters and figures in the simulator."""
    saved = os.path.join(tmp, "sim.safetensors")
    done = subprocess.run([os.path.join(build, "bin/igrad-train"), "--device", f"sim:{DEVICE}", "--data", data, *RECIPE, "--save", saved,
                           "--json", NETWORK], check=True, capture_output=True, text=True)
    digest = subprocess.run(["sha256sum", saved], check=True, capture_output=True, text=True).stdout.split()[0]
    return digest, figures(done.stdout)


def figures(text):
    """What does not depend on the clock of who measured."""
    words = text.replace("{", ",").replace("}", ",").split(",")
    return [word for word in words if word.split(":")[0] in ('"cycles"', '"macs"', '"sram_accesses"', '"dram_bytes"')]


def stop_at_work(machine):
    """Stopped at any moment at which a job is executing."""
    device = machine.monitor.devices()[0]
    time.sleep(random.uniform(0, 0.4))
    for _ in range(2000):
        machine.monitor.command("stop")
        if machine.monitor.get(device, "state") == "running":
            return True
        machine.monitor.command("cont")
        time.sleep(random.uniform(0, 0.01))
    return False


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
        after = Successor(machine, f"migrate{number}", f"file:{path}") if good else None
    else:
        after = Successor(machine, f"migrate{number}", f"unix:{path}")
        wait_for("nobody listens", lambda: os.path.exists(path))
        good = migrate(machine, f"unix:{path}")
    if good:
        wait_for("the state does not arrive", lambda: after.monitor.command("query-status")["status"] != "inmigrate")
        after.monitor.command("cont")
    return after if good else None


data = os.path.join(tmp, "share", "data")
os.mkdir(os.path.dirname(data))
small_data(data)
with open(os.path.join(tmp, "share", "job"), "w") as file:
    file.write(f"""set -e
cp /igrad/build/bin/igrad-train /tmp/igrad-train
cp -r /out/data /tmp/data
umount /out
[ ! -e /data ] || umount /data 2>/dev/null || true
umount /igrad/build 2>/dev/null || true
umount /igrad
echo ready
/tmp/igrad-train --device drm:/dev/accel/accel0 --data /tmp/data {' '.join(RECIPE)} --save /tmp/saved --json {NETWORK} >/tmp/json
echo "saved $(sha256sum /tmp/saved | cut -d ' ' -f 1)"
cat /tmp/json
echo done
""")

digest, counts = expected(data)
machines = [Machine("migrate", "--out", os.path.join(tmp, "share"), "--device-props", DEVICE, "--mem", "512",
                    command="cp /out/job /tmp/job && cd / && exec sh /tmp/job")]
try:
    machines[0].wait_print("ready")
    for number, kind in enumerate(("file", "unix", "file"), 1):
        if not ok(stop_at_work(machines[-1]), f"hop {number}: stopped with a job executing"):
            break
        after = hop(machines[-1], kind, number)
        if not ok(after is not None, f"hop {number}: migrated by {kind}"):
            break
        machines[-1].end()
        machines.append(after)
    last = machines[-1]
    last.wait_print("done")
    printed = last.printed()
    same(printed.split("saved ")[1].split()[0], digest, "the same parameters as in the simulator")
    same(figures(printed), counts, "the same cycles and accesses as in the simulator")
    ok(len(counts) >= 3, "there are such figures")
    wait_for("the guest does not end", lambda: last.status() is not None)
    same(last.status(), 0, "the guest ends well")
except Exception as error:  # pylint: disable=broad-except
    ok(False, f"{type(error).__name__}: {error}")
    for machine in machines:
        note(open(machine.log).read())
finally:
    for machine in machines:
        machine.end()
finish()
