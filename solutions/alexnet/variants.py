"""Right and wrong answers to the assignment `alexnet`, on file for `autograde verify`."""

from autograde.variants import right, wrong

_LRN_CHECK = """
    if size < 1 or size % 2 == 0:
        raise ValueError("size should be odd")
"""


def _lrn(
    result: str = "x / (k + alpha * sums) ** beta",
    values: str = "x.square()",
    begin: str = "max(0, c - size // 2)",
    end: str = "c + size // 2 + 1",
    check: str = _LRN_CHECK,
) -> str:
    """Return an answer to the first exercise."""
    return (
        f"def local_response_norm(x, size, alpha, beta, k):\n{check.strip(chr(10))}\n    values = {values}\n"
        f"    sums = torch.stack([values[:, {begin} : {end}].sum(1) for c in range(x.shape[1])], 1)\n"
        f"    return {result}\n"
    )


_ALEXNET = """
class AlexNet(nn.Module):
    def __init__(self, num_classes=1000, groups=2):
        super().__init__()
        self.features = nn.Sequential(
            {first},
            {a}, {n}, {pool},
            {second},
            {a}, {n}, {pool},
            {third},
            {a},
            {fourth},
            {a},
            {fifth},
            {a}, {pool},
        )
        self.classifier = nn.Sequential({hidden}, {a}, {d}, nn.Linear(4096, 4096), {a}, {d}, {last})

    def forward(self, x):
        {forward}
"""
_LAYERS = {
    "first": "nn.Conv2d(3, 96, 11, stride=4)",
    "second": "nn.Conv2d(96, 256, 5, padding=2, groups=groups)",
    "third": "nn.Conv2d(256, 384, 3, padding=1)",
    "fourth": "nn.Conv2d(384, 384, 3, padding=1, groups=groups)",
    "fifth": "nn.Conv2d(384, 256, 3, padding=1, groups=groups)",
    "a": "nn.ReLU()",
    "n": "nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)",
    "pool": "nn.MaxPool2d(3, stride=2)",
    "d": "nn.Dropout(0.5)",
    "hidden": "nn.Linear(256 * 6 * 6, 4096)",
    "last": "nn.Linear(4096, num_classes)",
    "forward": "return self.classifier(self.features(x).flatten(1))",
}


def _alexnet(**parts: str) -> str:
    """Return an answer to the second exercise with some layers replaced."""
    code = _ALEXNET
    for name, part in {**_LAYERS, **parts}.items():
        code = code.replace("{" + name + "}", part)
    return code


_TORCHVISION = """
class TorchvisionAlexNet(nn.Module):
    def __init__(self, num_classes=1000, dropout=0.5):
        super().__init__()
        self.features = nn.Sequential(
            {first}, nn.ReLU(), {pool},
            {second}, nn.ReLU(), {pool},
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), {pool},
        )
        self.avgpool = {average}
        self.classifier = nn.Sequential(
            {d}, nn.Linear(256 * 36, 4096), nn.ReLU(),
            {d}, nn.Linear(4096, 4096), nn.ReLU(),
            {last},
        )

    def forward(self, x):
        {forward}
"""
_PARTS = {
    "first": "nn.Conv2d(3, 64, 11, stride=4, padding=2)",
    "second": "nn.Conv2d(64, 192, 5, padding=2)",
    "pool": "nn.MaxPool2d(3, 2)",
    "average": "nn.AdaptiveAvgPool2d((6, 6))",
    "d": "nn.Dropout(dropout)",
    "last": "nn.Linear(4096, num_classes)",
    "forward": "return self.classifier(self.avgpool(self.features(x)).flatten(1))",
}


def _torchvision(**parts: str) -> str:
    """Return an answer to the third exercise with some layers replaced."""
    code = _TORCHVISION
    for name, part in {**_PARTS, **parts}.items():
        code = code.replace("{" + name + "}", part)
    return code


_FANCY = """
def fancy_pca(images, generator):
    pixels = {pixels}
    centred = {centred}
    covariance = {covariance}
    values, vectors = torch.linalg.eigh(covariance)
    alpha = {alpha}
    shift = {shift}
    return {result}
"""


def _fancy(**parts: str) -> str:
    """Return an answer to the fourth exercise with some lines replaced."""
    usual = {
        "pixels": "images.permute(0, 2, 3, 1).reshape(-1, 3)",
        "centred": "pixels - pixels.mean(0)",
        "covariance": "centred.T @ centred / len(pixels)",
        "alpha": "0.1 * torch.randn(len(images), 3, generator=generator, dtype=images.dtype)",
        "shift": "(alpha * values) @ vectors.T",
        "result": "images + shift[:, :, None, None]",
    }
    code = _FANCY
    for name, part in {**usual, **parts}.items():
        code = code.replace("{" + name + "}", part)
    return code


_CROPS = """
def ten_crop(x, size):
    height, width = x.shape[-2:]
    {check}
    rows, columns = height - size, width - size
    places = {places}
    crops = [x[:, :, i : i + size, j : j + size] for i, j in places]
    return {crops}


def predict_ten_crop(model, x, size):
    was = model.training
    {mode}
    with {grad}:
        logits = {logits}
    {restore}
    return {result}
"""


def _crops(**parts: str) -> str:
    """Return an answer to the fifth exercise with some lines replaced."""
    usual = {
        "check": 'if size < 1 or size > min(height, width):\n        raise ValueError("crops do not fit")',
        "places": "[(0, 0), (0, columns), (rows, 0), (rows, columns), (rows // 2, columns // 2)]",
        "crops": "torch.stack(crops + [crop.flip(3) for crop in crops])",
        "mode": "model.eval()",
        "grad": "torch.no_grad()",
        "logits": "torch.stack([model(crop) for crop in ten_crop(x, size)])",
        "restore": "model.train(was)",
        "result": "logits.softmax(-1).mean(0)",
    }
    code = _CROPS
    for name, part in {**usual, **parts}.items():
        code = code.replace("{" + name + "}", part)
    return code


def _error(
    ahead: str = "(~(logits < own)).sum(1) - 1",
    result: str = "((ahead >= k) | own[:, 0].isnan()).double().mean().item()",
    check: str = "if k < 1 or len(logits) == 0:\n        raise ValueError('no error')",
) -> str:
    """Return an answer to the sixth exercise."""
    return (
        f"def top_k_error(logits, targets, k):\n    {check}\n    own = logits.gather(1, targets[:, None])\n"
        f"    ahead = {ahead}\n    return {result}\n"
    )


VARIANTS = {
    "local_response_norm": [
        right("a loop over the channels", _lrn()),
        right(
            "as a convolution over the channels",
            """
            def local_response_norm(x, size, alpha, beta, k):
                if size % 2 != 1 or size < 0:
                    raise ValueError(size)
                n, c, h, w = x.shape
                kernel = torch.ones(1, 1, size, dtype=x.dtype, device=x.device)
                rows = x.pow(2).permute(0, 2, 3, 1).reshape(-1, 1, c)
                sums = F.conv1d(rows, kernel, padding=size // 2).reshape(n, h, w, c).permute(0, 3, 1, 2)
                return x * (k + alpha * sums).pow(-beta)
            """,
        ),
        right(
            "as a matrix of neighbours",
            """
            def local_response_norm(x, size, alpha, beta, k):
                if size < 1 or not size % 2:
                    raise ValueError(size)
                place = torch.arange(x.shape[1])
                near = ((place[:, None] - place).abs() <= (size - 1) // 2).to(x)
                return x / (k + alpha * torch.einsum("cj,njhw->nchw", near, x**2)) ** beta
            """,
        ),
        wrong("divided by size", _lrn("x / (k + alpha / size * sums) ** beta"), hint="do not divide it by size"),
        wrong(
            "PyTorch's function",
            """
            def local_response_norm(x, size, alpha, beta, k):
                if size < 1 or size % 2 == 0:
                    raise ValueError(size)
                return torch.nn.functional.local_response_norm(x, size, alpha * size, beta, k)
            """,
            hint="without PyTorch's function for it",
        ),
        wrong("the channels before", _lrn(begin="max(0, c - size + 1)", end="c + 1"), hint="stands around the channel"),
        wrong("the channels after", _lrn(begin="c", end="c + size"), hint="stands around the channel"),
        wrong(
            "a window twice as wide",
            _lrn(begin="max(0, c - size)", end="c + size + 1"),
            hint="size is the whole window",
        ),
        wrong(
            "without itself", _lrn("x / (k + alpha * (sums - values)) ** beta"), hint="The channel itself is in the sum"
        ),
        wrong("absolute values", _lrn(values="x.abs()"), hint="not of absolute values"),
        wrong("no squares", _lrn("x / (k + alpha * sums).abs() ** beta", values="x"), hint="The sum is of squares"),
        wrong("multiplied", _lrn("x * (k + alpha * sums) ** beta"), hint="Divide by the power"),
        wrong("k of 1", _lrn("x / (1 + alpha * sums) ** beta"), hint="k is added to the sum"),
        wrong("no power", _lrn("x / (k + alpha * sums)"), hint="The power beta is missing"),
        wrong("a root of its own", _lrn("x / (k + alpha * sums.sqrt()) ** beta"), hint="has no root of its own"),
        wrong(
            "the power of the sum alone",
            _lrn("x / (k + (alpha * sums) ** beta)"),
            hint="the power of the whole, k included",
        ),
        wrong("all channels", _lrn(begin="0", end="x.shape[1]"), hint="not all channels"),
        wrong("squared above", _lrn("values / (k + alpha * sums) ** beta"), hint="not its square"),
        wrong(
            "over pixels",
            """
            def local_response_norm(x, size, alpha, beta, k):
                if size < 1 or size % 2 == 0:
                    raise ValueError(size)
                sums = F.avg_pool2d(F.pad(x**2, (size // 2,) * 4), size, 1, divisor_override=1)
                return x / (k + alpha * sums) ** beta
            """,
            hint="not other pixels",
        ),
        wrong("negative indices", _lrn(begin="c - size // 2"), hint="Divide by (k + alpha"),
        wrong("detached", _lrn("x / (k + alpha * sums.detach()) ** beta"), hint="nothing may be detached"),
        wrong("in place", _lrn("x.div_((k + alpha * sums) ** beta)"), hint="leaf Variable that requires grad"),
        wrong("even sizes allowed", _lrn(check="    pass"), hint="should raise a ValueError"),
        wrong(
            "zero allowed",
            _lrn(check="    if size > 0 and size % 2 == 0:\n        raise ValueError"),
            hint="A size of 0 should raise",
        ),
        wrong("nothing at all", "def local_response_norm(x, size, alpha, beta, k):\n    pass\n", hint="but it is None"),
    ],
    "AlexNet": [
        right("two sequences", _alexnet()),
        right(
            "with the function, layer by layer",
            """
            class AlexNet(nn.Module):
                def __init__(self, num_classes=1000, groups=2):
                    super().__init__()
                    self.conv1 = nn.Conv2d(3, 96, 11, 4)
                    self.conv2 = nn.Conv2d(96, 256, 5, 1, 2, groups=groups)
                    self.conv3 = nn.Conv2d(256, 384, 3, 1, 1)
                    self.conv4 = nn.Conv2d(384, 384, 3, 1, 1, groups=groups)
                    self.conv5 = nn.Conv2d(384, 256, 3, 1, 1, groups=groups)
                    self.fc6, self.fc7 = nn.Linear(9216, 4096), nn.Linear(4096, 4096)
                    self.fc8 = nn.Linear(4096, num_classes)

                def forward(self, x):
                    x = F.max_pool2d(F.local_response_norm(F.relu(self.conv1(x)), 5, 5e-4, 0.75, 2), 3, 2)
                    x = F.max_pool2d(F.local_response_norm(F.relu(self.conv2(x)), 5, 5e-4, 0.75, 2), 3, 2)
                    x = F.relu(self.conv4(F.relu(self.conv3(x))))
                    x = F.max_pool2d(F.relu(self.conv5(x)), 3, 2).reshape(len(x), -1)
                    x = F.dropout(F.relu(self.fc6(x)), 0.5, self.training)
                    x = F.dropout(F.relu(self.fc7(x)), training=self.training)
                    return self.fc8(x)
            """,
        ),
        right(
            "with the normalization of exercise 1, padded by hand",
            _alexnet(
                n="nn.Identity()",
                third="nn.ZeroPad2d(1), nn.Conv2d(256, 384, 3)",
                fourth=_LAYERS["fourth"].replace("padding=1", 'padding="same"'),
                forward="""for i, layer in enumerate(self.features):
            x = layer(x)
            if i in (1, 5):
                x = local_response_norm(x, 5, 1e-4, 0.75, 2.0)
        return self.classifier(x.flatten(1))""",
            ),
        ),
        right(
            "the pooling before the ReLU of the fifth",
            _alexnet(fifth=_LAYERS["fifth"] + ", nn.MaxPool2d(3, stride=2)").replace(
                "nn.ReLU(), nn.MaxPool2d(3, stride=2),\n        )", "nn.ReLU(),\n        )"
            ),
        ),
        wrong(
            "alpha divided by 5",
            _alexnet(n="nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)"),
            hint="needs alpha = 5e-4",
        ),
        wrong("PyTorch's k", _alexnet(n="nn.LocalResponseNorm(5, alpha=5e-4)"), hint="The normalization's k is 2"),
        wrong("no normalization", _alexnet(n="nn.Identity()"), hint="after the first two convolutions is missing"),
        wrong(
            "normalized once",
            _alexnet(third="nn.Identity(), " + _LAYERS["third"]).replace(
                _LAYERS["n"] + ", nn.MaxPool2d(3, stride=2),\n            nn.Identity()", "nn.MaxPool2d(3, stride=2)"
            ),
            hint="after the second convolution is missing",
        ),
        wrong(
            "normalized three times",
            _alexnet(fifth=_LAYERS["fifth"] + ", nn.ReLU(), " + _LAYERS["n"]),
            hint="The fifth convolution has no normalization",
        ),
        wrong(
            "normalized before the ReLU",
            _alexnet(a="nn.ReLU()").replace(
                "nn.ReLU(), nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)",
                "nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0), nn.ReLU()",
            ),
            hint="after the ReLU, not before it",
        ),
        wrong(
            "normalized after the pooling",
            _alexnet().replace(
                "nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0), nn.MaxPool2d(3, stride=2)",
                "nn.MaxPool2d(3, stride=2), nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)",
            ),
            hint="The normalization comes before the pooling",
        ),
        wrong(
            "padding in the first",
            _alexnet(first="nn.Conv2d(3, 96, 11, stride=4, padding=2)"),
            hint="Layer 1 should have a padding of",
        ),
        wrong("average pooling", _alexnet(pool="nn.AvgPool2d(3, stride=2)"), hint="the maximum, not the mean"),
        wrong(
            "pools that do not overlap",
            _alexnet(pool="nn.MaxPool2d(2, stride=2)"),
            hint="With the same weights your network gives other logits",
        ),
        wrong("tanh", _alexnet(a="nn.Tanh()"), hint="The activation is the ReLU"),
        wrong("no activation", _alexnet(a="nn.Identity()"), hint="The ReLU after each layer is missing"),
        wrong(
            "no last ReLU",
            _alexnet().replace(
                "nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, num_classes)", _LAYERS["d"] + ", " + _LAYERS["last"]
            ),
            hint="after the second fully connected layer, too",
        ),
        wrong("probabilities", _alexnet(last="nn.Linear(4096, num_classes), nn.Softmax(1)"), hint="Return logits"),
        wrong(
            "a ReLU at the end", _alexnet(last="nn.Linear(4096, num_classes), nn.ReLU()"), hint="logits may be negative"
        ),
        wrong(
            "groups in the third",
            _alexnet(third="nn.Conv2d(256, 384, 3, padding=1, groups=groups)"),
            hint="Layer 3 (Conv2d) should have weights",
        ),
        wrong(
            "one group always",
            _alexnet().replace("groups=groups", "groups=1"),
            hint="Layer 2 (Conv2d) should have weights",
        ),
        wrong(
            "two groups always",
            _alexnet().replace("groups=groups", "groups=2"),
            hint="Layer 2 (Conv2d) should have weights",
        ),
        wrong(
            "torchvision's channels",
            _alexnet(first="nn.Conv2d(3, 64, 11, stride=4)", second="nn.Conv2d(64, 256, 5, padding=2, groups=groups)"),
            hint="Layer 1 (Conv2d) should have weights",
        ),
        wrong(
            "no biases in convolutions",
            _alexnet(second="nn.Conv2d(96, 256, 5, padding=2, groups=groups, bias=False)"),
            hint="Layer 2 (Conv2d) has a bias",
        ),
        wrong(
            "num_classes ignored", _alexnet(last="nn.Linear(4096, 1000)"), hint="Layer 8 (Linear) should have weights"
        ),
        wrong("no dropout", _alexnet(d="nn.Identity()"), hint="In training nothing is dropped"),
        wrong("less dropout", _alexnet(d="nn.Dropout(0.2)"), hint="it should be 50%"),
        wrong(
            "dropout where torchvision has it",
            _alexnet(hidden="nn.Dropout(0.5), " + _LAYERS["hidden"]).replace(
                "nn.Dropout(0.5), nn.Linear(4096, num_classes)", _LAYERS["last"]
            ),
            hint="before layer 6 (fully connected) are others: nothing may be dropped there",
        ),
        wrong(
            "dropout three times",
            _alexnet(hidden="nn.Dropout(0.5), " + _LAYERS["hidden"]),
            hint="before layer 6 (fully connected) are others: nothing may be dropped there",
        ),
        wrong(
            "dropout once",
            _alexnet().replace("nn.Dropout(0.5), nn.Linear(4096, num_classes)", _LAYERS["last"]),
            hint="nothing is dropped before layer 8",
        ),
        wrong(
            "dropout after the convolutions",
            _alexnet(third="nn.Dropout(0.5), " + _LAYERS["third"]),
            hint="before layer 3 (convolution) are others",
        ),
        wrong("whole examples dropped", _alexnet(d="nn.Dropout1d(0.5)"), hint="before layer 7 (fully connected)"),
        wrong(
            "dropout that does not end",
            _alexnet(forward="return self.classifier(F.dropout(self.features(x).flatten(1)))"),
            hint="With the same weights your network gives other logits",
        ),
        wrong(
            "not scaled",
            _alexnet(
                d="nn.Identity()",
                forward="""x = self.features(x).flatten(1)
        for i, layer in enumerate(self.classifier):
            x = layer(x)
            if i in (1, 4) and self.training:
                x = x * (torch.rand_like(x) < 0.5)
        return x""",
            ),
            hint="is divided by 1 - p",
        ),
        wrong(
            "spare parameters",
            _alexnet(n="nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)").replace(
                "super().__init__()", "super().__init__()\n        self.spare = nn.Linear(3, 3)"
            ),
            hint="that no convolution or linear layer uses: spare.weight",
        ),
        wrong(
            "nothing at all",
            """
            class AlexNet(nn.Module):
                def __init__(self, num_classes=1000, groups=2):
                    super().__init__()

                def forward(self, x):
                    return x
            """,
            hint="uses 0 nn.Conv2d and 0 nn.Linear",
        ),
    ],
    "TorchvisionAlexNet": [
        right("two sequences", _torchvision()),
        right(
            "the average by the function",
            _torchvision(
                average="nn.Identity()",
                forward="return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.features(x), 6), 1))",
            ),
        ),
        right(
            "the layers in a loop",
            """
            class TorchvisionAlexNet(nn.Module):
                def __init__(self, num_classes=1000, dropout=0.5):
                    super().__init__()
                    layers, before = [], 3
                    for channels, kernel, stride, padding, pool in [
                        (64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False),
                        (256, 3, 1, 1, False), (256, 3, 1, 1, True),
                    ]:
                        layers += [nn.Conv2d(before, channels, kernel, stride, padding), nn.ReLU(inplace=True)]
                        layers += [nn.MaxPool2d(kernel_size=3, stride=2)] if pool else []
                        before = channels
                    self.features = nn.Sequential(*layers)
                    self.classifier = nn.Sequential()
                    for i, (a, b) in enumerate([(9216, 4096), (4096, 4096)]):
                        self.classifier.extend([nn.Dropout(dropout), nn.Linear(a, b), nn.ReLU()])
                    self.classifier.append(nn.Linear(4096, num_classes))

                def forward(self, x):
                    x = nn.AdaptiveAvgPool2d(6)(self.features(x))
                    return self.classifier(x.view(x.size(0), -1))
            """,
        ),
        wrong(
            "torchvision's own, renamed layers",
            _torchvision().replace("self.features", "self.convolutions"),
            hint="torchvision's weights have features.0.weight",
        ),
        wrong(
            "numbered without ReLU modules",
            _torchvision().replace("nn.ReLU(), ", "").replace("nn.ReLU(),", ""),
            hint="torchvision's weights have",
        ),
        wrong(
            "no padding in the first",
            _torchvision(first="nn.Conv2d(3, 64, 11, stride=4)"),
            hint="Layer 1 should have a padding of",
        ),
        wrong(
            "a stride of 2",
            _torchvision(first="nn.Conv2d(3, 64, 11, stride=2, padding=2)"),
            hint="Layer 1 (Conv2d) should have a stride of",
        ),
        wrong(
            "the paper's channels",
            _torchvision(first="nn.Conv2d(3, 96, 11, stride=4, padding=2)", second="nn.Conv2d(96, 192, 5, padding=2)"),
            hint="features.0.weight should have the shape",
        ),
        wrong(
            "grouped",
            _torchvision(second="nn.Conv2d(64, 192, 5, padding=2, groups=2)"),
            hint="features.3.weight should have the shape",
        ),
        wrong(
            "pools that do not overlap",
            _torchvision(pool="nn.MaxPool2d(2, 2)"),
            hint="gives other logits than torchvision",
        ),
        wrong("average pooling", _torchvision(pool="nn.AvgPool2d(3, 2)"), hint="gives other logits than torchvision"),
        wrong(
            "maximum at the end", _torchvision(average="nn.AdaptiveMaxPool2d(6)"), hint="pool to 6 x 6 whatever comes"
        ),
        wrong(
            "no pooling at the end",
            _torchvision(average="nn.Identity()"),
            hint="Your code raised RuntimeError",
        ),
        wrong(
            "normalized",
            _torchvision(pool="nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)"),
            hint="torchvision's weights have",
        ),
        wrong(
            "normalized in forward",
            _torchvision(
                forward="return self.classifier(self.avgpool(F.local_response_norm(self.features(x), 5)).flatten(1))"
            ),
            hint="gives other logits than torchvision",
        ),
        wrong(
            "probabilities",
            _torchvision(forward="return self.classifier(self.avgpool(self.features(x)).flatten(1)).softmax(1)"),
            hint="Return logits",
        ),
        wrong(
            "a ReLU at the end",
            _torchvision(last="nn.Linear(4096, num_classes), nn.ReLU()"),
            hint="No ReLU stands after the last layer",
        ),
        wrong(
            "num_classes ignored",
            _torchvision(last="nn.Linear(4096, 1000)"),
            hint="classifier.6.weight should have the shape",
        ),
        wrong(
            "torchvision's class",
            """
            import torchvision

            class TorchvisionAlexNet(torchvision.models.AlexNet):
                pass
            """,
            hint="Build the network yourself",
        ),
        wrong(
            "torchvision's parts",
            """
            import torchvision

            class TorchvisionAlexNet(nn.Module):
                def __init__(self, num_classes=1000, dropout=0.5):
                    super().__init__()
                    theirs = torchvision.models.alexnet(num_classes=num_classes, dropout=dropout)
                    self.features, self.avgpool, self.classifier = theirs.features, theirs.avgpool, theirs.classifier

                def forward(self, x):
                    return self.classifier(self.avgpool(self.features(x)).flatten(1))
            """,
            hint="Build the network yourself",
        ),
        wrong(
            "no bias in the first",
            _torchvision(first="nn.Conv2d(3, 64, 11, stride=4, padding=2, bias=False)"),
            hint="torchvision's weights have features.0.bias",
        ),
        wrong(
            "dropout where the paper has it",
            _torchvision(
                d="nn.Identity()",
                forward="""x = self.avgpool(self.features(x)).flatten(1)
        for i, layer in enumerate(self.classifier):
            x = F.dropout(layer(x), 0.3, self.training and i in (2, 5))
        return x""",
            ),
            hint="nothing is dropped before layer 6",
        ),
        wrong(
            "dropout that does not end",
            _torchvision(
                d="nn.Identity()",
                forward="x = F.dropout(self.avgpool(self.features(x)).flatten(1))\n        return self.classifier(x)",
            ),
            hint="gives other logits than torchvision",
        ),
        wrong("dropout fixed", _torchvision(d="nn.Dropout(0.5)"), hint="it should be 30%"),
        wrong("no dropout", _torchvision(d="nn.Identity()"), hint="In training nothing is dropped"),
        wrong(
            "spare parameters",
            _torchvision(average="nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.BatchNorm2d(256))"),
            hint="which torchvision's weights do not have",
        ),
    ],
    "fancy_pca": [
        right("as the text", _fancy()),
        right(
            "with torch.cov and einsum",
            """
            def fancy_pca(images, generator):
                colours = images.movedim(1, 0).flatten(1)
                values, vectors = torch.linalg.eigh(torch.cov(colours, correction=0))
                alpha = torch.randn(images.shape[0], 3, generator=generator, dtype=images.dtype).mul(0.1)
                return images + torch.einsum("ni,i,ci->nc", alpha, values, vectors)[..., None, None]
            """,
        ),
        right(
            "image by image, by singular values",
            """
            def fancy_pca(images, generator):
                pixels = images.permute(0, 2, 3, 1).reshape(-1, 3)
                _, s, vh = torch.linalg.svd(pixels - pixels.mean(0, keepdim=True), full_matrices=False)
                values, vectors = (s**2 / len(pixels)).flip(0), vh.flip(0)
                alpha = 0.1 * torch.randn(len(images), 3, generator=generator, dtype=images.dtype)
                out = images.clone()
                for n in range(len(images)):
                    for i in range(3):
                        out[n] += (alpha[n, i] * values[i] * vectors[i])[:, None, None]
                return out
            """,
        ),
        wrong("rows for columns", _fancy(shift="(alpha * values) @ vectors"), hint="yours are its rows"),
        wrong(
            "roots of the eigenvalues",
            _fancy(shift="(alpha * values.clamp_min(0).sqrt()) @ vectors.T"),
            hint="not by its root",
        ),
        wrong("no eigenvalues", _fancy(shift="alpha @ vectors.T"), hint="The eigenvalues are missing"),
        wrong("alpha of 1", _fancy(shift="(10 * alpha * values) @ vectors.T"), hint="a standard deviation of 0.1"),
        wrong("0.1 twice", _fancy(shift="(0.1 * alpha * values) @ vectors.T"), hint="multiplied by 0.1 once"),
        wrong(
            "eigenvalues turned round", _fancy(shift="(alpha * values.flip(0)) @ vectors.T"), hint="eigh's is ascending"
        ),
        wrong(
            "alpha turned round",
            _fancy(shift="(alpha.flip(1) * values) @ vectors.T"),
            hint="in the order of the eigenvalues",
        ),
        wrong("not divided", _fancy(covariance="centred.T @ centred"), hint="Divide the sum of products"),
        wrong("one less", _fancy(covariance="centred.T @ centred / (len(pixels) - 1)"), hint="not by one less"),
        wrong("not centred", _fancy(centred="pixels"), hint="subtract the mean colour first"),
        wrong(
            "a covariance for each image",
            _fancy(covariance="torch.stack([torch.cov(image.flatten(1), correction=0) for image in images]).mean(0)"),
            hint="of all pixels of all images",
        ),
        wrong(
            "correlations", _fancy(covariance="torch.corrcoef(pixels.T)"), hint="not divided by the standard deviations"
        ),
        wrong(
            "one alpha for all",
            _fancy(alpha="0.1 * torch.randn(3, generator=generator, dtype=images.dtype).expand(len(images), 3)"),
            hint="Draw alpha once, as the text says",
        ),
        wrong(
            "one alpha for each pixel",
            _fancy(
                alpha="0.1 * torch.randn(len(images), 3, generator=generator, dtype=images.dtype)",
                result="images + shift[:, :, None, None] * torch.rand_like(images[:, :1])",
            ),
            hint="All pixels of an image move",
        ),
        wrong(
            "reshaped without moving",
            _fancy(pixels="images.reshape(-1, 3)"),
            hint="Along each eigenvector an image moves",
        ),
        wrong(
            "uniform alpha",
            _fancy(alpha="0.1 * torch.rand(len(images), 3, generator=generator, dtype=images.dtype)"),
            hint="Draw alpha once, as the text says",
        ),
        wrong(
            "the generator forgotten",
            _fancy(alpha="0.1 * torch.randn(len(images), 3, dtype=images.dtype)"),
            hint="Draw alpha once, as the text says",
        ),
        wrong(
            "cut off",
            _fancy(result="(images + shift[:, :, None, None]).clamp(0, 1)"),
            hint="All pixels of an image move",
        ),
        wrong(
            "in place", _fancy(result="images.add_(shift[:, :, None, None])"), hint="changes a tensor that it was given"
        ),
        wrong("the shift alone", _fancy(result="shift"), hint="should have the shape"),
        wrong("float32 always", _fancy(result="(images + shift[:, :, None, None]).float()"), hint="torch.float64"),
        wrong(
            "subtracted mean",
            _fancy(result="images - pixels.mean(0)[:, None, None] + shift[:, :, None, None]"),
            hint="Along each eigenvector an image moves",
        ),
    ],
    "ten_crop": [
        right("slices in a list", _crops()),
        right(
            "written out",
            """
            def ten_crop(x, size):
                h, w = x.shape[2], x.shape[3]
                if not 0 < size <= h or size > w:
                    raise ValueError("size")
                top, left = (h - size) // 2, (w - size) // 2
                five = [
                    x[..., :size, :size], x[..., :size, w - size :], x[..., h - size :, :size],
                    x[..., h - size :, w - size :], x[..., top : top + size, left : left + size],
                ]
                five = torch.stack(five)
                return torch.cat((five, torch.flip(five, (4,))), dim=0)

            @torch.no_grad()
            def predict_ten_crop(model, x, size):
                training = model.training
                model.train(False)
                total = sum(torch.softmax(model(crop), dim=1) for crop in ten_crop(x, size))
                model.train(training)
                return total / 10
            """,
        ),
        right(
            "with narrow, all at once",
            _crops(
                crops="torch.cat([torch.stack(crops), torch.stack(crops)[..., torch.arange(size - 1, -1, -1)]])",
                logits="model(ten_crop(x, size).flatten(0, 1)).unflatten(0, (10, len(x)))",
                grad="torch.inference_mode()",
            ),
        ),
        wrong(
            "upside down", _crops(crops="torch.stack(crops + [crop.flip(2) for crop in crops])"), hint="not upside down"
        ),
        wrong(
            "turned",
            _crops(crops="torch.stack(crops + [crop.flip((2, 3)) for crop in crops])"),
            hint="yours are turned",
        ),
        wrong("copies", _crops(crops="torch.stack(crops + crops)"), hint="yours are copies"),
        wrong(
            "transposed",
            _crops(crops="torch.stack(crops + [crop.transpose(2, 3) for crop in crops])"),
            hint="not transposed",
        ),
        wrong(
            "mirrored first",
            _crops(crops="torch.stack([crop.flip(3) for crop in crops] + crops)"),
            hint="First the five",
        ),
        wrong(
            "in pairs",
            _crops(crops="torch.stack([c for crop in crops for c in (crop, crop.flip(3))])"),
            hint="First all five",
        ),
        wrong(
            "the image mirrored",
            _crops(crops="torch.stack(crops + [x.flip(3)[:, :, i : i + size, j : j + size] for i, j in places])"),
            hint="mirror the crops, not the image",
        ),
        wrong(
            "another order",
            _crops(places="[(0, 0), (rows, 0), (0, columns), (rows, columns), (rows // 2, columns // 2)]"),
            hint="The order is top left",
        ),
        wrong(
            "the centre first",
            _crops(places="[(rows // 2, columns // 2), (0, 0), (0, columns), (rows, 0), (rows, columns)]"),
            hint="The centre is the last of the five",
        ),
        wrong(
            "the centre rounded up",
            _crops(places="[(0, 0), (0, columns), (rows, 0), (rows, columns), ((rows + 1) // 2, (columns + 1) // 2)]"),
            hint="rounded down",
        ),
        wrong(
            "rows and columns swapped",
            _crops(places="[(0, 0), (0, rows), (columns, 0), (columns, rows), (rows // 2, columns // 2)]"),
            hint="stack expects each tensor to be equal size",
        ),
        wrong(
            "images first",
            _crops(crops="torch.stack(crops + [crop.flip(3) for crop in crops], 1)"),
            hint="should have the shape",
        ),
        wrong("no error", _crops(check="pass"), hint="should raise a ValueError"),
        wrong(
            "the whole image refused",
            _crops(check="if size < 1 or size >= min(height, width):\n        raise ValueError"),
            hint="Your code raised ValueError",
        ),
        wrong("the mean of logits", _crops(result="logits.mean(0).softmax(-1)"), hint="softmax comes first"),
        wrong("logits", _crops(result="logits.mean(0)"), hint="the softmax is missing"),
        wrong("a sum", _crops(result="logits.softmax(-1).sum(0)"), hint="of ten, not the sum"),
        wrong("five crops", _crops(result="logits[:5].softmax(-1).mean(0)"), hint="the mirrored ones too"),
        wrong("the centre alone", _crops(result="logits[4].softmax(-1)"), hint="not the centre alone"),
        wrong("the maximum", _crops(result="logits.softmax(-1).amax(0)"), hint="not the maximum"),
        wrong("softmax over crops", _crops(result="logits.softmax(0).mean(0)"), hint="The softmax is over the classes"),
        wrong(
            "softmax over images", _crops(result="logits.softmax(1).mean(0)"), hint="The softmax is over the classes"
        ),
        wrong(
            "unflattened the wrong way",
            _crops(logits="model(ten_crop(x, size).flatten(0, 1)).unflatten(0, (len(x), 10)).transpose(0, 1)"),
            hint="the first dimension is ten",
        ),
        wrong("in training mode", _crops(mode="pass"), hint="Call the model in evaluation mode"),
        wrong("left in evaluation", _crops(restore="pass"), hint="here it was in training"),
        wrong("always left in training", _crops(restore="model.train()"), hint="here it was in evaluation"),
        wrong("with gradients", _crops(grad="torch.enable_grad()"), hint="Compute without gradients"),
    ],
    "top_k_error": [
        right("counted at once", _error()),
        right(
            "row by row",
            """
            def top_k_error(logits, targets, k):
                if k <= 0 or not len(targets):
                    raise ValueError("k or examples")
                wrong = 0
                for row, target in zip(logits.tolist(), targets.tolist()):
                    own = row.pop(target)
                    ahead = sum(not other < own for other in row)
                    wrong += ahead >= k or own != own
                return wrong / len(targets)
            """,
        ),
        right(
            "by sorting",
            """
            def top_k_error(logits, targets, k):
                if k < 1 or logits.shape[0] < 1:
                    raise ValueError("bad")
                rows = torch.arange(len(logits))
                values = logits.double()
                own = values[rows, targets]
                values = values.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
                others = (values >= own[:, None])
                others[rows, targets] = False
                right = (others.sum(1) < k) & ~own.isnan()
                return 1 - right.double().mean().item()
            """,
        ),
        wrong("ties for you", _error("(logits > own).sum(1)"), hint="an equal logit of another class is ahead"),
        wrong(
            "topk",
            """
            def top_k_error(logits, targets, k):
                if k < 1 or len(logits) == 0:
                    raise ValueError("bad")
                top = logits.topk(min(k, logits.shape[1]), 1).indices
                return 1 - (top == targets[:, None]).any(1).double().mean().item()
            """,
            hint="tie counts against you",
        ),
        wrong(
            "accuracy",
            _error(result="((ahead < k) & ~own[:, 0].isnan()).double().mean().item()"),
            hint="That is the accuracy",
        ),
        wrong(
            "a number of examples",
            _error(result="float(((ahead >= k) | own[:, 0].isnan()).sum())"),
            hint="not their number",
        ),
        wrong(
            "percent",
            _error(result="100 * ((ahead >= k) | own[:, 0].isnan()).double().mean().item()"),
            hint="from 0 to 1, not percent",
        ),
        wrong("the smallest", _error("(~(logits > own)).sum(1) - 1"), hint="not the smallest"),
        wrong(
            "one more",
            _error(result="((ahead > k) | own[:, 0].isnan()).double().mean().item()"),
            hint="yours allows one more",
        ),
        wrong("one less", _error("(~(logits < own)).sum(1)"), hint="yours allows one less"),
        wrong(
            "k ignored",
            _error(result="((ahead >= 1) | own[:, 0].isnan()).double().mean().item()"),
            hint="yours is the top-1 error",
        ),
        wrong(
            "k is 5",
            _error(result="((ahead >= 5) | own[:, 0].isnan()).double().mean().item()"),
            hint="yours is the top-5 error",
        ),
        wrong(
            "nan passes",
            _error("(logits >= own).sum(1) - 1", "(ahead >= k).double().mean().item()"),
            hint="is an error, for every k",
        ),
        wrong("nan of others ignored", _error("(logits >= own).sum(1) - 1"), hint="The nan of another class"),
        wrong(
            "k larger than the classes refused",
            _error(check="if k < 1 or k > logits.shape[1] or len(logits) == 0:\n        raise ValueError"),
            hint="Your code raised ValueError",
        ),
        wrong(
            "a tensor",
            _error(result="((ahead >= k) | own[:, 0].isnan()).double().mean()"),
            hint="Return a Python number",
        ),
        wrong(
            "in float32",
            _error(result="((ahead >= k) | own[:, 0].isnan()).float().mean().item()"),
            hint="is right when fewer than k",
        ),
        wrong("no errors", _error(check="pass"), hint="raise a ValueError. Yours raised"),
        wrong(
            "k of 0 allowed",
            _error(check="if k < 0 or len(logits) == 0:\n        raise ValueError"),
            hint="There is no error for k = 0",
        ),
        wrong("nothing at all", "def top_k_error(logits, targets, k):\n    pass\n", hint="but it is None"),
    ],
}
