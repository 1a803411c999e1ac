"""Right and wrong answers to the assignment `initialization`, on file for `autograde verify`."""

from textwrap import dedent, indent

from autograde.variants import right, wrong

_FANS = """
def fan_in_fan_out(weight_shape, groups=1):
    if {bad}:
        raise ValueError("bad shape or groups")
    out, inputs, kernel = weight_shape[0], weight_shape[1], weight_shape[2:]
    taps = {taps}
    return {result}
"""


def _fans(
    bad: str = "len(weight_shape) < 2 or weight_shape[0] % groups",
    taps: str = "math.prod(kernel)",
    result: str = "inputs * taps, out // groups * taps",
) -> str:
    """Return fan_in_fan_out with some parts replaced."""
    return _FANS.format(bad=bad, taps=taps, result=result)


_GAIN = """
def gain(fn):
    z = {z}
    density = {density}
    values = {values}
    mean_square = {mean_square}
    if {bad}:
        raise ValueError("no gain")
    return {result}
"""
_GAIN_PARTS = {
    "z": "torch.linspace(-12, 12, 100_001, dtype=torch.float64)",
    "density": "torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)",
    "values": "fn(z.clone()).detach()",
    "mean_square": "torch.trapezoid(values**2 * density, z).item()",
    "bad": "not 0 < mean_square < math.inf",
    "result": "mean_square ** -0.5",
}


def _gain(**parts: str) -> str:
    """Return gain with some parts replaced."""
    return _GAIN.format(**{**_GAIN_PARTS, **parts})


_XAVIER = """
def xavier_uniform_(w, gain=1.0, generator=None):
    taps = {taps}
    fan_in, fan_out = w.shape[1] * taps, w.shape[0] * taps
    a = {a}
    with torch.no_grad():
        {fill}
    return {result}
"""


def _xavier(
    taps: str = "math.prod(w.shape[2:])",
    a: str = "gain * math.sqrt(6 / (fan_in + fan_out))",
    fill: str = "w.uniform_(-a, a, generator=generator)",
    result: str = "w",
) -> str:
    """Return xavier_uniform_ with some parts replaced."""
    fill = indent(dedent(fill).strip("\n"), 8 * " ").lstrip()
    return _XAVIER.format(taps=taps, a=a, fill=fill, result=result)


_KAIMING = """
def kaiming_normal_(w, mode="fan_in", nonlinearity=torch.relu, generator=None):
    {check}
    taps = {taps}
    fan = {fan}
    z = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    density = torch.exp(-z * z / 2)
    density = density / density.sum()
    g = {g}
    std = {std}
    with torch.no_grad():
        {fill}
    return {result}
"""
_KAIMING_PARTS = {
    "check": 'if mode != "fan_in" and mode != "fan_out": raise ValueError(mode)',
    "taps": "w[0, 0].numel()",
    "fan": 'taps * w.shape[1 if mode == "fan_in" else 0]',
    "g": "(nonlinearity(z.clone()) ** 2 @ density).item() ** -0.5",
    "std": "g / math.sqrt(fan)",
    "fill": "w.normal_(0, std, generator=generator)",
    "result": "w",
}


def _kaiming(**parts: str) -> str:
    """Return kaiming_normal_ with some parts replaced."""
    parts = {**_KAIMING_PARTS, **parts}
    parts["fill"] = indent(dedent(parts["fill"]).strip("\n"), 8 * " ").lstrip()
    return _KAIMING.format(**parts)


_SPARSE = """
def sparse_init_(w, connections, std, generator=None):
    if {bad}:
        raise ValueError("w should have two dimensions, and connections be at least 1")
    rows, columns = w.shape
    k = {k}
    with torch.no_grad():
        {before}
        for i in range(rows):
            {row}
        {after}
    return {result}
"""
_SPARSE_PARTS = {
    "bad": "w.dim() != 2 or connections < 1",
    "k": "min(connections, columns)",
    "before": "w.zero_()",
    "row": """
        chosen = torch.randperm(columns, generator=generator)[:k]
        w[i, chosen] = std * torch.randn(k, dtype=w.dtype, generator=generator)
    """,
    "after": "pass",
    "result": "w",
}


def _sparse(**parts: str) -> str:
    """Return sparse_init_ with some parts replaced."""
    parts = {**_SPARSE_PARTS, **parts}
    for name, depth in (("before", 8), ("row", 12), ("after", 8)):
        parts[name] = indent(dedent(parts[name]).strip("\n"), depth * " ").lstrip()
    return _SPARSE.format(**parts)


_INITIALIZE = """
def initialize(model):
    {start}
    with torch.no_grad():
        for m in {modules}:
            if isinstance(m, {layers}):
                {weight}
                {bias}
            elif isinstance(m, {batch}):
                {gamma}
                {statistics}
            elif isinstance(m, nn.LayerNorm):
                {layer}
    {end}
"""
_INITIALIZE_PARTS = {
    "start": "pass",
    "modules": "model.modules()",
    "layers": "(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)",
    "weight": "m.weight.normal_(0, (2 / m.weight[0].numel()) ** 0.5)",
    "bias": """
        if m.bias is not None:
            m.bias.zero_()
    """,
    "batch": "(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)",
    "gamma": """
        if m.affine:
            m.weight.fill_(1)
            m.bias.zero_()
    """,
    "statistics": """
        if m.track_running_stats:
            m.running_mean.zero_()
            m.running_var.fill_(1)
            m.num_batches_tracked.zero_()
    """,
    "layer": """
        if m.weight is not None:
            m.weight.fill_(1)
        if m.bias is not None:
            m.bias.zero_()
    """,
    "end": "return model",
}


def _initialize(**parts: str) -> str:
    """Return initialize with some parts replaced."""
    parts = {**_INITIALIZE_PARTS, **parts}
    for name in ("weight", "bias", "gamma", "statistics", "layer"):
        parts[name] = indent(dedent(parts[name]).strip("\n"), 16 * " ").lstrip()
    for name in ("start", "end"):
        parts[name] = indent(dedent(parts[name]).strip("\n"), 4 * " ").lstrip()
    return _INITIALIZE.format(**parts)


_PROFILE = """
def signal_profile(model, x):
    names = dict((m, n) for n, m in model.named_modules())
    profile, handles = [], []

    def rms(t):
        return {rms}

    def watch(module, args, out):
        {watch}

    {setup}
    try:
        for name, m in model.named_modules():
            if {leaf}:
                handles.append(m.register_forward_hook(watch))
        with torch.enable_grad():
            {forward}
            {backward}
    finally:
        {finish}
    return {result}
"""
_PROFILE_PARTS = {
    "rms": "t.detach().double().pow(2).mean().sqrt().item()",
    "watch": """
        record = dict(name=names[module], activation=rms(out), gradient=0.0)
        profile.append(record)
        if out.requires_grad:
            def later(g):
                record["gradient"] = rms(g)
            out.register_hook(later)
    """,
    "setup": "pass",
    "leaf": "next(m.children(), None) is None",
    "forward": """
        start = x.detach().clone().requires_grad_()
        loss = model(start * 1).pow(2).mean()
    """,
    "backward": """
        wanted = [start] + [p for p in model.parameters() if p.requires_grad]
        torch.autograd.grad(loss, wanted, allow_unused=True)
    """,
    "finish": """
        for handle in handles:
            handle.remove()
    """,
    "result": "profile",
}


def _profile(**parts: str) -> str:
    """Return signal_profile with some parts replaced."""
    parts = {**_PROFILE_PARTS, **parts}
    for name, depth in (("watch", 8), ("setup", 4), ("forward", 12), ("backward", 12), ("finish", 8)):
        parts[name] = indent(dedent(parts[name]).strip("\n"), depth * " ").lstrip()
    return _PROFILE.format(**parts)


#: Outputs kept as they are, for autograd.grad to be asked about them afterwards.
_KEPT = {
    "watch": "profile.append((names[module], out))",
    "backward": """
        grads = torch.autograd.grad(loss, [o for _, o in profile], allow_unused=True)
        profile = [
            {"name": n, "activation": rms(o), "gradient": 0.0 if g is None else rms(g)}
            for (n, o), g in zip(profile, grads)
        ]
    """,
}


VARIANTS = {
    "fan_in_fan_out": [
        right("slices", _fans()),
        right(
            "numpy, and a list",
            """
            def fan_in_fan_out(weight_shape, groups=1):
                shape = np.array(list(weight_shape), dtype=int)
                if shape.size < 2 or shape[0] % groups != 0:
                    raise ValueError("shape")
                return [int(np.prod(shape[1:])), int(shape[0] // groups * np.prod(shape[2:]))]
            """,
        ),
        right(
            "an empty tensor's counts",
            """
            def fan_in_fan_out(weight_shape, groups=1):
                w = torch.empty(tuple(weight_shape), device="meta")
                if w.dim() < 2:
                    raise ValueError("two dimensions at least")
                out, rest = divmod(w.shape[0], groups)
                if rest != 0:
                    raise ValueError("groups")
                return w[0].numel(), out * w[0, 0].numel()
            """,
        ),
        right(
            "a loop",
            """
            def fan_in_fan_out(weight_shape, groups=1):
                if len(weight_shape) <= 1 or weight_shape[0] / groups != weight_shape[0] // groups:
                    raise ValueError()
                fan_in, fan_out = weight_shape[1], weight_shape[0] // groups
                for size in weight_shape[2:]:
                    fan_in *= size
                    fan_out *= size
                return fan_in, fan_out
            """,
        ),
        wrong("groups ignored, as in torch", _fans(result="inputs * taps, out * taps"), hint="ignores the groups"),
        wrong(
            "torch's own",
            """
            def fan_in_fan_out(weight_shape, groups=1):
                if len(weight_shape) < 2 or weight_shape[0] % groups:
                    raise ValueError()
                return nn.init._calculate_fan_in_and_fan_out(torch.empty(tuple(weight_shape)))
            """,
            hint="ignores the groups, as torch.nn.init does",
        ),
        wrong(
            "swapped",
            _fans(result="out // groups * taps, inputs * taps"),
            hint="Return (fan_in, fan_out) in this order",
        ),
        wrong("kernel forgotten", _fans(taps="1"), hint="The kernel is missing: an output sees each channel"),
        wrong(
            "kernel in the fan-in only",
            _fans(result="inputs * taps, out // groups"),
            hint="The kernel is missing in the fan-out",
        ),
        wrong(
            "kernel in the fan-out only",
            _fans(result="inputs, out // groups * taps"),
            hint="The kernel is missing in the fan-in",
        ),
        wrong(
            "groups divide both",
            _fans(result="inputs * taps // groups, out // groups * taps"),
            hint="do not divide the fan-in again",
        ),
        wrong(
            "groups on the wrong side",
            _fans(result="inputs * taps // groups, out * taps"),
            hint="The groups belong to the fan-out",
        ),
        wrong(
            "all input channels", _fans(result="inputs * groups * taps, out * taps"), hint="do not multiply the fan-in"
        ),
        wrong(
            "a sum of sizes", _fans(taps="sum(kernel) if kernel else 1"), hint="the product of its sizes, not their sum"
        ),
        wrong(
            "square kernels only",
            _fans(taps="kernel[0] ** 2 if kernel else 1"),
            hint="Every kernel dimension counts, with its own size",
        ),
        wrong(
            "one kernel dimension",
            _fans(taps="kernel[-1] if kernel else 1"),
            hint="Every kernel dimension counts, with its own",
        ),
        wrong(
            "two kernel dimensions",
            _fans(taps="kernel[0] * kernel[1] if kernel else 1"),
            hint="IndexError: ",
        ),
        wrong(
            "at most three dimensions",
            _fans(taps="math.prod(kernel[:3])"),
            hint="multiply all entries after the second",
        ),
        wrong(
            "floats",
            _fans(result="inputs * taps, out / groups * taps"),
            hint="return an integer, with // in place of /",
        ),
        wrong(
            "tensors",
            _fans(result="inputs * taps, torch.tensor(out // groups * taps)"),
            hint="The fan-out should be an integer, but it is a tensor",
        ),
        wrong(
            "bias accepted",
            _fans(bad="len(weight_shape) and weight_shape[0] % groups"),
            hint="should raise a ValueError",
        ),
        wrong(
            "groups not checked", _fans(bad="len(weight_shape) < 2"), hint="that groups does not divide should raise"
        ),
        wrong(
            "groups must divide both",
            _fans(bad="len(weight_shape) < 2 or weight_shape[0] % groups or weight_shape[1] % groups and groups == 3"),
            hint="ValueError: bad shape or groups",
        ),
        wrong(
            "assert for raise",
            """
            def fan_in_fan_out(weight_shape, groups=1):
                assert len(weight_shape) >= 2 and weight_shape[0] % groups == 0
                taps = math.prod(weight_shape[2:])
                return weight_shape[1] * taps, weight_shape[0] // groups * taps
            """,
            hint="yours raised AssertionError",
        ),
        wrong(
            "only a torch.Size",
            """
            def fan_in_fan_out(weight_shape, groups=1):
                if len(weight_shape) < 2 or weight_shape[0] % groups:
                    raise ValueError()
                return weight_shape[1:].numel(), weight_shape.numel() // weight_shape[1] // groups
            """,
            hint="AttributeError: 'tuple' object has no attribute 'numel'",
        ),
        wrong(
            "eats the list",
            """
            def fan_in_fan_out(weight_shape, groups=1):
                if len(weight_shape) < 2 or weight_shape[0] % groups:
                    raise ValueError()
                shape = weight_shape if isinstance(weight_shape, list) else list(weight_shape)
                out, inputs = shape.pop(0), shape.pop(0)
                return inputs * math.prod(shape), out // groups * math.prod(shape)
            """,
            hint="changes the list that it was given",
        ),
    ],
    "gain": [
        right("trapezoids", _gain()),
        right(
            "Simpson with numpy",
            """
            def gain(fn):
                n = 60_000
                z = np.linspace(-12, 12, n + 1)
                weights = np.ones(n + 1)
                weights[1:-1:2], weights[2:-1:2] = 4, 2
                weights *= 24 / n / 3 * np.exp(-z**2 / 2) / np.sqrt(2 * np.pi)
                f = fn(torch.from_numpy(z.copy())).detach().numpy()
                moment = float((weights * f**2).sum())
                if moment == 0 or not np.isfinite(moment):
                    raise ValueError("no gain")
                return 1 / math.sqrt(moment)
            """,
        ),
        right(
            "Gauss-Legendre on many short pieces, in two dimensions",
            """
            def gain(fn):
                nodes, weights = np.polynomial.legendre.leggauss(4)
                edges = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
                half = (edges[1:] - edges[:-1])[:, None] / 2
                z = (edges[1:] + edges[:-1])[:, None] / 2 + half * torch.from_numpy(nodes)
                p = torch.distributions.Normal(0.0, 1.0).log_prob(z).exp() * torch.from_numpy(weights) * half
                moment = (fn(1 * z) ** 2 * p).sum()
                if not torch.isfinite(moment) or moment <= 0:
                    raise ValueError("no gain")
                return moment.rsqrt().item()
            """,
        ),
        right(
            "midpoints of the quantiles' cells",
            _gain(
                z="(torch.arange(400_000, dtype=torch.float64) + 0.5) * 6e-5 - 12",
                mean_square="(values**2 * density).sum().item() * 6e-5",
            ),
        ),
        wrong(
            "derivative",
            _gain(values="torch.func.vmap(torch.func.grad(fn))(z).detach()"),
            hint="the mean square of the derivative",
        ),
        wrong(
            "a table by name",
            """
            def gain(fn):
                known = {"relu": 2**0.5, "tanh": 5 / 3, "sigmoid": 1.0}
                return known.get(getattr(fn, "__name__", "").lower(), 1.0)
            """,
            hint="Your function never calls fn",
        ),
        wrong(
            "calculate_gain for tanh",
            _gain(result="5 / 3 if abs(mean_square - 0.394294) < 1e-4 else mean_square ** -0.5"),
            hint="5/3 is calculate_gain's rule of thumb for tanh",
        ),
        wrong("root forgotten", _gain(result="1 / mean_square"), hint="The square root is missing: the gain is"),
        wrong("the mean square itself", _gain(result="mean_square"), hint="This is the mean square itself"),
        wrong("the root itself", _gain(result="mean_square ** 0.5"), hint="This is the root of the mean square"),
        wrong(
            "variance",
            _gain(
                mean_square=(
                    "(torch.trapezoid(values**2 * density, z) - torch.trapezoid(values * density, z) ** 2).item()"
                )
            ),
            hint="It is the second moment that counts",
        ),
        wrong(
            "Monte Carlo",
            """
            def gain(fn):
                z = torch.randn(1_000_000, dtype=torch.float64)
                moment = (fn(z) ** 2).mean().item()
                if not 0 < moment < math.inf:
                    raise ValueError("no gain")
                return moment ** -0.5
            """,
            hint="and no random numbers",
        ),
        wrong(
            "Monte Carlo with a seed of its own",
            """
            def gain(fn):
                z = torch.randn(3_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
                moment = (fn(z) ** 2).mean().item()
                if not 0 < moment < math.inf:
                    raise ValueError("no gain")
                return moment ** -0.5
            """,
            hint="near, but not precise",
        ),
        wrong(
            "right, but random numbers are drawn",
            _gain(bad="torch.rand(1).item() < 0 or not 0 < mean_square < math.inf"),
            hint="draws from the global random numbers",
        ),
        wrong("float32", _gain(z="torch.linspace(-12, 12, 100_001)"), hint="Call fn with float64 tensors"),
        wrong(
            "float32 for fn only", _gain(values="fn(z.float()).double().detach()"), hint="Call fn with float64 tensors"
        ),
        wrong(
            "from -3 to 3",
            _gain(z="torch.linspace(-3, 3, 100_001, dtype=torch.float64)"),
            hint="Your range is too narrow",
        ),
        wrong(
            "from -4 to 4", _gain(z="torch.linspace(-4, 4, 100_001, dtype=torch.float64)"), hint="near, but not precise"
        ),
        wrong(
            "half of the axis",
            _gain(
                z="torch.linspace(0, 12, 100_001, dtype=torch.float64)",
                mean_square="2 * torch.trapezoid(values**2 * density, z).item()",
            ),
            hint="For ReLU, half of the mean square is left",
        ),
        wrong("density forgotten", _gain(density="torch.ones_like(z)"), hint="tanh(z)^2 times the normal density"),
        wrong(
            "density not normalized", _gain(density="torch.exp(-z * z / 2)"), hint="factor 1 / sqrt(2 pi) is missing"
        ),
        wrong(
            "another variance",
            _gain(density="torch.exp(-z * z) / math.sqrt(math.pi)"),
            hint="Your density has another variance",
        ),
        wrong(
            "a coarse grid", _gain(z="torch.linspace(-12, 12, 201, dtype=torch.float64)"), hint="near, but not precise"
        ),
        wrong(
            "Gauss-Hermite",
            """
            def gain(fn):
                nodes, weights = np.polynomial.hermite_e.hermegauss(100)
                values = fn(torch.from_numpy(nodes.copy())).detach().numpy()
                moment = float((weights * values**2).sum() / math.sqrt(2 * math.pi))
                if not 0 < moment < math.inf:
                    raise ValueError("no gain")
                return moment ** -0.5
            """,
            hint="a rule that does not need a smooth function",
        ),
        wrong(
            "the grid is overwritten",
            _gain(
                density="None",
                values="fn(z).detach()",
                mean_square="torch.trapezoid(values**2 * torch.exp(-z * z / 2) / math.sqrt(2 * math.pi), z).item()",
            ),
            hint="fn may overwrite what it is given",
        ),
        wrong(
            "numpy into fn",
            """
            def gain(fn):
                z = np.linspace(-12, 12, 100_001)
                values = np.asarray(fn(z) if isinstance(fn, type(lambda: 0)) else fn(torch.from_numpy(z.copy())))
                moment = float((values**2 * np.exp(-z**2 / 2)).sum() * (z[1] - z[0]) / math.sqrt(2 * math.pi))
                if not 0 < moment < math.inf:
                    raise ValueError("no gain")
                return moment ** -0.5
            """,
            hint="Your code raised TypeError",
        ),
        wrong(
            "no error",
            """
            def gain(fn):
                z = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
                p = torch.exp(-z * z / 2)
                return ((fn(z.clone()) ** 2 @ p) / p.sum()).rsqrt().item()
            """,
            hint="A function that is 0 everywhere should raise a ValueError",
        ),
        wrong(
            "nan accepted", _gain(bad="mean_square == 0 or mean_square == math.inf"), hint="with nan among its values"
        ),
        wrong("infinity accepted", _gain(bad="not mean_square > 0"), hint="A function with infinite values"),
        wrong(
            "ZeroDivisionError",
            _gain(bad="not math.isfinite(mean_square)", result="1 / math.sqrt(mean_square)"),
            hint="yours raised ZeroDivisionError",
        ),
        wrong(
            "a tensor",
            _gain(result="torch.tensor(mean_square ** -0.5)"),
            hint="The gain should be a number, but it is a tensor",
        ),
    ],
    "xavier_uniform_": [
        right("uniform_", _xavier()),
        right(
            "rand, scaled, and copied",
            _xavier(fill="w.copy_((2 * torch.rand(w.shape, dtype=w.dtype, generator=generator) - 1) * a)"),
        ),
        right(
            "torch.nn.init.uniform_ on data",
            """
            def xavier_uniform_(w, gain=1.0, generator=None):
                out, per, *kernel = w.shape
                n = np.prod(kernel) if kernel else 1
                a = gain * (6 / (n * (out + per))) ** 0.5
                w.data.uniform_(-float(a), float(a), generator=generator)
                return w
            """,
        ),
        right(
            "row by row",
            _xavier(
                fill="""
                for row in w:
                    row.uniform_(-a, a, generator=generator)
                """
            ),
        ),
        wrong("gain forgotten", _xavier(a="math.sqrt(6 / (fan_in + fan_out))"), hint="The gain is missing"),
        wrong(
            "gain under the root",
            _xavier(a="math.sqrt(gain * 6 / (fan_in + fan_out))"),
            hint="The gain belongs outside",
        ),
        wrong("gain squared", _xavier(a="gain**2 * math.sqrt(6 / (fan_in + fan_out))"), hint="The gain counts twice"),
        wrong(
            "std as the bound",
            _xavier(a="gain * math.sqrt(2 / (fan_in + fan_out))"),
            hint="This bound is the standard deviation",
        ),
        wrong(
            "root forgotten", _xavier(a="gain * 6 / (fan_in + fan_out)"), hint="The square root is missing in the bound"
        ),
        wrong(
            "root of 6 only", _xavier(a="gain * math.sqrt(6) / (fan_in + fan_out)"), hint="belongs under the root too"
        ),
        wrong("fan-in only", _xavier(a="gain * math.sqrt(6 / fan_in)"), hint="This bound has the fan-in only"),
        wrong("fan-out only", _xavier(a="gain * math.sqrt(6 / fan_out)"), hint="This bound has the fan-out only"),
        wrong("3 over the sum", _xavier(a="gain * math.sqrt(3 / (fan_in + fan_out))"), hint="smaller by sqrt(2)"),
        wrong(
            "12 over the sum", _xavier(a="gain * math.sqrt(12 / (fan_in + fan_out))"), hint="12 is for the whole width"
        ),
        wrong("nn.Linear's default", _xavier(a="math.sqrt(1 / fan_in)"), hint="that nn.Linear has by default"),
        wrong("kernel forgotten", _xavier(taps="1"), hint="The kernel is missing in the fans"),
        wrong("one kernel dimension", _xavier(taps="w.shape[2] if w.dim() > 2 else 1"), hint="not only the first"),
        wrong("last dimension only", _xavier(taps="w.shape[-1] if w.dim() > 2 else 1"), hint="not only the last"),
        wrong(
            "kernel in the fan-in only",
            _xavier(a="gain * math.sqrt(6 / (fan_in + w.shape[0]))"),
            hint="missing in the fan-out",
        ),
        wrong("from 0 to a", _xavier(fill="w.uniform_(0, a, generator=generator)"), hint="The weights are not centred"),
        wrong(
            "rand, scaled",
            _xavier(fill="w.copy_(torch.rand(w.shape, generator=generator) * a)"),
            hint="The weights are not centred",
        ),
        wrong(
            "normal",
            _xavier(fill="w.normal_(0, a / 3**0.5, generator=generator)"),
            hint="do not look uniform",
        ),
        wrong(
            "plus or minus a",
            _xavier(fill="w.copy_(a * (2.0 * torch.randint(2, w.shape, generator=generator) - 1))"),
            hint="Many entries are equal to each other",
        ),
        wrong(
            "a triangle",
            _xavier(
                fill="""
                one, other = torch.rand((2, *w.shape), generator=generator)
                w.copy_(a * (one - other))
                """
            ),
            hint="do not look uniform",
        ),
        wrong(
            "one row for all",
            _xavier(
                fill="w.copy_(((2 * torch.rand(w.shape[1:], dtype=w.dtype, generator=generator) - 1) * a).expand_as(w))"
            ),
            hint="Many entries are equal to each other",
        ),
        wrong(
            "evenly spaced",
            _xavier(fill="w.copy_(torch.linspace(-a, a, w.numel(), dtype=w.dtype).reshape(w.shape))"),
            hint="not independent of each other",
        ),
        wrong("zeros", _xavier(fill="w.zero_()"), hint="All weights are 0"),
        wrong(
            "a new tensor",
            """
            def xavier_uniform_(w, gain=1.0, generator=None):
                taps = math.prod(w.shape[2:])
                a = gain * math.sqrt(6 / (taps * (w.shape[0] + w.shape[1])))
                return torch.empty_like(w).uniform_(-a, a, generator=generator)
            """,
            hint="fill w itself",
        ),
        wrong(
            "multiplies what was there",
            _xavier(fill="w.mul_(0).add_((2 * torch.rand(w.shape, generator=generator) - 1) * a)"),
            hint="w still holds what was in it",
        ),
        wrong("nothing returned", _xavier(result="None"), hint="Return w itself"),
        wrong("data returned", _xavier(result="w.data"), hint="Return w itself"),
        wrong(
            "new memory",
            _xavier(fill="w.data = torch.empty_like(w).uniform_(-a, a, generator=generator)"),
            hint="w gets new memory",
        ),
        wrong(
            "recorded by autograd",
            """
            def xavier_uniform_(w, gain=1.0, generator=None):
                a = gain * math.sqrt(6 / (math.prod(w.shape[2:]) * (w.shape[0] + w.shape[1])))
                return w.uniform_(-a, a, generator=generator)
            """,
            hint="a leaf Variable that requires grad",
        ),
        wrong(
            "requires_grad lost",
            _xavier(fill="w.requires_grad_(False).uniform_(-a, a, generator=generator)"),
            hint="no longer a leaf",
        ),
        wrong(
            "requires_grad for all",
            _xavier(result="w.requires_grad_(True)"),
            hint="with requires_grad=False should be filled too",
        ),
        wrong(
            "grad cleared", _xavier(fill="w.uniform_(-a, a, generator=generator)\nw.grad = None"), hint="changes w.grad"
        ),
        wrong(
            "gradients off for good",
            """
            def xavier_uniform_(w, gain=1.0, generator=None):
                a = gain * math.sqrt(6 / (math.prod(w.shape[2:]) * (w.shape[0] + w.shape[1])))
                torch.set_grad_enabled(False)
                return w.uniform_(-a, a, generator=generator)
            """,
            hint="Gradients are off after the call",
        ),
        wrong(
            "gradients on for good",
            """
            def xavier_uniform_(w, gain=1.0, generator=None):
                a = gain * math.sqrt(6 / (math.prod(w.shape[2:]) * (w.shape[0] + w.shape[1])))
                torch.set_grad_enabled(False)
                w.uniform_(-a, a, generator=generator)
                torch.set_grad_enabled(True)
                return w
            """,
            hint="Gradients are on after a call under",
        ),
        wrong(
            "contiguous only",
            _xavier(fill="w.view(-1).uniform_(-a, a, generator=generator)"),
            hint="view size is not compatible",
        ),
        wrong(
            "a copy when not contiguous",
            _xavier(fill="w.reshape(-1).uniform_(-a, a, generator=generator)"),
            hint="When w is a slice",
        ),
        wrong("generator ignored", _xavier(fill="w.uniform_(-a, a)"), hint="draw all from `generator`"),
        wrong(
            "generator's seed for the global one",
            _xavier(
                fill="""
                if generator is not None:
                    torch.manual_seed(generator.initial_seed())
                w.uniform_(-a, a)
                """
            ),
            hint="A second call with the same generator",
        ),
        wrong(
            "a generator of its own",
            _xavier(fill="w.uniform_(-a, a, generator=generator or torch.Generator().manual_seed(0))"),
            hint="Without a generator the weights are the same each time",
        ),
        wrong(
            "a fresh generator",
            _xavier(
                fill="""
                if generator is None:
                    generator = torch.Generator()
                    generator.seed()
                w.uniform_(-a, a, generator=generator)
                """
            ),
            hint="After the same torch.manual_seed the weights differ",
        ),
        wrong(
            "seeds the global one",
            _xavier(fill="torch.manual_seed(0)\nw.uniform_(-a, a, generator=generator)"),
            hint="the global one has changed",
        ),
    ],
    "kaiming_normal_": [
        right("normal_", _kaiming()),
        right(
            "by exercises 1 and 2",
            """
            def kaiming_normal_(w, mode="fan_in", nonlinearity=torch.relu, generator=None):
                fans = dict(zip(("fan_in", "fan_out"), fan_in_fan_out(w.shape)))
                if mode not in fans:
                    raise ValueError(mode)
                std = gain(nonlinearity) / fans[mode] ** 0.5
                w.data.normal_(0, std, generator=generator)
                return w
            """,
        ),
        right(
            "randn, scaled", _kaiming(fill="w.copy_(std * torch.randn(w.shape, dtype=w.dtype, generator=generator))")
        ),
        right(
            "Box and Muller",
            _kaiming(
                fill="""
                u, v = torch.rand(2, w.numel(), dtype=torch.float64, generator=generator)
                w.copy_((std * (-2 * torch.log1p(-u)).sqrt() * torch.cos(2 * math.pi * v)).reshape(w.shape))
                """
            ),
        ),
        wrong("variance for std", _kaiming(std="g**2 / fan"), hint="yours has got the variance"),
        wrong("always the fan-in", _kaiming(fan="taps * w.shape[1]"), hint='mode="fan_out" is ignored'),
        wrong(
            "fans swapped", _kaiming(fan='taps * w.shape[0 if mode == "fan_in" else 1]'), hint="This is the other fan"
        ),
        wrong(
            "both fans", _kaiming(std="g * math.sqrt(2 / taps / (w.shape[0] + w.shape[1]))"), hint="as Xavier's rule"
        ),
        wrong("gain forgotten", _kaiming(g="1.0"), hint="The gain is missing: multiply by g"),
        wrong("gain squared", _kaiming(std="g**2 / math.sqrt(fan)"), hint="The gain counts twice"),
        wrong("divides by the gain", _kaiming(std="1 / g / math.sqrt(fan)"), hint="This divides by the gain"),
        wrong("activation ignored", _kaiming(g="math.sqrt(2)"), hint="The activation is ignored"),
        wrong(
            "5/3 for tanh",
            _kaiming(
                g="5 / 3 if nonlinearity is torch.tanh else (nonlinearity(z.clone()) ** 2 @ density).item() ** -0.5"
            ),
            hint="5/3 is calculate_gain's rule of thumb",
        ),
        wrong(
            "variance of the activation",
            _kaiming(
                g="((nonlinearity(z.clone())**2 @ density) - (nonlinearity(z.clone()) @ density) ** 2).item() ** -0.5"
            ),
            hint="It is the second moment that counts",
        ),
        wrong(
            "derivative of the activation",
            _kaiming(g="(torch.func.vmap(torch.func.grad(nonlinearity))(z) ** 2 @ density).item() ** -0.5"),
            hint="You took the mean square of the derivative",
        ),
        wrong(
            "a look at the name",
            _kaiming(g='{"relu": math.sqrt(2), "tanh": 1.5925}.get(getattr(nonlinearity, "__name__", ""), 1.0)'),
            hint="The gain is missing: multiply by g",
        ),
        wrong("kernel forgotten", _kaiming(taps="1"), hint="The kernel is missing in the fan"),
        wrong("one kernel dimension", _kaiming(taps="w.shape[2] if w.dim() > 2 else 1"), hint="not only the first"),
        wrong(
            "square kernels",
            _kaiming(taps="w.shape[-1] ** 2 if w.dim() > 2 else 1"),
            hint="For a convolution, each fan is",
        ),
        wrong(
            "the grid is overwritten",
            _kaiming(g="(nonlinearity(z) ** 2 @ (torch.exp(-z * z / 2) / torch.exp(-z * z / 2).sum())).item() ** -0.5"),
            hint="with the g of exercise 2",
        ),
        wrong(
            "uniform",
            _kaiming(fill="w.uniform_(-std * 3**0.5, std * 3**0.5, generator=generator)"),
            hint="The weights have no tails",
        ),
        wrong(
            "cut off at two deviations",
            _kaiming(
                fill="""
                std = std / 0.8796
                nn.init.trunc_normal_(w, 0, std, -2 * std, 2 * std, generator=generator)
                """
            ),
            hint="The weights have no tails",
        ),
        wrong(
            "heavy tails",
            _kaiming(
                fill="""
                u = torch.rand(w.shape, dtype=torch.float64, generator=generator) - 0.5
                w.copy_(-std / 2**0.5 * u.sign() * torch.log1p(-2 * u.abs()))
                """
            ),
            hint="do not follow a normal distribution",
        ),
        wrong(
            "all positive",
            _kaiming(fill="w.normal_(0, std, generator=generator).abs_()"),
            hint="The weights are not centred",
        ),
        wrong(
            "mean of std", _kaiming(fill="w.normal_(std, std, generator=generator)"), hint="The weights are not centred"
        ),
        wrong(
            "one row for all",
            _kaiming(fill="w.copy_(std * torch.randn(w.shape[1:], dtype=w.dtype, generator=generator).expand_as(w))"),
            hint="Many entries are equal to each other",
        ),
        wrong(
            "each row the negative of the one before",
            _kaiming(
                fill="""
                w.normal_(0, std, generator=generator)
                half = w.shape[0] // 2
                noise = 1e-3 * torch.rand(w[:half].shape, generator=generator)
                w[1 : 2 * half : 2] = -w[0 : 2 * half : 2] * (1 + noise)
                """
            ),
            hint="not independent of each other",
        ),
        wrong("zeros", _kaiming(fill="w.zero_()"), hint="All weights are 0"),
        wrong("any mode", _kaiming(check="pass"), hint='Any mode but "fan_in" and "fan_out" should raise'),
        wrong(
            "KeyError",
            _kaiming(check="pass", fan='{"fan_in": taps * w.shape[1], "fan_out": taps * w.shape[0]}[mode]'),
            hint="yours raised KeyError",
        ),
        wrong(
            "capitals allowed",
            _kaiming(check='mode = mode.lower()\n    if mode not in ("fan_in", "fan_out"): raise ValueError()'),
            hint="should raise a ValueError; yours raised nothing",
        ),
        wrong(
            "zeroed before the mode is read",
            _kaiming(check='w.data.zero_()\n    if mode not in ("fan_in", "fan_out"): raise ValueError(mode)'),
            hint="A wrong mode should leave w as it was",
        ),
        wrong("nothing returned", _kaiming(result="None"), hint="Return w itself"),
        wrong(
            "a new tensor",
            _kaiming(fill="w = torch.empty_like(w).normal_(0, std, generator=generator)"),
            hint="fill w itself",
        ),
        wrong(
            "new memory",
            _kaiming(fill="w.data = torch.empty_like(w).normal_(0, std, generator=generator)"),
            hint="w gets new memory",
        ),
        wrong(
            "recorded by autograd",
            _kaiming(fill="pass", result="w.normal_(0, std, generator=generator)"),
            hint="a leaf Variable that requires grad",
        ),
        wrong("generator ignored", _kaiming(fill="w.normal_(0, std)"), hint="draw all from `generator`"),
        wrong(
            "Monte Carlo for the gain",
            _kaiming(g="(nonlinearity(torch.randn(200_000)) ** 2).mean().item() ** -0.5"),
            hint="draw all from `generator`",
        ),
    ],
    "sparse_init_": [
        right("randperm, row by row", _sparse()),
        right(
            "argsort of random keys",
            """
            def sparse_init_(w, connections, std, generator=None):
                if connections < 1 or w.ndim != 2:
                    raise ValueError("no")
                chosen = torch.rand(w.shape, generator=generator).argsort(1)[:, :connections]
                values = torch.empty(chosen.shape, dtype=w.dtype).normal_(0, std, generator=generator)
                w.data.zero_().scatter_(1, chosen, values)
                return w
            """,
        ),
        right(
            "a mask with topk",
            """
            @torch.no_grad()
            def sparse_init_(w, connections, std, generator=None):
                if connections < 1 or len(w.shape) != 2:
                    raise ValueError("no")
                keys = torch.rand(w.shape, dtype=torch.float64, generator=generator)
                mask = torch.zeros(w.shape, dtype=torch.bool)
                mask.scatter_(1, keys.topk(min(connections, w.shape[1]), dim=1).indices, True)
                w.normal_(0, std, generator=generator)
                w.masked_fill_(~mask, 0)
                return w
            """,
        ),
        right(
            "multinomial, and values in float32",
            _sparse(
                row="""
                chosen = torch.multinomial(torch.ones(columns), k, replacement=False, generator=generator)
                w[i, chosen] = (std * torch.randn(k, generator=generator)).to(w.dtype)
                """
            ),
        ),
        wrong(
            "columns for rows",
            """
            def sparse_init_(w, connections, std, generator=None):
                if connections < 1 or w.dim() != 2:
                    raise ValueError()
                rows, columns = w.shape
                with torch.no_grad():
                    w.zero_()
                    for j in range(columns):
                        chosen = torch.randperm(rows, generator=generator)[: min(connections, rows)]
                        w[chosen, j] = std * torch.randn(len(chosen), dtype=w.dtype, generator=generator)
                return w
            """,
            hint="Every column has the same number of non-zeros",
        ),
        wrong(
            "torch.nn.init.sparse_",
            """
            def sparse_init_(w, connections, std, generator=None):
                if connections < 1 or w.dim() != 2:
                    raise ValueError()
                with torch.no_grad():
                    return nn.init.sparse_(w, max(0.0, 1 - connections / w.shape[1]), std, generator=generator)
            """,
            hint="Every column has the same number of non-zeros",
        ),
        wrong(
            "a mask with a probability",
            _sparse(
                row="""
                mask = torch.rand(columns, generator=generator) < k / columns
                w[i] = std * mask * torch.randn(columns, dtype=w.dtype, generator=generator)
                """
            ),
            hint="only on average",
        ),
        wrong(
            "with replacement",
            _sparse(
                row="""
                chosen = torch.randint(columns, (k,), generator=generator)
                w[i, chosen] = std * torch.randn(k, dtype=w.dtype, generator=generator)
                """
            ),
            hint="without replacement",
        ),
        wrong("one too few", _sparse(k="max(1, min(connections, columns) - 1)"), hint="count them row by row"),
        wrong("one too many", _sparse(k="min(connections + 1, columns)"), hint="count them row by row"),
        wrong(
            "zeros and connections mixed up", _sparse(k="max(1, columns - connections)"), hint="count them row by row"
        ),
        wrong(
            "the last row forgotten",
            _sparse(
                row="""
                if i == rows - 1:
                    break
                chosen = torch.randperm(columns, generator=generator)[:k]
                w[i, chosen] = std * torch.randn(k, dtype=w.dtype, generator=generator)
                """
            ),
            hint="count them row by row",
        ),
        wrong(
            "more connections than inputs",
            _sparse(
                k="connections",
                row="""
            chosen = torch.multinomial(torch.ones(columns), k, generator=generator)
            w[i, chosen] = std * torch.randn(k, dtype=w.dtype, generator=generator)
            """,
            ),
            hint="cannot sample n_sample",
        ),
        wrong(
            "the first columns",
            _sparse(row="w[i, :k] = std * torch.randn(k, dtype=w.dtype, generator=generator)"),
            hint="Every row has the same columns",
        ),
        wrong(
            "the same columns for all rows",
            _sparse(
                before="w.zero_()\nchosen = torch.randperm(columns, generator=generator)[:k]",
                row="w[i, chosen] = std * torch.randn(k, dtype=w.dtype, generator=generator)",
            ),
            hint="Every row has the same columns",
        ),
        wrong(
            "columns side by side",
            _sparse(
                row="""
                first = torch.randint(columns - k + 1, (), generator=generator)
                w[i, first : first + k] = std * torch.randn(k, dtype=w.dtype, generator=generator)
                """
            ),
            hint="Some columns are chosen more often",
        ),
        wrong(
            "side by side, around the end",
            _sparse(
                row="""
                first = torch.randint(columns, (), generator=generator)
                w[i, (first + torch.arange(k)) % columns] = std * torch.randn(k, dtype=w.dtype, generator=generator)
                """
            ),
            hint="Columns at certain distances",
        ),
        wrong(
            "evenly spread",
            _sparse(
                row="""
                step = columns // k
                first = torch.randint(columns, (), generator=generator)
                chosen = (first + step * torch.arange(k)) % columns
                w[i, chosen] = std * torch.randn(k, dtype=w.dtype, generator=generator)
                """
            ),
            hint="Columns at certain distances",
        ),
        wrong(
            "one set that moves on by one",
            _sparse(
                before="w.zero_()\nchosen = torch.randperm(columns, generator=generator)[:k]",
                row="w[i, (chosen + i) % columns] = std * torch.randn(k, dtype=w.dtype, generator=generator)",
            ),
            hint="Columns at certain distances",
        ),
        wrong(
            "a new set for every second row",
            _sparse(
                row="""
                if i % 2 == 0:
                    chosen = torch.randperm(columns, generator=generator)[:k]
                w[i, chosen] = std * torch.randn(k, dtype=w.dtype, generator=generator)
                """
            ),
            hint="columns of a row depend on",
        ),
        wrong(
            "the largest of a full row",
            """
            def sparse_init_(w, connections, std, generator=None):
                if connections < 1 or w.dim() != 2:
                    raise ValueError()
                with torch.no_grad():
                    w.normal_(0, std, generator=generator)
                    k = min(connections, w.shape[1])
                    bar = w.abs().topk(k, dim=1).values[:, -1:]
                    w.mul_(w.abs() >= bar)
                return w
            """,
            hint="The weights have no tails",
        ),
        wrong(
            "std ignored",
            _sparse(
                row="""
                chosen = torch.randperm(columns, generator=generator)[:k]
                w[i, chosen] = torch.randn(k, dtype=w.dtype, generator=generator)
                """
            ),
            hint="std is ignored",
        ),
        wrong("variance for std", _sparse(after="w.mul_(std)"), hint="not as its root"),
        wrong("root of std", _sparse(after="w.div_(std**0.5)"), hint="do not take its root"),
        wrong(
            "divided by the connections", _sparse(after="w.div_(k**0.5)"), hint="nothing divides it by the connections"
        ),
        wrong("He inside", _sparse(after="w.mul_((2 / k) ** 0.5)"), hint="He's factor is for the caller"),
        wrong("std of the whole row", _sparse(after="w.mul_((k / columns) ** 0.5)"), hint="not of all of them"),
        wrong(
            "constant values",
            _sparse(row="w[i, torch.randperm(columns, generator=generator)[:k]] = std"),
            hint="equal to each other",
        ),
        wrong(
            "the same values for all rows",
            _sparse(
                before="w.zero_()\nvalues = std * torch.randn(k, dtype=w.dtype, generator=generator)",
                row="w[i, torch.randperm(columns, generator=generator)[:k]] = values",
            ),
            hint="equal to each other",
        ),
        wrong(
            "uniform values",
            _sparse(
                row="""
                chosen = torch.randperm(columns, generator=generator)[:k]
                w[i, chosen] = std * 3**0.5 * (2 * torch.rand(k, dtype=w.dtype, generator=generator) - 1)
                """
            ),
            hint="The weights have no tails",
        ),
        wrong(
            "small for zero",
            _sparse(before="w.normal_(0, 1e-6, generator=generator)"),
            hint="Every weight is different from 0",
        ),
        wrong("not cleared", _sparse(before="pass"), hint="What was in w before still shows"),
        wrong("cleared by multiplying", _sparse(before="w.mul_(0)"), hint="What was in w before still shows"),
        wrong("no connections", _sparse(bad="w.dim() != 2"), hint="connections = 0 should raise"),
        wrong(
            "dimensions not checked",
            _sparse(bad="connections < 1").replace(
                "rows, columns = w.shape", "rows, columns = w.shape[0], w[0].numel()"
            ),
            hint="A w with one dimension",
        ),
        wrong(
            "assert for raise",
            _sparse().replace("raise ValueError", "raise AssertionError"),
            hint="yours raised AssertionError",
        ),
        wrong("nothing returned", _sparse(result="None"), hint="Return w itself"),
        wrong("new memory", _sparse(before="w.data = torch.zeros_like(w)"), hint="w gets new memory"),
        wrong(
            "positions from the global generator",
            _sparse(row="w[i, torch.randperm(columns)[:k]] = std * torch.randn(k, dtype=w.dtype, generator=generator)"),
            hint="draw all from `generator`",
        ),
        wrong(
            "values from the global generator",
            _sparse(row="w[i, torch.randperm(columns, generator=generator)[:k]] = std * torch.randn(k, dtype=w.dtype)"),
            hint="draw all from `generator`",
        ),
        wrong(
            "recorded by autograd",
            _sparse().replace("with torch.no_grad():", "if True:"),
            hint="a leaf Variable that requires grad",
        ),
    ],
    "initialize": [
        right("by the kind of layer", _initialize()),
        right("nothing returned", _initialize(end="pass")),
        right(
            "apply, data and reset_parameters",
            """
            def initialize(model):
                def one(m):
                    if isinstance(m, nn.Linear) or type(m) in (nn.Conv1d, nn.Conv2d, nn.Conv3d):
                        nn.init.normal_(m.weight, std=math.sqrt(2 / math.prod(m.weight.shape[1:])))
                        if m.bias is not None:
                            m.bias.data = torch.zeros_like(m.bias)
                    if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)):
                        m.reset_parameters()
                model.apply(one)
            """,
        ),
        right(
            "torch.nn.init",
            """
            def initialize(model):
                for name, m in model.named_modules():
                    if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                    elif isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)):
                        if m.weight is not None:
                            nn.init.ones_(m.weight)
                        for key, start in (("running_mean", 0.0), ("running_var", 1.0), ("num_batches_tracked", 0)):
                            old = getattr(m, key, None)
                            if old is not None:
                                setattr(m, key, torch.full_like(old, start))
                    else:
                        continue
                    if m.bias is not None:
                        nn.init.zeros_(m.bias)
                return model
            """,
        ),
        wrong(
            "nothing",
            """
            def initialize(model):
                return model
            """,
            hint="The weights of a linear layer stay as they were",
        ),
        wrong("children only", _initialize(modules="model.children()"), hint="The model may itself be a layer"),
        wrong(
            "not the model itself",
            _initialize(modules="list(model.modules())[1:]"),
            hint="The model may itself be a layer",
        ),
        wrong(
            "two levels",
            _initialize(modules="[model, *model.children(), *(m for c in model.children() for m in c.children())]"),
            hint="A layer inside another module was passed over",
        ),
        wrong(
            "exact types",
            _initialize()
            .replace("isinstance(m, (nn.Linear,", "type(m) in (*(nn.Linear,")
            .replace("nn.Conv3d)):", "nn.Conv3d),):"),
            hint="ask with isinstance",
        ),
        wrong("linear only", _initialize(layers="nn.Linear"), hint="nn.Conv1d is passed over"),
        wrong("pictures only", _initialize(layers="(nn.Linear, nn.Conv2d)"), hint="nn.Conv1d is passed over"),
        wrong(
            "variance for std",
            _initialize(weight="m.weight.normal_(0, 2 / m.weight[0].numel())"),
            hint="yours has got the variance",
        ),
        wrong(
            "fan-out",
            _initialize(weight="m.weight.normal_(0, (2 / (m.weight.numel() // m.weight.shape[1])) ** 0.5)"),
            hint="The variance has the fan-out",
        ),
        wrong("Xavier", _initialize(weight="nn.init.xavier_normal_(m.weight)"), hint="This is Xavier's variance"),
        wrong(
            "2 forgotten",
            _initialize(weight="m.weight.normal_(0, (1 / m.weight[0].numel()) ** 0.5)"),
            hint="The 2 is missing",
        ),
        wrong(
            "uniform",
            _initialize(weight="nn.init.kaiming_uniform_(m.weight, nonlinearity='relu')"),
            hint="The weights have no tails",
        ),
        wrong(
            "PyTorch's default",
            _initialize(weight="nn.init.kaiming_uniform_(m.weight, a=5**0.5)"),
            hint="The weights have no tails",
        ),
        wrong(
            "kernel forgotten",
            _initialize(weight="m.weight.normal_(0, (2 / m.weight.shape[1]) ** 0.5)"),
            hint="The kernel is missing in the fan-in",
        ),
        wrong(
            "square kernels",
            _initialize(
                weight="""
                taps = m.weight.shape[2] ** 2 if m.weight.dim() > 2 else 1
                m.weight.normal_(0, (2 / (m.weight.shape[1] * taps)) ** 0.5)
                """
            ),
            hint="need not be square",
        ),
        wrong(
            "groups forgotten",
            _initialize(weight="m.weight.normal_(0, (2 / (m.weight[0].numel() * getattr(m, 'groups', 1))) ** 0.5)"),
            hint="of its own group only, not all in_channels",
        ),
        wrong(
            "groups twice",
            _initialize(weight="m.weight.normal_(0, (2 * getattr(m, 'groups', 1) / m.weight[0].numel()) ** 0.5)"),
            hint="do not divide it again",
        ),
        wrong("biases forgotten", _initialize(bias="pass"), hint="A bias of a linear layer is not 0"),
        wrong(
            "biases drawn",
            _initialize(bias="if m.bias is not None:\n    m.bias.normal_(0, 0.01)"),
            hint="A bias of a linear layer is not 0",
        ),
        wrong(
            "biases 0.1",
            _initialize(bias="if m.bias is not None:\n    m.bias.fill_(0.1)"),
            hint="A bias of a linear layer is not 0",
        ),
        wrong(
            "weights of 1",
            _initialize(weight="m.weight.fill_((2 / m.weight[0].numel()) ** 0.5)"),
            hint="Many entries are equal to each other",
        ),
        wrong(
            "statistics forgotten",
            _initialize(statistics="pass"),
            hint="The running_mean of nn.BatchNorm1d should be 0",
        ),
        wrong(
            "count forgotten",
            _initialize(statistics="if m.track_running_stats:\n    m.running_mean.zero_()\n    m.running_var.fill_(1)"),
            hint="The num_batches_tracked of nn.BatchNorm1d should be 0",
        ),
        wrong(
            "running variance 0",
            _initialize(statistics="m.reset_running_stats()\nif m.track_running_stats:\n    m.running_var.zero_()"),
            hint="The running_var of nn.BatchNorm1d should be 1",
        ),
        wrong(
            "a count in float",
            _initialize(
                statistics="""
                m.reset_running_stats()
                if m.track_running_stats:
                    m.num_batches_tracked = torch.zeros(())
                """
            ),
            hint="`num_batches_tracked` should keep the dtype",
        ),
        wrong("statistics only", _initialize(gamma="pass"), hint="The weight of nn.BatchNorm1d should be 1"),
        wrong(
            "gamma 0",
            _initialize(gamma="if m.affine:\n    m.weight.zero_()\n    m.bias.zero_()"),
            hint="The weight of nn.BatchNorm1d should be 1",
        ),
        wrong(
            "beta forgotten",
            _initialize(gamma="if m.affine:\n    m.weight.fill_(1)"),
            hint="The bias of nn.BatchNorm1d should be 0",
        ),
        wrong(
            "two-dimensional norms only",
            _initialize(batch="nn.BatchNorm2d"),
            hint="The weight of nn.BatchNorm1d should be 1",
        ),
        wrong("LayerNorm forgotten", _initialize(layer="pass"), hint="The weight of nn.LayerNorm should be 1"),
        wrong(
            "LayerNorm's bias forgotten",
            _initialize(layer="if m.weight is not None:\n    m.weight.fill_(1)"),
            hint="The bias of nn.LayerNorm should be 0",
        ),
        wrong("bias=False", _initialize(bias="m.bias.zero_()"), hint="A layer may lack a part"),
        wrong("affine=False", _initialize(gamma="m.weight.fill_(1)\nm.bias.zero_()"), hint="A layer may lack a part"),
        wrong(
            "no running statistics",
            _initialize(statistics="m.running_mean.zero_()\nm.running_var.fill_(1)\nm.num_batches_tracked.zero_()"),
            hint="A layer may lack a part",
        ),
        wrong(
            "LayerNorm without bias",
            _initialize(layer="if m.elementwise_affine:\n    m.weight.fill_(1)\n    m.bias.zero_()"),
            hint="A layer may lack a part",
        ),
        wrong(
            "statistics only with gamma",
            _initialize(statistics="if m.affine:\n    m.reset_running_stats()"),
            hint="With affine=False, the running statistics",
        ),
        wrong(
            "a bias for everyone",
            _initialize(
                bias="""
                if m.bias is None:
                    m.bias = nn.Parameter(torch.zeros(m.weight.shape[0]))
                m.bias.zero_()
                """
            ),
            hint="yours gives it one",
        ),
        wrong(
            "embeddings too",
            _initialize(
                layers="(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)",
                bias="if getattr(m, 'bias', None) is not None:\n    m.bias.zero_()",
            ),
            hint="nn.Embedding should stay as it was",
        ),
        wrong(
            "all convolutions",
            _initialize(layers="(nn.Linear, nn.modules.conv._ConvNd)"),
            hint="nn.ConvTranspose2d should stay",
        ),
        wrong(
            "all norms",
            _initialize(batch="(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d)"),
            hint="nn.InstanceNorm2d should stay",
        ),
        wrong(
            "by the shape of the weight",
            """
            def initialize(model):
                with torch.no_grad():
                    for m in model.modules():
                        w, b = getattr(m, "weight", None), getattr(m, "bias", None)
                        if isinstance(w, torch.Tensor) and w.dim() > 1:
                            w.normal_(0, (2 / w[0].numel()) ** 0.5)
                        elif isinstance(w, torch.Tensor):
                            w.fill_(1)
                        if isinstance(b, torch.Tensor):
                            b.zero_()
                        if getattr(m, "running_mean", None) is not None and hasattr(m, "reset_running_stats"):
                            m.reset_running_stats()
            """,
            hint="The weight of nn.LayerNorm should be 1",
        ),
        wrong(
            "reset_parameters first",
            _initialize(
                start="for m in model.modules():\n    if hasattr(m, 'reset_parameters'):\n        m.reset_parameters()"
            ),
            hint="nn.Embedding should stay as it was",
        ),
        wrong(
            "new parameters",
            _initialize(
                weight="""
                new = torch.randn_like(m.weight) * (2 / m.weight[0].numel()) ** 0.5
                m.weight = nn.Parameter(new, m.weight.requires_grad)
                """
            ),
            hint="Two layers shared a weight",
        ),
        wrong(
            "new biases",
            _initialize(
                bias="if m.bias is not None:\n    m.bias = nn.Parameter(torch.zeros_like(m.bias), m.bias.requires_grad)"
            ),
            hint="A parameter is a new object",
        ),
        wrong(
            "frozen ones skipped",
            _initialize(
                weight="""
                if not m.weight.requires_grad:
                    continue
                m.weight.normal_(0, (2 / m.weight[0].numel()) ** 0.5)
                """
            ),
            hint="A frozen parameter",
        ),
        wrong(
            "everything trainable",
            _initialize(end="for p in model.parameters():\n    p.requires_grad_(True)"),
            hint="requires_grad has changed",
        ),
        wrong("gradients cleared", _initialize(end="model.zero_grad()"), hint="A parameter's grad has changed"),
        wrong("training mode", _initialize(end="return model.train()"), hint="`training` has changed"),
        wrong("evaluation mode", _initialize(start="model.eval()"), hint="`training` has changed"),
        wrong("float32 for all", _initialize(start="model.float()"), hint="dtype has changed"),
        wrong(
            "gradients off for good",
            _initialize(start="torch.set_grad_enabled(False)"),
            hint="Gradients are off after the call",
        ),
        wrong(
            "recorded by autograd",
            _initialize().replace("with torch.no_grad():", "if True:"),
            hint="a leaf Variable that requires grad",
        ),
        wrong("a fixed seed", _initialize(start="torch.manual_seed(0)"), hint="never seed them yourself"),
        wrong(
            "a seed for each layer",
            _initialize(
                weight="""
                g = torch.Generator().manual_seed(0)
                m.weight.normal_(0, (2 / m.weight[0].numel()) ** 0.5, generator=g)
                """
            ),
            hint="never seed between them",
        ),
        wrong(
            "random seeds",
            _initialize(
                start="g = torch.Generator()\ng.seed()",
                weight="m.weight.normal_(0, (2 / m.weight[0].numel()) ** 0.5, generator=g)",
            ),
            hint="draw from the global generator",
        ),
    ],
    "signal_profile": [
        right("hooks on tensors", _profile()),
        right(
            "outputs cloned on their way, asked about afterwards",
            """
            def signal_profile(model, x):
                calls, handles = [], []
                def catch(name):
                    def hook(module, inputs, output):
                        calls.append((name, output))
                        return output.clone()
                    return hook
                with torch.enable_grad():
                    try:
                        for name, module in model.named_modules():
                            if len(list(module.children())) == 0:
                                handles += [module.register_forward_hook(catch(name))]
                        loss = (model(x.detach().clone().requires_grad_() + 0) ** 2).mean()
                        followed = [h for _, h in calls if h.requires_grad]
                        grads = iter(torch.autograd.grad(loss, followed, allow_unused=True))
                    finally:
                        [handle.remove() for handle in handles]
                    grads = [next(grads) if h.requires_grad else None for _, h in calls]
                def rms(t):
                    return 0.0 if t is None else float(t.detach().double().norm() / t.numel() ** 0.5)
                return [dict(name=n, activation=rms(h), gradient=rms(g)) for (n, h), g in zip(calls, grads)]
            """,
        ),
        right(
            "backward, with the old gradients put back",
            _profile(
                setup="old = [(p, p.grad, p.requires_grad) for p in model.parameters()]",
                backward="""
                    for p, _, _ in old:
                        p.grad = None
                    loss.backward()
                """,
                finish="""
                    for handle in handles:
                        handle.remove()
                    for p, grad, flag in old:
                        p.grad = grad
                """,
            ),
        ),
        right(
            "an added zero that follows each output",
            """
            def signal_profile(model, x):
                import contextlib
                leaves = {m: n for n, m in model.named_modules() if not any(True for _ in m.children())}
                rows = []
                def hook(module, _, out):
                    probe = torch.zeros_like(out).requires_grad_()
                    rows.append([leaves[module], np.sqrt(np.mean(out.detach().double().numpy() ** 2)), probe])
                    return out + probe
                with contextlib.ExitStack() as stack, torch.enable_grad():
                    for m in leaves:
                        stack.callback(m.register_forward_hook(hook).remove)
                    y = model(x.detach().clone())
                    grads = torch.autograd.grad((y * y).mean(), [r[2] for r in rows], allow_unused=True)
                    return [
                        {
                            "name": n,
                            "activation": float(a),
                            "gradient": 0.0 if g is None else g.double().pow(2).mean().sqrt().item(),
                        }
                        for (n, a, _), g in zip(rows, grads)
                    ]
            """,
        ),
        wrong(
            "mean squares", _profile(rms="t.detach().double().pow(2).mean().item()"), hint="The root is missing: rms is"
        ),
        wrong("norms", _profile(rms="t.detach().double().norm().item()"), hint="This is the norm"),
        wrong(
            "standard deviation",
            _profile(rms="t.detach().double().std().item()"),
            hint="rms does not subtract the mean",
        ),
        wrong(
            "mean of absolute values",
            _profile(rms="t.detach().double().abs().mean().item()"),
            hint="mean of the absolute values",
        ),
        wrong(
            "float32",
            _profile(rms="t.detach().float().pow(2).mean().sqrt().item()"),
            hint="The rms of an output is wrong",
        ),
        wrong("dtype of the output", _profile(rms="t.detach().pow(2).mean().sqrt().item()"), hint="square in float64"),
        wrong(
            "tensors",
            _profile(rms="t.detach().double().pow(2).mean().sqrt()"),
            hint="make it a Python float, with item()",
        ),
        wrong(
            "inputs for outputs",
            _profile(
                watch="""
            record = dict(name=names[module], activation=rms(args[0]), gradient=0.0)
            profile.append(record)
            if out.requires_grad:
                out.register_hook(lambda g: record.update(gradient=rms(g)))
        """
            ),
            hint="These are the inputs of the leaves",
        ),
        wrong(
            "gradients of the inputs",
            _profile(
                watch="""
            record = dict(name=names[module], activation=rms(out), gradient=0.0)
            profile.append(record)
            if args[0].requires_grad:
                args[0].register_hook(lambda g: record.update(gradient=rms(g)))
        """
            ),
            hint="with respect to the leaves' inputs",
        ),
        wrong("sum for mean", _profile().replace(".pow(2).mean()\n", ".pow(2).sum()\n"), hint="and yours is their sum"),
        wrong(
            "mean without square",
            _profile().replace("model(start * 1).pow(2).mean()", "model(start * 1).mean()"),
            hint="of the squared output: square first",
        ),
        wrong(
            "sum without square",
            _profile().replace("model(start * 1).pow(2).mean()", "model(start * 1).sum()"),
            hint="the mean of the squared output, not its sum",
        ),
        wrong(
            "half of the loss",
            _profile().replace("model(start * 1).pow(2).mean()", "model(start * 1).pow(2).mean() / 2"),
            hint="without a half",
        ),
        wrong(
            "gradients in the order of the backward pass",
            _profile(
                setup="grads = []",
                watch="""
            profile.append(dict(name=names[module], activation=rms(out), gradient=0.0))
            if out.requires_grad:
                out.register_hook(lambda g: grads.append(rms(g)))
            """,
                result="[dict(p, gradient=g) for p, g in zip(profile, grads + [0.0] * len(profile))]",
            ),
            hint="in the order of the backward pass",
        ),
        wrong("all modules", _profile(leaf="True"), hint="one for each call of a module without children"),
        wrong(
            "linear layers only",
            _profile(leaf="isinstance(m, nn.Linear)"),
            hint="one for each call of a module without children",
        ),
        wrong(
            "children of the model only",
            _profile().replace("model.named_modules():\n", "model.named_children():\n"),
            hint="one for each call of a module",
        ),
        wrong(
            "not the model itself",
            _profile(leaf="m is not model and next(m.children(), None) is None"),
            hint="one for each call of a module without children",
        ),
        wrong(
            "class names",
            _profile().replace("name=names[module]", "name=type(module).__name__"),
            hint="those of named_modules()",
        ),
        wrong(
            "the last part of the name",
            _profile().replace("name=names[module]", "name=names[module].split('.')[-1]"),
            hint="those of named_modules()",
        ),
        wrong(
            "in the order of registration",
            _profile(result="sorted(profile, key=lambda r: list(names.values()).index(r['name']))"),
            hint="in the order in which the leaves are called",
        ),
        wrong(
            "one record per module",
            _profile(result="list({r['name']: r for r in profile}.values())"),
            hint="one for each call of a module",
        ),
        wrong(
            "a record for who is never called",
            _profile(
                finish="""
                    for handle in handles:
                        handle.remove()
                    called = [r["name"] for r in profile]
                    for m, n in names.items():
                        if not list(m.children()) and n not in called:
                            profile.append(dict(name=n, activation=0.0, gradient=0.0))
                """,
            ),
            hint="one for each call of a module without children",
        ),
        wrong(
            "a second call overwrites the first",
            _profile(
                setup="last = {}",
                watch="""
            record = dict(name=names[module], activation=rms(out), gradient=0.0)
            last[module] = record
            profile.append(record)
            if out.requires_grad:
                out.register_hook(lambda g: last[module].update(gradient=rms(g)))
            """,
            ),
            hint="each with the numbers of its own call",
        ),
        wrong("measured afterwards", _profile(**_KEPT), hint="Recorded is what an in-place module left"),
        wrong(
            "gradients asked for afterwards",
            _profile(
                watch="profile.append((names[module], rms(out), out))",
                backward="""
                grads = torch.autograd.grad(loss, [o for _, _, o in profile], allow_unused=True)
                profile = [
                    {"name": n, "activation": a, "gradient": 0.0 if g is None else rms(g)}
                    for (n, a, o), g in zip(profile, grads)
                ]
            """,
            ),
            hint="register a hook at once",
        ),
        wrong(
            "retain_grad",
            _profile(
                watch="""
            out.retain_grad()
            profile.append([names[module], rms(out), out])
            """,
                setup="old = [p.grad for p in model.parameters()]",
                backward="""
                for p in model.parameters():
                    p.grad = None
                loss.backward()
                for i, (n, a, o) in enumerate(profile):
                    profile[i] = dict(name=n, activation=a, gradient=0.0 if o.grad is None else rms(o.grad))
                for p, g in zip(model.parameters(), old):
                    p.grad = g
            """,
            ),
            hint="register a hook at once",
        ),
        wrong(
            "full backward hooks",
            """
            def signal_profile(model, x):
                names = {m: n for n, m in model.named_modules()}
                profile, waiting, handles = [], {}, []
                def rms(t):
                    return t.detach().double().square().mean().sqrt().item()
                def forward(m, args, out):
                    record = {"name": names[m], "activation": rms(out), "gradient": 0.0}
                    profile.append(record)
                    waiting.setdefault(m, []).append(record)
                def backward(m, grad_in, grad_out):
                    waiting[m].pop()["gradient"] = rms(grad_out[0])
                try:
                    for m in names:
                        if not list(m.children()):
                            handles.append(m.register_forward_hook(forward))
                            handles.append(m.register_full_backward_hook(backward))
                    with torch.enable_grad():
                        start = x.detach().clone().requires_grad_()
                        loss = model(start * 1).square().mean()
                        followed = [start, *(p for p in model.parameters() if p.requires_grad)]
                        torch.autograd.grad(loss, followed, allow_unused=True)
                finally:
                    for h in handles:
                        h.remove()
                return profile
            """,
            hint="is a view and is being modified inplace",
        ),
        wrong(
            "x's own memory",
            _profile(
                forward="""
                start = torch.zeros_like(x).requires_grad_()
                loss = model(x.detach().add_(start)).pow(2).mean()
                """
            ),
            hint="x has changed: the first module may work in place",
        ),
        wrong(
            "a leaf given to the model",
            _profile().replace("model(start * 1)", "model(start)"),
            hint="give it a copy of x that is no leaf",
        ),
        wrong(
            "input without a gradient",
            _profile(
                forward="loss = model(x.detach().clone()).pow(2).mean()",
                backward="""
                followed = [p for p in model.parameters() if p.requires_grad]
                torch.autograd.grad(loss, followed, allow_unused=True)
                """,
            ),
            hint="All parameters may be frozen",
        ),
        wrong(
            "parameters unfrozen",
            _profile(
                setup="for p in model.parameters():\n    p.requires_grad_(True)",
                forward="loss = model(x.detach().clone()).pow(2).mean()",
                backward="torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)",
            ),
            hint="Every output has a gradient",
        ),
        wrong(
            "gradients not put on",
            _profile().replace("with torch.enable_grad():", "if True:"),
            hint="Under torch.no_grad() gradients are off",
        ),
        wrong(
            "only what comes from x",
            _profile(backward="torch.autograd.grad(loss, start)"),
            hint="from a parameter and not from x has a gradient too",
        ),
        wrong(
            "unused outputs",
            _profile(
                **{
                    **_KEPT,
                    "watch": "profile.append((names[module], rms(out), out.view_as(out)))\nreturn out.clone()",
                    "backward": """
                def all_of(out):
                    return out
                grads = torch.autograd.grad(loss, [o for _, _, o in profile])
                profile = [{"name": n, "activation": a, "gradient": rms(g)} for (n, a, o), g in zip(profile, grads)]
            """,
                }
            ),
            hint="Your code raised RuntimeError",
        ),
        wrong("backward", _profile(backward="loss.backward()"), hint="use torch.autograd.grad, not backward()"),
        wrong(
            "backward, then cleared",
            _profile(backward="loss.backward()\nmodel.zero_grad()"),
            hint="old grad has changed",
        ),
        wrong("hooks left behind", _profile(finish="pass"), hint="hooks are not those from before"),
        wrong(
            "all hooks cleared",
            _profile(finish="for m in model.modules():\n    m._forward_hooks.clear()"),
            hint="hooks are not those from before",
        ),
        wrong(
            "a hook for all modules left behind",
            _profile(
                leaf="False",
                setup="""
                def everywhere(m, args, out):
                    if m in names and not list(m.children()):
                        watch(m, args, out)
                nn.modules.module.register_module_forward_hook(everywhere)
                """,
            ),
            hint="hooks are not those from before",
        ),
        wrong(
            "hooks stay when the model raises",
            """
            def signal_profile(model, x):
                names = {m: n for n, m in model.named_modules()}
                profile, handles = [], []
                def rms(t):
                    return t.detach().double().square().mean().sqrt().item()
                def watch(m, args, out):
                    record = {"name": names[m], "activation": rms(out), "gradient": 0.0}
                    profile.append(record)
                    if out.requires_grad:
                        out.register_hook(lambda g: record.update(gradient=rms(g)))
                for m in names:
                    if not list(m.children()):
                        handles.append(m.register_forward_hook(watch))
                with torch.enable_grad():
                    start = x.detach().clone().requires_grad_()
                    loss = model(start * 1).square().mean()
                    followed = [start, *(p for p in model.parameters() if p.requires_grad)]
                    torch.autograd.grad(loss, followed, allow_unused=True)
                for h in handles:
                    h.remove()
                return profile
            """,
            hint="remove them in a `finally`",
        ),
        wrong(
            "errors swallowed",
            _profile().replace("    finally:\n", "    except Exception:\n        pass\n    finally:\n"),
            hint="let its error pass on",
        ),
        wrong("evaluation mode", _profile(setup="model.eval()"), hint="leave the mode alone"),
        wrong(
            "evaluation mode, and training mode after",
            _profile(setup="model.eval()", result="model.train() and profile"),
            hint="leave the mode alone",
        ),
        wrong("training mode", _profile(setup="model.train()"), hint="leave the mode alone"),
        wrong("called twice", _profile(setup="model(x.detach().clone())"), hint="Call the model exactly once"),
        wrong(
            "x follows",
            _profile(forward="start = x.requires_grad_()\nloss = model(start * 1).pow(2).mean()"),
            hint="x.requires_grad has changed",
        ),
        wrong(
            "other keys",
            _profile(result="[{'name': r['name'], 'act': r['activation'], 'grad': r['gradient']} for r in profile]"),
            hint='should have the keys "name", "activation" and "gradient"',
        ),
        wrong("tuples", _profile(result="[tuple(r.values()) for r in profile]"), hint="Each record should be a dict"),
        wrong("a dict by name", _profile(result="{r['name']: r for r in profile}"), hint="should be a list or a tuple"),
    ],
}
