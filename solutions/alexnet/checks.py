"""The hidden checks of the assignment `alexnet`.

The normalization is compared with PyTorch's own, whose alpha is divided by the window. Networks run in the student's
process with weights from a seed (:mod:`autograde.networks`); the expected logits come from a network made here of
PyTorch's modules, or from torchvision. Crops are compared with torchvision's.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from textwrap import dedent
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from autograde import expect, networks
from autograde.cases import Cases, check
from autograde.student import Student

EXACT = {"rtol": 1e-10, "atol": 1e-11}


def _errors(student: Student, call: str, tried: Sequence[Any]) -> list:
    """Return the name of the error that each call raises, None where there is none."""
    outcomes = student.run(
        "import torch\noutcomes = []\n"
        "for given in tried:\n"
        "    try:\n"
        f"        {call}\n"
        "        outcomes.append(None)\n"
        "    except NotImplementedError:\n"
        "        raise\n"
        "    except Exception as error:\n"
        "        outcomes.append(type(error).__name__)\n",
        "outcomes",
        tried=list(tried),
    )
    expect.sequence(outcomes, len(tried))
    return [outcome if isinstance(outcome, str) or outcome is None else "something" for outcome in outcomes]


def _keeps(student: Student, call: str, **inputs: torch.Tensor) -> None:
    """Expect the tensors to be after the call what they were before."""
    after = student.run(f"import torch\n{call}\nafter = [{', '.join(inputs)}]", "after", **inputs)
    expect.sequence(after, len(inputs))
    for seen, was in zip(after, inputs.values(), strict=True):
        hint = "Your function changes a tensor that it was given: make a new one."
        expect.close(seen, was, hint, what="An input", rtol=0.0, atol=0.0)


# --- 1. local_response_norm ------------------------------------------------------------------------------------------


@check
def local_response_norm(student: Student, cases: Cases) -> None:
    """Compare with torch.nn.functional.local_response_norm, whose alpha is size times the paper's."""
    alpha, beta, k = cases.uniform(0.2, 0.6), cases.uniform(0.5, 0.9), cases.uniform(1.0, 2.0)

    def wanted(x: torch.Tensor, size: int) -> torch.Tensor:
        return F.local_response_norm(x, size, alpha * size, beta, k)

    def spoilt(x: torch.Tensor, size: int) -> list[tuple[torch.Tensor, str]]:
        square, side = x.square(), size // 2

        def window(values: torch.Tensor, before: int, after: int) -> torch.Tensor:
            padded = F.pad(values.movedim(1, -1), (before, after))
            return padded.unfold(-1, before + after + 1, 1).sum(-1).movedim(-1, 1)

        around, absolute, plain = (window(values, side, side) for values in (square, x.abs(), x))
        before, after, wide = window(square, size - 1, 0), window(square, 0, size - 1), window(square, size, size)
        space = F.avg_pool2d(F.pad(square, (side,) * 4), size, 1, divisor_override=1)
        return [
            (x / (k + alpha / size * around) ** beta, "The paper's sum is a sum: do not divide it by size."),
            (x / (k + alpha * space) ** beta, "The neighbours are other channels at the same pixel, not other pixels."),
            (x / (k + alpha * before) ** beta, "The window stands around the channel: as many after it as before it."),
            (x / (k + alpha * after) ** beta, "The window stands around the channel: as many before it as after it."),
            (x / (k + alpha * wide) ** beta, "size is the whole window: (size - 1) / 2 channels on each side."),
            (x / (k + alpha * (around - square)) ** beta, "The channel itself is in the sum, too."),
            (x / (k + alpha * absolute) ** beta, "The sum is of squares, not of absolute values."),
            (x / (k + alpha * plain).abs() ** beta, "The sum is of squares."),
            (x * (k + alpha * around) ** beta, "Divide by the power: its exponent is -beta."),
            (x / (1 + alpha * around) ** beta, "k is added to the sum, not 1."),
            (x / (k + alpha * around), "The power beta is missing."),
            (x / (k + alpha * around.sqrt()) ** beta, "The sum of squares has no root of its own: beta is the power."),
            (x / (k + (alpha * around) ** beta), "beta is the power of the whole, k included."),
            (x / (k + alpha * square.sum(1, keepdim=True)) ** beta, "Only the neighbours count, not all channels."),
            (x**2 / (k + alpha * around) ** beta, "The number itself stands above, not its square."),
        ]

    def compare(x: torch.Tensor, size: int, hint: str) -> None:
        seen = student.call("local_response_norm", x, size, alpha, beta, k)
        expect.close(seen, wanted(x, size), hint, spoilt(x, size), **EXACT)

    hint = "Divide by (k + alpha times the sum of the neighbours' squares) to the power beta."
    with cases("the formula", weight=2):
        compare(cases.randn(2, 9, 5, 6), 5, hint)
    with cases("other windows"):
        compare(cases.randn(2, 9, 3, 3), 3, "With size 3, one channel on each side is a neighbour. " + hint)
        compare(cases.randn(2, 9, 3, 3), 7, "With size 7, three channels on each side are neighbours. " + hint)
        compare(cases.randn(2, 4, 2, 2), 1, "With size 1 only the channel itself is in the sum.")
    with cases("few channels"):
        compare(cases.randn(2, 3, 2, 2), 9, "A window larger than the channels has all of them in every sum.")
        compare(cases.randn(2, 1, 3, 3), 5, "With one channel the sum is its own square.")
    with cases("the paper's numbers"):
        x = 30 * cases.randn(1, 96, 5, 5).abs()
        seen = student.call("local_response_norm", x, 5, 1e-4, 0.75, 2.0)
        right = F.local_response_norm(x, 5, 5e-4, 0.75, 2.0)
        mistakes = [(F.local_response_norm(x, 5, 1e-4, 0.75, 2.0), "The paper's sum is not divided by size.")]
        expect.close(seen, right, hint, mistakes, **EXACT)
    with cases("gradients"):
        x = cases.randn(1, 5, 2, 2)
        code = (
            "import torch\nx = start.clone().requires_grad_()\n"
            "local_response_norm(x, 3, alpha, beta, k).sum().backward()\ngrad = x.grad"
        )
        grad = student.run(code, "grad", start=x, alpha=alpha, beta=beta, k=k)
        leaf = x.clone().requires_grad_()
        wanted(leaf, 3).sum().backward()
        expect.that(grad is not None, "No gradient comes through: compute with tensors that autograd follows.")
        expect.close(grad, leaf.grad, "The gradient is wrong: nothing may be detached.", what="The gradient", **EXACT)
    with cases("dtype and inputs"):
        x = cases.randn(2, 6, 3, 3, dtype=torch.float32)
        seen = student.call("local_response_norm", x, 5, alpha, beta, k)
        expect.dtype(seen, torch.float32)
        expect.close(seen, wanted(x, 5), hint)
        _keeps(student, "local_response_norm(x, 5, 0.1, 0.75, 2.0)", x=x)
    with cases("your own arithmetic"):
        code = """
            import torch
            functional, module, called = torch.nn.functional, torch.nn.CrossMapLRN2d, []
            kept = functional.local_response_norm, module.forward
            def watched(original):
                def call(*args, **kwargs):
                    called.append(original.__name__)
                    return original(*args, **kwargs)
                return call
            functional.local_response_norm, module.forward = map(watched, kept)
            try:
                local_response_norm(x, 3, 0.1, 0.75, 2.0)
            finally:
                functional.local_response_norm, module.forward = kept
        """
        called = student.run(dedent(code), "called", x=cases.randn(1, 4, 2, 2))
        expect.that(type(called) is list and not called, "Write the sum yourself, without PyTorch's function for it.")
    with cases("bad sizes"):
        call = "local_response_norm(torch.ones(1, 4, 2, 2), given, 0.1, 0.75, 2.0)"
        for size, outcome in zip((2, 4, 0, -1), _errors(student, call, [2, 4, 0, -1]), strict=True):
            hint = f"A size of {size} should raise a ValueError; yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)


# --- 2. AlexNet, 3. TorchvisionAlexNet -------------------------------------------------------------------------------


def _reference(num_classes: int, groups: int, **spoilt: Any) -> nn.Sequential:
    """Return the network of the paper as a sequence of PyTorch's modules, or one with a known mistake in it."""

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, spoilt.get("alpha", 5e-4), 0.75, spoilt.get("k", 2.0))

    act: Callable[[], nn.Module] = spoilt.get("act", nn.ReLU)
    pool: Callable[[], nn.Module] = spoilt.get("pool", lambda: nn.MaxPool2d(3, 2))
    order = spoilt.get("order", "anp")  # activation, normalization, pooling

    def after(normalized: bool) -> list[nn.Module]:
        made = {"a": act, "n": norm, "p": pool}
        return [made[part]() for part in order if part != "n" or (normalized and spoilt.get("norm", True))]

    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4),
        *after(True),
        nn.Conv2d(96, 256, 5, 1, 2, groups=groups),
        *after(spoilt.get("second", True)),
        nn.Conv2d(256, 384, 3, 1, 1),
        act(),
        nn.Conv2d(384, 384, 3, 1, 1, groups=groups),
        act(),
        nn.Conv2d(384, 256, 3, 1, 1, groups=groups),
        *after(spoilt.get("third", False)),
        nn.Flatten(),
        nn.Linear(256 * 36, 4096),
        act(),
        nn.Linear(4096, 4096),
        *([] if spoilt.get("linear") else [act()]),
        nn.Linear(4096, num_classes),
    )


_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"alpha": 1e-4}, "The normalization's sum is not divided by 5: PyTorch's LocalResponseNorm needs alpha = 5e-4."),
    ({"norm": False}, "The normalization after the first two convolutions is missing."),
    ({"second": False}, "The normalization after the second convolution is missing."),
    ({"third": True}, "The fifth convolution has no normalization after it."),
    ({"k": 1.0}, "The normalization's k is 2."),
    ({"order": "nap"}, "The normalization comes after the ReLU, not before it."),
    ({"order": "apn"}, "The normalization comes before the pooling."),
    ({"pool": lambda: nn.AvgPool2d(3, 2)}, "The pooling takes the maximum, not the mean."),
    ({"act": nn.Tanh}, "The activation is the ReLU, not tanh."),
    ({"act": nn.Identity}, "The ReLU after each layer is missing."),
    ({"linear": True}, "There is a ReLU after the second fully connected layer, too."),
]


def _compare_layers(seen: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Expect the same layers with weights in the same order."""
    found = [sum(layer["kind"] == kind for layer in seen) for kind in ("Conv2d", "Linear")]
    hint = f"The network uses {found[0]} nn.Conv2d and {found[1]} nn.Linear, each once; it should use 5 and 3."
    expect.that(found == [5, 3] and len(seen) == 8, hint)
    for i, (layer, right) in enumerate(zip(seen, wanted, strict=True), 1):
        what = f"Layer {i} ({right['kind']})"
        shapes = f"should have weights of the shape {tuple(right['shape'])}; yours have {tuple(layer['shape'])}."
        expect.that((layer["kind"], layer["shape"]) == (right["kind"], right["shape"]), f"{what} {shapes}")
        expect.that(layer["bias"] is True, f"{what} has a bias.")
        for setting in ("stride", "dilation"):
            hint = f"{what} should have a {setting} of {right.get(setting)}; yours has {layer.get(setting)}."
            expect.that(layer.get(setting) == right.get(setting), hint)


def _compare_padding(seen: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Name the first layer whose padding is another one: a hint where logits are wrong, since F.pad could do it too."""
    for i, (layer, right) in enumerate(zip(seen, wanted, strict=True), 1):
        same = layer.get("padding") in (right.get("padding"), "same")
        hint = f"Layer {i} should have a padding of {right.get('padding')}; yours has {layer.get('padding')}."
        expect.that(same, f"The logits are wrong. {hint}")


def _compare_dropout(student: Student, make: str, size: int, cases: Cases, dropped: Mapping[int, float]) -> None:
    """Expect what enters these layers (counted from 1) in training to be dropped, the rest scaled, and no other input.

    A right answer's share is off by more than 6.5 standard deviations once in 10^10.
    """
    image = cases.randn(1, 3, size, size, dtype=torch.float32)
    evaluation, training = networks.entering(student, make, image, cases.integer(0, 2**30))
    for i, (whole, given) in enumerate(zip(evaluation, training, strict=True), 1):
        p = dropped.get(i, 0.0)
        where = f"before layer {i} ({'fully connected' if whole.dim() == 2 else 'convolution'})"
        if not p:
            expect.close(given, whole, f"In training the numbers {where} are others: nothing may be dropped there.")
            continue
        alive = whole != 0
        away = alive & (given == 0)
        expect.that(bool(away.any()), f"In training nothing is dropped {where}.")
        share, slack = float(away[alive].double().mean()), 6.5 / math.sqrt(int(alive.sum()))
        hint = f"In training {share:.0%} of the numbers {where} are dropped; it should be {p:.0%}."
        expect.that(abs(share - p) < slack * math.sqrt(p * (1 - p)), hint)
        alike = float((away[:, 1:] == away[:, :-1]).double().mean())
        hint = f"Each number {where} is dropped by itself: yours are dropped together."
        expect.that(abs(alike - p**2 - (1 - p) ** 2) < slack, hint)
        kept = alive & ~away
        hint = f"What is kept {where} is divided by 1 - p, so that its mean stays."
        expect.close(given[kept], whole[kept] / (1 - p), hint, what="What is kept")


@check
def AlexNet(student: Student, cases: Cases) -> None:
    """Compare layers and logits with a network of PyTorch's modules that has the same weights."""
    # As large as pixels: there the normalization changes numbers by a tenth, and float32 shows every mistake.
    images = 20 * cases.randn(2, 3, 227, 227, dtype=torch.float32)
    seed, classes = cases.integer(0, 2**30), cases.integer(5, 12)
    for groups, batch in ((2, images), (1, images[:1])):
        with cases(f"{groups} group{'s' * (groups > 1)}", weight=3 if groups == 2 else 2):

            def reference(batch: torch.Tensor, groups: int = groups, **spoilt: Any) -> networks.Met:
                network = functools.partial(_reference, classes, groups, **spoilt)
                own = networks.of(classes, groups, *spoilt.items(), Network=network)
                return networks.in_order(own, "Network()", [batch], seed)

            make = f"AlexNet(num_classes={classes}, groups={groups})"
            met = networks.in_order(student, make, [batch], seed, dropout=True)
            right = reference(batch)
            _compare_layers(met.layers, right.layers)
            (logits,), (wanted,) = met.outputs, right.outputs
            shape = "Logits have one row for each image and one column for each class."
            expect.shape(logits, (len(batch), classes), shape)
            expect.dtype(logits, batch.dtype, "The logits")
            hint = "With the same weights your network gives other logits than the network of the table."
            known = [
                (wanted.softmax(1), "Return logits: the softmax belongs to the loss."),
                (wanted.relu(), "No ReLU stands after the last layer: logits may be negative."),
            ]
            try:
                expect.close(logits, wanted, hint, what="The logits")
            except expect.Unmet:
                expect.no_mistake(logits, known)
                _compare_padding(met.layers, right.layers)
                for settings, mistake in _MISTAKES if groups == 2 else ():  # said once is enough
                    spoilt = reference(batch[:1], **settings).outputs[0]
                    expect.no_mistake(logits[:1], [(spoilt, mistake)])
                raise
    with cases("dropout"):
        _compare_dropout(student, "AlexNet(num_classes=3)", 227, cases, {7: 0.5, 8: 0.5})
    with cases("defaults and counts"):
        code = """
            import torch
            counts = []
            for settings in ({}, {"groups": 1}, {"num_classes": 10}, {"num_classes": 1}):
                with torch.device("meta"):
                    network = AlexNet(**settings)
                counts.append([sum(p.numel() for p in network.parameters()), len(list(network.parameters()))])
            trained = all(p.requires_grad for p in network.parameters())
        """
        counts, trained = student.run(dedent(code), ["counts", "trained"])
        wanted = [60_965_224, 62_378_344, 60_965_224 - 990 * 4097, 60_965_224 - 999 * 4097]
        expect.sequence(counts, 4)
        for (seen, tensors), right in zip(counts, wanted, strict=True):
            hint = f"The network should have {right:,} parameters in 16 tensors; yours has {seen} in {tensors}."
            expect.that(seen == right and tensors == 16, hint)
        expect.that(trained is True, "All parameters should be trained: requires_grad is True.")


@check
def TorchvisionAlexNet(student: Student, cases: Cases) -> None:
    """Compare with torchvision.models.alexnet: names, logits with the same weights, dropout."""
    seed, classes = cases.integer(0, 2**30), cases.integer(5, 12)
    theirs = networks.of("torchvision", TorchvisionAlexNet=torchvision.models.alexnet)
    make = f"TorchvisionAlexNet(num_classes={classes})"
    with cases("its state dict", weight=2):
        networks.compare_state(student, "TorchvisionAlexNet()", networks.state_shapes(theirs, "TorchvisionAlexNet()"))
        networks.compare_state(student, make, networks.state_shapes(theirs, make))
        networks.own_modules(student, make)
    hint = "With the same weights your network gives other logits than torchvision's: look at ReLU, pooling, strides."
    with cases("images of 224 pixels", weight=2):
        image = cases.randn(1, 3, 224, 224, dtype=torch.float32)
        (seen,), (wanted,) = (
            networks.by_name(who, make, [image], seed, dropout=True).outputs for who in (student, theirs)
        )
        known = [
            (wanted.relu(), "No ReLU stands after the last layer."),
            (wanted.softmax(1), "Return logits: the softmax belongs to the loss."),
        ]
        try:
            expect.close(seen, wanted, hint, known, what="The logits")
        except expect.Unmet:
            met, right = (networks.in_order(who, make, [image[..., :96, :96]], seed) for who in (student, theirs))
            _compare_layers(met.layers, right.layers)
            _compare_padding(met.layers, right.layers)
            raise
    with cases("images of other sizes"):
        batches = [cases.randn(n, 3, *size) for n, size in ((2, (63, 127)), (1, (160, 191)))]
        seen, wanted = (networks.by_name(who, make, batches, seed, dropout=True).outputs for who in (student, theirs))
        for batch, one, right in zip(batches, seen, wanted, strict=True):
            size = " x ".join(map(str, batch.shape[2:]))
            where = f"For images of {size} pixels the logits are wrong: pool to 6 x 6 whatever comes."
            expect.close(one, right, where, what="The logits")
    with cases("dropout"):
        _compare_dropout(student, "TorchvisionAlexNet(num_classes=3, dropout=0.3)", 96, cases, {6: 0.3, 7: 0.3})
        _compare_dropout(student, "TorchvisionAlexNet(num_classes=3)", 63, cases, {6: 0.5, 7: 0.5})


# --- 4. fancy_pca ----------------------------------------------------------------------------------------------------


def _shift(student: Student, images: torch.Tensor, seed: int) -> torch.Tensor:
    """Return what the student's function adds to each pixel."""
    code = (
        "import torch\ngenerator = torch.Generator().manual_seed(seed)\nresult = fancy_pca(images, generator)\n"
        "left = torch.randn((), generator=generator).item()"
    )
    result, left = student.run(code, ["result", "left"], images=images, seed=seed)
    expect.shape(result, tuple(images.shape))
    expect.dtype(result, images.dtype)
    drawn = torch.Generator().manual_seed(seed)
    torch.randn(len(images), 3, generator=drawn, dtype=images.dtype)
    hint = "Draw alpha once, as the text says: 0.1 * torch.randn(N, 3, generator=generator, dtype=images.dtype)."
    expect.close(left, torch.randn((), generator=drawn).item(), hint, rtol=1e-6)
    return result - images


@check
def fancy_pca(student: Student, cases: Cases) -> None:
    """Look at the shift along each principal component, whose sign is nobody's choice."""
    mix = torch.diag(torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)) @ (torch.linalg.qr(cases.randn(3, 3))[0])
    # Images whose means differ: the covariance of all pixels is not the mean of the images' own.
    images = torch.einsum("nchw,cd->ndhw", cases.randn(6, 3, 5, 7) + 0.7 * cases.randn(6, 3, 1, 1), mix) + 3.0
    seed = cases.integer(0, 2**30)
    alpha = 0.1 * torch.randn(6, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pixels = images.movedim(1, 0).flatten(1)
    covariance = torch.cov(pixels, correction=0)
    values, vectors = torch.linalg.eigh(covariance)

    with cases("one colour for each image"):
        shift = _shift(student, images, seed)
        even = shift.mean((2, 3), keepdim=True).expand_as(shift)
        expect.close(shift, even, "All pixels of an image move by the same vector (r, g, b).", **EXACT)
        expect.that(bool((shift[0, :, 0, 0] - shift[1, :, 0, 0]).abs().max() > 1e-9), "Each image has its own alpha.")
    with cases("along the components", weight=3):
        moved = _shift(student, images, seed)[:, :, 0, 0]
        own = torch.stack([torch.cov(image.flatten(1), correction=0) for image in images]).mean(0)
        for matrix, mistake in (
            (pixels @ pixels.T / pixels.shape[1], "A covariance is of differences: subtract the mean colour first."),
            (own, "There is one mean colour and one covariance, of all pixels of all images."),
            (torch.corrcoef(pixels), "A covariance is not divided by the standard deviations."),
        ):
            other, axes = torch.linalg.eigh(matrix)
            expect.no_mistake((moved @ axes).abs(), [((alpha * other).abs(), mistake)])
        along = (moved @ vectors).abs()
        rows = ((alpha * values) @ vectors @ vectors).abs()
        expect.close(
            along,
            (alpha * values).abs(),
            "Along each eigenvector an image moves by alpha times its eigenvalue, in eigh's order.",
            [
                (rows, "The eigenvectors are the columns of what eigh returns: yours are its rows."),
                ((alpha * values.sqrt()).abs(), "alpha is multiplied by the eigenvalue, not by its root."),
                (alpha.abs(), "The eigenvalues are missing: alpha is multiplied by them."),
                ((10 * alpha * values).abs(), "alpha has a standard deviation of 0.1."),
                ((0.1 * alpha * values).abs(), "alpha is multiplied by 0.1 once."),
                ((alpha * values.flip(0)).abs(), "The eigenvalues are in the reverse order: eigh's is ascending."),
                ((alpha.flip(1) * values).abs(), "alpha's columns are in the order of the eigenvalues, ascending."),
                (
                    (alpha * values * pixels.shape[1] / (pixels.shape[1] - 1)).abs(),
                    "The covariance is divided by the number of pixels, not by one less.",
                ),
                ((alpha * values * pixels.shape[1]).abs(), "Divide the sum of products by the number of pixels."),
                ((alpha * values / images.shape[0]).abs(), "Divide by the number of pixels, which is N * H * W."),
            ],
            what="The shift along the eigenvectors",
            rtol=1e-8,
            atol=1e-9,
        )
    with cases("images of one colour"):
        flat = torch.full((2, 3, 4, 4), 0.25, dtype=torch.float64)
        hint = "Images of one colour have no covariance, so nothing may change in them."
        expect.close(_shift(student, flat, seed), torch.zeros_like(flat), hint, atol=1e-12)
    with cases("not cut off"):
        bright = images.clamp(-2.0, 4.0) * 40
        shift = _shift(student, bright, seed)
        hint = "Nothing is cut off or rounded: the images keep their scale."
        expect.close(shift, shift.mean((2, 3), keepdim=True).expand_as(shift), hint, rtol=1e-9, atol=1e-8)
        expect.that(bool(shift.abs().max() > 1.0), hint)
    with cases("float32 and inputs"):
        single = (images / 10).float()
        shift = _shift(student, single, seed)
        low = 0.1 * torch.randn(6, 3, generator=torch.Generator().manual_seed(seed))
        values, vectors = torch.linalg.eigh(torch.cov(single.double().movedim(1, 0).flatten(1), correction=0))
        along = (shift[:, :, 0, 0].double() @ vectors).abs()
        expect.close(along, (low * values).abs(), "In float32 the shift is another one.", atol=1e-4)
        _keeps(student, "fancy_pca(images, torch.Generator())", images=single)


# --- 5. ten_crop -----------------------------------------------------------------------------------------------------


def _places(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Return the first row and column of the five crops."""
    bottom, right = height - size, width - size
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]


def _crops(x: torch.Tensor, places: list[tuple[int, int]], size: int) -> torch.Tensor:
    """Cut crops by torchvision, and mirror them."""
    crops = torch.stack([torchvision.transforms.functional.crop(x, i, j, size, size) for i, j in places])
    return torch.cat([crops, torchvision.transforms.functional.hflip(crops)])


@check
def ten_crop(student: Student, cases: Cases) -> None:
    """Compare with torchvision's crops, and the prediction with the mean of ten."""

    def compare(x: torch.Tensor, size: int, hint: str) -> None:
        places = _places(*x.shape[-2:], size)
        right = _crops(x, places, size)
        five, mirrored = right[:5], right[5:]
        up = [*places[:4], (-(-(x.shape[-2] - size) // 2), -(-(x.shape[-1] - size) // 2))]
        mistakes = [
            (torch.cat([five, five.flip(-2)]), "Mirrored is left to right (the last dimension), not upside down."),
            (torch.cat([five, five.flip((-2, -1))]), "Mirrored is left to right only: yours are turned."),
            (torch.cat([five, five]), "The second five are mirrored: yours are copies."),
            (torch.cat([five, five.transpose(-1, -2)]), "The second five are mirrored, not transposed."),
            (torch.cat([mirrored, five]), "First the five, then the mirrored five."),
            (torch.stack([five, mirrored], 1).flatten(0, 1), "First all five, then the mirrored five."),
            (
                right[[0, 1, 2, 3, 4, 6, 5, 8, 7, 9]],
                "The mirrored five are in the order of the crops they mirror: mirror the crops, not the image.",
            ),
            (right[[0, 2, 1, 3, 4, 5, 7, 6, 8, 9]], "The order is top left, top right, bottom left, bottom right."),
            (right[[4, 0, 1, 2, 3, 9, 5, 6, 7, 8]], "The centre is the last of the five."),
            (_crops(x, up, size), "The centre begins at (H - size) // 2 and (W - size) // 2, rounded down."),
            (right.movedim(0, 1), "The ten crops are the first dimension, the images the second."),
        ]
        seen = student.call("ten_crop", x, size)
        expect.shape(seen, tuple(right.shape))
        expect.close(seen, right, hint, mistakes, rtol=0.0, atol=0.0)

    where = "Corners, centre, then the same five mirrored left to right."
    with cases("the crops", weight=2):
        compare(cases.randn(3, 2, 9, 14), 4, where)
    with cases("odd margins"):
        compare(cases.randn(2, 3, 8, 11), 3, f"The centre begins at (H - size) // 2. {where}")
        compare(cases.randn(1, 1, 7, 6), 5, f"Height and width may differ. {where}")
    with cases("the whole image"):
        compare(cases.randn(2, 3, 5, 5), 5, "A crop may be as large as the image: all five are the same then.")
        compare(cases.randn(2, 1, 4, 9), 4, "A crop may be as high as the image.")
    with cases("one pixel, float32, inputs"):
        compare(cases.randn(2, 1, 3, 3, dtype=torch.float32), 1, where)
        _keeps(student, "ten_crop(x, 2)[0].add_(1.0)", x=cases.randn(1, 2, 4, 4))
    with cases("crops that do not fit"):
        outcomes = _errors(student, "ten_crop(torch.ones(1, 1, 4, 6), given)", [5, 7, 0, -1, 4])
        for size, outcome in zip((5, 7, 0, -1), outcomes, strict=False):
            hint = f"Crops of {size} pixels from 4 x 6 should raise a ValueError; yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)
        expect.that(outcomes[-1] is None, "Crops of 4 pixels fit into 4 x 6.")
    _predictions(student, cases)


_PREDICT = """
import torch
from torch import nn
class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.modes, self.sizes, self.graphs = nn.Dropout(0.5), [], [], []
    def forward(self, x):
        self.modes.append(self.training)
        self.sizes.append(list(x.shape))
        out = self.drop(x.flatten(1)) @ weight
        self.graphs.append(out.requires_grad)
        return out
network = Network()
weight = weight.clone().requires_grad_()
network.train(training)
network.drop.train(inner)
result = predict_ten_crop(network, x, size)
after = [network.training, network.drop.training]
modes, sizes, graphs = network.modes, network.sizes, network.graphs + [result.requires_grad]
result = result.detach()
"""


def _predictions(student: Student, cases: Cases) -> None:
    """Compare predict_ten_crop with the mean over crops of the softmax."""
    x, weight, size = cases.randn(3, 2, 6, 7), cases.randn(2 * 4 * 4, 5), 4
    crops = _crops(x, _places(6, 7, size), size)
    logits = crops.flatten(2) @ weight
    returns = ["result", "after", "modes", "sizes", "graphs"]

    def run(training: bool) -> list:
        return student.run(_PREDICT, returns, x=x, weight=weight, size=size, training=training, inner=training)

    with cases("the mean of ten predictions", weight=2):
        result, _, modes, sizes, _ = run(False)
        expect.close(
            result,
            logits.softmax(-1).mean(0),
            "Average the probabilities of the ten crops.",
            [
                (logits.mean(0).softmax(-1), "Average the probabilities, not the logits: softmax comes first."),
                (logits.mean(0), "Return probabilities: the softmax is missing."),
                (logits.softmax(-1).sum(0), "The mean of ten, not the sum."),
                (logits[:5].softmax(-1).mean(0), "All ten crops count, the mirrored ones too."),
                (logits[4].softmax(-1), "All ten crops count, not the centre alone."),
                (logits.softmax(-1).amax(0), "The mean over the crops, not the maximum."),
                (logits.softmax(0).mean(0), "The softmax is over the classes, the last dimension."),
                (logits.softmax(1).mean(0), "The softmax is over the classes, the last dimension."),
                (
                    logits.softmax(-1).flatten(0, 1).unflatten(0, (3, 10)).mean(1),
                    "The crops of an image are not neighbours in what you gave the model: the first dimension is ten.",
                ),
            ],
            what="The prediction",
            **EXACT,
        )
        expect.kind(sizes, list)
        seen = sum(one[0] for one in sizes)
        expect.that(seen == 30, f"Three images have 30 crops; your model saw {seen}.")
    with cases("mode and gradients"):
        result, after, modes, _, graphs = run(True)
        expect.that(bool(modes) and not any(modes), "Call the model in evaluation mode: model.eval().")
        expect.close(result, logits.softmax(-1).mean(0), "In evaluation mode nothing is dropped.", **EXACT)
        expect.that(after[0] is True, "Leave the model in the mode in which it was: here it was in training.")
        _, after, _, _, graphs = run(False)
        expect.that(after[0] is False, "Leave the model in the mode in which it was: here it was in evaluation.")
        expect.that(not any(graphs), "Compute without gradients: torch.no_grad().")


# --- 6. top_k_error --------------------------------------------------------------------------------------------------


def _by_hand(logits: torch.Tensor, targets: torch.Tensor, k: int, ties: str = "against") -> float:
    """Count errors one image and one class at a time."""
    errors = 0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        own = row[target]
        others = [value for j, value in enumerate(row) if j != target]
        if ties == "against":
            ahead = sum(not value < own for value in others)
        elif ties == "for":
            ahead = sum(value > own for value in others)
        else:  # the first of equal ones wins
            ahead = sum(v > own or (v == own and j < target) for j, v in enumerate(row) if j != target)
        errors += ahead >= k or math.isnan(own)
    return errors / len(logits)


@check
def top_k_error(student: Student, cases: Cases) -> None:
    """Compare with counts made one by one."""

    def compare(logits: torch.Tensor, targets: torch.Tensor, k: int, hint: str, mistakes: str = "") -> None:
        seen = student.call("top_k_error", logits, targets, k)
        expect.number(seen, "The error")
        right = _by_hand(logits, targets, k)
        share = [
            (1 - right, "That is the accuracy: the error is one minus it."),
            (right * len(logits), "Return a share of the examples, not their number."),
            (100 * right, "Return a share from 0 to 1, not percent."),
            (_by_hand(-logits, targets, k), "The largest logits are the guesses, not the smallest."),
            (_by_hand(logits, targets, k + 1), "Fewer than k others may be ahead: yours allows one more."),
            (_by_hand(logits, targets, k - 1), "k - 1 others may be ahead: yours allows one less."),
            (_by_hand(logits, targets, 1), "k does not enter: yours is the top-1 error."),
            (_by_hand(logits, targets, 5), "k does not enter: yours is the top-5 error."),
        ]
        ties = [
            (
                _by_hand(logits, targets, k, "for"),
                "A tie counts against you: an equal logit of another class is ahead.",
            ),
            (_by_hand(logits, targets, k, "first"), "A tie counts against you, also where the true class comes first."),
        ]
        known = {"share": share, "ties": ties}.get(mistakes, [])
        known = [(value, text) for value, text in known if abs(value - right) > 1e-9]
        expect.close(seen, right, hint, known, what="The error", rtol=0.0, atol=1e-9)

    logits, targets = cases.randn(60, 9), torch.tensor([cases.integer(0, 8) for _ in range(60)])
    with cases("no ties", weight=2):
        for k in (1, 3):
            compare(
                logits, targets, k, "An image is right when fewer than k other classes have a larger logit.", "share"
            )
    with cases("ties", weight=2):
        tied = (1.2 * logits).round()
        for k in (1, 2, 4):
            compare(tied, targets, k, "An equal logit is ahead, too: a tie counts against you.", "ties")
        compare(torch.zeros(8, 6), targets[:8] % 6, 5, "A network that says the same of all classes is always wrong.")
    with cases("k as large as the classes"):
        for k in (9, 10, 1000):
            hint = f"With 9 classes and k = {k} nothing is an error, whatever is tied."
            compare(tied, targets, k, hint)
    with cases("infinite logits and nan"):
        odd = logits.clone()
        odd[::5, 0] = -math.inf
        odd[1::5, 1] = math.inf
        compare(odd, targets, 2, "Infinite logits are larger or smaller than all others.")
        odd = logits.clone()
        odd[torch.arange(20), targets[:20]] = math.nan
        compare(odd, targets, 3, "A true class whose logit is nan is an error, for every k.")
        compare(odd, targets, 9, "A true class whose logit is nan is an error, for every k.")
        odd = logits.clone()
        odd[torch.arange(30), (targets[:30] + 1) % 9] = math.nan
        compare(odd, targets, 1, "The nan of another class counts as larger.")
    with cases("one example, float32, whole numbers"):
        compare(logits[:1].float(), targets[:1], 2, "The same holds for one example.")
        compare((10 * logits).long(), targets, 2, "The same holds for logits that are integers.")
        _keeps(student, "top_k_error(logits, targets, 2)", logits=logits, targets=targets)
    with cases("a Python number"):
        kind = student.run(
            "kind = type(top_k_error(logits, targets, 2)).__name__", "kind", logits=logits, targets=targets
        )
        expect.that(kind == "float", f"Return a Python number (float); yours is of type {kind}.")
    with cases("bad input"):
        call = "top_k_error(torch.zeros(given[0], 4), torch.zeros(given[0], dtype=torch.long), given[1])"
        outcomes = _errors(student, call, [[3, 0], [3, -1], [0, 1], [3, 4]])
        for what, outcome in zip(("k = 0", "k = -1", "no examples"), outcomes, strict=False):
            hint = f"There is no error for {what}: raise a ValueError. Yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)
        expect.that(outcomes[-1] is None, "k = 4 with 4 classes is allowed.")
