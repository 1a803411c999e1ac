"""Right and wrong answers to the assignment `resnet`, on file for `autograde verify`."""

from textwrap import indent

from autograde.variants import filled, right, wrong
from solutions import visits

# Each answer is a template whose parts a variant replaces: it then shows only what is special about it.


def _depth(result: str) -> str:
    """Return an answer to the first exercise."""
    return f"def depth_of(layers, bottleneck):\n    k = 3 if bottleneck else 2\n    return {result}\n"


_COUNT = """
def parameters_of(layers, bottleneck, num_classes=1000):
    def conv(k, before, after, norm={norm}):
        return {conv}

    e = {expansion}
    total = {stem}
    before = 64
    for stage in range(4):
        c = {channels}
        for i in range(layers[stage]):
            {entering}
            if bottleneck:
                total += {bottleneck}
            else:
                total += {basic}
            if {needed}:
                total += {projection}
            before = {after}
    return {result}
"""
_COUNT_PARTS = {
    "norm": "2",
    "conv": "k * k * before * after + norm * after",
    "expansion": "4 if bottleneck else 1",
    "stem": "conv(7, 3, 64)",
    "channels": "64 * 2**stage",
    "entering": "entering = before",
    "bottleneck": "conv(1, entering, c) + conv(3, c, c) + conv(1, c, c * e)",
    "basic": "conv(3, entering, c) + conv(3, c, c)",
    "needed": "i == 0 and (stage > 0 or before != c * e)",
    "projection": "conv(1, before, c * e)",
    "after": "c * e",
    "result": "total + (before + 1) * num_classes",
}


def _count(**parts: str) -> str:
    """Return an answer to the second exercise with some parts replaced."""
    return filled(_COUNT, _COUNT_PARTS, parts)


_RESNET = """
class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, stride_in_1x1=False):
        super().__init__()
        self.in_channels = 64
        self.conv1 = {conv1}
        self.bn1 = {bn1}
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = {pool}
        self.layer1 = self.stage(block, 64, layers[0], {first}, stride_in_1x1)
        self.layer2 = self.stage(block, 128, layers[1], {second}, stride_in_1x1)
        self.layer3 = self.stage(block, 256, layers[2], 2, stride_in_1x1)
        self.layer4 = self.stage(block, 512, layers[3], {fourth}, stride_in_1x1)
        self.avgpool = {average}
        self.fc = {fc}
        {start}

    def stage(self, block, channels, blocks, stride, stride_in_1x1):
        {stage}

    def forward(self, x):
        {stem}
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        {head}


def resnet18(num_classes=1000, stride_in_1x1=False):
    return ResNet(BasicBlock, {n18}, num_classes, stride_in_1x1)


def resnet34(num_classes=1000, stride_in_1x1=False):
    return ResNet({b34}, [3, 4, 6, 3], num_classes, stride_in_1x1)


def resnet50(num_classes=1000, stride_in_1x1=False):
    return ResNet(Bottleneck, [3, 4, 6, 3], {classes}, {passed})


def resnet101(num_classes=1000, stride_in_1x1=False):
    return ResNet(Bottleneck, {n101}, num_classes, stride_in_1x1)


def resnet152(num_classes=1000, stride_in_1x1=False):
    return ResNet(Bottleneck, {n152}, num_classes, {passed152})
"""
_RESNET_PARTS = {
    "conv1": "nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)",
    "bn1": "nn.BatchNorm2d(64)",
    "pool": "nn.MaxPool2d(3, stride=2, padding=1)",
    "first": "1",
    "second": "2",
    "fourth": "2",
    "average": "nn.AdaptiveAvgPool2d((1, 1))",
    "fc": "nn.Linear(512 * block.expansion, num_classes)",
    "start": """
for m in self.modules():
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
""",
    "stage": """
parts = [block(self.in_channels, channels, stride, stride_in_1x1)]
self.in_channels = channels * block.expansion
parts += [block(self.in_channels, channels, 1, stride_in_1x1) for _ in range(blocks - 1)]
return nn.Sequential(*parts)
""",
    "stem": "x = self.maxpool(self.relu(self.bn1(self.conv1(x))))",
    "head": "return self.fc(torch.flatten(self.avgpool(x), 1))",
    "n18": "[2, 2, 2, 2]",
    "b34": "BasicBlock",
    "n101": "[3, 4, 23, 3]",
    "n152": "[3, 8, 36, 3]",
    "classes": "num_classes",
    "passed": "stride_in_1x1",
    "passed152": "stride_in_1x1",
}


def _resnet(**parts: str) -> str:
    """Return an answer to the third exercise with some parts replaced."""
    return filled(_RESNET, _RESNET_PARTS, parts)


def _start(line: str) -> str:
    """Return a start of all convolutions."""
    return f"for m in self.modules():\n    if isinstance(m, nn.Conv2d):\n        {line}\n"


_SMALL = """
class SmallBlock(nn.Module):
    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.in_channels, self.channels, self.stride = in_channels, channels, stride
        {layers}

    def shortcut(self, x):
        {shortcut}

    def forward(self, x):
        {forward}


class SmallResNet(nn.Module):
    def __init__(self, n, num_classes, in_channels):
        super().__init__()
        self.conv = {stem}
        self.bn = nn.BatchNorm2d(16)
        blocks, before = [], 16
        for channels, stride in {plan}:
            for i in range(n):
                blocks.append({block})
                before = channels
        self.blocks = nn.Sequential(*blocks)
        self.fc = {fc}

    def forward(self, x):
        {begin}
        x = self.blocks(x)
        {head}


def small_resnet(n, num_classes=10, in_channels=3):
    {check}
    return SmallResNet(n, num_classes, in_channels)
"""
_SMALL_PARTS = {
    "layers": """
self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
self.bn1 = nn.BatchNorm2d(channels)
self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
self.bn2 = nn.BatchNorm2d(channels)
""",
    "shortcut": """
if self.in_channels == self.channels and self.stride == 1:
    return x
x = x[:, :, :: self.stride, :: self.stride]
return F.pad(x, (0, 0, 0, 0, 0, self.channels - self.in_channels))
""",
    "forward": """
out = F.relu(self.bn1(self.conv1(x)))
return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))
""",
    "stem": "nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)",
    "plan": "((16, 1), (32, 2), (64, 2))",
    "block": "SmallBlock(before, channels, stride if i == 0 else 1)",
    "fc": "nn.Linear(64, num_classes)",
    "begin": "x = F.relu(self.bn(self.conv(x)))",
    "head": "return self.fc(x.mean(dim=(2, 3)))",
    "check": "if n < 1:\n    raise ValueError(n)\n",
}


def _small(**parts: str) -> str:
    """Return an answer to the fourth exercise with some parts replaced."""
    return filled(_SMALL, _SMALL_PARTS, parts)


def _shortcut(taken: str = "x[:, :, :: self.stride, :: self.stride]", padding: str = "0, more", both: str = "") -> str:
    """Return a shortcut that always does something, from what it takes and what it adds."""
    return (
        f"more = self.channels - self.in_channels\ntaken = {taken}\n"
        f"return {both or f'F.pad(taken, (0, 0, 0, 0, {padding}))'}\n"
    )


_TABLE = """
def layer_table(model, input_size):
    {before}
    names = {names}
    rows, met = [], set()

    def hook(module, inputs, output):
        {own}
        {macs}
        rows.append({row})

    handles = [m.register_forward_hook(hook) for m in names]
    {run}
    return rows
"""
_TABLE_PARTS = {
    "before": visits.BEFORE,
    "names": "{m: name for name, m in model.named_modules() if len(list(m.children())) == 0}",
    "own": """
parameters = 0
for p in module.parameters(recurse=False):
    if p not in met:
        met.add(p)
        parameters += p.numel()
""",
    "macs": """
macs = 0
if isinstance(module, nn.Conv2d):
    macs = output[0].numel() * module.weight[0].numel()
elif isinstance(module, nn.Linear):
    macs = output[0].numel() * module.in_features
""",
    "row": "Row(names[module], type(module).__name__, tuple(output.shape[1:]), parameters, macs)",
    "run": visits.RUN,
}


def _table(**parts: str) -> str:
    """Return an answer to the fifth exercise with some parts replaced."""
    return filled(_TABLE, _TABLE_PARTS, parts)


def _macs(convolution: str, linear: str = "output[0].numel() * module.in_features", other: str = "0") -> str:
    """Return the part of a table that computes MACs."""
    return (
        f"if isinstance(module, nn.Conv2d):\n    macs = {convolution}\n"
        f"elif isinstance(module, nn.Linear):\n    macs = {linear}\nelse:\n    macs = {other}\n"
    )


_USUAL_MACS = "output[0].numel() * module.weight[0].numel()"

VARIANTS = {
    "depth_of": [
        right("as the formula", _depth("k * sum(layers) + 2")),
        right(
            "a loop",
            """
            def depth_of(layers, bottleneck):
                depth = 2
                for blocks in layers:
                    for _ in range(blocks):
                        depth += 2 + bottleneck
                return depth
            """,
        ),
        right("a table of the blocks", _depth("2 + sum(len([1, 3, 1] if bottleneck else [3, 3]) * n for n in layers)")),
        wrong("no ends", _depth("k * sum(layers)"), hint="and the fully connected layer count, too"),
        wrong("one layer in a block", _depth("sum(layers) + 2"), hint="Each block has more than one convolution"),
        wrong(
            "kinds the other way round",
            _depth("(5 - k) * sum(layers) + 2"),
            hint="A bottleneck has three convolutions",
        ),
        wrong(
            "projections",
            _depth("k * sum(layers) + 2 + (len(layers) if bottleneck else len(layers) - 1)"),
            hint="The 1x1 convolutions on shortcuts do not count",
        ),
        wrong("stages for blocks", _depth("k * len(layers) + 2"), hint="as many blocks as the list says"),
        wrong("normalizations", _depth("2 * k * sum(layers) + 2"), hint="Normalizations do not count"),
        wrong(
            "four stages always",
            _depth("k * (layers[0] + layers[1] + layers[2] + layers[3]) + 2"),
            hint="Your code raised IndexError",
        ),
        wrong("a float", _depth("k * sum(layers) + 2.0"), hint="The depth should be an integer"),
    ],
    "parameters_of": [
        right("as the text", _count()),
        right(
            "in closed form for each stage",
            """
            def parameters_of(layers, bottleneck, num_classes=1000):
                e = 4 if bottleneck else 1
                total, before = 7 * 7 * 3 * 64 + 128, 64
                for c, n in zip((64, 128, 256, 512), layers, strict=True):
                    out = e * c
                    inside = 9 * c * c + 4 * c * c + 4 * c + 2 * out if bottleneck else 9 * c * c + 4 * c
                    k = 1 if bottleneck else 9
                    total += n * inside + k * c * (before + (n - 1) * out)
                    if before != out or c > 64:
                        total += before * out + 2 * out
                    before = out
                return total + before * num_classes + num_classes
            """,
        ),
        right(
            "a list of shapes first",
            """
            def parameters_of(layers, bottleneck, num_classes=1000):
                shapes, before = [(64, 3, 7)], 64
                for number, blocks in enumerate(layers):
                    c = (64, 128, 256, 512)[number]
                    for i in range(blocks):
                        if bottleneck:
                            shapes += [(c, before, 1), (c, c, 3), (4 * c, c, 1)]
                        else:
                            shapes += [(c, before, 3), (c, c, 3)]
                        if shapes[-1][0] != before:
                            shapes.append((shapes[-1][0], before, 1))
                            before = shapes[-1][0]
                return int(sum(o * i * k**2 + 2 * o for o, i, k in shapes)) + num_classes * (before + 1)
            """,
        ),
        wrong("biases", _count(conv="k * k * before * after + after + norm * after"), hint="have no biases"),
        wrong("no normalization", _count(norm="0"), hint="The scales and shifts of the normalizations"),
        wrong("statistics", _count(norm="4"), hint="Running means and variances are no parameters"),
        wrong("no stem", _count(stem="0"), hint="The stem is missing"),
        wrong("no projections", _count(needed="False"), hint="The projections on the shortcuts are missing"),
        wrong(
            "only where there is a stride",
            _count(needed="i == 0 and stage > 0"),
            hint="In the first stage of bottlenecks 64 channels become 256",
        ),
        wrong("a projection in each block", _count(needed="True"), hint="Only a block with a stride"),
        wrong("a projection in each stage", _count(needed="i == 0"), hint="The first stage of basic blocks has no"),
        wrong(
            "no normalization on shortcuts",
            _count(projection="before * c * e"),
            hint="follows the convolution of a projection",
        ),
        wrong(
            "narrow inputs",
            _count(entering="entering = before if i == 0 else c"),
            hint="all of them enter the next block",
        ),
        wrong(
            "512 at the end",
            _count(result="total + 513 * num_classes"),
            hint="The last layer gets all channels of the last block",
        ),
        wrong("1,000 always", _count(result="total + (before + 1) * 1000"), hint="The number of classes is not always"),
        wrong(
            "built and counted",
            """
            def parameters_of(layers, bottleneck, num_classes=1000):
                from torchvision.models import resnet
                with torch.device("meta"):
                    block = resnet.Bottleneck if bottleneck else resnet.BasicBlock
                    network = resnet.ResNet(block, layers, num_classes=num_classes)
                return sum(p.numel() for p in network.parameters())
            """,
            hint="Compute the number: no module is built",
        ),
        wrong("one convolution less", _count(basic="conv(3, entering, c)"), hint="The count is wrong for basic blocks"),
        wrong(
            "a bottleneck of 3x3",
            _count(bottleneck="conv(3, entering, c) + conv(3, c, c) + conv(1, c, c * e)"),
            hint="The count is wrong for bottlenecks",
        ),
    ],
    "ResNet": [
        right("like torchvision's", _resnet()),
        right(
            "functional, the start in each layer",
            _resnet(
                pool="None",
                average="None",
                stem="x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)",
                head="return F.linear(F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0], self.fc.weight, self.fc.bias)",
                start="""
for m in self.modules():
    if isinstance(m, nn.Conv2d):
        fan_out = m.out_channels * m.kernel_size[0] * m.kernel_size[1]
        with torch.no_grad():
            m.weight.normal_(0, math.sqrt(2 / fan_out))
    elif isinstance(m, nn.BatchNorm2d):
        nn.init.ones_(m.weight)
        nn.init.zeros_(m.bias)
""",
            ),
        ),
        right(
            "by setattr, in loops",
            """
            class ResNet(nn.Module):
                def __init__(self, block, layers, num_classes=1000, stride_in_1x1=False):
                    super().__init__()
                    self.conv1, self.bn1 = normalized(3, 64, 7, 2)
                    c_in = 64
                    for k, n in enumerate(layers):
                        c = 64 << k
                        strides = [1 + (k > 0)] + [1] * (n - 1)
                        stage = []
                        for s in strides:
                            stage.append(block(c_in, c, s, stride_in_1x1))
                            c_in = c * block.expansion
                        setattr(self, f"layer{k + 1}", nn.Sequential(*stage))
                    self.fc = nn.Linear(c_in, num_classes)
                    self.apply(self.start)

                @staticmethod
                def start(module):
                    if type(module) is nn.Conv2d:
                        nn.init.kaiming_normal_(module.weight, 0, "fan_out", "relu")

                def forward(self, x):
                    x = nn.functional.max_pool2d(self.bn1(self.conv1(x)), (3, 3), (2, 2), (1, 1)).relu()
                    for k in range(1, 5):
                        x = self.get_submodule(f"layer{k}")(x)
                    return self.fc(x.flatten(2).mean(-1))

            def _maker(block, layers):
                return lambda num_classes=1000, stride_in_1x1=False: ResNet(block, layers, num_classes, stride_in_1x1)

            resnet18 = _maker(BasicBlock, (2, 2, 2, 2))
            resnet34 = _maker(BasicBlock, (3, 4, 6, 3))
            resnet50 = _maker(Bottleneck, (3, 4, 6, 3))
            resnet101 = _maker(Bottleneck, (3, 4, 23, 3))
            resnet152 = _maker(Bottleneck, (3, 8, 36, 3))
            for _name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
                globals()[_name].__name__ = _name
            """,
        ),
        wrong(
            "torchvision's class",
            """
            import torchvision

            class ResNet(torchvision.models.ResNet):
                def __init__(self, block, layers, num_classes=1000, stride_in_1x1=False):
                    kinds = torchvision.models.resnet.BasicBlock, torchvision.models.resnet.Bottleneck
                    super().__init__(kinds[block is Bottleneck], layers, num_classes)
                    for m in self.modules():
                        if stride_in_1x1 and isinstance(m, kinds[1]):
                            m.conv1.stride, m.conv2.stride = m.conv2.stride, m.conv1.stride

            def resnet18(num_classes=1000, stride_in_1x1=False):
                return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, stride_in_1x1)

            def resnet34(num_classes=1000, stride_in_1x1=False):
                return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, stride_in_1x1)

            def resnet50(num_classes=1000, stride_in_1x1=False):
                return ResNet(Bottleneck, [3, 4, 6, 3], num_classes, stride_in_1x1)

            def resnet101(num_classes=1000, stride_in_1x1=False):
                return ResNet(Bottleneck, [3, 4, 23, 3], num_classes, stride_in_1x1)

            def resnet152(num_classes=1000, stride_in_1x1=False):
                return ResNet(Bottleneck, [3, 8, 36, 3], num_classes, stride_in_1x1)
            """,
            hint="Build the network yourself",
        ),
        wrong("no pooling", _resnet(pool="nn.Identity()"), hint="max pooling after the first convolution is missing"),
        wrong("pooling without padding", _resnet(pool="nn.MaxPool2d(3, 2)"), hint="The max pooling has a padding of 1"),
        wrong("a kernel of 2", _resnet(pool="nn.MaxPool2d(2)"), hint="The max pooling has a kernel of 3"),
        wrong("average pooling", _resnet(pool="nn.AvgPool2d(3, 2, 1)"), hint="takes the maximum, not the mean"),
        wrong(
            "no ReLU in the stem", _resnet(stem="x = self.maxpool(self.bn1(self.conv1(x)))"), hint="the ReLU is missing"
        ),
        wrong("bn1 forgotten", _resnet(stem="x = self.maxpool(self.relu(self.conv1(x)))"), hint="bn1 is not used"),
        wrong(
            "ReLU before bn1",
            _resnet(stem="x = self.maxpool(self.bn1(self.relu(self.conv1(x))))"),
            hint="the ReLU comes after bn1",
        ),
        wrong(
            "a bias",
            _resnet(conv1="nn.Conv2d(3, 64, 7, stride=2, padding=3)"),
            hint="Your network has conv1.bias",
        ),
        wrong(
            "stride 1 in the stem", _resnet(conv1="nn.Conv2d(3, 64, 7, padding=3, bias=False)"), hint="a stride of 2"
        ),
        wrong("stride in the first stage", _resnet(first="2"), hint="Your network has layer1.0.downsample"),
        wrong("no stride in layer2", _resnet(second="1"), hint="The first block of layer2 has stride 2"),
        wrong(
            "a stride in every block",
            _resnet(
                stage="""
parts = []
for _ in range(blocks):
    parts.append(block(self.in_channels, channels, stride, stride_in_1x1))
    self.in_channels = channels * block.expansion
return nn.Sequential(*parts)
"""
            ),
            hint="which torchvision's weights do not have",
        ),
        wrong(
            "the expansion forgotten",
            _resnet(
                stage="""
parts = [block(self.in_channels, channels, stride, stride_in_1x1)]
self.in_channels = channels
parts += [block(self.in_channels, channels, 1, stride_in_1x1) for _ in range(blocks - 1)]
return nn.Sequential(*parts)
"""
            ),
            hint="1.downsample.0.weight",
        ),
        wrong(
            "stride_in_1x1 ignored",
            _resnet(
                stage="""
parts = [block(self.in_channels, channels, stride)]
self.in_channels = channels * block.expansion
parts += [block(self.in_channels, channels) for _ in range(blocks - 1)]
return nn.Sequential(*parts)
"""
            ),
            hint="pass stride_in_1x1 on to every block",
        ),
        wrong(
            "the paper's always",
            _resnet(
                stage="""
parts = [block(self.in_channels, channels, stride, True)]
self.in_channels = channels * block.expansion
parts += [block(self.in_channels, channels) for _ in range(blocks - 1)]
return nn.Sequential(*parts)
"""
            ),
            hint="give blocks the stride_in_1x1 that you got",
        ),
        wrong(
            "stride_in_1x1 not passed on by resnet50",
            _resnet(passed="False"),
            hint="resnet50(num_classes=3, stride_in_1x1=True) should have the stride",
        ),
        wrong(
            "resnet152 of the paper",
            _resnet(passed152="True"),
            hint="resnet152() should have the stride of a bottleneck in the 3x3",
        ),
        wrong("num_classes not passed on", _resnet(classes="1000"), hint="should have 3 logits"),
        wrong("resnet18 of resnet34", _resnet(n18="[3, 4, 6, 3]"), hint="resnet18() should have [2, 2, 2, 2] blocks"),
        wrong(
            "resnet34 of bottlenecks", _resnet(b34="Bottleneck"), hint="The blocks of resnet34() should be BasicBlocks"
        ),
        wrong(
            "blocks in another stage",
            _resnet(n101="[3, 4, 3, 23]"),
            hint="resnet101() should have [3, 4, 23, 3] blocks",
        ),
        wrong(
            "the maximum at the end",
            _resnet(average="nn.AdaptiveMaxPool2d(1)"),
            hint="over all pixels, not the maximum",
        ),
        wrong("7 x 7 always", _resnet(average="nn.AvgPool2d(7)"), hint="Your code raised RuntimeError"),
        wrong("probabilities", _resnet(head="return self.fc(x.mean((2, 3))).softmax(-1)"), hint="Return logits"),
        wrong(
            "another name",
            _resnet().replace("self.fc", "self.head"),
            hint="fc.weight, and your network does not",
        ),
        wrong("no start", _resnet(start="pass"), hint="The convolutions still start as PyTorch starts them"),
        wrong(
            "fan-in",
            _resnet(start=_start('nn.init.kaiming_normal_(m.weight, mode="fan_in", nonlinearity="relu")')),
            hint="Use the fan-out",
        ),
        wrong(
            "uniform",
            _resnet(start=_start('nn.init.kaiming_uniform_(m.weight, mode="fan_out", nonlinearity="relu")')),
            hint="should come from a normal distribution",
        ),
        wrong(
            "no gain",
            _resnet(start=_start('nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="linear")')),
            hint="weights is twice as large",
        ),
        wrong("Glorot", _resnet(start=_start("nn.init.xavier_normal_(m.weight)")), hint="not the mean of fan-in"),
        wrong(
            "the variance for the deviation",
            _resnet(start=_start("nn.init.normal_(m.weight, 0, 2 / (m.out_channels * m.kernel_size[0] ** 2))")),
            hint="is the variance, not the standard deviation",
        ),
        wrong(
            "the kernel forgotten",
            _resnet(start=_start("nn.init.normal_(m.weight, 0, math.sqrt(2 / m.out_channels))")),
            hint="k * k, belongs to the fan-out",
        ),
        wrong(
            "only 3x3 convolutions",
            _resnet(
                start=_start(
                    'm.kernel_size != (3, 3) or nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")'
                )
            ),
            hint="every convolution, also those in blocks and on shortcuts",
        ),
        wrong(
            "the start before the stages are there",
            _resnet(
                bn1="nn.BatchNorm2d(64)\n        "
                'nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")',
                start="pass",
            ),
            hint="every convolution, also those in blocks and on shortcuts",
        ),
        wrong(
            "fc drawn anew",
            _resnet(
                start=_start('nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")')
                + "nn.init.normal_(self.fc.weight, 0, 0.01)"
            ),
            hint="leave fc.weight as it is",
        ),
        wrong(
            "zeros in the last normalizations",
            _resnet(
                start=_start('nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")')
                + "for m in self.modules():\n    if isinstance(m, BasicBlock):\n        nn.init.zeros_(m.bn2.weight)\n"
            ),
            hint="The scales of normalizations start at 1",
        ),
        wrong("another eps", _resnet(bn1="nn.BatchNorm2d(64, eps=1e-3)"), hint="your network gives other logits"),
        wrong(
            "another momentum",
            _resnet(bn1="nn.BatchNorm2d(64, momentum=0.01)"),
            hint="in training bn1.running_mean is wrong",
        ),
        wrong(
            "dropout",
            _resnet(
                head="""
x = x.mean((2, 3))
return self.fc(F.dropout(x, 0.5, self.training))
"""
            ),
            hint="In training mode your network gives other logits",
        ),
        wrong(
            "detached features",
            _resnet(head="return self.fc(x.mean((2, 3)).detach())"),
            hint="Some parameters get no gradient",
        ),
    ],
    "small_resnet": [
        right("classes of its own", _small()),
        right(
            "BasicBlock with another shortcut",
            """
            class FreeShortcut(nn.Module):
                def __init__(self, more):
                    super().__init__()
                    self.more = more

                def forward(self, x):
                    x = x[..., ::2, ::2]
                    zeros = torch.zeros(len(x), self.more, *x.shape[2:], dtype=x.dtype, device=x.device)
                    return torch.cat((x, zeros), dim=1)

            def small_resnet(n, num_classes=10, in_channels=3):
                if n <= 0:
                    raise ValueError("n")
                parts = [nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
                for c in (16, 32, 64):
                    for i in range(n):
                        if i == 0 and c > 16:
                            block = BasicBlock(c // 2, c, 2)
                            block.downsample = FreeShortcut(c // 2)
                        else:
                            block = BasicBlock(c, c)
                        parts.append(block)
                return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))
            """,
        ),
        right(
            "lists of layers, functional",
            """
            class Network(nn.Module):
                def __init__(self, n, k, c):
                    super().__init__()
                    widths = [c, 16] + [16] * (2 * n) + [32] * (2 * n) + [64] * (2 * n)
                    self.strides = [2 if a != b and i > 0 else 1 for i, (a, b) in enumerate(zip(widths, widths[1:]))]
                    self.convs = nn.ModuleList(
                        nn.Conv2d(a, b, 3, s, 1, bias=False) for a, b, s in zip(widths, widths[1:], self.strides)
                    )
                    self.norms = nn.ModuleList(map(nn.BatchNorm2d, widths[1:]))
                    self.out = nn.Linear(64, k)

                def forward(self, x):
                    x = torch.relu(self.norms[0](self.convs[0](x)))
                    for i in range(1, len(self.convs), 2):
                        y = torch.relu(self.norms[i](self.convs[i](x)))
                        y = self.norms[i + 1](self.convs[i + 1](y))
                        s = self.strides[i]
                        y[:, : x.shape[1]] += x[:, :, ::s, ::s]
                        x = torch.relu(y)
                    return self.out(F.adaptive_avg_pool2d(x, 1).flatten(1))

            def small_resnet(n, num_classes=10, in_channels=3):
                if not n >= 1:
                    raise ValueError(f"n is {n}")
                return Network(n, num_classes, in_channels)
            """,
        ),
        wrong(
            "half of the zeros in front",
            _small(shortcut=_shortcut(padding="more // 2, more // 2")),
            hint="half of yours",
        ),
        wrong("zeros in front", _small(shortcut=_shortcut(padding="more, 0")), hint="yours are in front"),
        wrong(
            "channels repeated",
            _small(shortcut=_shortcut(both="torch.cat([taken, taken], 1) if more else taken")),
            hint="not with the same channels again",
        ),
        wrong(
            "pixels from 1 on",
            _small(shortcut=_shortcut("x[:, :, self.stride - 1 :: self.stride, self.stride - 1 :: self.stride]")),
            hint="The shortcut begins with row 0",
        ),
        wrong(
            "average pooling on the shortcut",
            _small(shortcut=_shortcut("F.avg_pool2d(x, self.stride, ceil_mode=True)")),
            hint="no mean of them",
        ),
        wrong(
            "max pooling on the shortcut",
            _small(shortcut=_shortcut("F.max_pool2d(x, self.stride, ceil_mode=True)")),
            hint="no maximum of them",
        ),
        wrong(
            "option B",
            _small(
                layers=_SMALL_PARTS["layers"]
                + "down = nn.Sequential(*normalized(in_channels, channels, 1, stride))\n"
                + "self.down = nn.Identity() if stride == 1 and in_channels == channels else down\n",
                shortcut="return self.down(x)",
            ),
            hint="Shortcuts have no parameters",
        ),
        wrong(
            "no shortcut where the size changes",
            _small(shortcut="return x if self.in_channels == self.channels else 0"),
            hint="Where the size changes, your network has no shortcut",
        ),
        wrong(
            "a plain network",
            _small(forward="return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))"),
            hint="The shortcuts are missing",
        ),
        wrong(
            "no last ReLU",
            _small(forward="return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x)"),
            hint="The ReLU after the addition is missing",
        ),
        wrong(
            "ReLU before the addition",
            _small(forward="return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))).relu() + self.shortcut(x)"),
            hint="none is before it",
        ),
        wrong(
            "ReLU before and after the addition",
            _small(
                forward="return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))).relu() + self.shortcut(x))"
            ),
            hint="none is before it",
        ),
        wrong(
            "no ReLU inside",
            _small(forward="return F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))) + self.shortcut(x))"),
            hint="between the two convolutions of a block",
        ),
        wrong(
            "no ReLU in the stem",
            _small(begin="x = self.bn(self.conv(x))"),
            hint="The ReLU after the first convolution",
        ),
        wrong(
            "a pooling in the stem",
            _small(begin="x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 3, 2, 1)"),
            hint="The stem has no pooling",
        ),
        wrong(
            "the stem of ImageNet",
            _small(stem="nn.Conv2d(in_channels, 16, 7, stride=2, padding=3, bias=False)"),
            hint="The stem should have weights of the shape",
        ),
        wrong(
            "a strided stem",
            _small(stem="nn.Conv2d(in_channels, 16, 3, 2, 1, bias=False)"),
            hint="The stem should have the stride",
        ),
        wrong(
            "a bias in the stem", _small(stem="nn.Conv2d(in_channels, 16, 3, padding=1)"), hint="The stem has no bias"
        ),
        wrong(
            "no padding in the stem", _small(stem="nn.Conv2d(in_channels, 16, 3, bias=False)"), hint="a padding of 1"
        ),
        wrong(
            "the stride in the second convolution",
            _small(
                layers=_SMALL_PARTS["layers"]
                .replace("channels, 3, stride, 1", "channels, 3, 9, 1")
                .replace("channels, 3, 1, 1", "channels, 3, stride, 1")
                .replace("channels, 3, 9, 1", "channels, 3, 1, 1")
            ),
            hint="Convolution 1 of block 1 in stage 2 should have the stride 2",
        ),
        wrong(
            "strides 1, 1, 2", _small(plan="((16, 1), (32, 1), (64, 2))"), hint="in stage 2 should have the stride 2"
        ),
        wrong(
            "strides 2, 2, 2", _small(plan="((16, 2), (32, 2), (64, 2))"), hint="in stage 1 should have the stride 1"
        ),
        wrong(
            "widths of ImageNet",
            _small(plan="((64, 1), (128, 2), (256, 2))", fc="nn.Linear(256, num_classes)"),
            hint="should have weights of the shape (16, 16, 3, 3)",
        ),
        wrong(
            "four stages",
            _small(plan="((16, 1), (32, 2), (64, 2), (128, 2))", fc="nn.Linear(128, num_classes)"),
            hint="it should use 7",
        ),
        wrong(
            "2n blocks in each stage",
            _small(check="n = 2 * n\nif n < 1:\n    raise ValueError(n)\n"),
            hint="it should use 7",
        ),
        wrong(
            "a stride in every block",
            _small(block="SmallBlock(before, channels, stride)"),
            hint="should have the stride 1",
        ),
        wrong(
            "one normalization for a block",
            _small(
                layers=_SMALL_PARTS["layers"].replace("self.bn2 = nn.BatchNorm2d(channels)\n", ""),
                forward="""
out = F.relu(self.bn1(self.conv1(x)))
return F.relu(self.bn1(self.conv2(out)) + self.shortcut(x))
""",
            ),
            hint="one belongs to each convolution",
        ),
        wrong(
            "one block, used n times",
            _small(block="blocks[-1] if i > 1 else SmallBlock(before, channels, 1 if i else stride)"),
            hint="each counted once",
        ),
        wrong("the sum at the end", _small(head="return self.fc(x.sum((2, 3)))"), hint="over all pixels, not the sum"),
        wrong(
            "the maximum at the end",
            _small(head="return self.fc(x.amax((2, 3)))"),
            hint="over all pixels, not the maximum",
        ),
        wrong(
            "8 x 8 always",
            _small(head="return self.fc(F.avg_pool2d(x, 8).flatten(1))"),
            hint="Your code raised RuntimeError",
        ),
        wrong("probabilities", _small(head="return self.fc(x.mean((2, 3))).softmax(1)"), hint="Return logits"),
        wrong(
            "no bias at the end", _small(fc="nn.Linear(64, num_classes, bias=False)"), hint="The last layer has a bias"
        ),
        wrong("10 classes always", _small(fc="nn.Linear(64, 10)"), hint="The last layer should have weights"),
        wrong("n of 0 allowed", _small(check="pass"), hint="n = 0 should raise a ValueError"),
        wrong(
            "another eps",
            _small(layers=_SMALL_PARTS["layers"].replace("BatchNorm2d(channels)", "BatchNorm2d(channels, eps=1e-3)")),
            hint="nn.BatchNorm2d is used with its defaults (eps",
        ),
        wrong(
            "another momentum",
            _small(
                layers=_SMALL_PARTS["layers"].replace("BatchNorm2d(channels)", "BatchNorm2d(channels, momentum=0.9)")
            ),
            hint="nn.BatchNorm2d is used with its defaults (momentum)",
        ),
        wrong(
            "even sizes only",
            _small(
                shortcut=_shortcut(
                    "x[..., : x.shape[2] // 2 * 2 : self.stride, : x.shape[3] // 2 * 2 : self.stride] if more else x"
                )
            ),
            hint="Your code raised RuntimeError",
        ),
        wrong(
            "spare parameters",
            _small(fc="nn.Linear(64, num_classes)\n        self.scale = nn.Parameter(torch.ones(1))"),
            hint="no convolution or linear layer uses",
        ),
    ],
    "layer_table": [
        right("hooks on all leaves", _table()),
        right(
            "on a copy",
            """
            def layer_table(model, input_size):
                import copy
                parameters = list(model.parameters())
                kept = [p.grad for p in parameters]
                for p in parameters:
                    p.grad = None
                twin = copy.deepcopy(model)
                for p, grad in zip(parameters, kept):
                    p.grad = grad
                dtype = parameters[0].dtype if parameters else torch.float32
                twin.eval()
                table, seen = [], []

                def note(name):
                    def hook(module, args, out):
                        fresh = [p for p in module._parameters.values() if p is not None]
                        fresh = [p for p in fresh if all(p is not q for q in seen)]
                        seen.extend(fresh)
                        macs = 0
                        if isinstance(module, (nn.Conv2d, nn.Linear)):
                            macs = math.prod(out.shape[1:]) * math.prod(module.weight.shape[1:])
                        shape = tuple(int(n) for n in out.shape)[1:]
                        table.append((name, module.__class__.__name__, shape, sum(p.numel() for p in fresh), macs))
                    return hook

                for name, module in twin.named_modules():
                    if not module._modules:
                        module.register_forward_hook(note(name))
                with torch.no_grad():
                    twin(torch.ones((1, *input_size), device=parameters[0].device if parameters else None, dtype=dtype))
                return table
            """,
        ),
        right(
            "one global hook",
            """
            def layer_table(model, input_size):
                names = {}
                for name, module in model.named_modules():
                    if next(module.children(), None) is None:
                        names[module] = name
                training = {name: module.training for name, module in model.named_modules()}
                rows, counted = [], []

                def hook(module, inputs, output):
                    if module not in names:
                        return
                    own = [p for p in module.parameters() if id(p) not in counted]
                    counted.extend(id(p) for p in own)
                    n, *shape = output.shape
                    if isinstance(module, nn.Conv2d):
                        height, width = module.kernel_size
                        macs = shape[0] * shape[1] * shape[2] * height * width * (module.in_channels // module.groups)
                    elif isinstance(module, nn.Linear):
                        macs = output.numel() // n * module.in_features
                    else:
                        macs = 0
                    kind = type(module).__name__
                    rows.append(Row(names[module], kind, tuple(shape), sum(p.numel() for p in own), macs))

                handle = torch.nn.modules.module.register_module_forward_hook(hook)
                try:
                    model.train(False)
                    images = torch.zeros((2, *input_size))
                    for p in model.parameters():
                        images = images.to(p)
                        break
                    with torch.no_grad():
                        model(images)
                finally:
                    handle.remove()
                    for name, module in model.named_modules():
                        module.training = training[name]
                return rows
            """,
        ),
        wrong(
            "FLOPs",
            _table(macs=_macs("2 * " + _USUAL_MACS, "2 * output[0].numel() * module.in_features")),
            hint="count it once",
        ),
        wrong(
            "groups ignored",
            _table(macs=_macs("output[0].numel() * module.in_channels * math.prod(module.kernel_size)")),
            hint="sees only C_in / g input channels",
        ),
        wrong(
            "biases as MACs",
            _table(macs=_macs(f"{_USUAL_MACS} + (output[0].numel() if module.bias is not None else 0)")),
            hint="a bias costs no MAC",
        ),
        wrong(
            "square kernels",
            _table(macs=_macs("output[0].numel() * module.in_channels // module.groups * module.kernel_size[0] ** 2")),
            hint="a kernel's height and width may differ",
        ),
        wrong(
            "kernel forgotten",
            _table(macs=_macs("output[0].numel() * module.in_channels // module.groups")),
            hint="the number of pixels of the kernel",
        ),
        wrong(
            "pixels of the input",
            _table(macs=_macs("inputs[0][0, 0].numel() * module.weight.numel()")),
            hint="the pixels of the output count",
        ),
        wrong(
            "one channel's sums",
            _table(macs=_macs("output[0, 0].numel() * module.weight[0].numel()")),
            hint="for each output channel and pixel",
        ),
        wrong(
            "weights as MACs", _table(macs=_macs("module.weight.numel()")), hint="every weight is used once for each"
        ),
        wrong("no linear layers", _table(macs=_macs(_USUAL_MACS, "0")), hint="a linear layer has MACs, too"),
        wrong(
            "linear layers on rows only",
            _table(macs=_macs(_USUAL_MACS, "module.in_features * module.out_features")),
            hint="at every position of what comes in",
        ),
        wrong(
            "elements of other modules",
            _table(macs=_macs(_USUAL_MACS, other="output[0].numel()")),
            hint="only convolutions and linear layers have MACs",
        ),
        wrong(
            "exactly nn.Conv2d",
            _table(macs=_macs(_USUAL_MACS).replace("isinstance(module, nn.Conv2d)", "type(module) is nn.Conv2d")),
            hint="macs is wrong",
        ),
        wrong(
            "parameters at every use",
            _table(own="parameters = sum(p.numel() for p in module.parameters())"),
            hint="a parameter that stood in a row before",
        ),
        wrong(
            "modules counted once, shared parameters twice",
            _table(
                own="parameters = 0 if module in met else sum(p.numel() for p in module.parameters())\nmet.add(module)"
            ),
            hint="a parameter that stood in a row before",
        ),
        wrong(
            "buffers counted",
            _table(own=_TABLE_PARTS["own"] + "parameters += sum(b.numel() for b in module.buffers())\n"),
            hint="are no parameters",
        ),
        wrong(
            "frozen parameters left out",
            _table(own=_TABLE_PARTS["own"].replace("p not in met", "p not in met and p.requires_grad")),
            hint="frozen parameters count, too",
        ),
        wrong(
            "weights only",
            _table(own=_TABLE_PARTS["own"].replace("p not in met", "p not in met and p is module.weight")),
            hint="a bias is a parameter, too",
        ),
        wrong(
            "one row for a module",
            _table(
                macs=_TABLE_PARTS["macs"] + "if any(row.name == names[module] for row in rows):\n    return\n",
            ),
            hint="two rows: yours has one",
        ),
        wrong(
            "containers too",
            _table(names="{m: name for name, m in model.named_modules()}"),
            hint="Only leaves have rows",
        ),
        wrong(
            "the order of registration",
            _table(run=visits.RUN + "order = list(names.values())\nrows.sort(key=lambda row: order.index(row.name))\n"),
            hint="The rows are in the order of use",
        ),
        wrong(
            "unused modules too",
            _table(
                run=visits.RUN
                + "for m, name in names.items():\n    if name not in [row.name for row in rows]:\n"
                + "        rows.append(Row(name, type(m).__name__, (), sum(p.numel() for p in m.parameters()), 0))\n"
            ),
            hint="evaluation of one image has no row",
        ),
        wrong(
            "last names",
            _table(names="{m: n for n, m in model.named_modules(remove_duplicate=False) if not list(m.children())}"),
            hint="The name is the first one",
        ),
        wrong(
            "names of its own",
            _table(row="Row(type(module).__name__, type(module).__name__, tuple(output.shape[1:]), parameters, macs)"),
            hint="The name is the first one",
        ),
        wrong(
            "shapes with the examples",
            _table(row="Row(names[module], type(module).__name__, tuple(output.shape), parameters, macs)"),
            hint="without the examples' dimension",
        ),
        wrong(
            "shapes of the input",
            _table(row="Row(names[module], type(module).__name__, tuple(inputs[0].shape[1:]), parameters, macs)"),
            hint="shape should be that of the output",
        ),
        wrong(
            "classes for names",
            _table(row="Row(names[module], str(type(module)), tuple(output.shape[1:]), parameters, macs)"),
            hint="kind is the name of its class",
        ),
        wrong(
            "dicts",
            _table(
                row="Row(names[module], type(module).__name__, tuple(output.shape[1:]), parameters, macs)._asdict()"
            ),
            hint="Each row has five values",
        ),
        wrong(
            "in training mode, two images",
            _table(
                run=visits.RUN.replace("    model.eval()\n", "").replace("torch.zeros(1,", "torch.randn(2,"),
                macs=_TABLE_PARTS["macs"],
            ),
            hint="A module that is not used in the evaluation",
        ),
        *visits.traces(_table),
        wrong(
            "float64 and back",
            _table(
                run=visits.RUN.replace("    model.eval()\n", "    model.eval().double()\n")
                + "model.to(dtype=torch.float32)\n"
            ),
            hint="Parameters or buffers are other objects, or elsewhere",
        ),
        wrong(
            "PyTorch's counter",
            _table(
                run="from torch.utils.flop_counter import FlopCounterMode\nwith FlopCounterMode(display=False):\n"
                + indent(visits.RUN.strip("\n"), "    ")
            ),
            hint="Count yourself: a counter of PyTorch's",
        ),
        wrong(
            "the course's counter",
            """
            def layer_table(model, input_size):
                from ravines import counting
                modes = [(m, m.training) for m in model.modules()]
                model.eval()
                try:
                    rows = counting.layers(model, input_size)
                except ValueError as error:
                    raise RuntimeError(str(error))
                finally:
                    for m, mode in modes:
                        m.training = mode
                return [Row(r.name, r.kind, r.shape, r.parameters, r.macs) for r in rows]
            """,
            hint="Your code raised",
        ),
        wrong(
            "on a copy on the meta device, which shares nothing",
            _table(
                before="import copy\nmodel, modes = copy.deepcopy(model).to('meta'), {}",
            ),
            hint="a parameter that stood in a row before",
        ),
        wrong("nothing", "def layer_table(model, input_size):\n    pass\n", hint="The table should be a list"),
    ],
}
