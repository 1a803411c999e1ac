"""Right and wrong answers to the assignment `vgg`, on file for `autograde verify`."""

from autograde.variants import right, wrong


def _fill(code: str, usual: dict[str, str], parts: dict[str, str]) -> str:
    """Return the code with the usual parts, but for those that are given."""
    for name, part in {**usual, **parts}.items():
        code = code.replace("{" + name + "}", part)
    return code


def _field(**parts: str) -> str:
    """Return an answer to the first exercise with some lines replaced."""
    code = """
def receptive_field(layers):
    size, jump, start = 1, 1, 0.0
    for k, s, p, d in {layers}:
        size += {size}
        start += {start}
        jump {jump}
    return {result}
"""
    usual = {
        "layers": "layers",
        "size": "(k - 1) * d * jump",
        "start": "((k - 1) * d / 2 - p) * jump",
        "jump": "*= s",
        "result": "size, jump, start",
    }
    return _fill(code, usual, parts)


def _stack(
    stack: str = "depth * kernel**2 * channels**2",
    single: str = "whole**2 * channels**2",
    whole: str = "depth * (kernel - 1) + 1",
    check: str = "if channels < 1 or kernel < 1 or depth < 1:\n        raise ValueError('below 1')",
    result: str = "stack, single",
) -> str:
    """Return an answer to the second exercise."""
    return (
        f"def stack_parameters(channels, kernel, depth):\n    {check}\n    whole = {whole}\n"
        f"    stack, single = {stack}, {single}\n    return {result}\n"
    )


def _vgg(**parts: str) -> str:
    """Return an answer to the third exercise with some layers replaced."""
    code = """
CONFIGS = {
    "A": {a},
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": {d},
    "E": {e},
}


class VGG(nn.Module):
    def __init__(self, config, batch_norm=False, num_classes=1000, dropout=0.5):
        super().__init__()
        {check}
        layers, before = [], 3
        for entry in CONFIGS[config]:
            if entry == "M":
                layers.append({pool})
                continue
            layers += {block}
            before = entry
        self.features = nn.Sequential(*layers)
        self.avgpool = {average}
        self.classifier = nn.Sequential({classifier})
        {more}

    def forward(self, x):
        {forward}
"""
    usual = {
        "a": '[64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]',
        "d": '[64, 64, "M", 128, 128, "M", *3 * [256], "M", *3 * [512], "M", *3 * [512], "M"]',
        "e": '[64, 64, "M", 128, 128, "M", *4 * [256], "M", *4 * [512], "M", *4 * [512], "M"]',
        "check": "if config not in CONFIGS:\n            raise ValueError(config)",
        "pool": "nn.MaxPool2d(kernel_size=2, stride=2)",
        "block": "[{conv}] + ([{norm}] if batch_norm else []) + [{act}]",
        "conv": "nn.Conv2d(before, entry, kernel_size=3, padding=1)",
        "norm": "nn.BatchNorm2d(entry)",
        "act": "nn.ReLU(inplace=True)",
        "average": "nn.AdaptiveAvgPool2d((7, 7))",
        "classifier": "{first}, {hidden}, {drop}, nn.Linear(4096, 4096), {hidden}, {drop}, {last}",
        "first": "nn.Linear(512 * 7 * 7, 4096)",
        "hidden": "nn.ReLU()",
        "drop": "nn.Dropout(dropout)",
        "last": "nn.Linear(4096, num_classes)",
        "more": "pass",
        "forward": "return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))",
    }
    return _fill(code, usual, parts)


def _convolutional(**parts: str) -> str:
    """Return an answer to the fourth exercise with some lines replaced."""
    code = """
def to_fully_convolutional(vgg):
    {begin}
    layers, first = [{features}], True
    for layer in vgg.classifier:
        if not isinstance(layer, nn.Linear):
            {other}
            continue
        k = {kernel}
        conv = {conv}
        {write}
        layers.append(conv)
        first = False
    {end}
    return {result}
"""
    usual = {
        "begin": "pass",
        "features": "copy.deepcopy(vgg.features)",
        "other": "layers.append(copy.deepcopy(layer))",
        "kernel": "7 if first else 1",
        "conv": "nn.Conv2d(layer.in_features // k**2, layer.out_features, k).to(layer.weight)",
        "write": "conv.load_state_dict({'weight': {weight}, 'bias': {bias}}, assign={assign})",
        "weight": "layer.weight.detach().view({shape}){order}",
        "shape": "layer.out_features, layer.in_features // k**2, k, k",
        "order": "",
        "bias": "layer.bias.detach()",
        "assign": "False",
        "end": "pass",
        "result": "nn.Sequential(*layers).train(vgg.training)",
    }
    return _fill(code, usual, parts)


VARIANTS = {
    "receptive_field": [
        right("layer by layer", _field()),
        right(
            "from the last layer back to the image",
            """
            def receptive_field(layers):
                first, last, jump = 0, 0, 1
                for kernel, stride, padding, dilation in reversed(layers):
                    first = first * stride - padding
                    last = last * stride - padding + (kernel - 1) * dilation
                    jump *= stride
                return last - first + 1, jump, (first + last) / 2
            """,
        ),
        right(
            "with sums over products of strides",
            """
            def receptive_field(layers):
                jumps = [1]
                for layer in layers:
                    jumps.append(jumps[-1] * layer[1])
                reach = sum((k - 1) * d * j for (k, _, _, d), j in zip(layers, jumps))
                shift = sum(p * j for (_, _, p, _), j in zip(layers, jumps))
                return [reach + 1, jumps[-1], reach / 2 - shift]
            """,
        ),
        right(
            "by recursion",
            """
            def receptive_field(layers):
                if not layers:
                    return 1, 1, 0
                *before, (k, s, p, d) = layers
                size, jump, start = receptive_field(before)
                return size + (k - 1) * d * jump, jump * s, start + (0.5 * (k - 1) * d - p) * jump
            """,
        ),
        wrong(
            "the layer's own stride",
            """
            def receptive_field(layers):
                size, jump, start = 1, 1, 0.0
                for k, s, p, d in layers:
                    jump *= s
                    size += (k - 1) * d * jump
                    start += ((k - 1) * d / 2 - p) * jump
                return size, jump, start
            """,
            hint="without its own stride",
        ),
        wrong("the other way round", _field(layers="reversed(layers)"), hint="yours goes the other way round"),
        wrong("no dilation in size", _field(size="(k - 1) * jump"), hint="Dilation is missing"),
        wrong("no dilation in start", _field(start="((k - 1) / 2 - p) * jump"), hint="Dilation is missing"),
        wrong("no jump in size", _field(size="(k - 1) * d"), hint="Multiply what a layer adds by the jump"),
        wrong("no jump in start", _field(start="(k - 1) * d / 2 - p"), hint="Multiply what a layer adds by the jump"),
        wrong(
            "padding not multiplied", _field(start="(k - 1) * d / 2 * jump - p"), hint="which are `jump` pixels apart"
        ),
        wrong("no padding", _field(start="(k - 1) * d / 2 * jump"), hint="Padding moves the fields to the left"),
        wrong("padding of both sides", _field(start="((k - 1) * d / 2 - 2 * p) * jump"), hint="not by both sides"),
        wrong("padding in size", _field(size="((k - 1) * d - 2 * p) * jump"), hint="Padding never changes size"),
        wrong("the whole kernel", _field(size="k * jump"), hint="it is kernel - 1 steps, not"),
        wrong("kernel times dilation", _field(size="(k * d - 1) * jump"), hint="it is (kernel - 1) * dilation"),
        wrong("half a kernel", _field(start="(k * d / 2 - p) * jump"), hint="not half of the kernel"),
        wrong("rounded", _field(start="((k - 1) * d // 2 - p) * jump"), hint="do not round half of a kernel"),
        wrong("the first pixel", _field(start="-p * jump"), hint="not its first pixel"),
        wrong("half a pixel further", _field(result="size, jump, start + 0.5"), hint="Pixel 0 has its centre at 0"),
        wrong("never negative", _field(result="size, jump, max(start, 0.0)"), hint="start may be negative"),
        wrong("strides added", _field(jump="+= s - 1"), hint="Strides multiply"),
        wrong("the last stride", _field(jump="= s"), hint="the strides of all layers make it"),
        wrong(
            "half the size", _field(result="size, jump, (size - 1) / 2"), hint="Padding moves the fields to the left"
        ),
        wrong("stride 1 only", _field(jump="*= 1"), hint="the strides of all layers make it"),
        wrong("another order", _field(result="jump, size, start"), hint="jump is wrong"),
        wrong("two numbers", _field(result="size, jump"), hint="should hold 3 values"),
        wrong(
            "the list used up",
            """
            def receptive_field(layers):
                size, jump, start = 1, 1, 0.0
                while layers:
                    k, s, p, d = layers.pop(0)
                    size, start, jump = size + (k - 1) * d * jump, start + ((k - 1) * d / 2 - p) * jump, jump * s
                return size, jump, start
            """,
            hint="changes the list that it was given",
        ),
        wrong(
            "no layers not thought of",
            _field(layers="layers[:1] + layers[1:] if layers[0] else layers"),
            hint="Your code raised IndexError",
        ),
        wrong(
            "gaps left out",
            """
            def receptive_field(layers):
                size, jump, start = 1, 1, 0.0
                for k, s, p, d in layers:
                    size += (k - 1) * d * min(jump, size)
                    start += ((k - 1) * d / 2 - p) * jump
                    jump *= s
                return size, jump, start
            """,
            hint="size is wrong",
        ),
        wrong("nothing at all", "def receptive_field(layers):\n    pass\n", hint="but it is None"),
    ],
    "stack_parameters": [
        right("as formulas", _stack()),
        right(
            "counted in layers",
            """
            def stack_parameters(channels, kernel, depth):
                if any(n <= 0 for n in (channels, kernel, depth)):
                    raise ValueError("all three must be positive")
                field = 1
                for _ in range(depth):
                    field += kernel - 1
                with torch.device("meta"):
                    stack = [nn.Conv2d(channels, channels, kernel, bias=False) for _ in range(depth)]
                    single = nn.Conv2d(channels, channels, field, bias=False)
                return counting.parameters(nn.Sequential(*stack)), single.weight.numel()
            """,
        ),
        right(
            "as a list, with sums",
            """
            def stack_parameters(channels, kernel, depth):
                if not (channels > 0 and kernel > 0 and depth > 0):
                    raise ValueError
                side = kernel + (depth - 1) * (kernel - 1)
                return [sum(channels * channels * kernel * kernel for _ in range(depth)), (side * channels) ** 2]
            """,
        ),
        wrong("kernels that do not overlap", _stack(whole="depth * kernel"), hint="The kernels overlap"),
        wrong("one pixel for each layer", _stack(whole="kernel + depth - 1"), hint="adds kernel - 1 pixels, not one"),
        wrong("kernels of 3 only", _stack(whole="kernel + 2 * (depth - 1)"), hint="adds kernel - 1 pixels, not two"),
        wrong("the same kernel", _stack(whole="kernel"), hint="as large as the receptive field of the whole stack"),
        wrong("one off", _stack(whole="depth * (kernel - 1)"), hint="The single layer's number is wrong"),
        wrong("exchanged", _stack(result="single, stack"), hint="First the stack's number"),
        wrong(
            "biases in the stack", _stack(stack="depth * (kernel**2 * channels + 1) * channels"), hint="Biases are not"
        ),
        wrong(
            "biases in the single layer", _stack(single="(whole**2 * channels + 1) * channels"), hint="Biases are not"
        ),
        wrong("one layer", _stack(stack="kernel**2 * channels**2"), hint="The stack has `depth` layers"),
        wrong("no channels", _stack("depth * kernel**2", "whole**2"), hint="weights for every input channel"),
        wrong("channels once", _stack("depth * kernel**2 * channels"), hint="weights for every input channel"),
        wrong(
            "channels once in the single layer",
            _stack(single="whole**2 * channels"),
            hint="weights for every input channel",
        ),
        wrong("kernels not squared", _stack("depth * kernel * channels**2"), hint="A kernel has height and width"),
        wrong("fractions", _stack(single="(whole * float(channels)) ** 2"), hint="The single layer's number should be"),
        wrong("a ratio", _stack(result="stack / single"), hint="should be a tuple of 2 values"),
        wrong("no errors", _stack(check="pass"), hint="should raise a ValueError"),
        wrong(
            "zero allowed",
            _stack(check="if min(channels, kernel, depth) < 0:\n        raise ValueError"),
            hint="stack_parameters(0, 3, 2) should raise",
        ),
        wrong(
            "one refused",
            _stack(check="if min(channels, kernel, depth) <= 1:\n        raise ValueError"),
            hint="Your code raised ValueError",
        ),
        wrong("nothing at all", "def stack_parameters(channels, kernel, depth):\n    pass\n", hint="but it is None"),
    ],
    "VGG": [
        right("from a list of channels", _vgg()),
        right(
            "features in a loop over stages, layers called one by one",
            """
            class VGG(nn.Module):
                def __init__(self, config, batch_norm=False, num_classes=1000, dropout=0.5):
                    super().__init__()
                    try:
                        counts = {"A": "11222", "B": "22222", "D": "22333", "E": "22444"}[config]
                    except KeyError:
                        raise ValueError(f"no configuration {config}") from None
                    self.features = nn.Sequential()
                    widths = [3, 64, 128, 256, 512, 512]
                    for before, width, count in zip(widths, widths[1:], counts):
                        for i in range(int(count)):
                            self.features.append(nn.Conv2d(width if i else before, width, (3, 3), (1, 1), (1, 1)))
                            if batch_norm:
                                self.features.append(nn.BatchNorm2d(width))
                            self.features.append(nn.ReLU())
                        self.features.append(nn.MaxPool2d(2))
                    self.classifier = nn.Sequential(
                        nn.Linear(25088, 4096), nn.ReLU(True), nn.Dropout(dropout),
                        nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(dropout), nn.Linear(4096, num_classes),
                    )

                def forward(self, x):
                    for layer in self.features:
                        x = layer(x)
                    x = F.adaptive_avg_pool2d(x, (7, 7))
                    return self.classifier(x.reshape(x.shape[0], -1))
            """,
        ),
        right(
            "with ReLU and dropout as functions, and starting values",
            """
            class VGG(nn.Module):
                def __init__(self, config, batch_norm=False, num_classes=1000, dropout=0.5):
                    super().__init__()
                    stages = {"A": [1, 1, 2, 2, 2], "B": [2] * 5, "D": [2, 2, 3, 3, 3], "E": [2, 2, 4, 4, 4]}
                    if not isinstance(config, str) or config not in stages.keys():
                        raise ValueError("A, B, D or E")
                    self.dropout = dropout
                    blocks, last = [], 3
                    for depth, out in zip(stages[config], [64, 128, 256, 512, 512]):
                        for _ in range(depth):
                            conv = nn.Conv2d(last, out, 3, 1, 1)
                            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                            nn.init.zeros_(conv.bias)
                            blocks.extend([conv, nn.BatchNorm2d(out)] if batch_norm else [conv])
                            blocks.append(nn.ReLU())
                            last = out
                        blocks.append(nn.MaxPool2d(2, 2))
                    self.features = nn.Sequential(*blocks)
                    self.avgpool = nn.AdaptiveAvgPool2d(7)
                    self.classifier = nn.ModuleDict(
                        {"0": nn.Linear(512 * 49, 4096), "3": nn.Linear(4096, 4096), "6": nn.Linear(4096, num_classes)}
                    )

                def forward(self, x):
                    x = self.avgpool(self.features(x)).flatten(1)
                    for name in ("0", "3"):
                        x = F.dropout(F.relu(self.classifier[name](x)), self.dropout, self.training)
                    return self.classifier["6"](x)
            """,
        ),
        wrong("another name", _vgg().replace("self.features", "self.convolutions"), hint="vgg11 weights have features"),
        wrong(
            "all layers in one",
            _vgg(more="self.classifier = nn.Sequential(nn.Flatten(), *self.classifier)").replace(
                "torch.flatten(self.avgpool(self.features(x)), 1)", "self.avgpool(self.features(x))"
            ),
            hint="weights have classifier.0.weight",
        ),
        wrong(
            "no biases with normalization",
            _vgg(conv="nn.Conv2d(before, entry, 3, padding=1, bias=not batch_norm)"),
            hint="and your network does not",
        ),
        wrong(
            "no biases",
            _vgg(conv="nn.Conv2d(before, entry, 3, padding=1, bias=False)"),
            hint="and your network does not",
        ),
        wrong(
            "A as B",
            _vgg(a='[64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]'),
            hint="torchvision's vgg11 weights have",
        ),
        wrong(
            "D with 1x1 as C",
            _vgg(
                block="[{conv}] + ([{norm}] if batch_norm else []) + [{act}]",
                conv="nn.Conv2d(before, entry, 1 if before == entry == 256 and config == 'D' else 3, padding=1)",
            ),
            hint="should have the shape",
        ),
        wrong(
            "E too short",
            _vgg(e='[64, 64, "M", 128, 128, "M", *4 * [256], "M", *4 * [512], "M", *3 * [512], "M"]'),
            hint="torchvision's vgg19 weights have",
        ),
        wrong(
            "a last stage of 1024",
            _vgg(d='[64, 64, "M", 128, 128, "M", *3 * [256], "M", *3 * [512], "M", *3 * [1024], "M"]'),
            hint="should have the shape",
        ),
        wrong(
            "the normalization behind the ReLU",
            _vgg(block="[{conv}, {act}] + ([{norm}] if batch_norm else [])"),
            hint="torchvision's vgg11_bn weights have",
        ),
        wrong(
            "the normalization first",
            _vgg(block="([nn.BatchNorm2d(before)] if batch_norm else []) + [{conv}, {act}]"),
            hint="torchvision's vgg11_bn weights have",
        ),
        wrong("always normalized", _vgg(block="[{conv}, {norm}, {act}]"), hint="torchvision's vgg11 weights have"),
        wrong("never normalized", _vgg(block="[{conv}, {act}]"), hint="torchvision's vgg11_bn weights have"),
        wrong(
            "normalized within groups", _vgg(norm="nn.GroupNorm(1, entry)"), hint="torchvision's vgg11_bn weights have"
        ),
        wrong(
            "dropout first",
            _vgg(classifier="{drop}, {first}, {hidden}, {drop}, nn.Linear(4096, 4096), {hidden}, {last}"),
            hint="weights have classifier.0.weight",
        ),
        wrong(
            "narrow hidden layers",
            _vgg(
                classifier="nn.Linear(25088, 2048), {hidden}, {drop}, nn.Linear(2048, 4096), {hidden}, {drop}, {last}"
            ),
            hint="classifier.0.weight should have the shape",
        ),
        wrong("num_classes ignored", _vgg(last="nn.Linear(4096, 1000)"), hint="should have the shape"),
        wrong("no pooling to 7 x 7", _vgg(average="nn.Identity()"), hint="Your code raised RuntimeError"),
        wrong(
            "pooled to one pixel",
            _vgg(average="nn.AdaptiveAvgPool2d(1)", first="nn.Linear(512, 4096)"),
            hint="classifier.0.weight should have the shape",
        ),
        wrong("the maximum at the end", _vgg(average="nn.AdaptiveMaxPool2d(7)"), hint="not the maximum"),
        wrong("resized to 7 x 7", _vgg(average="nn.Upsample(size=(7, 7))"), hint="avgpool is nn.AdaptiveAvgPool2d"),
        wrong("average pooling", _vgg(pool="nn.AvgPool2d(2, 2)"), hint="the maximum, not the mean"),
        wrong("pools that overlap", _vgg(pool="nn.MaxPool2d(3, 2, padding=1)"), hint="a kernel of 2"),
        wrong("ceil_mode", _vgg(pool="nn.MaxPool2d(2, 2, ceil_mode=True)"), hint="no ceil_mode"),
        wrong("no padding", _vgg(conv="nn.Conv2d(before, entry, 3)"), hint="Your code raised RuntimeError"),
        wrong(
            "padded with reflections",
            _vgg(conv="nn.Conv2d(before, entry, 3, padding=1, padding_mode='replicate')"),
            hint="gives other logits than torchvision's vgg11",
        ),
        wrong("LeakyReLU", _vgg(act="nn.LeakyReLU()"), hint="The activation is the ReLU"),
        wrong("no activation", _vgg(act="nn.Identity()"), hint="The ReLU behind each convolution is missing"),
        wrong(
            "no ReLU in the classifier",
            _vgg(hidden="nn.Identity()"),
            hint="the two hidden fully connected layers is missing",
        ),
        wrong(
            "probabilities",
            _vgg(forward="return self.classifier(self.avgpool(self.features(x)).flatten(1)).softmax(1)"),
            hint="Return logits",
        ),
        wrong(
            "a ReLU at the end",
            _vgg(forward="return self.classifier(self.avgpool(self.features(x)).flatten(1)).relu()"),
            hint="No ReLU stands after the last layer",
        ),
        wrong(
            "flattened pixel by pixel",
            _vgg(forward="return self.classifier(self.avgpool(self.features(x)).permute(0, 2, 3, 1).flatten(1))"),
            hint="Flatten channel by channel",
        ),
        wrong(
            "another momentum", _vgg(norm="nn.BatchNorm2d(entry, momentum=0.01)"), hint="after a batch in training mode"
        ),
        wrong(
            "another eps",
            _vgg(norm="nn.BatchNorm2d(entry, eps=1e-3)"),
            hint="VGG('A', True, num_classes=6, dropout=0.0) gives other logits",
        ),
        wrong(
            "normalization frozen",
            _vgg(
                forward="""for m in self.features:
            m.eval()
        return self.classifier(self.avgpool(self.features(x)).flatten(1))"""
            ),
            hint="uses the batch's own statistics",
        ),
        wrong(
            "no running statistics",
            _vgg(norm="nn.BatchNorm2d(entry, track_running_stats=False)"),
            hint="torchvision's vgg11_bn weights have",
        ),
        wrong(
            "D broken on the way",
            _vgg(
                forward="""x = self.features[:30](x) if len(self.features) == 31 else self.features(x)
        return self.classifier(self.avgpool(x).flatten(1))"""
            ),
            hint="than torchvision's vgg16",
        ),
        wrong("dropout fixed", _vgg(drop="nn.Dropout(0.5)"), hint="it should be 30%"),
        wrong("no dropout", _vgg(drop="nn.Identity()"), hint="it should be 30%"),
        wrong(
            "dropout once",
            _vgg(classifier="{first}, {hidden}, nn.Identity(), nn.Linear(4096, 4096), {hidden}, {drop}, {last}"),
            hint="behind the first hidden layer are dropped",
        ),
        wrong("another usual rate", _vgg().replace("dropout=0.5", "dropout=0.2"), hint="it should be 50%"),
        wrong(
            "dropout in evaluation",
            _vgg(forward="return self.classifier(F.dropout(self.avgpool(self.features(x)).flatten(1), 0.1))"),
            hint="What enters the first fully connected layer",
        ),
        wrong(
            "dropout behind the features",
            _vgg(
                forward="x = F.dropout(self.features(x), 0.1, self.training)\n"
                "        return self.classifier(self.avgpool(x).flatten(1))"
            ),
            hint="Nothing is dropped before the first",
        ),
        wrong(
            "not rescaled",
            _vgg(drop="Masked(dropout)")
            + """

class Masked(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        return x * (torch.rand_like(x) >= self.p) if self.training else x
""",
            hint="is divided by 1 - p",
        ),
        wrong(
            "no error",
            _vgg(check="config = config if config in CONFIGS else 'D'"),
            hint="should raise a ValueError; yours raised nothing",
        ),
        wrong("KeyError", _vgg(check="pass"), hint="should raise a ValueError; yours raised KeyError"),
        wrong(
            "small letters allowed",
            _vgg(check="config = str(config).upper()\n        if config not in CONFIGS:\n            raise ValueError"),
            hint="VGG('a') should raise",
        ),
        wrong(
            "letters within a string",
            _vgg(check="if config not in 'ABDE':\n            raise ValueError"),
            hint="should raise a ValueError",
        ),
        wrong("frozen", _vgg(more="self.features.requires_grad_(False)"), hint="All parameters should be trained"),
        wrong("spare parameters", _vgg(more="self.spare = nn.Linear(3, 3)"), hint="weights do not have"),
        wrong(
            "torchvision's own",
            """
            class VGG(torchvision.models.VGG):
                def __init__(self, config, batch_norm=False, num_classes=1000, dropout=0.5):
                    if config not in ("A", "B", "D", "E"):
                        raise ValueError(config)
                    name = {"A": "vgg11", "B": "vgg13", "D": "vgg16", "E": "vgg19"}[config] + "_bn" * batch_norm
                    features = getattr(torchvision.models, name)(init_weights=False).features
                    super().__init__(features, num_classes, False, dropout)
            import torchvision
        """.replace("            import torchvision\n", "").replace(
                "class VGG(", "import torchvision\n\n            class VGG("
            ),
            hint="Build the network yourself",
        ),
        wrong(
            "nothing at all",
            """
            class VGG(nn.Module):
                def __init__(self, config, batch_norm=False, num_classes=1000, dropout=0.5):
                    super().__init__()

                def forward(self, x):
                    return x
        """,
            hint="weights have features.0.weight",
        ),
    ],
    "to_fully_convolutional": [
        right("layer by layer", _convolutional()),
        right(
            "a module of its own, after a copy of the whole",
            """
            class Dense(nn.Module):
                def __init__(self, vgg):
                    super().__init__()
                    vgg = copy.deepcopy(vgg)
                    self.features, self.head = vgg.features, nn.ModuleList()
                    sides = iter([7])
                    for layer in vgg.classifier.children():
                        if type(layer) is nn.Linear:
                            k = next(sides, 1)
                            weight = layer.weight.data.unflatten(1, (-1, k, k))
                            with torch.device(weight.device):
                                conv = nn.Conv2d(weight.size(1), weight.size(0), kernel_size=k)
                            conv.weight, conv.bias = nn.Parameter(weight), layer.bias
                            layer = conv
                        self.head.append(layer)
                    self.train(vgg.training)

                def forward(self, x):
                    x = self.features(x)
                    for layer in self.head:
                        x = layer(x)
                    return x

            def to_fully_convolutional(vgg):
                return Dense(vgg)
            """,
        ),
        right(
            "the layers of the classifier exchanged in a copy",
            """
            class Over(nn.Module):
                def __init__(self, features, classifier):
                    super().__init__()
                    self.features = features
                    self.classifier = classifier

                def forward(self, x):
                    return self.classifier(self.features(x))

            @torch.no_grad()
            def to_fully_convolutional(vgg):
                classifier = copy.deepcopy(vgg.classifier)
                seen = False
                for i, layer in enumerate(classifier):
                    if isinstance(layer, nn.Linear):
                        k = 1 if seen else 7
                        like = {"device": layer.weight.device, "dtype": layer.weight.dtype}
                        conv = nn.Conv2d(layer.in_features // (k * k), layer.out_features, k, **like)
                        conv.weight.copy_(layer.weight.reshape(conv.weight.shape))
                        conv.bias.copy_(layer.bias)
                        classifier[i] = conv.train(layer.training)
                        seen = True
                result = Over(copy.deepcopy(vgg.features), classifier)
                result.training = vgg.training
                return result
            """,
        ),
        wrong(
            "channels last",
            _convolutional(shape="layer.out_features, k, k, -1", order=".permute(0, 3, 1, 2)"),
            hint="flatten(1) goes channel by channel",
        ),
        wrong("rows for columns", _convolutional(order=".transpose(2, 3)"), hint="Rows and columns of the 7x7 kernel"),
        wrong("turned round", _convolutional(order=".flip((2, 3))"), hint="does not flip it"),
        wrong(
            "no biases",
            _convolutional(bias="torch.zeros_like(layer.bias)"),
            hint="The biases of the fully connected layers are missing",
        ),
        wrong("fresh weights", _convolutional(write="pass"), hint="should be those of vgg, at one place"),
        wrong(
            "padded",
            _convolutional(
                conv="nn.Conv2d(layer.in_features // k**2, layer.out_features, k, padding=k // 2).to(layer.weight)"
            ),
            hint="The 7x7 convolution has no padding",
        ),
        wrong(
            "a stride of 7",
            _convolutional(
                conv="nn.Conv2d(layer.in_features // k**2, layer.out_features, k, stride=k).to(layer.weight)"
            ),
            hint="has one place where it should have more",
        ),
        wrong(
            "the pooling kept",
            _convolutional(features="copy.deepcopy(vgg.features), copy.deepcopy(vgg.avgpool)"),
            hint="leave out the pooling to 7 x 7",
        ),
        wrong(
            "averaged over places",
            _convolutional(end="layers.append(nn.AdaptiveAvgPool2d(1))"),
            hint="has one place where it should have more",
        ),
        wrong("flattened", _convolutional(end="layers.append(nn.Flatten())"), hint="do not flatten them"),
        wrong("no ReLU", _convolutional(other="continue"), hint="such as ReLU, are missing"),
        wrong(
            "a ReLU at the end",
            _convolutional(end="layers.append(nn.ReLU())"),
            hint="No ReLU stands behind the last layer",
        ),
        wrong("probabilities", _convolutional(end="layers.append(nn.Softmax(1))"), hint="Return logits"),
        wrong("the features left out", _convolutional(features=""), hint="Your code raised RuntimeError"),
        wrong(
            "VGG's layers only",
            """
            def to_fully_convolutional(vgg):
                c = vgg.classifier
                net = nn.Sequential(
                    copy.deepcopy(vgg.features),
                    nn.Conv2d(c[0].in_features // 49, c[0].out_features, 7), nn.ReLU(), copy.deepcopy(c[2]),
                    nn.Conv2d(c[3].in_features, c[3].out_features, 1), nn.ReLU(), copy.deepcopy(c[5]),
                    nn.Conv2d(c[6].in_features, c[6].out_features, 1),
                ).to(c[0].weight)
                for i, j in ((1, 0), (4, 3), (7, 6)):
                    net[i].weight.data.copy_(c[j].weight.data.view_as(net[i].weight))
                    net[i].bias.data.copy_(c[j].bias.data)
                return net.train(vgg.training)
        """,
            hint="Your code raised",
        ),
        wrong(
            "ReLU for everything",
            _convolutional(other="layers.append(copy.deepcopy(layer) if isinstance(layer, nn.Dropout) else nn.ReLU())"),
            hint="how many there are and of what kind may differ",
        ),
        wrong(
            "no dropout",
            _convolutional(
                other="if not isinstance(layer, nn.Dropout):\n                layers.append(copy.deepcopy(layer))"
            ),
            hint="should drop 40% of the numbers",
        ),
        wrong(
            "the usual dropout",
            _convolutional(
                other="layers.append(nn.Dropout(0.5) if isinstance(layer, nn.Dropout) else copy.deepcopy(layer))"
            ),
            hint="should drop 40% of the numbers",
        ),
        wrong(
            "whole channels dropped",
            _convolutional(
                other="layers.append(nn.Dropout2d(layer.p) if isinstance(layer, nn.Dropout) else copy.deepcopy(layer))"
            ),
            hint="not whole channels",
        ),
        wrong(
            "always in training mode",
            _convolutional(result="nn.Sequential(*layers).train()"),
            hint="When vgg is in evaluation mode, what you return should be",
        ),
        wrong(
            "always in evaluation mode",
            _convolutional(result="nn.Sequential(*layers).eval()"),
            hint="When vgg is in training mode, what you return should be, too",
        ),
        wrong(
            "the mode of new layers alone",
            _convolutional(result="nn.Sequential(*layers)"),
            hint="When vgg is in evaluation mode",
        ),
        wrong(
            "vgg put into evaluation mode",
            _convolutional(
                begin="training = vgg.training\n    vgg.eval()", result="nn.Sequential(*layers).train(training)"
            ),
            hint="Your function changes the mode of vgg",
        ),
        wrong("features shared", _convolutional(features="vgg.features"), hint="the two share memory"),
        wrong(
            "features shared in a list of their own",
            _convolutional(features="nn.Sequential(*vgg.features)"),
            hint="the two share memory",
        ),
        wrong("weights shared", _convolutional(assign="True"), hint="Your network and vgg share memory"),
        wrong(
            "dropout layers shared",
            _convolutional(other="layers.append(layer)", end="vgg = copy.copy(vgg)"),
            hint="uses modules of vgg itself",
        ),
        wrong(
            "the classifier changed in place",
            """
            def to_fully_convolutional(vgg):
                first = True
                for i, layer in enumerate(vgg.classifier):
                    if isinstance(layer, nn.Linear):
                        k = 7 if first else 1
                        conv = nn.Conv2d(layer.in_features // k**2, layer.out_features, k).to(layer.weight)
                        conv.load_state_dict(
                            {"weight": layer.weight.data.view_as(conv.weight), "bias": layer.bias.data}
                        )
                        vgg.classifier[i], first = conv, False
                return nn.Sequential(copy.deepcopy(vgg.features), copy.deepcopy(vgg.classifier)).train(vgg.training)
        """,
            hint="Your function changes vgg",
        ),
        wrong(
            "weights emptied",
            _convolutional(end="next(vgg.classifier.parameters()).data.zero_()"),
            hint="Your function changes vgg",
        ),
        wrong(
            "the same network",
            """
            def to_fully_convolutional(vgg):
                return copy.deepcopy(vgg)
        """,
            hint="The logits have four dimensions",
        ),
        wrong(
            "linear layers over the map",
            """
            class Places(nn.Module):
                def __init__(self, vgg):
                    super().__init__()
                    self.features, self.classifier = copy.deepcopy(vgg.features), copy.deepcopy(vgg.classifier)
                    self.train(vgg.training)

                def forward(self, x):
                    x = self.features(x)
                    x = x.unfold(2, 7, 1).unfold(3, 7, 1).permute(0, 2, 3, 1, 4, 5).flatten(3)
                    return self.classifier(x).permute(0, 3, 1, 2)

            def to_fully_convolutional(vgg):
                return Places(vgg)
        """,
            hint="still has an nn.Linear",
        ),
        wrong(
            "frozen",
            _convolutional(end="for p in layers[1].parameters():\n        p.requires_grad_(False)"),
            hint="should have requires_grad",
        ),
        wrong(
            "float32 always",
            _convolutional(conv="nn.Conv2d(layer.in_features // k**2, layer.out_features, k)"),
            hint="Your code raised RuntimeError",
        ),
        wrong(
            "float64 always",
            _convolutional(result="nn.Sequential(*layers).train(vgg.training).double()"),
            hint="When vgg is in torch.float32",
        ),
        wrong(
            "on the CPU always",
            _convolutional(
                conv="nn.Conv2d(layer.in_features // k**2, layer.out_features, k, dtype=layer.weight.dtype)"
            ),
            hint="Your code raised",
        ),
        wrong(
            "a 7x7 kernel for each",
            _convolutional(kernel="7", write="conv.weight.data[...] = 0"),
            hint="Your code raised",
        ),
        wrong(
            "running statistics forgotten",
            _convolutional(
                end="for m in layers[0]:\n        if hasattr(m, 'running_mean'):\n            m.reset_running_stats()"
            ),
            hint="copy those, too",
        ),
        wrong(
            "a function",
            """
            def to_fully_convolutional(vgg):
                return lambda x: vgg(x)[..., None, None]
        """,
            hint="should return a module",
        ),
        wrong("nothing at all", "def to_fully_convolutional(vgg):\n    pass\n", hint="should return a module"),
    ],
}
