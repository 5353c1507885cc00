#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The networks in nets/: igrad-sim's --shapes, counted once more from what it says, and what of them is costed."""
import glob
import math
import sys

sys.dont_write_bytecode = True
import tap  # noqa: E402
from tap import finish, ok, output, parsed, same, write  # noqa: E402

# Parameters and multiply-adds as published; each file names its sources.
published = {
    "lenet5": (61706, 416520), "alexnet": (61100840, 714188480), "alexnet-2012": (60965224, 724406816),
    "vgg16": (138357544, 15470264320), "resnet18": (11689512, 1814073344), "resnet50": (25557032, 4089184256),
    "googlenet": (6624904, 1498376192), "googlenet-2014": (6998552, 1582671872), "inception-v4": (42679816, 12253974624),
    "densenet121": (7978856, 2834161664), "densenet264": (33337704, 5751653376)}


def counted(layer, by_name):
    """Parameters and multiply-adds of a layer from its sizes."""
    first = by_name[layer["inputs"][0]]["output"] if layer["inputs"] else None
    if layer["kind"] == "batchnorm":
        return 2 * first[0], 0
    if layer["kind"] not in ("conv", "linear"):
        return 0, 0
    places = layer["output"][1:]
    weights = layer["output"][0] * first[0] * math.prod(layer.get("kernel", [])) // layer.get("groups", 1)
    return weights + layer["bias"] * layer["output"][0], weights * math.prod(places)


def fits(layer, by_name):
    """Does the output follow from the inputs, where that is the same for all?"""
    inputs = [by_name[name]["output"] for name in layer["inputs"]]
    if layer["kind"] == "concat":
        return layer["output"] == [sum(i[0] for i in inputs), *inputs[0][1:]]
    if layer["kind"] == "flatten":
        return layer["output"] == [math.prod(inputs[0])]
    if layer["kind"] in ("conv", "pool", "linear", "input"):
        return True
    return all(i == layer["output"] for i in inputs)


for name, (parameters, macs) in published.items():
    net = parsed("network", f"nets/{name}.net", "--shapes")
    layers = net["layers"]
    by_name = {layer["name"]: layer for layer in layers}
    same(len(by_name), len(layers), f"{name}: each layer has a name of its own")
    same(net["totals"], {"layers": len(layers) - 1, "parameters": parameters, "macs": macs}, f"{name}: totals are as published")
    counts = [counted(layer, by_name) for layer in layers]
    same([(layer["parameters"], layer["macs"]) for layer in layers], counts, f"{name}: each layer's are as counted here")
    ok(all(fits(layer, by_name) for layer in layers), f"{name}: outputs follow from inputs")
    same(layers[-1]["output"], [10 if name == "lenet5" else 1000], f"{name}: gives a score for each class")
    source = open(f"nets/{name}.net").read()
    ok(f"{parameters:,}" in source and f"{macs:,}" in source, f"{name}: the file says them too, with where they are from")
    text = output("network", f"nets/{name}.net", "--shapes")
    ok(text.endswith(f"\n{len(layers) - 1} layers, {parameters} parameters, {macs} multiply-adds per batch row\n"), f"{name}: and the text")
    same(len(text.splitlines()), 5 + len(layers), f"{name}: a line for each layer")

for path in glob.glob("nets/*.net"):
    ok(parsed("network", path, "--shapes")["totals"]["layers"] > 0, f"{path} can be read")

# A bottleneck of ResNet-50 as the paper's table 1 has it.
by_name = {layer["name"]: layer for layer in parsed("network", "nets/resnet50.net", "--shapes")["layers"]}
same([by_name[n]["output"] for n in ("maxpool", "layer1.2.conv3", "layer2.0.conv2", "layer4.2.conv3", "avgpool")],
     [[64, 56, 56], [256, 56, 56], [128, 28, 28], [2048, 7, 7], [2048, 1, 1]], "ResNet-50's stages")
same(by_name["layer2.0.downsample.0"]["inputs"], [by_name["layer2.0.conv1"]["inputs"][0]], "a shortcut begins where its block does")

# Several networks, SCALE-Sim's files, and no device in the output.
several = parsed("network", "nets/mlp.net", "nets/lenet5.net", "--shapes")
same([n["network"] for n in several], ["mlp", "lenet5"], "shapes of several networks")
topology = write("topo.csv", "Layer, H, W, FH, FW, C, F, S\na, 8, 8, 3, 3, 4, 5, 1\nb, 6, 6, 6, 6, 5, 7, 1\n")
same([(n["name"], n["kind"], n["parameters"], n["macs"]) for n in parsed("network", topology, "--shapes")["layers"]],
     [("a", "conv", 180, 180 * 36), ("b", "linear", 36 * 5 * 7, 36 * 5 * 7)], "shapes of a SCALE-Sim topology")

# What can be costed is, and the rest says that it is not.
net = parsed("network", "nets/lenet5.net", "--schedule", "ws+os,interleaved")
layers = {n["name"]: n for n in net["layers"]}
same([n["name"] for n in net["layers"] if n["costed"]], ["c1", "c3", "c5", "f6", "scores"], "convolutions and linear layers are costed")
ok(all(n["reason"] for n in net["layers"] if not n["costed"]), "whatever is not costed says why")
same((net["macs"], net["macs_costed"]), (416520, 416520), "and the totals say how much of the network they are")
ok("These have" not in output("network", "nets/mlp.net", "--schedule", "ws"), "unless they are all of it")
for name, n in layers.items():
    if n["costed"]:
        same([p["schedule"] for p in n["backward"]] + n["refused"], ["ws+os", "interleaved"], f"{name}: in each schedule")
# Output places times weights; the padding of c1 takes no part, so it has fewer: 2 x 2 rows and columns of taps are cut off.
taps = sum(min(28, y + 28) - max(0, y) for y in range(-2, 3))
places = {"c1": 6 * taps * taps, "c3": 10 * 10 * 6 * 16 * 25, "c5": 16 * 120 * 25, "f6": 120 * 84, "scores": 840}
same({name: layers[name]["forward"]["macs"] for name in places}, {name: 64 * n for name, n in places.items()},
     "the device counts the multiply-adds that there are")
same({name: [p["macs"] for p in layers[name]["backward"]] for name in places},
     {name: [64 * n * (1 if name == "c1" else 2)] * 2 for name, n in places.items()}, "and those of both gradients, but of the first layer's input")
ok(all(n["backward"][0]["dram_read_bytes"] >= 4 * 64 * n["in"] for n in net["layers"] if n["costed"]), "operands come from memory")
for i, total in enumerate(net["totals"]):
    same({k: total[k] for k in ("cycles", "macs", "sram_reads", "dram_write_bytes")},
         {k: sum(n["forward"][k] + n["backward"][i][k] for n in net["layers"] if n["costed"])
          for k in ("cycles", "macs", "sram_reads", "dram_write_bytes")}, f"{total['schedule']}: totals are sums of the layers")

# A layer costs what it costs alone, and again where it is repeated.
block = write("block.net", """
batch 4
input 8 x 14 x 14
block basic
conv: conv out={channels} kernel=3 pad=1 bias=off
bn:   batchnorm
      relu
end
first: basic
repeat i=1..2
part{i}: basic
end
down: conv out=24 kernel=3x1 stride=2x1 pad=1,0,0,0 dilation=2x1 groups=4
      relu
""")
net = parsed("network", block, "--schedule", "interleaved", "--rows", 8, "--cols", 8)
layers = {n["name"]: n for n in net["layers"]}
same(layers["part1.conv"]["backward"], layers["part2.conv"]["backward"], "equal layers cost the same")
alone = ["layer", "--batch", 4, "--rows", 8, "--cols", 8, "--schedule", "interleaved", "--in", 8, "--image", 14]
same(layers["part1.conv"]["backward"], [parsed(*alone, "--out", 8, "--kernel", 3, "--pad", 1)], "as layer costs them")
same(layers["part1.conv"]["forward"], parsed(*alone, "--out", 8, "--kernel", 3, "--pad", 1, "--forward"), "forward too")
down = ["--out", 24, "--kernel", "3x1", "--stride", "2x1", "--pad", "1,0,0,0", "--dilation", "2x1", "--groups", 4, "--bias", "--relu"]
same(layers["down"]["backward"], [parsed(*alone, *down)], "whatever its kernel")
same(layers["first.conv"]["backward"][0], parsed(*alone, "--out", 8, "--kernel", 3, "--pad", 1, "--no-input-gradient"), "the first has no input gradient")

# The vector unit's layers are apart.
mixed = write("mixed.net", """
batch 4
input 8 x 14 x 14
c1:  conv out=16 kernel=3 pad=1 bias=off
b1:  batchnorm
r1:  relu
c2:  conv out=16 kernel=3 pad=1 bias=off
b2:  batchnorm
sum: add from=b2,r1
r2:  relu
p1:  pool type=max kernel=2
p2:  pool type=max kernel=2 from=r2
two: concat from=p1,p2
act: relu
gap: pool type=average kernel=all
     flatten
     dropout
fc:  linear out=10
     softmax
""")
net = parsed("network", mixed, "--schedule", "interleaved", "--rows", 8, "--cols", 8)
layers = {n["name"].partition("@")[0]: n for n in net["layers"]}
same([n for n in layers if "vector" in layers[n]], ["b1", "b2", "sum", "p1", "p2", "act", "gap", "dropout", "softmax"], "layers of the vector unit")
same([n for n in layers if layers[n]["costed"]], ["c1", "c2", "fc"], "are not among those that schedules do")
ok(all(layers[n]["reason"] == "costed with the layer before" for n in ("r1", "r2")), "ReLU belongs to normalisation and sums before it")
same([n for n in layers if "gradient_sum" in layers[n]], ["r1", "r2"], "gradients from several users are summed up")
size = 4 * 4 * 16 * 14 * 14  # bytes of an activation
wanted = {"b1": (size, size, 3 * size, size), "sum": (2 * size, size, 2 * size, size), "act": (size // 2, size // 2, size, size // 2),
          "p1": (size, size // 2, size // 2, size), "gap": (size // 2, 4 * 4 * 32, 4 * 4 * 32, size // 2),
          "dropout": (4 * 4 * 32, 4 * 4 * 32, 4 * 4 * 32, 4 * 4 * 32), "softmax": (4 * 4 * 10, 4 * 4 * 10, 0, 0)}
bytes_of = {n: tuple(layers[n]["vector"][p][k] for p in ("forward", "backward") for k in ("dram_read_bytes", "dram_write_bytes")) for n in wanted}
ok(all(g >= w for n in wanted for g, w in zip(bytes_of[n], wanted[n])), "each moves what it has to") or tap.note(bytes_of)
ok(all(g < 3 * w + 1000 for n in wanted for g, w in zip(bytes_of[n], wanted[n])), "and not much more") or tap.note(bytes_of)
same(layers["r1"]["gradient_sum"]["dram_write_bytes"], size, "a sum of gradients is written once")
rows = [n["vector"] for n in layers.values() if "vector" in n]
sums = [n["gradient_sum"] for n in layers.values() if "gradient_sum" in n]
for k in "cycles", "sram_reads", "dram_read_bytes", "macs":
    same([net["vector"][p][k] for p in ("forward", "backward")],
         [sum(r["forward"][k] for r in rows), sum(r["backward"][k] for r in rows) + sum(r[k] for r in sums)], f"the vector unit's total of {k}")
ok(net["vector"]["forward"]["macs"] == 0, "nothing of it is the array's")
text = output("network", mixed, "--schedule", "interleaved", "--optimizer", "adam")
ok("What the vector unit does beside them" in text and "sum of dY" in text, "in the text too")
parameters = parsed("network", mixed, "--schedule", "interleaved", "--optimizer", "adam")["layers"][2]["vector"]
ok(parameters["backward"]["dram_write_bytes"] > layers["b1"]["vector"]["backward"]["dram_write_bytes"], "scale and shift have moments, too")
lrn = parsed("network", "--batch", 1, "nets/alexnet-2012.net", "--schedule", "interleaved", "--rows", 128, "--cols", 128)["layers"]
same({n["reason"] for n in lrn if n["kind"] == "lrn"}, {"the library has no such layer"}, "what the library does not have is named")

# What the library refuses is said, and the rest is costed all the same.
large = write("large.net", "batch 2\ninput 64 x 3 x 60000\nconv out=4 kernel=3\npool type=max kernel=1 stride=1000\nconv out=8 kernel=1\n")
net = parsed("network", large, "--sram-kib", 256, "--schedule", "interleaved")
same([(n.get("refused"), len(n["backward"])) for n in net["layers"] if n["kind"] == "conv"],
     [([{"schedule": s, "reason": "the device's SRAM is too small"} for s in ("forward", "interleaved")], 0), ([], 1)],
     "what does not fit this device is named")
same(net["totals"], [], "there is no total of a part")
text = output("network", large, "--sram-kib", 256, "--schedule", "interleaved")
ok("the device's SRAM is too small" in text and "no total" in text, "in the text too")
finish()
