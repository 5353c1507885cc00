#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""igrad-sim's figures: what belongs together agrees, and small cases are as worked out by hand."""
import csv
import io
import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree

sys.dont_write_bytecode = True
import tap  # noqa: E402
from tap import finish, note, ok, output, parsed, refuses, same, tmp, top, write  # noqa: E402

FIELDS = ["schedule", "cycles", "utilization", "macs", "sram_reads", "sram_writes", "sram_by_operand", "dram_read_bytes",
          "dram_write_bytes", "energy_pj", "energy_table"]
FIXED = ["ws-paper", "ws", "ws+os", "interleaved"]


def near(a, b):
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b))


def file(name):
    return os.path.join(tmp, name)


def check_result(result, rows, cols, what):
    """What must hold of any result."""
    same(list(result), FIELDS, f"{what}: the fields, and no others")
    operands = result["sram_by_operand"]
    ok(sum(operands.values()) == result["sram_reads"] + result["sram_writes"]
       and sum(v for k, v in operands.items() if "_read" in k) == result["sram_reads"], f"{what}: operands add up")
    ok(near(result["utilization"], result["macs"] / (result["cycles"] * rows * cols)) and result["utilization"] <= 1,
       f"{what}: utilization")
    table = result["energy_table"]
    ok(near(sum(e["energy"] for e in table["entries"].values()), table["total"])
       and all(e["source"] and e["bits"] and e["value"] >= 0 for e in table["entries"].values()),
       f"{what}: parts of the energy add up, each with width and source")


# ------------------------------------------------------------------ one layer
size = ["--in", 100, "--out", 60, "--batch", 24, "--rows", 16, "--cols", 8]
results = parsed("layer", *size)
same([r["schedule"] for r in results], FIXED + ["auto"], "all schedules")
for result in results:
    check_result(result, 16, 8, result["schedule"])
    same(result["macs"], 2 * 100 * 60 * 24, f"{result['schedule']}: multiply-adds of both gradients")
    ok(result["dram_read_bytes"] >= 4 * (24 * 100 + 24 * 60 + 6000) and
       result["dram_write_bytes"] >= 4 * (24 * 100 + 6000), f"{result['schedule']}: at least the compulsory bytes")
    same(parsed("layer", *size, "--schedule", result["schedule"]), result, f"{result['schedule']}: alone, one object, the same")
by_name = {r["schedule"]: r for r in results}
same(parsed("layer", *size, "--schedule", "interleaved,ws"), [by_name["ws"], by_name["interleaved"]], "several schedules")
ok(by_name["auto"]["cycles"] == min(by_name[s]["cycles"] for s in FIXED), "auto has the least cycles")
table = by_name["ws"]["energy_table"]
same((table["name"], table["unit"]), ("horowitz-45nm", "pJ"), "the table")
ok(near(by_name["ws"]["energy_pj"], table["total"]), "energy in pJ")
ok(near(table["entries"]["mac_fp32"]["energy"], 2 * 100 * 60 * 24 * 4.6), "energy of the multiply-adds")
dram = sum(by_name["ws"][k] for k in ("dram_read_bytes", "dram_write_bytes"))
ok(near(table["entries"]["dram"]["energy"], dram / 8 * 1950), "energy of DRAM")
words = by_name["ws"]["sram_reads"] + by_name["ws"]["sram_writes"]
same((table["entries"]["sram"]["kib"], table["entries"]["sram"]["scaled"]), (1024, True), "SRAM larger than the table's")
ok(near(table["entries"]["sram"]["energy"], words / 2 * 200), "energy of SRAM, scaled")
ok(all(table["entries"][e]["energy"] > 0 for e in ("pe_register", "pe_hop")), "energy inside the array")

relative = parsed("layer", *size, "--schedule", "ws", "--energy", "eyeriss-relative")
same((relative["energy_pj"], relative["energy_table"]["unit"]), (None, "MAC"), "no pJ where the unit is another")
ok(near(relative["energy_table"]["entries"]["dram"]["energy"], dram / 2 * 200), "energy relative to a multiply-add")
with open(os.path.join(top, "lib/energy/horowitz-45nm.json")) as source:
    mine = json.load(source)
mine["name"] = "mine"
mine["entries"]["dram"]["value"] = 0
mine = parsed("layer", *size, "--schedule", "ws", "--energy", write("mine.json", json.dumps(mine)))
ok(mine["energy_table"]["name"] == "mine" and
   near(mine["energy_pj"], by_name["ws"]["energy_pj"] - table["entries"]["dram"]["energy"]), "a table of one's own")
text = output("layer", *size, "--energy", "eyeriss-relative")
ok("eyeriss-relative" in text and "ISCA 2016" in text and "energy, MAC" in text, "the table is printed with the result")
ok(all(f"\n{s} " in text for s in FIXED), "schedules side by side")

plain, = [by_name["interleaved"]]
for more, what, check in [
        (["--no-input-gradient"], "no input gradient", lambda r: r["macs"] * 2 == plain["macs"]),
        (["--bias"], "bias", lambda r: r["sram_by_operand"]["vector_read"] >= 24 * 60),
        (["--relu"], "ReLU", lambda r: r["dram_read_bytes"] >= plain["dram_read_bytes"] + 4 * 24 * 60),
        (["--optimizer", "momentum"], "momentum", lambda r: r["dram_read_bytes"] >= plain["dram_read_bytes"] + 4 * 6000),
        # w, both moments and dW are read, all but dW is written; neither the array nor anything else updates
        (["--optimizer", "adam"], "Adam", lambda r: (r["sram_by_operand"]["update_read"] - 4 * 6000) % 7 == 0 and
         r["sram_by_operand"]["update_write"] == 3 * 6000 and r["energy_table"]["entries"]["update"]["energy"] == 0 and
         r["dram_read_bytes"] >= plain["dram_read_bytes"] + 2 * 4 * 6000),
        (["--decay", "0.1"], "decay", lambda r: r["energy_table"]["entries"]["update"]["energy"] ==
         2 * plain["energy_table"]["entries"]["update"]["energy"]),
        (["--overlap", "off"], "no overlap", lambda r: r["cycles"] > plain["cycles"]),
        (["--sram-kib", "16"], "small SRAM", lambda r: r["energy_table"]["entries"]["sram"]["value"] == 20),
        (["--dram-bytes-per-cycle", "1"], "narrow DRAM", lambda r: r["cycles"] >= plain["dram_read_bytes"]),
        (["--dram-latency", "10000"], "slow DRAM", lambda r: r["cycles"] >= plain["cycles"] + 9900),
        (["--forward"], "forward", lambda r: r["macs"] * 2 == plain["macs"] and r["schedule"] == "forward")]:
    result = parsed("layer", *size, "--schedule", "interleaved", *more)
    check_result(result, 16, 8, what)
    if not ok(check(result), f"{what}: does what it should"):
        note(result)
half = parsed("layer", *size, "--schedule", "interleaved", "--dtype", "bf16")
check_result(half, 16, 8, "bf16")
entries, operands = half["energy_table"]["entries"], half["sram_by_operand"]
ok(entries["mac_fp32"]["energy"] == 0 and near(entries["mac_bf16"]["energy"], half["macs"] * 2.0), "bf16: multiply-adds")
same([(operands[k], operands[k + "_16"]) for k in ("x_read", "g_read")], [(0, plain["sram_by_operand"][k]) for k in ("x_read", "g_read")],
     "bf16: streams are of half words")
# x, dy and dx are half as large, w is not
same((plain["dram_read_bytes"] - half["dram_read_bytes"], plain["dram_write_bytes"] - half["dram_write_bytes"]),
     (2 * 24 * (100 + 60), 2 * 24 * 100), "bf16: bytes of DRAM")

for objective, key in ("energy", lambda r: r["energy_pj"]), ("dram", lambda r: r["dram_read_bytes"] + r["dram_write_bytes"]):
    results = {r["schedule"]: r for r in parsed("layer", *size, "--objective", objective)}
    ok(key(results["auto"]) == min(key(results[s]) for s in FIXED), f"auto has the least {objective}")

# ------------------------------------------------------------------ a convolution
window = ["layer", "--in", 12, "--out", 20, "--batch", 3, "--rows", 16, "--cols", 8, "--image", "9x14", "--kernel", "3x5", "--stride", "1x2",
          "--pad", "1,0,2,3", "--dilation", "2x1"]
for result in parsed(*window):
    # 6 x 8 places of 3 x 5 taps; of the rows at y - 1 + 2k, one is above the image; of the columns at 2x - 2 + k, some are beside it
    inside = sum(0 <= y - 1 + 2 * k < 9 for y in range(6) for k in range(3)) * sum(0 <= 2 * x - 2 + k < 14 for x in range(8) for k in range(5))
    check_result(result, 16, 8, f"convolution, {result['schedule']}")
    same(result["macs"], 2 * inside * 12 * 20 * 3, f"convolution, {result['schedule']}: multiply-adds of both gradients")
    ok(result["dram_read_bytes"] >= 4 * (3 * 9 * 14 * 12 + 3 * 6 * 8 * 20 + 15 * 240) and
       result["dram_write_bytes"] >= 4 * (3 * 9 * 14 * 12 + 15 * 240), f"convolution, {result['schedule']}: at least the compulsory bytes")
text = output(*window, "--forward", "--trace", file("conv.json"), "--svg", file("conv.svg"))
ok("12 in, 20 out, 3 x 5 on 9 x 14 by 1 x 2, batch 3" in text, "convolution: text")
output(*window, "--schedule", "interleaved", "--trace", file("conv.json"))
with open(file("conv.json")) as source:
    events = [e for e in json.load(source)["traceEvents"] if e["ph"] == "X"]
registers = {k: v for e in events if e["name"] == "WINDOW" for k, v in e["args"].items()}
same([registers[k] for k in ("width", "out_width", "stride_y", "stride_x")], [14, 8, 1, 2], "convolution: window registers in a trace")
streams = {e["name"].rpartition(" b")[0]: e["args"] for e in events if e["name"].startswith("INTERLEAVED")}
same({n.split()[1]: a["tap_x"] for n, a in streams.items()}, {f"k{k}": k % 5 - 2 for k in range(15)}, "convolution: positions of the kernel")
same(len(streams), 15 * 3, "convolution: its tiles")
rows = parsed("sweep", "--in", 12, "--out", 20, "--image", "9x14", "--kernel", 3, "--arrays", "8,16", "--batches", "1,2", "--schedule", "interleaved")
ok(len(rows) == 4 and rows[1]["macs"] == 2 * rows[0]["macs"], "convolution: sweep")

# ------------------------------------------------------------------ explain
choices = parsed("explain", *size)
same([c["schedule"] for c in choices if c["chosen"]], [min(FIXED, key=lambda s: by_name[s]["cycles"])], "explain: one is chosen")
same({c["schedule"]: c["cycles"] for c in choices if c["best"]}, {s: by_name[s]["cycles"] for s in FIXED},
     "explain: the best of each schedule is what layer costs")
ok(all(c["why"] and c["tiling"]["words"] and sorted(c["tiling"]["order"]) == list("BIO") and
       c["dram_bytes"] >= c["dram_bound"] >= c["dram_compulsory"] for c in choices), "explain: tilings, reasons, bounds")
momentum = parsed("explain", *size, "--optimizer", "momentum", "--dtype", "bf16")
ok(momentum[0]["dram_compulsory"] == 2 * 24 * (100 + 60 + 100) + 4 * 4 * 6000, "explain: what is compulsory")
output("layer", *size, "--optimizer", "adam", "--bias", "--schedule", "interleaved", "--trace", file("adam.json"))
with open(file("adam.json")) as source:
    updates = [e["args"] for e in json.load(source)["traceEvents"] if e["name"].startswith("ADAM")]
ok(updates and all({"m", "v"} <= set(u) for u in updates), "Adam's commands in a trace")
adam = parsed("explain", *size, "--optimizer", "adam")
ok(adam[0]["dram_compulsory"] == 4 * 24 * (100 + 60 + 100) + 6 * 4 * 6000 + 28, "explain: Adam's moments")
ok("* " in output("explain", *size) and "Hong and Kung" in output("explain", *size, "--forward"), "explain: text")

# ------------------------------------------------------------------ trace and timeline
path, picture = file("trace.json"), file("timeline.svg")
for overlap in "on", "off":
    results = parsed("layer", *size, "--overlap", overlap, "--trace", path, "--svg", picture)
    with open(path) as source:
        events = json.load(source)["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    same(sorted(names.values()), sorted(r["schedule"] for r in results), f"overlap={overlap}: a process for each schedule")
    lanes = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    busy = [e for e in events if e["ph"] == "X"]
    for pid, name in names.items():
        result, = [r for r in results if r["schedule"] == name]
        mine = [e for e in busy if e["pid"] == pid]
        engines = [lane for (p, _), lane in sorted(lanes.items()) if p == pid]
        ok([e for e in engines if " " not in e] == ["load", "store", "array", "vector"] and
           (overlap == "on" or len(engines) == 4), f"overlap={overlap}, {name}: a lane for each engine")
        ok(all(lanes[pid, e["tid"]].split()[0] == e["cat"] for e in mine), f"overlap={overlap}, {name}: events are in their lanes")
        same(max(e["args"]["completed"] for e in mine), result["cycles"],
             f"overlap={overlap}, {name}: ends with the job")
        ok(all(near(e["ts"] * 1000, e["args"]["cycle"]) and near(e["dur"] * 1000, e["args"]["cycles"]) for e in mine),
           f"overlap={overlap}, {name}: times are cycles")
        free = {}
        clash = False
        for e in sorted(mine, key=lambda e: e["args"]["cycle"]):
            clash |= free.get(e["tid"], 0) > e["args"]["cycle"]
            free[e["tid"]] = e["args"]["cycle"] + e["args"]["cycles"]
        ok(not clash, f"overlap={overlap}, {name}: one at a time in a lane")
        streams = [e for e in mine if e["args"].get("batch")]
        same(sum(e["args"]["rows"] * e["args"]["cols"] * e["args"]["batch"] * (2 if "INTER" in e["name"] else 1)
                 for e in streams), result["macs"], f"overlap={overlap}, {name}: all multiply-adds are there")
    tiles = [e["name"].rpartition(" b")[0] for e in busy if names[e["pid"]] == "interleaved" and e["name"].startswith("INTERLEAVED")]
    same(set(tiles), {f"INTERLEAVED i{i} o{o}" for i in range(0, 100, 16) for o in range(0, 60, 8)},
         f"overlap={overlap}: the tiles of the layer, by name")
    loads = {e["name"].split()[1] for e in busy if e["name"].startswith("DMA_")}
    same(loads, {"x", "w", "dy", "dx"}, f"overlap={overlap}: DMA by name")
    svg = xml.etree.ElementTree.parse(picture).getroot()
    ok(svg.tag.endswith("svg") and all(s in "".join(svg.itertext()) for s in FIXED), f"overlap={overlap}: a timeline")
# Two rows stream for fewer cycles than their wavefront takes through the array: many tiles are under way at a time.
output("layer", "--in", "64", "--out", "64", "--batch", "2", "--rows", "4", "--cols", "32", "--trace", path)
with open(path) as source:
    events = json.load(source)["traceEvents"]
named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
free, clash = {}, False
for e in sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["args"]["cycle"]):
    lane = e["pid"], e["tid"]
    clash |= lane not in named or free.get(lane, 0) > e["args"]["cycle"]
    free[lane] = e["args"]["cycle"] + e["args"]["cycles"]
ok(len(free) > 50 and not clash, "small batches: one at a time in many lanes")
output("layer", *size, "--forward", "--trace", path)
ok("FPROP i96 o56" in open(path).read(), "a trace of the forward pass")

# ------------------------------------------------------------------ sweep
sweep = ["sweep", "--in", 100, "--out", 60, "--arrays", "8,16x8", "--batches", "4,24", "--svg", picture]
rows = list(csv.DictReader(io.StringIO(output(*sweep, "--csv"))))
same([(r["rows"], r["cols"], r["batch"], r["schedule"]) for r in rows],
     [(a, "8", b, s) for a in ("8", "16") for b in ("4", "24") for s in FIXED + ["auto"]], "sweep: all of it")
last = {r["schedule"]: r for r in rows[-5:]}
ok(all(int(last[s][k]) == by_name[s][k] for s in FIXED for k in ("cycles", "macs", "sram_reads", "dram_write_bytes")) and
   all(near(float(last[s]["energy_pj"]), by_name[s]["energy_pj"]) for s in FIXED), "sweep: what layer costs")
again = parsed(*sweep, "--plot", "energy")
ok([r["cycles"] for r in again] == [int(r["cycles"]) for r in rows] and
   list(again[0]) == ["rows", "cols", "overlap", "in", "out", "batch"] + FIELDS, "sweep: the same in JSON")
svg = xml.etree.ElementTree.parse(picture).getroot()
ok(all(s in "".join(svg.itertext()) for s in FIXED + ["8 × 8", "16 × 8", "energy"]), "sweep: curves")
ok(len(output(*sweep).splitlines()) == 3 + 20, "sweep: text")

terminal, end = pty.openpty()
with subprocess.Popen([os.path.join(tap.build, "bin", "igrad-sim"), "sweep", "--in", "1024", "--out", "1024"], stdout=subprocess.DEVNULL,
                      stderr=end, stdin=subprocess.DEVNULL) as program:
    os.close(end)
    bar = b""
    while True:
        try:
            bar += os.read(terminal, 4096)
        except OSError:
            break
ok(b"\r" in bar and b"/28 " in bar and b"[#" in bar and bar.endswith(b"\r\x1b[K"), "sweep: a bar on a terminal, gone at the end")

# ------------------------------------------------------------------ networks
net = parsed("network", "nets/alexnet-classifier.net", "--schedule", "interleaved", "--rows", 128, "--cols", 128)
linear = [layer for layer in net["layers"] if layer["costed"]]
same([(layer["name"], layer["in"], layer["out"], layer["batch"]) for layer in linear],
     [("fc6", 9216, 4096, 128), ("fc7", 4096, 4096, 128), ("fc8", 4096, 1000, 128)], "AlexNet's classifier")
ok(linear[0]["forward"]["macs"] == linear[0]["backward"][0]["macs"] == 9216 * 4096 * 128, "the first layer's input needs no gradient")
same(linear[1]["backward"][0]["macs"], 2 * 4096 * 4096 * 128, "the second's does")
ok(all(net["totals"][0][k] == sum(p[k] for layer in linear for p in [layer["forward"]] + layer["backward"])
       for k in ("cycles", "macs", "sram_reads", "dram_read_bytes")), "totals are sums")
check_result(net["totals"][0], 128, 128, "totals")
several = parsed("network", "nets/mlp.net", "nets/alexnet-2012.net", "--batch", 8, "--schedule", "ws+os", "--rows", 128, "--cols", 128)
same([n["network"] for n in several], ["mlp", "alexnet-2012"], "several networks")
shapes = {layer["name"]: layer["shape"] for layer in several[1]["layers"]}
same([shapes[n] for n in ("conv1", "pool1", "conv2", "conv3", "pool5", "fc6")],
     ["96 x 55 x 55", "96 x 27 x 27", "256 x 27 x 27", "384 x 13 x 13", "256 x 6 x 6", "4096"], "AlexNet's shapes")
reasons = {layer["kind"]: layer.get("reason", "") for layer in several[1]["layers"]}
ok(reasons["conv"] == "" and "vector unit" in reasons["pool"], "what the array does not do is named")
fc6, = [layer for layer in several[1]["layers"] if layer["name"] == "fc6"]
same(fc6["backward"][0]["macs"], 2 * 9216 * 4096 * 8, "behind convolutions an input gradient is needed")
same(fc6["batch"], 8, "--batch goes before the file's")
block = parsed("network", "nets/inception-block.net", "--schedule", "ws+os")
shapes = {layer["name"]: layer["shape"] for layer in block["layers"]}
same([shapes[n] for n in ("b2b", "b2c", "b3a", "join", "sum", "tail", "fc")],
     ["64 x 17 x 17", "96 x 17 x 17", "192 x 17 x 17", "192 x 17 x 17", "192 x 17 x 17", "192 x 1 x 1", "100"],
     "rectangular kernels, padding by side, concat, add")
shape = parsed("network", "--batch", 1, write("s.net", """
input 4 x 9 x 10   # comments, tabs and CRLF are fine\r
\ta: conv out=6 kernel=3x2 stride=2x3 pad=1,0,2,0 dilation=2x1 groups=2
b: pool type=max kernel=2 from=a
c: pool type=max kernel=2 round=up from=a
"""))
# (9+1-5)/2+1 = 3 and (10+2-2)/3+1 = 4; 3/2 down and up; 4/2
same([layer["shape"] for layer in shape["layers"]], ["4 x 9 x 10", "6 x 3 x 4", "6 x 1 x 2", "6 x 2 x 2"], "windows by hand")
pools = write("p.net", "input 4 x 8 x 8\npool type=max kernel=2\n")
ok("Nothing in this network is done by the array" in output("network", "--batch", 1, pools), "a network in which nothing is multiplied")

# ------------------------------------------------------------------ SCALE-Sim's files
heading = 12 * "," + "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
topology = write("topo.csv", heading + """Conv1, 227, 227, 11, 11, 3, 96, 4,

FC6, 6, 6, 6, 6, 16, 40, 1,\r
FC7, 1, 1, 1, 1, 40, 20, 1, 1:1,,,and,more,than,twelve,columns
FC8, 1, 1, 1, 1, 20, 10, 1, 2:4
DPconv, 9, 9, 3, 3, 8, 1, 1, 2, #dw
""")
net = parsed("network", topology, "--schedule", "ws+os")
same([(n["name"], n["kind"], n["costed"], n["shape"], n["line"]) for n in net["layers"]],
     [("Conv1", "conv", True, "96 x 55 x 55", 2), ("FC6", "linear", True, "40", 4), ("FC7", "linear", True, "20", 5),
      ("FC8", "linear", False, "10", 6), ("DPconv", "conv", True, "8 x 7 x 4", 7)], "a topology")
same([(n["in"], n["out"], n["batch"]) for n in net["layers"] if n["costed"]], [(3, 96, 1), (576, 40, 1), (40, 20, 1), (8, 8, 1)],
     "those that are costed")
ok(all(any(w in n for n in net["notes"]) for w in ("no padding", "batch at 1", "connect rows")), "what it does not say is noted")
same([n["batch"] for n in parsed("network", topology, "--batch", 16)["layers"] if n["costed"]], [16] * 4, "--batch")
ok("note       the format has no padding" in output("network", topology), "notes are in the text too")
gemm = write("gemm.csv", "Layer, M, N, K,\nfirst, 24, 60, 100,\nsecond, 24, 60, 100\nmany, 24, 60, 100, 8,\n")
net = parsed("network", "-i", "gemm", gemm, "--rows", 16, "--cols", 8)
first, second, many = net["layers"]
same(second["backward"][:4], [by_name[s] for s in FIXED], "a matrix product costs what the layer does")
same(first["backward"][3], parsed("layer", *size, "--schedule", "interleaved", "--no-input-gradient"), "without an input gradient, the first")
same(second["forward"], parsed("layer", *size, "--forward"), "and forward")
ok(not many["costed"], "several products are not costed")
same(parsed("network", "-i", "gemm", write("gemm.txt", open(gemm).read()), "--rows", 16, "--cols", 8)["layers"], net["layers"],
     "gemm files need not be called csv")

# ------------------------------------------------------------------ the paper
rows = parsed("paper")
ok(all(list(r) == ["n", "in", "out", "batch", "overlap", "baseline", "cycles_ratio", "access_ratio"] for r in rows), "paper: fields")
one = {(r["n"], r["batch"], r["overlap"], r["baseline"]): r for r in rows if r["in"] == r["out"] == r["n"]}
same(set(one), {(n, b, o, s) for n in (8, 16, 32, 64, 128) for b in (n // 4, n // 2, n, 2 * n, 4 * n, 8 * n)
                for o in ("off", "on") for s in FIXED[:3]}, "paper: one-tile layers")
# Load, stream and drain one after the other: R, 2B + R + C - 2, 1, R; ws-paper loads W, streams dY; then, for each R rows of
# the batch, loads dY and streams x; its update takes R cycles of C lanes. ws+os drains acc before that.
wrong = []
for n, b, o, s in one:
    interleaved = n + (2 * b + 2 * n - 2) + 1 + n
    pieces = -(-b // n)
    hand = {"ws-paper": n + (b + 2 * n - 2) + pieces * (n + 3 * n - 2) + n, "ws+os": n + 2 * (b + 2 * n - 2) + n + n}
    if o == "off" and s in hand and not near(one[n, b, o, s]["cycles_ratio"], hand[s] / interleaved):
        wrong.append((n, b, s, one[n, b, o, s]["cycles_ratio"] * interleaved, hand[s]))
same(wrong, [], "paper: cycles of one-tile layers are those of SPEC's rules")
accesses = {b: [one[n, b * n // 4, "off", "ws-paper"]["access_ratio"] for n in (8, 16, 32, 64, 128)] for b in (1, 2, 4, 8, 16, 32)}
ok(all(near(v[0], w) for v in accesses.values() for w in v), "paper: accesses depend on B/N alone")
tiled = {(r["n"], r["in"], r["out"], r["overlap"]) for r in rows if r["in"] != r["n"]}
ok(len(tiled) >= 6 and {(128, 1024, 1024, "off"), (128, 1024, 1024, "on")} <= tiled, "paper: layers of many tiles")
ratio = {(r["batch"], r["baseline"]): r["cycles_ratio"] for r in rows
         if r["n"] == 128 and r["in"] == 1024 and r["overlap"] == "on"}
ok(ratio[32, "ws"] >= 1.9 and ratio[64, "ws"] >= 1.9, "paper: small batches on an array with shadow registers") or note(ratio)

# ------------------------------------------------------------------ energy
tables = output("energy")
ok("horowitz-45nm" in tables and "eyeriss-relative" in tables and "ISSCC 2014" in tables, "energy: all tables")
shown = parsed("energy", "horowitz-45nm", "--sram-kib", 32)
same((shown["entries"]["sram"]["value"], shown["entries"]["sram"]["scaled"]), (20, False), "energy: by the SRAM's size")
refuses(1, "nowhere", "energy: no such table", "energy", "nowhere")
finish()
