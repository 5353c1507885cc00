#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The networks in nets/: igrad-sim's --shapes, counted once more from what it says, and what of them is costed."""
import glob
import math
import sys

sys.dont_write_bytecode = True
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
