# SPDX-License-Identifier: MIT
"""Networks for the device and for PyTorch alike, and bounds of what rounding may make of them.

Everything is computed twice: by the library, in fp32 on the simulated device, and by PyTorch in double precision from the
same numbers. They may differ by what rounding explains, and by no more. The bounds are carried along, element by
element: a sum of n products, in whatever order, is off by at most n·u·Σ|products|, u = 2^-24; whatever its operands are off by
passes through the absolute values of what they are multiplied with. So no tolerance is chosen. (Terms of second order are
within the percent that is added.) Where rounding may decide (near a ReLU's corner, between two maxima) either way is within
the bounds; such places must be few.

In a deep network such bounds grow from layer to layer, far beyond what happens. So each network is looked at twice: as a whole,
from its input to the gradient of its first weights, and layer by layer, each from what ours computed before it, where bounds
are narrow.
"""
import json
import math
import os
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "e2e"))
try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"Bail out! {error}: this test needs Debian's python3-torch; 'make check-oracle' installs it")
    sys.exit(1)
from tap import build, note, ok, tmp  # noqa: E402

U = 2.0 ** -24
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def save(path, matrices):
    """Matrices of fp32, or of 32-bit words as they are, as safetensors."""
    header, data = {}, b""
    for name, m in matrices.items():
        raw = m if isinstance(m, bytes) else None
        shape = [1, len(raw) // 4] if raw is not None else list(m.shape)
        raw = raw if raw is not None else m.float().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def load(path):
    with open(path, "rb") as file:
        content = file.read()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__", None)
    result = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        result[name] = torch.frombuffer(bytearray(content[begin:end]), dtype=torch.float32).double().reshape(entry["shape"])
    return result


def matrix(t):
    """As the device has it: a row per pixel, channels innermost."""
    return t.permute(0, 2, 3, 1).reshape(-1, t.shape[1]) if t.dim() == 4 else t


def image(m, like):
    n, c, h, w = like.shape
    return m.reshape(n, h, w, c).permute(0, 3, 1, 2)


def philox(row, col, stream, key):
    x, key, mask = [row, col // 4, stream, 0], list(key), 0xffffffff
    for _ in range(10):
        a, b = 0xd2511f53 * x[0], 0xcd9e8d57 * x[2]
        x = [b >> 32 ^ x[1] ^ key[0], b & mask, a >> 32 ^ x[3] ^ key[1], a & mask]
        key = [key[0] + 0x9e3779b9 & mask, key[1] + 0xbb67ae85 & mask]
    return x[col % 4]


class Value:
    """A result or a parameter: t is exact, e what ours may be off by; of its gradient, t.grad and ge."""

    def __init__(self, net, name, t, e):
        self.net, self.name, self.t, self.e, self.ge, self.consumers = net, name, t, e, None, 0
        t.requires_grad_(True)
        t.retain_grad()

    def grad_name(self):
        return f"d.{self.name}"


class Net:
    """Builds a network out of layers, for the device and for PyTorch alike."""

    def __init__(self, seed, device="sim:rows=8,cols=8,sram-kib=64", ours=None):
        self.ours = ours  # what the device has computed: then layers are compared one by one
        self.widest, self.worst = (0.0, ""), (0.0, "")
        self.lines, self.inputs, self.values, self.steps, self.device = [], {}, [], [], device
        self.extra = []  # name, exact value and bound of what else is compared
        self.near, self.decided = 0, 0
        self.off, self.checks = 0.0, 0
        self.generator = torch.Generator().manual_seed(seed)

    # ------------------------------------------------------------ bookkeeping

    def random(self, *shape):
        return (torch.rand(*shape, generator=self.generator) * 2 - 1).float().double()

    def emit(self, function, **args):
        names = {k: v.name if isinstance(v, Value) else v for k, v in args.items() if v is not None}
        numbers = {k: int(v) if isinstance(v, bool) else v for k, v in names.items()}
        self.lines.append(" ".join([function] + [f"{k}={v}" for k, v in numbers.items()]))

    def new(self, name, rows, cols):
        self.lines.append(f"new {name} {rows} {cols}")
        return name

    def leaf(self, kind, t, m=None):
        """What is given: exact on both sides."""
        name = f"{kind}{len(self.values)}"
        value = Value(self, name, t, torch.zeros_like(t))
        self.inputs[name] = matrix(t.detach()) if m is None else m(t.detach())
        value.layout = m or matrix
        self.values.append(value)
        return value

    def result(self, kind, t, e, backward):
        name = f"{kind}{len(self.values)}"
        if self.ours:
            self.check(name, t.detach(), e.detach() * 1.01, matrix)
            mine = self.ours[name]
            value = Value(self, name, image(mine, t) if t.dim() == 4 else mine.clone(), torch.zeros_like(e))
            value.local = t
        else:
            value = Value(self, name, t, e.detach() * 1.01)
        value.layout = matrix
        self.new(value.name, *matrix(t).shape)
        self.values.append(value)
        self.steps.append((value, backward))
        return value

    def input(self, *shape):
        return self.leaf("x", self.random(*shape))

    def into(self, value, fill):
        """Give a value a gradient, or another one: fill(name) emits what makes it, and returns its bound."""
        m = value.layout(value.t)
        name = self.new(f"{value.grad_name()}+{value.consumers}" if value.consumers else value.grad_name(), *m.shape)
        e = fill(name) * 1.01
        if value.consumers:
            self.emit("add", a=value.grad_name(), b=name, y=value.grad_name())
            e = e + value.ge + U * value.t.grad.abs() * 1.01
        value.ge = e
        value.consumers += 1

    def through(self, value, name, e):
        """The gradient is there already under another name."""
        if value.consumers:
            self.emit("add", a=value.grad_name(), b=name, y=value.grad_name())
        else:
            self.new(value.grad_name(), *value.layout(value.t).shape)
            self.emit("copy", **{"from": name, "to": value.grad_name()})
        self.into_bound(value, e)

    def into_bound(self, value, e):
        value.ge = e if value.ge is None else e + value.ge + U * value.t.grad.abs() * 1.01
        value.consumers += 1

    def check(self, name, exact, bound, layout):
        """Is ours within the bound? How wide is that beside what it bounds?"""
        exact, bound, mine = layout(exact), layout(bound), self.ours[name]
        # fp32 holds nothing finer than its smallest number
        ratio = ((mine - exact).abs() / (bound + 2.0 ** -140)).max().item()
        size = exact.norm().item() or 1.0
        self.worst = max(self.worst, (ratio if ratio == ratio else math.inf, name))
        self.widest = max(self.widest, (bound.norm().item() / size, name))
        self.off = max(self.off, ((mine - exact).norm() / size).item())
        self.checks += 1

    # ------------------------------------------------------------ layers

    def linear(self, x, out, schedule="interleaved"):
        n = x.t.shape[1]
        w, b = self.leaf("w", self.random(n, out) / math.sqrt(n)), self.leaf("b", self.random(1, out))
        e = x.e @ w.t.abs() + (n + 2) * U * (x.t.abs() @ w.t.abs() + b.t.abs())

        def backward(y):
            g, ge, rows = y.t.grad.abs(), y.ge, x.t.shape[0]
            names = [self.new(v.grad_name(), *v.t.shape) for v in (w, b)]
            w.ge = (x.e.T @ g + x.t.abs().T @ ge + rows * U * (x.t.abs().T @ g)) * 1.01
            b.ge = (ge.sum(0, True) + rows * U * g.sum(0, True)) * 1.01

            def fill(dx):
                self.emit("linear_backward", schedule=schedule, x=x, w=w, b=b, dy=y.grad_name(), dx=dx, dw=names[0],
                          db=names[1])
                return ge @ w.t.abs().T + out * U * (g @ w.t.abs().T)
            self.into(x, fill)
        y = self.result("linear", x.t @ w.t + b.t, e, backward)
        self.emit("linear_forward", x=x, w=w, b=b, y=y)
        return y

    def conv(self, x, out, kernel, stride=(1, 1), pad=(0, 0), dilation=(1, 1), groups=1, schedule="interleaved", bias=True):
        c = x.t.shape[1]
        n = c // groups * kernel[0] * kernel[1]
        w = self.leaf("w", self.random(out, c // groups, *kernel) / math.sqrt(n),
                      lambda t: t.permute(2, 3, 1, 0).reshape(-1, out))
        b = self.leaf("b", self.random(1, out)) if bias else None
        how = {"stride": stride, "padding": pad, "dilation": dilation, "groups": groups}
        shift = b.t.reshape(1, -1, 1, 1) if bias else torch.zeros(1)
        e = (F.conv2d(x.e, w.t.abs(), **how) + (n + 2) * U * (F.conv2d(x.t.abs(), w.t.abs(), **how) + shift.abs()))
        t = F.conv2d(x.t, w.t, **how) + shift
        args = {"batch": x.t.shape[0], "height": x.t.shape[2], "width": x.t.shape[3], "in": c, "out": out,
                "kernel_y": kernel[0], "kernel_x": kernel[1], "stride_y": stride[0], "stride_x": stride[1],
                "pad_top": pad[0], "pad_bottom": pad[0], "pad_left": pad[1], "pad_right": pad[1],
                "dilation_y": dilation[0], "dilation_x": dilation[1], "groups": groups}

        def backward(y):
            g, ge = y.t.grad.abs(), y.ge
            terms = t.shape[0] * t.shape[2] * t.shape[3]

            def of_w(x_, g_):
                return torch.nn.grad.conv2d_weight(x_, w.t.shape, g_, **how)

            def of_x(g_):
                return torch.nn.grad.conv2d_input(x.t.shape, w.t.abs(), g_, **how)
            names = [self.new(v.grad_name(), *v.layout(v.t).shape) for v in (w, b) if v] + [None]
            with torch.no_grad():
                w.ge = (of_w(x.e, g) + of_w(x.t.abs(), ge) + terms * U * of_w(x.t.abs(), g)) * 1.01
            if bias:
                b.ge = (ge.sum((0, 2, 3)) + terms * U * g.sum((0, 2, 3))).reshape(1, -1) * 1.01

            def fill(dx):
                self.emit("conv_backward", **args, schedule=schedule, x=x, w=w, b=b, dy=y.grad_name(), dx=dx, dw=names[0],
                          db=names[1])
                return of_x(ge) + (out // groups * kernel[0] * kernel[1]) * U * of_x(g)
            self.into(x, fill)
        y = self.result("conv", t, e, backward)
        self.emit("conv_forward", **args, x=x, w=w, b=b, y=y)
        return y

    def relu(self, x):
        exact = x.t.detach()
        positive = (exact > 0).double()
        near = (exact.abs() <= x.e) & (x.e > 0)
        self.decisions(near)

        def backward(y):
            def fill(dx):
                self.emit("relu_backward", y=y, dy=y.grad_name(), dx=dx)
                return torch.where(near, y.t.grad.abs() + y.ge, y.ge * positive)
            self.into(x, fill)
        y = self.result("relu", F.relu(x.t), torch.where(near, x.e, x.e * positive), backward)
        self.emit("relu_forward", x=x, y=y)
        return y

    def decisions(self, near):
        self.near += int(near.sum())
        self.decided += near.numel()

    def pool(self, x, kernel, stride, pad=(0, 0), average=False, ceil=False, skip_border=False):
        n, c, h, w = x.t.shape
        args = {"batch": n, "height": h, "width": w, "channels": c, "kernel_y": kernel[0], "kernel_x": kernel[1],
                "stride_y": stride[0], "stride_x": stride[1], "pad_top": pad[0], "pad_bottom": pad[0],
                "pad_left": pad[1], "pad_right": pad[1], "average": average, "ceil": ceil, "skip_border": skip_border}
        terms = kernel[0] * kernel[1]
        index = None

        def forward(v):
            if average:
                return F.avg_pool2d(v, kernel, stride, pad, ceil, not skip_border)
            return F.max_pool2d(v, kernel, stride, pad, 1, ceil)

        def gradient(fn, v):
            """The layer is linear in its gradient."""
            at = x.t.detach().clone().requires_grad_(True)
            return torch.autograd.grad(fn(at), at, v)[0]
        t = forward(x.t)
        if average:
            e = forward(x.e) + (terms + 1) * U * forward(x.t.abs())
        else:
            e, rivals, windows = self.rivals(x, t.detach(), kernel, stride, pad, ceil)
            index = f"index{len(self.values)}"
            self.new(index, *matrix(t).shape)

        def backward(y):
            def fill(dx):
                self.emit("pool_backward", **args, dy=y.grad_name(), index=index, dx=dx)
                bound = gradient(forward, y.ge) + (terms + 1) * U * gradient(forward, y.t.grad.abs())
                if not average:
                    either = (y.t.grad.abs() + y.ge)[..., None, None] * rivals
                    bound = bound + gradient(windows, either)
                return bound
            self.into(x, fill)
        y = self.result("pool", t, e, backward)
        self.emit("pool_forward", **args, x=x, y=y, index=index)
        return y

    def rivals(self, x, t, kernel, stride, pad, ceil):
        """What the maximum is off by; and where rounding may decide, all that may be it, window by window."""
        more = max(kernel) if ceil else 0

        def windows(v, outside=-1e9):
            v = F.pad(v, (pad[1], pad[1] + more, pad[0], pad[0] + more), value=outside)
            return v.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1])[:, :, :t.shape[2], :t.shape[3]]
        v, ve = windows(x.t.detach()), windows(x.e, 0.0)
        off = (ve * (v == t[..., None, None])).amax((-1, -2))  # of the exact maximum
        near = v + ve >= (t - off)[..., None, None]
        certain = (near.sum((-1, -2)) == 1) | ((near & (ve > 0)).sum((-1, -2)) == 0)  # exact equals: the first of them
        self.decisions(~certain)
        e = torch.where(certain, off, (ve * near).amax((-1, -2)))
        return e, (near & ~certain[..., None, None]).double(), windows

    def batchnorm(self, x, epsilon=1e-3):
        c, axes = x.t.shape[1], (0, 2, 3) if x.t.dim() == 4 else (0,)
        n = x.t.numel() // c
        gamma, beta = self.leaf("gamma", self.random(1, c) + 1.5), self.leaf("beta", self.random(1, c))
        shape = (1, c, 1, 1) if x.t.dim() == 4 else (1, c)
        g, b = gamma.t.reshape(shape), beta.t.reshape(shape)

        def mean_of(v):
            return v.mean(axes, True)
        epsilon = float(torch.tensor(epsilon, dtype=torch.float32))
        mean = mean_of(x.t)
        centred = x.t - mean
        variance = mean_of(centred ** 2)
        inverse = 1 / torch.sqrt(variance + epsilon)
        normal = centred * inverse
        t = normal * g + b
        with torch.no_grad():
            mean_e = mean_of(x.e) + (n + 1) * U * mean_of(x.t.abs())
            centred_e = x.e + mean_e + U * centred.abs()
            variance_e = mean_of(2 * centred.abs() * centred_e + centred_e ** 2) + (n + 2) * U * variance
            inverse_e = inverse * (variance_e / (variance + epsilon) / 2 + 3 * U)
            normal_e = centred.abs() * inverse_e + centred_e * inverse + U * normal.abs()
            e = g.abs() * normal_e + U * t.abs()
        names = [self.new(f"{kind}{len(self.values)}", 1, c) for kind in ("mean", "inverse", "running_mean", "running_var")]
        self.emit("batchnorm_forward", training=1, x=x, gamma=gamma, beta=beta, y=f"batchnorm{len(self.values)}",
                  mean=names[0], inverse=names[1], running_mean=names[2], running_variance=names[3], epsilon=epsilon,
                  momentum=1)
        forward = self.lines.pop()
        # With a momentum of 1 the running statistics are those of the batch, the variance as a sample's.
        self.extra.append((names[2], mean.detach().reshape(1, c), mean_e.reshape(1, c) * 1.01))
        self.extra.append((names[3], (variance * n / (n - 1)).detach().reshape(1, c),
                           ((variance_e + 2 * U * variance) * n / (n - 1)).detach().reshape(1, c) * 1.01))

        def backward(y):
            dy, dye = y.t.grad, y.ge
            with torch.no_grad():
                total, dot = dy.sum(axes, True), (dy * normal).sum(axes, True)
                total_e = dye.sum(axes, True) + n * U * dy.abs().sum(axes, True)
                dot_e = ((dy.abs() * normal_e + normal.abs() * dye).sum(axes, True) +
                         n * U * (dy * normal).abs().sum(axes, True))
                factor, factor_e = g * inverse, g.abs() * (inverse_e + U * inverse)
                whole = dy - total / n - normal * dot / n
                size = dy.abs() + total.abs() / n + (normal * dot).abs() / n
                e = factor.abs() * (dye + total_e / n + (normal.abs() * dot_e + normal_e * dot.abs()) / n + 5 * U * size)
                e = e + factor_e * whole.abs()
            gamma.ge, beta.ge = dot_e.reshape(1, c) * 1.01, total_e.reshape(1, c) * 1.01
            rows = [self.new(v.grad_name(), 1, c) for v in (gamma, beta)]

            def fill(dx):
                self.emit("batchnorm_backward", x=x, gamma=gamma, mean=names[0], inverse=names[1], dy=y.grad_name(), dx=dx,
                          dgamma=rows[0], dbeta=rows[1])
                return e
            self.into(x, fill)
        y = self.result("batchnorm", t, e, backward)
        self.lines.append(forward.replace(forward.split(" y=")[1].split()[0], y.name))
        return y

    def add(self, a, b):
        def backward(y):
            for term in (a, b):
                self.through(term, y.grad_name(), y.ge)
        y = self.result("add", a.t + b.t, a.e + b.e + U * (a.t + b.t).detach().abs(), backward)
        self.emit("add", a=a, b=b, y=y)
        return y

    def concat(self, parts):
        def slices(whole, of):
            column = 0
            for i, part in enumerate(parts):
                self.lines.append(f"view {of}.{i} {whole} {column} {part.t.shape[1]}")
                yield part, f"{of}.{i}"
                column += part.t.shape[1]

        def backward(y):
            bounds = y.ge.split([part.t.shape[1] for part in parts], 1)
            for (part, name), e in zip(slices(y.grad_name(), y.grad_name()), bounds):
                self.through(part, name, e)
        y = self.result("concat", torch.cat([p.t for p in parts], 1), torch.cat([p.e for p in parts], 1), backward)
        for part, name in slices(y.name, y.name):
            self.emit("copy", **{"from": part, "to": name})
        return y

    def dropout(self, x, rate):
        key, stream = (0x12345678, 0x9abcdef0), len(self.values)
        rate = float(torch.tensor(rate, dtype=torch.float32))
        rows, cols = matrix(x.t).shape
        stays = torch.tensor([[philox(r, c, stream, key) >= int(rate * 2 ** 32) for c in range(cols)] for r in range(rows)])
        scale = float(torch.tensor(1 / (1 - rate), dtype=torch.float32)) * stays.double()
        scale = image(scale, x.t) if x.t.dim() == 4 else scale
        self.inputs["seed"] = struct.pack("<II", *key)

        def backward(y):
            def fill(dx):
                self.emit("dropout", x=y.grad_name(), y=dx, seed="seed", stream=stream, rate=rate)
                return y.ge * scale + U * (y.t.grad * scale).abs()
            self.into(x, fill)
        y = self.result("dropout", x.t * scale, x.e * scale + U * (x.t.detach() * scale).abs(), backward)
        self.emit("dropout", x=x, y=y, seed="seed", stream=stream, rate=rate)
        return y

    def flatten(self, x):
        n = x.t.shape[0]

        def rows(v):
            return v.permute(0, 2, 3, 1).reshape(n, -1)

        def backward(y):
            # The same words, row by row: a matrix of another shape is a file's matter, so pixels are copied one by one.
            pixels, c = x.t.shape[2] * x.t.shape[3], x.t.shape[1]
            name = self.new(x.grad_name(), n * pixels, c)
            assert not x.consumers
            self.reshape(y.grad_name(), (n, pixels * c), name, (n * pixels, c))
            self.into_bound(x, image(y.ge.reshape(-1, c), x.t))
        y = self.result("flatten", rows(x.t), rows(x.e), backward)
        self.reshape(x.name, matrix(x.t).shape, y.name, y.t.shape)
        return y

    def reshape(self, source, source_shape, target, target_shape):
        """Flattening is another view of the same memory."""
        view = f"{target}.flat"
        self.lines.append(f"reshape {view} {source} {target_shape[0]} {target_shape[1]}")
        self.emit("copy", **{"from": view, "to": target})

    # ------------------------------------------------------------ the end

    def loss(self, x):
        """Softmax cross-entropy, a mean over the batch."""
        n, c = x.t.shape
        labels = torch.randint(c, (n,), generator=self.generator)
        scale = float(torch.tensor(1 / n, dtype=torch.float32))
        self.inputs["labels"] = struct.pack(f"<{n}I", *labels.tolist())
        loss = F.cross_entropy(x.t, labels, reduction="none")
        for value in self.values:
            value.t.retain_grad()
        (loss.sum() * scale).backward(retain_graph=True)
        with torch.no_grad():
            top = x.t.max(1, True)[0]
            off = x.e + x.e.max(1, True)[0] + U * (x.t - top).abs() + 3 * U
            total = off.max(1, True)[0] + c * U
            p = torch.softmax(x.t, 1)
            difference = p - F.one_hot(labels, c)
            e = scale * (p * (off + total + U) + 2 * U * difference.abs())
            log_e = total[:, 0] + 3 * U * torch.log(torch.exp(x.t - top).sum(1)) + off.max(1)[0] + U * loss
        self.new("losses", n, 1)
        self.new(x.grad_name(), n, c)
        self.lines.append(f"reshape labels.column labels {n} 1")
        self.emit("softmax_xent", logits=x, labels="labels.column", dlogits=x.grad_name(), losses="losses", scale=scale)
        self.extra.append(("losses", loss.detach().reshape(n, 1), log_e.reshape(n, 1) * 1.01))
        self.into_bound(x, e * 1.01)

    def seed_gradient(self, y):
        """Without a loss: a gradient that is given."""
        g = self.random(*y.t.shape)
        self.inputs[y.grad_name()] = matrix(g)
        y.t.backward(g, retain_graph=True)
        self.into_bound(y, torch.zeros_like(g))

    def run(self, what):
        for value, backward in reversed(self.steps):
            if value.consumers:
                backward(value)
        path = [os.path.join(tmp, name) for name in ("in.safetensors", "out.safetensors")]
        save(path[0], self.inputs)
        done = subprocess.run([os.path.join(build, "bin/tests/run-layers"), self.device, *path], input="\n".join(self.lines),
                              text=True, stderr=subprocess.PIPE)
        if done.returncode:
            ok(False, f"{what}: runs")
            note(done.stderr)
            return False
        self.ours = load(path[1])
        return True

    def tell(self, what, narrow):
        (worst, where), (widest, wide) = self.worst, self.widest
        if not ok(worst <= 1 and (widest < 0.1 or not narrow),
                  f"{what}: {self.checks} matrices, {worst:.2g} of the way to the bounds at most, and {self.off:.1g} of a norm"):
            note(f"worst {where}: {worst:.3g}; widest bound {wide}: {widest:.3g} of the norm")
        if self.near:
            note(f"rounding may decide {self.near} of {self.decided} times")

    def compare(self, what, narrow=True):
        if not self.run(what):
            return
        for v in self.values:
            if v.name not in self.inputs:
                self.check(v.name, v.t.detach(), v.e, v.layout)
            if v.ge is not None:
                self.check(v.grad_name(), v.t.grad, v.ge, v.layout)
        for name, exact, bound in self.extra:
            self.check(name, exact, bound, lambda m: m)
        self.tell(what, narrow)

    def compare_layers(self, what):
        """Results have been compared while the network was built; now gradients, each from that of the layer's result."""
        for value, backward in reversed(self.steps):
            if value.consumers:
                self.check(value.grad_name(), value.t.grad, value.ge, value.layout)
                mine = self.ours[value.grad_name()]
                value.t.grad = image(mine, value.t) if value.t.dim() == 4 else mine.clone()
                value.ge = torch.zeros_like(value.ge)
                value.local.backward(value.t.grad, retain_graph=True)
                backward(value)
        for v in self.values:
            if v.name in self.inputs and v.ge is not None:
                self.check(v.grad_name(), v.t.grad, v.ge, v.layout)
        for name, exact, bound in self.extra:
            self.check(name, exact, bound, lambda m: m)
        self.tell(what, True)
