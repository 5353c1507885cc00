#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A training that moves from one QEMU to the next while its jobs run, ends as one that stayed."""
import os
import random
import sys
import time

sys.dont_write_bytecode = True
from tap import finish, note, ok, same  # noqa: E402
from machine import Machine, wait_for  # noqa: E402
from training import DEVICE, NETWORK, START, expected, figures, hop, share  # noqa: E402

LONG = 4 if os.environ.get("IGRAD_TEST_LONG") else 1
RECIPE = ["--epochs", str(5 * LONG), "--batch", "64", "--lr", "0.1", "--seed", "7"]

seed = int(os.environ.get("IGRAD_TEST_SEED", time.time_ns() % 1000000))
random.seed(seed)
note(f"IGRAD_TEST_SEED={seed}")


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


directory = share(f"""/tmp/igrad-train --device drm:/dev/accel/accel0 --data /tmp/data {' '.join(RECIPE)} --save /tmp/saved --json {NETWORK} >/tmp/json
echo "saved $(sha256sum /tmp/saved | cut -d ' ' -f 1)"
cat /tmp/json
echo done
""")
digest, counts = expected(os.path.join(directory, "data"), RECIPE)
machines = [Machine("migrate", "--out", directory, "--device-props", DEVICE, "--mem", "512", command=START)]
try:
    machines[0].wait_print("ready")
    for number, kind in enumerate(("file", "unix", "file") * LONG, 1):
        if not ok(stop_at_work(machines[-1]), f"hop {number}: stopped with a job executing"):
            break
        after = hop(machines[-1], kind, number)
        if not ok(after is not None, f"hop {number}: migrated by {kind}"):
            break
        machines[-1].end()
        machines.append(after)
    last = machines[-1]
    last.wait_print("done", 600)
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
