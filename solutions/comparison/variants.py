"""Right and wrong answers to the assignment `comparison`, on file for `autograde verify`."""

from autograde.variants import filled, right, wrong
from solutions import visits

# Each answer is a template whose parts a variant replaces: it then shows only what is special about it.


def _count(result: str, before: str = "pass") -> str:
    """Return an answer to the first exercise."""
    return f"def count_parameters(model):\n    {before}\n    return {result}\n"


# Exercises 2 and 3 visit a model in the same way.
_VISIT = """
{head}
    total, met, handles = 0, set(), []
    def hook(module, inputs, output):
        nonlocal total
        {hook}
    {before}
    for m in model.modules():
        if {watched}:
            handles.append(m.register_forward_hook(hook))
    {run}
    return {result}
"""
_PARTS = {
    "head": "def count_macs(model, input_size):",
    "before": visits.BEFORE,
    "run": visits.RUN,
    "result": "total",
}
_CONV = "output.numel() * module.in_channels // module.groups * math.prod(module.kernel_size)"
_LINEAR = "output.numel() * module.in_features"
_SPREAD = "inputs[0].numel() * module.out_channels // module.groups * math.prod(module.kernel_size)"


def _works(
    conv: str = _CONV, linear: str = _LINEAR, spread: str = _SPREAD, other: str = "0", factor: str = "", after: str = ""
) -> str:
    """Return the hook of the second exercise."""
    return f"""
if isinstance(module, nn.Linear):
    macs = {linear}
elif isinstance(module, TRANSPOSED):
    macs = {spread}
elif isinstance(module, WEIGHTED):
    macs = {conv}
else:
    macs = {other}
{after}
total += {factor}macs
"""


def _macs(**parts: str) -> str:
    """Return an answer to the second exercise with some parts replaced."""
    return filled(_VISIT, {**_PARTS, "hook": _works(), "watched": "isinstance(m, WEIGHTED)"}, parts)


_BYTES = "total += output.numel() * output.element_size()"
_TENSORS = f"if isinstance(output, torch.Tensor):\n    {_BYTES}"
_WATCHED = "isinstance(m, WEIGHTED) if weighted_only else not list(m.children())"


def _memory(**parts: str) -> str:
    """Return an answer to the third exercise with some parts replaced."""
    head = "def activation_memory(model, input_size, weighted_only=True):"
    return filled(_VISIT, {**_PARTS, "head": head, "hook": _TENSORS, "watched": _WATCHED}, parts)


#: What a visit may leave behind besides: a name, the parts, the hint.
_MORE = [
    (
        "errors of its own",
        {"run": visits.RUN.replace("finally:", "except RuntimeError as e:\n    raise ValueError from e\nfinally:")},
        "The model's own error should go on to the caller",
    ),
    (
        "a random image",
        {"run": visits.RUN.replace("torch.zeros(1,", "torch.randn(1,")},
        "PyTorch's random state changed",
    ),
    ("seeded", {"run": visits.after_eval("torch.manual_seed(0)")}, "PyTorch's random state changed"),
    (
        "without an example's dimension",
        {"run": visits.RUN.replace("torch.zeros(1, *input_size", "torch.zeros(input_size")},
        "Your code raised",
    ),
    (
        "a pass in training mode first",
        {
            "run": visits.RUN.replace(
                "    model.eval()\n",
                "    with torch.no_grad():\n"
                "        try:\n"
                "            model(torch.zeros(2, *input_size))\n"
                "        except Exception:\n"
                "            pass\n"
                "    total = 0\n"
                "    model.eval()\n",
            )
        },
        "A buffer (running statistics, counters) has other values afterwards",
    ),
]


_ROW = """
def comparison_row(name, model, input_size, top5_error=None, counters=None):
    {check}
    parameters, macs, memory = counters if counters is not None else (count_parameters, count_macs, activation_memory)
    {before}
    p, m = parameters(model), macs(model, input_size)
    row = {}
    row["network"] = name
    row["parameters"] = {parameters}
    row["gmac"] = {gmac}
    row["gflop"] = {gflop}
    row["weighted_layers"] = {layers}
    row["weights_mib"] = {weights}
    row["outputs_mib"] = {outputs}
    row["all_outputs_mib"] = {everything}
    row["macs_per_parameter"] = {uses}
    row["top5_accuracy"] = {accuracy}
    return {result}
"""
_COLUMNS = {
    "check": "if top5_error is not None and not (0 <= top5_error <= 100):\n    raise ValueError('no such error')",
    "before": "pass",
    "parameters": "p",
    "gmac": "m / 10**9",
    "gflop": "2 * m / 10**9",
    "layers": "len([1 for x in model.modules() if isinstance(x, WEIGHTED)])",
    "weights": "sum(q.numel() * q.element_size() for q in model.parameters()) / 1024**2",
    "outputs": "memory(model, input_size) / 1024**2",
    "everything": "memory(model, input_size, False) / 1024**2",
    "uses": "m / p if p > 0 else None",
    "accuracy": "None if top5_error is None else 100 - top5_error",
    "result": "row",
}


def _row(**parts: str) -> str:
    """Return an answer to the fourth exercise with some parts replaced."""
    return filled(_ROW, _COLUMNS, parts)


_FRONT = """
def pareto_front(points):
    {nan}
    {before}
    order = sorted(range(len(points)), key={key})
    front = []
    for i in order:
        if {keep}:
            front.append(i)
    return {result}
"""
_SORTED = {
    "nan": """
for point in points:
    if any(math.isnan(v) for v in point):
        raise ValueError("nan is no number")
""",
    "before": "pass",
    "key": "lambda i: (points[i][0], -points[i][1], i)",
    "keep": (
        "not front or points[i][1] > points[front[-1]][1] or "
        "(points[i][0] == points[front[-1]][0] and points[i][1] == points[front[-1]][1])"
    ),
    "result": "front",
}


def _pareto(**parts: str) -> str:
    """Return an answer to the fifth exercise with some parts replaced."""
    return filled(_FRONT, _SORTED, parts)


def _all_pairs(condition: str) -> str:
    """Return an answer to the fifth exercise that looks at every pair."""
    return f"""
def pareto_front(points):
    for point in points:
        if any(math.isnan(v) for v in point):
            raise ValueError("nan is no number")
    def dominates(a, b):
        return {condition}
    front = [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]
    return sorted(front, key=lambda i: points[i][0])
"""


VARIANTS = {
    "count_parameters": [
        right("model.parameters", _count("sum(p.numel() for p in model.parameters())")),
        right(
            "a set of parameters",
            _count("sum(p.numel() for p in found)", "found = {p for m in model.modules() for p in m.parameters()}"),
        ),
        right("names without duplicates", _count("sum(math.prod(p.shape) for _, p in model.named_parameters())")),
        right(
            "a dict by identity",
            """
            def count_parameters(model):
                found = {}
                def walk(module):
                    for p in module._parameters.values():
                        if p is not None:
                            found[id(p)] = p.numel()
                    for child in module.children():
                        walk(child)
                walk(model)
                return sum(found.values())
            """,
        ),
        right(
            "a vector",
            """
            def count_parameters(model):
                flat = [p.detach().reshape(-1) for p in model.parameters()]
                return len(torch.cat(flat)) if flat else 0
            """,
        ),
        wrong(
            "buffers too",
            _count("sum(t.numel() for t in (*model.parameters(), *model.buffers()))"),
            hint="are no parameters",
        ),
        wrong("the state dict", _count("sum(t.numel() for t in model.state_dict().values())"), hint="no parameters"),
        wrong(
            "trainable ones only",
            _count("sum(p.numel() for p in model.parameters() if p.requires_grad)"),
            hint="Frozen parameters are counted, too",
        ),
        wrong(
            "every place",
            _count("sum(p.numel() for _, p in model.named_parameters(remove_duplicate=False))"),
            hint="is counted once",
        ),
        wrong(
            "module by module",
            _count("sum(p.numel() for m in model.modules() for p in m.parameters(recurse=False))"),
            hint="is counted once",
        ),
        wrong(
            "leaves only",
            _count(
                "sum(p.numel() for p in found)",
                "found = {p for m in model.modules() if not list(m.children()) for p in m.parameters()}",
            ),
            hint="A model may have parameters of its own",
        ),
        wrong(
            "by address",
            _count("sum({p.data_ptr(): p.numel() for p in model.parameters()}.values())"),
            hint="The number of parameters",
        ),
        wrong(
            "by shape",
            _count("sum(math.prod(s) for s in {tuple(p.shape) for p in model.parameters()})"),
            hint="Two parameters of the same shape are still two",
        ),
        wrong(
            "by value",
            """
            def count_parameters(model):
                kept = []
                for p in model.parameters():
                    if p.is_meta or not any(p.shape == q.shape and torch.equal(p, q) for q in kept):
                        kept.append(p)
                return sum(p.numel() for p in kept)
            """,
            hint="happen to have the same values",
        ),
        wrong(
            "weights only",
            _count("sum(p.numel() for p in model.parameters() if p.dim() > 1)"),
            hint="Biases and scales are parameters, too",
        ),
        wrong("how many tensors", _count("len(list(model.parameters()))"), hint="Count the numbers in the parameters"),
        wrong(
            "rows",
            _count("sum(len(p) if p.dim() else 1 for p in model.parameters())"),
            hint="as many numbers as numel()",
        ),
        wrong(
            "a tensor",
            _count("torch.tensor([p.numel() for p in model.parameters()]).sum()"),
            hint="The number of parameters should be an integer",
        ),
        wrong(
            "bytes",
            _count("sum(p.numel() * p.element_size() for p in model.parameters())"),
            hint="Count numbers, not bytes",
        ),
        wrong(
            "everything thawed",
            _count("sum(p.numel() for p in model.requires_grad_(True).parameters() if p.requires_grad)"),
            hint="requires_grad of a parameter changed",
        ),
        wrong("nothing", _count("None"), hint="should be an integer, but it is None"),
    ],
    "count_macs": [
        right("a hook on every layer with weights", _macs()),
        right(
            "rows of the weight",
            _macs(
                hook="""
seen = inputs[0] if isinstance(module, TRANSPOSED) else output
total += module.weight[0].numel() * seen.numel()
"""
            ),
        ),
        right(
            "on a copy",
            """
            def count_macs(model, input_size):
                import copy
                parameters = list(model.parameters())
                grads = [p.grad for p in parameters]
                for p in parameters:
                    p.grad = None
                twin = copy.deepcopy(model)
                for p, grad in zip(parameters, grads):
                    p.grad = grad
                found = []

                def spread(layer, given, out):
                    found.append(given[0].numel() * layer.out_channels * math.prod(layer.kernel_size) // layer.groups)

                def gather(layer, given, out):
                    found.append(out.numel() * math.prod(layer.weight.shape[1:]))

                for layer in twin.modules():
                    if isinstance(layer, TRANSPOSED):
                        layer.register_forward_hook(spread)
                    elif isinstance(layer, WEIGHTED):
                        layer.register_forward_hook(gather)
                options = {"dtype": parameters[0].dtype, "device": parameters[0].device} if parameters else {}
                with torch.inference_mode():
                    twin.eval()(torch.zeros((1, *input_size), **options))
                return sum(found)
            """,
        ),
        right(
            "one global hook",
            """
            def count_macs(model, input_size):
                counts = []

                def hook(module, inputs, output):
                    if not isinstance(module, WEIGHTED):
                        return
                    if isinstance(module, nn.Linear):
                        counts.append(output.numel() * module.in_features)
                        return
                    groups, kernel = module.groups, math.prod(module.kernel_size)
                    pairs = module.in_channels * module.out_channels // groups
                    where = inputs[0] if isinstance(module, TRANSPOSED) else output
                    counts.append(where.shape[0] * math.prod(where.shape[2:]) * pairs * kernel)

                training = [(m, m.training) for m in model.modules()]
                handle = torch.nn.modules.module.register_module_forward_hook(hook)
                try:
                    model.train(False)
                    image = torch.zeros((1, *input_size))
                    for p in model.parameters():
                        image = image.to(p)
                        break
                    with torch.no_grad():
                        model(image)
                finally:
                    handle.remove()
                    for m, mode in training:
                        m.training = mode
                return sum(counts)
            """,
        ),
        right(
            "from shapes, with hooks before",
            """
            def count_macs(model, input_size):
                total = [0]

                def hook(module, inputs, output):
                    w = module.weight
                    n = inputs[0].numel() if isinstance(module, TRANSPOSED) else output.numel()
                    total[0] += n * w.numel() // w.shape[0]

                modes = [m.training for m in model.modules()]
                hooks = []
                try:
                    for m in model.modules():
                        m.training = False
                        if type(m).__name__ != "" and isinstance(m, WEIGHTED):
                            hooks.append(m.register_forward_hook(hook))
                    first = [*model.parameters(), torch.zeros(1)][0]
                    with torch.no_grad():
                        model(first.new_zeros((1, *input_size)))
                finally:
                    [h.remove() for h in hooks]
                    for m, mode in zip(model.modules(), modes):
                        m.training = mode
                return total[0]
            """,
        ),
        wrong("FLOPs", _macs(hook=_works(factor="2 * ")), hint="count it once"),
        wrong(
            "groups ignored",
            _macs(hook=_works("output.numel() * module.in_channels * math.prod(module.kernel_size)")),
            hint="sees only C_in / g input channels",
        ),
        wrong(
            "biases as MACs",
            _macs(hook=_works(after="if module.bias is not None:\n    macs += output.numel()")),
            hint="A bias costs no MAC",
        ),
        wrong(
            "square kernels",
            _macs(hook=_works(_CONV.replace("math.prod(module.kernel_size)", "module.kernel_size[0] ** 2"))),
            hint="The sides of a kernel may differ",
        ),
        wrong(
            "cubes",
            _macs(
                hook=_works(
                    _CONV.replace("math.prod(module.kernel_size)", "module.kernel_size[0] ** len(module.kernel_size)"),
                    spread=_SPREAD.replace(
                        "math.prod(module.kernel_size)", "module.kernel_size[0] ** len(module.kernel_size)"
                    ),
                )
            ),
            hint="The sides of a kernel may differ",
        ),
        wrong(
            "kernel forgotten",
            _macs(hook=_works("output.numel() * module.in_channels // module.groups")),
            hint="The kernel's size belongs to",
        ),
        wrong(
            "pixels of the input",
            _macs(hook=_works("inputs[0][0, 0].numel() * module.weight.numel()")),
            hint="follow the size of its output",
        ),
        wrong(
            "one channel's sums",
            _macs(hook=_works("output[0, 0].numel() * module.weight[0].numel()")),
            hint="for each channel of the output",
        ),
        wrong(
            "weights as MACs",
            _macs(hook="total += module.weight.numel()"),
            hint="Every weight is used once for each position",
        ),
        wrong(
            "strides divided out",
            _macs(hook=_works(_CONV + " // math.prod(module.stride)")),
            hint="The number of MACs is wrong",
        ),
        wrong(
            "dilated kernels as large ones",
            _macs(
                hook=_works(
                    "output.numel() * module.in_channels // module.groups * math.prod("
                    "d * (k - 1) + 1 for d, k in zip(module.dilation, module.kernel_size))"
                )
            ),
            hint="The number of MACs is wrong",
        ),
        wrong("no linear layers", _macs(hook=_works(linear="0")), hint="Linear layers have MACs, too"),
        wrong(
            "linear layers on rows only",
            _macs(hook=_works(linear="module.in_features * module.out_features")),
            hint="A linear layer is applied to every token",
        ),
        wrong(
            "the second dimension as tokens",
            _macs(hook=_works(linear="output[0, ..., 0].numel() * module.weight.numel() if output.dim() < 4 else 0")),
            hint="Linear layers on a grid of tokens",
        ),
        wrong(
            "without the first dimension",
            _macs(hook=_works(_CONV.replace("output.numel()", "math.prod(output.shape[1:])"))),
            hint="where one image has become several examples",
        ),
        wrong(
            "transposed like the others",
            _macs(hook=_works(spread=_CONV)),
            hint="In a transposed convolution each number of the input",
        ),
        wrong(
            "transposed like the others, by rows of the weight",
            _macs(hook="total += output.numel() * module.weight[0].numel()"),
            hint="In a transposed convolution each number of the input",
        ),
        wrong(
            "transposed without groups",
            _macs(hook=_works(spread="inputs[0].numel() * module.out_channels * math.prod(module.kernel_size)")),
            hint="meets only C_out / g channels",
        ),
        wrong("no transposed ones", _macs(hook=_works(spread="0")), hint="Transposed convolutions have MACs, too"),
        wrong(
            "images only",
            _macs(watched="isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))"),
            hint="Convolutions of one and of three dimensions",
        ),
        wrong(
            "Conv2d and Linear only",
            _macs(watched="isinstance(m, (nn.Linear, nn.Conv2d))"),
            hint="Transposed convolutions have MACs, too",
        ),
        wrong(
            "exactly these classes", _macs(watched="type(m) in WEIGHTED"), hint="A class that inherits from nn.Conv2d"
        ),
        wrong(
            "elements of other modules",
            _macs(hook=_works(other="output.numel()"), watched="not list(m.children())"),
            hint="everything else has 0",
        ),
        wrong(
            "each module once",
            _macs(hook=_works(after="if module in met:\n    macs = 0\nmet.add(module)")),
            hint="A layer that is used twice counts twice",
        ),
        wrong(
            "children only",
            _macs(watched="isinstance(m, WEIGHTED) and m is not model"),
            hint="The number of MACs is wrong",
        ),
        wrong(
            "a float",
            _macs(result="total / 1"),
            hint="The number of MACs should be an integer",
        ),
        wrong("in billions", _macs(result="total / 1e9"), hint="The number of MACs should be an integer"),
        *visits.traces(_macs, more=_MORE),
        wrong(
            "PyTorch's counter",
            """
            def count_macs(model, input_size):
                from torch.utils.flop_counter import FlopCounterMode
                modes = {m: m.training for m in model.modules()}
                like = next(model.parameters(), torch.zeros(()))
                model.eval()
                try:
                    with FlopCounterMode(display=False) as counter, torch.no_grad():
                        model(torch.zeros(1, *input_size, device=like.device, dtype=like.dtype))
                finally:
                    for m, mode in modes.items():
                        m.training = mode
                return counter.get_total_flops() // 2
            """,
            hint="Count yourself: a counter of PyTorch's",
        ),
        wrong(
            "nothing", "def count_macs(model, input_size):\n    pass\n", hint="The number of MACs should be an integer"
        ),
    ],
    "activation_memory": [
        right("hooks on what counts", _memory()),
        right("size in bytes", _memory(hook="if torch.is_tensor(output):\n    total += output.nbytes")),
        right(
            "a hook on everything",
            _memory(
                watched="True",
                hook=f"""
weighted = isinstance(module, WEIGHTED)
leaf = next(module.children(), None) is None
if (weighted if weighted_only else leaf) and isinstance(output, torch.Tensor):
    {_BYTES}
""",
            ),
        ),
        right(
            "one global hook, leaves by their dict",
            """
            def activation_memory(model, input_size, weighted_only=True):
                sizes = []
                leaves = {m for m in model.modules() if not m._modules}

                def hook(module, inputs, output):
                    if weighted_only:
                        counts = isinstance(module, WEIGHTED)
                    else:
                        counts = module in leaves
                    if counts and isinstance(output, torch.Tensor):
                        sizes.append(math.prod(output.shape) * output.dtype.itemsize)

                training = [(m, m.training) for m in model.modules()]
                handle = torch.nn.modules.module.register_module_forward_hook(hook)
                try:
                    for m, _ in training:
                        m.training = False
                    image = torch.zeros((1, *input_size))
                    for p in model.parameters():
                        image = image.to(p)
                        break
                    with torch.no_grad():
                        model(image)
                finally:
                    handle.remove()
                    for m, mode in training:
                        m.training = mode
                return sum(sizes)
            """,
        ),
        wrong(
            "numbers, not bytes", _memory(hook=_TENSORS.replace(" * output.element_size()", "")), hint="element_size()"
        ),
        wrong(
            "four bytes always",
            _memory(hook=_TENSORS.replace("output.element_size()", "4")),
            hint="The bytes of one number are those",
        ),
        wrong(
            "bytes of the parameters",
            _memory(
                hook=_TENSORS.replace(
                    "output.element_size()", "next(model.parameters(), torch.zeros(())).element_size()"
                )
            ),
            hint="Modules whose outputs have different dtypes",
        ),
        wrong(
            "swapped",
            _memory(watched="isinstance(m, WEIGHTED) if not weighted_only else not list(m.children())"),
            hint="With weighted_only=True only layers of WEIGHTED",
        ),
        wrong(
            "always weighted",
            _memory(watched="isinstance(m, WEIGHTED)"),
            hint="with False all leaves",
        ),
        wrong("always everything", _memory(watched="not list(m.children())"), hint="only layers of WEIGHTED count"),
        wrong(
            "everything by default",
            _memory(head="def activation_memory(model, input_size, weighted_only=False):"),
            hint="weighted_only is True where it is not given",
        ),
        wrong(
            "containers too",
            _memory(watched="isinstance(m, WEIGHTED) if weighted_only else True"),
            hint="Only leaves count",
        ),
        wrong(
            "each module once",
            _memory(hook=f"if torch.is_tensor(output) and module not in met:\n    {_BYTES}\nmet.add(module)"),
            hint="A module that is used twice counts twice",
        ),
        wrong(
            "inputs",
            _memory(
                hook="given = inputs[0]\nif torch.is_tensor(given):\n    total += given.numel() * given.element_size()"
            ),
            hint="The outputs count, not the inputs",
        ),
        wrong(
            "in-place modules left out",
            _memory(hook=f"if torch.is_tensor(output) and not getattr(module, 'inplace', False):\n    {_BYTES}"),
            hint="A module that works in place counts, too",
        ),
        wrong(
            "views left out",
            _memory(
                hook="if torch.is_tensor(output) and not isinstance(module, (nn.Flatten, nn.Dropout, nn.Identity)):\n"
                f"    {_BYTES}"
            ),
            hint="also where it takes no memory of its own",
        ),
        wrong(
            "each storage once",
            _memory(  # the outputs are kept: the address of a freed one comes again, by chance
                hook="if torch.is_tensor(output) and all(output.data_ptr() != t.data_ptr() for t in met):\n"
                f"    {_BYTES}\n    met.add(output)"
            ),
            hint="also where it takes no memory of its own",
        ),
        wrong(
            "all modules with parameters",
            _memory(watched="(not list(m.children())) and (not weighted_only or bool(list(m.parameters())))"),
            hint="and no normalizations",
        ),
        wrong(
            "no linear layers",
            _memory(watched="isinstance(m, WEIGHTED[1:]) if weighted_only else not list(m.children())"),
            hint="Linear layers are layers with weights",
        ),
        wrong(
            "Conv2d and Linear only",
            _memory(watched="isinstance(m, (nn.Conv2d, nn.Linear)) if weighted_only else not list(m.children())"),
            hint="are not the only layers of WEIGHTED",
        ),
        wrong(
            "exactly these classes",
            _memory(watched="type(m) in WEIGHTED if weighted_only else not list(m.children())"),
            hint="A class that inherits from nn.Conv2d",
        ),
        wrong(
            "without the first dimension",
            _memory(hook="if torch.is_tensor(output):\n    total += output[0].numel() * output.element_size()"),
            hint="where one image has become several examples",
        ),
        wrong(
            "tuples added up",
            _memory(hook="for t in output if isinstance(output, tuple) else [output]:\n    total += t.nbytes"),
            hint="A leaf whose output is a tuple counts 0",
        ),
        wrong("tensors expected", _memory(hook=_BYTES), hint="Your code raised AttributeError"),
        wrong(
            "weights too",
            _memory(hook=_TENSORS, result="total + sum(p.nbytes for p in model.parameters())"),
            hint="The outputs count, and not the parameters",
        ),
        wrong(
            "the largest",
            _memory(hook="if torch.is_tensor(output):\n    total = max(total, output.nbytes)"),
            hint="Add up all outputs",
        ),
        wrong("MiB", _memory(result="total / 2**20"), hint="The number of bytes should be an integer"),
        # What is left out here is tried in exercise 2 already.
        *visits.traces(
            _memory,
            *("always back in training mode", "one mode for all", "errors of its own", "seeded", "a parameter needed"),
            *("without an example's dimension", "gradients cleared", "parameters frozen"),
            "a pass in training mode first",
            more=_MORE,
        ),
        wrong(
            "the chapter's counter",
            """
            def activation_memory(model, input_size, weighted_only=True):
                from ravines import counting
                modes = [(m, m.training) for m in model.modules()]
                like = next(model.parameters(), torch.zeros(()))
                model.eval()
                try:
                    rows = counting.layers(model, input_size)
                except ValueError as error:
                    raise RuntimeError(str(error))
                finally:
                    for m, mode in modes:
                        m.training = mode
                each = like.element_size()
                return each * sum(r.activations for r in rows if r.weighted or not weighted_only)
            """,
            hint="A model that turns an image into several examples",
        ),
        wrong(
            "nothing",
            "def activation_memory(model, input_size, weighted_only=True):\n    pass\n",
            hint="The number of bytes should be an integer",
        ),
    ],
    "comparison_row": [
        right("key by key", _row()),
        right(
            "a literal",
            """
            def comparison_row(name, model, input_size, top5_error=None, counters=None):
                if top5_error is None:
                    accuracy = None
                elif top5_error >= 0 and top5_error <= 100:
                    accuracy = 100 - top5_error
                else:
                    raise ValueError(f"an error of {top5_error} % is none")
                if counters is None:
                    counters = count_parameters, count_macs, activation_memory
                n = counters[0](model=model)
                work = counters[1](model=model, input_size=input_size) * 1e-9
                weighted, everything = (
                    counters[2](model=model, input_size=input_size, weighted_only=w) * 2**-20 for w in (True, False)
                )
                return {
                    "parameters": n,
                    "network": name,
                    "gflop": work * 2,
                    "gmac": work,
                    "weighted_layers": sum(1 for m in set(model.modules()) if isinstance(m, WEIGHTED)),
                    "weights_mib": sum(p.nbytes for p in set(model.parameters())) / 2**20,
                    "all_outputs_mib": everything,
                    "outputs_mib": weighted,
                    "top5_accuracy": accuracy,
                    "macs_per_parameter": None if n == 0 else work * 1e9 / n,
                }
            """,
        ),
        right(
            "columns zipped",
            """
            def comparison_row(name, model, input_size, top5_error=None, counters=None):
                error = top5_error
                if error is not None and (math.isnan(error) or error < 0 or error > 100):
                    raise ValueError("an error is a share, in percent")
                keys = ["network", "parameters", "gmac", "gflop", "weighted_layers", "weights_mib", "outputs_mib"]
                keys += ["all_outputs_mib", "macs_per_parameter", "top5_accuracy"]
                f, g, h = counters or (count_parameters, count_macs, activation_memory)
                p, macs = f(model), g(model, input_size)
                layers = [m for m in model.modules() if isinstance(m, WEIGHTED)]
                bytes_of = sum(t.numel() * t.dtype.itemsize for t in model.parameters())
                values = [name, p, macs / 1_000_000_000, macs / 500_000_000, len(layers), bytes_of / 1_048_576]
                values += [h(model, input_size, weighted_only=w) / 1_048_576 for w in (True, False)]
                values += [macs / p if p else None, None if error is None else 100.0 - error]
                return dict(zip(keys, values))
            """,
        ),
        right("a fresh dict", _row(result="{key: value for key, value in row.items()}")),
        wrong("MACs as FLOPs", _row(gflop="m / 10**9"), hint="a MAC is two FLOPs"),
        wrong("FLOPs as MACs", _row(gmac="2 * m / 10**9"), hint="a MAC is two FLOPs"),
        wrong("half the FLOPs", _row(gflop="m / 2 / 10**9"), hint="a MAC is two FLOPs"),
        wrong("powers of two", _row(gmac="m / 2**30"), hint="gmac: a billion is 10**9"),
        wrong("powers of two for FLOPs", _row(gflop="2 * m / 2**30"), hint="gflop: a billion is 10**9"),
        wrong("millions", _row(gmac="m / 10**6"), hint="not millions"),
        wrong("MACs, not billions", _row(gmac="m"), hint="the unit is 10**9 MACs"),
        wrong("megabytes", _row(outputs="memory(model, input_size) / 10**6"), hint="a MiB has 2**20 bytes, not 10**6"),
        wrong(
            "kibibytes",
            _row(everything="memory(model, input_size, False) / 1024"),
            hint="a MiB has 2**20 bytes, not 2**10",
        ),
        wrong("bytes", _row(outputs="memory(model, input_size)"), hint="the unit is MiB, not bytes"),
        wrong("four bytes more", _row(outputs="4 * memory(model, input_size) / 2**20"), hint="in bytes already"),
        wrong("the same memory twice", _row(everything="memory(model, input_size) / 2**20"), hint="the other one"),
        wrong(
            "swapped memories",
            _row(outputs="memory(model, input_size, False) / 2**20", everything="memory(model, input_size) / 2**20"),
            hint="outputs_mib: weighted_only is the other one",
        ),
        wrong("rounded", _row(gmac="round(m / 10**9, 2)"), hint="gmac: do not round"),
        wrong(
            "all rounded to one digit", _row(outputs="round(memory(model, input_size) / 2**20, 1)"), hint="do not round"
        ),
        wrong(
            "as text", _row(gmac="f'{m / 10**9:.2f}'"), hint="gmac should be a number or an integer, but it is a string"
        ),
        wrong(
            "uses rounded down", _row(uses="m // p if p else None"), hint="macs_per_parameter: divide without rounding"
        ),
        wrong("uses upside down", _row(uses="p / m if p else None"), hint="divide the MACs by the parameters"),
        wrong("uses in FLOPs", _row(uses="2 * m / p if p else None"), hint="macs_per_parameter: a MAC is two FLOPs"),
        wrong("uses in billions", _row(uses="m / 10**9 / p if p else None"), hint="not in billions"),
        wrong("division by 0", _row(uses="m / p"), hint="Your code raised ZeroDivisionError"),
        wrong(
            "0 uses without parameters",
            _row(uses="m / p if p else 0.0"),
            hint="it is None where there are no parameters",
        ),
        wrong(
            "own counters always",
            _row(before="parameters, macs, memory = count_parameters, count_macs, activation_memory"),
            hint="it is what the first counter says",
        ),
        wrong(
            "own counter for parameters",
            _row(parameters="sum(q.numel() for q in model.parameters())"),
            hint="it is what the first counter says",
        ),
        wrong(
            "counters required", _row(before="parameters, macs, memory = counters"), hint="Your code raised TypeError"
        ),
        wrong(
            "layers by used names",
            _row(
                layers="len([1 for n, _ in model.named_modules(remove_duplicate=False) if "
                "isinstance(model.get_submodule(n), WEIGHTED)])"
            ),
            hint="a layer that is in two places is one layer",
        ),
        wrong(
            "Conv2d and Linear only",
            _row(layers="sum(isinstance(x, (nn.Conv2d, nn.Linear)) for x in model.modules())"),
            hint="are not only Conv2d and Linear",
        ),
        wrong(
            "exactly these classes",
            _row(layers="sum(type(x) in WEIGHTED for x in model.modules())"),
            hint="a class that inherits from nn.Conv2d",
        ),
        wrong(
            "no transposed ones",
            _row(layers="sum(isinstance(x, WEIGHTED[:4]) for x in model.modules())"),
            hint="transposed convolutions are layers with weights",
        ),
        wrong(
            "all with a weight",
            _row(layers="sum(hasattr(x, 'weight') for x in model.modules())"),
            hint="normalizations and embeddings",
        ),
        wrong(
            "direct children",
            _row(layers="sum(isinstance(x, WEIGHTED) for x in model.children())"),
            hint="at every depth of the model",
        ),
        wrong(
            "four bytes always",
            _row(weights="4 * sum(q.numel() for q in model.parameters()) / 2**20"),
            hint="each parameter has the bytes of its own dtype",
        ),
        wrong(
            "four bytes for what was counted",
            _row(weights="4 * p / 2**20"),
            hint="each parameter has the bytes of its own dtype",
        ),
        wrong(
            "numbers of weights",
            _row(weights="sum(q.numel() for q in model.parameters()) / 2**20"),
            hint="weights_mib: each number has",
        ),
        wrong(
            "buffers too",
            _row(weights="sum(q.nbytes for q in (*model.parameters(), *model.buffers())) / 2**20"),
            hint="buffers are no parameters",
        ),
        wrong(
            "the state dict",
            _row(weights="sum(q.nbytes for q in model.state_dict().values()) / 2**20"),
            hint="weights_mib: add up",
        ),
        wrong(
            "shared ones twice",
            _row(
                weights="sum(q.nbytes for x in model.modules() for q in x._parameters.values() if q is "
                "not None) / 2**20"
            ),
            hint="is in memory once",
        ),
        wrong(
            "trained ones only",
            _row(weights="sum(q.nbytes for q in model.parameters() if q.requires_grad) / 2**20"),
            hint="frozen parameters count, too",
        ),
        wrong(
            "megabytes of weights",
            _row(weights="sum(q.nbytes for q in model.parameters()) / 10**6"),
            hint="weights_mib: a MiB has 2**20 bytes",
        ),
        wrong("the error itself", _row(accuracy="top5_error"), hint="an accuracy is 100 % minus the error"),
        wrong(
            "an error as a share",
            _row(accuracy="None if top5_error is None else 1 - top5_error"),
            hint="the error is in percent",
        ),
        wrong(
            "an accuracy as a share",
            _row(accuracy="None if top5_error is None else 1 - top5_error / 100"),
            hint="the accuracy is in percent, too",
        ),
        wrong(
            "no error of 0",
            _row(accuracy="100 - top5_error if top5_error else None"),
            hint="An error of 0 is an error that is known",
        ),
        wrong(
            "an accuracy without an error",
            _row(accuracy="100 - (top5_error or 0)"),
            hint="it is None where top5_error is None",
        ),
        wrong("any error", _row(check="pass"), hint="is a ValueError; yours gives a row"),
        wrong(
            "nan as an error",
            _row(
                check="if top5_error is not None and (top5_error < 0 or top5_error > 100):\n    raise ValueError('no')"
            ),
            hint="A top5_error of nan is a ValueError",
        ),
        wrong(
            "negative errors",
            _row(check="if top5_error is not None and not top5_error <= 100:\n    raise ValueError('no')"),
            hint="A top5_error of -0.01 is a ValueError",
        ),
        wrong(
            "errors asserted",
            _row(check="assert top5_error is None or 0 <= top5_error <= 100"),
            hint="is a ValueError; yours gives AssertionError",
        ),
        wrong(
            "no limits",
            _row(check="if top5_error is not None and not 0 < top5_error < 100:\n    raise ValueError('no')"),
            hint="Your code raised ValueError",
        ),
        wrong("a tuple", _row(result="tuple(row.values())"), hint="The row should be a dict"),
        wrong(
            "a key missing", _row(result="{k: v for k, v in row.items() if k != 'gflop'}"), hint="should have the key"
        ),
        wrong("a key more", _row(result="{**row, 'flops': 2 * m}"), hint="a key that the table does not have"),
        wrong("left in evaluation mode", _row(before="model.eval()"), hint="was in training mode, and is not any more"),
        wrong(
            "a copy for the counters",
            _row(before="import copy\nmodel = copy.deepcopy(model)"),
            hint="The counters get the model itself",
        ),
        wrong(
            "a batch for the counters",
            _row(before="input_size = (1, *input_size)"),
            hint="The counters get input_size as it is",
        ),
    ],
    "pareto_front": [
        right("sorted by cost", _pareto()),
        right(
            "groups of equal cost",
            """
            def pareto_front(points):
                from itertools import groupby
                if any(c != c or a != a for c, a in points):
                    raise ValueError("A point has a NaN.")
                front, best = [], None
                order = sorted(range(len(points)), key=lambda i: points[i][0])
                for _, group in groupby(order, key=lambda i: points[i][0]):
                    group = list(group)
                    top = max(points[i][1] for i in group)
                    if best is None or top > best:
                        best = top
                        front += [i for i in group if points[i][1] == top]
                return front
            """,
        ),
        right(
            "numpy",
            """
            def pareto_front(points):
                import numpy as np
                table = np.asarray(points, dtype=float).reshape(-1, 2)
                if np.isnan(table).any():
                    raise ValueError("cost or accuracy is nan")
                cost, accuracy = table.T
                order = np.lexsort((np.arange(len(cost)), -accuracy, cost))
                c, a = cost[order], accuracy[order]
                before = np.maximum.accumulate(np.concatenate([[-np.inf], a]))[:-1]
                new = a > before
                group = np.cumsum(new) - 1
                corners = np.flatnonzero(new)
                keep = new.copy()
                if len(corners):
                    g = np.maximum(group, 0)
                    keep |= (c == c[corners[g]]) & (a == a[corners[g]])
                return order[keep].tolist()
            """,
        ),
        right(
            "a comparison written in Python",
            """
            def pareto_front(points):
                import functools
                for i, (c, a) in enumerate(points):
                    if math.isnan(c + a):
                        raise ValueError(f"nan at {i}")
                def compare(i, j):
                    (c, a), (d, b) = points[i], points[j]
                    if c != d:
                        return -1 if c < d else 1
                    if a != b:
                        return -1 if a > b else 1
                    return i - j
                best, front, last = -math.inf, [], None
                for i in sorted(range(len(points)), key=functools.cmp_to_key(compare)):
                    here = (points[i][0], points[i][1])
                    if here[1] > best or here == last:
                        best, last = here[1], here
                        front.append(i)
                return front
            """,
        ),
        right(
            "vectors for all pairs",
            """
            def pareto_front(points):
                t = torch.tensor([[float(c), float(a)] for c, a in points], dtype=torch.float64).reshape(-1, 2)
                if t.isnan().any():
                    raise ValueError("There is a nan among the points.")
                c, a = t.T
                no_worse = (c[:, None] <= c) & (a[:, None] >= a)
                dominated = (no_worse & ~no_worse.T).any(0)
                left = (~dominated).nonzero()[:, 0].tolist()
                return sorted(left, key=lambda i: points[i][0])
            """,
        ),
        right(
            "equal points together",
            """
            def pareto_front(points):
                places = {}
                for i, (c, a) in enumerate(points):
                    if math.isnan(c) or math.isnan(a):
                        raise ValueError("nan")
                    places.setdefault((c, -a), []).append(i)
                front, best = [], math.inf
                for c, a in sorted(places):
                    if a < best:
                        front.extend(places[c, a])
                        best = a
                return front
            """,
        ),
        wrong(
            "all pairs in a loop",
            _all_pairs("a[0] <= b[0] and a[1] >= b[1] and (a[0] < b[0] or a[1] > b[1])"),
            hint="looks at every pair",
        ),
        wrong(
            "half of the pairs",
            """
            def pareto_front(points):
                for point in points:
                    if any(math.isnan(v) for v in point):
                        raise ValueError("nan is no number")
                order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
                front = []
                for i in order:
                    c, a = points[i]
                    for j in front:
                        d, b = points[j]
                        if b >= a and (d < c or b > a):
                            break
                    else:
                        front.append(i)
                return front
            """,
            hint="looks at every pair",
        ),
        wrong("better in both", _all_pairs("a[0] < b[0] and a[1] > b[1]"), hint="no worse in both and better in one"),
        wrong("cheaper", _all_pairs("a[0] < b[0] and a[1] >= b[1]"), hint="the more accurate one dominates"),
        wrong("more accurate", _all_pairs("a[0] <= b[0] and a[1] > b[1]"), hint="the cheaper one dominates"),
        wrong("better in any", _all_pairs("a[0] < b[0] or a[1] > b[1]"), hint="no worse in both"),
        wrong(
            "equal ones dominate",
            _all_pairs("a is not b and a[0] <= b[0] and a[1] >= b[1]"),
            hint="Two equal points do not dominate each other",
        ),
        wrong(
            "one of equal points",
            _pareto(keep="not front or points[i][1] > points[front[-1]][1]"),
            hint="Two equal points do not dominate each other",
        ),
        wrong(
            "equal accuracy kept",
            _pareto(keep="not front or points[i][1] >= points[front[-1]][1]"),
            hint="Of two points of the same accuracy the cheaper one",
        ),
        wrong(
            "sorted by cost only",
            _pareto(key="lambda i: points[i][0]"),
            hint="the same cost",
        ),
        wrong(
            "sorted by the points",
            _pareto(key="lambda i: tuple(points[i])"),
            hint="of the same cost",
        ),
        wrong(
            "equal costs all kept",
            _pareto(keep="not front or points[i][1] > points[front[-1]][1] or points[i][0] == points[front[-1]][0]"),
            hint="A point of yours is dominated",
        ),
        wrong(
            "neighbours only",
            _pareto(before="best = [-1]", keep="points[i][1] > points[order[order.index(i) - 1]][1] or i == order[0]"),
            hint="A point of yours is dominated",
        ),
        wrong("in the order of the list", _pareto(result="sorted(front)"), hint="not of the list"),
        wrong("by falling cost", _pareto(result="front[::-1]"), hint="in the order of rising cost"),
        wrong(
            "equal points from behind",
            _pareto(key="lambda i: (points[i][0], -points[i][1], -i)"),
            hint="Equal points are in the order of their indices",
        ),
        wrong("points", _pareto(result="[points[i] for i in front]"), hint="Return indices, not points"),
        wrong(
            "places in the sorted list",
            _pareto(result="[order.index(i) for i in front]"),
            hint="the list that was given",
        ),
        wrong("a set", _pareto(result="set(front)"), hint="What came back cannot be graded"),
        wrong("a tuple", _pareto(result="tuple(front)"), hint="The front should be a list, but it is a tuple"),
        wrong("an array", _pareto(result="__import__('numpy').array(front)"), hint="The front should be a list"),
        wrong(
            "the dearest",
            _pareto(key="lambda i: (-points[i][0], -points[i][1], i)"),
            hint="Of the cost less is better",
        ),
        wrong(
            "errors instead of accuracies",
            _pareto(key="lambda i: (points[i][0], points[i][1], i)", keep=_SORTED["keep"].replace(">", "<")),
            hint="Of the accuracy more is better",
        ),
        wrong(
            "accuracies above 0 only",
            _pareto(
                before="best = [0.0]",
                keep="points[i][1] > best[0] and not best.__setitem__(0, points[i][1]) or "
                "(front and tuple(points[i]) == tuple(points[front[-1]]))",
            ),
            hint="Costs and accuracies below 0",
        ),
        wrong(
            "a hull",
            """
            def pareto_front(points):
                for point in points:
                    if any(math.isnan(v) for v in point):
                        raise ValueError("nan is no number")
                front = []
                for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
                    if front and points[i][1] <= points[front[-1]][1]:
                        if tuple(points[i]) == tuple(points[front[-1]]):
                            front.append(i)
                        continue
                    while len(front) > 1:
                        (c, a), (d, b), (e, f) = points[front[-2]], points[front[-1]], points[i]
                        if (b - a) * (e - c) >= (f - a) * (d - c):
                            break
                        front.pop()
                    front.append(i)
                return front
            """,
            hint="A front is no convex hull",
        ),
        wrong("nan ignored", _pareto(nan="pass"), hint="a ValueError is due; yours gives an answer"),
        wrong(
            "nan left out",
            """
            def pareto_front(points):
                known = [i for i, (c, a) in enumerate(points) if c == c and a == a]
                front = []
                for i in sorted(known, key=lambda i: (points[i][0], -points[i][1])):
                    if not front or points[i][1] > points[front[-1]][1] or tuple(points[i]) == tuple(points[front[-1]]):
                        front.append(i)
                return front
            """,
            hint="a ValueError is due; yours gives an answer",
        ),
        wrong(
            "nan in accuracies only",
            _pareto(nan="if any(math.isnan(a) for _, a in points):\n    raise ValueError('nan')"),
            hint="Where a cost is nan",
        ),
        wrong(
            "nan without a word",
            _pareto(nan=_SORTED["nan"].replace("nan is no number", "bad point")),
            hint="should contain the word nan",
        ),
        wrong(
            "nan as another error",
            _pareto(nan=_SORTED["nan"].replace("ValueError", "ArithmeticError")),
            hint="yours gives ArithmeticError",
        ),
        wrong(
            "nan found on the front",
            _pareto(
                nan="pass",
                result="check(front)",
                before="""
def check(front):
    if any(math.isnan(v) for i in front for v in points[i]):
        raise ValueError("nan")
    return front
""",
            ),
            hint="a ValueError is due; yours gives an answer",
        ),
        wrong(
            "the list sorted",
            """
            def pareto_front(points):
                for point in points:
                    if any(math.isnan(v) for v in point):
                        raise ValueError("nan is no number")
                places = {}
                for i, p in enumerate(points):
                    places.setdefault(tuple(p), []).append(i)
                if isinstance(points, list):
                    points.sort(key=lambda p: (p[0], -p[1]))
                front, best = [], -math.inf
                for c, a in sorted(places, key=lambda p: (p[0], -p[1])):
                    if a > best:
                        front += places[c, a]
                        best = a
                return front
            """,
            hint="The points should stay as they are",
        ),
        wrong(
            "an array of truths",
            _pareto(before="if not points:\n    return []"),
            hint="Your code raised ValueError",
        ),
        wrong(
            "something for nothing",
            _pareto(before="if len(points) == 0:\n    return None"),
            hint="the front is an empty list",
        ),
        wrong("nothing", "def pareto_front(points):\n    pass\n", hint="The front should be a list, but it is None"),
    ],
}
