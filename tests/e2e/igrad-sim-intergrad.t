#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""igrad-sim paper --intergrad: its rows are what `network` costs, and areas are as worked out by hand."""
import json
import math
import os
import sys

sys.dont_write_bytecode = True
from tap import finish, note, ok, output, parsed, refuses, same, tmp, top, write  # noqa: E402

FIELDS = ["network", "n", "cols", "baseline_n", "baseline_cols", "equal", "overlap", "baseline", "schedule", "cycles_ratio",
          "access_ratio", "energy_ratio", "cycles", "accesses", "energy_pj", "baseline_cycles", "baseline_accesses",
          "baseline_energy_pj", "layer", "part", "in", "out", "batch", "count"]
FIXED = ["ws-paper", "ws", "ws+os"]
VECTOR = ("vector_read", "vector_write")


def near(a, b):
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b))


def accesses(result):
    return sum(v for k, v in result["sram_by_operand"].items() if k not in VECTOR)


def row_key(row):
    return row["equal"], row["baseline"], row["schedule"], row["layer"], row["part"]


def check_rows(rows, what):
    """What must hold of any row."""
    same({tuple(r) for r in rows}, {tuple(FIELDS)}, f"{what}: the fields, and no others")
    same(len({(r["network"], row_key(r)) for r in rows}), len(rows), f"{what}: nothing is compared twice")
    ok(all(near(r[f"{k}_ratio"], r[f"baseline_{plural}"] / r[plural]) for r in rows
           for k, plural in (("cycles", "cycles"), ("access", "accesses"), ("energy", "energy_pj"))), f"{what}: ratios are baseline / ours")
    same({r["equal"] for r in rows}, {"array", "area"}, f"{what}: at equal size and at equal area")
    ok(all((r["layer"] is None) == (r["in"] is None) == (r["count"] is None) and (r["part"] == "backward" or r["layer"] is None)
           for r in rows), f"{what}: totals have no layer")
    ok(all(r["baseline_n"] == r["n"] for r in rows if r["equal"] == "array" or r["baseline"] == "ws+os"),
       f"{what}: the same array where nothing else is said")


net = write("block.net", """
network block
input 8 x 10 x 10
conv1: conv out=16 kernel=3 pad=1 bias=off
       batchnorm
       relu
conv2: conv out=16 kernel=3 pad=1 bias=off
bn2:   batchnorm
       add from=bn2,conv1
conv3: conv out=16 kernel=3 pad=1 bias=off
       pool type=average kernel=all
       flatten
fc:    linear out=10
""")
device = ["--rows", 16, "--cols", 8, "--sram-kib", 256, "--dram-bytes-per-cycle", 32, "--dram-latency", 10, "--batch", 4]
rows = parsed("paper", "--intergrad", net, *device)
check_rows(rows, "a block")
same({r["network"] for r in rows}, {"block"}, "the network's name")
same({(r["n"], r["cols"], r["batch"], r["overlap"]) for r in rows}, {(16, 8, 4, "on")}, "the device and the batch that were asked for")
same({(r["layer"], r["count"]) for r in rows}, {("conv1", 1), ("conv2", 2), ("fc", 1), (None, None)}, "equal layers are one row")

# ------------------------------------------------------------------ the same figures as network's
costs = parsed("network", net, *device)
layers = {n["name"]: n for n in costs["layers"]}
same(layers["conv2"]["backward"], layers["conv3"]["backward"], "conv3 is like conv2")
passes = {(name, r["schedule"]): r for name, n in layers.items() if n["costed"] for r in n["backward"]}
wrong = []
for r in rows:
    if r["layer"] and r["equal"] == "array":
        ours, theirs = passes[r["layer"], r["schedule"]], passes[r["layer"], r["baseline"]]
        wrong += [(r["layer"], r["baseline"]) for a, b in (
            (r["cycles"], ours["cycles"]), (r["accesses"], accesses(ours)), (r["energy_pj"], ours["energy_pj"]),
            (r["baseline_cycles"], theirs["cycles"]), (r["baseline_accesses"], accesses(theirs)),
            (r["baseline_energy_pj"], theirs["energy_pj"])) if not near(a, b)]
same(wrong, [], "layers cost what network says")
offered = {s for s in FIXED + ["interleaved", "auto"] if all(any(r["schedule"] == s for r in n["backward"]) for n in layers.values() if n["costed"])}
totals = [r for r in rows if r["layer"] is None]
same({(r["equal"], r["baseline"], r["schedule"], r["part"]) for r in totals},
     {(e, b, s, p) for e in ("array", "area") for b in offered & set(FIXED) for s in offered & {"interleaved", "auto"} for p in ("backward", "step")},
     "totals of all schedules that do all layers")
ok({"ws+os", "interleaved"} <= offered, "these at least")
for r in totals:
    if r["equal"] == "array" and r["baseline"] == "ws+os":
        others = sum(n["forward"]["cycles"] for n in layers.values() if n["costed"]) + sum(v["cycles"] for v in costs["vector"].values())
        same(r["baseline_cycles"], (others if r["part"] == "step" else 0) + sum(passes[n, "ws+os"]["cycles"] for n in layers if layers[n]["costed"]),
             f"{r['schedule']}, {r['part']}: the total is the sum of all layers")
if "auto" in offered:
    best = {name: min(passes[name, s]["cycles"] for s in offered - {"auto"}) for name, n in layers.items() if n["costed"]}
    ok(all(passes[name, "auto"]["cycles"] <= cycles for name, cycles in best.items()), "auto is never slower than the best")

# ------------------------------------------------------------------ equal area
text = output("paper", "--intergrad", net, *device)
ok("15325 um2" in text and "14095 um2" in text, "areas by hand: 8970 + 4360 + 32 (7 x 5.98 + 11 x 1.862), and 32 x 4 x 5.98")
for size in (16, 8), (256, 100):
    side = math.sqrt((13330 + 32 * (7 * 5.98 + 11 * 1.862)) / (13330 + 32 * 4 * 5.98))
    wanted = tuple(min(256, math.floor(side * n)) for n in size)
    got = {(r["baseline_n"], r["baseline_cols"]) for r in parsed("paper", "--intergrad", net, "--batch", 1, "--rows", size[0], "--cols", size[1])
           if r["equal"] == "area" and r["baseline"] != "ws+os"}
    ok(got <= {wanted} and (got or not offered & {"ws", "ws-paper"}), f"{size[0]} x {size[1]}: the array of the same area") or note(f"{got} {wanted}")
plain = output("paper", "--intergrad", net, *device, "--overlap", "off", "--area", "nangate-45nm")
ok(f"{11884 + 32 * (5 * 4.522 + 9 * 1.862):.0f} um2" in plain and f"{11884 + 32 * 3 * 4.522:.0f} um2" in plain,
   "without shadow registers, by another table")
with open(os.path.join(top, "tools/sim/area/aladdin-40nm.json")) as source:
    table = json.load(source)
table["name"] = "mine"
table["entries"]["register_bit"]["value"] = 1e4
small = output("paper", "--intergrad", net, *device, "--area", write("mine.json", json.dumps(table)))
ok("mine: " in small and "21 x 10 take" in small, "a table of one's own, in which registers are all that counts: sqrt(7/4) x 16 and x 8")
for break_it, wanted in [(lambda t: t["entries"].pop("add"), 'no entry "add"'), (lambda t: t.pop("about"), "about"),
                         (lambda t: t["entries"]["add"].pop("source"), '"add" has no source'),
                         (lambda t: t["entries"]["add"].update(value=0), '"add" has no positive value'),
                         (lambda t: t.update(entries=3), "no entry")]:
    bad = json.loads(json.dumps(table))
    break_it(bad)
    refuses(1, wanted, f"a table without what it needs: {wanted}", "paper", "--intergrad", "--area", write("bad.json", json.dumps(bad)))
refuses(1, "cannot be read", "no table", "paper", "--intergrad", "--area", "/nowhere/x")
refuses(1, "cannot be read", "no JSON", "paper", "--intergrad", "--area", write("no.json", "{"))

# ------------------------------------------------------------------ text, other options
rows = {row_key(r): r for r in parsed("paper", "--intergrad", net, "nets/lenet5.net", *device) if r["network"] == "lenet5"}
check_rows(list(rows.values()), "LeNet-5")
same({k[3] for k in rows}, {"c1", "c3", "c5", "f6", "scores", None}, "LeNet-5's layers")
text = output("paper", "--intergrad", "nets/lenet5.net", *device)
total = rows["array", "ws+os", "interleaved", None, "backward"]
ok(f"{100 * (1 - 1 / total['access_ratio']):6.1f} {100 * (1 - 1 / total['energy_ratio']):6.1f}" in text, "percent that is saved, in the text")
ok(all(w in text for w in ("up to 25 %", "TCAS-I", "aladdin-40nm", "Shao", "what the vector unit does", "batch 4", "256 KiB")),
   "the text says what is claimed, and what is measured")
relative = parsed("paper", "--intergrad", net, *device, "--energy", "eyeriss-relative")
ok(all(r["energy_pj"] is None and r["energy_ratio"] > 0 for r in relative), "energy without a unit of pJ")
momentum = {row_key(r): r for r in parsed("paper", "--intergrad", net, *device, "--optimizer", "momentum")}
first = "array", "ws+os", "interleaved", "conv2", "backward"
sgd = {row_key(r): r for r in parsed("paper", "--intergrad", net, *device)}[first]
ok(momentum[first]["accesses"] > sgd["accesses"], "momentum takes more accesses")
refuses(2, "without --intergrad", "options of the comparison alone", "paper", "--batch", 3)
refuses(2, "without --intergrad", "files of the comparison alone", "paper", net)
refuses(2, "does not go with paper", "schedules are given", "paper", "--intergrad", "--schedule", "ws")
refuses(1, "/nowhere.net", "no network", "paper", "--intergrad", "--json", "/nowhere.net")
all_of_them = parsed("paper", "--intergrad", "--batch", 1)
check_rows(all_of_them, "the networks that are built in")
same(list(dict.fromkeys(r["network"] for r in all_of_them)),
     ["lenet5", "alexnet", "vgg16", "resnet18", "resnet50", "googlenet", "inception-v4", "densenet121", "densenet264"], "which they are")
shapes = parsed("network", "nets/resnet50.net", "--shapes")["layers"]
weights = [n["name"] for n in shapes if n["kind"] in ("conv", "linear")]
counted = {r["layer"]: r["count"] for r in all_of_them if r["network"] == "resnet50" and r["layer"]}
ok(sum(counted.values()) == len(weights) and set(counted) <= set(weights), "all layers of ResNet-50 are in some row")
ok(not [f for f in os.listdir(tmp) if f.endswith(".svg")], "nothing is left behind")
finish()
