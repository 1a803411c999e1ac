"""Right and wrong answers to the assignment `imagenet`, on file for `autograde verify`."""

from autograde.variants import Variant, right, wrong

# Each answer is a template whose parts a variant replaces: it then shows only what is special about it.
_TOP_K = """
def top_k_accuracy(logits, targets, k=1):
    {check}
    own = logits.gather(1, targets[:, None])
    rank = {rank}
    return {result}
"""
_TOP_K_PARTS = {
    "check": """
        if k < 1 or k > logits.shape[1] or len(logits) == 0:
            raise ValueError("k or images")
    """,
    "rank": "(~(logits < own)).sum(1) - 1",
    "result": "((rank < k) & ~own[:, 0].isnan()).double().mean().item()",
}
_REAL = """
def real_accuracy(predictions, real_labels):
    {check}
    hits, kept = 0, 0
    for guess, labels in zip(predictions.tolist(), real_labels):
        {skip}
        kept += {one}
        hits += {hit}
    {none}
    return {result}
"""
_REAL_PARTS = {
    "check": """
        if len(predictions) != len(real_labels):
            raise ValueError("lengths")
    """,
    "skip": """
        if not labels:
            continue
    """,
    "one": "1",
    "hit": "guess in labels",
    "none": """
        if kept == 0:
            raise ValueError("no labels")
    """,
    "result": "hits / kept",
}
_EMBED = """
def patch_embed(images, patch, weight, bias):
    n, channels, height, width = images.shape
    {check}
    rows, columns = height // patch, width // patch
    {cut}
    {join}
    return {result}
"""
_EMBED_PARTS = {
    "check": """
        if height % patch or width % patch:
            raise ValueError(f"{height} x {width} pixels are not divided by {patch}")
    """,
    "cut": "cut = images.reshape(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)",
    "join": "vectors = cut.reshape(n, rows * columns, -1)",
    "result": "vectors @ weight.T + bias",
}
_PROBE = """
def linear_probe(features, targets, test_features, n_classes, weight_decay=0.01):
    {check}
    {convert}
    {mean}
    {std}
    {zero}
    {scale}
    {classes}
    with {grad}:
        {parameters}
        {optimizer}
        def closure():
            optimizer.zero_grad()
            loss = {loss}
            loss.backward()
            return loss
        {iterate}
    {scores}
    {spread}
    return result
"""
_PROBE_PARTS = {
    "check": """
        if weight_decay <= 0:
            raise ValueError("weight_decay")
        if len(features) != len(targets):
            raise ValueError("lengths")
        if any(t < 0 or t >= n_classes for t in targets.tolist()):
            raise ValueError("targets")
    """,
    "convert": "x, new = features.detach().double(), test_features.detach().double()",
    "mean": "mean = x.mean(0)",
    "std": "std = x.std(0, correction=0)",
    "zero": "std[std == 0] = 1",
    "scale": "x, new = (x - mean) / std, (new - mean) / std",
    "classes": "present, y = targets.unique(return_inverse=True)",
    "grad": "torch.enable_grad()",
    "parameters": """
        w = torch.zeros(len(present), x.shape[1], dtype=torch.float64, requires_grad=True)
        b = torch.zeros(len(present), dtype=torch.float64, requires_grad=True)
    """,
    "optimizer": """
        optimizer = torch.optim.LBFGS(
            [w, b], max_iter=2000, tolerance_grad=1e-9, tolerance_change=1e-13, line_search_fn="strong_wolfe"
        )
    """,
    "loss": "F.cross_entropy(x @ w.T + b, y) + 0.5 * weight_decay * (w ** 2).sum()",
    "iterate": "optimizer.step(closure)",
    "scores": "found = torch.softmax(new @ w.detach().T + b.detach(), 1)",
    "spread": """
        result = torch.zeros(len(new), n_classes, dtype=torch.float64)
        result[:, present] = found
    """,
}
_CURVE = """
def data_efficiency_curve(fit, images, targets, test_images, test_targets, sizes, seeds):
    {classes}
    {check}
    table = {table}
    {before}
    for i, seed in enumerate(seeds):
        {shuffle}
        for j, size in enumerate(sizes):
            {share}
            {fit}
            {test}
            {enter}
    return {result}
"""
_CURVE_PARTS = {
    "classes": """
        classes = sorted(set(targets.tolist()))
        groups = [torch.where(targets == c)[0] for c in classes]
    """,
    "check": """
        for size in sizes:
            if size < 1 or size % len(classes) or size // len(classes) > min(map(len, groups)):
                raise ValueError(f"a size of {size} is not possible")
    """,
    "table": "torch.zeros(len(seeds), len(sizes), dtype=torch.float64)",
    "before": "",
    "shuffle": """
        g = torch.Generator().manual_seed(seed)
        orders = [rows[torch.randperm(len(rows), generator=g)] for rows in groups]
    """,
    "share": "rows = torch.cat([order[:size // len(classes)] for order in orders])",
    "fit": "predict = fit(images[rows], targets[rows], seed)",
    "test": """
        with torch.no_grad():
            scores = predict(test_images)
    """,
    "enter": "table[i, j] = (scores.argmax(1) == test_targets).double().mean()",
    "result": "table",
}


def _fill(code: str, usual: dict[str, str], parts: dict[str, str]) -> str:
    """Return a template with its holes filled, each part indented as its hole is."""
    for name, part in {**usual, **parts}.items():
        marker = "{" + name + "}"
        lines = [line for line in part.splitlines() if line.strip()] or ["pass"]
        depth = len(lines[0]) - len(lines[0].lstrip())
        start = code.index(marker)
        column = start - code.rindex("\n", 0, start) - 1
        code = code.replace(marker, ("\n" + " " * column).join(line[depth:] for line in lines), 1)
    return code


def _top_k(**parts: str) -> str:
    return _fill(_TOP_K, _TOP_K_PARTS, parts)


def _real(**parts: str) -> str:
    return _fill(_REAL, _REAL_PARTS, parts)


def _embed(**parts: str) -> str:
    return _fill(_EMBED, _EMBED_PARTS, parts)


def _probe(**parts: str) -> str:
    return _fill(_PROBE, _PROBE_PARTS, parts)


def _curve(**parts: str) -> str:
    return _fill(_CURVE, _CURVE_PARTS, parts)


_LBFGS = "optimizer = torch.optim.LBFGS([w, b], {})"

VARIANTS: dict[str, list[Variant]] = {
    "top_k_accuracy": [
        right("counted at once", _top_k()),
        right(
            "row by row",
            """
            def top_k_accuracy(logits, targets, k=1):
                if not len(targets) or not 1 <= k <= logits.shape[1]:
                    raise ValueError("k or images")
                right = 0
                for row, target in zip(logits.tolist(), targets.tolist()):
                    own = row.pop(target)
                    right += own == own and sum(not other < own for other in row) < k
                return right / len(targets)
            """,
        ),
        right(
            "the label is taken out",
            """
            def top_k_accuracy(logits, targets, k=1):
                n, classes = logits.shape
                if n == 0:
                    raise ValueError("no images")
                if k <= 0 or k > classes:
                    raise ValueError("k")
                scores = logits.double().nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
                rows = torch.arange(n)
                own = scores[rows, targets]
                before = scores >= own.unsqueeze(1)
                before[rows, targets] = False
                good = (before.sum(1) < k) & ~torch.isnan(logits[rows, targets])
                return good.sum().item() / n
            """,
        ),
        right("in float32", _top_k(result="float(((rank < k) & ~own[:, 0].isnan()).float().mean())")),
        wrong("ties for the network", _top_k(rank="(logits > own).sum(1)"), hint="an equal score of another class"),
        wrong(
            "topk",
            """
            def top_k_accuracy(logits, targets, k=1):
                if not 1 <= k <= logits.shape[1] or len(logits) == 0:
                    raise ValueError("bad")
                top = logits.topk(k, 1).indices
                return (top == targets[:, None]).any(1).double().mean().item()
            """,
            hint="tie counts against the network",
        ),
        wrong(
            "the first class wins",
            """
            def top_k_accuracy(logits, targets, k=1):
                if not 1 <= k <= logits.shape[1] or len(logits) == 0:
                    raise ValueError("bad")
                top = logits.argsort(dim=1, descending=True, stable=True)[:, :k]
                return (top == targets[:, None]).any(1).double().mean().item()
            """,
            hint="also where the label is the first class",
        ),
        wrong(
            "the error", _top_k(result="((rank >= k) | own[:, 0].isnan()).double().mean().item()"), hint="is the error"
        ),
        wrong(
            "a number of images",
            _top_k(result="float(((rank < k) & ~own[:, 0].isnan()).sum())"),
            hint="not their number",
        ),
        wrong(
            "percent",
            _top_k(result="100 * ((rank < k) & ~own[:, 0].isnan()).double().mean().item()"),
            hint="to 1, not percent",
        ),
        wrong("the smallest", _top_k(rank="(~(logits > own)).sum(1) - 1"), hint="not the smallest"),
        wrong(
            "one more",
            _top_k(result="((rank <= k) & ~own[:, 0].isnan()).double().mean().item()"),
            hint="so it allows one more",
        ),
        wrong("counts itself", _top_k(rank="(~(logits < own)).sum(1)"), hint="does not count in its rank"),
        wrong(
            "k ignored",
            _top_k(result="((rank < 1) & ~own[:, 0].isnan()).double().mean().item()"),
            hint="yours is the top-1 accuracy",
        ),
        wrong(
            "always 5",
            _top_k(result="((rank < 5) & ~own[:, 0].isnan()).double().mean().item()"),
            hint="yours is the top-5 accuracy",
        ),
        wrong(
            "its nan passes",
            _top_k(rank="(logits >= own).sum(1) - 1", result="(rank < k).double().mean().item()"),
            hint="whose score is nan is wrong",
        ),
        wrong(
            "its nan passes for k = K",
            _top_k(result="(rank < k).double().mean().item()"),
            hint="whose score is nan is wrong",
        ),
        wrong("nan of others is small", _top_k(rank="(logits >= own).sum(1) - 1"), hint="nan of another class is not"),
        wrong(
            "an infinite score is taken for nan",
            _top_k(result="((rank < k) & own[:, 0].isfinite()).double().mean().item()"),
            hint="Infinite scores are larger or smaller",
        ),
        wrong(
            "counted in the scores' dtype",
            _top_k(
                rank="(((~(logits < own)).sum(1) - 1 < k) & ~own[:, 0].isnan()).to(logits.dtype)",
                result="(rank.sum() / torch.tensor(len(rank)).to(logits.dtype)).double().item()",
            ),
            hint="do not count in that dtype",
        ),
        wrong("a tensor", _top_k(result="((rank < k) & ~own[:, 0].isnan()).double().mean()"), hint="a Python number"),
        wrong(
            "rounded",
            _top_k(result="round(((rank < k) & ~own[:, 0].isnan()).double().mean().item(), 2)"),
            hint="fewer than k other classes",
        ),
        wrong(
            "its input is overwritten",
            _top_k(result="((rank < k) & ~own[:, 0].isnan()).double().mean().item() + 0 * logits.zero_().numel()"),
            hint="changes `logits`",
        ),
        wrong("nothing is refused", _top_k(check=""), hint="raise a ValueError"),
        wrong(
            "no images are fine",
            _top_k(
                check="""
                if k < 1 or k > logits.shape[1]:
                    raise ValueError("k")
                """
            ),
            hint="No images should raise",
        ),
        wrong(
            "k above the classes is fine",
            _top_k(
                check="""
                if k < 1 or len(logits) == 0:
                    raise ValueError("k")
                """
            ),
            hint="raise a ValueError",
        ),
        wrong(
            "k = K is refused",
            _top_k(
                check="""
                if k < 1 or k >= logits.shape[1] or len(logits) == 0:
                    raise ValueError("k")
                """
            ),
            hint="Your code raised ValueError",
        ),
        wrong(
            "assertions",
            _top_k(check="assert 1 <= k <= logits.shape[1] and len(logits)"),
            hint="Yours raised AssertionError",
        ),
        wrong("nothing comes back", "def top_k_accuracy(logits, targets, k=1):\n    pass\n", hint="but it is None"),
    ],
    "real_accuracy": [
        right("a loop", _real()),
        right(
            "sets",
            """
            def real_accuracy(predictions, real_labels):
                if len(predictions) != len(real_labels):
                    raise ValueError("lengths")
                pairs = [(int(p), set(labels)) for p, labels in zip(predictions, real_labels) if len(labels) > 0]
                if not pairs:
                    raise ValueError("no labels")
                return sum(p in labels for p, labels in pairs) / len(pairs)
            """,
        ),
        right(
            "a table of classes",
            """
            def real_accuracy(predictions, real_labels):
                n = len(real_labels)
                if predictions.shape[0] != n or not any(real_labels):
                    raise ValueError("labels")
                classes = 1 + max(int(predictions.max()), max(max(some, default=0) for some in real_labels))
                fits = torch.zeros(n, classes, dtype=torch.bool)
                for i, some in enumerate(real_labels):
                    fits[i, some] = True
                kept = fits.any(1)
                hit = fits.gather(1, predictions.long()[:, None])[:, 0]
                return hit[kept].double().mean().item()
            """,
        ),
        right("tensors in lists", _real(hit="any(bool(torch.tensor(guess) == label) for label in labels)")),
        wrong("divided by all", _real(result="hits / len(real_labels)"), hint="left out below the line"),
        wrong(
            "no label is right",
            _real(skip="", hit="guess in labels or not labels"),
            hint="they are not right",
        ),
        wrong(
            "no label is right, above alone",
            _real(skip="", one="bool(labels)", hit="guess in labels or not labels"),
            hint="they are not right",
        ),
        wrong("the error", _real(result="1 - hits / kept"), hint="accuracy is one minus it"),
        wrong("percent", _real(result="100 * hits / kept"), hint="to 1, not percent"),
        wrong("a number", _real(result="float(hits)"), hint="not a number of images"),
        wrong("divided by labels", _real(one="len(labels)"), hint="not by that of labels"),
        wrong("twice counts twice", _real(hit="labels.count(guess)"), hint="is there twice counts once"),
        wrong("the first label", _real(hit="guess == labels[0]"), hint="not the first alone"),
        wrong("the last label", _real(hit="guess == labels[-1]"), hint="not the last alone"),
        wrong("the one label", _real(hit="labels == [guess]"), hint="right when the guess is one of them"),
        wrong("a share of the labels", _real(hit="(guess in labels) / len(set(labels))"), hint="number of its labels"),
        wrong(
            "class 0 is no label", _real(hit="bool(guess) and guess in labels"), hint="An image is right when its guess"
        ),
        wrong(
            "images with one label alone",
            _real(skip="if len(labels) != 1:\n    continue"),
            hint="An image is right when its guess",
        ),
        wrong(
            "a tensor looked up in a set",
            """
            def real_accuracy(predictions, real_labels):
                if len(predictions) != len(real_labels):
                    raise ValueError("lengths")
                kept = [(p, set(labels)) for p, labels in zip(predictions, real_labels) if labels]
                if not kept:
                    raise ValueError("no labels")
                return sum(p in labels for p, labels in kept) / len(kept)
            """,
            hint="An image is right when its guess",
        ),
        wrong(
            "a tensor comes back",
            _real(result="torch.tensor(hits / kept, dtype=torch.float64)"),
            hint="a Python number",
        ),
        wrong(
            "the lists are shortened",
            _real(hit="bool(labels.count(guess) and (labels.remove(guess) or True))"),
            hint="changes `real_labels`",
        ),
        wrong("lengths may differ", _real(check=""), hint="guesses should raise a ValueError"),
        wrong(
            "more lists may be there",
            _real(check="if len(predictions) > len(real_labels):\n    raise ValueError('lengths')"),
            hint="More lists than guesses",
        ),
        wrong("divided by zero", _real(none=""), hint="Yours raised ZeroDivisionError"),
        wrong("nan for nothing", _real(none="if kept == 0:\n    return math.nan"), hint="Yours raised nothing"),
        wrong("0 for nothing", _real(none="if kept == 0:\n    return 0.0"), hint="Yours raised nothing"),
    ],
    "patch_embed": [
        right("reshape and permute", _embed()),
        right(
            "patch by patch",
            """
            def patch_embed(images, patch, weight, bias):
                n, channels, height, width = images.shape
                if height % patch != 0 or width % patch != 0:
                    raise ValueError(f"{patch} does not divide {height} and {width}")
                tokens = []
                for i in range(0, height, patch):
                    for j in range(0, width, patch):
                        vector = images[:, :, i:i + patch, j:j + patch].flatten(1)
                        tokens.append(F.linear(vector, weight, bias))
                return torch.stack(tokens, dim=1)
            """,
        ),
        right(
            "view for the split",
            _embed(cut="cut = images.view(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)"),
        ),
        right(
            "unfolded along both sides",
            _embed(
                cut="cut = images.unfold(2, patch, patch).unfold(3, patch, patch).permute(0, 2, 3, 1, 4, 5)",
                result="F.linear(vectors, weight, bias)",
            ),
        ),
        right(
            "by einsum",
            _embed(
                cut="cut = images.reshape(n, channels, rows, patch, columns, patch)",
                join="kernels = weight.reshape(-1, channels, patch, patch)",
                result="torch.einsum('nchpwq,dcpq->nhwd', cut, kernels).flatten(1, 2) + bias",
            ),
        ),
        right(
            "chunks",
            _embed(
                cut="strips = torch.stack(images.split(patch, 2), 1)",
                join="vectors = torch.stack(strips.split(patch, 4), 2).flatten(3).flatten(1, 2)",
            ),
        ),
        wrong(
            "a convolution",
            _embed(
                join="kernels = weight.reshape(-1, channels, patch, patch)",
                result="F.conv2d(images, kernels, bias, stride=patch).flatten(2).transpose(1, 2)",
            ),
            hint="Your answer uses a convolution",
        ),
        wrong(
            "a convolution's module",
            _embed(
                join="""
                conv = nn.Conv2d(channels, len(weight), patch, patch).to(images.dtype)
                kernels = weight.reshape(-1, channels, patch, patch)
                """,
                result="torch.func.functional_call(conv, dict(weight=kernels, bias=bias), images).flatten(2).mT",
            ),
            hint="Your answer uses a convolution",
        ),
        wrong(
            "F.unfold",
            _embed(join="vectors = F.unfold(images, patch, stride=patch).transpose(1, 2)"),
            hint="Your answer uses a convolution",
        ),
        wrong("no bias", _embed(result="vectors @ weight.T"), hint="The bias is missing"),
        wrong(
            "width and tokens swapped",
            _embed(result="(vectors @ weight.T + bias).transpose(1, 2)"),
            hint="yours has tokens and width the other way round",
        ),
        wrong(
            "channels last in a patch",
            _embed(cut="cut = images.reshape(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 3, 5, 1)"),
            hint="Within a patch the channels come first",
        ),
        wrong(
            "columns first in a patch",
            _embed(cut="cut = images.reshape(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 5, 3)"),
            hint="yours goes column by column",
        ),
        wrong(
            "rows before channels",
            _embed(cut="cut = images.reshape(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 3, 1, 5)"),
            hint="yours begins with the row",
        ),
        wrong(
            "tokens down the columns",
            _embed(cut="cut = images.reshape(n, channels, rows, patch, columns, patch).permute(0, 4, 2, 1, 3, 5)"),
            hint="down the first column",
        ),
        wrong(
            "height and width swapped",
            _embed(cut="cut = images.reshape(n, channels, rows, patch, columns, patch).permute(0, 4, 2, 1, 5, 3)"),
            hint="height and width are swapped",
        ),
        wrong("no permute", _embed(cut="cut = images"), hint="A reshape alone gives runs of pixels"),
        wrong(
            "channels before the patches",
            _embed(cut="cut = images.unfold(2, patch, patch).unfold(3, patch, patch)"),
            hint="must come behind those of the patches",
        ),
        wrong(
            "split the wrong way round",
            _embed(cut="cut = images.reshape(n, channels, patch, rows, patch, columns).permute(0, 3, 5, 1, 2, 4)"),
            hint="Token i * w + j",
        ),
        wrong(
            "square images alone",
            _embed(cut="cut = images.reshape(n, channels, rows, patch, rows, patch).permute(0, 2, 4, 1, 3, 5)"),
            hint="Height and width may differ",
        ),
        wrong(
            "rows and columns swapped",
            _embed(cut="cut = images.reshape(n, channels, columns, patch, rows, patch).permute(0, 2, 4, 1, 3, 5)"),
            hint="Token i * w + j",
        ),
        wrong(
            "view behind permute",
            _embed(join="vectors = cut.view(n, rows * columns, -1)"),
            hint="Your code raised RuntimeError",
        ),
        wrong(
            "strides of a contiguous tensor",
            _embed(
                cut="""
                steps = (channels * height * width, patch * width, patch, height * width, width, 1)
                cut = images.as_strided((n, rows, columns, channels, patch, patch), steps)
                """
            ),
            hint="memory layout",
        ),
        wrong(
            "view of whole images",
            _embed(
                cut="""
                flat = images.view(n, channels * height * width)
                cut = flat.view(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
                """
            ),
            hint="use reshape, not view",
        ),
        wrong(
            "through numpy",
            _embed(result="torch.as_tensor(vectors.detach().numpy()) @ weight.T + bias"),
            hint="No gradient reaches images",
        ),
        wrong("detached", _embed(result="(vectors @ weight.T + bias).detach()"), hint="Gradients should flow"),
        wrong("a frozen bias", _embed(result="vectors @ weight.T + bias.detach()"), hint="No gradient reaches bias"),
        wrong("always float32", _embed(result="(vectors @ weight.T + bias).float()"), hint="Token i * w + j"),
        wrong(
            "always float64",
            _embed(result="vectors.double() @ weight.T.double() + bias.double()"),
            hint="should keep the dtype",
        ),
        wrong(
            "the rest is cut off",
            _embed(check="images = images[:, :, :height // patch * patch, :width // patch * patch]"),
            hint="should raise a ValueError. Yours raised nothing",
        ),
        wrong(
            "PyTorch's own error",
            _embed(check=""),
            hint="Yours raised RuntimeError",
        ),
        wrong(
            "height alone is looked at",
            _embed(check='if height % patch:\n    raise ValueError(f"{height} x {width}")'),
            hint="should raise a ValueError",
        ),
        wrong(
            "width alone is looked at",
            _embed(check='if width % patch:\n    raise ValueError(f"{height} x {width}")'),
            hint="should raise a ValueError",
        ),
        wrong(
            "the product is looked at",
            _embed(check='if height * width % patch ** 2:\n    raise ValueError(f"{height} x {width}")'),
            hint="should raise a ValueError",
        ),
        wrong(
            "both must fail",
            _embed(check='if height % patch and width % patch:\n    raise ValueError(f"{height} x {width}")'),
            hint="should raise a ValueError",
        ),
        wrong(
            "only the failing side is named",
            _embed(
                check="""
                if height % patch:
                    raise ValueError(f"a height of {height} is not divided")
                if width % patch:
                    raise ValueError(f"a width of {width} is not divided")
                """
            ),
            hint="should name both",
        ),
        wrong(
            "the images are scaled in place",
            _embed(cut=f"images.mul_(2)\n{_EMBED_PARTS['cut']}", result="vectors / 2 @ weight.T + bias"),
            hint="leaf Variable that requires grad",
        ),
        wrong(
            "the bias is changed in place",
            _embed(result="vectors @ weight.T + bias.data.mul_(1.0).add_(1.0) - 1"),
            hint="No gradient reaches bias",
        ),
    ],
    "linear_probe": [
        right("LBFGS", _probe()),
        right(
            "Newton's method",
            """
            def linear_probe(features, targets, test_features, n_classes, weight_decay=0.01):
                if not weight_decay > 0 or len(features) != len(targets):
                    raise ValueError("bad input")
                if (targets < 0).any() or (targets >= n_classes).any():
                    raise ValueError("bad targets")
                x, new = features.detach().double(), test_features.detach().double()
                mean, std = x.mean(0), x.var(0, unbiased=False).sqrt()
                std = torch.where(std == 0, torch.ones_like(std), std)
                x, new = ((v - mean) / std for v in (x, new))
                x, new = (torch.cat([v, torch.ones(len(v), 1, dtype=v.dtype)], 1) for v in (x, new))
                present, y = torch.unique(targets, return_inverse=True)
                n, d = x.shape
                k = len(present)
                free = torch.ones(d, dtype=x.dtype)
                free[-1] = 0
                w = torch.zeros(k, d, dtype=x.dtype)

                def objective(w):
                    losses = torch.logsumexp(x @ w.T, 1) - (x @ w.T)[torch.arange(n), y]
                    return losses.mean() + weight_decay / 2 * (w ** 2 * free).sum()

                for _ in range(100):
                    p = (x @ w.T).softmax(1)
                    grad = (p - torch.eye(k, dtype=x.dtype)[y]).T @ x / n + weight_decay * w * free
                    if grad.abs().max() < 1e-12:
                        break
                    curve = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
                    hessian = torch.einsum("nab,ni,nj->aibj", curve, x, x).reshape(k * d, k * d) / n
                    hessian += torch.diag(weight_decay * free.repeat(k))
                    step = (torch.linalg.pinv(hessian, hermitian=True, rtol=1e-13) @ grad.flatten()).reshape(k, d)
                    size = 1.0
                    while objective(w - size * step) > objective(w) and size > 1e-8:
                        size /= 2
                    w = w - size * step
                result = torch.zeros(len(new), n_classes, dtype=x.dtype)
                result[:, present] = (new @ w.T).softmax(1)
                return result
            """,
        ),
        right(
            "scipy, with its own gradient",
            """
            def linear_probe(features, targets, test_features, n_classes, weight_decay=0.01):
                from scipy.optimize import minimize
                if weight_decay <= 0 or len(features) != len(targets):
                    raise ValueError("bad input")
                if int(targets.min()) < 0 or int(targets.max()) > n_classes - 1:
                    raise ValueError("bad targets")
                x, new = (v.detach().numpy().astype(np.float64) for v in (features, test_features))
                mean, std = x.mean(0), x.std(0)
                std[std == 0] = 1
                x, new = (x - mean) / std, (new - mean) / std
                present, y = np.unique(targets.numpy(), return_inverse=True)
                hot = np.eye(len(present))[y]

                def softmax(z):
                    z = np.exp(z - z.max(1, keepdims=True))
                    return z / z.sum(1, keepdims=True)

                def objective(flat):
                    w, b = flat[:-len(present)].reshape(-1, len(present)), flat[-len(present):]
                    z = x @ w + b
                    top = z.max(1, keepdims=True)
                    loss = (np.log(np.exp(z - top).sum(1)) + top[:, 0] - (z * hot).sum(1)).mean()
                    error = (softmax(z) - hot) / len(x)
                    grad = np.concatenate([(x.T @ error + weight_decay * w).ravel(), error.sum(0)])
                    return loss + weight_decay / 2 * (w ** 2).sum(), grad

                start = np.zeros((x.shape[1] + 1) * len(present))
                settings = dict(maxiter=5000, maxfun=20000, ftol=1e-16, gtol=1e-9)
                flat = minimize(objective, start, jac=True, method="L-BFGS-B", options=settings).x
                result = np.zeros((len(new), n_classes))
                w, b = flat[:-len(present)].reshape(-1, len(present)), flat[-len(present):]
                result[:, present] = softmax(new @ w + b)
                return torch.from_numpy(result)
            """,
        ),
        right(
            "the usual tolerances, and patience",
            _probe(optimizer=_LBFGS.format("max_iter=1000, line_search_fn='strong_wolfe'")),
        ),
        right(
            "no line search",
            _probe(optimizer=_LBFGS.format("max_iter=3000, tolerance_grad=1e-9, tolerance_change=1e-13")),
        ),
        right(
            "a module, and many steps of LBFGS",
            _probe(
                parameters="""
                layer = nn.Linear(x.shape[1], len(present)).double()
                """,
                optimizer="""
                optimizer = torch.optim.LBFGS(
                    layer.parameters(), tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
                )
                """,
                loss="F.cross_entropy(layer(x), y) + 0.5 * weight_decay * layer.weight.square().sum()",
                iterate="""
                for _ in range(30):
                    optimizer.step(closure)
                """,
                scores="""
                with torch.no_grad():
                    found = layer(new).softmax(1)
                """,
            ),
        ),
        right(
            "absent classes at minus infinity",
            _probe(
                classes="""
                present, y = torch.arange(n_classes), targets
                absent = torch.tensor([c not in targets for c in range(n_classes)])
                hidden = torch.zeros(n_classes, dtype=torch.float64).masked_fill(absent, -torch.inf)
                """,
                loss="F.cross_entropy(x @ w.T + b + hidden, y) + 0.5 * weight_decay * (w ** 2).sum()",
                scores="found = torch.softmax(new @ w.detach().T + b.detach() + hidden, 1)",
            ),
        ),
        wrong(
            "scikit-learn",
            """
            def linear_probe(features, targets, test_features, n_classes, weight_decay=0.01):
                from sklearn.linear_model import LogisticRegression
                from sklearn.preprocessing import StandardScaler
                if weight_decay <= 0 or len(features) != len(targets):
                    raise ValueError("bad input")
                if int(targets.min()) < 0 or int(targets.max()) > n_classes - 1:
                    raise ValueError("bad targets")
                scaler = StandardScaler().fit(features.detach().double().numpy())
                x, new = (scaler.transform(v.detach().double().numpy()) for v in (features, test_features))
                result = torch.zeros(len(new), n_classes, dtype=torch.float64)
                half = 0.5 if len(targets.unique()) == 2 else 1.0
                model = LogisticRegression(C=1 / (len(x) * weight_decay * half), tol=1e-8, max_iter=5000)
                result[:, targets.unique()] = torch.from_numpy(model.fit(x, targets.numpy()).predict_proba(new))
                return result
            """,
            hint="Your answer uses scikit-learn",
        ),
        wrong("LBFGS as it comes", _probe(optimizer=_LBFGS.format("")), hint="at the minimum"),
        wrong(
            "20 iterations with a line search",
            _probe(optimizer=_LBFGS.format("line_search_fn='strong_wolfe'")),
            hint="iterate until the gradient is near 0",
        ),
        wrong(
            "loose tolerances",
            _probe(
                optimizer=_LBFGS.format(
                    "max_iter=1000, tolerance_grad=1e-3, tolerance_change=1e-5, line_search_fn='strong_wolfe'"
                )
            ),
            hint="at the minimum",
        ),
        wrong(
            "200 steps of Adam",
            _probe(
                optimizer="optimizer = torch.optim.Adam([w, b], lr=0.05)",
                iterate="for _ in range(200):\n    optimizer.step(closure)",
            ),
            hint="at the minimum",
        ),
        wrong(
            "300 steps of gradient descent",
            _probe(
                optimizer="optimizer = torch.optim.SGD([w, b], lr=0.5)",
                iterate="for _ in range(300):\n    optimizer.step(closure)",
            ),
            hint="iterate until the gradient is near 0",
        ),
        wrong(
            "the intercept is penalised",
            _probe(loss="F.cross_entropy(x @ w.T + b, y) + weight_decay / 2 * ((w ** 2).sum() + (b ** 2).sum())"),
            hint="The intercept is penalised",
        ),
        wrong(
            "no intercept",
            _probe(loss="F.cross_entropy(x @ w.T + 0 * b, y) + weight_decay / 2 * (w ** 2).sum()"),
            hint="The intercept is missing",
        ),
        wrong(
            "a sum of losses",
            _probe(loss="F.cross_entropy(x @ w.T + b, y, reduction='sum') + weight_decay / 2 * (w ** 2).sum()"),
            hint="not their sum",
        ),
        wrong(
            "no half",
            _probe(loss="F.cross_entropy(x @ w.T + b, y) + weight_decay * (w ** 2).sum()"),
            hint="yours has no half",
        ),
        wrong(
            "a mean of squares",
            _probe(loss="F.cross_entropy(x @ w.T + b, y) + weight_decay / 2 * (w ** 2).mean()"),
            hint="yours takes their mean",
        ),
        wrong(
            "a norm",
            _probe(loss="F.cross_entropy(x @ w.T + b, y) + weight_decay / 2 * (w + 1e-9).norm()"),
            hint="not those at the minimum",
        ),
        wrong(
            "absolute values",
            _probe(loss="F.cross_entropy(x @ w.T + b, y) + weight_decay / 2 * w.abs().sum()"),
            hint="not those at the minimum",
        ),
        wrong("no penalty", _probe(loss="F.cross_entropy(x @ w.T + b, y)"), hint="not those at the minimum"),
        wrong("not standardized", _probe(scale=""), hint="The features are not standardized"),
        wrong("only centred", _probe(scale="x, new = x - mean, new - mean"), hint="The features are not standardized"),
        wrong("divided by n - 1", _probe(std="std = x.std(0)"), hint="divides by n (correction=0)"),
        wrong("divided by the variance", _probe(std="std = x.var(0, correction=0)"), hint="not by the variance"),
        wrong(
            "test features by their own statistics",
            _probe(scale="x, new = (x - mean) / std, (new - new.mean(0)) / new.std(0, correction=0)"),
            hint="not their own",
        ),
        wrong(
            "statistics of both",
            _probe(mean="mean = torch.cat([x, new]).mean(0)", std="std = torch.cat([x, new]).std(0, correction=0)"),
            hint="the test features may not enter",
        ),
        wrong(
            "test features as they are", _probe(scale="x = (x - mean) / std"), hint="test features are not standardized"
        ),
        wrong(
            "one mean for all",
            _probe(mean="mean = x.mean()", std="std = x.std(correction=0) * torch.ones(x.shape[1], dtype=x.dtype)"),
            hint="Each feature has its own",
        ),
        wrong("a constant feature divided by 0", _probe(zero=""), hint="constant in training"),
        wrong(
            "logarithms",
            _probe(scores="found = torch.log_softmax(new @ w.detach().T + b.detach(), 1)"),
            hint="not their log",
        ),
        wrong("scores", _probe(scores="found = new @ w.detach().T + b.detach()"), hint="The probabilities are not"),
        wrong(
            "the softmax twice",
            _probe(scores="found = torch.softmax(new @ w.detach().T + b.detach(), 1).softmax(1)"),
            hint="The softmax is taken twice",
        ),
        wrong(
            "guesses",
            _probe(scores="found = F.one_hot((new @ w.detach().T + b.detach()).argmax(1), len(present)).double()"),
            hint="not the guesses",
        ),
        wrong(
            "absent classes take part",
            _probe(classes="present, y = torch.arange(n_classes), targets"),
            hint="gets exactly 0",
        ),
        wrong(
            "absent classes left out",
            _probe(spread="result = found"),
            hint="should have the shape",
        ),
        wrong(
            "numbers up to the largest",
            _probe(
                classes="present, y = torch.arange(int(targets.max()) + 1), targets",
            ),
            hint="gets exactly 0",
        ),
        wrong(
            "a little for absent classes",
            _probe(
                spread="""
                result = torch.full((len(new), n_classes), 1e-9, dtype=torch.float64)
                result[:, present] = found
                """
            ),
            hint="gets exactly 0",
        ),
        wrong(
            "closed-form ridge",
            _probe(
                scores="""
                hot = F.one_hot(y).double()
                ridge = len(x) * weight_decay * torch.eye(x.shape[1]).double()
                w = torch.linalg.solve(x.T @ x + ridge, x.T @ (hot - hot.mean(0)))
                found = (new @ w + hot.mean(0)).softmax(1)
                """
            ),
            hint="The probabilities are not",
        ),
        wrong(
            "in float32",
            _probe(
                convert="x, new = features.detach().float(), test_features.detach().float()",
                parameters="""
                w = torch.zeros(len(present), x.shape[1], requires_grad=True)
                b = torch.zeros(len(present), requires_grad=True)
                """,
                spread="result = torch.zeros(len(new), n_classes)\nresult[:, present] = found",
            ),
            hint="should keep the dtype torch.float64",
        ),
        wrong(
            "features that need a gradient",
            _probe(convert="x, new = features.double(), test_features.double()"),
            hint="detach them first",
        ),
        wrong(
            "only the test features have a graph",
            _probe(convert="x, new = features.detach().double(), test_features.double()"),
            hint="The result has a graph",
        ),
        wrong(
            "the result has a graph",
            _probe(
                scores="with torch.enable_grad():\n    found = torch.softmax(new @ w.T + b, 1)",
            ),
            hint="The result has a graph",
        ),
        wrong(
            "switches the graph off",
            _probe(
                convert="""
                features.requires_grad_(False) if features.is_leaf else None
                x, new = features.detach().double(), test_features.detach().double()
                """
            ),
            hint="detach gives a new tensor",
        ),
        wrong(
            "fails without gradients",
            """
            def linear_probe(features, targets, test_features, n_classes, weight_decay=0.01):
                from scipy.optimize import minimize
                if weight_decay <= 0 or len(features) != len(targets):
                    raise ValueError("bad input")
                if int(targets.min()) < 0 or int(targets.max()) > n_classes - 1:
                    raise ValueError("bad targets")
                x, new = features.detach().double(), test_features.detach().double()
                mean, std = x.mean(0), x.std(0, correction=0)
                std[std == 0] = 1
                x, new = (x - mean) / std, (new - mean) / std
                present, y = targets.unique(return_inverse=True)
                k = len(present)

                def objective(flat):
                    flat = torch.tensor(flat, requires_grad=True)
                    w, b = flat[:-k].reshape(-1, k), flat[-k:]
                    loss = F.cross_entropy(x @ w + b, y) + weight_decay / 2 * w.square().sum()
                    loss.backward()
                    return loss.item(), flat.grad.numpy()

                start = np.zeros((x.shape[1] + 1) * k)
                settings = dict(maxiter=5000, maxfun=20000, ftol=1e-16, gtol=1e-9)
                flat = torch.tensor(minimize(objective, start, jac=True, method="L-BFGS-B", options=settings).x)
                result = torch.zeros(len(new), n_classes, dtype=torch.float64)
                result[:, present] = (new @ flat[:-k].reshape(-1, k) + flat[-k:]).softmax(1)
                return result
            """,
            hint="within torch.no_grad()",
        ),
        wrong(
            "leaves gradients on",
            _probe(
                spread="""
                result = torch.zeros(len(new), n_classes, dtype=torch.float64)
                result[:, present] = found
                torch.set_grad_enabled(True)
                """
            ),
            hint="leave them so when you return",
        ),
        wrong(
            "centres in place",
            _probe(scale="x -= mean\nx /= std\nnew = (new - mean) / std"),
            hint="changes `features`",
        ),
        wrong(
            "another default",
            _probe().replace("weight_decay=0.01", "weight_decay=0.1"),
            hint="Without weight_decay it is 0.01",
        ),
        wrong("nothing is refused", _probe(check=""), hint="should raise a ValueError"),
        wrong(
            "a weight_decay of 0 is fine",
            _probe(check=_PROBE_PARTS["check"].replace("weight_decay <= 0", "weight_decay < 0")),
            hint="A weight_decay of 0 should raise",
        ),
        wrong(
            "cut to the shorter",
            _probe(
                check=_PROBE_PARTS["check"].replace("len(features) != len(targets)", "False"),
                convert="""
                n = min(len(features), len(targets))
                targets = targets[:n]
                x, new = features.detach().double()[:n], test_features.detach().double()
                """,
            ),
            hint="should raise a ValueError",
        ),
        wrong(
            "targets are not looked at",
            _probe(check=_PROBE_PARTS["check"].replace("t < 0 or t >= n_classes", "False")),
            hint="should raise a ValueError",
        ),
        wrong(
            "negative targets are fine",
            _probe(check=_PROBE_PARTS["check"].replace("t < 0 or t >= n_classes", "t >= n_classes")),
            hint="A target of -1 should raise",
        ),
    ],
    "data_efficiency_curve": [
        right("an order for each class", _curve()),
        right(
            "one order for all, and ranks within the class",
            _curve(
                shuffle="""
                g = torch.Generator()
                g.manual_seed(int(seed))
                order = torch.randperm(len(targets), generator=g)
                place = torch.empty(len(targets), dtype=torch.long)
                for c in classes:
                    mine = order[targets[order] == c]
                    place[mine] = torch.arange(len(mine))
                """,
                share="rows = (place < size // len(classes)).nonzero().flatten()",
            ),
        ),
        right(
            "NumPy, sizes outside",
            """
            def data_efficiency_curve(fit, images, targets, test_images, test_targets, sizes, seeds):
                labels = targets.numpy()
                classes, counts = np.unique(labels, return_counts=True)
                if any(m <= 0 or m % len(classes) or m > len(classes) * counts.min() for m in sizes):
                    raise ValueError("sizes")
                columns = []
                for m in sizes:
                    column = []
                    for seed in seeds:
                        rng = np.random.default_rng(seed)
                        rows = []
                        for c in classes:
                            rows += rng.permutation(np.flatnonzero(labels == c))[: m // len(classes)].tolist()
                        model = fit(images=images[rows], targets=targets[rows], seed=seed)
                        with torch.inference_mode():
                            guesses = model(test_images).max(dim=1).indices
                        column.append(sum((guesses == test_targets).tolist()) / len(test_targets))
                    columns.append(column)
                return torch.tensor(columns, dtype=torch.float64).T
            """,
        ),
        right(
            "one by one, largest first",
            _curve(
                shuffle="""
                import random
                draw = random.Random(seed)
                orders = [draw.sample(rows.tolist(), len(rows)) for rows in groups]
                """,
                share="""
                rows = []
                for order in orders:
                    rows.extend(order[:size // len(classes)])
                draw_again = torch.randperm(len(rows), generator=torch.Generator().manual_seed(size))
                rows = torch.tensor(rows)[draw_again]
                """,
            ),
        ),
        wrong(
            "no classes",
            _curve(
                shuffle="order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))",
                share="rows = order[:size]",
            ),
            hint="draw from each class by itself",
        ),
        wrong(
            "the first images",
            _curve(shuffle="orders = groups"),
            hint="All seeds draw the same images",
        ),
        wrong(
            "drawn anew for each size",
            _curve(
                share="""
                g = torch.Generator().manual_seed(1000 * seed + size)
                orders = [rows[torch.randperm(len(rows), generator=g)] for rows in groups]
                rows = torch.cat([order[:size // len(classes)] for order in orders])
                """
            ),
            hint="shuffle once, and take beginnings",
        ),
        wrong(
            "the generator goes on",
            _curve(
                shuffle="g = torch.Generator().manual_seed(seed)",
                share="""
                orders = [rows[torch.randperm(len(rows), generator=g)] for rows in groups]
                rows = torch.cat([order[:size // len(classes)] for order in orders])
                """,
            ),
            hint="shuffle once, and take beginnings",
        ),
        wrong(
            "with replacement",
            _curve(
                shuffle="""
                g = torch.Generator().manual_seed(seed)
                orders = [rows[torch.randint(len(rows), (len(rows),), generator=g)] for rows in groups]
                """
            ),
            hint="draw without replacement",
        ),
        wrong(
            "shuffles the largest share alone",
            _curve(
                shuffle="""
                g = torch.Generator().manual_seed(seed)
                most = max(sizes) // len(classes)
                orders = [rows[:most][torch.randperm(most, generator=g)] for rows in groups]
                """
            ),
            hint="All seeds draw the same images",
        ),
        wrong(
            "never the last image of a class",
            _curve(
                shuffle="""
                g = torch.Generator().manual_seed(seed)
                most = max(sizes) // len(classes)
                orders = [rows[: most + 2][torch.randperm(min(len(rows), most + 2), generator=g)] for rows in groups]
                """
            ),
            hint="in no share, whatever the seed",
        ),
        wrong(
            "always the first image of a class",
            _curve(
                shuffle="""
                g = torch.Generator().manual_seed(seed)
                orders = [
                    torch.cat([rows[:1], rows[1:][torch.randperm(len(rows) - 1, generator=g)]]) for rows in groups
                ]
                """
            ),
            hint="in every share, whatever the seed",
        ),
        wrong(
            "half of the seeds are the same",
            _curve(shuffle=_CURVE_PARTS["shuffle"].replace("manual_seed(seed)", "manual_seed(seed // 2)")),
            hint="each seed should draw its own",
        ),
        wrong(
            "the global generator, seeded",
            _curve(
                shuffle="""
                torch.manual_seed(seed)
                orders = [rows[torch.randperm(len(rows))] for rows in groups]
                """
            ),
            hint="a global generator",
        ),
        wrong(
            "the global generator",
            _curve(shuffle="orders = [rows[torch.randperm(len(rows))] for rows in groups]"),
            hint="depend on the global generators",
        ),
        wrong(
            "NumPy's global generator, seeded",
            _curve(
                shuffle="""
                np.random.seed(seed)
                orders = [rows[np.random.permutation(len(rows))] for rows in groups]
                """
            ),
            hint="a global generator",
        ),
        wrong(
            "Python's global generator, seeded",
            _curve(
                shuffle="""
                import random
                random.seed(seed)
                orders = [torch.tensor(random.sample(rows.tolist(), len(rows))) for rows in groups]
                """
            ),
            hint="a global generator",
        ),
        wrong(
            "one generator for all seeds",
            _curve(
                before="g = torch.Generator().manual_seed(seeds[0])",
                shuffle="orders = [rows[torch.randperm(len(rows), generator=g)] for rows in groups]",
            ),
            hint="depend on the other seeds",
        ),
        wrong(
            "the place of the seed counts",
            _curve(shuffle=_CURVE_PARTS["shuffle"].replace("manual_seed(seed)", "manual_seed(100 + i)")),
            hint="depend on the other seeds",
        ),
        wrong(
            "the largest size counts",
            _curve(
                shuffle="""
                g = torch.Generator().manual_seed(seed)
                most = max(sizes) // len(classes)
                orders = []
                for rows in groups:
                    chosen = torch.multinomial(torch.ones(len(rows)), most, generator=g)
                    orders.append(rows[chosen[torch.randperm(most, generator=g)]])
                """
            ),
            hint="depends on the other sizes",
        ),
        wrong(
            "a new seed of the clock",
            _curve(
                shuffle="""
                import os
                g = torch.Generator().manual_seed(int.from_bytes(os.urandom(6), "big"))
                orders = [rows[torch.randperm(len(rows), generator=g)] for rows in groups]
                """
            ),
            hint="A second call draws other images",
        ),
        wrong(
            "labels of other images",
            _curve(fit="predict = fit(images[rows], targets[:size], seed)"),
            hint="do not belong together",
        ),
        wrong(
            "trains on test images",
            _curve(fit="predict = fit(test_images[rows % len(test_images)], targets[rows], seed)"),
            hint="test images are for testing alone",
        ),
        wrong(
            "flat images",
            _curve(fit="predict = fit(images[rows].flatten(1), targets[rows], seed)"),
            hint="images of the shape that they have",
        ),
        wrong(
            "the place as the seed",
            _curve(fit="predict = fit(images[rows], targets[rows], i)"),
            hint="with that seed",
        ),
        wrong(
            "the largest size alone",
            _curve(
                fit="""
                if j == 0:
                    every = torch.cat([order[:max(sizes) // len(classes)] for order in orders])
                    predict = fit(images[every], targets[every], seed)
                """
            ),
            hint="once for each seed with each size",
        ),
        wrong(
            "tests on training images",
            _curve(
                test="""
                with torch.no_grad():
                    scores = predict(images[:len(test_images)])
                """
            ),
            hint="called with all test images",
        ),
        wrong(
            "tests twice",
            _curve(
                test="""
                with torch.no_grad():
                    predict(images[rows])
                    scores = predict(test_images)
                """
            ),
            hint="called with all test images",
        ),
        wrong("tests with gradients", _curve(test="scores = predict(test_images)"), hint="testing needs no graph"),
        wrong(
            "trains without gradients",
            _curve(fit="with torch.no_grad():\n    predict = fit(images[rows], targets[rows], seed)"),
            hint="cannot train",
        ),
        wrong("sizes in rows", _curve(result="table.T"), hint="a row for each seed"),
        wrong("a mean over seeds", _curve(result="table.mean(0)"), hint="should have the shape"),
        wrong(
            "a mean in each row", _curve(result="table.mean(0).expand(len(seeds), -1)"), hint="take no mean over them"
        ),
        wrong("sorted sizes", _curve(before="sizes = sorted(sizes)"), hint="need not be sorted"),
        wrong("sorted seeds", _curve(before="seeds = sorted(seeds)"), hint="in the order of `seeds`"),
        wrong(
            "errors",
            _curve(enter="table[i, j] = (scores.argmax(1) != test_targets).double().mean()"),
            hint="accuracy is one minus it",
        ),
        wrong("percent", _curve(result="100 * table"), hint="to 1, not percent"),
        wrong(
            "numbers of images",
            _curve(enter="table[i, j] = (scores.argmax(1) == test_targets).sum()"),
            hint="not numbers of images",
        ),
        wrong("in float32", _curve(table="torch.zeros(len(seeds), len(sizes))"), hint="should keep the dtype"),
        wrong("a list", _curve(result="table.tolist()"), hint="should be a tensor"),
        wrong(
            "guesses are places among the classes",
            _curve(enter="table[i, j] = (scores[:, classes].argmax(1) == test_targets).double().mean()"),
            hint="The classes are the numbers that occur",
        ),
        wrong(
            "classes without gaps",
            _curve(
                classes="""
                classes = list(range(int(targets.max()) + 1))
                groups = [torch.where(targets == c)[0] for c in classes]
                """
            ),
            hint="there may be gaps",
        ),
        wrong(
            "sorted into equal blocks",
            _curve(
                classes="""
                classes = sorted(set(targets.tolist()))
                groups = list(targets.argsort(stable=True).reshape(len(classes), -1))
                """
            ),
            hint="there may be gaps",
        ),
        wrong(
            "views of one shuffled copy",
            _curve(
                shuffle="""
                g = torch.Generator().manual_seed(seed)
                orders = [rows[torch.randperm(len(rows), generator=g)] for rows in groups]
                fewest = min(map(len, groups))
                every = torch.stack([order[:fewest] for order in orders], 1).flatten()
                mixed, labels = images[every], targets[every]
                """,
                share="",
                fit="predict = fit(mixed[:size], labels[:size], seed)",
            ),
            hint="hand out copies",
        ),
        wrong(
            "shuffles the training images in place",
            _curve(
                classes="""
                images[:2], targets[:2] = images[:2].flip(0), targets[:2].flip(0)
                classes = sorted(set(targets.tolist()))
                groups = [torch.where(targets == c)[0] for c in classes]
                """
            ),
            hint="Your function changes its inputs",
        ),
        wrong(
            "labels overwritten",
            _curve(result="(table, test_targets.zero_())[0]"),
            hint="Your function changes its inputs",
        ),
        wrong(
            "no errors",
            _curve(check=""),
            hint="Yours raised nothing",
        ),
        wrong(
            "errors come late",
            _curve(
                check="",
                share="""
                if size < 1 or size % len(classes) or size // len(classes) > min(map(len, groups)):
                    raise ValueError("size")
                rows = torch.cat([order[:size // len(classes)] for order in orders])
                """,
            ),
            hint="comes too late",
        ),
        wrong(
            "too few images of a class",
            _curve(
                check="""
                for size in sizes:
                    if size < 1 or size % len(classes) or size > len(targets):
                        raise ValueError("size")
                """
            ),
            hint="of which one has only 5 images",
        ),
        wrong(
            "a size of 0",
            _curve(check=_CURVE_PARTS["check"].replace("size < 1 or ", "")),
            hint="A size of 0 should raise",
        ),
        wrong(
            "rounded down",
            _curve(check=_CURVE_PARTS["check"].replace("size % len(classes) or ", "")),
            hint="images of 4 classes should raise",
        ),
        wrong(
            "a whole class is refused",
            _curve(check=_CURVE_PARTS["check"].replace("> min(", ">= min(")),
            hint="Your code raised ValueError",
        ),
    ],
}
