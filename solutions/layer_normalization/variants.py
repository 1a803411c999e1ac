"""Right and wrong answers to the assignment `layer_normalization`, on file for `autograde verify`."""

from autograde.variants import right, wrong

# Each answer is a template whose parts a variant replaces: it then shows only what is special about it.
_LAYER = """
def layer_norm(x, normalized_shape, gamma=None, beta=None, eps=1e-5):
    {shape}
    {check}
    {dims}
    {wide}
    {mean}
    {var}
    {hat}
    {affine}
    return {result}
"""
_LAYER_PARTS = {
    "shape": "shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)",
    "check": """
        if tuple(x.shape)[-len(shape):] != shape:
            raise ValueError(f"{tuple(x.shape)} does not end in {shape}")
    """,
    "dims": "dims = tuple(range(-len(shape), 0))",
    "wide": "y = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x",
    "mean": "mean = y.mean(dims, keepdim=True)",
    "var": "var = y.var(dims, correction=0, keepdim=True)",
    "hat": "out = (y - mean) / torch.sqrt(var + eps)",
    "affine": """
        if gamma is not None:
            out = out * gamma
        if beta is not None:
            out = out + beta
    """,
    "result": "out.to(x.dtype)",
}
_MODULE = """
class LayerNorm(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        super().__init__()
        {init}
        {parameters}

    def forward(self, x):
        shape, eps, gamma, beta = {settings}
        {check}
        {dims}
        {wide}
        {mean}
        {var}
        {hat}
        {affine}
        return {result}
"""
_MODULE_PARTS = {
    **_LAYER_PARTS,
    "init": """
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
    """,
    "parameters": """
        shape = self.normalized_shape
        self.weight = nn.Parameter(torch.ones(shape)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(shape)) if elementwise_affine and bias else None
    """,
    "settings": "self.normalized_shape, self.eps, self.weight, self.bias",
}
del _MODULE_PARTS["shape"]
_MORE = _MODULE_PARTS["parameters"].rstrip() + "\n        "
_BACKWARD = """
def layer_norm_backward(dy, cache):
    x_hat, gamma, std = cache
    {g}
    {dx}
    {sums}
    return {result}
"""
_BACKWARD_PARTS = {
    "g": "g = dy * gamma",
    "dx": "dx = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)) / std",
    "sums": """
        dgamma = (dy * x_hat).reshape(-1, dy.shape[-1]).sum(0)
        dbeta = dy.reshape(-1, dy.shape[-1]).sum(0)
    """,
    "result": "dx, dgamma, dbeta",
}
_GROUP = """
def group_norm(x, groups, gamma=None, beta=None, eps=1e-5):
    {check}
    {parts}
    {mean}
    {var}
    {hat}
    {affine}
    return {result}
"""
_GROUP_PARTS = {
    "check": """
        if groups < 1 or x.shape[1] % groups != 0:
            raise ValueError("groups")
    """,
    "parts": "y = x.reshape(x.shape[0], groups, x.shape[1] // groups, -1)",
    "mean": "mean = y.mean((2, 3), keepdim=True)",
    "var": "var = ((y - mean) ** 2).mean((2, 3), keepdim=True)",
    "hat": "out = ((y - mean) / (var + eps) ** 0.5).reshape(x.shape)",
    "affine": """
        each = [1, -1] + [1] * (x.dim() - 2)
        if gamma is not None:
            out = out * gamma.view(each)
        if beta is not None:
            out = out + beta.view(each)
    """,
    "result": "out",
}
_RMS = """
def rms_norm(x, gamma=None, eps=1e-5):
    {wide}
    {square}
    {hat}
    {affine}
    return {result}
"""
_RMS_PARTS = {
    "wide": "y = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x",
    "square": "square = (y * y).mean(-1, keepdim=True)",
    "hat": "out = y / torch.sqrt(square + eps)",
    "affine": """
        if gamma is not None:
            out = out * gamma
    """,
    "result": "out.to(x.dtype)",
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


def _layer(**parts: str) -> str:
    return _fill(_LAYER, {**_LAYER_PARTS, **parts})


def _module(**parts: str) -> str:
    return _fill(_MODULE, {**_MODULE_PARTS, **parts})


def _backward(**parts: str) -> str:
    return _fill(_BACKWARD, {**_BACKWARD_PARTS, **parts})


def _group(**parts: str) -> str:
    return _fill(_GROUP, {**_GROUP_PARTS, **parts})


def _rms(**parts: str) -> str:
    return _fill(_RMS, {**_RMS_PARTS, **parts})


_OWN = "calls a normalization of PyTorch's"

#: Mistakes that the function and the module have in common: name, parts, hint.
_SHARED_MISTAKES = [
    ("over the batch", {"dims": "dims = (0,)"}, "that is batch normalization"),
    ("over everything", {"dims": "dims = tuple(range(x.dim()))"}, "one mean over all samples together"),
    (
        "always all dimensions but the first",
        {"dims": "dims = tuple(range(1, x.dim())) or (0,)"},
        "always take all dimensions but the first",
    ),
    ("only the last dimension", {"dims": "dims = (-1,)"}, "over the last dimension alone"),
    (
        "the first dimensions",
        {"dims": "dims = tuple(range(len(shape)))"},
        "that is batch normalization",
    ),
    ("the second dimension", {"dims": "dims = (1,) if x.dim() > 1 else (0,)"}, "over one dimension in the middle"),
    ("unbiased variance", {"var": "var = y.var(dims, keepdim=True)"}, "divide the variance by d - 1"),
    (
        "eps outside of the root",
        {"hat": "out = (y - mean) / (var.sqrt() + eps)"},
        "inside of the root, not to the root",
    ),
    (
        "eps outside, unbiased",
        {"hat": "out = (y - mean) / (y.std(dims, keepdim=True) + eps)"},
        "eps stands inside of the root, and d - 1",
    ),
    ("eps left out", {"hat": "out = (y - mean) / var.sqrt()"}, "eps has no effect in yours"),
    ("eps of its own", {"hat": "out = (y - mean) / torch.sqrt(var + 1e-5)"}, "no effect in yours: add it to"),
    (
        "eps only where the variance is 0",
        {"hat": "out = (y - mean) / torch.sqrt(torch.where(var == 0, eps, var))"},
        "eps has no effect in yours",
    ),
    ("eps squared", {"hat": "out = (y - mean) / torch.sqrt(var + eps**2)"}, "as it is, not its square"),
    ("divided by the variance", {"hat": "out = (y - mean) / (var + eps)"}, "You divide by the variance"),
    ("centred only", {"hat": "out = y - mean"}, "nothing is divided by the standard deviation"),
    ("not centred", {"hat": "out = y / torch.sqrt(var + eps)"}, "The mean is not subtracted in yours"),
    ("brackets", {"hat": "out = y - mean / torch.sqrt(var + eps)"}, "Put brackets around x - mean"),
    (
        "RMSNorm",
        {"mean": "mean = 0", "var": "var = (y**2).mean(dims, keepdim=True)"},
        "This is RMSNorm",
    ),
    (
        "the mean square of x under the root",
        {"var": "var = (y**2).mean(dims, keepdim=True)"},
        "subtract the mean before you square",
    ),
    (
        "the sum of the squares",
        {"var": "var = ((y - mean) ** 2).sum(dims, keepdim=True)"},
        "The variance is the mean of the squares",
    ),
    ("nothing", {"hat": "out = y", "affine": "pass"}, "gives x back as it is"),
    ("nothing but the scale and shift", {"hat": "out = y"}, "scaled and shifted"),
    ("no scale and shift", {"affine": "pass"}, "have no effect in yours: multiply by the one"),
    (
        "no shift",
        {
            "affine": """
            if gamma is not None:
                out = out * gamma
            """
        },
        "has no effect in yours: add it at the end",
    ),
    (
        "one scale for all features",
        {
            "affine": """
            if gamma is not None:
                out = out * gamma.mean()
            if beta is not None:
                out = out + beta.mean()
            """
        },
        "do not take one for all",
    ),
    (
        "the first scale for all features",
        {
            "affine": """
            if gamma is not None:
                out = out * gamma.flatten()[0]
            if beta is not None:
                out = out + beta.flatten()[0]
            """
        },
        "an entry for each feature: use them all",
    ),
    (
        "shifted before it is scaled",
        {
            "affine": """
            if beta is not None:
                out = out + beta
            if gamma is not None:
                out = out * gamma
            """
        },
        "after the multiplication by",
    ),
    (
        "scaled before it is normalized",
        {
            "wide": """
            y = x
            if gamma is not None:
                y = y * gamma
            if beta is not None:
                y = y + beta
            """,
            "affine": "pass",
        },
        "Normalize first",
    ),
    (
        "the scale as a difference from 1",
        {
            "affine": """
            if gamma is not None:
                out = out * (1 + gamma)
            if beta is not None:
                out = out + beta
            """
        },
        "The scale is ",
    ),
    (
        "the mean of squares minus the square of the mean",
        {"var": "var = (y**2).mean(dims, keepdim=True) - mean**2"},
        "with a mean of 10,000, the digits are lost",
    ),
    (
        "the same, not below 0",
        {"var": "var = ((y**2).mean(dims, keepdim=True) - mean**2).clamp(min=0)"},
        "with a mean of 10,000, the digits are lost",
    ),
    ("half precision all through", {"wide": "y = x"}, "compute in float32, and round at the end"),
    (
        "float16 alone in float32",
        {"wide": "y = x.float() if x.dtype == torch.float16 else x"},
        "In torch.bfloat16 the result is too coarse",
    ),
    (
        "bfloat16 alone in float32",
        {"wide": "y = x.float() if x.dtype == torch.bfloat16 else x"},
        "In torch.float16 the result is too coarse",
    ),
    (
        "rounded before it is divided",
        {"hat": "out = (y - mean).to(x.dtype) / torch.sqrt(var + eps).to(x.dtype)"},
        "compute in float32, and round at the end",
    ),
    ("the dtype of float32 kept", {"result": "out"}, "should keep the dtype"),
    (
        "everything in float32",
        {"wide": "y = x.float()", "result": "out.float()"},
        "should keep the dtype torch.float64",
    ),
    ("float32 inside", {"wide": "y = x.float()"}, "fewer right digits"),
    ("result in float64", {"wide": "y = x.double()", "result": "out"}, "should keep the dtype torch.float32"),
    ("not checked", {"check": "pass"}, "should raise a ValueError"),
    (
        "number of elements checked",
        {
            "check": """
            if x.shape[-len(shape):].numel() != torch.Size(shape).numel():
                raise ValueError("shape")
            """
        },
        "normalized_shape=(6, 4) with x of shape (2, 4, 6)",
    ),
    (
        "the last dimension checked",
        {
            "check": """
            if x.shape[-1] != shape[-1]:
                raise ValueError("shape")
            """
        },
        "should raise a ValueError",
    ),
    ("assert for raise", {"check": "assert tuple(x.shape)[-len(shape):] == shape"}, "yours raised AssertionError"),
    (
        "at least two dimensions wanted",
        {
            "check": """
            if x.dim() < 2 or tuple(x.shape)[-len(shape):] != shape:
                raise ValueError("shape")
            """
        },
        "Look at an x of shape (5,)",
    ),
    (
        "a batch dimension wanted",
        {
            "check": """
            if tuple(x.shape)[1:][-len(shape):] != shape:
                raise ValueError("shape")
            """
        },
        "Look at an x of shape (5,)",
    ),
    (
        "mean and variance detached",
        {
            "mean": "mean = y.mean(dims, keepdim=True).detach()",
            "var": "var = (y - mean).pow(2).mean(dims, keepdim=True).detach()",
        },
        "Mean and variance depend on x too",
    ),
    (
        "the variance without a gradient",
        {
            "var": """
            with torch.no_grad():
                var = y.var(dims, correction=0, keepdim=True)
            """
        },
        "Mean and variance depend on x too",
    ),
    (
        "detached",
        {"wide": "y = x.detach().float() if x.dtype in (torch.float16, torch.bfloat16) else x.detach()"},
        "No gradient comes back to x",
    ),
    (
        "view",
        {
            "dims": "flat = x.view(*x.shape[: x.dim() - len(shape)], torch.Size(shape).numel())",
            "wide": "y = flat.float() if x.dtype in (torch.float16, torch.bfloat16) else flat",
            "mean": "mean = y.mean(-1, keepdim=True)",
            "var": "var = y.var(-1, correction=0, keepdim=True)",
            "hat": "out = ((y - mean) / torch.sqrt(var + eps)).view(x.shape)",
        },
        "need not be contiguous in memory",
    ),
    (
        "rows by -1",
        {
            "dims": "flat = x.reshape(-1, torch.Size(shape).numel())",
            "wide": "y = flat.float() if x.dtype in (torch.float16, torch.bfloat16) else flat",
            "mean": "mean = y.mean(0, keepdim=True)",
            "var": "var = y.var(0, correction=0, keepdim=True)",
            "hat": "out = ((y - mean) / torch.sqrt(var + eps)).reshape(x.shape)",
        },
        "that is batch normalization",
    ),
    ("PyTorch's function", {"hat": "out = F.layer_norm(y, shape, eps=eps)"}, _OWN),
    ("PyTorch's other function", {"hat": "out = torch.native_layer_norm(y, shape, None, None, eps)[0]"}, _OWN),
    (
        "PyTorch's group normalization",
        {"hat": "out = F.group_norm(y.reshape(-1, 1, torch.Size(shape).numel()), 1, eps=eps).reshape(x.shape)"},
        _OWN,
    ),
    (
        "PyTorch's batch normalization, transposed",
        {
            "hat": """
            flat = y.reshape(-1, torch.Size(shape).numel())
            out = F.batch_norm(flat.T, None, None, training=True, eps=eps).T.reshape(x.shape)
            """
        },
        _OWN,
    ),
    ("nothing returned", {"result": "None"}, "The result is None"),
]

#: Right answers that both have in common: name, parts.
_SHARED_RIGHT = [
    (
        "var_mean",
        {"mean": "var, mean = torch.var_mean(y, dims, correction=0, keepdim=True)", "var": "pass"},
    ),
    (
        "rows",
        {
            "dims": "flat = x.reshape(x.shape[: x.dim() - len(shape)] + (torch.Size(shape).numel(),))",
            "wide": "y = flat.to(torch.promote_types(x.dtype, torch.float32))",
            "mean": "mean = y.sum(-1, keepdim=True) / y.shape[-1]",
            "var": "var = ((y - mean) ** 2).sum(-1, keepdim=True) / y.shape[-1]",
            "hat": "out = ((y - mean) * torch.rsqrt(var + eps)).reshape(x.shape)",
        },
    ),
    (
        "in float64 throughout",
        {
            "wide": "y = x.double()",
            "var": "var = (y**2).mean(dims, keepdim=True) - mean**2",
            "hat": "out = (y - mean) * (var.clamp(min=0) + eps) ** -0.5",
        },
    ),
    (
        "flatten and unsqueeze",
        {
            "mean": "mean = y.flatten(-len(shape)).mean(-1)[(...,) + (None,) * len(shape)]",
            "var": "var = (y - mean).square().flatten(-len(shape)).mean(-1)[(...,) + (None,) * len(shape)]",
        },
    ),
    (
        "in place on its own tensor",
        {
            "hat": """
            out = y - mean
            out /= (var + eps).sqrt()
            """,
        },
    ),
    (
        "rounded before the scale",
        {
            "hat": "out = ((y - mean) / torch.sqrt(var + eps)).to(x.dtype)",
        },
    ),
]

VARIANTS = {
    "layer_norm": [
        *(right(name, _layer(**parts)) for name, parts in _SHARED_RIGHT),
        right(
            "sample by sample",
            """
            def layer_norm(x, normalized_shape, gamma=None, beta=None, eps=1e-5):
                shape = list(normalized_shape) if hasattr(normalized_shape, "__len__") else [normalized_shape]
                k = len(shape)
                if x.dim() < k or list(x.shape[x.dim() - k:]) != shape:
                    raise ValueError("x does not fit normalized_shape")
                rows = []
                for row in x.reshape(-1, *shape):
                    row = row if row.dtype == torch.float64 else row.float()
                    row = row - row.mean()
                    row = row / (row.square().mean() + eps).sqrt()
                    row = row if gamma is None else row * gamma
                    row = row if beta is None else row + beta
                    rows.append(row)
                return torch.stack(rows).reshape(x.shape).to(x.dtype) if rows else x.clone()
            """,
        ),
        right(
            "a gradient of its own",
            """
            class _Normalize(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, eps):
                    x = x - x.mean(-1, keepdim=True)
                    std = torch.sqrt((x * x).mean(-1, keepdim=True) + eps)
                    ctx.save_for_backward(x / std, std)
                    return x / std

                @staticmethod
                def backward(ctx, up):
                    hat, std = ctx.saved_tensors
                    centred = up - up.mean(-1, keepdim=True)
                    return (centred - hat * (up * hat).mean(-1, keepdim=True)) / std, None


            def layer_norm(x, normalized_shape, gamma=None, beta=None, eps=1e-5):
                try:
                    shape = torch.Size(normalized_shape)
                except TypeError:
                    shape = torch.Size([normalized_shape])
                if x.shape[-len(shape):] != shape:
                    raise ValueError("shape")
                wide = x.to(torch.float64 if x.dtype == torch.float64 else torch.float32)
                y = _Normalize.apply(wide.flatten(-len(shape)), eps).reshape(x.shape)
                y = y * (1 if gamma is None else gamma) + (0 if beta is None else beta)
                return y.type(x.dtype)
            """,
        ),
        *(wrong(name, _layer(**parts), hint=hint) for name, parts, hint in _SHARED_MISTAKES),
        wrong(
            "centres x in place",
            _layer(
                mean="mean = 0\ny -= y.mean(dims, keepdim=True)",
            ),
            hint="changes a tensor that it was given",
        ),
        wrong("ints only", _layer(shape="shape = (normalized_shape,)"), hint="with normalized_shape=(5,)"),
        wrong("sequences only", _layer(shape="shape = tuple(normalized_shape)"), hint="normalized_shape may be an int"),
        wrong(
            "int or tuple",
            _layer(shape="shape = normalized_shape if isinstance(normalized_shape, tuple) else (normalized_shape,)"),
            hint="normalized_shape may be an int, a tuple, a list",
        ),
        wrong(
            "a list is no tuple",
            _layer(
                shape="""
                shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
                """
            ),
            hint="normalized_shape may be an int, a tuple, a list",
        ),
        wrong(
            "eats the list",
            _layer(
                shape="""
                shape = [normalized_shape] if isinstance(normalized_shape, int) else normalized_shape
                given, shape = shape, tuple(shape)
                if isinstance(given, list):
                    given.clear()
                """
            ),
            hint="changes the list that was given",
        ),
        wrong(
            "gamma and beta wanted",
            _layer(affine="out = out * gamma + beta"),
            hint="Without gamma and beta, leave it out",
        ),
        wrong(
            "both or none",
            _layer(
                affine="""
                if gamma is not None and beta is not None:
                    out = out * gamma + beta
                """
            ),
            hint="Without beta, only that part is left out",
        ),
        wrong(
            "beta only with gamma",
            _layer(
                affine="""
                if gamma is not None:
                    out = out * gamma
                    if beta is not None:
                        out = out + beta
                """
            ),
            hint="Without gamma, only that part is left out",
        ),
        wrong(
            "gamma changed in place",
            _layer(
                affine="""
                if gamma is not None:
                    out = out * gamma
                    gamma.data.mul_(1.5)
                if beta is not None:
                    out = out + beta
                """
            ),
            hint="changes a tensor that it was given",
        ),
        wrong(
            "a ValueError without a word",
            _layer(
                check="""
                if tuple(x.shape)[-len(shape):] != shape:
                    raise ValueError
                """
            ),
            hint="a ValueError that says nothing",
        ),
        wrong(
            "eps of another default",
            _layer().replace("eps=1e-5)", "eps=1e-3)"),
            hint="and eps is 1e-5",
        ),
        wrong(
            "without keepdim",
            _layer(mean="mean = y.mean(-1)", var="var = y.var(-1, correction=0)"),
            hint="The size of tensor a",
        ),
        wrong(
            "without keepdim, transposed where it fits",
            _layer(
                mean="mean = y.mean(dims, keepdim=x.dim() < 2 or x.shape[0] != x.shape[-1])",
                var="var = y.var(dims, correction=0, keepdim=x.dim() < 2 or x.shape[0] != x.shape[-1])",
            ),
            hint="as many samples as features",
        ),
        wrong(
            "an empty batch through a loop",
            """
            def layer_norm(x, normalized_shape, gamma=None, beta=None, eps=1e-5):
                shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
                if tuple(x.shape[-len(shape):]) != shape:
                    raise ValueError("shape")
                rows = []
                for row in x.reshape(-1, *shape):
                    row = row if row.dtype == torch.float64 else row.float()
                    row = row - row.mean()
                    row = row / (row.square().mean() + eps).sqrt()
                    row = row if gamma is None else row * gamma
                    row = row if beta is None else row + beta
                    rows.append(row)
                return torch.stack(rows).reshape(x.shape).to(x.dtype)
            """,
            hint="Look at an x of shape (0, 5)",
        ),
    ],
    "layer_norm_backward": [
        right(
            "one line each",
            """
            def layer_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                d = x_hat.size(-1)
                g = gamma * dy
                dx = (d * g - g.sum(-1, keepdim=True) - x_hat * (g * x_hat).sum(-1, keepdim=True)) / (d * std)
                lead = list(range(dy.dim() - 1))
                dgamma, dbeta = dy * x_hat, dy.clone()
                if lead:
                    dgamma, dbeta = dgamma.sum(lead), dbeta.sum(lead)
                return dx, dgamma, dbeta
            """,
        ),
        right(
            "the matrix of derivatives",
            """
            def layer_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                d = len(gamma)
                outer = x_hat.unsqueeze(-1) * x_hat.unsqueeze(-2)
                jacobian = (torch.eye(d, dtype=dy.dtype) - 1 / d - outer / d) / std.unsqueeze(-1)
                dx = ((dy * gamma).unsqueeze(-2) @ jacobian).squeeze(-2)
                rows, hats = dy.reshape(-1, d), x_hat.reshape(-1, d)
                return [dx, torch.einsum("ij,ij->j", rows, hats), rows.sum(dim=0)]
            """,
        ),
        right(
            "step by step",
            """
            def layer_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                d = x_hat.shape[-1]
                dhat = dy * gamma
                centred = x_hat * std
                dstd = (dhat * -centred / std**2).sum(-1, keepdim=True)
                dvar = dstd / (2 * std)
                dcentred = dhat / std + dvar * 2 * centred / d
                dx = dcentred - dcentred.mean(-1, keepdim=True)
                return dx, (dy * x_hat).view(-1, d).sum(0), dy.contiguous().view(-1, d).sum(0)
            """.replace("(dy * x_hat).view", "(dy * x_hat).contiguous().view"),
        ),
        right(
            "sample by sample",
            """
            def layer_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                d = len(gamma)
                dx = torch.zeros(x_hat.numel() // d, d, dtype=x_hat.dtype)
                dgamma, dbeta = torch.zeros_like(gamma), torch.zeros_like(gamma)
                for i, (up, hat, s) in enumerate(zip(dy.reshape(-1, d), x_hat.reshape(-1, d), std.reshape(-1))):
                    g = up * gamma
                    dx[i] = (g - g.sum() / d - hat * torch.dot(g, hat) / d) / s
                    dgamma += up * hat
                    dbeta += up
                return dx.reshape(x_hat.shape), dgamma, dbeta
            """,
        ),
        right("without a graph", "@torch.no_grad()" + _backward()),
        wrong(
            "batch normalization's",
            _backward(dx="dx = (g - g.mean(0) - x_hat * (g * x_hat).mean(0)) / std"),
            hint="that is batch normalization's gradient",
        ),
        wrong(
            "gamma taken out of the means",
            _backward(
                dx="""
                dx = gamma / std * (dy - dy.mean(-1, keepdim=True) - x_hat * (dy * x_hat).mean(-1, keepdim=True))
                """
            ),
            hint="gamma belongs inside of the means",
        ),
        wrong("gamma forgotten", _backward(g="g = dy"), hint="gamma is missing in your dx"),
        wrong(
            "gamma in the first term only",
            _backward(dx="dx = (g - dy.mean(-1, keepdim=True) - x_hat * (dy * x_hat).mean(-1, keepdim=True)) / std"),
            hint="gamma is missing inside of your two means",
        ),
        wrong("constants", _backward(dx="dx = g / std"), hint="takes mean and variance for constants"),
        wrong(
            "the mean only",
            _backward(dx="dx = (g - g.mean(-1, keepdim=True)) / std"),
            hint="The way through the variance is missing",
        ),
        wrong(
            "the variance only",
            _backward(dx="dx = (g - x_hat * (g * x_hat).mean(-1, keepdim=True)) / std"),
            hint="The way through the mean is missing",
        ),
        wrong(
            "sums for means",
            _backward(dx="dx = (g - g.sum(-1, keepdim=True) - x_hat * (g * x_hat).sum(-1, keepdim=True)) / std"),
            hint="has sums where it should have means",
        ),
        wrong(
            "divided by d as a whole",
            _backward(
                dx="""
                total = g - g.sum(-1, keepdim=True) - x_hat * (g * x_hat).sum(-1, keepdim=True)
                dx = total / len(gamma) / std
                """
            ),
            hint="then divides everything by d",
        ),
        wrong(
            "the unbiased variance's",
            _backward(
                dx="""
                along = x_hat * (g * x_hat).sum(-1, keepdim=True) / max(len(gamma) - 1, 1)
                dx = (g - g.mean(-1, keepdim=True) - along) / std
                """
            ),
            hint="not by d - 1",
        ),
        wrong(
            "over everything",
            _backward(dx="dx = (g - g.mean() - x_hat * (g * x_hat).mean()) / std"),
            hint="Your means mix the samples",
        ),
        wrong(
            "a sign",
            _backward(dx="dx = (g - g.mean(-1, keepdim=True) + x_hat * (g * x_hat).mean(-1, keepdim=True)) / std"),
            hint="A sign is wrong",
        ),
        wrong(
            "x_hat forgotten",
            _backward(dx="dx = (g - g.mean(-1, keepdim=True) - (g * x_hat).mean(-1, keepdim=True)) / std"),
            hint="multiplied by x_hat before it is subtracted",
        ),
        wrong(
            "x_hat forgotten inside",
            _backward(dx="dx = (g - g.mean(-1, keepdim=True) - x_hat * g.mean(-1, keepdim=True)) / std"),
            hint="The second mean is that of dy * gamma * x_hat",
        ),
        wrong(
            "not divided by std",
            _backward(dx="dx = g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)"),
            hint="The division by std is missing",
        ),
        wrong(
            "multiplied by std",
            _backward(dx="dx = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)) * std"),
            hint="you multiply by it",
        ),
        wrong(
            "std taken for the variance",
            _backward(
                dx="dx = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)) / std.sqrt()"
            ),
            hint="do not take another",
        ),
        wrong(
            "divided by the variance",
            _backward(dx="dx = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)) / std**2"),
            hint="divide by it, not by its square",
        ),
        wrong(
            "a projection",
            _backward(
                dx="""
                along = (g * x_hat).sum(-1, keepdim=True) / (x_hat * x_hat).sum(-1, keepdim=True)
                dx = (g - g.mean(-1, keepdim=True) - x_hat * along) / std
                """
            ),
            hint="the mean of x_hat squared is below 1",
        ),
        wrong(
            "without keepdim",
            _backward(dx="dx = (g - g.mean(-1) - x_hat * (g * x_hat).mean(-1)) / std"),
            hint="The size of tensor a",
        ),
        wrong(
            "without keepdim where it fits",
            _backward(
                dx="""
                keep = dy.dim() != 2 or dy.shape[0] != dy.shape[1]
                dx = (g - g.mean(-1, keepdim=keep) - x_hat * (g * x_hat).mean(-1, keepdim=keep)) / std
                """
            ),
            hint="With as many samples as features dx is wrong",
        ),
        wrong("dy returned", _backward(dx="dx = dy"), hint="Your dx is dy"),
        wrong(
            "dgamma and dbeta not summed",
            _backward(sums="dgamma, dbeta = dy * x_hat, dy.clone()"),
            hint="dgamma is not summed",
        ),
        wrong(
            "dgamma a mean",
            _backward(
                sums="""
                dgamma = (dy * x_hat).reshape(-1, len(gamma)).mean(0)
                dbeta = dy.reshape(-1, len(gamma)).sum(0)
                """
            ),
            hint="dgamma is a sum over the samples, not a mean",
        ),
        wrong(
            "dbeta a mean",
            _backward(
                sums="""
                dgamma = (dy * x_hat).reshape(-1, len(gamma)).sum(0)
                dbeta = dy.reshape(-1, len(gamma)).mean(0)
                """
            ),
            hint="dbeta is a sum over the samples, not a mean",
        ),
        wrong(
            "summed over features",
            _backward(sums="dgamma, dbeta = (dy * x_hat).sum(-1), dy.sum(-1)"),
            hint="Your dgamma is summed over the features",
        ),
        wrong(
            "summed over everything",
            _backward(sums="dgamma, dbeta = (dy * x_hat).sum(), dy.sum()"),
            hint="dgamma has an entry for each feature",
        ),
        wrong(
            "summed over the first dimension only",
            _backward(sums="dgamma, dbeta = (dy * x_hat).sum(0), dy.sum(0)"),
            hint="For a dy of shape (2, 3, 5), dgamma",
        ),
        wrong(
            "a sum over no dimensions is one over all",
            _backward(
                sums="""
                lead = tuple(range(dy.dim() - 1))
                dgamma, dbeta = (dy * x_hat).sum(dim=lead), dy.sum(dim=lead)
                """
            ),
            hint="For a dy of shape (5,), dgamma",
        ),
        wrong(
            "summed with keepdim",
            _backward(sums="dgamma, dbeta = (dy * x_hat).sum(0, keepdim=True), dy.sum(0, keepdim=True)"),
            hint="sum without keepdim",
        ),
        wrong(
            "gamma in dgamma",
            _backward(
                sums="""
                dgamma = (g * x_hat).reshape(-1, len(gamma)).sum(0)
                dbeta = dy.reshape(-1, len(gamma)).sum(0)
                """
            ),
            hint="gamma itself is no factor of dgamma",
        ),
        wrong(
            "gamma in dbeta",
            _backward(
                sums="""
                dgamma = (dy * x_hat).reshape(-1, len(gamma)).sum(0)
                dbeta = g.reshape(-1, len(gamma)).sum(0)
                """
            ),
            hint="gamma is no factor of dbeta",
        ),
        wrong("dx last", _backward(result="dgamma, dbeta, dx"), hint="in this order"),
        wrong("dbeta before dgamma", _backward(result="dx, dbeta, dgamma"), hint="in this order"),
        wrong("dx only", _backward(result="dx"), hint="should be a tuple of 3 values"),
        wrong("nothing returned", _backward(result="None"), hint="The result is None"),
        wrong(
            "autograd",
            """
            def layer_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                centred = (x_hat * std).requires_grad_()
                g, b = gamma.clone().requires_grad_(), torch.zeros_like(gamma).requires_grad_()
                eps = std**2 - centred.detach().pow(2).mean(-1, keepdim=True)
                moved = centred - centred.mean(-1, keepdim=True)
                y = moved / torch.sqrt((moved**2).mean(-1, keepdim=True) + eps) * g + b
                y.backward(dy)
                return centred.grad, g.grad, b.grad
            """,
            hint="lets autograd compute the gradient",
        ),
        wrong(
            "torch.func",
            """
            def layer_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                eps = std**2 - (x_hat * std).pow(2).mean(-1, keepdim=True)

                def forward(x, g, b):
                    x = x - x.mean(-1, keepdim=True)
                    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * g + b

                return torch.func.vjp(forward, x_hat * std, gamma, torch.zeros_like(gamma))[1](dy)
            """,
            hint="lets autograd compute the gradient",
        ),
        wrong(
            "PyTorch's own backward",
            """
            def layer_norm_backward(dy, cache):
                x_hat, gamma, std = cache
                zero = torch.zeros_like(std)
                return torch.ops.aten.native_layer_norm_backward(
                    dy, x_hat * std, gamma.shape, zero, 1 / std, gamma, torch.zeros_like(gamma), [True, True, True]
                )
            """,
            hint=_OWN,
        ),
        wrong("changes dy", _backward(g="g = dy.mul_(gamma)"), hint="changes a tensor that it was given"),
        wrong(
            "changes dy at the end",
            _backward(
                sums="""
                dgamma = (dy * x_hat).reshape(-1, len(gamma)).sum(0)
                dbeta = dy.reshape(-1, len(gamma)).sum(0)
                dy.zero_()
                """
            ),
            hint="changes a tensor that it was given",
        ),
        wrong(
            "changes x_hat",
            _backward(
                sums="""
                dbeta = dy.reshape(-1, len(gamma)).sum(0).clone()
                dgamma = x_hat.mul_(dy).reshape(-1, len(gamma)).sum(0).clone()
                """
            ),
            hint="changes a tensor that it was given",
        ),
        wrong(
            "dy itself for one sample",
            _backward(
                sums="""
                dgamma = (dy * x_hat).reshape(-1, len(gamma)).sum(0)
                dbeta = dy if dy.dim() == 1 else dy.reshape(-1, len(gamma)).sum(0)
                """
            ),
            hint="A result is dy itself",
        ),
        wrong(
            "view",
            _backward(
                sums="""
                dgamma = (dy * x_hat).view(-1, len(gamma)).sum(0)
                dbeta = dy.view(-1, len(gamma)).sum(0)
                """
            ),
            hint="need not be contiguous in memory",
        ),
        wrong(
            "in float32",
            _backward(g="g = dy.float() * gamma.float()", result="dx.to(dy.dtype), dgamma, dbeta"),
            hint="dx has fewer right digits",
        ),
        wrong("in float64", _backward(g="g = dy.double() * gamma"), hint="should keep the dtype torch.float32"),
        wrong(
            "nan for a constant sample",
            _backward(
                dx="""
                var = (x_hat**2).mean(-1, keepdim=True)
                dx = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True) / var * var) / std
                """
            ),
            hint="contains nan",
        ),
    ],
    "LayerNorm": [
        *(right(name, _module(**parts)) for name, parts in _SHARED_RIGHT),
        right(
            "register_parameter",
            _module(
                parameters="""
                self.elementwise_affine = elementwise_affine
                for name, fill in (("weight", torch.ones), ("bias", torch.zeros)):
                    learned = elementwise_affine and (name == "weight" or bias)
                    self.register_parameter(name, nn.Parameter(fill(self.normalized_shape)) if learned else None)
                """
            ),
        ),
        right(
            "a torch.Size, and empty tensors filled",
            _module(
                init="""
                try:
                    self.normalized_shape = torch.Size(normalized_shape)
                except TypeError:
                    self.normalized_shape = torch.Size([normalized_shape])
                self.eps = float(eps)
                """,
                parameters="""
                self.weight = self.bias = None
                if elementwise_affine:
                    self.weight = nn.Parameter(torch.empty(self.normalized_shape))
                    nn.init.ones_(self.weight)
                    if bias:
                        self.bias = nn.Parameter(torch.empty(self.normalized_shape))
                        nn.init.zeros_(self.bias)
                """,
            ),
        ),
        right(
            "a function beside it",
            """
            class LayerNorm(nn.Module):
                def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
                    super().__init__()
                    if isinstance(normalized_shape, int):
                        normalized_shape = [normalized_shape]
                    self.normalized_shape, self.eps = tuple(normalized_shape), eps
                    self.weight = self.bias = None
                    if elementwise_affine:
                        self.weight = nn.Parameter(torch.ones(*normalized_shape))
                    if elementwise_affine and bias:
                        self.bias = nn.Parameter(torch.zeros(*normalized_shape))

                def forward(self, x):
                    return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
            """,
        ),
        *(wrong(name, _module(**parts), hint=hint) for name, parts, hint in _SHARED_MISTAKES),
        wrong(
            "PyTorch's class as the base",
            "class LayerNorm(nn.LayerNorm):\n    pass",
            hint="inherits from a normalization",
        ),
        wrong(
            "PyTorch's class as the base of the constructor",
            _module()
            .replace("nn.Module", "nn.LayerNorm")
            .replace("super().__init__()", "super().__init__(normalized_shape, eps, elementwise_affine, bias)"),
            hint="inherits from a normalization",
        ),
        wrong(
            "PyTorch's module inside",
            """
            class LayerNorm(nn.Module):
                def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
                    super().__init__()
                    self.inner = nn.LayerNorm(normalized_shape, eps, elementwise_affine, bias)
                    self.normalized_shape, self.eps = self.inner.normalized_shape, eps
                    self.weight, self.bias = self.inner.weight, self.inner.bias

                def forward(self, x):
                    return self.inner(x)
            """,
            hint="Inside of your module is a normalization",
        ),
        wrong(
            "PyTorch's module in a list",
            """
            class LayerNorm(nn.Module):
                def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
                    super().__init__()
                    inner = nn.LayerNorm(normalized_shape, eps, elementwise_affine, bias)
                    self.normalized_shape, self.eps = inner.normalized_shape, eps
                    self.weight, self.bias, self.hidden = inner.weight, inner.bias, [inner]

                def forward(self, x):
                    if x.shape[-len(self.normalized_shape):] != self.normalized_shape:
                        raise ValueError("shape")
                    return self.hidden[0](x)
            """,
            hint=_OWN,
        ),
        wrong("no forward", _module().split("    def forward")[0], hint="does not compute anything yet"),
        wrong("no constructor", "class LayerNorm(nn.Module):\n    pass", hint="Your class has no constructor"),
        wrong(
            "not a module",
            _module().replace("(nn.Module)", "").replace("super().__init__()", "pass"),
            hint="a subclass of nn.Module",
        ),
        wrong(
            "gamma and beta for names",
            _module(
                parameters="""
                shape = self.normalized_shape
                self.gamma = nn.Parameter(torch.ones(shape)) if elementwise_affine else None
                self.beta = nn.Parameter(torch.zeros(shape)) if elementwise_affine and bias else None
                """,
                settings="self.normalized_shape, self.eps, self.gamma, self.beta",
            ),
            hint="nn.Parameters of these names",
        ),
        wrong(
            "plain tensors",
            _module(
                parameters="""
                shape = self.normalized_shape
                self.weight = torch.ones(shape, requires_grad=True) if elementwise_affine else None
                self.bias = torch.zeros(shape, requires_grad=True) if elementwise_affine and bias else None
                """
            ),
            hint="nn.Parameters of these names",
        ),
        wrong(
            "buffers",
            _module(
                parameters="""
                shape = self.normalized_shape
                self.register_buffer("weight", torch.ones(shape) if elementwise_affine else None)
                self.register_buffer("bias", torch.zeros(shape) if elementwise_affine and bias else None)
                """
            ),
            hint="has a buffer in yours",
        ),
        wrong(
            "a buffer for eps",
            _module(parameters=_MORE + 'self.register_buffer("small", torch.tensor(eps))'),
            hint="has a buffer in yours",
        ),
        wrong(
            "one scale for all",
            _module(
                parameters="""
                self.weight = nn.Parameter(torch.ones(1)) if elementwise_affine else None
                self.bias = nn.Parameter(torch.zeros(1)) if elementwise_affine and bias else None
                """
            ),
            hint="should have the shape (6,)",
        ),
        wrong(
            "a scale for the last dimension only",
            _module(
                parameters="""
                shape = self.normalized_shape[-1]
                self.weight = nn.Parameter(torch.ones(shape)) if elementwise_affine else None
                self.bias = nn.Parameter(torch.zeros(shape)) if elementwise_affine and bias else None
                """
            ),
            hint="should have the shape (2, 3)",
        ),
        wrong(
            "zeros for the weight",
            _module(parameters=_MODULE_PARTS["parameters"].replace("ones", "zeros")),
            hint="At the start weight is ones",
        ),
        wrong(
            "random weights",
            _module(parameters=_MODULE_PARTS["parameters"].replace("ones", "randn")),
            hint="At the start weight is ones",
        ),
        wrong(
            "float64 parameters",
            _module(parameters=_MODULE_PARTS["parameters"].replace("(shape)", "(shape, dtype=torch.float64)")),
            hint="should keep the dtype torch.float32",
        ),
        wrong(
            "frozen",
            _module(parameters=_MODULE_PARTS["parameters"].replace("(shape)", "(shape), False")),
            hint="should require grad",
        ),
        wrong(
            "bias=False ignored",
            _module(parameters=_MODULE_PARTS["parameters"].replace(" and bias", "")),
            hint="should learn weight",
        ),
        wrong(
            "elementwise_affine ignored",
            _module(
                parameters=_MODULE_PARTS["parameters"]
                .replace(" if elementwise_affine else None", "")
                .replace("elementwise_affine and ", "")
            ),
            hint="should learn nothing",
        ),
        wrong(
            "the bias kept without elementwise_affine",
            _module(parameters=_MODULE_PARTS["parameters"].replace("elementwise_affine and bias", "bias")),
            hint="should learn nothing",
        ),
        wrong(
            "frozen ones instead of None",
            _module(
                parameters="""
                shape = self.normalized_shape
                self.weight, self.bias = torch.ones(shape), torch.zeros(shape)
                if elementwise_affine:
                    del self.weight
                    self.weight = nn.Parameter(torch.ones(shape))
                if elementwise_affine and bias:
                    del self.bias
                    self.bias = nn.Parameter(torch.zeros(shape))
                """
            ),
            hint="self.weight and self.bias are None where nothing is learned",
        ),
        wrong(
            "no attribute where it is off",
            _module(
                parameters="""
                if elementwise_affine:
                    self.weight = nn.Parameter(torch.ones(self.normalized_shape))
                    if bias:
                        self.bias = nn.Parameter(torch.zeros(self.normalized_shape))
                """,
                settings="self.normalized_shape, self.eps, getattr(self, 'weight', None), getattr(self, 'bias', None)",
            ),
            hint="and self.bias, None where off",
        ),
        wrong(
            "the shape kept as given",
            _module(
                init="self.normalized_shape, self.eps = normalized_shape, eps",
                settings="""
                (
                    tuple([self.normalized_shape] if type(self.normalized_shape) is int else self.normalized_shape),
                    self.eps, self.weight, self.bias,
                )
                """,
            ),
            hint="keep normalized_shape as a tuple",
        ),
        wrong(
            "the shape kept as a list",
            _module(
                init="""
                given = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
                self.normalized_shape, self.eps = given, eps
                """,
                settings="tuple(self.normalized_shape), self.eps, self.weight, self.bias",
            ),
            hint="keep normalized_shape as a tuple",
        ),
        wrong(
            "eps under another name",
            _module(
                init=_MODULE_PARTS["init"].replace("self.eps", "self.epsilon"),
                settings="self.normalized_shape, self.epsilon, self.weight, self.bias",
            ),
            hint="self.eps should be",
        ),
        wrong(
            "a running mean",
            _module(
                parameters=_MORE + 'self.register_buffer("running_mean", torch.zeros(1))',
            ),
            hint="has a buffer in yours",
        ),
        wrong(
            "a running mean, hidden, used in eval mode",
            _module(
                parameters=_MORE + "self.running = None",
                mean="""
                mean = y.mean(dims, keepdim=True)
                if self.training:
                    self.running = mean.detach().mean()
                elif self.running is not None:
                    mean = torch.zeros_like(mean) + self.running
                """,
            ),
            hint="In eval mode the result is another",
        ),
        wrong(
            "nothing in eval mode",
            _module(hat="out = (y - mean) / torch.sqrt(var + eps) if self.training else y"),
            hint="In eval mode the result is another",
        ),
        wrong(
            "unbiased in eval mode",
            _module(var="var = y.var(dims, correction=0 if self.training else 1, keepdim=True)"),
            hint="In eval mode the result is another",
        ),
        wrong(
            "the first batch's statistics",
            _module(
                parameters=_MORE + "self.kept = None",
                mean="""
                if self.kept is None or self.kept[0].shape != y.mean(dims, keepdim=True).shape:
                    self.kept = y.mean(dims, keepdim=True).detach(), y.var(dims, correction=0, keepdim=True).detach()
                mean, var = self.kept
                """,
                var="pass",
            ),
            hint="by what an earlier call left",
        ),
        wrong(
            "counts its calls",
            _module(
                parameters=_MORE + "self.calls = 0",
                hat="self.calls += 1\nout = (y - mean) / torch.sqrt(var + eps * self.calls)",
            ),
            hint="A second call gives another result",
        ),
        wrong(
            "a closure over the parameters",
            _module(
                parameters=_MORE + "self.affine = lambda: (self.weight, self.bias)",
                settings="self.normalized_shape, self.eps, *self.affine()",
            ),
            hint="A deep copy and its original share something",
        ),
        wrong(
            "a copy of the parameters",
            _module(
                parameters=_MORE + "self.copies = None",
                settings="self.normalized_shape, self.eps, *self.remembered()",
            )
            + """
    def remembered(self):
        if self.copies is None or self.weight is None or self.copies[0].dtype != self.weight.dtype:
            self.copies = [None if p is None else p * 1 for p in (self.weight, self.bias)]
        return self.copies
""",
            hint="After load_state_dict the result does not follow",
        ),
        wrong(
            "parameters detached",
            _module(
                affine="""
                if gamma is not None:
                    out = out * gamma.detach()
                if beta is not None:
                    out = out + beta
                """
            ),
            hint="No gradient comes back to weight",
        ),
        wrong(
            "the bias detached",
            _module(
                affine="""
                if gamma is not None:
                    out = out * gamma
                if beta is not None:
                    out = out + beta.data
                """
            ),
            hint="No gradient comes back to bias",
        ),
        wrong(
            "parameters in float32 for good",
            _module(
                affine="""
                if gamma is not None:
                    out = out * gamma.float()
                if beta is not None:
                    out = out + beta.float()
                """
            ),
            hint="fewer right digits",
        ),
        wrong(
            "x in the parameters' dtype",
            _module(
                wide="y = x if gamma is None else x.to(gamma.dtype)",
                result="out if gamma is None else out.to(gamma.dtype)",
            ),
            hint="should keep the dtype torch.bfloat16",
        ),
        wrong(
            "changes x at the end",
            _module(result="(out.to(x.dtype), x.data.mul_(0.5))[0]"),
            hint="changes a tensor that it was given",
        ),
        wrong(
            "ints only",
            _module(init="self.normalized_shape, self.eps = (normalized_shape,), eps"),
            hint="must be tuple of ints",
        ),
    ],
    "group_norm": [
        right(
            "var_mean of flat groups",
            _group(
                parts="y = x.reshape(len(x), groups, -1)",
                mean="var, mean = torch.var_mean(y, -1, correction=0, keepdim=True)",
                var="pass",
            ),
        ),
        right(
            "group by group",
            """
            def group_norm(x, groups, gamma=None, beta=None, eps=1e-5):
                channels = x.shape[1]
                if groups <= 0 or channels // max(groups, 1) * groups != channels:
                    raise ValueError("no such groups")
                dims = tuple(range(1, x.dim()))
                done = []
                for part in x.chunk(groups, dim=1):
                    part = part - part.mean(dims, keepdim=True)
                    done.append(part * torch.rsqrt(part.square().mean(dims, keepdim=True) + eps))
                y = torch.cat(done, dim=1).movedim(1, -1)
                y = y if gamma is None else y * gamma
                y = y if beta is None else y + beta
                return y.movedim(-1, 1)
            """,
        ),
        right(
            "unflatten",
            _group(
                parts="y = x.unflatten(1, (groups, -1))\ndims = tuple(range(2, y.dim()))",
                mean="mean = y.mean(dims, keepdim=True)",
                var="var = y.var(dims, unbiased=False, keepdim=True)",
                hat="out = ((y - mean) / torch.sqrt(var + eps)).flatten(1, 2)",
            ),
        ),
        right(
            "sample by sample, in place on a copy",
            _group(
                parts="out = x.clone()\nsize = x.shape[1] // groups",
                mean="""
                rows = []
                for sample in x:
                    parts = [sample[i * size : (i + 1) * size] for i in range(groups)]
                    rows.append(torch.cat([(p - p.mean()) / (p.var(correction=0) + eps).sqrt() for p in parts]))
                """,
                var="out = torch.stack(rows)",
                hat="pass",
            ),
        ),
        wrong(
            "interleaved channels",
            _group(
                parts="y = x.reshape(x.shape[0], x.shape[1] // groups, groups, -1)",
                mean="mean = y.mean((1, 3), keepdim=True)",
                var="var = ((y - mean) ** 2).mean((1, 3), keepdim=True)",
            ),
            hint="yours takes every groups-th channel",
        ),
        wrong(
            "groups of `groups` channels",
            _group(parts="y = x.reshape(x.shape[0], x.shape[1] // groups, groups, -1)"),
            hint="yours are c / groups groups of `groups` channels",
        ),
        wrong(
            "over the batch too",
            _group(
                mean="mean = y.mean((0, 2, 3), keepdim=True)",
                var="var = ((y - mean) ** 2).mean((0, 2, 3), keepdim=True)",
            ),
            hint="over the samples of the batch too",
        ),
        wrong(
            "for each position",
            _group(mean="mean = y.mean(2, keepdim=True)", var="var = ((y - mean) ** 2).mean(2, keepdim=True)"),
            hint="Your mean is for each position",
        ),
        wrong(
            "for each channel",
            _group(mean="mean = y.mean(3, keepdim=True)", var="var = ((y - mean) ** 2).mean(3, keepdim=True)"),
            hint="You take a mean for each channel",
        ),
        wrong("groups ignored", _group(parts="y = x.reshape(len(x), 1, 1, -1)"), hint="one mean for all groups"),
        wrong(
            "batch normalization",
            _group(
                parts="y = x.reshape(len(x), x.shape[1], 1, -1)",
                mean="mean = y.mean((0, 3), keepdim=True)",
                var="var = ((y - mean) ** 2).mean((0, 3), keepdim=True)",
            ),
            hint="This is batch normalization",
        ),
        wrong(
            "the last dimension",
            _group(
                parts="y = x",
                mean="mean = y.mean(-1, keepdim=True)",
                var="var = ((y - mean) ** 2).mean(-1, keepdim=True)",
            ),
            hint="Your mean is over the last",
        ),
        wrong("unbiased", _group(var="var = y.var((2, 3), keepdim=True)"), hint="by the count less one"),
        wrong(
            "eps outside of the root",
            _group(hat="out = ((y - mean) / (var.sqrt() + eps)).reshape(x.shape)"),
            hint="inside of the root, not to the root",
        ),
        wrong("eps left out", _group(hat="out = ((y - mean) / var**0.5).reshape(x.shape)"), hint="eps has no effect"),
        wrong(
            "eps of its own",
            _group(hat="out = ((y - mean) / (var + 1e-5) ** 0.5).reshape(x.shape)"),
            hint="no effect in yours: add it to",
        ),
        wrong(
            "divided by the variance",
            _group(hat="out = ((y - mean) / (var + eps)).reshape(x.shape)"),
            hint="You divide by the variance",
        ),
        wrong("centred only", _group(hat="out = (y - mean).reshape(x.shape)"), hint="nothing is divided by"),
        wrong(
            "not centred",
            _group(hat="out = (y / (var + eps) ** 0.5).reshape(x.shape)"),
            hint="The mean is not subtracted",
        ),
        wrong(
            "the mean square of x",
            _group(var="var = (y**2).mean((2, 3), keepdim=True)"),
            hint="subtract the mean before you square",
        ),
        wrong(
            "scaled first",
            _group(
                parts="""
                each = [1, -1] + [1] * (x.dim() - 2)
                scaled = x if gamma is None else x * gamma.view(each)
                scaled = scaled if beta is None else scaled + beta.view(each)
                y = scaled.reshape(x.shape[0], groups, x.shape[1] // groups, -1)
                """,
                affine="pass",
            ),
            hint="Normalize first",
        ),
        wrong(
            "a scale for each group",
            _group(
                affine="""
                each = [1, -1] + [1] * (x.dim() - 2)
                group = torch.arange(x.shape[1]) // (x.shape[1] // groups)
                if gamma is not None:
                    out = out * gamma[group].view(each)
                if beta is not None:
                    out = out + beta[group].view(each)
                """
            ),
            hint="an entry for each channel, not for each group",
        ),
        wrong(
            "one scale for all",
            _group(
                affine="""
                if gamma is not None:
                    out = out * gamma.mean()
                if beta is not None:
                    out = out + beta.mean()
                """
            ),
            hint="do not take one for all",
        ),
        wrong(
            "a scale along the last dimension",
            _group(
                affine="""
                each = [1, -1] + [1] * (x.dim() - 2) if x.shape[-1] != x.shape[1] else [-1]
                if gamma is not None:
                    out = out * gamma.view(each)
                if beta is not None:
                    out = out + beta.view(each)
                """
            ),
            hint="along the last dimension: channels are the second",
        ),
        wrong(
            "a scale for four dimensions only",
            _group(
                affine="""
                if gamma is not None:
                    out = out * gamma.view(1, -1, 1, 1)
                if beta is not None:
                    out = out + beta.view(1, -1, 1, 1)
                """
            ),
            hint="it has (1, 6, 4, 6)",
        ),
        wrong(
            "four dimensions only",
            _group(
                parts="n, c, h, w = x.shape\ny = x.reshape(n, groups, c // groups, h * w)",
            ),
            hint="Look at x of shape (4, 6)",
        ),
        wrong("no scale and shift", _group(affine="pass"), hint="gamma and beta have no effect"),
        wrong(
            "no shift",
            _group(affine="out = out if gamma is None else out * gamma.view([1, -1] + [1] * (x.dim() - 2))"),
            hint="beta has no effect",
        ),
        wrong(
            "both or none",
            _group(
                affine="""
                each = [1, -1] + [1] * (x.dim() - 2)
                if gamma is not None and beta is not None:
                    out = out * gamma.view(each) + beta.view(each)
                """
            ),
            hint="Without beta, only that part is left out",
        ),
        wrong("nothing", _group(hat="out = x", affine="pass"), hint="gives x back as it is"),
        wrong("nothing returned", _group(result="None"), hint="The result is None"),
        wrong(
            "view",
            _group(parts="y = x.view(x.shape[0], groups, x.shape[1] // groups, -1)"),
            hint="may lie in memory in any order",
        ),
        wrong(
            "read as it lies in memory",
            _group(
                parts="""
                flat = x.as_strided((x.numel(),), (1,))
                y = flat.reshape(x.shape[0], groups, x.shape[1] // groups, -1)
                """
            ),
            hint="may lie in memory in any order",
        ),
        wrong(
            "the mean of squares minus the square of the mean",
            _group(var="var = (y**2).mean((2, 3), keepdim=True) - mean**2"),
            hint="with a mean of 10,000, the digits are lost",
        ),
        wrong("not checked", _group(check="pass"), hint="should raise a ValueError"),
        wrong(
            "remainder only",
            _group(
                check="""
                if x.shape[1] % groups:
                    raise ValueError("groups")
                """
            ),
            hint="yours raised ZeroDivisionError",
        ),
        wrong(
            "negative groups allowed",
            _group(
                check="""
                if groups == 0 or x.shape[1] % groups:
                    raise ValueError("groups")
                groups = abs(groups)
                """
            ),
            hint="groups=-1 with 6 channels",
        ),
        wrong(
            "too many groups only",
            _group(
                check="""
                if groups < 1 or groups > x.shape[1]:
                    raise ValueError("groups")
                """
            ),
            hint="groups=4 with 6 channels should raise",
        ),
        wrong(
            "assert for raise", _group(check="assert groups > 0 and x.shape[1] % groups == 0"), hint="AssertionError"
        ),
        wrong(
            "as many groups as channels refused",
            _group(
                check="""
                if groups < 1 or x.shape[1] % groups or groups == x.shape[1]:
                    raise ValueError("groups")
                """
            ),
            hint="Your code raised ValueError",
        ),
        wrong("PyTorch's function", _group(hat="out = F.group_norm(x, groups, eps=eps)"), hint=_OWN),
        wrong(
            "PyTorch's layer normalization of groups",
            _group(hat="out = F.layer_norm(y, y.shape[2:], eps=eps).reshape(x.shape)"),
            hint=_OWN,
        ),
        wrong(
            "PyTorch's module",
            _group(hat="out = nn.GroupNorm(groups, x.shape[1], eps, affine=False)(x)"),
            hint=_OWN,
        ),
        wrong(
            "centres x in place",
            _group(mean="mean = 0\ny -= y.mean((2, 3), keepdim=True)"),
            hint="changes a tensor that it was given",
        ),
        wrong(
            "mean and variance detached",
            _group(hat="out = ((y - mean.detach()) / (var.detach() + eps) ** 0.5).reshape(x.shape)"),
            hint="Mean and variance depend on x too",
        ),
        wrong("detached", _group(result="out.detach()"), hint="No gradient comes back to x"),
        wrong("float32 inside", _group(result="out.float().to(x.dtype)"), hint="fewer right digits"),
        wrong("float32 out", _group(result="out.float()"), hint="should keep the dtype torch.float64"),
        wrong("flat", _group(result="out.reshape(len(x), -1)"), hint="should have the shape"),
    ],
    "rms_norm": [
        right("rsqrt and a list of steps", _rms(hat="out = torch.rsqrt(square + eps).mul(y)")),
        right(
            "the length of the vector",
            _rms(square="square = torch.linalg.vector_norm(y, dim=-1, keepdim=True) ** 2 / y.shape[-1]"),
        ),
        right(
            "in float64",
            _rms(
                wide="y = x.double()", square="square = torch.einsum('...d,...d->...', y, y)[..., None] / y.shape[-1]"
            ),
        ),
        right(
            "rounded before the scale",
            _rms(hat="out = (y / torch.sqrt(square + eps)).to(x.dtype)"),
        ),
        right(
            "row by row",
            """
            def rms_norm(x, gamma=None, eps=1e-5):
                wide = torch.promote_types(x.dtype, torch.float32)
                rows = [row / (row.pow(2).sum() / len(row) + eps) ** 0.5 for row in x.reshape(-1, x.shape[-1]).to(wide)]
                y = torch.stack(rows).reshape(x.shape) if rows else x.to(wide).clone()
                return (y if gamma is None else y * gamma).to(x.dtype)
            """.replace("x.reshape(-1, x.shape[-1])", "x.reshape(x.numel() // x.shape[-1], x.shape[-1])"),
        ),
        wrong(
            "layer normalization",
            _rms(square="y = y - y.mean(-1, keepdim=True)\nsquare = (y * y).mean(-1, keepdim=True)"),
            hint="This is layer normalization",
        ),
        wrong(
            "the standard deviation",
            _rms(square="square = y.var(-1, correction=0, keepdim=True)"),
            hint="You divide by the standard deviation",
        ),
        wrong(
            "the unbiased standard deviation",
            _rms(square="square = y.var(-1, keepdim=True)"),
            hint="You divide by the standard deviation",
        ),
        wrong(
            "the mean subtracted at the end",
            _rms(hat="out = (y - y.mean(-1, keepdim=True)) / torch.sqrt(square + eps)"),
            hint="RMSNorm subtracts no mean",
        ),
        wrong("the length", _rms(square="square = (y * y).sum(-1, keepdim=True)"), hint="yours is their sum"),
        wrong("F.normalize", _rms(square="pass", hat="out = F.normalize(y, dim=-1)"), hint="with eps; yours is a sum"),
        wrong(
            "F.normalize times the root of d",
            _rms(square="pass", hat="out = F.normalize(y, dim=-1) * y.shape[-1] ** 0.5"),
            hint="eps has no effect",
        ),
        wrong("eps outside", _rms(hat="out = y / (square.sqrt() + eps)"), hint="inside of the root, not to the root"),
        wrong("eps left out", _rms(hat="out = y / square.sqrt()"), hint="eps has no effect"),
        wrong("eps of its own", _rms(hat="out = y / torch.sqrt(square + 1e-6)"), hint="no effect in yours: add it to"),
        wrong("the root forgotten", _rms(hat="out = y / (square + eps)"), hint="The root is missing"),
        wrong("multiplied", _rms(hat="out = y * torch.sqrt(square + eps)"), hint="you multiply by it"),
        wrong(
            "over the batch",
            _rms(square="square = (y * y).mean(0, keepdim=True)"),
            hint="Your mean is over the samples",
        ),
        wrong("over everything", _rms(square="square = (y * y).mean()"), hint="one mean over all samples together"),
        wrong(
            "over all dimensions but the first",
            _rms(square="square = (y * y).mean(tuple(range(1, y.dim())) or (0,), keepdim=True)"),
            hint="over all dimensions but the first",
        ),
        wrong(
            "the second dimension",
            _rms(square="square = (y * y).mean(min(1, y.dim() - 1), keepdim=True)"),
            hint="the mean is over the last dimension",
        ),
        wrong(
            "the square of the mean",
            _rms(square="square = y.mean(-1, keepdim=True) ** 2"),
            hint="Square first, then take the mean",
        ),
        wrong(
            "the mean amount",
            _rms(square="square = y.abs().mean(-1, keepdim=True)"),
            hint="not of the amounts",
        ),
        wrong(
            "without keepdim where it fits",
            _rms(square="square = (y * y).mean(-1, keepdim=y.dim() != 2 or len(y) != y.shape[1])"),
            hint="as many samples as features, yours",
        ),
        wrong("without keepdim", _rms(square="square = (y * y).mean(-1)"), hint="The size of tensor a"),
        wrong("no scale", _rms(affine="pass"), hint="gamma has no effect"),
        wrong(
            "the scale added", _rms(affine="out = out if gamma is None else out + gamma"), hint="multiplies: you add it"
        ),
        wrong(
            "the scale as a difference from 1",
            _rms(affine="out = out if gamma is None else out * (1 + gamma)"),
            hint="itself, not 1 + gamma",
        ),
        wrong(
            "one scale for all",
            _rms(affine="out = out if gamma is None else out * gamma.mean()"),
            hint="do not take one for all",
        ),
        wrong(
            "scaled first",
            _rms(
                wide="y = x if gamma is None else x * gamma",
                affine="pass",
            ),
            hint="Normalize first",
        ),
        wrong("scaled only", _rms(hat="out = y"), hint="only scales by gamma"),
        wrong("nothing", _rms(hat="out = y", affine="pass"), hint="gives x back as it is"),
        wrong("nothing returned", _rms(result="None"), hint="The result is None"),
        wrong("gamma wanted", _rms(affine="out = out * gamma"), hint="Without gamma, leave it out"),
        wrong("half precision all through", _rms(wide="y = x"), hint="compute in float32, and round at the end"),
        wrong(
            "float16 alone in float32",
            _rms(wide="y = x.float() if x.dtype == torch.float16 else x"),
            hint="In torch.bfloat16 the result is too coarse",
        ),
        wrong(
            "bfloat16 alone in float32",
            _rms(wide="y = x.float() if x.dtype == torch.bfloat16 else x"),
            hint="In torch.float16 the result is too coarse",
        ),
        wrong(
            "only the mean in float32",
            _rms(
                wide="y = x",
                square="square = (y * y).mean(-1, True, dtype=torch.promote_types(x.dtype, torch.float32))",
            ),
            hint="compute in float32, and round at the end",
        ),
        wrong(
            "the root rounded",
            _rms(hat="out = y / torch.sqrt(square + eps).to(x.dtype)"),
            hint="compute in float32, and round at the end",
        ),
        wrong("the dtype of float32 kept", _rms(result="out"), hint="should keep the dtype torch.bfloat16"),
        wrong(
            "rounded, then scaled by gamma in float32",
            _rms(hat="out = (y / torch.sqrt(square + eps)).to(x.dtype)", result="out"),
            hint="should keep the dtype torch.bfloat16",
        ),
        wrong("float32 inside", _rms(wide="y = x.float()"), hint="fewer right digits"),
        wrong(
            "in float64 for good", _rms(wide="y = x.double()", result="out"), hint="should keep the dtype torch.float32"
        ),
        wrong("PyTorch's function", _rms(hat="out = F.rms_norm(y, y.shape[-1:], eps=eps)"), hint=_OWN),
        wrong("PyTorch's module", _rms(hat="out = nn.RMSNorm(y.shape[-1], eps, False)(y)"), hint=_OWN),
        wrong(
            "changes x", _rms(hat="out = y.div_(torch.sqrt(square + eps))"), hint="changes a tensor that it was given"
        ),
        wrong(
            "the mean square detached",
            _rms(square="square = (y * y).mean(-1, keepdim=True).detach()"),
            hint="The mean square depends on x too",
        ),
        wrong("detached", _rms(result="out.detach().to(x.dtype)"), hint="No gradient comes back to x"),
        wrong(
            "view",
            _rms(
                wide="y = x.view(-1, x.shape[-1]).to(torch.promote_types(x.dtype, torch.float32))",
                result="out.view(x.shape).to(x.dtype)",
            ),
            hint="need not be contiguous in memory",
        ),
        wrong("a dimension kept", _rms(result="out.to(x.dtype)[None]"), hint="should have the shape"),
    ],
}
