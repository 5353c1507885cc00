# SPDX-License-Identifier: MIT
"""A guest that a test talks to while it runs: by QMP, and by what its command prints."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

from tap import build, note, tmp, top

PATIENCE = 120  # seconds


def wait_for(what, condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)
    return value


class Monitor:
    """QMP: commands in, answers out; events are kept by name."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        wait_for(f"no monitor at {path}", lambda: os.path.exists(path))
        self.socket.settimeout(PATIENCE)
        wait_for(f"{path} does not answer", lambda: self.socket.connect_ex(path) == 0)
        self.stream = self.socket.makefile("rw")
        self.events = []
        json.loads(self.stream.readline())
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        answer = self.try_command(name, **arguments)
        if "return" not in answer:
            raise RuntimeError(f"{name} {arguments}: {answer}")
        return answer["return"]

    def try_command(self, name, **arguments):
        arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            line = self.stream.readline()
            if not line:
                raise ConnectionError(f"{name}: QEMU has gone")
            answer = json.loads(line)
            if "event" not in answer:
                return answer
            self.events.append(answer["event"])

    def devices(self, kind="igrad"):
        """Where the devices of a type are."""
        found = []
        for place in ("/machine/peripheral", "/machine/peripheral-anon"):
            found += [f"{place}/{child['name']}" for child in self.command("qom-list", path=place) if child["type"] == f"child<{kind}>"]
        return found

    def get(self, path, name):
        return self.command("qom-get", path=path, property=name)

    def set(self, path, name, value):
        self.command("qom-set", path=path, property=name, value=value)


class Machine:
    """The launcher's guest, with a monitor; its command's output goes to a file."""

    def __init__(self, name, *options, command):
        self.name = name
        self.out = os.path.join(tmp, f"{name}.out")
        self.log = os.path.join(tmp, f"{name}.log")
        monitor, pidfile = os.path.join(tmp, f"{name}.qmp"), os.path.join(tmp, f"{name}.pid")
        with open(self.out, "w") as out, open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [os.path.join(top, "tools/vm/igrad-vm"), "--name", name, *options, "--qemu-arg", "-qmp", "--qemu-arg",
                 f"unix:{monitor},server=on,wait=off", "--qemu-arg", "-pidfile", "--qemu-arg", pidfile, "--", "sh", "-c", command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log)
        try:
            self.pid = int(wait_for("the guest does not start", lambda: os.path.exists(pidfile) and open(pidfile).read().strip()))
            self.monitor = Monitor(monitor)
        except Exception:
            self.end()
            raise

    def printed(self):
        with open(self.out, errors="replace") as file:
            return file.read()

    def wait_print(self, text, seconds=PATIENCE):
        def there():
            if self.process.poll() is not None and text not in self.printed():
                note(open(self.log).read())
                raise RuntimeError(f"{self.name} ended without '{text}'")
            return text in self.printed()
        wait_for(f"{self.name} does not print '{text}'", there, seconds)

    def arguments(self):
        with open(f"/proc/{self.pid}/cmdline") as file:
            return file.read().split("\0")[:-1]

    def end(self):
        """However it stands."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


class Successor(Machine):
    """A second QEMU with the same machine, which takes over where the first one is sent to."""

    def __init__(self, before, name, incoming):
        self.name = name
        self.out = os.path.join(tmp, f"{name}.out")
        self.log = os.path.join(tmp, f"{name}.log")
        monitor = os.path.join(tmp, f"{name}.qmp")
        arguments = [self.moved(argument) for argument in before.arguments()]
        arguments[arguments.index("-qmp") + 1] = f"unix:{monitor},server=on,wait=off"
        arguments[arguments.index("-pidfile") + 1] = os.path.join(tmp, f"{name}.pid")
        # The launcher takes its own away when its QEMU ends.
        initrd = os.path.join(tmp, "initrd")
        if not os.path.exists(initrd):
            shutil.copyfile(arguments[arguments.index("-initrd") + 1], initrd)
        arguments[arguments.index("-initrd") + 1] = initrd
        if "-incoming" in arguments:
            del arguments[arguments.index("-incoming"):]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(arguments + ["-incoming", incoming], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        self.monitor = Monitor(monitor)

    def moved(self, argument):
        """Files that the first one writes are its own."""
        if argument.startswith("file,id="):
            which = argument.split(",")[1].split("=")[1]
            return f"file,id={which},path={os.path.join(tmp, f'{self.name}.{which}')}"
        if argument.startswith("file:"):
            return f"file:{os.path.join(tmp, f'{self.name}.serial')}"
        return argument

    def status(self):
        """How the guest's command ended, or None."""
        path = os.path.join(tmp, f"{self.name}.status")
        text = open(path).read().strip() if os.path.exists(path) else ""
        return int(text) if text else None
