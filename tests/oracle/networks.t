#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The networks in nets/ beside torchvision's: layer by layer, in shape, parameters and multiply-adds.

Debian's packages are for Debian's python3, hence the first line.
"""
import math
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "e2e"))
try:
    import torch
    from torchvision import models
except ImportError as error:
    print(f"Bail out! {error}: this test needs Debian's python3-torch and python3-torchvision; 'make check-oracle' installs them")
    sys.exit(1)
from tap import finish, note, ok, parsed, same  # noqa: E402

MODELS = {
    "alexnet": models.alexnet, "vgg16": models.vgg16, "resnet18": models.resnet18, "resnet50": models.resnet50,
    "googlenet": lambda: models.googlenet(aux_logits=False, init_weights=False), "densenet121": models.densenet121,
    "densenet264": lambda: models.DenseNet(32, (6, 12, 64, 48), 64)}
KINDS = {torch.nn.Conv2d: "conv", torch.nn.Linear: "linear", torch.nn.BatchNorm2d: "batchnorm", torch.nn.MaxPool2d: "pool",
         torch.nn.AvgPool2d: "pool"}


def macs(module, output):
    """Multiply-adds of one image."""
    if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
        return math.prod(output[1:]) * module.weight.numel()
    return 0


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def window(module):
    """Kernel, stride, padding and groups of what has them."""
    if not hasattr(module, "kernel_size"):
        return None
    vertical, horizontal = pair(module.padding)
    return (pair(module.kernel_size), pair(module.stride), [vertical, vertical, horizontal, horizontal],
            getattr(module, "groups", None))


def record(model, shape):
    """Name, kind, window, output, parameters and multiply-adds of each layer, in the order in which they are used."""
    layers = []

    def hook(name):
        def called(module, _inputs, output):
            size = list(output.shape[1:])
            parameters = sum(p.numel() for p in module.parameters())
            layers.append((name, KINDS[type(module)], window(module), size, parameters, macs(module, size)))
        return called

    for name, module in model.named_modules():
        if type(module) in KINDS:
            module.register_forward_hook(hook(name))
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    return layers


for name, make in MODELS.items():
    net = parsed("network", f"nets/{name}.net", "--shapes")
    model = make()
    theirs = record(model, net["layers"][0]["output"])
    # What torchvision calls as a function or adapts to its input has no name there.
    named = {layer[0] for layer in theirs}
    ours = [(n["name"], n["kind"], (n["kernel"], n["stride"], n["pad"], n.get("groups")) if "kernel" in n else None,
             n["output"], n["parameters"], n["macs"]) for n in net["layers"] if n["name"] in named or n["parameters"]]
    same(len(ours), len(theirs), f"{name}: as many layers: {len(theirs)}")
    different = [(o, t) for o, t in zip(ours, theirs) if o != t]
    ok(not different, f"{name}: the same layers in the same order")
    for o, t in different[:3]:
        note(f"ours   {o}\ntheirs {t}")
    same(net["totals"]["parameters"], sum(p.numel() for p in model.parameters()), f"{name}: {net['totals']['parameters']} parameters")
    same(net["totals"]["macs"], sum(t[-1] for t in theirs), f"{name}: {net['totals']['macs']} multiply-adds")
finish()
