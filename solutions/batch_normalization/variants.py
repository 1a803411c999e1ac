"""Right and wrong answers to the assignment `batch_normalization`, on file for `autograde verify`."""

from collections.abc import Callable, Sequence

from autograde.variants import Variant, right, wrong

# Each answer is a template whose parts a variant replaces: it then shows only what is special about it.
_FORWARD = """
def batch_norm_forward(x, gamma, beta, eps):
    dims = {dims}
    shape = {shape}
    {mean}
    {var}
    {std}
    {x_hat}
    {y}
    return {result}
"""
_FORWARD_PARTS = {
    "dims": "(0, *range(2, x.dim()))",
    "shape": "(1, -1) + (1,) * (x.dim() - 2)",
    "mean": "mean = x.mean(dims, keepdim=True)",
    "var": "var = ((x - mean) ** 2).mean(dims, keepdim=True)",
    "std": "std = torch.sqrt(var + eps)",
    "x_hat": "x_hat = (x - mean) / std",
    "y": "y = gamma.reshape(shape) * x_hat + beta.reshape(shape)",
    "result": "y, (x_hat, gamma, std.reshape(-1))",
}
_BACKWARD = """
def batch_norm_backward(dy, cache):
    x_hat, gamma, std = cache
    dims = {dims}
    shape = (1, -1) + (1,) * (dy.dim() - 2)
    m = {m}
    dgamma = {dgamma}
    dbeta = {dbeta}
    mean, along = {mean}, {along}
    dx = {dx}
    return {result}
"""
_BACKWARD_PARTS = {
    "dims": "(0, *range(2, dy.dim()))",
    "m": "dy.numel() // dy.shape[1]",
    "dgamma": "(dy * x_hat).sum(dims)",
    "dbeta": "dy.sum(dims)",
    "mean": "dy.sum(dims, keepdim=True) / m",
    "along": "x_hat * (dy * x_hat).sum(dims, keepdim=True) / m",
    "dx": "(gamma / std).reshape(shape) * (dy - mean - along)",
    "result": "dx, dgamma, dbeta",
}
_LAYER = """
class NAME({base}):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        {settings}
        {parameters}
        {buffers}

    def forward(self, x):
        {check}
        {values}
        dims, shape = {over}
        if {batch}:
            m = {m}
            {single}
            {mean}
            {var}
            if {track}:
                {update}
        else:
            {running}
        {normalize}
        {affine}
        return {result}
"""
_LAYER_PARTS = {
    "base": "nn.Module",
    "settings": """
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
    """,
    "parameters": """
        if affine:
            self.weight = nn.Parameter(torch.ones(num_features))
            self.bias = nn.Parameter(torch.zeros(num_features))
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)
    """,
    "buffers": """
        if track_running_stats:
            self.register_buffer("running_mean", torch.zeros(num_features))
            self.register_buffer("running_var", torch.ones(num_features))
            self.register_buffer("num_batches_tracked", torch.tensor(0))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
    """,
    "values": "values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x",
    "batch": "self.training or not self.track_running_stats",
    "m": "x.numel() // x.shape[1]",
    "single": """
        if m == 1:
            raise ValueError("one value for each channel")
    """,
    "mean": "mean = values.mean(dims)",
    "var": "var = (values - mean.reshape(shape)).square().mean(dims)",
    "track": "self.track_running_stats",
    "update": """
        with torch.no_grad():
            self.num_batches_tracked += 1
            share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.copy_((1 - share) * self.running_mean + share * mean)
            self.running_var.copy_((1 - share) * self.running_var + share * var * m / (m - 1))
    """,
    "running": "mean, var = self.running_mean, self.running_var",
    "normalize": "y = (values - mean.reshape(shape)) / torch.sqrt(var + self.eps).reshape(shape)",
    "affine": """
        if self.weight is not None:
            y = y * self.weight.reshape(shape) + self.bias.reshape(shape)
    """,
    "result": "y.to(x.dtype)",
}
_ONE = {
    "check": """
        if x.dim() not in (2, 3) or x.shape[1] != self.num_features:
            raise ValueError("x should have the shape (n, c) or (n, c, l)")
    """,
    "over": "((0,), (1, -1)) if x.dim() == 2 else ((0, 2), (1, -1, 1))",
}
_TWO = {
    "check": """
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError("x should have the shape (n, c, h, w)")
    """,
    "over": "(0, 2, 3), (1, -1, 1, 1)",
}
_FOLD = """
def fold_batch_norm(conv, bn):
    {check}
    {factor}
    {bias}
    {new}
    {fill}
    return {result}
"""
_FOLD_PARTS = {
    "check": """
        if bn.running_mean is None:
            raise ValueError("bn has no running statistics")
        if bn.num_features != conv.out_channels:
            raise ValueError("bn does not fit")
    """,
    "factor": """
        scale = torch.rsqrt(bn.running_var + bn.eps)
        if bn.weight is not None:
            scale = scale * bn.weight
    """,
    "bias": """
        old = 0 if conv.bias is None else conv.bias
        bias = (old - bn.running_mean) * scale
        if bn.bias is not None:
            bias = bias + bn.bias
    """,
    "new": """
        new = nn.Conv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation,
            conv.groups, True, conv.padding_mode, dtype=conv.weight.dtype,
        )
    """,
    "fill": """
        with torch.no_grad():
            new.weight.copy_(conv.weight * scale.reshape(-1, 1, 1, 1))
            new.bias.copy_(bias)
    """,
    "result": "new",
}


def _fill(code: str, parts: dict[str, str]) -> str:
    """Return a template with its holes filled, each part indented as its hole is."""
    for name, part in parts.items():
        marker = "{" + name + "}"
        lines = [line for line in part.splitlines() if line.strip()]
        depth = len(lines[0]) - len(lines[0].lstrip())
        start = code.index(marker)
        column = start - code.rindex("\n", 0, start) - 1
        code = code.replace(marker, ("\n" + " " * column).join(line[depth:] for line in lines))
    return code


def _forward(**parts: str) -> str:
    return _fill(_FORWARD, {**_FORWARD_PARTS, **parts})


def _backward(**parts: str) -> str:
    return _fill(_BACKWARD, {**_BACKWARD_PARTS, **parts})


def _one(**parts: str) -> str:
    return _fill(_LAYER.replace("NAME", "BatchNorm1d"), {**_LAYER_PARTS, **_ONE, **parts})


def _two(**parts: str) -> str:
    return _fill(_LAYER.replace("NAME", "BatchNorm2d"), {**_LAYER_PARTS, **_TWO, **parts})


def _fold(**parts: str) -> str:
    return _fill(_FOLD, {**_FOLD_PARTS, **parts})


def _update(mean: str = "mean", var: str = "var * m / (m - 1)", **parts: str) -> str:
    """Return the part `update`, with other statistics or another share."""
    code = {
        "guard": "with torch.no_grad():",
        "count": "self.num_batches_tracked += 1",
        "share": "1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum",
        "old": "(1 - share)",
        "new": "share",
        **parts,
    }
    return f"""
        {code["guard"]}
            {code["count"]}
            share = {code["share"]}
            self.running_mean.copy_({code["old"]} * self.running_mean + {code["new"]} * {mean})
            self.running_var.copy_({code["old"]} * self.running_var + {code["new"]} * {var})
    """


def _more(part: str, line: str) -> str:
    """Return one of the layer's parts with one more line at its end."""
    return f"{_LAYER_PARTS[part].rstrip()}\n        {line}\n"


# Mistakes that can be made in either layer: name, parts, hint.
_EITHER: list[tuple[str, dict[str, str], str]] = [
    (
        "unbiased where it normalizes",
        {"var": "var = values.var(dims)", "update": _update(var="var")},
        "divide by m, not by m - 1",
    ),
    ("biased in the buffer", {"update": _update(var="var")}, "running_var takes the unbiased variance"),
    (
        "the inverse of m / (m - 1)",
        {"update": _update(var="var * (m - 1) / m")},
        "not by its inverse",
    ),
    (
        "momentum the other way round",
        {"update": _update(old="share", new="(1 - share)")},
        "momentum is the weight of the new batch",
    ),
    (
        "the old is not multiplied",
        {"update": _update(old="1")},
        "The old running_mean is multiplied by 1 - momentum",
    ),
    (
        "updates in eval mode too",
        {
            "running": f"""
        m = max(x.numel() // x.shape[1], 2)
        mean, var = values.mean(dims), values.var(dims, correction=0)
        old = self.running_mean.clone(), self.running_var.clone()
        {_update().strip()}
        mean, var = old
            """
        },
        "In eval mode no buffer changes",
    ),
    (
        "batch statistics in eval mode",
        {
            "batch": "True",
            "single": """
        if m == 1 and (self.training or not self.track_running_stats):
            raise ValueError("one value for each channel")
            """,
            "track": "self.training and self.track_running_stats",
        },
        "In eval mode the batch's statistics normalize",
    ),
    (
        "running statistics in training mode",
        {"update": f"{_update().rstrip()}\n            mean, var = self.running_mean, self.running_var"},
        "In training mode the batch's own statistics normalize",
    ),
    (
        "eps outside of the root",
        {"normalize": "y = (values - mean.reshape(shape)) / (var.sqrt() + self.eps).reshape(shape)"},
        "eps is added to the variance",
    ),
    (
        "eps outside of the root in eval mode",
        {
            "running": """
        mean, var = self.running_mean, (self.running_var.sqrt() + self.eps) ** 2 - self.eps
            """
        },
        "In eval mode too, eps is added to the variance",
    ),
    ("no eps", {"normalize": "y = (values - mean.reshape(shape)) / var.sqrt().reshape(shape)"}, "eps is missing"),
    ("no weight", {"affine": "pass"}, "gamma and beta are missing"),
    ("never updates", {"update": "self.num_batches_tracked += 1"}, "running_mean should be updated: it did not change"),
    ("never counts", {"update": _update(count="pass", share="self.momentum or 0.0")}, "goes up by one"),
    (
        "the count is a float",
        {"buffers": _LAYER_PARTS["buffers"].replace("torch.tensor(0)", "torch.tensor(0.0)")},
        "num_batches_tracked should keep the dtype torch.int64",
    ),
    (
        "the count is a number",
        {
            "buffers": _LAYER_PARTS["buffers"].replace(
                'self.register_buffer("num_batches_tracked", torch.tensor(0))', "self.num_batches_tracked = 0"
            )
        },
        "num_batches_tracked should be among the buffers",
    ),
    (
        "buffers as plain attributes",
        {
            "buffers": """
        self.running_mean = torch.zeros(num_features) if track_running_stats else None
        self.running_var = torch.ones(num_features) if track_running_stats else None
        self.num_batches_tracked = torch.tensor(0) if track_running_stats else None
            """
        },
        "register_buffer for what is kept",
    ),
    (
        "buffers as parameters",
        {
            "buffers": """
        if track_running_stats:
            self.running_mean = nn.Parameter(torch.zeros(num_features), requires_grad=False)
            self.running_var = nn.Parameter(torch.ones(num_features), requires_grad=False)
            self.register_buffer("num_batches_tracked", torch.tensor(0))
        else:
            self.running_mean = self.running_var = self.num_batches_tracked = None
            """
        },
        "The parameters should be weight, bias",
    ),
    (
        "weights as buffers",
        {
            "parameters": """
        self.register_buffer("weight", torch.ones(num_features) if affine else None)
        self.register_buffer("bias", torch.zeros(num_features) if affine else None)
            """
        },
        "weight and bias should be among the parameters",
    ),
    (
        "buffers that are not saved",
        {"buffers": _LAYER_PARTS["buffers"].replace("features))", "features), persistent=False)")},
        "state_dict() has no running_mean",
    ),
    (
        "buffers in another order",
        {
            "buffers": """
        kept = track_running_stats
        self.register_buffer("num_batches_tracked", torch.tensor(0) if kept else None)
        self.register_buffer("running_mean", torch.zeros(num_features) if kept else None)
        self.register_buffer("running_var", torch.ones(num_features) if kept else None)
            """
        },
        "in this order",
    ),
    (
        "a shape for broadcasting in the state",
        {
            "buffers": _LAYER_PARTS["buffers"].replace("(num_features)", "(1, num_features)"),
            "running": "mean, var = self.running_mean[0], self.running_var[0]",
        },
        "running_mean should have the shape",
    ),
    (
        "random weights at the start",
        {"parameters": _LAYER_PARTS["parameters"].replace("torch.ones", "torch.rand")},
        "A new module starts with ones, zeros, zeros, ones and 0",
    ),
    (
        "running_var starts with zeros",
        {"buffers": _LAYER_PARTS["buffers"].replace("torch.ones", "torch.zeros")},
        "A new module starts with ones, zeros, zeros, ones and 0",
    ),
    (
        "names of its own",
        {
            "parameters": """
        self.gamma = nn.Parameter(torch.ones(num_features)) if affine else None
        self.beta = nn.Parameter(torch.zeros(num_features)) if affine else None
            """,
            "affine": """
        if self.gamma is not None:
            y = y * self.gamma.reshape(shape) + self.beta.reshape(shape)
            """,
        },
        "weight and bias should be among the parameters",
    ),
    ("momentum=None crashes", {"update": _update(share="self.momentum")}, "momentum may be None, 0 and 1"),
    (
        "momentum=None is 0.1",
        {"update": _update(share="0.1 if self.momentum is None else self.momentum")},
        "momentum=None does not mean 0.1",
    ),
    (
        "momentum=0 taken for None",
        {"update": _update(share="self.momentum or 1 / int(self.num_batches_tracked)")},
        "momentum=0 means 0, not None",
    ),
    (
        "divides by one too many",
        {
            "update": _update(
                share="1 / (int(self.num_batches_tracked) + 1) if self.momentum is None else self.momentum"
            )
        },
        "count it first, then divide",
    ),
    (
        "momentum=None for the mean only",
        {
            "update": _update().replace(
                "self.running_var.copy_(",
                "share = self.momentum or 0.1 * (self.momentum is None)\n            self.running_var.copy_(",
            )
        },
        "for both running statistics",
    ),
    (
        "the first batch replaces",
        {
            "update": _update(
                share="1 / int(self.num_batches_tracked) if self.momentum is None or self.num_batches_tracked == 1 "
                "else self.momentum"
            )
        },
        "running_mean is replaced in yours",
    ),
    (
        "one value is let through",
        {"single": "pass", "update": _update(var="var * m / max(m - 1, 1)")},
        "should raise a ValueError in training mode",
    ),
    (
        "one value is let through without running statistics",
        {
            "single": """
        if m == 1 and self.track_running_stats:
            raise ValueError("one value for each channel")
            """
        },
        "With track_running_stats=False, one value for each channel",
    ),
    (
        "one value is refused in eval mode too",
        {
            "values": f"""
        {_LAYER_PARTS["values"]}
        if x.numel() == x.shape[1]:
            raise ValueError("one value for each channel")
            """
        },
        "Your code raised ValueError",
    ),
    (
        "counts before it looks",
        {
            "single": """
        if self.track_running_stats:
            self.num_batches_tracked += 1
        if m == 1:
            raise ValueError("one value for each channel")
            """,
            "update": _update(count="pass"),
        },
        "should change no buffer",
    ),
    (
        "takes any input",
        {"check": "pass", "over": "(0, *range(2, x.dim())), (1, -1) + (1,) * (x.dim() - 2)"},
        "should raise a ValueError, in training mode",
    ),
    (
        "the graph in the buffers",
        {
            "update": """
        self.num_batches_tracked += 1
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean = (1 - share) * self.running_mean + share * mean
        self.running_var = (1 - share) * self.running_var + share * var * m / (m - 1)
            """
        },
        "The buffers belong to a graph in yours",
    ),
    (
        "statistics without a gradient",
        {
            "mean": "mean = values.detach().mean(dims)",
            "var": "var = (values.detach() - mean.reshape(shape)).square().mean(dims)",
        },
        "Mean and variance are detached in yours",
    ),
    (
        "variance without a gradient",
        {"var": "var = (values - mean.reshape(shape)).square().mean(dims).detach()"},
        "The variance is detached",
    ),
    ("everything without a gradient", {"result": "y.detach().to(x.dtype)"}, "The result belongs to no graph"),
    (
        "no batch statistics in eval mode",
        {"batch": "self.training"},
        "With track_running_stats=False your layer should work too",
    ),
    (
        "track_running_stats ignored",
        {"settings": _more("settings", "track_running_stats = self.track_running_stats = True")},
        "The settings should be kept",
    ),
    (
        "affine ignored",
        {"settings": _more("settings", "affine = True")},
        "With affine=False and track_running_stats=False the state_dict() is empty",
    ),
    ("statistics in half precision", {"values": "values = x"}, "the statistics should be computed in float32"),
    ("a result in float32", {"result": "y"}, "The result in training mode should keep the dtype torch.bfloat16"),
    ("always in float32", {"values": "values = x.float()"}, "is not normalized as it should be"),
    (
        "the mean of the squares",
        {"var": "var = values.square().mean(dims) - mean.square()"},
        "Around 10,000 float32 loses the digits",
    ),
    (
        "changes its input",
        {
            "normalize": """
        x.data -= mean.detach().to(x.dtype).reshape(shape)
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        y = values / torch.sqrt(var + self.eps).reshape(shape)
            """
        },
        "Your layer changes its input",
    ),
    (
        "the grad mode decides",
        {"batch": "(self.training and torch.is_grad_enabled()) or not self.track_running_stats"},
        "under torch.no_grad() too",
    ),
    (
        "eps of the constructor",
        {
            "settings": _more("settings", "self.small = eps"),
            "normalize": "y = (values - mean.reshape(shape)) / torch.sqrt(var + self.small).reshape(shape)",
        },
        "When self.eps is changed later",
    ),
    (
        "momentum of the constructor",
        {
            "settings": _more("settings", "self.share = momentum"),
            "update": _update(share="1 / int(self.num_batches_tracked) if self.share is None else self.share"),
        },
        "When self.momentum is changed later",
    ),
    (
        "eps in the buffer",
        {
            "var": "var = (values - mean.reshape(shape)).square().mean(dims) + self.eps",
            "normalize": """
        small = 0 if self.training or not self.track_running_stats else self.eps
        y = (values - mean.reshape(shape)) / torch.sqrt(var + small).reshape(shape)
            """,
        },
        "eps does not enter running_var",
    ),
    (
        "standard deviations in the buffer",
        {"update": _update(var="(var * m / (m - 1)).sqrt()")},
        "running_var is a variance",
    ),
    (
        "depends on the layout",
        {"mean": "mean = values.view(values.shape).mean(dims) + 0 * values.view(-1)[0]"},
        "view size is not compatible",
    ),
    ("nothing is returned", {"result": "None"}, "but it is None"),
    ("does nothing", {"result": "x"}, "nothing is normalized"),
    (
        "calls F.batch_norm",
        {
            "normalize": "y = F.batch_norm(values, mean, var, self.weight, self.bias, False, 0.0, self.eps)",
            "affine": "pass",
        },
        "uses a normalization of PyTorch's",
    ),
    (
        "calls torch.native_batch_norm in eval mode",
        {
            "running": """
        y = torch.native_batch_norm(values, None, None, self.running_mean, self.running_var, False, 0.0, self.eps)[0]
        mean, var = self.running_mean, self.running_var
            """
        },
        "uses a normalization of PyTorch's",
    ),
]

_BATCH_NORM_1D_RIGHT = [
    (
        "moves by a share of the difference",
        {
            "var": "var = values.var(dims, correction=0)",
            "update": """
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.detach(), share)
        self.running_var.lerp_(values.detach().var(dims), share)
            """,
        },
    ),
    (
        "assigns new tensors",
        {
            "update": """
        self.num_batches_tracked = self.num_batches_tracked + 1
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean = self.running_mean + share * (mean.detach() - self.running_mean)
        self.running_var = self.running_var + share * (var.detach() * m / (m - 1) - self.running_var)
            """
        },
    ),
    (
        "one row for each channel",
        {
            "mean": "rows = values.transpose(0, 1).flatten(1)\nmean = rows.mean(1)",
            "var": "var = ((rows - mean[:, None]) ** 2).sum(1) / m",
        },
    ),
    (
        "a factor and a summand",
        {
            "normalize": """
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        y = (values - mean.reshape(shape)) * scale.reshape(shape)
            """,
            "affine": """
        if self.bias is not None:
            y = y + self.bias.reshape(shape)
            """,
        },
    ),
    (
        "var_mean, and the unbiased turned into the biased",
        {
            "mean": "unbiased, mean = torch.var_mean(values, dims)",
            "var": "var = unbiased * (m - 1) / m",
            "update": _update(var="unbiased"),
        },
    ),
    (
        "always through float32 or more",
        {"values": "values = x.to(torch.promote_types(x.dtype, torch.float32))", "result": "y.type_as(x)"},
    ),
]


#: Those that are tried on the second layer too: what is most likely copied, and what depends on the shape.
_COPIED = (
    "unbiased where it normalizes",
    "biased in the buffer",
    "momentum the other way round",
    "updates in eval mode too",
    "batch statistics in eval mode",
    "running statistics in training mode",
    "eps outside of the root",
    "never counts",
    "buffers as plain attributes",
    "a shape for broadcasting in the state",
    "momentum=0 taken for None",
    "one value is let through",
    "counts before it looks",
    "takes any input",
    "the graph in the buffers",
    "statistics without a gradient",
    "no batch statistics in eval mode",
    "affine ignored",
    "statistics in half precision",
    "the mean of the squares",
    "changes its input",
    "depends on the layout",
    "nothing is returned",
    "does nothing",
    "calls F.batch_norm",
)


def _either(make: Callable[..., str], names: Sequence[str] = ()) -> list[Variant]:
    """Return wrong answers that can be made in either layer, by its template: those of these names, or all."""
    return [wrong(name, make(**parts), hint=hint) for name, parts, hint in _EITHER if name in names or not names]


_OWN_CLASS = """super().__init__(num_features, eps, momentum, affine, track_running_stats)"""


VARIANTS = {
    "batch_norm_forward": [
        right("the template", _forward()),
        right("var_mean", _forward(mean="var, mean = torch.var_mean(x, dims, correction=0, keepdim=True)", var="pass")),
        right(
            "feature by feature",
            """
            def batch_norm_forward(x, gamma, beta, eps):
                hats, stds = [], []
                for k in range(x.shape[1]):
                    feature = x[:, k]
                    centered = feature - feature.sum() / feature.numel()
                    std = ((centered * centered).sum() / feature.numel() + eps) ** 0.5
                    hats.append(centered / std)
                    stds.append(std)
                x_hat = torch.stack(hats, dim=1)
                y = torch.stack([gamma[k] * hats[k] + beta[k] for k in range(len(hats))], dim=1)
                return y, [x_hat, gamma, torch.stack(stds)]
            """,
        ),
        right(
            "as a matrix",
            """
            def batch_norm_forward(x, gamma, beta, eps):
                last = x.movedim(1, -1)
                rows = last.reshape(-1, x.shape[1])
                mean = rows.mean(0)
                var = torch.mean((rows - mean) ** 2, 0)
                std = (var + eps).sqrt()
                x_hat = ((rows - mean) / std).reshape(last.shape).movedim(-1, 1)
                y = (x_hat.movedim(1, -1) * gamma + beta).movedim(-1, 1)
                return y, (x_hat, gamma, std)
            """,
        ),
        right(
            "E[x^2] - E[x]^2 in float64",
            _forward(
                mean="wide = x.double()\nmean = wide.mean(dims, keepdim=True)",
                var="var = (wide.square().mean(dims, keepdim=True) - mean.square()).clamp(min=0).to(x.dtype)",
                x_hat="x_hat = ((wide - mean) / std).to(x.dtype)",
            ),
        ),
        wrong("unbiased", _forward(var="var = x.var(dims, keepdim=True)"), hint="divide by m, not by m - 1"),
        wrong("eps outside", _forward(std="std = var.sqrt() + eps"), hint="inside of the root, not to the root"),
        wrong("no eps", _forward(std="std = var.sqrt()"), hint="eps is missing"),
        wrong("eps squared", _forward(std="std = (var + eps**2).sqrt()"), hint="as it is, not squared"),
        wrong("no root", _forward(std="std = var + eps"), hint="The root is missing"),
        wrong(
            "eps only where it divides",
            _forward(std="std = var.sqrt()", x_hat="x_hat = (x - mean) / (var + eps).sqrt()"),
            hint="std has eps in it",
        ),
        wrong(
            "statistics of each row",
            _forward(
                mean="mean = x.mean(tuple(range(1, x.dim())), keepdim=True)",
                var="var = x.var(tuple(range(1, x.dim())), correction=0, keepdim=True)",
            ),
            hint="The statistics are those of each sample",
        ),
        wrong(
            "one mean for all",
            _forward(mean="mean = x.mean()", var="var = ((x - mean) ** 2).mean()"),
            hint="one mean for all features",
        ),
        wrong("only over the batch", _forward(dims="(0,)"), hint="average over samples and positions"),
        wrong(
            "only over the positions",
            _forward(dims="(0,) if x.dim() == 2 else tuple(range(2, x.dim()))"),
            hint="average over samples and positions",
        ),
        wrong(
            "features last",
            _forward(
                dims="tuple(range(x.dim() - 1))",
                shape="(1, -1) if x.dim() == 2 else (1,) * (x.dim() - 1) + (-1,)",
            ),
            hint="must match the size",
        ),
        wrong("features last, in the end only", _forward(y="y = gamma * x_hat + beta"), hint="must match the size"),
        wrong(
            "gamma and beta first",
            _forward(
                mean="x = gamma.reshape(shape) * x + beta.reshape(shape)\nmean = x.mean(dims, keepdim=True)",
                y="y = x_hat",
            ),
            hint="gamma and beta come after",
        ),
        wrong("no gamma", _forward(y="y = x_hat + beta.reshape(shape)"), hint="gamma is missing"),
        wrong("no beta", _forward(y="y = gamma.reshape(shape) * x_hat"), hint="beta is missing"),
        wrong(
            "exchanged", _forward(y="y = beta.reshape(shape) * x_hat + gamma.reshape(shape)"), hint="other way round"
        ),
        wrong(
            "the mean of the squares",
            _forward(var="var = x.square().mean(dims, keepdim=True) - mean.square()"),
            hint="subtract the mean first",
        ),
        wrong(
            "the mean of the squares, not below 0",
            _forward(var="var = (x.square().mean(dims, keepdim=True) - mean.square()).clamp(min=0)"),
            hint="subtract the mean first",
        ),
        wrong(
            "detached statistics",
            _forward(x_hat="x_hat = (x - mean.detach()) / std.detach()"),
            hint="Mean and variance are detached",
        ),
        wrong(
            "detached variance", _forward(std="std = torch.sqrt(var + eps).detach()"), hint="The variance is detached"
        ),
        wrong(
            "without gradients",
            _forward(mean="x = x.detach()\nmean = x.mean(dims, keepdim=True)"),
            hint="No gradient comes back to x",
        ),
        wrong("y as x_hat", _forward(result="y, (y, gamma, std.reshape(-1))"), hint="before gamma and beta"),
        wrong(
            "the variance in the cache",
            _forward(result="y, (x_hat, gamma, var.reshape(-1))"),
            hint="std, a root, and not",
        ),
        wrong("std with all dimensions", _forward(result="y, (x_hat, gamma, std)"), hint="should have the shape (4,)"),
        wrong("another order", _forward(result="y, (x_hat, std.reshape(-1), gamma)"), hint="The order of the cache"),
        wrong("x in the cache", _forward(result="y, (x, gamma, std.reshape(-1))"), hint="is x_hat, not x"),
        wrong("no cache", _forward(result="y"), hint="should be a tuple of 2 values"),
        wrong("a flat tuple", _forward(result="y, x_hat, gamma, std.reshape(-1)"), hint="should hold 2 values"),
        wrong("nothing", _forward(result="None"), hint="should be a tuple of 2 values"),
        wrong("does nothing", _forward(result="x, (x, gamma, torch.ones_like(gamma))"), hint="gamma * (x - mean)"),
        wrong("in place", _forward(x_hat="x -= mean\nx_hat = x / std"), hint="changes an input"),
        wrong(
            "in place on gamma",
            _forward(y="gamma *= 1 + 1e-3\ny = gamma.reshape(shape) / (1 + 1e-3) * x_hat + beta.reshape(shape)"),
            hint="gamma, as it was given",
        ),
        wrong(
            "always float32",
            _forward(result="y.float(), (x_hat.float(), gamma, std.reshape(-1).float())"),
            hint="gamma * (x - mean)",
        ),
        wrong(
            "always float64",
            _forward(result="y.double(), (x_hat, gamma, std.reshape(-1))"),
            hint="should keep the dtype torch.float32",
        ),
        wrong(
            "divides by 0",
            _forward(std="std = torch.where(var < 1e-3, 0 * var, torch.sqrt(var + eps))"),
            hint="constant in the batch gives beta",
        ),
        wrong(
            "a view",
            _forward(mean="mean = x.mean(dims, keepdim=True) + 0 * x.view(-1)[0]"),
            hint="view size is not compatible",
        ),
        wrong(
            "F.batch_norm",
            _forward(y="y = F.batch_norm(x, None, None, gamma, beta, True, 0.0, eps)"),
            hint="uses a normalization of PyTorch's",
        ),
        wrong(
            "F.instance_norm",
            _forward(
                x_hat="""
        rows = x.movedim(1, 0)
        x_hat = F.instance_norm(rows.reshape(1, x.shape[1], -1), eps=eps).reshape(rows.shape).movedim(0, 1)
                """
            ),
            hint="uses a normalization of PyTorch's",
        ),
        wrong(
            "nn.BatchNorm1d",
            """
            def batch_norm_forward(x, gamma, beta, eps):
                bn = nn.BatchNorm1d(x.shape[1], eps).to(x.dtype)
                x_hat = bn(x.reshape(len(x), x.shape[1], -1)).reshape(x.shape)
                return x_hat, (x_hat, gamma, gamma)
            """,
            hint="uses a normalization of PyTorch's",
        ),
    ],
    "batch_norm_backward": [
        right("the template", _backward()),
        right(
            "the three ways, one after the other",
            """
            def batch_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                over = [d for d in range(dy.dim()) if d != 1]
                wide = [1, -1, *[1] * (dy.dim() - 2)]
                s = std.view(wide)
                m = math.prod(dy.shape[d] for d in over)
                dx_hat = dy * gamma.view(wide)
                dvar = (dx_hat * x_hat * s * -0.5 * s**-3).sum(over, keepdim=True)
                dmean = (-dx_hat / s).sum(over, keepdim=True)
                dx = dx_hat / s + dvar * 2 * s * x_hat / m + dmean / m
                return dx, (dy * x_hat).sum(over), dy.sum(over)
            """,
        ),
        right(
            "feature by feature",
            """
            def batch_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                dx, dgamma, dbeta = torch.zeros_like(dy), torch.zeros_like(gamma), torch.zeros_like(gamma)
                for k in range(len(gamma)):
                    g, h = dy[:, k], x_hat[:, k]
                    dgamma[k], dbeta[k] = torch.sum(g * h), torch.sum(g)
                    dx[:, k] = gamma[k] / std[k] * (g - g.mean() - h * (g * h).mean())
                return [dx, dgamma, dbeta]
            """,
        ),
        right(
            "einsum",
            """
            def batch_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                g, h = dy.transpose(0, 1).flatten(1), x_hat.transpose(0, 1).flatten(1)
                dgamma, dbeta = torch.einsum("km,km->k", g, h), g.sum(1)
                dx = (g - (dbeta[:, None] + h * dgamma[:, None]) / g.shape[1]) * (gamma / std)[:, None]
                return dx.reshape(dy.transpose(0, 1).shape).transpose(0, 1), dgamma, dbeta
            """,
        ),
        right(
            "NumPy",
            """
            def batch_norm_backward(dy, cache):
                g, h, gamma, std = (np.array(v) for v in (dy, *cache))
                dims = (0, *range(2, g.ndim))
                wide = (1, -1) + (1,) * (g.ndim - 2)
                mean, along = g.mean(dims, keepdims=True), (g * h).mean(dims, keepdims=True)
                dx = (gamma / std).reshape(wide) * (g - mean - h * along)
                return tuple(torch.from_numpy(np.ascontiguousarray(v)) for v in (dx, (g * h).sum(dims), g.sum(dims)))
            """,
        ),
        right("under no_grad", "@torch.no_grad()" + _backward()),
        wrong(
            "mean and variance held fixed",
            _backward(dx="(gamma / std).reshape(shape) * dy"),
            hint="when both are held fixed",
        ),
        wrong(
            "no variance",
            _backward(dx="(gamma / std).reshape(shape) * (dy - mean)"),
            hint="The way through the variance is missing",
        ),
        wrong(
            "no mean",
            _backward(dx="(gamma / std).reshape(shape) * (dy - along)"),
            hint="The way through the mean is missing",
        ),
        wrong(
            "sums",
            _backward(mean="dy.sum(dims, keepdim=True)", along="x_hat * (dy * x_hat).sum(dims, keepdim=True)"),
            hint="dx takes means over the batch",
        ),
        wrong(
            "a sum in the way through the variance",
            _backward(along="x_hat * (dy * x_hat).sum(dims, keepdim=True)"),
            hint="needs a mean over the batch",
        ),
        wrong(
            "a sum in the way through the mean",
            _backward(mean="dy.sum(dims, keepdim=True)"),
            hint="needs a mean over the batch",
        ),
        wrong(
            "m - 1",
            _backward(along="x_hat * (dy * x_hat).sum(dims, keepdim=True) / max(m - 1, 1)"),
            hint="The variance is the biased one",
        ),
        wrong("m - 1 in both", _backward(m="max(dy.numel() // dy.shape[1] - 1, 1)"), hint="divide by m, not by m - 1"),
        wrong("no gamma", _backward(dx="(dy - mean - along) / std.reshape(shape)"), hint="gamma is missing in dx"),
        wrong("no std", _backward(dx="gamma.reshape(shape) * (dy - mean - along)"), hint="std is missing in dx"),
        wrong(
            "std twice",
            _backward(dx="(gamma / std**2).reshape(shape) * (dy - mean - along)"),
            hint="divided by std once",
        ),
        wrong(
            "times std", _backward(dx="(gamma * std).reshape(shape) * (dy - mean - along)"), hint="std divides: x_hat"
        ),
        wrong(
            "plus signs", _backward(dx="(gamma / std).reshape(shape) * (dy + mean + along)"), hint="have a minus sign"
        ),
        wrong(
            "plus in the variance",
            _backward(dx="(gamma / std).reshape(shape) * (dy - mean + along)"),
            hint="has a minus sign in the end",
        ),
        wrong("half", _backward(along="x_hat * (dy * x_hat).sum(dims, keepdim=True) / m / 2"), hint="cancels the root"),
        wrong(
            "twice", _backward(along="2 * x_hat * (dy * x_hat).sum(dims, keepdim=True) / m"), hint="the 1/2 of the root"
        ),
        wrong(
            "x_hat forgotten in the mean",
            _backward(along="x_hat * dy.sum(dims, keepdim=True) / m"),
            hint="is that of dy * x_hat",
        ),
        wrong(
            "x_hat forgotten before the mean",
            _backward(along="(dy * x_hat).sum(dims, keepdim=True) / m"),
            hint="x_hat multiplies it",
        ),
        wrong(
            "x - mean for x_hat",
            _backward(along="x_hat * std.reshape(shape) * (dy * x_hat).sum(dims, keepdim=True) / m"),
            hint="with x_hat in place of x - mean",
        ),
        wrong(
            "gamma twice",
            _backward(dx="(gamma**2 / std).reshape(shape) * (dy - mean - along)"),
            hint="gamma enters dx once",
        ),
        wrong(
            "the wrong sign",
            _backward(dx="-(gamma / std).reshape(shape) * (dy - mean - along)"),
            hint="dx has the wrong sign",
        ),
        wrong("m counts samples only", _backward(m="len(dy)"), hint="of samples alone"),
        wrong(
            "means over samples only",
            _backward(mean="dy.mean(0, keepdim=True)", along="x_hat * (dy * x_hat).mean(0, keepdim=True)"),
            hint="over samples and positions together",
        ),
        wrong(
            "means over the features",
            _backward(mean="dy.mean(1, keepdim=True)", along="x_hat * (dy * x_hat).mean(1, keepdim=True)"),
            hint="over the samples, for each feature",
        ),
        wrong("only for rows", _backward(dims="(0,)", m="len(dy)"), hint="should have the shape"),
        wrong(
            "dgamma with x - mean",
            _backward(dgamma="(dy * x_hat).sum(dims) * std"),
            hint="do not multiply by std in dgamma",
        ),
        wrong(
            "dgamma with y", _backward(dgamma="(dy * x_hat).sum(dims) * gamma"), hint="dgamma does not contain gamma"
        ),
        wrong("dgamma a mean", _backward(dgamma="(dy * x_hat).sum(dims) / m"), hint="dgamma is a sum"),
        wrong("dbeta a mean", _backward(dbeta="dy.sum(dims) / m"), hint="dbeta is a sum"),
        wrong("dbeta with gamma", _backward(dbeta="dy.sum(dims) * gamma"), hint="gamma does not enter dbeta"),
        wrong("dgamma without x_hat", _backward(dgamma="dy.sum(dims)"), hint="so x_hat enters dgamma"),
        wrong("exchanged", _backward(result="dx, dbeta, dgamma"), hint="are exchanged in yours"),
        wrong(
            "dimensions kept",
            _backward(dgamma="(dy * x_hat).sum(dims, keepdim=True)", dbeta="dy.sum(dims, keepdim=True)"),
            hint="should have the shape",
        ),
        wrong("one dbeta for all", _backward(dbeta="dy.sum()"), hint="There is one dbeta for each feature"),
        wrong("dx only", _backward(result="dx"), hint="should be a tuple of 3 values"),
        wrong("nothing", _backward(result="None"), hint="should be a tuple of 3 values"),
        wrong("dy for dx", _backward(dx="dy"), hint="dx is wrong for a batch of rows"),
        wrong(
            "in place on dy",
            _backward(dx="dy.sub_(mean).sub_(along).mul_((gamma / std).reshape(shape))"),
            hint="changes dy or the cache",
        ),
        wrong(
            "in place on the cache",
            _backward(along="x_hat.mul_(dgamma.reshape(shape) / m)"),
            hint="changes dy or the cache",
        ),
        wrong(
            "always float32",
            _backward(result="dx.float(), dgamma.float(), dbeta.float()"),
            hint="dx is wrong for a batch of rows",
        ),
        wrong(
            "always float64",
            _backward(result="dx.double(), dgamma.double(), dbeta.double()"),
            hint="should keep the dtype torch.float32",
        ),
        wrong(
            "an unbiased one with nan for one row",
            _backward(
                m="dy.numel() // dy.shape[1]", mean="dy.sum(dims, keepdim=True) / m + 0 / torch.tensor(float(m - 1))"
            ),
            hint="contains nan",
        ),
        wrong(
            "views", _backward(mean="dy.view(-1).new_zeros(()) + dy.sum(dims, keepdim=True) / m"), hint="may be views"
        ),
        wrong(
            "autograd of its own forward pass",
            """
            def batch_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                dims = (0, *range(2, dy.dim()))
                shape = (1, -1) + (1,) * (dy.dim() - 2)
                with torch.enable_grad():
                    x = (x_hat * std.reshape(shape)).requires_grad_()
                    scale, shift = gamma.clone().requires_grad_(), torch.zeros_like(gamma).requires_grad_()
                    centered = x - x.mean(dims, keepdim=True)
                    eps = std.square() - centered.detach().square().mean(dims)
                    root = (centered.square().mean(dims, keepdim=True) + eps.reshape(shape)).sqrt()
                    y = scale.reshape(shape) * centered / root + shift.reshape(shape)
                    return torch.autograd.grad(y, (x, scale, shift), dy)
            """,
            hint="Your answer uses autograd",
        ),
        wrong(
            "backward()",
            """
            def batch_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                dims = (0, *range(2, dy.dim()))
                shape = (1, -1) + (1,) * (dy.dim() - 2)
                scale = gamma.clone().requires_grad_()
                (scale.reshape(shape) * x_hat).backward(dy)
                dgamma, dbeta = scale.grad, dy.sum(dims)
                m = dy.numel() // dy.shape[1]
                rest = dy - (dbeta.reshape(shape) + x_hat * dgamma.reshape(shape)) / m
                return (gamma / std).reshape(shape) * rest, dgamma, dbeta
            """,
            hint="Your answer uses autograd",
        ),
        wrong(
            "torch.func.vjp",
            """
            def batch_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                dims = (0, *range(2, dy.dim()))
                shape = (1, -1) + (1,) * (dy.dim() - 2)
                eps = std.square() - (x_hat * std.reshape(shape)).square().mean(dims)
                def forward(x, scale, shift):
                    x = x - x.mean(dims, keepdim=True)
                    root = (x.square().mean(dims, keepdim=True) + eps.reshape(shape)).sqrt()
                    return scale.reshape(shape) * x / root + shift.reshape(shape)
                return torch.func.vjp(forward, x_hat * std.reshape(shape), gamma, 0 * gamma)[1](dy)
            """,
            hint="Your answer uses autograd",
        ),
        wrong(
            "PyTorch's own",
            """
            def batch_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                zeros = torch.zeros_like(std)
                return torch.ops.aten.native_batch_norm_backward(
                    dy.contiguous(), x_hat.contiguous(), gamma, None, None, zeros, 1 / std, True, 0.0, [True] * 3
                )
            """,
            hint="uses a normalization of PyTorch's",
        ),
    ],
    "BatchNorm1d": [
        right("the template", _one()),
        *(right(name, _one(**parts)) for name, parts in _BATCH_NORM_1D_RIGHT),
        *_either(_one),
        wrong(
            "m counts samples only",
            _one(update=_update(var="var * len(x) / max(len(x) - 1, 1)")),
            hint="samples times positions",
        ),
        wrong(
            "rows of features only",
            _one(check=_ONE["check"].replace("(2, 3)", "(2,)")),
            hint="Your code raised ValueError",
        ),
        wrong(
            "each position on its own",
            _one(
                over="((0,), (1, -1)) if x.dim() == 2 else ((0,), (1, *x.shape[1:]))",
                update=_update(
                    mean="(mean if x.dim() == 2 else mean.mean(1))",
                    var="(var if x.dim() == 2 else var.mean(1)) * m / (m - 1)",
                ),
                running="""
            mean, var = self.running_mean, self.running_var
            if x.dim() == 3:
                mean, var = mean[:, None].expand(x.shape[1:]), var[:, None].expand(x.shape[1:])
                """,
                affine=_LAYER_PARTS["affine"].replace("reshape(shape)", "reshape((1, -1) + (1,) * (x.dim() - 2))"),
            ),
            hint="Each position has its own statistics",
        ),
        wrong(
            "refuses in training mode only",
            _one(
                check=_ONE["check"].replace(
                    "if x.dim() not in (2, 3) or", "if self.training and x.dim() not in (2, 3) or"
                )
            ),
            hint=", in eval mode",
        ),
        wrong(
            "an assert in place of a ValueError",
            _one(check="assert x.dim() in (2, 3) and x.shape[1] == self.num_features"),
            hint="yours raised AssertionError",
        ),
        wrong(
            "channels not looked at",
            _one(check="if x.dim() not in (2, 3):\n    raise ValueError()"),
            hint="should raise a ValueError",
        ),
        wrong(
            "PyTorch's own class",
            "class BatchNorm1d(nn.BatchNorm1d):\n    pass",
            hint="uses a normalization of PyTorch's",
        ),
        wrong(
            "a subclass of PyTorch's with a forward of its own",
            _one(base="nn.BatchNorm1d").replace("super().__init__()", _OWN_CLASS),
            hint="uses a normalization of PyTorch's",
        ),
        wrong(
            "PyTorch's class inside",
            """
            class BatchNorm1d(nn.Module):
                def __new__(cls, *args, **kwargs):
                    return nn.BatchNorm1d(*args, **kwargs)
            """,
            hint="uses a normalization of PyTorch's",
        ),
    ],
    "BatchNorm2d": [
        right("the template", _two()),
        *(right(name, _two(**parts)) for name, parts in _BATCH_NORM_1D_RIGHT[:3]),
        right(
            "a subclass of the student's own BatchNorm1d",
            """
            class BatchNorm2d(BatchNorm1d):
                def forward(self, x):
                    if x.dim() != 4:
                        raise ValueError("x should have the shape (n, c, h, w)")
                    return super().forward(x.flatten(2)).reshape(x.shape)
            """,
        ),
        *_either(_two, _COPIED),
        wrong(
            "statistics of each image",
            _two(
                over="(2, 3), (-1, values.shape[1], 1, 1)",
                update=_update(mean="mean.mean(0)", var="var.mean(0) * m / (m - 1)"),
                affine="""
        if self.weight is not None:
            y = y * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)
    """,
            ),
            hint="Each sample has its own statistics",
        ),
        wrong(
            "m counts samples only",
            _two(update=_update(var="var * len(x) / max(len(x) - 1, 1)")),
            hint="samples times positions",
        ),
        wrong(
            "m counts pixels of one image only",
            _two(update=_update(var="var * (m // len(x)) / max(m // len(x) - 1, 1)")),
            hint="After one batch running_var is",
        ),
        wrong(
            "a single image refused",
            _two(single="if len(x) == 1:\n    raise ValueError()"),
            hint="Your code raised ValueError",
        ),
        wrong(
            "takes (c, h, w) too",
            _two(check="x = x if x.dim() == 4 else x.unsqueeze(0)\n" + _TWO["check"].strip().replace("\n    ", "\n")),
            hint="should raise a ValueError",
        ),
        wrong(
            "an assert in place of a ValueError",
            _two(check="assert x.dim() == 4 and x.shape[1] == self.num_features"),
            hint="yours raised AssertionError",
        ),
        wrong(
            "channels last, as in NumPy's habit",
            _two(over="(0, 1, 2), (1, 1, 1, -1)"),
            hint="must match the size",
        ),
        wrong(
            "PyTorch's own class",
            "class BatchNorm2d(nn.BatchNorm2d):\n    pass",
            hint="uses a normalization of PyTorch's",
        ),
        wrong(
            "a subclass of PyTorch's with a forward of its own",
            _two(base="nn.BatchNorm2d").replace("super().__init__()", _OWN_CLASS),
            hint="uses a normalization of PyTorch's",
        ),
    ],
    "fold_batch_norm": [
        right("the template", _fold()),
        right(
            "a deep copy",
            _fold(
                new="new = copy.deepcopy(conv)",
                fill="""
        new.weight.data = (conv.weight * scale[:, None, None, None]).detach()
        new.bias = nn.Parameter(bias.detach())
                """,
            ),
        ),
        right(
            "asks the layer itself",
            """
            def fold_batch_norm(conv, bn):
                if bn.running_mean is None or len(bn.running_mean) != conv.out_channels:
                    raise ValueError("bn does not fit")
                with torch.no_grad():
                    quiet = copy.deepcopy(bn).eval()
                    zeros = torch.zeros(1, conv.out_channels, 1, 1, dtype=conv.weight.dtype)
                    shift = quiet(zeros).flatten()
                    factor = quiet(zeros + 1).flatten() - shift
                    new = copy.deepcopy(conv)
                    new.weight.mul_(factor.reshape(-1, 1, 1, 1))
                    old = conv.bias if conv.bias is not None else torch.zeros_like(factor)
                    new.bias = nn.Parameter(old * factor + shift)
                return new
            """,
        ),
        right(
            "channel by channel",
            """
            def fold_batch_norm(conv, bn):
                if bn.running_mean is None:
                    raise ValueError("no running statistics")
                if conv.weight.shape[0] != bn.running_mean.shape[0]:
                    raise ValueError("channels")
                weight, bias = conv.weight.detach().clone(), bn.running_mean.clone()
                for k in range(len(weight)):
                    factor = 1 / math.sqrt(bn.running_var[k].item() + bn.eps)
                    if bn.affine:
                        factor = factor * bn.weight[k].item()
                    start = 0.0 if conv.bias is None else conv.bias[k].item()
                    bias[k] = (start - bn.running_mean[k].item()) * factor
                    if bn.affine:
                        bias[k] += bn.bias[k].item()
                    weight[k] *= factor
                new = copy.deepcopy(conv)
                new.weight, new.bias = nn.Parameter(weight), nn.Parameter(bias)
                return new
            """,
        ),
        wrong(
            "by input channel",
            _fold(
                fill="""
        with torch.no_grad():
            by_input = conv.weight.shape[0] == conv.weight.shape[1]
            new.weight.copy_(conv.weight * scale.reshape((1, -1, 1, 1) if by_input else (-1, 1, 1, 1)))
            new.bias.copy_(bias)
        """
            ),
            hint="not to the input channel",
        ),
        wrong(
            "no reshape",
            _fold(
                fill="""
        with torch.no_grad():
            new.weight.copy_(conv.weight * scale)
            new.bias.copy_(bias)
        """
            ),
            hint="must match the size",
        ),
        wrong(
            "bias of conv forgotten",
            _fold(
                bias="""
        bias = -bn.running_mean * scale
        if bn.bias is not None:
            bias = bias + bn.bias
        """
            ),
            hint="The bias of conv is lost",
        ),
        wrong(
            "bias of conv not scaled",
            _fold(
                bias="""
        bias = (0 if conv.bias is None else conv.bias) - bn.running_mean * scale
        if bn.bias is not None:
            bias = bias + bn.bias
        """
            ),
            hint="is scaled too",
        ),
        wrong(
            "running mean not scaled",
            _fold(
                bias="""
        bias = (0 if conv.bias is None else conv.bias * scale) - bn.running_mean
        if bn.bias is not None:
            bias = bias + bn.bias
        """
            ),
            hint="The running mean is scaled too",
        ),
        wrong(
            "beta forgotten",
            _fold(bias="bias = ((0 if conv.bias is None else conv.bias) - bn.running_mean) * scale"),
            hint="beta is missing",
        ),
        wrong(
            "running mean added",
            _fold(bias=_FOLD_PARTS["bias"].replace("old - bn", "old + bn")),
            hint="The running mean is subtracted",
        ),
        wrong(
            "beta scaled",
            _fold(
                bias="""
        bias = (0 if conv.bias is None else conv.bias) - bn.running_mean
        bias = (bias if bn.bias is None else bias + bn.bias) * scale
        """
            ),
            hint="beta is added last",
        ),
        wrong("no eps", _fold(factor=_FOLD_PARTS["factor"].replace(" + bn.eps", "")), hint="eps is missing"),
        wrong(
            "eps fixed",
            _fold(factor=_FOLD_PARTS["factor"].replace("bn.eps", "1e-5")),
            hint="running_var + eps",
        ),
        wrong(
            "no root",
            _fold(
                factor=_FOLD_PARTS["factor"].replace(
                    "torch.rsqrt(bn.running_var + bn.eps)", "1 / (bn.running_var + bn.eps)"
                )
            ),
            hint="The root is missing",
        ),
        wrong(
            "eps outside",
            _fold(
                factor=_FOLD_PARTS["factor"].replace(
                    "torch.rsqrt(bn.running_var + bn.eps)", "1 / (bn.running_var.sqrt() + bn.eps)"
                )
            ),
            hint="inside of the root",
        ),
        wrong(
            "gamma forgotten",
            _fold(factor="scale = torch.rsqrt(bn.running_var + bn.eps)"),
            hint="gamma is missing in the weights",
        ),
        wrong(
            "times the root",
            _fold(factor=_FOLD_PARTS["factor"].replace("rsqrt", "sqrt")),
            hint="Divide gamma by the root",
        ),
        wrong(
            "weights not changed",
            _fold(fill="with torch.no_grad():\n    new.weight.copy_(conv.weight)\n    new.bias.copy_(bias)"),
            hint="The weights did not change",
        ),
        wrong(
            "bias not changed",
            _fold(bias="bias = torch.zeros_like(scale) if conv.bias is None else conv.bias"),
            hint="The bias did not change",
        ),
        wrong(
            "affine=False crashes",
            _fold(
                factor="scale = torch.rsqrt(bn.running_var + bn.eps) * bn.weight",
                bias="bias = ((0 if conv.bias is None else conv.bias) - bn.running_mean) * scale + bn.bias",
            ),
            hint="With affine=False",
        ),
        wrong(
            "no bias crashes",
            _fold(bias="bias = (conv.bias - bn.running_mean) * scale + (0 if bn.bias is None else bn.bias)"),
            hint="Your code raised TypeError",
        ),
        wrong(
            "no bias, no new bias",
            _fold(
                new="new = copy.deepcopy(conv)",
                fill="""
        with torch.no_grad():
            new.weight.copy_(conv.weight * scale.reshape(-1, 1, 1, 1))
            if conv.bias is not None:
                new.bias.copy_(bias)
        """,
            ),
            hint="needs a bias",
        ),
        wrong(
            "groups lost",
            _fold(
                new=_FOLD_PARTS["new"].replace("conv.groups", "1"),
                fill="""
        with torch.no_grad():
            new.weight.copy_((conv.weight * scale.reshape(-1, 1, 1, 1)).repeat(1, conv.groups, 1, 1))
            new.bias.copy_(bias)
        """,
            ),
            hint="The weight should have the shape",
        ),
        wrong(
            "stride lost",
            _fold(new=_FOLD_PARTS["new"].replace("conv.stride", "1")),
            hint="The output should have the shape",
        ),
        wrong(
            "one stride for both",
            _fold(new=_FOLD_PARTS["new"].replace("conv.stride", "conv.stride[0]")),
            hint="The output should have the shape",
        ),
        wrong(
            "padding lost",
            _fold(new=_FOLD_PARTS["new"].replace("conv.padding,", "0,")),
            hint="The output should have the shape",
        ),
        wrong(
            "padding a string crashes",
            _fold(new=_FOLD_PARTS["new"].replace("conv.padding,", "(conv.padding[0] + 0, conv.padding[1] + 0),")),
            hint="Take over stride, padding",
        ),
        wrong(
            "dilation lost",
            _fold(new=_FOLD_PARTS["new"].replace("conv.dilation", "1")),
            hint="The output should have the shape",
        ),
        wrong(
            "padding mode lost",
            _fold(new=_FOLD_PARTS["new"].replace("True, conv.padding_mode", "True")),
            hint="padding mode should be those of conv",
        ),
        wrong(
            "folds into conv itself",
            _fold(
                new="new = conv",
                fill="new.weight = nn.Parameter(conv.weight * scale[:, None, None, None])\n"
                "new.bias = nn.Parameter(bias.detach())",
            ),
            hint="yours is conv itself",
        ),
        wrong(
            "changes conv",
            _fold(
                new="conv.weight.data.mul_(scale.reshape(-1, 1, 1, 1).detach())\nnew = copy.deepcopy(conv)",
                fill="new.bias = nn.Parameter(bias.detach())",
            ),
            hint="changes conv or bn",
        ),
        wrong(
            "sets bn to eval mode",
            _fold(
                new="bn.eval()\n" + "new = copy.deepcopy(conv)",
                fill="new.weight = nn.Parameter(conv.weight * scale[:, None, None, None])\n"
                "new.bias = nn.Parameter(bias.detach())",
            ),
            hint="should keep their modes",
        ),
        wrong("resets bn", _fold(result="(new, bn.reset_running_stats())[0]"), hint="changes conv or bn"),
        wrong(
            "a shallow copy",
            _fold(
                new="new = copy.copy(conv)",
                fill="""
        new.weight = nn.Parameter(conv.weight * scale.reshape(-1, 1, 1, 1))
        new.bias = nn.Parameter(bias.detach())
                """,
            ),
            hint="Your function changes conv or bn",
        ),
        wrong(
            "plain tensors",
            _fold(
                new="new = copy.deepcopy(conv)\ndel new.weight, new.bias",
                fill="new.weight, new.bias = (conv.weight * scale.reshape(-1, 1, 1, 1)).detach(), bias.detach()",
            ),
            hint="should be nn.Parameters",
        ),
        wrong(
            "two layers",
            _fold(result="nn.Sequential(copy.deepcopy(conv), copy.deepcopy(bn).eval())"),
            hint="should be one nn.Conv2d",
        ),
        wrong("weight and bias only", _fold(result="new.weight, new.bias"), hint="should be one nn.Conv2d"),
        wrong("nothing", _fold(result="None"), hint="should be one nn.Conv2d"),
        wrong("a copy of conv", _fold(result="copy.deepcopy(conv)"), hint="The weights did not change"),
        wrong(
            "always float32",
            _fold(new=_FOLD_PARTS["new"].replace(", dtype=conv.weight.dtype", "")),
            hint="The weight should keep the dtype torch.float64",
        ),
        wrong(
            "the statistics of bn's parameters",
            _fold(bias=_FOLD_PARTS["bias"].replace("bn.running_mean", "0 * bn.running_mean")),
            hint="The running mean is missing",
        ),
        wrong(
            "no running statistics crashes",
            _fold(check="if bn.num_features != conv.out_channels:\n    raise ValueError()"),
            hint="without running statistics should raise",
        ),
        wrong(
            "channels not looked at",
            _fold(check="if bn.running_mean is None:\n    raise ValueError()"),
            hint="another number of channels",
        ),
        wrong(
            "bn in training mode refused",
            _fold(check=_FOLD_PARTS["check"] + "\n        if bn.training:\n            raise ValueError()"),
            hint="Your code raised ValueError",
        ),
        wrong(
            "PyTorch's folding",
            """
            def fold_batch_norm(conv, bn):
                if bn.running_mean is None or bn.num_features != conv.out_channels:
                    raise ValueError("bn does not fit")
                return torch.nn.utils.fuse_conv_bn_eval(copy.deepcopy(conv).eval(), copy.deepcopy(bn).eval())
            """,
            hint="PyTorch's own folding",
        ),
        wrong(
            "PyTorch's folding of weights",
            _fold(
                new="from torch.nn.utils.fusion import fuse_conv_bn_weights as mine\nnew = copy.deepcopy(conv)",
                fill="""
        statistics = bn.running_mean, bn.running_var, bn.eps
        new.weight, new.bias = mine(conv.weight, conv.bias, *statistics, bn.weight, bn.bias)
                """,
            ),
            hint="PyTorch's own folding",
        ),
    ],
}
