#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Layers, and small networks of them, beside PyTorch's autograd: autograd.py says how.

Debian's packages are for Debian's python3, hence the first line.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from autograd import Net  # noqa: E402
from tap import finish  # noqa: E402


def single(what, shape, layer, seed=1):
    n = Net(seed)
    n.seed_gradient(layer(n, n.input(*shape)))
    n.compare(what)


for way in ("ws-paper", "ws", "ws+os", "interleaved"):
    single(f"linear, {way}", (33, 21), lambda n, x: n.linear(x, 17, way))
for way in ("ws+os", "interleaved"):
    single(f"convolution, {way}", (3, 5, 9, 7), lambda n, x: n.conv(x, 6, (3, 3), pad=(1, 1), schedule=way))
    single(f"convolution with stride and dilation, {way}", (2, 4, 11, 9),
           lambda n, x: n.conv(x, 7, (3, 2), (2, 1), (2, 1), (2, 3), schedule=way))
    single(f"convolution in groups, {way}", (2, 6, 6, 6), lambda n, x: n.conv(x, 9, (3, 3), pad=(1, 1), groups=3, schedule=way))
    single(f"depthwise convolution, {way}", (2, 6, 6, 6), lambda n, x: n.conv(x, 6, (3, 3), pad=(1, 1), groups=6, schedule=way))
single("maximum", (3, 5, 12, 12), lambda n, x: n.pool(x, (2, 2), (2, 2)))
single("maximum with padding", (3, 5, 11, 9), lambda n, x: n.pool(x, (3, 3), (2, 2), (1, 1)))
single("maximum, rounded up", (2, 5, 12, 10), lambda n, x: n.pool(x, (3, 3), (2, 2), ceil=True))
single("average", (3, 5, 12, 12), lambda n, x: n.pool(x, (3, 2), (3, 2), average=True))
for skip in (False, True):
    single(f"average with padding, {'without' if skip else 'with'} its zeros", (3, 5, 11, 9),
           lambda n, x: n.pool(x, (3, 3), (2, 1), (1, 1), True, True, skip))
single("average of all", (4, 70, 7, 7), lambda n, x: n.pool(x, (7, 7), (1, 1), average=True))
single("batch normalisation of images", (6, 9, 5, 5), lambda n, x: n.batchnorm(x))
single("batch normalisation of features", (50, 30), lambda n, x: n.batchnorm(x))
single("ReLU", (20, 30), lambda n, x: n.relu(x))
single("dropout", (20, 30), lambda n, x: n.dropout(x, 0.3))
single("residual sum", (2, 4, 6, 6), lambda n, x: n.add(n.conv(x, 4, (3, 3), pad=(1, 1)), x))
single("concatenation", (2, 4, 6, 6),
       lambda n, x: n.concat([x, n.conv(x, 3, (1, 1)), n.pool(x, (3, 3), (1, 1), (1, 1), True)]))


def lenet(n):
    x = n.input(8, 1, 16, 16)
    x = n.pool(n.relu(n.conv(x, 6, (5, 5), pad=(2, 2))), (2, 2), (2, 2))
    x = n.pool(n.relu(n.conv(x, 16, (5, 5))), (2, 2), (2, 2))
    x = n.relu(n.linear(n.flatten(x), 30))
    n.loss(n.linear(n.dropout(x, 0.25), 10))


def block(n, x, out, stride):
    """As in a ResNet."""
    short = x if stride == 1 else n.batchnorm(n.conv(x, out, (1, 1), (stride, stride), bias=False))
    x = n.relu(n.batchnorm(n.conv(x, out, (3, 3), (stride, stride), (1, 1), bias=False)))
    return n.relu(n.add(n.batchnorm(n.conv(x, out, (3, 3), pad=(1, 1), bias=False)), short))


def resnet(n):
    x = n.relu(n.batchnorm(n.conv(n.input(4, 3, 12, 12), 8, (3, 3), pad=(1, 1), bias=False)))
    x = n.pool(x, (3, 3), (2, 2), (1, 1))
    x = block(n, block(n, x, 8, 1), 12, 2)
    n.loss(n.linear(n.flatten(n.pool(x, (3, 3), (1, 1), average=True)), 10))


def inception(n):
    x = n.relu(n.conv(n.input(3, 3, 10, 10), 6, (3, 3)))
    for _ in range(2):
        parts = [n.relu(n.conv(x, 4, (1, 1))), n.relu(n.conv(n.relu(n.conv(x, 3, (1, 1))), 5, (3, 3), pad=(1, 1))),
                 n.relu(n.conv(n.pool(x, (3, 3), (1, 1), (1, 1)), 3, (1, 1))),
                 n.pool(x, (3, 3), (1, 1), (1, 1), True, False, True)]
        x = n.concat(parts)
    n.loss(n.linear(n.flatten(n.pool(x, (8, 8), (1, 1), average=True)), 7))


def densenet(n):
    x = n.conv(n.input(3, 3, 8, 8), 6, (3, 3), pad=(1, 1), bias=False)
    for _ in range(3):
        x = n.concat([x, n.conv(n.relu(n.batchnorm(x)), 4, (3, 3), pad=(1, 1), bias=False)])
    x = n.pool(n.relu(n.batchnorm(x)), (2, 2), (2, 2), average=True)
    n.loss(n.linear(n.flatten(x), 10))


for name, build_net in (("LeNet", lenet), ("ResNet", resnet), ("Inception", inception), ("DenseNet", densenet)):
    for device in ("sim:rows=8,cols=8,sram-kib=64", "sim:rows=16,cols=32,sram-kib=1024"):
        whole = Net(7, device)
        build_net(whole)
        whole.compare(f"a small {name} on {device}", False)
        by_layer = Net(7, device, whole.ours)
        build_net(by_layer)
        by_layer.compare_layers(f"a small {name} on {device}, layer by layer")
finish()
