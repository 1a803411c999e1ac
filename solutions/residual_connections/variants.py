"""Right and wrong answers to the assignment `residual_connections`, on file for `autograde verify`."""

from textwrap import dedent

from autograde.variants import right, wrong

# Each answer is a template whose parts a variant replaces: it then shows only what is special about it.
_BASIC = """
class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        {layers}
        {shortcut}

    def forward(self, x):
        {first}
        {last}
        {identity}
        {result}
"""
_BASIC_PARTS = {
    "layers": """
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
    """,
    "shortcut": """
        wide = channels * self.expansion
        self.downsample = None
        if stride != 1 or in_channels != wide:
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
    """,
    "first": "out = torch.relu(self.bn1(self.conv1(x)))",
    "last": "out = self.bn2(self.conv2(out))",
    "identity": "identity = x if self.downsample is None else self.downsample(x)",
    "result": "return torch.relu(out + identity)",
}
_BOTTLENECK = """
class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        {layers}
        {shortcut}

    def forward(self, x):
        {first}
        {middle}
        {last}
        {identity}
        {result}
"""
_BOTTLENECK_PARTS = {
    **_BASIC_PARTS,
    "layers": """
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
    """,
    "middle": "out = torch.relu(self.bn2(self.conv2(out)))",
    "last": "out = self.bn3(self.conv3(out))",
}
_OPTION_A = """
def shortcut_a(x, out_channels, stride):
    {check}
    {taken}
    {result}
"""
_OPTION_A_PARTS = {
    "check": """
        if out_channels < x.shape[1] or stride < 1:
            raise ValueError("bad settings")
    """,
    "taken": "y = x[:, :, ::stride, ::stride]",
    "result": "return F.pad(y, (0, 0, 0, 0, 0, out_channels - x.shape[1]))",
}
_DIRECTION = """
def filter_normalized_direction(model, generator):
    {start}
    direction = []
    for p in model.parameters():
        {value}
        {low}
        {draw}
        {scale}
        direction.append(d)
    return direction
"""
_DIRECTION_PARTS = {
    "start": "pass",
    "value": "p = p.detach()",
    "low": """
        if p.dim() < 2:
            direction.append(torch.zeros_like(p))
            continue
    """,
    "draw": "d = torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device)",
    "scale": """
        for k in range(len(p)):
            d[k] *= p[k].norm() / d[k].norm()
    """,
}
_SURFACE = """
def loss_surface(model, loss_fn, directions, grid):
    {check}
    {keep}

    def put_back():
        {back}

    grid = torch.as_tensor(grid, dtype=torch.float64)
    surface = torch.zeros(len(grid), len(grid), dtype=torch.float64)
    with torch.no_grad():
        try:
            for i, a in enumerate(grid.tolist()):
                for j, b in enumerate(grid.tolist()):
                    {before}
                    {move}
                    {loss}
                    {after}
        finally:
            {end}
    return surface
"""
_SURFACE_PARTS = {
    "check": """
        for direction in directions:
            if len(direction) != len(list(model.parameters())):
                raise ValueError("one tensor for each parameter")
            if any(d.shape != p.shape for d, p in zip(direction, model.parameters())):
                raise ValueError("each tensor has its parameter's shape")
    """,
    "keep": """
        weights = [p.detach().clone() for p in model.parameters()]
        buffers = [b.clone() for b in model.buffers()]
        modes = {m: m.training for m in model.modules()}
    """,
    "back": """
        for p, w in zip(model.parameters(), weights):
            p.copy_(w)
        for b, kept in zip(model.buffers(), buffers):
            b.copy_(kept)
        for m, mode in modes.items():
            m.training = mode
    """,
    "before": "pass",
    "move": """
        for p, w, d1, d2 in zip(model.parameters(), weights, *directions):
            p.copy_(w + a * d1 + b * d2)
    """,
    "loss": "surface[i, j] = loss_fn(model).double()",
    "after": "put_back()",
    "end": "put_back()",
}


def _fill(code: str, parts: dict[str, str]) -> str:
    """Return a template with its holes filled, each part indented as its hole is."""
    for name, part in parts.items():
        marker = "{" + name + "}"
        if marker not in code:
            continue
        lines = [line for line in part.splitlines() if line.strip()]
        depth = len(lines[0]) - len(lines[0].lstrip())
        start = code.index(marker)
        column = start - code.rindex("\n", 0, start) - 1
        code = code.replace(marker, ("\n" + " " * column).join(line[depth:] for line in lines))
    return code


def _basic(**parts: str) -> str:
    return _fill(_BASIC, {**_BASIC_PARTS, **parts})


def _bottleneck(**parts: str) -> str:
    return _fill(_BOTTLENECK, {**_BOTTLENECK_PARTS, **parts})


def _option_a(**parts: str) -> str:
    return _fill(_OPTION_A, {**_OPTION_A_PARTS, **parts})


def _direction(**parts: str) -> str:
    return _fill(_DIRECTION, {**_DIRECTION_PARTS, **parts})


def _surface(**parts: str) -> str:
    return _fill(_SURFACE, {**_SURFACE_PARTS, **parts})


def _zero(body: str) -> str:
    return _fill("def zero_init_residual_(model):\n    {body}\n", {"body": body})


# Mistakes that both blocks can have, as the parts that they replace; {n} is the number of the last layer.
_SHORTCUT = _BASIC_PARTS["shortcut"].rstrip() + "\n"
_SHARED = [
    (
        "no ReLU at the end",
        {"result": "return out + identity"},
        "The last ReLU is missing: it comes after the sum",
    ),
    (
        "ReLU on the branch alone",
        {"result": "return torch.relu(out) + identity"},
        "yours is on the branch alone",
    ),
    (
        "a ReLU more, before the sum",
        {"result": "return torch.relu(torch.relu(out) + identity)"},
        "There is no ReLU between the branch's end and the sum",
    ),
    ("no shortcut", {"result": "return torch.relu(out)"}, "The shortcut is missing: yours returns the branch alone"),
    (
        "ReLU of each, then the sum",
        {"result": "return torch.relu(out) + torch.relu(identity)"},
        "Add first, then take the ReLU of the sum",
    ),
    (
        "a ReLU on the shortcut",
        {"result": "return torch.relu(out + torch.relu(identity))"},
        "The shortcut has no ReLU of its own",
    ),
    ("subtracts the branch", {"result": "return torch.relu(identity - out)"}, "The branch is added, not subtracted"),
    (
        "the mean of both",
        {"result": "return torch.relu((out + identity) / 2)"},
        "added, not averaged",
    ),
    (
        "concatenates",
        {"result": "return torch.relu(torch.cat([out, identity], 1))"},
        "The output should have the shape",
    ),
    (
        "the shortcut from the middle",
        {"identity": "identity = middle if self.downsample is None else self.downsample(x)"},
        "The shortcut starts at x, not in the middle",
    ),
    (
        "the first normalization after its ReLU",
        {"first": "out = self.bn1(torch.relu(self.conv1(x)))"},
        "A ReLU comes before its normalization",
    ),
    (
        "normalizes after the sum",
        {
            "last": "out = self.conv{n}(out)",
            "result": "return torch.relu(self.bn{n}(out + identity))",
        },
        "The last normalization comes before the sum",
    ),
    (
        "the last normalization forgotten",
        {"last": "out = self.conv{n}(out)"},
        "The last normalization, bn{n}, is not used",
    ),
    (
        "adds to x in place",
        {
            "identity": """
            if self.downsample is not None:
                x = self.downsample(x)
            x += out
            """,
            "result": "return torch.relu(x)",
        },
        "Your block changes its input",
    ),
    (
        "a ReLU in place on the shortcut",
        {"result": "return torch.relu(out + torch.relu_(identity))"},
        "The shortcut has no ReLU of its own",
    ),
    (
        "a ReLU in place on x, at the end",
        {
            "result": """
            out = torch.relu(out + identity)
            x.data.clamp_(min=0)
            return out
            """
        },
        "Your block changes its input",
    ),
    (
        "a detached shortcut",
        {"identity": "identity = x.detach() if self.downsample is None else self.downsample(x)"},
        "The gradient flows through the branch only",
    ),
    (
        "a detached branch",
        {"result": "return torch.relu(out.detach() + identity)"},
        "The gradient flows through the shortcut only",
    ),
    (
        "a projection without gradients",
        {
            "identity": """
            identity = x
            if self.downsample is not None:
                with torch.no_grad():
                    identity = self.downsample(x)
            """
        },
        "The gradient flows through the branch only",
    ),
    ("returns nothing", {"result": "torch.relu(out + identity)"}, "forward returns nothing"),
    (
        "a projection only with a stride",
        {"shortcut": _SHORTCUT.replace("stride != 1 or in_channels != wide", "stride != 1")},
        "x needs a projection in self.downsample; yours has none",
    ),
    (
        "a projection only for other channels",
        {"shortcut": _SHORTCUT.replace("stride != 1 or in_channels != wide", "in_channels != wide")},
        "x needs a projection in self.downsample; yours has none",
    ),
    (
        "always a projection",
        {"shortcut": _SHORTCUT.replace("stride != 1 or in_channels != wide", "True")},
        "self.downsample is None; yours is not",
    ),
    (
        "an empty Sequential for None",
        {"shortcut": _SHORTCUT.replace("self.downsample = None", "self.downsample = nn.Sequential()")},
        "self.downsample is None; yours is not",
    ),
    (
        "a projection with a bias",
        {"shortcut": _SHORTCUT.replace("stride, bias=False", "stride")},
        "A convolution here has no bias",
    ),
    (
        "a projection without its normalization",
        {"shortcut": _SHORTCUT.replace(", nn.BatchNorm2d(wide))", ")")},
        "The names do not fit torchvision's",
    ),
    (
        "a projection that ends in a ReLU",
        {"shortcut": _SHORTCUT.replace("nn.BatchNorm2d(wide))", "nn.BatchNorm2d(wide), nn.ReLU())")},
        "The shortcut has no ReLU of its own",
    ),
    (
        "a projection of 3x3",
        {"shortcut": _SHORTCUT.replace("wide, 1, stride,", "wide, 3, stride, 1,")},
        "The block's downsample.0.weight should have the shape",
    ),
    (
        "the projection named shortcut",
        {
            "shortcut": _SHORTCUT.replace("self.downsample = nn", "self.project = nn"),
            "identity": "identity = self.project(x) if hasattr(self, 'project') else x",
        },
        "x needs a projection in self.downsample; yours has none",
    ),
    (
        "the projection of the ReLU of x",
        {"identity": "identity = x if self.downsample is None else self.downsample(torch.relu(x))"},
        "The projection starts at x itself, before any ReLU",
    ),
    (
        "projects without its normalization",
        {"identity": "identity = x if self.downsample is None else self.downsample[0](x)"},
        "The projection has a normalization: use downsample as a whole",
    ),
    (
        "zero gamma from the start",
        {"shortcut": _SHORTCUT + "        nn.init.zeros_(self.bn{n}.weight)\n"},
        "should start as PyTorch starts it",
    ),
    (
        "He's initialization from the start",
        {
            "shortcut": _SHORTCUT
            + "        nn.init.kaiming_normal_(self.conv2.weight)\n        self.conv2.weight.data.mul_(3)\n"
        },
        "should start as PyTorch starts it",
    ),
    (
        "another epsilon",
        {"shortcut": _SHORTCUT + "        self.bn1.eps = 1e-3\n"},
        "go through forward line by line",
    ),
    (
        "another momentum of the statistics",
        {"shortcut": _SHORTCUT + "        self.bn{n}.momentum = 0.01\n"},
        "After two passes in training mode, bn{n}.running_mean",
    ),
    (
        "the first layers run twice",
        {"first": "self.bn1(self.conv1(x))\nout = torch.relu(self.bn1(self.conv1(x)))"},
        "After two passes in training mode, bn1.",
    ),
    (
        "always in training mode",
        {"first": "self.train()\nout = torch.relu(self.bn1(self.conv1(x)))"},
        "leave the modes to the layers",
    ),
    (
        "statistics of the batch, always",
        {"last": "out = F.batch_norm(self.conv{n}(out), None, None, self.bn{n}.weight, self.bn{n}.bias, True)"},
        "go through forward line by line",
    ),
    (
        "everything in float32",
        {"result": "return torch.relu(out + identity).float()"},
        "should keep the dtype torch.float64",
    ),
    (
        "an extra parameter for the branch",
        {
            "shortcut": _SHORTCUT + "        self.scale = nn.Parameter(torch.ones(1))\n",
            "result": "return torch.relu(self.scale * out + identity)",
        },
        "scale should not be there: nothing else",
    ),
    (
        "an extra buffer",
        {"shortcut": _SHORTCUT + "        self.register_buffer('passes', torch.zeros(1))\n"},
        "nothing else has parameters or buffers",
    ),
    ("not a module", {"layers": "raise NotImplementedError()"}, "Nothing is written here yet"),
]


def _mistakes(template, last: int) -> list:
    """Return the shared mistakes as variants of one block."""
    found = []
    for name, parts, hint in _SHARED:
        parts = {key: part.replace("{n}", str(last)) for key, part in parts.items()}
        if name == "the shortcut from the middle":
            first = _BASIC_PARTS["first"] + "\nmiddle = out"
            # The bottleneck's middle has other channels than its end: the sum fails there.
            parts |= {"first": first}
            hint = hint if last == 2 else "The size of tensor"
        if name == "the first normalization after its ReLU" and last == 3:
            hint = "go through forward line by line"  # with two ReLUs inside, one out of place is no known mistake
        found.append(wrong(name, template(**parts), hint=hint.replace("{n}", str(last))))
    return found


VARIANTS = {
    "BasicBlock": [
        right(
            "in place, where it does no harm",
            _basic(
                shortcut=_SHORTCUT + "        self.relu = nn.ReLU(inplace=True)\n",
                first="out = self.relu(self.bn1(self.conv1(x)))",
                result="out += identity\nreturn self.relu(out)",
            ),
        ),
        right(
            "the shortcut first, and clamp",
            _basic(
                first="identity = x\nif self.downsample:\n    identity = self.downsample(x)",
                last="out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))",
                identity="pass",
                result="return (identity + out).clamp(min=0)",
            ),
        ),
        right(
            "layers in a loop, by name",
            """
            class BasicBlock(nn.Module):
                expansion = 1

                def __init__(self, in_channels, channels, stride=1):
                    super().__init__()
                    sizes = [(in_channels, channels, stride), (channels, channels, 1)]
                    for i, (a, b, s) in enumerate(sizes, start=1):
                        pad = "same" if s == 1 else 1
                        self.add_module(f"conv{i}", nn.Conv2d(a, b, 3, stride=s, padding=pad, bias=False))
                        self.add_module(f"bn{i}", nn.BatchNorm2d(b))
                    self.stride = stride
                    fits = stride == 1 and in_channels == channels
                    self.downsample = None if fits else self._project(in_channels, channels)

                def _project(self, a, b):
                    conv = nn.Conv2d(a, b, kernel_size=1, stride=self.stride, padding=0, bias=False)
                    return nn.Sequential(*[conv, nn.BatchNorm2d(b)])

                def branch(self, x):
                    for i in (1, 2):
                        x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
                        x = x.relu() if i == 1 else x
                    return x

                def forward(self, x):
                    y = self.branch(x) + (self.downsample(x) if self.downsample is not None else x)
                    return torch.maximum(y, torch.zeros_like(y))
            """,
        ),
        right(
            "a subclass of Sequential for the projection",
            """
            class Projection(nn.Sequential):
                def __init__(self, a, b, stride):
                    super().__init__(nn.Conv2d(a, b, (1, 1), (stride, stride), bias=False), nn.BatchNorm2d(b))

            """
            + _basic(
                shortcut=_SHORTCUT.replace(
                    "nn.Sequential(nn.Conv2d(in_channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))",
                    "Projection(in_channels, wide, stride)",
                )
            ).replace("\n", "\n            "),
        ),
        *_mistakes(_basic, 2),
        wrong(
            "a new seed for each block",
            _basic(layers="torch.manual_seed(0)\n" + dedent(_BASIC_PARTS["layers"])),
            hint="Two new blocks have the same weights",
        ),
        wrong(
            "the stride in the second convolution",
            _basic(
                layers=_BASIC_PARTS["layers"]
                .replace("3, stride, 1", "3, 9, 1")
                .replace("3, 1, 1", "3, stride, 1")
                .replace("3, 9, 1", "3, 1, 1")
            ),
            hint="The stride is in the second convolution: it belongs into conv1",
        ),
        wrong(
            "convolutions with a bias",
            _basic(layers=_BASIC_PARTS["layers"].replace(", bias=False", "")),
            hint="A convolution here has no bias",
        ),
        wrong(
            "no padding",
            _basic(layers=_BASIC_PARTS["layers"].replace("3, stride, 1", "3, stride, 0").replace("3, 1, 1", "3, 1, 0")),
            hint="The size of tensor",
        ),
        wrong(
            "padding by reflection",
            _basic(layers=_BASIC_PARTS["layers"].replace("1, bias=False", "1, bias=False, padding_mode='reflect'")),
            hint="go through forward line by line",
        ),
        wrong(
            "no ReLU in the branch",
            _basic(first="out = self.bn1(self.conv1(x))"),
            hint="There is no ReLU inside of the branch",
        ),
        wrong(
            "bn2 used twice",
            _basic(first="out = torch.relu(self.bn2(self.conv1(x)))"),
            hint="bn2 is used twice",
        ),
        wrong(
            "bn1 used twice",
            _basic(last="out = self.bn1(self.conv2(out))"),
            hint="bn1 is used twice",
        ),
        wrong(
            "one normalization under two names",
            _basic(shortcut=_SHORTCUT + "        self.bn2 = self.bn1\n"),
            hint="bn2 is used twice",
        ),
        wrong(
            "normalization first",
            _basic(
                first="out = self.conv1(torch.relu(self.bn1(x)))",
                last="out = self.conv2(torch.relu(self.bn2(out)))",
                result="return out + identity",
            ),
            hint="This is the order of a later paper",
        ),
        wrong(
            "the branch in a Sequential",
            """
            class BasicBlock(nn.Module):
                expansion = 1

                def __init__(self, in_channels, channels, stride=1):
                    super().__init__()
                    self.branch = nn.Sequential(
                        nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
                        nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels),
                    )
                    self.downsample = None

                def forward(self, x):
                    return torch.relu(self.branch(x) + x)
            """,
            hint="The names do not fit torchvision's",
        ),
        wrong(
            "group normalization",
            _basic(layers=_BASIC_PARTS["layers"].replace("nn.BatchNorm2d(channels)", "nn.GroupNorm(1, channels)")),
            hint="The names do not fit torchvision's",
        ),
        wrong(
            "torchvision's block",
            """
            from torchvision.models.resnet import BasicBlock as Theirs

            class BasicBlock(Theirs):
                def __init__(self, in_channels, channels, stride=1):
                    downsample = None
                    if stride != 1 or in_channels != channels:
                        downsample = nn.Sequential(
                            nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
                        )
                    super().__init__(in_channels, channels, stride, downsample)
            """,
            hint="Your block is torchvision's",
        ),
        wrong(
            "torchvision's block, made by __new__",
            """
            import torchvision.models.resnet

            class BasicBlock(nn.Module):
                expansion = 1

                def __new__(cls, in_channels, channels, stride=1):
                    downsample = None
                    if stride != 1 or in_channels != channels:
                        downsample = nn.Sequential(
                            nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
                        )
                    return torchvision.models.resnet.BasicBlock(in_channels, channels, stride, downsample)
            """,
            hint="Your block is torchvision's",
        ),
        wrong(
            "torchvision's forward",
            _basic(shortcut=_SHORTCUT + "        self.relu = nn.ReLU()\n")
            + "\nfrom torchvision.models import resnet\nBasicBlock.forward = resnet.BasicBlock.forward\n",
            hint="Your block is torchvision's",
        ),
    ],
    "Bottleneck": [
        right(
            "in place, where it does no harm",
            _bottleneck(
                shortcut=_SHORTCUT + "        self.relu = nn.ReLU(inplace=True)\n",
                first="out = self.relu(self.bn1(self.conv1(x)))",
                middle="out = self.relu(self.bn2(self.conv2(out)))",
                result="out += identity\nreturn self.relu(out)",
            ),
        ),
        right(
            "a helper for the projection",
            """
            def project(a, b, stride):
                return nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

            """
            + _bottleneck(
                shortcut="""
                fits = stride == 1 and in_channels == 4 * channels
                self.downsample = None if fits else project(in_channels, 4 * channels, stride)
                """
            ).replace("\n", "\n            "),
        ),
        right(
            "layers in a loop, by name",
            """
            class Bottleneck(nn.Module):
                expansion = 4

                def __init__(self, in_channels, channels, stride=1):
                    super().__init__()
                    wide = Bottleneck.expansion * channels
                    self.steps = []
                    sizes = [(in_channels, channels, 1, 1), (channels, channels, 3, stride), (channels, wide, 1, 1)]
                    for i, (a, b, size, s) in enumerate(sizes, start=1):
                        setattr(self, f"conv{i}", nn.Conv2d(a, b, size, s, size // 2, bias=False))
                        setattr(self, f"bn{i}", nn.BatchNorm2d(b))
                        self.steps.append((f"conv{i}", f"bn{i}"))
                    self.downsample = None
                    if (in_channels, stride) != (wide, 1):
                        self.downsample = nn.Sequential()
                        self.downsample.append(nn.Conv2d(in_channels, wide, 1, stride, bias=False))
                        self.downsample.append(nn.BatchNorm2d(wide))

                def forward(self, x):
                    y = x
                    for conv, bn in self.steps:
                        y = getattr(self, bn)(getattr(self, conv)(y))
                        if bn == "bn3":
                            y = y + (x if self.downsample is None else self.downsample(x))
                        y = F.relu(y)
                    return y
            """,
        ),
        *_mistakes(_bottleneck, 3),
        wrong(
            "the stride in the first convolution",
            _bottleneck(
                layers=_BOTTLENECK_PARTS["layers"]
                .replace("in_channels, channels, 1,", "in_channels, channels, 1, stride,")
                .replace("3, stride, 1", "3, 1, 1")
            ),
            hint="here it belongs into the 3x3 one, conv2",
        ),
        wrong(
            "the stride in the last convolution",
            _bottleneck(
                layers=_BOTTLENECK_PARTS["layers"]
                .replace("4 * channels, 1,", "4 * channels, 1, stride,")
                .replace("3, stride, 1", "3, 1, 1")
            ),
            hint="The stride is in the last convolution",
        ),
        wrong(
            "no ReLU after bn1",
            _bottleneck(first="out = self.bn1(self.conv1(x))"),
            hint="The ReLU after bn1 is missing",
        ),
        wrong(
            "no ReLU after bn2",
            _bottleneck(middle="out = self.bn2(self.conv2(out))"),
            hint="The ReLU after bn2 is missing",
        ),
        wrong(
            "no ReLU in the branch",
            _bottleneck(first="out = self.bn1(self.conv1(x))", middle="out = self.bn2(self.conv2(out))"),
            hint="There is no ReLU inside of the branch",
        ),
        wrong(
            "convolutions with a bias",
            _bottleneck(layers=_BOTTLENECK_PARTS["layers"].replace(", bias=False", "")),
            hint="A convolution here has no bias",
        ),
        wrong(
            "the last convolution with a bias",
            _bottleneck(layers=_BOTTLENECK_PARTS["layers"].replace("4 * channels, 1, bias=False", "4 * channels, 1")),
            hint="A convolution here has no bias",
        ),
        wrong(
            "wide inside",
            _bottleneck(
                layers="""
                wide = 4 * channels
                self.conv1 = nn.Conv2d(in_channels, wide, 1, bias=False)
                self.bn1 = nn.BatchNorm2d(wide)
                self.conv2 = nn.Conv2d(wide, wide, 3, stride, 1, bias=False)
                self.bn2 = nn.BatchNorm2d(wide)
                self.conv3 = nn.Conv2d(wide, wide, 1, bias=False)
                self.bn3 = nn.BatchNorm2d(wide)
                """
            ),
            hint="The block's conv1.weight should have the shape",
        ),
        wrong(
            "channels taken for those at the end",
            _bottleneck(
                layers=_BOTTLENECK_PARTS["layers"]
                .replace("4 * channels", "CHANNELS")
                .replace("channels", "channels // 4")
                .replace("in_channels // 4", "in_channels")
                .replace("CHANNELS", "channels"),
                shortcut=_SHORTCUT.replace("channels * self.expansion", "channels"),
            ),
            hint="self.downsample is None; yours is not",
        ),
        wrong(
            "a projection wherever in_channels is not channels",
            _bottleneck(shortcut=_SHORTCUT.replace("in_channels != wide", "in_channels != channels")),
            hint="self.downsample is None; yours is not",
        ),
        wrong(
            "no projection where in_channels is channels",
            _bottleneck(
                shortcut=_SHORTCUT.replace("in_channels != wide", "in_channels not in (wide, channels)"),
                identity="""
                identity = x if x.shape == out.shape else out
                if self.downsample is not None:
                    identity = self.downsample(x)
                """,
            ),
            hint="x needs a projection in self.downsample; yours has none",
        ),
        wrong(
            "expansion changed",
            _bottleneck()
            .replace("expansion = 4", "expansion = 2")
            .replace("channels * self.expansion", "channels * 4"),
            hint="The class's expansion should stay as it is given",
        ),
        wrong(
            "the basic block again",
            _basic().replace("BasicBlock", "Bottleneck").replace("expansion = 1", "expansion = 4"),
            hint="The names do not fit torchvision's",
        ),
        wrong(
            "torchvision's block",
            """
            from torchvision.models.resnet import Bottleneck as Theirs

            class Bottleneck(Theirs):
                def __init__(self, in_channels, channels, stride=1):
                    downsample = None
                    if stride != 1 or in_channels != 4 * channels:
                        downsample = nn.Sequential(
                            nn.Conv2d(in_channels, 4 * channels, 1, stride, bias=False), nn.BatchNorm2d(4 * channels)
                        )
                    super().__init__(in_channels, channels, stride, downsample)
            """,
            hint="Your block is torchvision's",
        ),
    ],
    "shortcut_a": [
        right(
            "zeros by cat",
            _option_a(
                result="""
                zeros = y.new_zeros(y.shape[0], out_channels - y.shape[1], *y.shape[2:])
                return torch.cat([y, zeros], dim=1)
                """
            ),
        ),
        right(
            "into a tensor of zeros",
            _option_a(
                taken="""
                n, c, h, w = x.shape
                size = n, out_channels, math.ceil(h / stride), math.ceil(w / stride)
                y = torch.zeros(size, dtype=x.dtype, device=x.device)
                """,
                result="y[:, :c] = x[:, :, ::stride, ::stride]\nreturn y",
            ),
        ),
        right(
            "pooling with a window of one pixel",
            _option_a(
                taken="y = F.avg_pool2d(x, kernel_size=1, stride=stride)",
                result="""
                if out_channels == x.shape[1]:
                    return y
                return F.pad(y, [0, 0] * 2 + [0, out_channels - y.size(1)], mode="constant", value=0)
                """,
            ),
        ),
        right(
            "x itself when there is nothing to do",
            _option_a(
                taken="""
                if stride == 1 and out_channels == x.shape[1]:
                    return x
                rows, columns = range(0, x.shape[2], stride), range(0, x.shape[3], stride)
                y = torch.stack([torch.stack([x[:, :, i, j] for j in columns], -1) for i in rows], -2)
                """
            ),
        ),
        right(
            "pixel by pixel",
            _option_a(
                taken="y = x.new_zeros(x.shape[0], out_channels, -(-x.shape[2] // stride), -(-x.shape[3] // stride))",
                result="""
                for i in range(y.shape[2]):
                    for j in range(y.shape[3]):
                        y[:, :x.shape[1], i, j] = x[:, :, i * stride, j * stride]
                return y
                """,
            ),
        ),
        wrong(
            "zeros in front",
            _option_a(result="return F.pad(y, (0, 0, 0, 0, out_channels - x.shape[1], 0))"),
            hint="yours stand in front",
        ),
        wrong(
            "zeros on both sides",
            _option_a(
                result="""
                new = out_channels - x.shape[1]
                return F.pad(y, (0, 0, 0, 0, new // 2, new - new // 2))
                """
            ),
            hint="yours stand on both sides",
        ),
        wrong(
            "zeros on both sides when they are more than four",
            _option_a(
                result="""
                new = out_channels - x.shape[1]
                half = new // 2 if new > 4 else 0
                return F.pad(y, (0, 0, 0, 0, half, new - half))
                """
            ),
            hint="yours stand on both sides",
        ),
        wrong(
            "repeats the channels",
            _option_a(result="return y.repeat(1, -(-out_channels // y.shape[1]), 1, 1)[:, :out_channels]"),
            hint="yours repeat those of x",
        ),
        wrong(
            "doubles the channels",
            _option_a(result="return torch.cat([y, torch.zeros_like(y), torch.zeros_like(y)], 1)[:, :out_channels]"),
            hint="should have the shape",
        ),
        wrong(
            "means",
            _option_a(taken="y = F.avg_pool2d(x, stride, ceil_mode=True)"),
            hint="Pixels are taken as they are: yours are means",
        ),
        wrong(
            "means, rounded down",
            _option_a(taken="y = F.avg_pool2d(x, stride)"),
            hint="Pixels are taken as they are: yours are means",
        ),
        wrong(
            "the largest",
            _option_a(taken="y = F.max_pool2d(x, stride, ceil_mode=True)"),
            hint="Pixels are taken as they are: yours are the largest",
        ),
        wrong(
            "interpolation",
            _option_a(taken="y = F.interpolate(x, size=(-(-x.shape[2] // stride), -(-x.shape[3] // stride)))"),
            hint="yours are not evenly spaced",
        ),
        wrong(
            "interpolation by a scale",
            _option_a(taken="y = F.interpolate(x, scale_factor=1 / stride)"),
            hint="The last row or column is missing",
        ),
        wrong(
            "sizes rounded down",
            _option_a(taken="y = x[:, :, ::stride, ::stride][:, :, :x.shape[2] // stride, :x.shape[3] // stride]"),
            hint="The last row or column is missing",
        ),
        wrong(
            "from the second pixel on",
            _option_a(taken="y = x[:, :, 1::stride, 1::stride]"),
            hint="yours with the second",
        ),
        wrong(
            "starts in the middle of each window",
            _option_a(taken="y = x[:, :, (stride - 1) // 2::stride, (stride - 1) // 2::stride]"),
            hint="yours with the second",
        ),
        wrong("rows only", _option_a(taken="y = x[:, :, ::stride]"), hint="Columns are skipped too"),
        wrong("stride 2, always", _option_a(taken="y = x[:, :, ::2, ::2]"), hint="The result should have the shape"),
        wrong(
            "no stride when the channels fit",
            _option_a(taken="if x.shape[1] == out_channels:\n    return x\ny = x[:, :, ::stride, ::stride]"),
            hint="The stride is not used",
        ),
        wrong(
            "zeros in float32 on the CPU",
            _option_a(
                result="""
                return torch.cat([y, torch.zeros(len(y), out_channels - y.shape[1], *y.shape[2:])], dim=1)
                """
            ),
            hint="should keep the dtype torch.bfloat16",
        ),
        wrong(
            "zeros on the CPU",
            _option_a(
                result="""
                n, c, h, w = y.shape
                out = torch.zeros(n, out_channels, h, w, dtype=x.dtype)
                out[:, :c] = y
                return out
                """
            ),
            hint="The zeros should be on x's device",
        ),
        wrong(
            "detached", _option_a(taken="y = x.detach()[:, :, ::stride, ::stride]"), hint="No gradient comes back to x"
        ),
        wrong(
            "changes x",
            _option_a(taken="y = x[:, :, ::stride, ::stride]\ny = y * 1\nx.data.mul_(2)"),
            hint="Your function changes x",
        ),
        wrong(
            "a projection that is learned",
            _option_a(
                taken="conv = nn.Conv2d(x.shape[1], out_channels, 1, stride, bias=False).to(x)",
                result="return conv(x)",
            ),
            hint="Every second row and column of x, then channels of zeros",
        ),
        wrong(
            "settings not checked",
            _option_a(check="pass"),
            hint="out_channels below the channels of x should raise a ValueError",
        ),
        wrong(
            "too few channels cut off",
            _option_a(check="if stride < 1:\n    raise ValueError(stride)"),
            hint="out_channels below the channels of x should raise a ValueError",
        ),
        wrong(
            "stride not checked",
            _option_a(
                check="if out_channels < x.shape[1]:\n    raise ValueError(out_channels)",
                taken="y = x[:, :, ::max(stride, 1), ::max(stride, 1)]",
            ),
            hint="A stride below 1 should raise a ValueError",
        ),
        wrong(
            "assert for raise",
            _option_a(check="assert out_channels >= x.shape[1] and stride >= 1"),
            hint="yours raised AssertionError",
        ),
        wrong(
            "equal channels refused",
            _option_a(check="if out_channels <= x.shape[1] or stride < 1:\n    raise ValueError(out_channels)"),
            hint="Your code raised ValueError",
        ),
        wrong(
            "returns nothing",
            "def shortcut_a(x, out_channels, stride):\n    x[:, :, ::stride, ::stride]\n",
            hint="Your function returns nothing",
        ),
    ],
    "zero_init_residual_": [
        right(
            "nothing but attributes",
            _zero(
                """
                with torch.no_grad():
                    for block in model.modules():
                        if not hasattr(block, "downsample"):
                            continue
                        weight = getattr(block, "bn3", None).weight if hasattr(block, "bn3") else block.bn2.weight
                        if weight is not None:
                            weight.zero_()
                return model
                """
            ),
        ),
        right(
            "by the data",
            _zero(
                """
                for block in [m for m in model.modules() if hasattr(m, "downsample")]:
                    name = "bn3" if "bn3" in dict(block.named_children()) else "bn2"
                    norm = getattr(block, name)
                    if norm.affine:
                        norm.weight.data.fill_(0.0)
                return model
                """
            ),
        ),
        right(
            "by recursion",
            _zero(
                """
                if hasattr(model, "downsample"):
                    last = getattr(model, "bn3", None) or model.bn2
                    if isinstance(last.weight, nn.Parameter):
                        last.weight.requires_grad_(last.weight.requires_grad).detach().mul_(0)
                for child in model.children():
                    zero_init_residual_(child)
                return model
                """
            ),
        ),
        right(
            "constant_, one by one",
            _zero(
                """
                def last_norm(block):
                    try:
                        return block.bn3
                    except AttributeError:
                        return block.bn2

                for _, m in model.named_modules():
                    if "downsample" in m.__dict__ or "downsample" in m._modules:
                        if last_norm(m).weight is not None:
                            nn.init.constant_(last_norm(m).weight, 0)
                return model
                """
            ),
        ),
        wrong("does nothing", _zero("return model"), hint="ask for the attribute downsample): nothing became zero"),
        wrong(
            "returns nothing",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
            """
            ),
            hint="Your function returns None",
        ),
        wrong(
            "by the notebook's classes",
            _zero(
                """
            for m in model.modules():
                if isinstance(m, Bottleneck):
                    nn.init.zeros_(m.bn3.weight)
                elif isinstance(m, BasicBlock):
                    nn.init.zeros_(m.bn2.weight)
            return model
            """
            ),
            hint="ask for the attribute downsample): nothing became zero",
        ),
        wrong(
            "by the classes' names",
            _zero(
                """
            for m in model.modules():
                if type(m).__name__ in ("Bottleneck", "BasicBlock", "TwoNorms") and hasattr(m, "downsample"):
                    nn.init.zeros_(m.bn3.weight if hasattr(m, "bn3") else m.bn2.weight)
            return model
            """
            ),
            hint="ask for the attribute downsample",
        ),
        wrong(
            "every bn2",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "bn2"):
                    nn.init.zeros_(m.bn2.weight)
            return model
            """
            ),
            hint="its bn2 stays as it is",
        ),
        wrong(
            "every normalization",
            _zero(
                """
            for m in model.modules():
                if isinstance(m, nn.BatchNorm2d):
                    nn.init.zeros_(m.weight)
            return model
            """
            ),
            hint="bn1.weight changed",
        ),
        wrong(
            "every normalization of a block",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    for k in m.modules():
                        if isinstance(k, nn.BatchNorm2d) and k is not m.bn1:
                            nn.init.zeros_(k.weight)
            return model
            """
            ),
            hint="its bn2 stays as it is",
        ),
        wrong(
            "the last of all normalizations inside",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    norms = [k for k in m.modules() if isinstance(k, nn.BatchNorm2d) and k.weight is not None]
                    nn.init.zeros_(norms[-1].weight)
            return model
            """
            ),
            hint="A weight in downsample changed",
        ),
        wrong(
            "batch normalization only",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if isinstance(last, nn.BatchNorm2d) and last.weight is not None:
                        nn.init.zeros_(last.weight)
            return model
            """
            ),
            hint="whatever its class is",
        ),
        wrong(
            "bn2 only",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample") and m.bn2.weight is not None:
                    nn.init.zeros_(m.bn2.weight)
            return model
            """
            ),
            hint="its bn2 stays as it is",
        ),
        wrong(
            "bn2 and bn3",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    for name in ("bn2", "bn3"):
                        if hasattr(m, name) and getattr(m, name).weight is not None:
                            nn.init.zeros_(getattr(m, name).weight)
            return model
            """
            ),
            hint="its bn2 stays as it is",
        ),
        wrong(
            "only where downsample is None",
            _zero(
                """
            for m in model.modules():
                if getattr(m, "downsample", 0) is None:
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
            return model
            """
            ),
            hint="In a block with a projection on the shortcut",
        ),
        wrong(
            "only where there is a projection",
            _zero(
                """
            for m in model.modules():
                if getattr(m, "downsample", None) is not None:
                    nn.init.zeros_((m.bn3 if hasattr(m, "bn3") else m.bn2).weight)
            return model
            """
            ),
            hint="ask for the attribute downsample): nothing became zero",
        ),
        wrong(
            "children only",
            _zero(
                """
            for m in model.children():
                if hasattr(m, "downsample"):
                    nn.init.zeros_((m.bn3 if hasattr(m, "bn3") else m.bn2).weight)
            return model
            """
            ),
            hint="ask for the attribute downsample): nothing became zero",
        ),
        wrong(
            "not the model itself",
            _zero(
                """
            for m in list(model.modules())[1:]:
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
            return model
            """
            ),
            hint="In a block with bn1 and bn2",
        ),
        wrong(
            "stops at a block",
            _zero(
                """
            if hasattr(model, "downsample"):
                last = model.bn3 if hasattr(model, "bn3") else model.bn2
                if last.weight is not None:
                    nn.init.zeros_(last.weight)
                return model
            for child in model.children():
                zero_init_residual_(child)
            return model
            """
            ),
            hint="In a model that is a block itself, with blocks inside",
        ),
        wrong(
            "the bias",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    nn.init.zeros_((m.bn3 if hasattr(m, "bn3") else m.bn2).bias)
            return model
            """
            ),
            hint="A bias changed",
        ),
        wrong(
            "weight and bias",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
                        nn.init.zeros_(last.bias)
            return model
            """
            ),
            hint="A bias changed",
        ),
        wrong(
            "the convolution",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample") and hasattr(m, "conv2"):
                    nn.init.zeros_((m.conv3 if hasattr(m, "conv3") else m.conv2).weight)
            return model
            """
            ),
            hint="The weights of a convolution changed",
        ),
        wrong(
            "the convolution too",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
                    if hasattr(m, "conv2"):
                        nn.init.zeros_((m.conv3 if hasattr(m, "conv3") else m.conv2).weight)
            return model
            """
            ),
            hint="The weights of a convolution changed",
        ),
        wrong(
            "resets the normalization",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    last.reset_parameters()
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
            return model
            """
            ),
            hint="A bias changed",
        ),
        wrong(
            "resets the running statistics",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    last.reset_running_stats()
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
            return model
            """
            ),
            hint="Running statistics changed",
        ),
        wrong(
            "a new parameter",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        last.weight = nn.Parameter(torch.zeros_like(last.weight))
            return model
            """
            ),
            hint="The parameters are new objects",
        ),
        wrong(
            "a small number",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.constant_(last.weight, 1e-8)
            return model
            """
            ),
            hint="The weight of the last normalization should be zeros",
        ),
        wrong(
            "without a weight forgotten",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    nn.init.zeros_((m.bn3 if hasattr(m, "bn3") else m.bn2).weight)
            return model
            """
            ),
            hint="With affine=False there is no weight",
        ),
        wrong(
            "frozen from now on",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        last.weight.requires_grad_(False).zero_()
            return model
            """
            ),
            hint="requires_grad of a parameter changed",
        ),
        wrong(
            "thaws what was frozen",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
                        last.weight.requires_grad_(True)
            return model
            """
            ),
            hint="frozen ones stay frozen",
        ),
        wrong(
            "leaves the frozen ones out",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None and last.weight.requires_grad:
                        nn.init.zeros_(last.weight)
            return model
            """
            ),
            hint="A frozen weight becomes zeros too",
        ),
        wrong(
            "clears gradients",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
            model.zero_grad()
            return model
            """
            ),
            hint="The grad of a parameter changed",
        ),
        wrong(
            "recorded by autograd",
            _zero(
                """
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        last.weight *= 0
            return model
            """
            ),
            hint="a leaf Variable that requires grad",
        ),
        wrong(
            "in eval mode afterwards",
            _zero(
                """
            for m in model.eval().modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)
            return model
            """
            ),
            hint="Your function changes the mode of a module",
        ),
        wrong(
            "gradients off for good",
            _zero(
                """
            torch.set_grad_enabled(False)
            for m in model.modules():
                if hasattr(m, "downsample"):
                    last = m.bn3 if hasattr(m, "bn3") else m.bn2
                    if last.weight is not None:
                        last.weight.zero_()
            return model
            """
            ),
            hint="Gradients stay disabled, or enabled, after your function",
        ),
        wrong(
            "a copy",
            _zero(
                """
            model = copy.deepcopy(model)
            for m in model.modules():
                if hasattr(m, "downsample"):
                    nn.init.zeros_((m.bn3 if hasattr(m, "bn3") else m.bn2).weight)
            return model
            """
            ),
            hint="ask for the attribute downsample): nothing became zero",
        ),
        wrong(
            "by the state dict's names",
            _zero(
                """
            with torch.no_grad():
                for name, p in model.named_parameters():
                    if name.endswith("bn2.weight") and name[:-10] + "bn3.weight" not in dict(model.named_parameters()):
                        p.zero_()
                    if name.endswith("bn3.weight"):
                        p.zero_()
            return model
            """
            ),
            hint="A module without an attribute downsample is no residual block",
        ),
    ],
    "filter_normalized_direction": [
        right(
            "vectorised, a tuple",
            _direction(
                scale="""
                shape = (-1,) + (1,) * (p.dim() - 1)
                d = d * (p.flatten(1).norm(dim=1) / (d.flatten(1).norm(dim=1) + 1e-10)).view(shape)
                """
            ).replace("return direction", "return tuple(direction)"),
        ),
        right(
            "one long draw, cut in pieces",
            """
            @torch.no_grad()
            def filter_normalized_direction(model, generator):
                params = list(model.parameters())
                numbers = torch.randn(sum(p.numel() for p in params), generator=generator, dtype=torch.float64)
                pieces = numbers.split([p.numel() for p in params])
                direction = []
                for p, piece in zip(params, pieces):
                    d = piece.view(p.shape).to(p)
                    if p.dim() <= 1:
                        direction.append(0 * p)
                    else:
                        rows = F.normalize(d.reshape(len(p), -1), dim=1)
                        direction.append((rows * p.reshape(len(p), -1).norm(dim=1, keepdim=True)).reshape(p.shape))
                return direction
            """,
        ),
        right(
            "filter by filter",
            """
            def filter_normalized_direction(model, generator):
                def filters(w):
                    for f in w:
                        g = torch.empty(f.shape, dtype=f.dtype).normal_(generator=generator).to(f.device)
                        yield g / torch.sqrt((g**2).sum()) * torch.sqrt((f**2).sum())
                weights = [p.data for p in model.parameters()]
                return [torch.stack(list(filters(w))) if w.ndim > 1 else torch.zeros_like(w) for w in weights]
            """,
        ),
        right(
            "einsum and renorm-free algebra",
            _direction(
                draw="d = torch.randn(*p.size(), generator=generator).type_as(p)",
                scale="""
                ratio = (p.reshape(len(p), -1).pow(2).sum(1) / d.reshape(len(p), -1).pow(2).sum(1)).sqrt()
                d = torch.einsum("k,k...->k...", ratio, d)
                """,
            ),
        ),
        wrong("not scaled", _direction(scale="pass"), hint="should be as long as the model's, w[k]"),
        wrong(
            "the whole parameter",
            _direction(scale="d *= p.norm() / d.norm()"),
            hint="Yours has the length of the whole parameter",
        ),
        wrong(
            "the whole parameter, for convolutions only",
            _direction(
                scale="""
                if p.dim() == 3:
                    d *= p.norm() / d.norm()
                else:
                    d *= (p.flatten(1).norm(dim=1) / d.flatten(1).norm(dim=1)).view(-1, *[1] * (p.dim() - 1))
                """
            ),
            hint="Yours has the length of the whole parameter",
        ),
        wrong(
            "along the second dimension",
            _direction(
                scale="""
                for k in range(p.shape[1]):
                    d[:, k] *= p[:, k].norm() / d[:, k].norm()
                """
            ),
            hint="Yours are scaled along the second dimension",
        ),
        wrong(
            "kernel by kernel",
            _direction(
                scale="""
                if p.dim() == 2:
                    d *= p.norm(dim=1, keepdim=True) / d.norm(dim=1, keepdim=True)
                else:
                    axes = tuple(range(2, p.dim()))
                    size = lambda t: (t**2).sum(dim=axes, keepdim=True).sqrt()
                    d *= size(p) / size(d)
                """
            ),
            hint="Before it is scaled, each element of a filter should be a draw",
        ),
        wrong(
            "unit length",
            _direction(scale="for k in range(len(p)):\n    d[k] /= d[k].norm()"),
            hint="Your filters have length 1",
        ),
        wrong(
            "its own length not divided away",
            _direction(scale="for k in range(len(p)):\n    d[k] *= p[k].norm()"),
            hint="should be as long as the model's, w[k]",
        ),
        wrong(
            "the square of the norm",
            _direction(scale="for k in range(len(p)):\n    d[k] *= (p[k]**2).sum() / d[k].norm()"),
            hint="Your filters have the square of the norm",
        ),
        wrong(
            "divided the wrong way",
            _direction(scale="for k in range(len(p)):\n    d[k] *= d[k].norm() / p[k].norm()"),
            hint="should be as long as the model's, w[k]",
        ),
        wrong(
            "the sum of absolute values",
            _direction(scale="for k in range(len(p)):\n    d[k] *= p[k].abs().sum() / d[k].abs().sum()"),
            hint="should be as long as the model's, w[k]",
        ),
        wrong(
            "by the root of the mean square",
            _direction(scale="d = d * p.flatten(1).pow(2).mean(1).sqrt().view(-1, *[1] * (p.dim() - 1))"),
            hint="should be as long as the model's, w[k]",
        ),
        wrong(
            "each element by its weight",
            _direction(scale="d = d * p.abs()"),
            hint="should be as long as the model's, w[k]",
        ),
        wrong(
            "each element by its weight, then the filter",
            _direction(
                scale="d = d * p.abs()\nfor k in range(len(p)):\n    d[k] *= p[k].norm() / (d[k].norm() + 1e-12)"
            ),
            hint="Before it is scaled, each element of a filter should be a draw",
        ),
        wrong(
            "uniform, above zero",
            _direction(draw="d = torch.rand(p.shape, generator=generator, dtype=p.dtype)"),
            hint="Half of the elements should be negative",
        ),
        wrong(
            "uniform, both signs",
            _direction(draw="d = 2 * torch.rand(p.shape, generator=generator, dtype=p.dtype) - 1"),
            hint="Before it is scaled, each element of a filter should be a draw",
        ),
        wrong(
            "signs",
            _direction(draw="d = torch.randn(p.shape, generator=generator, dtype=p.dtype).sign()"),
            hint="Before it is scaled, each element of a filter should be a draw",
        ),
        wrong(
            "absolute values",
            _direction(draw="d = torch.randn(p.shape, generator=generator, dtype=p.dtype).abs()"),
            hint="Half of the elements should be negative",
        ),
        wrong(
            "the weights' own signs",
            _direction(
                draw="""
                signs = torch.where(p < 0, -1.0, 1.0).to(p.dtype)
                d = torch.randn(p.shape, generator=generator, dtype=p.dtype).abs() * signs
                """
            ),
            hint="are not independent of the weights",
        ),
        wrong(
            "one draw for all filters",
            _direction(draw="d = torch.randn(p.shape[1:], generator=generator, dtype=p.dtype).expand_as(p).clone()"),
            hint="The filters are not independent of each other",
        ),
        wrong(
            "the weights themselves",
            _direction(
                draw="d = p * torch.randn(len(p), generator=generator, dtype=p.dtype).view(-1, *[1] * (p.dim() - 1))",
                scale="for k in range(len(p)):\n    d[k] *= p[k].norm() / (d[k].norm() + 1e-12)",
            ),
            hint="Before it is scaled, each element of a filter should be a draw",
        ),
        wrong(
            "biases move",
            _direction(
                low="""
            if p.dim() < 2:
                direction.append(torch.randn(p.shape, generator=generator, dtype=p.dtype))
                continue
            """
            ),
            hint="A parameter with 1 dimensions should get zeros",
        ),
        wrong(
            "biases scaled as one filter",
            _direction(
                low="""
            if p.dim() < 2:
                d = torch.randn(p.shape, generator=generator, dtype=p.dtype)
                direction.append(d * p.norm() / d.norm())
                continue
            """
            ),
            hint="A parameter with 1 dimensions should get zeros",
        ),
        wrong(
            "biases left out",
            _direction(low="if p.dim() < 2:\n    continue"),
            hint="There should be one tensor for each of the",
        ),
        wrong(
            "zeros of one size for biases",
            _direction(
                low="""
            if p.dim() < 2:
                direction.append(torch.zeros(1, dtype=p.dtype))
                continue
            """
            ),
            hint="A part of the direction should have the shape",
        ),
        wrong(
            "numbers without dimensions forgotten",
            _direction(
                low="""
            if p.dim() == 1:
                direction.append(torch.zeros_like(p))
                continue
            """,
                scale="""
                if p.dim() == 0:
                    d = d * 0 + p
                for k in range(len(p) if p.dim() else 0):
                    d[k] *= p[k].norm() / d[k].norm()
                """,
            ),
            hint="A parameter with 0 dimensions should get zeros",
        ),
        wrong(
            "by the names",
            """
            def filter_normalized_direction(model, generator):
                direction = []
                for name, p in model.named_parameters():
                    p = p.detach()
                    if "bias" in name or "bn" in name or p.dim() < 2 and "weight" in name:
                        direction.append(torch.zeros_like(p))
                        continue
                    d = torch.randn(p.shape, generator=generator, dtype=p.dtype)
                    rows = d.reshape(len(p), -1) if p.dim() else d.view(1, 1)
                    lengths = p.reshape(len(p), -1).norm(dim=1, keepdim=True) if p.dim() else p.abs().view(1, 1)
                    direction.append((rows / rows.norm(dim=1, keepdim=True) * lengths).view(p.shape))
                return direction
            """,
            hint="A parameter with 1 dimensions should get zeros",
        ),
        wrong(
            "zero filters give nan",
            _direction(
                scale="""
            for k in range(len(p)):
                d[k] /= d[k].norm() / p[k].norm() * p[k].norm() / p[k].norm()
            """
            ),
            hint="contains nan or inf: a filter that is all zeros",
        ),
        wrong(
            "zero filters stay random",
            _direction(
                scale="""
            for k in range(len(p)):
                if p[k].norm() > 0:
                    d[k] *= p[k].norm() / d[k].norm()
            """
            ),
            hint="A filter that is all zeros gets zeros",
        ),
        wrong(
            "in float32",
            _direction(draw="d = torch.randn(p.shape, generator=generator)"),
            hint="should keep the dtype torch.float64",
        ),
        wrong(
            "the global generator", _direction(draw="d = torch.randn_like(p)"), hint="draw everything from `generator`"
        ),
        wrong(
            "seeds the global generator",
            _direction(start="torch.manual_seed(generator.initial_seed())", draw="d = torch.randn_like(p)"),
            hint="it should move on, do not reseed",
        ),
        wrong(
            "seeds the global generator from a draw",
            _direction(
                start="torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))",
                draw="d = torch.randn_like(p)",
            ),
            hint="PyTorch's global generator should be left alone",
        ),
        wrong(
            "reseeds the generator",
            _direction(start="generator.manual_seed(generator.initial_seed())"),
            hint="it should move on, do not reseed",
        ),
        wrong(
            "puts the generator back",
            _direction(start="state = generator.get_state()").replace(
                "return direction", "generator.set_state(state)\n    return direction"
            ),
            hint="it should move on, do not reseed",
        ),
        wrong(
            "reseeds for every parameter",
            _direction(
                start="seed = int(torch.randint(2**31, (), generator=generator))",
                draw="d = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed), dtype=p.dtype)",
            ),
            hint="Two parameters of the same shape get the same direction",
        ),
        wrong(
            "a seed of its own",
            _direction(start="generator = torch.Generator().manual_seed(0)"),
            hint="Generators with different seeds give the same",
        ),
        wrong("part of the graph", _direction(value="pass"), hint="should be part of no graph"),
        wrong(
            "zeros that share the model's memory",
            _direction(
                low="""
            if p.dim() < 2:
                direction.append(p.mul_(0))
                continue
            """
            ),
            hint="The model changes, at once",
        ),
        wrong(
            "changes the weights",
            _direction(
                scale="""
            for k in range(len(p)):
                d[k] *= p[k].norm() / d[k].norm()
            p.copy_(d)
            """
            ),
            hint="The model changes, at once",
        ),
        wrong(
            "a dict",
            """
            def filter_normalized_direction(model, generator):
                direction = {}
                for name, p in model.named_parameters():
                    direction[name] = torch.zeros_like(p)
                return direction
            """,
            hint="The result should be a list or a tuple",
        ),
        wrong("does nothing", _direction().replace("return direction", "pass"), hint="Your function returns nothing"),
        wrong(
            "leaves gradients off",
            _direction(start="torch.set_grad_enabled(False)"),
            hint="changes the model's mode, or whether gradients are enabled",
        ),
        wrong(
            "in training mode afterwards",
            _direction(start="model.train()"),
            hint="changes the model's mode, or whether gradients are enabled",
        ),
        wrong(
            "on the CPU",
            _direction(
                low="""
            if p.dim() < 2:
                direction.append(torch.zeros_like(p))
                continue
            """,
                draw="d = torch.randn(p.shape, generator=generator, dtype=p.dtype)",
                scale="""
            p = p.cpu()
            lengths = p.flatten(1).norm(dim=1) / d.flatten(1).norm(dim=1)
            d *= lengths.view(-1, *[1] * (p.dim() - 1))
            """,
            ).replace("p = p.cpu()", "p = torch.ones(p.shape, dtype=p.dtype) if p.is_meta else p"),
            hint="should be on its parameter's device",
        ),
    ],
    "loss_surface": [
        right("put back before each point and at the end", _surface(before="put_back()", after="pass")),
        right(
            "copies of the model",
            """
            def loss_surface(model, loss_fn, directions, grid):
                first, second = directions
                shapes = [tuple(p.shape) for p in model.parameters()]
                for direction in (first, second):
                    if [tuple(d.shape) for d in direction] != shapes:
                        raise ValueError(shapes)
                rows = []
                with torch.no_grad():
                    for a in grid:
                        row = []
                        for b in grid:
                            moved = copy.deepcopy(model)
                            for p, d1, d2 in zip(moved.parameters(), first, second):
                                p += float(a) * d1 + float(b) * d2
                            row.append(float(loss_fn(moved)))
                        rows.append(row)
                return torch.tensor(rows, dtype=torch.float64).reshape(len(grid), len(grid))
            """,
        ),
        right(
            "by the data, columns first",
            """
            def loss_surface(model, loss_fn, directions, grid):
                params, n = list(model.parameters()), len(grid)
                for k in (0, 1):
                    if len(directions[k]) != len(params):
                        raise ValueError("number")
                    for d, p in zip(directions[k], params):
                        if d.shape != p.shape:
                            raise ValueError("shape")
                saved = [p.data.clone() for p in params]
                state = [(b, b.detach().clone()) for b in model.buffers()]
                modes = [m.training for m in model.modules()]
                out = np.empty((n, n))

                def restore():
                    for p, w in zip(params, saved):
                        p.data.copy_(w)
                    for b, v in state:
                        b.data.copy_(v)
                    for m, mode in zip(model.modules(), modes):
                        m.training = mode

                try:
                    for j in range(n):
                        for i in range(n):
                            restore()
                            for k, p in enumerate(params):
                                p.data += float(grid[i]) * directions[0][k]
                                p.data += float(grid[j]) * directions[1][k]
                            with torch.no_grad():
                                out[i, j] = loss_fn(model).item()
                finally:
                    restore()
                return torch.from_numpy(out)
            """,
        ),
        right(
            "a context manager",
            """
            import contextlib

            @contextlib.contextmanager
            def untouched(model):
                tensors = [*model.parameters(), *model.buffers()]
                copies = [t.detach().clone() for t in tensors]
                modes = [(m, m.training) for m in model.modules()]
                try:
                    yield
                finally:
                    with torch.no_grad():
                        for t, c in zip(tensors, copies):
                            t.copy_(c)
                    for m, mode in modes:
                        m.training = mode

            @torch.no_grad()
            def loss_surface(model, loss_fn, directions, grid):
                params = list(model.parameters())
                for direction in directions:
                    if len(direction) != len(params) or not all(d.shape == p.shape for d, p in zip(direction, params)):
                        raise ValueError("directions")

                def at(a, b):
                    with untouched(model):
                        for p, d1, d2 in zip(params, *directions):
                            p.add_(a * d1).add_(b * d2)
                        return loss_fn(model).to(torch.float64)

                if len(grid) == 0:
                    return torch.empty(0, 0, dtype=torch.float64)
                return torch.stack([torch.stack([at(a, b) for b in grid]) for a in grid])
            """,
        ),
        wrong(
            "one copy for all points",
            _surface(
                keep=_SURFACE_PARTS["keep"].rstrip() + "\n        model = copy.deepcopy(model)\n",
                after="pass",
                end="pass",
            ),
            hint="in yours they drift from point to point",
        ),
        wrong(
            "a copy for each row",
            _surface(
                before="""
                if j == 0:
                    moved = copy.deepcopy(model)
                """,
                move="""
                for p, w, d1, d2 in zip(moved.parameters(), weights, *directions):
                    p.copy_(w + a * d1 + b * d2)
                """,
                loss="surface[i, j] = loss_fn(moved).double()",
                after="pass",
                end="pass",
            ),
            hint="in yours they drift from point to point",
        ),
        wrong(
            "transposed",
            _surface(loss="surface[j, i] = loss_fn(model).double()"),
            hint="yours is transposed",
        ),
        wrong(
            "the first direction only",
            _surface(move=_SURFACE_PARTS["move"].replace(" + b * d2", "")),
            hint="The second direction is not used",
        ),
        wrong(
            "the second direction only",
            _surface(move=_SURFACE_PARTS["move"].replace(" + a * d1", "")),
            hint="The first direction is not used",
        ),
        wrong(
            "subtracts",
            _surface(move=_SURFACE_PARTS["move"].replace("+", "-")),
            hint="added to w, not subtracted",
        ),
        wrong(
            "multiplies the weights",
            _surface(move=_SURFACE_PARTS["move"].replace("w + a * d1 + b * d2", "w * (1 + a * d1 + b * d2)")),
            hint="yours multiply it",
        ),
        wrong(
            "starts at zero",
            _surface(move=_SURFACE_PARTS["move"].replace("w + a", "a")),
            hint="The walk starts at w: yours starts at zero",
        ),
        wrong(
            "steps add up",
            _surface(
                move=_SURFACE_PARTS["move"].replace("p.copy_(w + a * d1 + b * d2)", "p.add_(a * d1 + b * d2)"),
                after="pass",
            ),
            hint="yours starts where the point before ended",
        ),
        wrong(
            "steps along a row add up",
            _surface(
                before="if j == 0:\n    put_back()",
                move=_SURFACE_PARTS["move"].replace(
                    "p.copy_(w + a * d1 + b * d2)", "p.add_((a if j == 0 else 0) * d1 + b * d2)"
                ),
                after="pass",
            ),
            hint="yours starts where the point before ended",
        ),
        wrong(
            "weights do not move",
            _surface(move=_SURFACE_PARTS["move"].replace("p.copy_(w + a * d1 + b * d2)", "p = w + a * d1 + b * d2")),
            hint="The weights do not move",
        ),
        wrong(
            "biases do not move",
            _surface(
                move=_SURFACE_PARTS["move"]
                .replace("p.copy_(w", "if p.dim() != 0:\n    p.copy_(w")
                .replace("\n    p.copy_", "\n                p.copy_")
            ),
            hint="The loss at row i, column j should be that at",
        ),
        wrong(
            "frozen parameters do not move",
            _surface(
                move="""
            for p, w, d1, d2 in zip(model.parameters(), weights, *directions):
                if p.requires_grad:
                    p.copy_(w + a * d1 + b * d2)
            """
            ),
            hint="A frozen parameter (requires_grad=False) is moved too",
        ),
        wrong(
            "subtracts to put back",
            _surface(
                after="""
            for p, d1, d2 in zip(model.parameters(), *directions):
                p.sub_(a * d1 + b * d2)
            for b_, kept in zip(model.buffers(), buffers):
                b_.copy_(kept)
            for m, mode in modes.items():
                m.training = mode
            """,
                move="""
            for p, d1, d2 in zip(model.parameters(), *directions):
                p.add_(a * d1 + b * d2)
            """,
                end="pass",
            ),
            hint="subtracting does not undo adding",
        ),
        wrong("never put back", _surface(end="pass", after="pass"), hint="The weights are not back where they were"),
        wrong(
            "kept without a copy",
            _surface(
                keep="""
            weights = [p.data for p in model.parameters()]
            buffers = [b.clone() for b in model.buffers()]
            modes = {m: m.training for m in model.modules()}
            """
            ),
            hint="yours starts where the point before ended",
        ),
        wrong(
            "state_dict without a copy",
            _surface(
                keep="state = model.state_dict()\nweights = [p.detach().clone() for p in model.parameters()]",
                back="model.load_state_dict(state)",
            ),
            hint="The weights are not back where they were",
        ),
        wrong(
            "a state_dict for everything",
            _surface(
                keep="""
                state = copy.deepcopy(model.state_dict())
                modes = {m: m.training for m in model.modules()}
                weights = [p.detach().clone() for p in model.parameters()]
                """,
                back="model.load_state_dict(state)\nfor m, mode in modes.items():\n    m.training = mode",
            ),
            hint="also those that state_dict() leaves out",
        ),
        wrong(
            "buffers drift",
            _surface(
                back="""
            for p, w in zip(model.parameters(), weights):
                p.copy_(w)
            for m, mode in modes.items():
                m.training = mode
            """
            ),
            hint="in yours they drift from point to point",
        ),
        wrong(
            "buffers put back at the end only",
            _surface(after="for m, mode in modes.items():\n    m.training = mode"),
            hint="in yours they drift from point to point",
        ),
        wrong(
            "running statistics only",
            _surface(
                back=_SURFACE_PARTS["back"].replace(
                    "    b.copy_(kept)", "    if b.is_floating_point():\n                b.copy_(kept)"
                )
            ),
            hint="in yours they drift from point to point",
        ),
        wrong(
            "eval mode, to be safe",
            _surface(before="model.eval()"),
            hint="should find every module in the mode it was in",
        ),
        wrong(
            "modes of the call before",
            _surface(
                back="""
            for p, w in zip(model.parameters(), weights):
                p.copy_(w)
            for b, kept in zip(model.buffers(), buffers):
                b.copy_(kept)
            """
            ),
            hint="finds the modes that the call before left",
        ),
        wrong(
            "train(mode) of the model for all",
            _surface(
                keep=_SURFACE_PARTS["keep"].replace(
                    "modes = {m: m.training for m in model.modules()}", "mode = model.training"
                ),
                back=_SURFACE_PARTS["back"].replace(
                    "for m, mode in modes.items():\n            m.training = mode", "model.train(mode)"
                ),
            ),
            hint="finds the modes that the call before left",
        ),
        wrong(
            "modes put back at the end by train(mode)",
            _surface(end="put_back()\nmodel.train(modes[model])"),
            hint="Some modules have another mode afterwards",
        ),
        wrong(
            "not put back when loss_fn raises",
            _surface().replace("finally:", "except ZeroDivisionError:"),
            hint="when loss_fn raises (use try and finally)",
        ),
        wrong(
            "modes not put back when loss_fn raises",
            _surface(
                end="""
            for p, w in zip(model.parameters(), weights):
                p.copy_(w)
            for b, kept in zip(model.buffers(), buffers):
                b.copy_(kept)
            """
            ),
            hint="put the modes back all the same (finally)",
        ),
        wrong(
            "buffers not put back when loss_fn raises",
            _surface(
                end="""
            for p, w in zip(model.parameters(), weights):
                p.copy_(w)
            for m, mode in modes.items():
                m.training = mode
            """
            ),
            hint="A buffer (running statistics, counters) is not what it was when loss_fn raises",
        ),
        wrong(
            "swallows the error",
            _surface(
                loss="""
            try:
                surface[i, j] = loss_fn(model).double()
            except Exception:
                surface[i, j] = float("nan")
            """
            ),
            hint="let the error go on to the caller",
        ),
        wrong(
            "in float32",
            _surface().replace(
                "surface = torch.zeros(len(grid), len(grid), dtype=torch.float64)",
                "surface = torch.zeros(len(grid), len(grid))",
            ),
            hint="The losses are rounded to float32",
        ),
        wrong(
            "rounded to float32",
            _surface(loss="surface[i, j] = loss_fn(model).float()"),
            hint="The losses are rounded to float32",
        ),
        wrong("the model in float64", _surface(before="model.double()"), hint="A float32 model should stay in float32"),
        wrong(
            "gradients recorded",
            _surface().replace("with torch.no_grad():", "if True:").replace("p.copy_(", "p.data.copy_("),
            hint="Gradients are recorded while loss_fn runs",
        ),
        wrong(
            "gradients off for good",
            _surface().replace("with torch.no_grad():", "torch.set_grad_enabled(False)\n    if True:"),
            hint="Gradients stay disabled after your function",
        ),
        wrong(
            "gradients cleared", _surface(end="put_back()\nmodel.zero_grad()"), hint="The grad of a parameter changed"
        ),
        wrong(
            "new parameters",
            _surface(
                keep=_SURFACE_PARTS["keep"].rstrip() + "\n" + "        import itertools\n",
                end="""
            put_back()
            for m in model.modules():
                for name, p in list(m._parameters.items()):
                    m._parameters[name] = nn.Parameter(p.detach().clone(), p.requires_grad)
            """,
            ),
            hint="A parameter is another object afterwards",
        ),
        wrong(
            "frozen afterwards",
            _surface(end="put_back()\nmodel.requires_grad_(True)"),
            hint="requires_grad of a parameter changed",
        ),
        wrong(
            "shared parameters twice",
            _surface(
                check="""
            for direction in directions:
                if [d.shape for d in direction] != [p.shape for p in model.parameters()]:
                    raise ValueError("directions")
            """,
                move="""
            steps = {id(p): (d1, d2) for p, d1, d2 in zip(model.parameters(), *directions)}
            for m in model.modules():
                for p in m._parameters.values():
                    p += a * steps[id(p)][0] + b * steps[id(p)][1]
            """,
            ),
            hint="A parameter that two modules share moves once",
        ),
        wrong(
            "loss_fn twice for each point",
            _surface(
                loss="""
                loss_fn(model)
                put_back()
                for p, w, d1, d2 in zip(model.parameters(), weights, *directions):
                    p.copy_(w + a * d1 + b * d2)
                surface[i, j] = loss_fn(model).double()
                """
            ),
            hint="Call loss_fn once for each point",
        ),
        wrong(
            "half of it by symmetry",
            _surface(before="if j < i:\n    surface[i, j] = surface[j, i]\n    continue"),
            hint="The loss at row i, column j should be that at",
        ),
        wrong(
            "nan becomes 0",
            _surface(loss="surface[i, j] = torch.nan_to_num(loss_fn(model).double())"),
            hint="A loss of inf or nan is a result too",
        ),
        wrong(
            "the grid sorted",
            _surface().replace(
                "grid = torch.as_tensor(grid, dtype=torch.float64)",
                "grid = torch.as_tensor(grid, dtype=torch.float64).sort().values",
            ),
            hint="The coordinates keep the order that the grid has",
        ),
        wrong(
            "whole numbers for the grid",
            _surface().replace(
                "grid = torch.as_tensor(grid, dtype=torch.float64)",
                "grid = torch.as_tensor(grid, dtype=torch.float64).round()",
            ),
            hint="The loss at row i, column j should be that at",
        ),
        wrong(
            "differences",
            _surface(
                keep=_SURFACE_PARTS["keep"].rstrip()
                + "\n"
                + "        with torch.no_grad():\n            here = loss_fn(model)\n",
                loss="surface[i, j] = loss_fn(model).double() - here",
            ),
            hint="The result is the loss itself, not its change",
        ),
        wrong(
            "changes the directions",
            _surface(
                move="""
            for p, w, d1, d2 in zip(model.parameters(), weights, *directions):
                p.copy_(w + a * d1 + b * d2)
                d2.mul_(1 + 1e-15)
            """
            ),
            hint="Your function changes a direction",
        ),
        wrong(
            "directions not checked",
            _surface(check="pass"),
            hint="A direction with fewer tensors than the model has parameters should raise",
        ),
        wrong(
            "the number alone checked",
            _surface(
                check="""
            for direction in directions:
                if len(direction) != len(list(model.parameters())):
                    raise ValueError("number")
            """
            ),
            hint="A direction with a tensor of another shape than its parameter",
        ),
        wrong(
            "the first direction alone checked",
            _surface(
                check="""
            if [d.shape for d in directions[0]] != [p.shape for p in model.parameters()]:
                raise ValueError("number")
            """
            ),
            hint="A direction with fewer tensors than the model has parameters should raise",
        ),
        wrong(
            "shapes checked by zip alone",
            _surface(
                check="""
            for direction in directions:
                for d, p in zip(direction, model.parameters()):
                    if d.shape != p.shape:
                        raise ValueError("shape")
            """
            ),
            hint="A direction with fewer tensors than the model has parameters should raise",
        ),
        wrong(
            "numbers of elements compared",
            _surface(
                check="""
            for direction in directions:
                if [d.numel() for d in direction] != [p.numel() for p in model.parameters()]:
                    raise ValueError("elements")
            """
            ),
            hint="A direction with a tensor of another shape than its parameter",
        ),
        wrong(
            "zip(strict=True) while it walks",
            _surface(
                check="pass",
                move="""
            for p, w, d1, d2 in zip(model.parameters(), weights, *directions, strict=True):
                p.copy_(w + a * d1 + b * d2)
            """,
            ),
            hint="A direction with a tensor of another shape than its parameter",
        ),
        wrong(
            "checked after a first look at the loss",
            _surface(
                check="loss_fn(model)\n"
                + """for direction in directions:
    if [d.shape for d in direction] != [p.shape for p in model.parameters()]:
        raise ValueError("directions")"""
            ),
            hint="Call loss_fn once for each point",
        ),
        wrong(
            "assert for raise",
            _surface(
                check="""
                shapes = [p.shape for p in model.parameters()]
                for direction in directions:
                    assert [d.shape for d in direction] == shapes
                """
            ),
            hint="yours raised AssertionError",
        ),
        wrong("returns nothing", _surface().replace("return surface", "pass"), hint="Your function returns nothing"),
        wrong(
            "a list of lists",
            _surface().replace("return surface", "return surface.tolist()"),
            hint="The result should be a tensor, but it is a list",
        ),
    ],
}
