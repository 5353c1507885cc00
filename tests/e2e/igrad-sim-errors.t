#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What igrad-sim says of command lines and files that it cannot use."""
import os
import stat
import subprocess
import sys

sys.dont_write_bytecode = True
import tap  # noqa: E402
from tap import finish, ok, output, refuses, run, tmp, write  # noqa: E402

layer = ["layer", "--in", "16", "--out", "16"]

# ------------------------------------------------------------------ command lines
refuses(2, "there are layer", "no command")
refuses(2, "no command 'frob'", "an unknown command", "frob")
refuses(2, "unrecognized option", "an unknown option", *layer, "--frob")
refuses(2, "requires an argument", "an option without its value", *layer, "--batch")
refuses(2, "--in and --out are needed", "a layer without its size", "layer")
refuses(2, "--in and --out are needed", "a sweep without its layer", "sweep", "--in", "4")
refuses(2, "'stray' is too much", "an argument too much", *layer, "stray")
refuses(2, "which network file", "no network", "network")
refuses(2, "does not go with layer", "an option of another command", *layer, "--csv")
refuses(2, "does not go with sweep", "one array for a sweep", "sweep", "--in", "4", "--out", "4", "--rows", "4")
refuses(2, "--shapes does not go with layer", "shapes of a layer", *layer, "--shapes")
for option in ["--batch", 4], ["--rows", 16], ["--schedule", "ws"], ["--energy", "horowitz-45nm"]:
    refuses(2, "--shapes goes with --json and --input alone", f"shapes with {option[0]}", "network", "nets/mlp.net", "--shapes", *option)
refuses(2, "--json or --csv", "two kinds of output", "sweep", "--in", "4", "--out", "4", "--json", "--csv")
for option, bad, wanted in [
        ("in", "0", "from 1 to 16777216"), ("out", "-1", "from 1 to"), ("in", "1e3", "a whole number"),
        ("in", "99999999999999999999", "a whole number"), ("batch", "x", "a whole number"),
        ("rows", "257", "from 1 to 256"), ("cols", "0", "from 1 to 256"), ("rows", " 4", "a whole number"),
        ("overlap", "maybe", "there are off, on"), ("sram-kib", "15", "from 16 to"),
        ("dram-bytes-per-cycle", "0", "from 1 to 65536"), ("dram-latency", "1000001", "from 0 to 1000000"),
        ("schedule", "ws,", "ws-paper, ws"), ("schedule", "fast", "ws-paper, ws, ws+os, interleaved, auto"), ("objective", "speed", "cycles, energy, dram"),
        ("decay", "-1", "at least 0"), ("decay", "nan", "at least 0"), ("decay", "1x", "at least 0"),
        ("optimizer", "lion", "sgd, momentum, adam"),
        ("dtype", "fp8", "fp32, bf16")]:
    refuses(2, wanted, f"--{option} '{bad}'", *layer, f"--{option}", bad)
for args, wanted in [
        (["--kernel", "3"], "needs --kernel and --image"), (["--image", "8"], "needs --kernel and --image"),
        (["--stride", "2"], "needs --kernel and --image"), (["--kernel", "3", "--image", "8", "--groups", "3"], "must be multiples of it"),
        (["--kernel", "9", "--image", "8"], "larger than the padded image"), (["--kernel", "3x", "--image", "8"], "a whole number"),
        (["--kernel", "3x3x3", "--image", "8"], "at most 2"), (["--kernel", "0", "--image", "8"], "from 1 to 32767"),
        (["--kernel", "3", "--image", "65536"], "from 1 to 65535"), (["--kernel", "3", "--image", "8", "--pad", "1,2"], "all four"),
        (["--kernel", "3", "--image", "8", "--pad", "1,2,3,4,5"], "at most 4"), (["--kernel", "3", "--image", "8", "--pad", "-1"], "a whole number"),
        (["--kernel", "3", "--image", "8", "--dilation", "4"], "larger than the padded image")]:
    refuses(2, wanted, " ".join(args), *layer, *args)
refuses(2, "does not go with explain", "a convolution has no plans to explain", "explain", *layer[1:], "--kernel", "3", "--image", "8")
refuses(1, "convolutions are fp32", "a convolution in bf16", *layer, "--kernel", "3", "--image", "8", "--dtype", "bf16")
sweep = ["sweep", "--in", "16", "--out", "16"]
for option, bad, wanted in [
        ("arrays", "4,", "from 1 to 256"), ("arrays", "4x", "from 1 to 256"), ("arrays", "4x4x4", "from 1 to 256"),
        ("arrays", ",".join(["4"] * 65), "at most 64"), ("batches", "8,,8", "a whole number"),
        ("batches", ",".join(["4"] * 65), "at most 64"), ("batches", "65537", "from 1 to 65536")]:
    refuses(2, wanted, f"--{option} '{bad[:12]}'", *sweep, f"--{option}", bad)
refuses(1, "there are utilization, cycles, accesses, dram and energy", "an unknown curve", *sweep, "--plot", "beauty")
ok("Usage: igrad-sim" in output("--help") and "Usage: igrad-sim" in output("layer", "--help"), "--help")

# ------------------------------------------------------------------ what cannot be done
refuses(1, ["layer 16777216-16777216", "address space"], "a layer that is larger than the device's address space", "layer", "--in", 1 << 24,
        "--out", 1 << 24)
refuses(1, "million commands", "a layer that is too large for a job", "layer", "--in", 8192, "--out", 8192, "--rows", 1,
        "--cols", 1, "--batch", 1, "--schedule", "ws+os")
result = run("sweep", "--in", 4096, "--out", 4096, "--arrays", "1,32", "--batches", 1, "--schedule", "ws+os", "--csv")
ok(result.returncode == 1 and result.stdout.count("\n") == 2 and "1 x 1: layer 4096-4096" in result.stderr
   and "1 of 2" in result.stderr, "a sweep goes on behind what cannot be done, and says so")
for option in "--trace", "--svg":
    refuses(1, "/nowhere/file: cannot be written", f"{option} into nowhere", *layer, option, "/nowhere/file")
refuses(1, "gnuplot", "--svg without gnuplot", *layer, "--svg", os.path.join(tmp, "none.svg"), env={"PATH": "/nowhere"})
ok(not os.path.exists(os.path.join(tmp, "none.svg")), "and leaves no file")
if os.access("/dev/full", os.W_OK):
    with open("/dev/full", "w") as full:
        result = subprocess.run([os.path.join(tap.build, "bin", "igrad-sim"), *layer, "--json"], stdout=full,
                                stderr=subprocess.PIPE, text=True)
        ok(result.returncode == 1 and "stdout" in result.stderr, "says when its output goes nowhere")
    refuses(1, "/dev/full", "a trace that does not fit", *layer, "--trace", "/dev/full")
    refuses(1, "gnuplot", "a picture that cannot be drawn", *layer, "--svg", "/dev/full", env={"PATH": "/nowhere"})
    ok(stat.S_ISCHR(os.stat("/dev/full").st_mode), "what is no file is not removed")

# ------------------------------------------------------------------ energy tables
refuses(1, "/nowhere/x", "an energy table that is not there", *layer, "--energy", "/nowhere/x")
refuses(1, "table.json:2: ", "a bad energy table", *layer, "--energy", write("table.json", '{"name": "x",\n"unit": 5}'))
refuses(1, "other.json:3: \"hue\" is not known", "a bad energy table of one's own", "energy",
        write("other.json", '{\n"name": "x",\n"hue": 5}'))

# ------------------------------------------------------------------ networks: line, column, what was expected
head = "network n\nbatch 4\ninput 3 x 8 x 8\n"
flat = "batch 4\ninput 8\n"
for text, place, wanted in [
        ("", "1:1", "'input' and layers"), ("# nothing\n\n", "3:1", "'input' and layers"), ("input 4\n", "2:1", "a layer"),
        ("frob 4", "1:1", "linear, conv, pool"), ("linear out=4", "1:1", "'input' was expected"),
        ("batch", "1:6", "a whole number"), ("batch 0", "1:7", "from 1 to"), ("batch 4 5", "1:9", "should end"),
        ("batch 4\n  batch 5", "2:3", "a batch already"), ("network a b", "1:11", "should end"),
        ("network", "1:8", "a name"), ("network n\nnetwork m", "2:1", "a name already"), ("network a*b", "1:9", "a name"),
        ("network " + "a" * 64, "1:9", "1 to 63"),
        ("input", "1:6", "a whole number"), ("input 3 x", "1:10", "a whole number"), ("input 3 x 4", "1:7", "height x width"),
        ("input 3x4x5x6", "1:13", "at most 3"), ("input 4\ninput 5", "2:1", "an input already"),
        ("input 4x-1x4", "1:9", "a whole number"), ("input 99999999999", "1:7", "from 1 to"),
        (flat + "a b: linear out=4", "3:1", "linear, conv"), (flat + ": linear out=4", "3:1", "a name"),
        (flat + "a:", "3:3", "linear, conv"), (flat + "a: linear out=4\na: relu", "4:1", "a layer 'a' already"),
        (flat + "input: relu", "3:1", "'input' already"), (flat + "linear", "3:7", "linear needs out too"),
        (flat + "linear 4", "3:8", "key=value was expected"), (flat + "linear out=", "3:12", "a value of out"),
        (flat + "linear out=0", "3:12", "from 1 to"), (flat + "linear out=4 out=4", "3:14", "given twice"),
        (flat + "linear out=4 kernel=3", "3:14", "linear has no 'kernel'; expected: out, bias, from"),
        (flat + "linear out=4 bias=no", "3:19", "off or on"), (flat + "relu out=4", "3:6", "relu has no 'out'"),
        (flat + "linear out=4 from=x", "3:19", "a layer above"), (flat + "a: linear out=4 from=a", "3:22", "a layer above"),
        (flat + "a: relu\nrelu from=a,input", "4:11", "one layer, not several"),
        (flat + "add", "3:4", "add needs from too"), (flat + "add from=input", "3:10", "several layers"),
        (flat + "a: relu\nadd from=a,,a", "4:12", "a layer above"),
        (flat + "a: linear out=4\nadd from=a,input", "4:1", "inputs of one shape: 'a' gives 4, 'input' 8"),
        (flat + "add from=" + ",".join(["input"] * 17), "3:106", "more than 16"),
        (flat + "conv out=4 kernel=1", "3:1", "slides over channels x height x width, but its input has 8 features"),
        (head + "linear out=4", "4:1", "a flatten was expected"), (head + "conv out=4", "4:11", "conv needs kernel too"),
        (head + "conv out=4 kernel=9", "4:1", "9 x 9, dilation 1 x 1, is larger than its padded input of 3 x 8 x 8"),
        (head + "conv out=4 kernel=3 dilation=4", "4:1", "larger than its padded input"),
        (head + "conv out=4 kernel=3x", "4:21", "a whole number"), (head + "conv out=4 kernel=3x3x3", "4:23", "at most 2"),
        (head + "conv out=4 kernel=3 stride=0", "4:28", "from 1 to"), (head + "conv out=4 kernel=3 pad=1,2", "4:25", "all four"),
        (head + "conv out=4 kernel=3 pad=1,2,3,4,5", "4:33", "at most 4"),
        (head + "conv out=4 kernel=3 groups=2", "4:1", "groups=2"), (head + "conv out=4 kernel=3 groups=3", "4:1", "groups=3"),
        (head + "pool kernel=2", "4:14", "pool needs type too"), (head + "pool type=min kernel=2", "4:11", "max or average"),
        (head + "pool type=max kernel=2 round=off", "4:30", "down or up"),
        (head + "a: pool type=max kernel=2\nconcat from=a,input", "5:1", "height and width"),
        ("input 16777216 x 2 x 2\nflatten", "2:1", "more than 16777216"),
        ("input 16777216 x 2 x 2\nconcat from=input,input", "2:1", "at most 16777216"),
        (flat + "\t relu  # fine\n \trelu x", "4:8", "key=value"), (flat + "relu\n" * 4096, "4098:1", "at most 4096"),
        # blocks and repeats; tests/unit/test-net-limits.c has more
        (flat + "repeat i=1..16777216\nend", "4:1", "more lines than 65536"),
        ("block b out\nlinear out={out} kernel=1\nend\n" + flat + "b out=4", "2:18",
         "linear has no 'kernel'; expected: out, bias, from (in b@6, used in line 6)"),
        (flat + "repeat i=0..3\nlinear out={4-2*i}\nend", "4:12", "'0': a whole number from 1 to")]:
    refuses(1, [f"bad.net:{place}: ", wanted], f"{place}: {wanted}", "network", "--batch", 4, write("bad.net", text))
refuses(1, "has no batch; say one with --batch", "a network without a batch", "network", write("n.net", "input 4\nlinear out=4\n"))
refuses(1, "not binary data", "binary data", "network", write("b.net", b"input 4\0"))
refuses(1, "longer than a mebibyte", "a large file", "network", write("l.net", " " * (1 << 20) + "x"))
refuses(1, "/nowhere.net", "no file", "network", "/nowhere.net")
refuses(1, "Is a directory", "a directory", "network", tmp)

# ------------------------------------------------------------------ SCALE-Sim's files
conv = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
gemm = "Layer, M, N, K,\n"
for text, kind, place, wanted in [
        ("", "conv", "1:1", "rows of a name"), (conv, "conv", "2:1", "the file ends, but rows of a name, sizes"),
        (gemm, "gemm", "2:1", "the file ends, but rows of a name, M, N and K"),
        ("a, 1, 1, 1, 1, 4, 4, 1,\n", "conv", "1:4", "the first line must be a heading"),
        (conv + "a, 8, 8, 3, 3, 4, 4,\n", "conv", "2:20", "a stride was expected"),
        (conv + "a\n", "conv", "2:2", "the input's height was expected"),
        (conv + "a, 8, x, 3, 3, 4, 4, 1\n", "conv", "2:7", "the input's width, a whole number"),
        (conv + "a, 8, 8, 3, 3, 0, 4, 1\n", "conv", "2:16", "channels, a whole number"),
        (conv + "a, 8, 8, 3, 3, 4, , 1\n", "conv", "2:19", "filters, a whole number"),
        (conv + "a, 8, 8, 3, 3, 4, 4, 1, z\n", "conv", "2:25", "a stride across, or a ratio"),
        (conv + "a, 8, 8, 3, 3, 4, 4, 1, 2:4, 7\n", "conv", "2:30", "should end"),
        (conv + "a, 8, 8, 3, 3, 4, 4, 1, 5:4\n", "conv", "2:25", "a ratio as in 2:4"),
        (conv + "a, 8, 8, 9, 3, 4, 4, 1\n", "conv", "2:10", "larger than its padded input"),
        (conv + ", 8, 8, 3, 3, 4, 4, 1\n", "conv", "2:1", "a layer's name"),
        (conv + "a," * 13 + "\n", "conv", "2:25", "more than 12 columns"),
        (conv + "a, 5000, 5000, 5000, 5000, 4, 4, 1\n", "conv", "2:4", "in-features"),
        (gemm + "a, 4, 4\n", "gemm", "2:8", "K was expected"), (gemm + "\n,,\na, 4, 4, -4\n", "gemm", "4:10", "K, a whole"),
        (gemm + "a, 4, 4, 4, x\n", "gemm", "2:13", "a number of products"),
        (gemm + "a, 4, 4, 4, 2:4, 1, 1\n", "gemm", "2:21", "should end")]:
    refuses(1, [f"bad.csv:{place}: ", wanted], f"{kind} {place}: {wanted}", "network", "-i", kind, write("bad.csv", text))
refuses(1, "M is the batch", "a batch for matrix products", "network", "-i", "gemm", "--batch", 4,
        write("g.csv", gemm + "a, 4, 4, 4,\n"))
refuses(2, "conv, gemm", "an unknown kind of topology", "network", "-i", "onnx", "x.csv")
finish()
