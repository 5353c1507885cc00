#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The picture in docs/ is what its program draws of the command stream."""
import os
import subprocess
import sys
import xml.etree.ElementTree

sys.dont_write_bytecode = True
import tap  # noqa: E402
from tap import finish, ok, same, top  # noqa: E402


def shape(text):
    """Of a picture: how often there is what, and its words but for cycles."""
    root = xml.etree.ElementTree.fromstring(text)
    counts = {}
    for element in root.iter():
        counts[element.tag] = counts.get(element.tag, 0) + 1
    return counts, [e.text for e in root.iter() if e.tag.endswith("text") and not e.text.split()[-1].isdigit()]


drawn = subprocess.run([os.path.join(top, "docs", "draw-convolution"), os.path.join(tap.build, "bin", "igrad-sim")], capture_output=True,
                       text=True, stdin=subprocess.DEVNULL, check=False)
ok(drawn.returncode == 0 and not drawn.stderr, "the picture can be drawn")
with open(os.path.join(top, "docs", "convolution.svg"), encoding="utf-8") as source:
    kept = shape(source.read())
counts, words = shape(drawn.stdout)
same(words, kept[1], "it says what the one that is kept says")
same(counts, kept[0], "and shows as much")
same([words.count(w) for w in ("psum += g·w", "acc += x·g", "skipped")], [5, 6, 5],
     "16 elements: those on the output whose pixel is outside are idle, and phases alternate")
finish()
