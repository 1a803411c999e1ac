"""Right and wrong answers to the assignment `googlenet`, on file for `autograde verify`."""

from autograde.variants import right, wrong


def _filled(code: str, usual: dict[str, str], parts: dict[str, str]) -> str:
    """Return a template with its parts filled in, some of them replaced."""
    unknown = set(parts) - set(usual)
    if unknown:
        raise KeyError(f"the template has no {unknown}")
    for name, part in {**usual, **parts}.items():
        code = code.replace("<" + name + ">", part)
    return code


def _average(result: str, before: str = "pass") -> str:
    """Return an answer to the first exercise."""
    return f"def global_average_pool(x):\n    {before}\n    return {result}\n"


def _maximum(result: str, before: str = "pass") -> str:
    """Return an answer to the second exercise."""
    return f"def global_max_pool(x):\n    {before}\n    return {result}\n"


_SAVINGS = """
def reduction_savings(in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj, height, width):
    naive = <naive>
    reduced = <reduced>
    pixels = <pixels>
    return {
        "<first>": {"weights": naive, "macs": <naive_macs>, "out_channels": <naive_out>},
        "<second>": {"weights": reduced, "macs": <reduced_macs>, "out_channels": <reduced_out>},
    }
"""
_COUNTS = {
    "naive": "in_channels * (ch1x1 + 9 * ch3x3 + 25 * ch5x5)",
    "reduced": "in_channels * (ch1x1 + ch3x3red + ch5x5red + pool_proj) + 9 * ch3x3red * ch3x3 + 25 * ch5x5red * ch5x5",
    "pixels": "height * width",
    "first": "naive",
    "second": "reduced",
    "naive_macs": "naive * pixels",
    "reduced_macs": "reduced * pixels",
    "naive_out": "ch1x1 + ch3x3 + ch5x5 + in_channels",
    "reduced_out": "ch1x1 + ch3x3 + ch5x5 + pool_proj",
}


def _savings(**parts: str) -> str:
    """Return an answer to the third exercise with some parts replaced."""
    return _filled(_SAVINGS, _COUNTS, parts)


_MODULE = """
class Inception(nn.Module):
    def __init__(self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj):
        super().__init__()
        self.conv1x1 = <conv1x1>
        self.conv3x3red = nn.Conv2d(in_channels, ch3x3red, kernel_size=1)
        self.conv3x3 = <conv3x3>
        self.conv5x5red = nn.Conv2d(in_channels, ch5x5red, kernel_size=1)
        self.conv5x5 = <conv5x5>
        self.pool_proj = nn.Conv2d(in_channels, pool_proj, kernel_size=1)
        <more>

    def forward(self, x):
        one = <one>
        three = <three>
        five = <five>
        pool = <pool>
        return <result>
"""
_MODULE_PARTS = {
    "conv1x1": "nn.Conv2d(in_channels, ch1x1, kernel_size=1)",
    "conv3x3": "nn.Conv2d(ch3x3red, ch3x3, kernel_size=3, padding=1)",
    "conv5x5": "nn.Conv2d(ch5x5red, ch5x5, kernel_size=5, padding=2)",
    "more": "pass",
    "one": "F.relu(self.conv1x1(x))",
    "three": "F.relu(self.conv3x3(F.relu(self.conv3x3red(x))))",
    "five": "F.relu(self.conv5x5(F.relu(self.conv5x5red(x))))",
    "pool": "F.relu(self.pool_proj(F.max_pool2d(x, 3, 1, 1)))",
    "result": "torch.cat([one, three, five, pool], dim=1)",
}


def _module(**parts: str) -> str:
    """Return an answer to the fourth exercise with some parts replaced."""
    return _filled(_MODULE, _MODULE_PARTS, parts)


_HEAD = """
class AuxiliaryHead(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.pool = <pool>
        self.conv = <conv>
        self.fc1 = <fc1>
        self.drop = <drop>
        self.fc2 = <fc2>

    def forward(self, x):
        <forward>
"""
_HEAD_PARTS = {
    "pool": "nn.AvgPool2d(kernel_size=5, stride=3)",
    "conv": "nn.Conv2d(in_channels, 128, kernel_size=1)",
    "fc1": "nn.Linear(2048, 1024)",
    "drop": "nn.Dropout(p=0.7)",
    "fc2": "nn.Linear(1024, num_classes)",
    "forward": "return self.fc2(self.drop(F.relu(self.fc1(torch.flatten(F.relu(self.conv(self.pool(x))), 1)))))",
}


def _head(**parts: str) -> str:
    """Return an answer to the fifth exercise with some parts replaced."""
    return _filled(_HEAD, _HEAD_PARTS, parts)


_NETWORK = """
class GoogLeNet(nn.Module):
    def __init__(self, num_classes=1000, aux=<aux>, blocks=None):
        super().__init__()
        module, head = <blocks>
        self.conv1 = <conv1>
        self.conv2 = nn.Conv2d(64, 64, 1)
        self.conv3 = <conv3>
        self.inception3a = module(*MODULES["3a"])
        self.inception3b = module(*MODULES["3b"])
        self.inception4a = module(*MODULES["4a"])
        self.inception4b = module(*MODULES["4b"])
        self.inception4c = module(*MODULES["4c"])
        self.inception4d = module(*MODULES["4d"])
        self.inception4e = module(*MODULES["4e"])
        self.inception5a = module(*MODULES["5a"])
        self.inception5b = module(*MODULES["5b"])
        self.aux = aux
        if aux:
            self.aux1 = head(512, num_classes)
            self.aux2 = <aux2>
        self.drop = <drop>
        self.fc = <fc>
        self.norm = <norm>
        self.pool = <pool>

    def forward(self, x):
        x = <one>
        x = <two>
        x = <three>
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = <after3b>
        x = self.inception4a(x)
        a = <a>
        x = self.inception4b(x)
        <after4b>
        x = self.inception4c(x)
        x = self.inception4d(x)
        b = <b>
        x = self.inception4e(x)
        x = <after4e>
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = <end>
        x = self.fc(<dropped>)
        return <result>


<loss>
"""
_LOSS = """def googlenet_loss(outputs, targets):
    if torch.is_tensor(outputs):
        return F.cross_entropy(outputs, targets)
    main, aux1, aux2 = outputs
    return F.cross_entropy(main, targets) + 0.3 * (F.cross_entropy(aux1, targets) + F.cross_entropy(aux2, targets))
"""
_NETWORK_PARTS = {
    "aux": "True",
    "blocks": "(Inception, AuxiliaryHead) if blocks is None else blocks",
    "conv1": "nn.Conv2d(3, 64, 7, stride=2, padding=3)",
    "conv3": "nn.Conv2d(64, 192, 3, padding=1)",
    "aux2": "head(528, num_classes)",
    "drop": "nn.Dropout(0.4)",
    "fc": "nn.Linear(1024, num_classes)",
    "norm": "nn.LocalResponseNorm(5)",
    "pool": "nn.MaxPool2d(3, 2, ceil_mode=True)",
    "one": "self.norm(self.pool(F.relu(self.conv1(x))))",
    "two": "F.relu(self.conv2(x))",
    "three": "self.pool(self.norm(F.relu(self.conv3(x))))",
    "after3b": "self.pool(x)",
    "a": "self.aux1(x) if self.aux and self.training else None",
    "after4b": "pass",
    "b": "self.aux2(x) if self.aux and self.training else None",
    "after4e": "self.pool(x)",
    "end": "torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)",
    "dropped": "self.drop(x)",
    "result": "(x, a, b) if a is not None else x",
    "loss": _LOSS,
}


def _network(**parts: str) -> str:
    """Return an answer to the sixth exercise with some parts replaced."""
    return _filled(_NETWORK, _NETWORK_PARTS, parts)


def _loss(result: str, alone: str = "F.cross_entropy(outputs, targets)", test: str = "torch.is_tensor(outputs)") -> str:
    """Return an answer to the sixth exercise with another loss."""
    code = (
        f"def googlenet_loss(outputs, targets):\n    if {test}:\n        return {alone}\n"
        "    z, z1, z2 = outputs\n"
        "    ce = lambda logits: F.cross_entropy(logits, targets)\n"
        f"    return {result}\n"
    )
    return _network(loss=code)


_THEIRS = """
class BasicConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=<bias>, **kwargs)
        self.bn = <bn>

    def forward(self, x):
        return <unit>


class TorchvisionInception(nn.Module):
    def __init__(self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj):
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1),
            <five>,
        )
        self.branch4 = nn.Sequential(<inner>, BasicConv2d(in_channels, pool_proj, kernel_size=1))

    def forward(self, x):
        return torch.cat(<branches>, 1)


class TorchvisionHead(nn.Module):
    def __init__(self, in_channels, num_classes, p):
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.p = p

    def forward(self, x):
        x = self.conv(<headpool>)
        x = <hidden>
        return self.fc2(<headdrop>)


class TorchvisionGoogLeNet(nn.Module):
    def __init__(
        self, num_classes=1000, aux_logits=True, transform_input=False, dropout=<p>, dropout_aux=<q>
    ):
        super().__init__()
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = <pool>
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = <pool>
        for key in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
            setattr(self, "inception" + key, TorchvisionInception(*MODULES[key]))
        self.maxpool3 = <pool>
        self.maxpool4 = <last>
        if <withheads>:
            self.aux1 = TorchvisionHead(512, num_classes, <rate>)
            self.aux2 = TorchvisionHead(528, num_classes, <rate>)
        self.dropout = nn.Dropout(<p_used>)
        self.fc = nn.Linear(1024, num_classes)
        <more>

    def forward(self, x):
        if <transforming>:
            <transform>
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4a(x)
        heads = <heads>
        aux1 = self.aux1(x) if heads else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if heads else None
        x = self.maxpool4(self.inception4e(x))
        x = <end>
        x = self.fc(self.dropout(x))
        return <result>
"""
_THEIRS_PARTS = {
    "bias": "False",
    "bn": "nn.BatchNorm2d(out_channels, eps=0.001)",
    "unit": "F.relu(self.bn(self.conv(x)), inplace=True)",
    "five": "BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1)",
    "inner": "nn.MaxPool2d(3, 1, 1, ceil_mode=True)",
    "branches": "[self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]",
    "headpool": "F.adaptive_avg_pool2d(x, (4, 4))",
    "hidden": "F.relu(self.fc1(torch.flatten(x, 1)))",
    "headdrop": "F.dropout(x, self.p, self.training)",
    "p": "0.2",
    "q": "0.7",
    "pool": "nn.MaxPool2d(3, 2, ceil_mode=True)",
    "last": "nn.MaxPool2d(2, 2, ceil_mode=True)",
    "withheads": "aux_logits",
    "rate": "dropout_aux",
    "p_used": "dropout",
    "more": "pass",
    "transforming": "self.transform_input",
    "transform": "x = torch.stack([x[:, c] * (s / 0.5) + (m - 0.5) / 0.5 for c, (m, s) in enumerate("
    "zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))], 1)",
    "heads": "self.training and self.aux_logits",
    "end": "torch.flatten(F.adaptive_avg_pool2d(self.inception5b(self.inception5a(x)), 1), 1)",
    "result": "(x, aux2, aux1) if heads else x",
}


def _theirs(**parts: str) -> str:
    """Return an answer to the seventh exercise with some parts replaced."""
    return _filled(_THEIRS, _THEIRS_PARTS, parts)


VARIANTS = {
    "global_average_pool": [
        right("with PyTorch's adaptive pooling", _average("nn.AdaptiveAvgPool2d(1)(x).flatten(1)")),
        right("flattened", _average("x.flatten(2).mean(-1)")),
        right("a sum in double", _average("(x.double().sum((2, 3)) / (x.shape[2] * x.shape[3])).to(x.dtype)")),
        right("row by row", _average("x.mean(3).mean(2)")),
        right(
            "one map at a time",
            """
            def global_average_pool(x):
                rows = [torch.stack([image[c].mean() for c in range(x.shape[1])]) for image in x]
                return torch.stack(rows)
            """,
        ),
        wrong("the sum", _average("x.sum((2, 3))"), hint="Divide the sum by the number of pixels"),
        wrong("dimensions kept", _average("x.mean((2, 3), keepdim=True)"), hint="The result has the shape (N, C)"),
        wrong("all ones squeezed", _average("F.adaptive_avg_pool2d(x, 1).squeeze()"), hint="should have the shape"),
        wrong("a kernel of 7", _average("F.avg_pool2d(x, 7).flatten(1)"), hint="Your code raised RuntimeError"),
        wrong("the maximum", _average("x.amax((2, 3))"), hint="The mean, not the maximum"),
        wrong("channels averaged", _average("x.mean((1, 2))"), hint="the channels stay"),
        wrong("rows alone", _average("x.mean(2)"), hint="over rows and columns, both"),
        wrong("square maps", _average("x.sum((2, 3)) / x.shape[2] ** 2"), hint="height and width may differ"),
        wrong("a sum that overflows", _average("x.sum((2, 3)) / (x.shape[2] * x.shape[3])"), hint="largest float16"),
        wrong(
            "viewed", _average("x.view(x.shape[0], x.shape[1], -1).mean(2)"), hint="view size is not compatible with"
        ),
        wrong("always double", _average("x.double().mean((2, 3))"), hint="should keep the dtype"),
        wrong("detached", _average("x.detach().mean((2, 3))"), hint="does not require grad"),
        wrong(
            "a part of its input",
            _average("x[:, :, 0, 0]", "x[:, :, 0, 0] = x.mean((2, 3))"),
            hint="x need not be contiguous",
        ),
    ],
    "global_max_pool": [
        right("with PyTorch's adaptive pooling", _maximum("F.adaptive_max_pool2d(x, 1).flatten(1)")),
        right("flattened", _maximum("x.flatten(2).max(dim=2).values")),
        right("row by row", _maximum("x.max(3)[0].max(2)[0]")),
        right("with a kernel of the map's size", _maximum("F.max_pool2d(x, x.shape[2:]).reshape(x.shape[:2])")),
        right(
            "pixel by pixel",
            """
            def global_max_pool(x):
                best = x[:, :, 0, 0]
                for pixel in x.flatten(2).unbind(2):
                    best = torch.maximum(best, pixel)
                return best.clone()
            """,
        ),
        wrong("dimensions kept", _maximum("F.adaptive_max_pool2d(x, 1)"), hint="The result has the shape (N, C)"),
        wrong("all ones squeezed", _maximum("F.adaptive_max_pool2d(x, 1).squeeze()"), hint="should have the shape"),
        wrong("the mean", _maximum("x.mean((2, 3))"), hint="The maximum, not the mean"),
        wrong("the smallest", _maximum("x.amin((2, 3))"), hint="not the smallest"),
        wrong("absolute values", _maximum("x.abs().amax((2, 3))"), hint="not the largest absolute value"),
        wrong("its place", _maximum("x.flatten(2).argmax(2).to(x.dtype)"), hint="not its place"),
        wrong("rows alone", _maximum("x.amax(2)"), hint="over rows and columns, both"),
        wrong("channels too", _maximum("x.amax((1, 2, 3))"), hint="each map has its own maximum"),
        wrong("from zero", _maximum("x.amax((2, 3)).clamp_min(0)"), hint="The largest of all H * W numbers"),
        wrong(
            "nan left out",
            _maximum("x.nan_to_num(nan=-1e30, posinf=math.inf, neginf=-math.inf).amax((2, 3))"),
            hint="A map with a nan gives nan",
        ),
        wrong("smooth", _maximum("x.flatten(2).logsumexp(2)"), hint="The largest of all H * W numbers"),
        wrong("viewed", _maximum("x.view(*x.shape[:2], -1).amax(2)"), hint="view size is not compatible with"),
        wrong("a kernel of 7", _maximum("F.max_pool2d(x, 7).flatten(1)"), hint="Your code raised RuntimeError"),
        wrong(
            "Python numbers",
            _maximum("torch.tensor([[float(m.max()) for m in image] for image in x], dtype=x.dtype)"),
            hint="does not require grad",
        ),
    ],
    "reduction_savings": [
        right("as sums", _savings()),
        right(
            "with PyTorch's layers",
            """
            def reduction_savings(in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj, height, width):
                def count(*layers):
                    with torch.device("meta"):
                        made = [nn.Conv2d(a, b, k, padding=k // 2, bias=False) for a, b, k in layers]
                    weights = sum(layer.weight.numel() for layer in made)
                    return {"weights": weights, "macs": weights * height * width}

                naive = count((in_channels, ch1x1, 1), (in_channels, ch3x3, 3), (in_channels, ch5x5, 5))
                reduced = count(
                    (in_channels, ch1x1, 1), (in_channels, ch3x3red, 1), (ch3x3red, ch3x3, 3),
                    (in_channels, ch5x5red, 1), (ch5x5red, ch5x5, 5), (in_channels, pool_proj, 1),
                )
                naive["out_channels"] = ch1x1 + ch3x3 + ch5x5 + in_channels
                reduced["out_channels"] = ch1x1 + ch3x3 + ch5x5 + pool_proj
                return dict(naive=naive, reduced=reduced)
            """,
        ),
        right(
            "branch by branch",
            """
            def reduction_savings(in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj, height, width):
                result = {}
                for kind in ("reduced", "naive"):
                    small = kind == "reduced"
                    weights = in_channels * ch1x1
                    for kernel, between, after in ((3, ch3x3red, ch3x3), (5, ch5x5red, ch5x5)):
                        before = in_channels
                        if small:
                            weights += in_channels * between
                            before = between
                        weights += kernel * kernel * before * after
                    pooled = pool_proj if small else in_channels
                    weights += in_channels * pool_proj if small else 0
                    result[kind] = {
                        "out_channels": ch1x1 + ch3x3 + ch5x5 + pooled, "weights": weights,
                        "macs": weights * height * width,
                    }
                return result
            """,
        ),
        wrong(
            "with biases",
            _savings(
                naive="in_channels * (ch1x1 + 9 * ch3x3 + 25 * ch5x5) + ch1x1 + ch3x3 + ch5x5",
                reduced=_COUNTS["reduced"] + " + ch1x1 + ch3x3 + ch5x5 + pool_proj + ch3x3red + ch5x5red",
                naive_macs="(naive - ch1x1 - ch3x3 - ch5x5) * pixels",
                reduced_macs="(reduced - ch1x1 - ch3x3 - ch5x5 - pool_proj - ch3x3red - ch5x5red) * pixels",
            ),
            hint="Biases do not count: weights alone",
        ),
        wrong("FLOPs", _savings(pixels="2 * height * width"), hint="counts once: yours are two for each"),
        wrong("height squared", _savings(pixels="height**2"), hint="height times width, which may differ"),
        wrong("floats", _savings(pixels="float(height * width)"), hint="should be of type int"),
        wrong(
            "the two turned round",
            _savings(first="reduced", second="naive"),
            hint="You have taken one module for the other",
        ),
        wrong(
            "no projection",
            _savings(
                reduced="in_channels * (ch1x1 + ch3x3red + ch5x5red) + 9 * ch3x3red * ch3x3 + 25 * ch5x5red * ch5x5"
            ),
            hint="The projection after the pooling is missing",
        ),
        wrong(
            "a projection in the naive",
            _savings(naive="in_channels * (ch1x1 + 9 * ch3x3 + 25 * ch5x5 + pool_proj)"),
            hint="no projection after its pooling",
        ),
        wrong(
            "the naive pooling projected",
            _savings(naive_out="ch1x1 + ch3x3 + ch5x5 + pool_proj"),
            hint="keeps all in_channels, and they are in the concatenation",
        ),
        wrong(
            "the reduced pooling not projected",
            _savings(reduced_out="ch1x1 + ch3x3 + ch5x5 + in_channels"),
            hint="the pooling's channels are projected",
        ),
        wrong(
            "the reductions free",
            _savings(reduced="in_channels * (ch1x1 + pool_proj) + 9 * ch3x3red * ch3x3 + 25 * ch5x5red * ch5x5"),
            hint="The weights of the 1x1 reductions count",
        ),
        wrong(
            "in_channels again after the reductions",
            _savings(reduced="in_channels * (ch1x1 + ch3x3red + ch5x5red + pool_proj + 9 * ch3x3 + 25 * ch5x5)"),
            hint="the 3x3 and 5x5 read the reduced maps",
        ),
        wrong(
            "rounded by floats",
            _savings(naive_macs="int(float(naive) * pixels)", reduced_macs="int(float(reduced) * pixels)"),
            hint="Compute with integers",
        ),
        wrong(
            "width squared, for square maps",
            _savings(pixels="height * width if height < 3 else height**2"),
            hint="height times width, which may differ",
        ),
        wrong(
            "the additions of the bias",
            _savings(
                naive_macs="(naive + (in_channels > 1) * (ch1x1 + ch3x3 + ch5x5 + in_channels)) * pixels",
                reduced_macs="(reduced + (in_channels > 1) * (ch1x1 + ch3x3 + ch5x5 + pool_proj)) * pixels",
            ),
            hint="what else is added does not count",
        ),
        wrong(
            "more than was asked",
            _savings().replace('"naive": {"weights"', '"ratio": 1, "naive": {"weights"'),
            hint="'naive' and 'reduced' alone",
        ),
        wrong(
            "nothing at all",
            "def reduction_savings(in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj, height, width):\n"
            "    pass\n",
            hint="should be a dict, but it is None",
        ),
    ],
    "Inception": [
        right("functions", _module()),
        right(
            "layers in place",
            _module(
                more="self.act, self.max = nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True)",
                one="self.act(self.conv1x1(x))",
                three="self.act(self.conv3x3(self.act(self.conv3x3red(x))))",
                five="self.act(self.conv5x5(self.act(self.conv5x5red(x))))",
                pool="self.act(self.pool_proj(self.max(x)))",
            ),
        ),
        right(
            "padded with minus infinity, from a loop",
            """
            class Inception(nn.Module):
                def __init__(self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj):
                    super().__init__()
                    for name, before, after, kernel in [
                        ("pool_proj", in_channels, pool_proj, 1), ("conv5x5", ch5x5red, ch5x5, 5),
                        ("conv5x5red", in_channels, ch5x5red, 1), ("conv3x3", ch3x3red, ch3x3, 3),
                        ("conv3x3red", in_channels, ch3x3red, 1), ("conv1x1", in_channels, ch1x1, 1),
                    ]:
                        self.add_module(name, nn.Conv2d(before, after, kernel, padding="same"))

                def forward(self, x):
                    branches = []
                    for names in (["conv1x1"], ["conv3x3red", "conv3x3"], ["conv5x5red", "conv5x5"], ["pool_proj"]):
                        y = x
                        if names == ["pool_proj"]:
                            y = F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-math.inf), 3, stride=1)
                        for name in names:
                            y = getattr(self, name)(y).clamp_min(0)
                        branches.append(y)
                    return torch.concatenate(branches, dim=-3)
            """,
        ),
        wrong(
            "branches in another order",
            _module(result="torch.cat([one, five, three, pool], 1)"),
            hint="in the order 1x1, 3x3, 5x5, pool",
        ),
        wrong(
            "the pool first",
            _module(result="torch.cat([pool, one, three, five], 1)"),
            hint="in the order 1x1, 3x3, 5x5, pool",
        ),
        wrong(
            "concatenated along the height",
            _module(result="torch.cat([one, three, five, pool], 2)"),
            hint="Sizes of tensors must match",
        ),
        wrong("added", _module(result="one + three + five + pool"), hint="must match the size of tensor b"),
        wrong(
            "no ReLU at all",
            _module(
                one="self.conv1x1(x)",
                three="self.conv3x3(self.conv3x3red(x))",
                five="self.conv5x5(self.conv5x5red(x))",
                pool="self.pool_proj(F.max_pool2d(x, 3, 1, 1))",
            ),
            hint="after each of the six convolutions is missing",
        ),
        wrong(
            "no ReLU between",
            _module(three="F.relu(self.conv3x3(self.conv3x3red(x)))", five="F.relu(self.conv5x5(self.conv5x5red(x)))"),
            hint="The ReLU after the 1x1 reductions is missing",
        ),
        wrong(
            "no ReLU after the 3x3 reduction",
            _module(three="F.relu(self.conv3x3(self.conv3x3red(x)))"),
            hint="The ReLU after conv3x3red is missing",
        ),
        wrong(
            "no ReLU at the end",
            _module(
                one="self.conv1x1(x)",
                three="self.conv3x3(F.relu(self.conv3x3red(x)))",
                five="self.conv5x5(F.relu(self.conv5x5red(x)))",
                pool="self.pool_proj(F.max_pool2d(x, 3, 1, 1))",
            ),
            hint="The ReLU at the end of the branches is missing",
        ),
        wrong("no ReLU after the 1x1", _module(one="self.conv1x1(x)"), hint="The ReLU after conv1x1 is missing"),
        wrong(
            "average pooling",
            _module(pool="F.relu(self.pool_proj(F.avg_pool2d(x, 3, 1, 1)))"),
            hint="takes the maximum, not the mean",
        ),
        wrong("no pooling", _module(pool="F.relu(self.pool_proj(x))"), hint="The pooling before pool_proj is missing"),
        wrong(
            "projected, then pooled",
            _module(pool="F.max_pool2d(F.relu(self.pool_proj(x)), 3, 1, 1)"),
            hint="The pooling comes before its projection",
        ),
        wrong(
            "a wider pooling",
            _module(pool="F.relu(self.pool_proj(F.max_pool2d(x, 5, 1, 2)))"),
            hint="a kernel of 3, not of 5",
        ),
        wrong(
            "zeros around the image",
            _module(pool="F.relu(self.pool_proj(F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)))"),
            hint="Zeros outside of the image",
        ),
        wrong(
            "no padding",
            _module(conv3x3="nn.Conv2d(ch3x3red, ch3x3, kernel_size=3)"),
            hint="Sizes of tensors must match",
        ),
        wrong(
            "3x3 for 5x5",
            _module(conv5x5="nn.Conv2d(ch5x5red, ch5x5, kernel_size=3, padding=1)"),
            hint="conv5x5.weight should have the shape",
        ),
        wrong(
            "two 3x3 for 5x5",
            _module(
                conv5x5="nn.Sequential(nn.Conv2d(ch5x5red, ch5x5, 3, padding=1), nn.Conv2d(ch5x5, ch5x5, 3, padding=1))"
            ),
            hint="By the text there are conv5x5.weight",
        ),
        wrong(
            "no biases",
            _module(conv1x1="nn.Conv2d(in_channels, ch1x1, 1, bias=False)"),
            hint="A bias is missing: there should be conv1x1.bias",
        ),
        wrong(
            "reflected padding",
            _module(conv5x5="nn.Conv2d(ch5x5red, ch5x5, 5, padding=2, padding_mode='reflect')"),
            hint="look at kernels, padding",
        ),
        wrong(
            "normalized",
            _module(more="self.bn = nn.BatchNorm2d(ch1x1)", one="F.relu(self.bn(self.conv1x1(x)))"),
            hint="which the text does not name",
        ),
        wrong("other names", _module().replace("self.pool_proj", "self.projection"), hint="By the text there are"),
        wrong(
            "the input changed", _module(one="F.relu(self.conv1x1(x.relu_()))"), hint="leaf Variable that requires grad"
        ),
        wrong(
            "detached",
            _module(pool="F.relu(self.pool_proj(F.max_pool2d(x.detach(), 3, 1, 1)))"),
            hint="The gradient of x is wrong",
        ),
        wrong(
            "nothing at all",
            """
            class Inception(nn.Module):
                def __init__(self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj):
                    super().__init__()

                def forward(self, x):
                    return x
            """,
            hint="By the text there are conv1x1.weight",
        ),
    ],
    "AuxiliaryHead": [
        right("layers", _head()),
        right(
            "functions",
            _head(
                pool="None",
                drop="None",
                forward="""x = F.avg_pool2d(x, (5, 5), (3, 3))
        x = self.conv(x).clamp(min=0).reshape(len(x), -1)
        return self.fc2(F.dropout(F.relu(self.fc1(x)), p=0.7, training=self.training))""",
            ),
        ),
        right(
            "convolution before the pooling, ReLU after it",
            _head(forward="return self.fc2(self.drop(self.fc1(self.pool(self.conv(x)).relu().flatten(1)).relu()))"),
        ),
        right("dropout by a layer made anew", _head(drop="lambda x: nn.Dropout(0.7).train(self.training)(x)")),
        wrong(
            "dropout in place of what the ReLU needs",
            _head(drop="nn.Dropout(0.7, inplace=True)"),
            hint="has been modified by an inplace operation",
        ),
        wrong("the maximum", _head(pool="nn.MaxPool2d(5, 3)"), hint="the mean, not the maximum"),
        wrong("adaptive", _head(pool="nn.AdaptiveAvgPool2d(4)"), hint="adaptive pooling to 4 x 4 takes other windows"),
        wrong("a stride of 5", _head(pool="nn.AvgPool2d(5)"), hint="Your code raised RuntimeError"),
        wrong("a kernel of 3", _head(pool="nn.AvgPool2d(3, 3)"), hint="a kernel of 5 and a stride of 3"),
        wrong(
            "pooled after the ReLU",
            _head(forward="return self.fc2(self.drop(self.fc1(self.pool(self.conv(x).relu()).flatten(1)).relu()))"),
            hint="The pooling comes first",
        ),
        wrong(
            "no ReLU after the convolution",
            _head(forward="return self.fc2(self.drop(self.fc1(self.conv(self.pool(x)).flatten(1)).relu()))"),
            hint="The ReLU after the convolution is missing",
        ),
        wrong(
            "no ReLU after fc1",
            _head(forward="return self.fc2(self.drop(self.fc1(self.conv(self.pool(x)).relu().flatten(1))))"),
            hint="The ReLU after fc1 is missing",
        ),
        wrong(
            "no ReLU",
            _head(forward="return self.fc2(self.drop(self.fc1(self.conv(self.pool(x)).flatten(1))))"),
            hint="The ReLUs after the convolution and fc1",
        ),
        wrong(
            "probabilities",
            _head(fc2="nn.Sequential()")
            .replace("self.fc2 = nn.Sequential()", "self.fc2 = nn.Linear(1024, num_classes)")
            .replace("return self.fc2(", "return torch.softmax(self.fc2(")
            .replace("1)))))", "1))))), 1)"),
            hint="Return logits",
        ),
        wrong(
            "pixel by pixel",
            _head(
                forward="return self.fc2(self.drop(self.fc1("
                "self.conv(self.pool(x)).relu().permute(0, 2, 3, 1).flatten(1)).relu()))"
            ),
            hint="Flatten channel by channel",
        ),
        wrong("less dropout", _head(drop="nn.Dropout(0.5)"), hint="it should be 70%"),
        wrong("no dropout", _head(drop="nn.Identity()"), hint="In training nothing is dropped"),
        wrong(
            "dropout before fc1",
            _head(forward="return self.fc2(self.fc1(self.drop(self.conv(self.pool(x)).relu().flatten(1))).relu())"),
            hint="In training nothing is dropped",
        ),
        wrong(
            "dropout that does not end",
            _head(drop="F.dropout").replace("self.drop(", "F.dropout(").replace("1)))))", "1))), 0.7))"),
            hint="gives other logits in evaluation mode",
        ),
        wrong(
            "not scaled",
            _head(
                forward="""x = F.relu(self.fc1(torch.flatten(F.relu(self.conv(self.pool(x))), 1)))
        if self.training:
            x = x * (torch.rand_like(x) > 0.7)
        return self.fc2(x)"""
            ),
            hint="is divided by 1 - p",
        ),
        wrong(
            "no bias",
            _head(conv="nn.Conv2d(in_channels, 128, 1, bias=False)"),
            hint="A bias is missing: there should be conv.bias",
        ),
        wrong("fewer channels", _head(conv="nn.Conv2d(in_channels, 64, 1)"), hint="conv.weight should have the shape"),
        wrong("num_classes ignored", _head(fc2="nn.Linear(1024, 1000)"), hint="fc2.weight should have the shape"),
        wrong("other names", _head().replace("self.fc2", "self.last"), hint="By the text there are fc2"),
        wrong(
            "detached",
            _head(
                forward="return self.fc2(self.drop(F.relu(self.fc1("
                "torch.flatten(F.relu(self.conv(self.pool(x.detach()))), 1)))))"
            ),
            hint="No gradient comes to x",
        ),
        wrong(
            "nothing at all",
            """
            class AuxiliaryHead(nn.Module):
                def __init__(self, in_channels, num_classes):
                    super().__init__()

                def forward(self, x):
                    return x
            """,
            hint="By the text there are conv.weight",
        ),
    ],
    "GoogLeNet": [
        right("line by line", _network()),
        right(
            "the heads at the end, functions",
            """
            class GoogLeNet(nn.Module):
                def __init__(self, num_classes=1000, aux=True, blocks=None):
                    super().__init__()
                    blocks = blocks or [Inception, AuxiliaryHead]
                    self.aux2 = blocks[1](528, num_classes) if aux else None
                    self.aux1 = blocks[1](512, num_classes) if aux else None
                    self.fc = nn.Linear(1024, num_classes)
                    for name in MODULES:
                        setattr(self, f"inception{name}", blocks[0](*MODULES[name]))
                    self.conv1 = nn.Conv2d(3, 64, (7, 7), (2, 2), (3, 3))
                    self.conv2 = nn.Conv2d(64, 64, 1)
                    self.conv3 = nn.Conv2d(64, 192, 3, padding="same")

                def forward(self, x):
                    pool = lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)
                    x = F.local_response_norm(pool(self.conv1(x)).relu(), 5)
                    x = F.local_response_norm(self.conv3(self.conv2(x).relu()).relu(), 5)
                    seen = {}
                    for name in MODULES:
                        x = pool(x) if name in ("3a", "4a", "5a") else x
                        x = seen[name] = getattr(self, f"inception{name}")(x)
                    x = self.fc(F.dropout(x.mean([2, 3]), 0.4, self.training))
                    if self.training and self.aux1 is not None:
                        return x, self.aux1(seen["4a"]), self.aux2(seen["4d"])
                    return x

            def googlenet_loss(outputs, targets):
                if not isinstance(outputs, (tuple, list)):
                    outputs = [outputs]
                weights = [1.0, 0.3, 0.3]
                return sum(w * nn.CrossEntropyLoss()(z, targets) for w, z in zip(weights, outputs))
            """,
        ),
        right(
            "a named tuple, rows by name",
            _network(
                result="self.Outputs(x, a, b) if a is not None else x",
                loss=_LOSS.replace("torch.is_tensor(outputs)", "not isinstance(outputs, tuple)")
                + "\nfrom collections import namedtuple\n"
                "GoogLeNet.Outputs = namedtuple('Outputs', 'logits aux1 aux2')\n",
            ),
        ),
        wrong(
            "pools round down",
            _network(pool="nn.MaxPool2d(3, 2)"),
            hint="The max pools round sizes up",
        ),
        wrong("pools padded", _network(pool="nn.MaxPool2d(3, 2, 1)"), hint="The max pools have no padding"),
        wrong("average pools", _network(pool="nn.AvgPool2d(3, 2, ceil_mode=True)"), hint="the maximum, not the mean"),
        wrong("no normalization", _network(norm="nn.Identity()"), hint="The normalization (LRN) is missing"),
        wrong(
            "AlexNet's normalization", _network(norm="nn.LocalResponseNorm(5, alpha=5e-4, k=2.0)"), hint="not AlexNet's"
        ),
        wrong(
            "normalized once", _network(three="self.pool(F.relu(self.conv3(x)))"), hint="(LRN) after conv3 is missing"
        ),
        wrong(
            "normalized before the first pool",
            _network(one="self.pool(self.norm(F.relu(self.conv1(x))))"),
            hint="comes after the pool, not before it",
        ),
        wrong(
            "normalized after the second pool",
            _network(three="self.norm(self.pool(F.relu(self.conv3(x))))"),
            hint="comes before the pool, not after it",
        ),
        wrong(
            "no ReLU after conv1",
            _network(one="self.norm(self.pool(self.conv1(x)))"),
            hint="The ReLU after conv1 is missing",
        ),
        wrong(
            "no ReLU after conv3",
            _network(three="self.pool(self.norm(self.conv3(x)))"),
            hint="The ReLU after conv3 is missing",
        ),
        wrong("no pool after 3b", _network(after3b="x"), hint="The max pool after inception3b is missing"),
        wrong(
            "padding in conv1 forgotten",
            _network(conv1="nn.Conv2d(3, 64, 7, stride=2)"),
            hint="gives other logits than the network of the table",
        ),
        wrong(
            "padding in conv3 forgotten",
            _network(conv3="nn.Conv2d(64, 192, 3)"),
            hint="gives other logits than the network of the table",
        ),
        wrong(
            "no biases in the stem",
            _network(conv1="nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)"),
            hint="A bias is missing: there should be conv1.bias",
        ),
        wrong("maximum at the end", _network(end="x.amax((2, 3))"), hint="the global average, not the maximum"),
        wrong(
            "flattened at the end",
            _network(end="torch.flatten(F.adaptive_avg_pool2d(x, 1))[None]"),
            hint="Your code raised RuntimeError",
        ),
        wrong(
            "aux1 after 4b",
            _network(a="None", after4b="a = self.aux1(x) if self.aux and self.training else None"),
            hint="looks at the output of inception4a, not of inception4b",
        ),
        wrong(
            "aux1 before 4a",
            _network(after3b="self.pool(x); a = self.aux1(x) if self.aux and self.training else None", a="a"),
            hint="Your code raised RuntimeError",
        ),
        wrong(
            "heads turned round",
            _network(result="(x, b, a) if a is not None else x"),
            hint="logits, those of aux1, those of aux2",
        ),
        wrong(
            "heads in evaluation too",
            _network(a="self.aux1(x) if self.aux else None", b="self.aux2(x) if self.aux else None"),
            hint="In evaluation mode the logits alone come out",
        ),
        wrong(
            "heads run in evaluation, and thrown away",
            _network(
                a="self.aux1(x) if self.aux else None",
                b="self.aux2(x) if self.aux else None",
                result="(x, a, b) if a is not None and self.training else x",
            ),
            hint="the heads are not run",
        ),
        wrong(
            "a tuple without heads",
            _network(result="(x, a, b) if self.training else x"),
            hint="Without heads the logits alone come out",
        ),
        wrong(
            "heads added to the logits",
            _network(result="x + 0.3 * (a + b) if a is not None else x"),
            hint="a tuple of three comes out",
        ),
        wrong(
            "heads discounted in the network",
            _network(result="(x, 0.3 * a, 0.3 * b) if a is not None else x"),
            hint="0.3 belongs into the loss",
        ),
        wrong(
            "heads on detached maps",
            _network(a="self.aux1(x.detach()) if self.aux and self.training else None"),
            hint="The gradient of aux1 does not reach conv1",
        ),
        wrong("one head for both", _network(aux2="self.aux1"), hint="aux2.fc.weight should have the shape"),
        wrong(
            "classes of the heads fixed", _network(aux2="head(528, 1000)"), hint="aux2.fc.weight should have the shape"
        ),
        wrong("dropout of AlexNet", _network(drop="nn.Dropout(0.5)"), hint="it should be 40%"),
        wrong("no dropout", _network(dropped="x"), hint="In training nothing is dropped before fc"),
        wrong(
            "dropout after fc",
            _network(dropped="x").replace("x = self.fc(x)", "x = self.drop(self.fc(x))"),
            hint="In training nothing is dropped before fc",
        ),
        wrong(
            "dropout that does not end",
            _network(dropped="F.dropout(x, 0.4)"),
            hint="gives other logits than the network of the table",
        ),
        wrong(
            "blocks ignored",
            _network(blocks="(Inception, AuxiliaryHead)"),
            hint="By the text there are inception3a.weight",
        ),
        wrong(
            "own blocks not the default",
            "class Narrow(nn.Module):\n    def __init__(self, *row):\n        super().__init__()\n"
            "        self.only = nn.Conv2d(row[0], row[1] + row[3] + row[5] + row[6], 1)\n\n"
            + _network(blocks="blocks or (Narrow, AuxiliaryHead)"),
            hint="nine of your Inception modules",
        ),
        wrong("no heads by default", _network(aux="False"), hint="The heads should be made with"),
        wrong(
            "probabilities",
            _network(dropped="self.drop(x)").replace(
                "x = self.fc(self.drop(x))", "x = self.fc(self.drop(x)).softmax(1)"
            ),
            hint="Return logits",
        ),
        wrong(
            "a fixed number of classes", _network(fc="nn.Linear(1024, 1000)"), hint="fc.weight should have the shape"
        ),
        wrong(
            "4c where 4b belongs",
            _network().replace(
                'self.inception4b = module(*MODULES["4b"])', 'self.inception4b = module(*MODULES["4c"])'
            ),
            hint="inception4b should be made with the numbers of its row",
        ),
        wrong("loss: heads in full", _loss("ce(z) + ce(z1) + ce(z2)"), hint="The heads' losses count 0.3, not 1"),
        wrong("loss: no heads", _loss("ce(z)"), hint="The heads' losses are missing"),
        wrong(
            "loss: weights turned round", _loss("1.3 * ce(z1) + 0.3 * ce(z2)"), hint="plus 0.3 times that of each head"
        ),
        wrong(
            "loss: the last is the network's",
            _loss("ce(z2) + 0.3 * (ce(z) + ce(z1))"),
            hint="The first of the three is the network's own",
        ),
        wrong(
            "loss: heads detached",
            _loss("ce(z) + 0.3 * (ce(z1.detach()) + ce(z2.detach()))"),
            hint="nothing may be detached",
        ),
        wrong(
            "loss: unpacked by length",
            _loss("ce(z) + 0.3 * (ce(z1) + ce(z2))", test="len(outputs) != 3"),
            hint="Three rows of logits are not three outputs",
        ),
        wrong(
            "loss: alone times 1.6",
            _loss("ce(z) + 0.3 * (ce(z1) + ce(z2))", "1.6 * F.cross_entropy(outputs, targets)"),
            hint="Given logits alone",
        ),
        wrong("loss: a number", _loss("(ce(z) + 0.3 * (ce(z1) + ce(z2))).detach()"), hint="does not require grad"),
        wrong(
            "nothing at all",
            """
            class GoogLeNet(nn.Module):
                def __init__(self, num_classes=1000, aux=True, blocks=None):
                    super().__init__()

                def forward(self, x):
                    return x
            """,
            hint="By the text there are conv1.weight",
        ),
    ],
    "TorchvisionGoogLeNet": [
        right("torchvision's own style", _theirs()),
        right(
            "a named tuple, statistics in buffers",
            _theirs(
                more="mu, sigma = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])\n"
                "        self.register_buffer('mu', mu.view(3, 1, 1), persistent=False)\n"
                "        self.register_buffer('sigma', sigma.view(3, 1, 1), persistent=False)",
                transform="x = (x * self.sigma + self.mu - 0.5) / 0.5",
                result="Outputs(x, aux2, aux1) if heads else x",
            )
            + "\nfrom collections import namedtuple\n"
            "Outputs = namedtuple('Outputs', ['logits', 'aux_logits2', 'aux_logits1'])\n",
        ),
        right(
            "units as sequences, statistics as plain tensors",
            """
            from collections import OrderedDict

            def unit(before, after, kernel, stride=1):
                return nn.Sequential(OrderedDict(
                    conv=nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
                    bn=nn.BatchNorm2d(after, eps=1e-3), act=nn.ReLU(inplace=True),
                ))

            class Mix(nn.Module):
                def __init__(self, i, a, r3, b, r5, c, d):
                    super().__init__()
                    self.branch1 = unit(i, a, 1)
                    self.branch2 = nn.Sequential(unit(i, r3, 1), unit(r3, b, 3))
                    self.branch3 = nn.Sequential(unit(i, r5, 1), unit(r5, c, 3))
                    self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(i, d, 1))

                def forward(self, x):
                    return torch.cat([branch(x) for branch in self.children()], dim=1)

            class Aux(nn.Module):
                def __init__(self, i, classes, p):
                    super().__init__()
                    self.pool, self.conv = nn.AdaptiveAvgPool2d(4), unit(i, 128, 1)
                    self.fc1, self.fc2 = nn.Linear(128 * 16, 1024), nn.Linear(1024, classes)
                    self.drop = nn.Dropout(p)

                def forward(self, x):
                    return self.fc2(self.drop(torch.relu(self.fc1(self.conv(self.pool(x)).reshape(len(x), -1)))))

            class TorchvisionGoogLeNet(nn.Module):
                def __init__(
                    self, num_classes=1000, aux_logits=True, transform_input=False, dropout=0.2, dropout_aux=0.7
                ):
                    super().__init__()
                    self.change = transform_input
                    self.means, self.stds = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
                    self.conv1, self.conv2, self.conv3 = unit(3, 64, 7, 2), unit(64, 64, 1), unit(64, 192, 3)
                    for key, row in MODULES.items():
                        setattr(self, f"inception{key}", Mix(*row))
                    self.heads = []
                    if aux_logits:
                        self.aux1 = Aux(512, num_classes, dropout_aux)
                        self.aux2 = Aux(528, num_classes, dropout_aux)
                        self.heads = ["4a", "4d"]
                    self.p, self.fc = dropout, nn.Linear(1024, num_classes)

                def forward(self, x):
                    if self.change:
                        mu, sigma = self.means.to(x).view(1, 3, 1, 1), self.stds.to(x).view(1, 3, 1, 1)
                        x = (mu + sigma * x) * 2 - 1
                    x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
                    x = self.conv3(self.conv2(x))
                    outputs = []
                    for key in MODULES:
                        if key in ("3a", "4a", "5a"):
                            x = F.max_pool2d(x, 2 if key == "5a" else 3, 2, ceil_mode=True)
                        x = self.get_submodule(f"inception{key}")(x)
                        if self.training and key in self.heads:
                            outputs.insert(0, (self.aux1 if key == "4a" else self.aux2)(x))
                    logits = self.fc(F.dropout(x.mean((-1, -2)), self.p, self.training))
                    return (logits, *outputs) if outputs else logits
            """,
        ),
        wrong(
            "a 5x5 kernel",
            _theirs(five="BasicConv2d(ch5x5red, ch5x5, kernel_size=5, padding=2)"),
            hint="inception3a.branch3.1.conv.weight should have the shape",
        ),
        wrong("biases", _theirs(bias="True"), hint="conv1.conv.bias, conv2.conv.bias, conv3.conv.bias"),
        wrong("PyTorch's eps", _theirs(bn="nn.BatchNorm2d(out_channels)"), hint="have eps=0.001"),
        wrong(
            "another momentum",
            _theirs(bn="nn.BatchNorm2d(out_channels, eps=0.001, momentum=0.01)"),
            hint="is not torchvision's: leave the defaults",
        ),
        wrong(
            "no running statistics",
            _theirs(bn="nn.BatchNorm2d(out_channels, eps=0.001, track_running_stats=False)"),
            hint="By the text there are conv1.bn.running_mean",
        ),
        wrong("no batch normalization", _theirs(bn="nn.Identity()"), hint="By the text there are conv1.bn.weight"),
        wrong(
            "ReLU before the normalization",
            _theirs(unit="self.bn(F.relu(self.conv(x)))"),
            hint="comes before the ReLU, not after it",
        ),
        wrong("no ReLU", _theirs(unit="self.bn(self.conv(x))"), hint="The ReLU after each normalization is missing"),
        wrong(
            "a kernel of 3 in the last pool",
            _theirs(last="nn.MaxPool2d(3, 2, ceil_mode=True)"),
            hint="before inception5a has a kernel of 2",
        ),
        wrong(
            "pools round down",
            _theirs(pool="nn.MaxPool2d(3, 2)", last="nn.MaxPool2d(2, 2)"),
            hint="The max pools round sizes up",
        ),
        wrong(
            "average pooling in the branch",
            _theirs(inner="nn.AvgPool2d(3, 1, 1)"),
            hint="The pooling in branch4 takes the maximum",
        ),
        wrong(
            "branches in another order",
            _theirs(branches="[self.branch1(x), self.branch3(x), self.branch2(x), self.branch4(x)]"),
            hint="in the order 1, 2, 3, 4",
        ),
        wrong(
            "normalized as in the paper",
            _theirs(
                end="torch.flatten(F.adaptive_avg_pool2d(self.inception5b("
                "self.inception5a(F.local_response_norm(x, 5))), 1), 1)"
            ),
            hint="are not torchvision's in training mode",
        ),
        wrong(
            "the paper's pooling in the heads",
            _theirs(headpool="F.avg_pool2d(x, 5, 3)"),
            hint="Your code raised RuntimeError",
        ),
        wrong(
            "heads on detached maps",
            _theirs().replace("self.aux1(x) if", "self.aux1(x.detach()) if"),
            hint="The gradient of aux1 cannot be computed",
        ),
        wrong(
            "dropout in place of what the ReLU needs",
            _theirs(
                headdrop="F.dropout(x, self.p, self.training, inplace=True)",
                hidden="torch.relu(self.fc1(x.flatten(1)))",
            ),
            hint="Detach and overwrite nothing",
        ),
        wrong(
            "the maximum in the heads",
            _theirs(headpool="F.adaptive_max_pool2d(x, 4)"),
            hint="the mean, not the maximum",
        ),
        wrong(
            "no ReLU in the heads",
            _theirs(hidden="self.fc1(torch.flatten(x, 1))"),
            hint="The ReLU after fc1 in the heads is missing",
        ),
        wrong(
            "heads in the other order",
            _theirs(result="(x, aux1, aux2) if heads else x"),
            hint="The order in the tuple is torchvision's",
        ),
        wrong("heads in evaluation", _theirs(heads="self.aux_logits"), hint="in evaluation mode the heads are not run"),
        wrong(
            "heads run in evaluation, and thrown away",
            _theirs(heads="self.aux_logits", result="(x, aux2, aux1) if heads and self.training else x"),
            hint="in evaluation mode the heads are not run",
        ),
        wrong("heads always there", _theirs(withheads="True"), hint="the heads, and they alone, are missing"),
        wrong(
            "maximum at the end",
            _theirs(end="self.inception5b(self.inception5a(x)).amax((2, 3))"),
            hint="the pooling is the global average",
        ),
        wrong("always transformed", _theirs(transforming="True"), hint="Without transform_input=True the input stays"),
        wrong("never transformed", _theirs(transforming="False"), hint="With transform_input=True the input changes"),
        wrong(
            "back to pixels alone",
            _theirs(
                transform="x = x * x.new_tensor([0.229, 0.224, 0.225])[:, None, None] + "
                "x.new_tensor([0.485, 0.456, 0.406])[:, None, None]"
            ),
            hint="then follow minus 0.5",
        ),
        wrong(
            "normalized once more",
            _theirs(
                transform="x = (x - x.new_tensor([0.485, 0.456, 0.406])[:, None, None]) / "
                "x.new_tensor([0.229, 0.224, 0.225])[:, None, None]"
            ),
            hint="normalized already: undo that",
        ),
        wrong(
            "blue, green, red",
            _theirs()
            .replace("(0.485, 0.456, 0.406)", "(0.406, 0.456, 0.485)")
            .replace("(0.229, 0.224, 0.225)", "(0.225, 0.224, 0.229)"),
            hint="red, green, blue",
        ),
        wrong(
            "the mean not divided",
            _theirs().replace("(m - 0.5) / 0.5", "(m - 0.5)"),
            hint="Divide mu - 0.5 by 0.5, too",
        ),
        wrong(
            "transformed in place",
            _theirs(
                transform="x.mul_(x.new_tensor([0.229, 0.224, 0.225])[:, None, None] / 0.5).add_("
                "(x.new_tensor([0.485, 0.456, 0.406])[:, None, None] - 0.5) / 0.5)"
            ),
            hint="changes the images that it is given",
        ),
        wrong("dropout of the paper", _theirs(p_used="0.4"), hint="it should be 20%"),
        wrong("the paper's dropout as default", _theirs(p="0.4"), hint="it should be 20%"),
        wrong("another dropout in the heads as default", _theirs(q="0.5"), hint="The default of dropout_aux"),
        wrong("dropout of the heads fixed", _theirs(rate="0.7"), hint="it should be 35%"),
        wrong(
            "no dropout in the heads", _theirs(headdrop="x"), hint="In training nothing is dropped before fc2 of aux2"
        ),
        wrong(
            "probabilities",
            _theirs(result="(x.softmax(1), aux2, aux1) if heads else x.softmax(1)"),
            hint="Return logits",
        ),
        wrong(
            "other names",
            _theirs().replace("self.branch1", "self.b1"),
            hint="By the text there are inception3a.branch1",
        ),
        wrong(
            "torchvision's own",
            """
            class TorchvisionGoogLeNet(nn.Module):
                def __new__(
                    cls, num_classes=1000, aux_logits=True, transform_input=False, dropout=0.2, dropout_aux=0.7
                ):
                    import torchvision
                    return torchvision.models.GoogLeNet(
                        num_classes, aux_logits, transform_input, False, None, dropout, dropout_aux
                    )
            """,
            hint="Build the network yourself",
        ),
        wrong(
            "nothing at all",
            """
            class TorchvisionGoogLeNet(nn.Module):
                def __init__(
                    self, num_classes=1000, aux_logits=True, transform_input=False, dropout=0.2, dropout_aux=0.7
                ):
                    super().__init__()

                def forward(self, x):
                    return x
            """,
            hint="By the text there are conv1.conv.weight",
        ),
    ],
}
