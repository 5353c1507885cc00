#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The gradients that training computes for networks in nets/, beside those of the same layers called one by one, bit for bit; and
these beside PyTorch's autograd: autograd.py says how.

Debian's packages are for Debian's python3, hence the first line.
"""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from autograd import Net, load, save, torch  # noqa: E402
from tap import build, finish, note, ok, parsed, tmp  # noqa: E402

DEVICE = "sim:rows=16,cols=16,sram-kib=256"
BATCH = 4


def shaped(layer, kind, matrix):
    """As in a file: a convolution's weights have a dimension for each of the kernel's, and a row is a vector."""
    if kind == "bias" or layer["kind"] == "batchnorm":
        return matrix.reshape(-1)
    if layer["kind"] != "conv":
        return matrix
    return matrix.reshape(*layer["kernel"], -1, matrix.shape[1])


def built(name, ours=None):
    """The network, and by layer its parameters: weight and bias."""
    net, values, parameters = Net(5, DEVICE, ours), {}, {}
    for layer in parsed("network", f"nets/{name}.net", "--shapes")["layers"]:
        inputs = [values[i] for i in layer["inputs"]]
        x, before, kind = inputs[0] if inputs else None, len(net.values), layer["kind"]
        if kind == "input":
            value = net.input(BATCH, *layer["output"])
        elif kind == "conv":
            pad = layer["pad"]
            assert pad[0] == pad[1] and pad[2] == pad[3]
            value = net.conv(x, layer["output"][0], layer["kernel"], layer["stride"], (pad[0], pad[2]), layer["dilation"],
                             layer["groups"], bias=layer["bias"])
        elif kind == "linear":
            value = net.linear(x, layer["output"][0])
        elif kind == "pool":
            pad = layer["pad"]
            value = net.pool(x, layer["kernel"], layer["stride"], (pad[0], pad[2]), layer["type"] == "average")
        elif kind == "batchnorm":
            value = net.batchnorm(x, 1e-5)
        elif kind == "add":
            value = net.add(*inputs)
        elif kind == "softmax":
            net.loss(x)
            value = x
        else:
            value = getattr(net, kind)(x)
        if layer["parameters"]:
            parameters[layer["name"]] = (layer, [v for v in net.values[before:] if v is not value])
        values[layer["name"]] = value
    return net, parameters


def trained(name, net, parameters):
    """What training makes of the same parameters and the same batch."""
    paths = [os.path.join(tmp, f"{what}.safetensors") for what in ("parameters", "batch", "gradients")]
    tensors = {}
    for key, (layer, values) in parameters.items():
        for value, kind in zip(values, ("weight", "bias")):
            tensors[f"{key}.{kind}"] = shaped(layer, kind, net.inputs[value.name])
        if layer["kind"] == "batchnorm":
            tensors[f"{key}.running_mean"] = torch.zeros(layer["output"][0])
            tensors[f"{key}.running_var"] = torch.ones(layer["output"][0])
    save(paths[0], tensors)
    first = net.values[0]
    save(paths[1], {"x": net.inputs[first.name].reshape(BATCH, -1), "labels": net.inputs["labels"]})
    done = subprocess.run([os.path.join(build, "bin/tests/run-network"), DEVICE, f"nets/{name}.net", *paths], text=True,
                          stderr=subprocess.PIPE)
    if not ok(done.returncode == 0, f"{name}: one step of training"):
        note(done.stderr)
        finish()
    return load(paths[2])


for name in ("lenet5", "resnet-small"):
    net, parameters = built(name)
    net.compare(f"{name}, as a whole", False)
    by_layer, _ = built(name, net.ours)
    by_layer.compare_layers(f"{name}, layer by layer")
    gradients, different = trained(name, net, parameters), []
    for key, (layer, values) in parameters.items():
        for value, kind in zip(values, ("weight", "bias")):
            theirs = gradients[f"{key}.{kind}.velocity"]
            if not torch.equal(theirs.reshape(-1), net.ours[value.grad_name()].reshape(-1)):
                different.append(f"{key}.{kind}")
    if not ok(not different, f"{name}: training computes the same gradients, bit for bit"):
        note(" ".join(different))
finish()
