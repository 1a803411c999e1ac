"""The hidden checks of the assignment `imagenet`.

Accuracies are counted one by one. Tokens are compared with a convolution in float64, probabilities with scikit-learn's
logistic regression. What the fifth exercise hands to `fit` is recorded in the student's process, image by image.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from textwrap import dedent, indent
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import ReferenceStudent, Student

EXACT = {"rtol": 1e-9, "atol": 1e-10}
#: A count of at most a few thousand, divided in float32 in some right answers; one image more or less is far more.
COUNTED = {"rtol": 0.0, "atol": 1e-6}
#: The text asks for 1e-4, and for 1e-3 where lambda is below 0.05; scikit-learn itself comes within 1e-5.
FITTED = {"rtol": 0.0, "atol": 1.5e-4}
FAR = {"rtol": 0.0, "atol": 1.5e-3}

# --- What all exercises share ----------------------------------------------------------------------------------------


def _errors(student: Student, call: str, tried: Sequence[Any]) -> list[tuple[str | None, str]]:
    """Return name and message of the error that each call raises, None and "" where there is none."""
    outcomes = student.run(
        "import torch\noutcomes = []\n"
        "for given in tried:\n"
        "    try:\n"
        f"        {call}\n"
        "        outcomes.append([None, ''])\n"
        "    except NotImplementedError:\n"
        "        raise\n"
        "    except Exception as error:\n"
        "        name = 'ValueError' if isinstance(error, ValueError) else type(error).__name__\n"
        "        outcomes.append([name, str(error)])\n",
        "outcomes",
        tried=list(tried),
    )
    expect.sequence(outcomes, len(tried))
    for outcome in outcomes:
        expect.sequence(outcome, 2)
    return [(name if isinstance(name, str) or name is None else "something", str(text)) for name, text in outcomes]


def _refused(outcomes: Sequence[tuple[str | None, str]], what: Sequence[str]) -> None:
    """Expect that each of these things raised a ValueError."""
    for (name, _), given in zip(outcomes, what, strict=True):
        expect.that(name == "ValueError", f"{given} should raise a ValueError. Yours raised {name or 'nothing'}.")


def _keeps(student: Student, call: str, **inputs: Any) -> None:
    """Expect the inputs to be after the call what they were before."""
    after = student.run(f"import torch\n{call}\nafter = [{', '.join(inputs)}]", "after", **inputs)
    expect.sequence(after, len(inputs))
    for (name, was), seen in zip(inputs.items(), after, strict=True):
        hint = f"Your function changes `{name}`, which it was given: make something new."
        if isinstance(was, torch.Tensor):
            expect.close(seen, was, hint, what="An input", rtol=0.0, atol=0.0)
        else:
            expect.equal(seen, was, hint)


def _is_float(student: Student, call: str, **inputs: Any) -> None:
    kind = student.run(f"import torch\nkind = type({call}).__name__", "kind", **inputs)
    expect.that(kind == "float", f"Return a Python number (float); yours is of type {kind}.")


# --- 1. top_k_accuracy -----------------------------------------------------------------------------------------------


def _by_hand(logits: torch.Tensor, targets: torch.Tensor, k: int, ties: str = "against") -> float:
    """Count one image after the other."""
    right = 0
    for scores, label in zip(logits.double().tolist(), targets.tolist(), strict=True):
        own = scores[label]
        before = 0
        for c, score in enumerate(scores):
            if c == label:
                continue
            level = score == own and (ties == "against" or (ties == "first" and c < label))
            before += score > own or math.isnan(score) or level
        right += before < k and not math.isnan(own)
    return right / len(targets)


@check
def top_k_accuracy(student: Student, cases: Cases) -> None:
    """Compare with counts made one by one."""

    def compare(logits: torch.Tensor, targets: torch.Tensor, k: int, hint: str, mistakes: str = "") -> None:
        seen = student.call("top_k_accuracy", logits, targets, k)
        expect.number(seen, "The accuracy")
        right = _by_hand(logits, targets, k)

        def known() -> Iterator[tuple[float, str]]:
            if mistakes == "share":
                yield 1 - right, "That is the error: the accuracy is one minus it."
                yield right * len(targets), "Return a share of the images, not their number."
                yield 100 * right, "Return a share from 0 to 1, not percent."
                yield _by_hand(-logits, targets, k), "The largest scores are the guesses, not the smallest."
                yield _by_hand(logits, targets, k + 1), "The rank is below k: yours may be k, so it allows one more."
                yield (
                    _by_hand(logits, targets, k - 1),
                    "The label itself does not count in its rank: you allow one less.",
                )
                yield _by_hand(logits, targets, 1), "k does not enter: yours is the top-1 accuracy."
                yield _by_hand(logits, targets, 5), "k does not enter: yours is the top-5 accuracy."
            if mistakes == "ties":
                against = "A tie counts against the network"
                yield _by_hand(logits, targets, k, "for"), f"{against}: an equal score of another class stands before."
                yield _by_hand(logits, targets, k, "first"), f"{against}, also where the label is the first class."

        others = [(value, text) for value, text in known() if abs(value - right) > 1e-5]
        expect.close(seen, right, hint, others, what="The accuracy", **COUNTED)

    # A prime number of images: no share of them has two digits.
    targets = torch.randint(9, (241,), generator=cases.generator)
    logits = cases.randn(241, 9) + 1.5 * F.one_hot(targets, 9)
    with cases("no ties", weight=2):
        for k in (3, 1):
            hint = "An image is right when fewer than k other classes have a score that is not smaller."
            compare(logits, targets, k, hint, "share")
    with cases("ties", weight=2):
        # Rounded so coarsely that dozens of the 241 labels are level with another class.
        tied = (1.2 * logits).round()
        for k in (1, 2, 4):
            compare(tied, targets, k, "An equal score stands before, too: a tie counts against the network.", "ties")
        same = torch.full((8, 6), cases.uniform(-1, 1), dtype=torch.float64)
        compare(same, targets[:8] % 6, 5, "A network that says the same of all classes is always wrong below k = K.")
    with cases("k as large as the classes"):
        compare(tied, targets, 9, "With k = K every image is right, whatever is tied.")
        compare(logits[:, :1], torch.zeros(241, dtype=torch.int64), 1, "With one class and k = 1 every image is right.")
    with cases("infinite scores and nan"):
        odd = logits.clone()
        odd[::5, 0] = -math.inf
        odd[1::5, 1] = math.inf
        compare(odd, targets, 2, "Infinite scores are larger or smaller than all others, and level with one another.")
        odd = logits.clone()
        odd[torch.arange(20), targets[:20]] = math.nan
        for k in (3, 9):
            compare(odd, targets, k, "A label whose score is nan is wrong, for every k.")
        odd = logits.clone()
        odd[torch.arange(30), (targets[:30] + 1) % 9] = math.nan
        compare(odd, targets, 1, "The nan of another class is not smaller: it stands before the label.")
        compare(
            torch.full((5, 4), math.nan), targets[:5] % 4, 4, "A network that says nan of all classes is always wrong."
        )
    with cases("one image, other dtypes"):
        compare(logits[:1].float(), targets[:1], 2, "The same holds for one image.")
        compare((10 * logits).long(), targets, 2, "The same holds for scores that are whole numbers.")
        many = torch.arange(3001) % 3
        half = F.one_hot(many, 3).half()
        half[:1000] = -half[:1000]
        for dtype in (torch.float16, torch.bfloat16):
            compare(half.to(dtype), many, 1, f"Scores in {dtype}: do not count in that dtype.")
    with cases("inputs keep their values, the result is a number"):
        _keeps(student, "top_k_accuracy(logits, targets, 2)", logits=logits, targets=targets)
        _is_float(student, "top_k_accuracy(logits, targets, 2)", logits=logits, targets=targets)
    with cases("bad input"):
        call = "top_k_accuracy(torch.eye(4)[:given[0]], torch.arange(given[0]), given[1])"
        outcomes = _errors(student, call, [[3, 0], [3, -1], [3, 5], [3, 1000], [0, 1], [3, 4]])
        _refused(outcomes[:-1], ["k = 0", "k = -1", "k = 5 with 4 classes", "k = 1000 with 4 classes", "No images"])
        expect.that(outcomes[-1][0] is None, "k = 4 with 4 classes is allowed.")


# --- 2. real_accuracy ------------------------------------------------------------------------------------------------


def _labels(cases: Cases, predictions: Sequence[int], classes: int) -> list[list[int]]:
    """Draw lists of none to three labels for each image, three of four with the guess in it."""
    found = []
    for guess in predictions:
        others = [(guess + cases.integer(1, classes - 1)) % classes for _ in range(cases.integer(0, 2))]
        at = max(cases.integer(0, len(others)), cases.integer(0, len(others)))  # rather last than first
        found.append(others[:at] + [guess] * min(1, cases.integer(0, 3)) + others[at:])
    return found


@check
def real_accuracy(student: Student, cases: Cases) -> None:
    """Compare with sums over sets."""

    def compare(guesses: list[int], labels: list[list[int]], hint: str, dtype: torch.dtype = torch.int64) -> None:
        seen = student.call("real_accuracy", torch.tensor(guesses, dtype=dtype), labels)
        expect.number(seen, "The accuracy")
        pairs = list(zip(guesses, labels, strict=True))
        hits = sum(len({g} & set(some)) for g, some in pairs)
        kept = sum(some != [] for some in labels)
        every = sum(len(some) for some in labels)
        known = [
            (hits / len(labels), "Images without a label are left out below the line, too."),
            ((hits + len(labels) - kept) / len(labels), "Images without a label are left out: they are not right."),
            ((hits + len(labels) - kept) / kept, "Images without a label are left out: they are not right."),
            (1 - hits / kept, "That is the error: the accuracy is one minus it."),
            (100 * hits / kept, "Return a share from 0 to 1, not percent."),
            (float(hits), "Return a share, not a number of images."),
            (hits / every, "Divide by the number of images with a label, not by that of labels."),
            (
                sum(some.count(g) for g, some in pairs) / kept,
                "A label that is there twice counts once: an image is right or wrong.",
            ),
            (
                sum(g == some[0] for g, some in pairs if some) / kept,
                "Any label in the list may be the one that fits, not the first alone.",
            ),
            (
                sum(g == some[-1] for g, some in pairs if some) / kept,
                "Any label in the list may be the one that fits, not the last alone.",
            ),
            (
                sum([g] == some for g, some in pairs) / kept,
                "An image with several labels is right when the guess is one of them.",
            ),
            (
                sum(len({g} & set(some)) / len(set(some)) for g, some in pairs if some) / kept,
                "An image is right or wrong: do not divide by the number of its labels.",
            ),
        ]
        known = [(value, text) for value, text in known if abs(value - hits / kept) > 1e-5]
        expect.close(seen, hits / kept, hint, known, what="The accuracy", **COUNTED)

    several = "An image is right when its guess is one of its labels; images without labels are left out."
    with cases("several labels and none", weight=2):
        for _ in range(2):
            guesses = [cases.integer(0, 9) for _ in range(160)]
            labels = _labels(cases, guesses, 10)
            guesses[:6], labels[:6] = [1, 2, 3, 4, 5, 6], [[1, 0], [], [7, 3, 8], [9, 4], [], [2]]
            compare(guesses, labels, several)
    with cases("labels that are there twice", weight=2):
        guesses = [cases.integer(0, 9) for _ in range(40)]
        labels = [2 * some for some in _labels(cases, guesses, 10)]
        guesses[:3], labels[:3] = [4, 5, 6], [[4, 4, 4], [5, 1, 5], [2, 2]]
        compare(guesses, labels, "A label that is there twice counts once.")
    with cases("none and all are right"):
        compare([3, 4, 5], [[1], [2, 0], [6]], "Here no image is right.")
        compare([3, 4, 5, 6], [[3], [], [6, 5], [7, 6, 1]], "Here every image with a label is right.")
        compare([0], [[0]], "Class 0 is a class like all others, and one image is enough.")
        compare([0, 0, 2], [[0, 1], [], [0]], "Class 0 is a class like all others.")
    with cases("class numbers of ImageNet's size"):
        guesses = [cases.integer(300, 999) for _ in range(30)]
        labels = _labels(cases, guesses, 1000)
        guesses[0], labels[0] = 721, [404, 721]
        compare(guesses, labels, several)
        compare(guesses, labels, "predictions may have any integer dtype.", torch.int32)
    with cases("inputs keep their values, the result is a number"):
        given = {"predictions": torch.tensor([3, 1, 2]), "real_labels": [[1, 3, 3], [], [0, 2, 0]]}
        _keeps(student, "real_accuracy(predictions, real_labels)", **given)
        _is_float(student, "real_accuracy(predictions, real_labels)", **given)
    with cases("bad input"):
        tried = [
            [[1, 2], [[1]], "Fewer lists than guesses"],
            [[1], [[1], [2]], "More lists than guesses"],
            [[1], [[1], []], "More lists than guesses, also when the last is empty,"],
            [[1, 2, 3], [[], [], []], "No label for any image"],
            [[], [], "No image at all"],
        ]
        call = "real_accuracy(torch.tensor(given[0], dtype=torch.int64), given[1])"
        _refused(_errors(student, call, [row[:2] for row in tried]), [row[2] for row in tried])


# --- 3. patch_embed --------------------------------------------------------------------------------------------------

# A mode of PyTorch's that sees each call of one of its functions, whatever name the student's cell has for it.
_WATCH = """
import torch
from torch.overrides import TorchFunctionMode
found = []
class Watch(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = str(getattr(function, "__name__", ""))
        if name.lstrip("_").startswith(("conv", "thnn_conv", "mkldnn_conv", "im2col")) or name.endswith("convolution"):
            found.append(name)
        if function is torch.nn.functional.unfold:
            found.append(name)
        return function(*args, **(kwargs or {}))
with Watch():
"""


def _tokens(student: Student, code: str, returns: Sequence[str], **inputs: Any) -> tuple:
    """Run a snippet and return what it leaves behind, unless a convolution was used in it."""
    code = _WATCH + indent(dedent(code).strip(), "    ")
    *values, found = student.run(code, [*returns, "found"], **inputs)
    expect.kind(found, list)
    expect.that(not found, "Your answer uses a convolution or F.unfold: cut the images by reshape and permute.")
    return tuple(values)


def _vectors(images: torch.Tensor, patch: int, across: bool = False, order: str = "crx") -> torch.Tensor:
    """Cut patches one by one. For the usual mistakes: another order of patches, and within a patch.

    Args:
        images: (n, channels, height, width).
        patch: side.
        across: whether patches are counted down the columns.
        order: channel, row and column (x) in the order in which they are written down.
    """
    height, width = images.shape[2:]
    places = [(i, j) for i in range(0, height, patch) for j in range(0, width, patch)]
    if across:
        places = [(i, j) for j in range(0, width, patch) for i in range(0, height, patch)]
    dims = [0, *(1 + "crx".index(letter) for letter in order)]
    cut = [images[:, :, i : i + patch, j : j + patch].permute(dims).flatten(1) for i, j in places]
    return torch.stack(cut, 1)


def _by_convolution(images: torch.Tensor, patch: int, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A convolution whose stride is its kernel, its places in reading order."""
    kernels = weight.reshape(len(weight), images.shape[1], patch, patch)
    return F.conv2d(images, kernels, bias, stride=patch).flatten(2).transpose(1, 2)


def _wrong_tokens(
    images: torch.Tensor, patch: int, weight: torch.Tensor, bias: torch.Tensor
) -> Iterator[tuple[torch.Tensor, str]]:
    """Yield what the usual mistakes give, each with its hint."""
    right = _by_convolution(images, patch, weight, bias)
    yield right - bias, "The bias is missing."
    yield right.transpose(1, 2), "The result is (n, tokens, width): yours has tokens and width the other way round."
    channels, count = images.shape[1], right.shape[1]
    orders = [
        ("rxc", "Within a patch the channels come first: channel, row, column."),
        ("cxr", "Within a channel of a patch go row by row: yours goes column by column."),
        ("xrc", "The order within a patch is channel, row, column."),
        ("rcx", "The order within a patch is channel, row, column: yours begins with the row."),
        ("xcr", "The order within a patch is channel, row, column."),
    ]
    for order, hint in orders:
        yield _vectors(images, patch, order=order) @ weight.T + bias, hint
    down = "Tokens are in reading order, along the first row of patches first: yours go down the first column."
    yield _vectors(images, patch, across=True) @ weight.T + bias, down
    turned = "Tokens are in reading order, and so are the pixels in a patch: height and width are swapped in yours."
    yield _vectors(images, patch, across=True, order="cxr") @ weight.T + bias, turned
    joined = images.reshape(len(images), count, channels * patch**2)
    cut = "A reshape alone gives runs of pixels, not patches: permute between two reshapes."
    yield joined @ weight.T + bias, cut
    strips = images.unfold(2, patch, patch).unfold(3, patch, patch)
    yield (
        strips.reshape(len(images), count, -1) @ weight.T + bias,
        ("Before the last reshape, the dimension of channels must come behind those of the patches."),
    )


@check
def patch_embed(student: Student, cases: Cases) -> None:
    """Compare tokens and gradients with a convolution in float64."""

    def drawn(n: int, channels: int, height: int, width: int, patch: int, d: int) -> dict[str, Any]:
        return {
            "images": cases.randn(n, channels, height, width),
            "patch": patch,
            "weight": cases.randn(d, channels * patch**2),
            "bias": cases.randn(d),
        }

    def compare(given: dict[str, Any], hint: str) -> None:
        (seen,) = _tokens(student, "seen = patch_embed(images, patch, weight, bias)", ["seen"], **given)
        wrong = _wrong_tokens(**given)
        expect.close(seen, _by_convolution(**given), hint, wrong, what="The result", **EXACT)

    hint = "Token i * w + j is weight times the patch in row i and column j, written channel by channel, plus the bias."
    with cases("square images", weight=2):
        compare(drawn(3, 2, 6, 6, 2, 5), hint)
        compare(drawn(2, 3, 9, 9, 3, 4), hint)
    with cases("other forms of images", weight=2), expect.explained("Height and width may differ."):
        for sizes in ((2, 3, 4, 10, 2, 4), (2, 1, 9, 3, 3, 7), (1, 4, 2, 8, 2, 3)):
            compare(drawn(*sizes), f"Images of {sizes[2]} x {sizes[3]} pixels, patches of {sizes[4]}. {hint}")
    with cases("one patch, and patches of one pixel"):
        compare(drawn(3, 2, 4, 4, 4, 5), f"One patch is the whole image. {hint}")
        compare(drawn(2, 3, 2, 5, 1, 4), f"Patches of one pixel. {hint}")
        compare(drawn(1, 1, 2, 2, 2, 1), f"One image, one channel, one number. {hint}")
    with cases("gradients", weight=2):
        given = drawn(2, 3, 4, 6, 2, 5)
        above = cases.randn(2, 6, 5)
        code = """
        values = [v.clone().requires_grad_() for v in (images, weight, bias)]
        tokens = patch_embed(values[0], patch, values[1], values[2])
        linked = tokens.requires_grad
        if linked:
            (tokens * above).sum().backward()
        grads = [v.grad for v in values]
        """
        linked, grads = _tokens(student, code, ["linked", "grads"], above=above, **given)
        expect.that(linked is True, "Gradients should flow: detach nothing, and use PyTorch's functions alone.")
        expect.sequence(grads, 3, "The gradients")
        leaves = [given[name].clone().requires_grad_() for name in ("images", "weight", "bias")]
        (_by_convolution(leaves[0], 2, leaves[1], leaves[2]) * above).sum().backward()
        for name, seen, leaf in zip(("images", "weight", "bias"), grads, leaves, strict=True):
            expect.that(seen is not None, f"No gradient reaches {name}: detach nothing.")
            expect.close(seen, leaf.grad, f"The gradient of {name} is wrong: detach nothing.", what=name, **EXACT)
    with cases("memory layouts"), expect.explained("Images may have any memory layout: use reshape, not view."):
        given = drawn(2, 3, 4, 6, 2, 5)
        code = """
        one = images[:1].expand(3, -1, -1, -1)
        layouts = [
            images.to(memory_format=torch.channels_last),
            images.transpose(2, 3).contiguous().transpose(2, 3),
            one,
            torch.cat([images, images], 3)[:, :, :, ::2],
        ]
        seen = [patch_embed(some, patch, weight, bias) for some in layouts]
        """
        (seen,) = _tokens(student, code, ["seen"], **given)
        images = given["images"]
        expect.sequence(seen, 4)
        wide = torch.cat([images, images], 3)[:, :, :, ::2]
        for tokens, some in zip(seen, (images, images, images[:1].expand(3, -1, -1, -1), wide), strict=True):
            wanted = _by_convolution(some, 2, given["weight"], given["bias"])
            expect.close(tokens, wanted, "The memory layout of the images changes no token.", **EXACT)
    with cases("dtypes"):
        for dtype in (torch.float32, torch.float64):
            given = {
                name: value.to(dtype) if isinstance(value, torch.Tensor) else value
                for name, value in drawn(2, 2, 4, 6, 2, 3).items()
            }
            (seen,) = _tokens(student, "seen = patch_embed(images, patch, weight, bias)", ["seen"], **given)
            expect.dtype(seen, dtype)
            wanted = _by_convolution(**{k: v.double() if isinstance(v, torch.Tensor) else v for k, v in given.items()})
            expect.close(seen, wanted, f"In {dtype}: {hint}", rtol=1e-4, atol=1e-4)
    with cases("inputs keep their values"):
        given = drawn(2, 2, 4, 4, 2, 3)
        _keeps(student, "patch_embed(images, patch, weight, bias)", **given)
    with cases("patches that do not fit"):
        sizes = [
            [14, 15, 2],
            [15, 14, 2],
            [10, 12, 5],
            [12, 10, 5],
            [4, 6, 8],
            [16, 31, 16],
            [4, 16, 8],
            [12, 18, 6],
            [35, 14, 7],
        ]
        call = "h, w, p = given; patch_embed(torch.zeros(1, 2, h, w), p, torch.zeros(3, 2 * p * p), torch.zeros(3))"
        outcomes = _errors(student, call, sizes)
        told = [f"Patches of {p} pixels in images of {h} x {w}" for h, w, p in sizes]
        _refused(outcomes[:-2], told[:-2])
        for (_, text), (h, w, _) in zip(outcomes[:-2], sizes, strict=False):
            named = str(h) in text and str(w) in text
            expect.that(
                named, "The message of the ValueError should name both, the height and the width of the images."
            )
        for (name, _), what in zip(outcomes[-2:], told[-2:], strict=True):
            expect.that(name is None, f"{what} fit: yours raised {name}.")


# --- 4. linear_probe -------------------------------------------------------------------------------------------------


#: What scikit-learn gave: a check asks for some of it several times, and all answers on file for the same.
_fits: dict[tuple, torch.Tensor] = {}


def _key(value: Any) -> Any:
    """Return what tells one argument from others."""
    return (tuple(value.shape), value.numpy().tobytes()) if isinstance(value, torch.Tensor) else value


def _fitted(*given: Any, **settings: Any) -> torch.Tensor:
    """Return what :func:`_fit` gives; it is not to be changed."""
    key = (*map(_key, given), *((name, _key(value)) for name, value in settings.items()))
    if key not in _fits:
        if len(_fits) >= 512:
            _fits.clear()
        _fits[key] = _fit(*given, **settings)
    return _fits[key]


def _fit(
    x: torch.Tensor,
    targets: torch.Tensor,
    new: torch.Tensor,
    classes: int,
    decay: float,
    *,
    shift: torch.Tensor | None = None,
    scale: torch.Tensor | None = None,
    new_shift: torch.Tensor | None = None,
    new_scale: torch.Tensor | None = None,
    strength: float = 1.0,
    intercept: str = "free",
) -> torch.Tensor:
    """Return the probabilities that scikit-learn's logistic regression gives.

    scikit-learn minimizes the sum of the losses times C plus half of the squared weights: C is 1 / (n lambda). With two
    classes it has one vector u where the softmax has -u/2 and u/2, whose squares sum to half of its square: lambda / 2.

    Args:
        x: (n, d) in float64.
        targets: (n,).
        new: (m, d).
        classes: how many columns there are.
        decay: lambda.
        shift: what is subtracted (default: the means of x).
        scale: what is divided by (default: the standard deviations of x, 1 where they are 0).
        new_shift: the same for the test features.
        new_scale: the same for the test features.
        strength: what lambda is multiplied by.
        intercept: "free", "penalised" or "none".
    """
    shift = x.mean(0) if shift is None else shift
    scale = x.std(0, correction=0) if scale is None else scale
    scale = torch.where(scale == 0, 1.0, scale)
    seen = ((x - shift) / scale).numpy()
    new_scale = scale if new_scale is None else torch.where(new_scale == 0, 1.0, new_scale)
    asked = ((new - (shift if new_shift is None else new_shift)) / new_scale).numpy()
    if intercept == "penalised":
        seen, asked = (np.concatenate([part, np.ones((len(part), 1))], 1) for part in (seen, asked))
    present = targets.unique()
    probabilities = torch.zeros(len(new), classes, dtype=torch.float64)
    if len(present) == 1:
        probabilities[:, present] = 1.0
        return probabilities
    decay = strength * decay * (0.5 if len(present) == 2 else 1.0)
    model = LogisticRegression(
        C=1 / (len(x) * decay), tol=1e-9, max_iter=5000, solver="newton-cg", fit_intercept=intercept == "free"
    )
    probabilities[:, present] = torch.from_numpy(model.fit(seen, targets.numpy()).predict_proba(asked))
    return probabilities


def _wrong_probabilities(
    x: torch.Tensor, targets: torch.Tensor, new: torch.Tensor, classes: int, decay: float
) -> Iterator[tuple[torch.Tensor, str]]:
    """Yield what the usual mistakes give, each with its hint."""
    given = x, targets, new, classes, decay
    right = _fitted(*given)
    n, d = x.shape
    nothing, one = torch.zeros(d, dtype=torch.float64), torch.ones(d, dtype=torch.float64)
    both = torch.cat([x, new])
    yield right.clamp_min(1e-300).log(), "Return probabilities, not their logarithms."
    yield F.one_hot(right.argmax(1), classes).double(), "Return probabilities, not the guesses."
    yield right.softmax(1), "The softmax is taken twice: cross_entropy and the result each need it once."
    for intercept, hint in (
        ("penalised", "The intercept is penalised: lambda is for the weights alone."),
        ("none", "The intercept is missing."),
    ):
        yield _fitted(*given, intercept=intercept), hint
    for strength, hint in (
        (n, "The loss is the mean over the images: yours is as if their losses were summed up, or lambda divided."),
        (1 / n, "The loss is the mean over the images, not their sum: the penalty is n times too weak in yours."),
        (2.0, "The penalty is lambda / 2 times the squared weights: yours has no half."),
        (0.5, "The penalty is lambda / 2 times the squared weights: yours is half as strong."),
        (2.0 / n, "The loss is the mean over the images, not their sum, and the penalty has a half."),
        (1.0 / (d * len(targets.unique())), "The penalty sums the squared weights: yours takes their mean."),
        (2.0 / (d * len(targets.unique())), "The penalty sums the squared weights: yours takes their mean."),
    ):
        yield _fitted(*given, strength=strength), hint
    # A shift of training and test features alike changes only the intercept, and no probability.
    unscaled = "The features are not standardized: subtract the mean, and divide by the standard deviation."
    yield _fitted(*given, shift=nothing, scale=one), unscaled
    yield _fitted(*given, scale=x.std(0)), "The standard deviation divides by n (correction=0), not by n - 1."
    yield _fitted(*given, scale=x.var(0, correction=0)), "Divide by the standard deviation, not by the variance."
    own = (
        "The test features are standardized by the mean and standard deviation of the training features, not their own."
    )
    yield _fitted(*given, new_shift=new.mean(0), new_scale=new.std(0, correction=0)), own
    yield _fitted(*given, new_shift=new.mean(0), new_scale=new.std(0)), own
    yield (
        _fitted(*given, shift=both.mean(0), scale=both.std(0, correction=0)),
        "Mean and standard deviation are those of the training features alone: the test features may not enter.",
    )
    yield _fitted(*given, new_shift=nothing, new_scale=one), "The test features are not standardized."
    overall = "Each feature has its own mean and standard deviation: yours are those of all numbers."
    yield _fitted(*given, shift=x.mean() * one, scale=x.std(correction=0) * one), overall


_PROBE = "linear_probe(features, targets, test_features, n_classes, weight_decay)"
_STOPPED = (
    "W and b are not at the minimum yet: iterate until the gradient is near 0 (with LBFGS: line_search_fn, max_iter, "
    "tolerance_grad, tolerance_change), in float64."
)


def _clusters(
    cases: Cases, targets: torch.Tensor, d: int, *, apart: float, spread: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw training and test features around a centre for each class, each with a mean and a scale of its own."""
    centres = cases.randn(int(targets.max()) + 1, d) * apart
    scale, shift = cases.randn(d).abs() * 3 + 0.2, cases.randn(d) * 4
    x = centres[targets] + spread * cases.randn(len(targets), d)
    new = centres[targets.unique()].repeat(3, 1) + cases.randn(3 * len(targets.unique()), d) + 0.3
    return x * scale + shift, new * scale + shift


@check
def linear_probe(student: Student, cases: Cases) -> None:
    """Compare with scikit-learn's logistic regression in float64."""

    def compare(
        x: torch.Tensor,
        targets: torch.Tensor,
        new: torch.Tensor,
        classes: int,
        decay: float,
        hint: str,
        *,
        named: bool = False,
    ) -> torch.Tensor:
        seen = student.call("linear_probe", x, targets, new, classes, decay)
        expect.dtype(seen, torch.float64, "The probabilities")
        given = x.double(), targets, new.double(), classes, decay
        right = _fitted(*given)
        # Two dozen fits: in one case only. A mistake that gives nearly the right values is not named.
        wrong = _wrong_probabilities(*given) if named else ()
        wrong = ((value, text) for value, text in wrong if (value - right).abs().max() > 1e-3)
        if ReferenceStudent.ahead:
            wrong = list(wrong)
        expect.close(seen, right, hint, wrong, what="The probabilities", **(FITTED if decay >= 0.05 else FAR))
        return seen

    source = student.source("linear_probe")
    with cases("three classes", weight=3):
        expect.that("sklearn" not in source, "Your answer uses scikit-learn: find the minimum yourself.")
        targets = torch.tensor([0] * 18 + [1] * 8 + [2] * 6)[torch.randperm(32, generator=cases.generator)]
        x, new = _clusters(cases, targets, 4, apart=0.8)
        for decay in (cases.uniform(0.05, 0.1), cases.uniform(0.3, 0.5)):
            hint = (
                "The probabilities are not those at the minimum of J. Look at the loss (a mean), the penalty "
                "(lambda / 2, without the intercept), the standardization, and whether you iterate to the end."
            )
            compare(x, targets, new, 3, decay, hint, named=True)
    with cases("classes that are easy to separate", weight=2):
        targets = torch.arange(30) % 3
        x, new = _clusters(cases, targets, 6, apart=3.0, spread=0.3)
        new = torch.cat([new, (x[:3] + x[[1, 2, 0]]) / 2])
        for decay in (0.001, 0.01):
            compare(x, targets, new, 3, decay, _STOPPED)
        # Mixed so that some directions are 100 times as long as others: 20 iterations of LBFGS end 0.02 away in the
        # median, and get through in one of eight draws, so with five in fewer than one of 10,000 runs.
        for _ in range(5):
            targets = torch.arange(36) % 3
            x = cases.randn(3, 8)[targets] + cases.randn(36, 8)
            new = x[:12] + 0.3 * cases.randn(12, 8)
            first, last = (torch.linalg.qr(cases.randn(8, 8))[0] for _ in range(2))
            mixed = first * torch.logspace(0, -2, 8, dtype=torch.float64) @ last
            compare(x @ mixed, targets, new @ mixed, 3, 0.001, _STOPPED)
    with cases("two classes"):
        targets = torch.tensor([1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0])
        x, new = _clusters(cases, targets, 2, apart=0.7)
        hint = "Two classes have two rows of weights, too, and both are penalised."
        single = [(0.5, hint), (2.0, hint)]
        seen = student.call("linear_probe", x, targets, new, 2, 0.2)
        expect.close(
            seen,
            _fitted(x, targets, new, 2, 0.2),
            hint,
            [(_fitted(x, targets, new, 2, 0.2, strength=s), text) for s, text in single],
            what="The probabilities",
            **FITTED,
        )
    with cases("numbers with gaps", weight=2):
        gaps = "Classes that are not among the targets get the probability 0, and take no part in the softmax."
        for present, classes in (([1, 4, 5], 7), ([0, 2], 3), ([3, 9], 10)):
            targets = torch.tensor(present)[torch.arange(24) % len(present)]
            x, new = _clusters(cases, targets, 3, apart=0.8)
            with expect.explained(gaps):
                seen = compare(x, targets, new, classes, 0.1, gaps)
            absent = [c for c in range(classes) if c not in present]
            expect.that(bool((seen[:, absent] == 0).all()), "A class without training images gets exactly 0.")
        targets = torch.full((6,), 2)
        x, new = _clusters(cases, targets, 3, apart=0.8)
        with expect.explained("There may be one class only."):
            compare(x, targets, new, 4, 0.1, "Where there is one class only, it gets the probability 1.")
    with cases("features in float32"):
        targets = torch.arange(27) % 3
        x, new = _clusters(cases, targets, 3, apart=0.8)
        for factor, offset in ((1.0, 0.0), (1.0, 1000.0), (1e-4, 0.0), (1e5, 0.0)):
            both = (x * factor + offset).float(), (new * factor + offset).float()
            hint = f"Features in float32, of a size of {factor:g} around {offset:g}: convert to float64 first."
            compare(both[0], targets, both[1], 3, 0.1, hint)
    with cases("a constant feature"):
        targets = torch.arange(24) % 3
        x, new = _clusters(cases, targets, 3, apart=0.8)
        x[:, 1] = new[:, 1] = cases.integer(1, 40) / 4  # a short binary fraction: its mean is exact
        hint = "A feature that is constant in training says nothing of the classes, and has no standard deviation."
        compare(x, targets, new, 3, 0.1, hint)
        new[:, 1] += 0.5
        compare(x, targets, new, 3, 0.1, f"{hint} Divide by 1 there.")
    with cases("frozen", weight=2):
        _frozen(student, cases)
    with cases("inputs keep their values"):
        targets = torch.arange(12) % 3
        x, new = _clusters(cases, targets, 3, apart=0.8)
        _keeps(student, _PROBE, features=x, targets=targets, test_features=new, n_classes=3, weight_decay=0.2)
    with cases("the default"):
        targets = torch.arange(21) % 3
        x, new = _clusters(cases, targets, 3, apart=0.8)
        seen = student.call("linear_probe", x, targets, new, 3)
        expect.close(seen, _fitted(x, targets, new, 3, 0.01), "Without weight_decay it is 0.01.", **FAR)
    with cases("bad input"):
        call = (
            "x = torch.arange(12.0).reshape(6, 2) % 5; "
            "linear_probe(x, torch.tensor(given[0]), x, given[1], weight_decay=given[2])"
        )
        fine = [0, 1, 2, 0, 1, 2]
        tried = [
            [fine, 3, 0.0, "A weight_decay of 0"],
            [fine, 3, -0.1, "A negative weight_decay"],
            [fine[:5], 3, 0.1, "Fewer targets than rows of features"],
            [fine * 2, 3, 0.1, "More targets than rows of features"],
            [fine, 2, 0.1, "A target of 2 with n_classes = 2"],
            [[0, 1, 2, 0, 1, -1], 3, 0.1, "A target of -1"],
            [[-100, 1, 2, 0, 1, 1], 3, 0.1, "A target of -100"],
        ]
        outcomes = _errors(student, call, [row[:3] for row in tried] + [[fine, 3, 0.1]])
        _refused(outcomes[:-1], [row[3] for row in tried])
        expect.that(outcomes[-1][0] is None, f"Targets that fit should raise nothing; yours raised {outcomes[-1][0]}.")


def _frozen(student: Student, cases: Cases) -> None:
    """Expect no gradient to flow back, and the right answer from features with a graph and without gradients."""
    targets = torch.arange(24) % 3
    x, new = _clusters(cases, targets, 3, apart=0.8)
    code = """
    import torch
    leaf, other = features.clone().requires_grad_(), test_features.clone().requires_grad_()
    network = torch.nn.Linear(3, 3).double()
    with torch.no_grad():
        network.weight.copy_(torch.eye(3))
        network.bias.zero_()
    seen = linear_probe(leaf, targets, other, 3, 0.1)
    again = linear_probe(network(features), targets, network(test_features), 3, 0.1)
    linked = [seen.requires_grad, again.requires_grad]
    flowed = [v.grad is not None for v in (leaf, other, *network.parameters())]
    asked = [v.requires_grad for v in (leaf, other, *network.parameters())]
    """
    given = {"features": x, "test_features": new, "targets": targets}
    with expect.explained("Features may have a graph: detach them first."):
        seen, again, linked, flowed, asked = student.run(
            dedent(code), ["seen", "again", "linked", "flowed", "asked"], **given
        )
    expect.that(linked == [False, False], "The result has a graph: detach features, weights and intercepts.")
    expect.that(flowed == [False] * 4, "A gradient reached the features or the network: detach the features first.")
    expect.that(asked == [True] * 4, "Your function switches requires_grad of its inputs: detach gives a new tensor.")
    right = _fitted(x, targets, new, 3, 0.1)
    for value in (seen, again):
        expect.close(value, right, "Features with a graph give the same probabilities.", **FITTED)
    off = f"import torch\nwith torch.no_grad():\n    seen = {_PROBE}\n    still = torch.is_grad_enabled()"
    hint = "Your function should work within torch.no_grad(), too: torch.enable_grad() switches gradients on again."
    with expect.explained(hint):
        seen, still = student.run(off, ["seen", "still"], n_classes=3, weight_decay=0.1, **given)
    expect.close(seen, right, hint, **FITTED)
    expect.that(still is False, "Within torch.no_grad() gradients are off: leave them so when you return.")


# --- 5. data_efficiency_curve ----------------------------------------------------------------------------------------

# Images carry their numbers, so that it is seen which ones `fit` gets. Its models look up their scores.
_RECORD = """
import random
import numpy as np
import torch
calls, asked, problems = [], [], []
def numbers(images):
    return images.reshape(len(images), -1)[:, 0].long().tolist()
def fit(images, targets, seed):
    shape = list(images.shape[1:]) == list(given.shape[1:])
    calls.append([int(seed), numbers(images), targets.tolist(), torch.is_grad_enabled(), shape])
    key, size = int(seed), len(targets)
    if meddle == "global":
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
    if meddle == "draws":
        torch.rand(len(calls))
        np.random.rand(len(calls))
        random.random()
    if meddle == "changes":
        images.fill_(-1.0)
        targets.fill_(-1)
    def predict(new):
        asked.append([numbers(new), torch.is_grad_enabled()])
        return scores.get(key, {}).get(size, torch.eye(width)[[0] * len(new)])
    return predict
before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
given, given_targets, tests, test_labels = (v.clone() for v in (images, targets, test_images, test_targets))
result = data_efficiency_curve(fit, given, given_targets, tests, test_labels, sizes, seeds)
after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
calm = [bool(torch.equal(before[0], after[0])), before[1] == after[1], before[2] == after[2]]
kept = [bool(torch.equal(a, b)) for a, b in (
    (given, images), (given_targets, targets), (tests, test_images), (test_labels, test_targets)
)]
"""


class _Curve:
    """Training and test images, and what a student's function does with them."""

    def __init__(self, student: Student, cases: Cases, per_class: dict[int, int], *, tests: int = 30) -> None:
        self.student, self.classes = student, sorted(per_class)
        targets = [c for c, count in per_class.items() for _ in range(count)]
        order = torch.randperm(len(targets), generator=cases.generator)
        self.targets = torch.tensor(targets)[order]
        self.images = self._numbered(torch.arange(len(targets)))
        self.test_images = self._numbered(torch.arange(1000, 1000 + tests))
        self.width = max(self.classes) + 1
        self.test_targets = torch.tensor([self.classes[cases.integer(0, len(self.classes) - 1)] for _ in range(tests)])
        self.cases, self.scores = cases, {}

    @staticmethod
    def _numbered(numbers: torch.Tensor) -> torch.Tensor:
        return numbers.float().reshape(-1, 1, 1, 1).repeat(1, 2, 2, 3)

    def draw_scores(self, sizes: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
        """Draw what the models say, and return the accuracies (seeds, sizes), counted one by one."""
        found = torch.zeros(len(seeds), len(sizes), dtype=torch.float64)
        for i, seed in enumerate(seeds):
            for j, size in enumerate(sizes):
                wish = self.cases.uniform(0.2, 0.9)
                scores = self.cases.randn(len(self.test_targets), self.width)
                for row, label in zip(scores, self.test_targets.tolist(), strict=True):
                    row[label] += 6.0 if self.cases.uniform(0, 1) < wish else 0.0
                self.scores.setdefault(seed, {})[size] = scores
                best = [max(range(self.width), key=row.__getitem__) for row in scores.tolist()]
                right = sum(a == b for a, b in zip(best, self.test_targets.tolist(), strict=True))
                found[i, j] = right / len(best)
        return found

    def run(self, sizes: Sequence[int], seeds: Sequence[int], meddle: str = "", before: str = "") -> dict[str, Any]:
        """Run the student's function and return what was recorded."""
        names = ["result", "calls", "asked", "calm", "kept"]
        values = self.student.run(
            before + _RECORD,
            names,
            images=self.images,
            targets=self.targets,
            test_images=self.test_images,
            test_targets=self.test_targets,
            sizes=list(sizes),
            seeds=list(seeds),
            scores=self.scores,
            width=self.width,
            meddle=meddle,
        )
        found = dict(zip(names, values, strict=True))
        for name in ("calls", "asked", "calm", "kept"):
            expect.kind(found[name], list)
        expect.that(
            sorted((c[0], len(c[1])) for c in found["calls"]) == sorted((s, m) for s in seeds for m in sizes),
            "Call fit once for each seed with each size: with that seed, and with exactly that many images.",
        )
        return found

    def shares(self, found: dict[str, Any]) -> dict[tuple[int, int], frozenset[int]]:
        """Return the numbers of the images in each share, by seed and size."""
        return {(seed, len(numbers)): frozenset(numbers) for seed, numbers, *_ in found["calls"]}


def _balanced(curve: _Curve, found: dict[str, Any]) -> None:
    """Expect every share to be of training images with their labels, each once, equally many of each class."""
    labels = curve.targets.tolist()
    for _, numbers, targets, _, shape in found["calls"]:
        expect.that(not any(i >= 1000 for i in numbers), "fit gets a test image: test images are for testing alone.")
        expect.that(
            not any(i < 0 for i in numbers),
            "fit changed what it got, and a later share shows it: hand out copies (indexing by rows makes one).",
        )
        expect.that(shape is True, "fit should get images of the shape that they have in `images`.")
        expect.that(
            len(targets) == len(numbers) and all(labels[i] == t for i, t in zip(numbers, targets, strict=True)),
            "The images and labels that fit gets do not belong together: index both by the same rows.",
        )
        expect.that(len(set(numbers)) == len(numbers), "An image is in a share twice: draw without replacement.")
        counts = {targets.count(c) for c in curve.classes}
        expect.that(
            counts == {len(numbers) // len(curve.classes)},
            "Each class should have equally many images in a share: draw from each class by itself.",
        )


def _nested(curve: _Curve, found: dict[str, Any], sizes: Sequence[int], seeds: Sequence[int]) -> None:
    shares = curve.shares(found)
    for seed in seeds:
        ordered = [shares[seed, size] for size in sorted(sizes)]
        expect.that(
            all(a < b for a, b in itertools.pairwise(ordered)),
            "For one seed a smaller share is a part of each larger one: shuffle once, and take beginnings.",
        )


@check
def data_efficiency_curve(student: Student, cases: Cases) -> None:
    """Record what fit and its models get, and compare the table with counts made one by one."""
    plain = _Curve(student, cases, {0: 20, 1: 20, 2: 20})
    sizes, seeds = [6, 30, 12], [cases.integer(10, 99), cases.integer(100, 999), cases.integer(1000, 9999), 0]
    wanted = plain.draw_scores(sizes, seeds)
    with cases("balanced shares", weight=2):
        _balanced(plain, plain.run(sizes, seeds))
    with cases("smaller shares are parts of larger ones", weight=2):
        _nested(plain, plain.run(sizes, seeds), sizes, seeds)
    with cases("the table", weight=2):
        found = plain.run(sizes, seeds)
        result = found["result"]
        order = sorted(range(3), key=sizes.__getitem__)
        expect.kind(result, torch.Tensor)
        turned = "The result is (seeds, sizes): a row for each seed. Yours has a row for each size."
        expect.that(tuple(result.shape) != (3, 4), turned)
        expect.close(
            result,
            wanted,
            "Each entry is the share of test images whose label has the largest score of that seed's and size's model.",
            [
                (1 - wanted, "That is the error: the accuracy is one minus it."),
                (100 * wanted, "Return shares from 0 to 1, not percent."),
                (30 * wanted, "Return shares, not numbers of images."),
                (wanted[:, order], "The columns are in the order of `sizes`, which need not be sorted."),
                (wanted[sorted(range(4), key=seeds.__getitem__)], "The rows are in the order of `seeds`."),
                (wanted.mean(0).expand(4, 3), "Each seed has its own row: take no mean over them."),
                (torch.zeros(4, 3), "The table stays at 0: is a share divided as a whole number?"),
            ],
            what="The table",
            **COUNTED,
        )
        expect.dtype(result, torch.float64, "The table")
    with cases("what the models are asked"):
        found = plain.run(sizes, seeds)
        numbers = list(range(1000, 1030))
        asked = found["asked"]
        expect.that(
            all(seen[0] == numbers for seen in asked),
            "The function that fit returns is called with all test images at once, in their order, and nothing else.",
        )
        expect.that(
            not any(seen[1] for seen in asked), "Call the model within torch.no_grad(): testing needs no graph."
        )
        expect.that(
            all(call[3] is True for call in found["calls"]),
            "fit is called with gradients disabled, and cannot train: torch.no_grad() is for testing alone.",
        )
    with cases("drawn at random", weight=2):
        # Half of each class, by 40 seeds. Two equal shares have a probability of C(20, 10)^-3, which is 1.6e-16, an
        # image that is never drawn one of 60 / 2^40 = 5e-11, and one that is always drawn the same.
        many = list(range(40))
        shares = plain.shares(plain.run([30], many))
        distinct = len({shares[seed, 30] for seed in many})
        expect.that(distinct > 1, "All seeds draw the same images: the seed should decide which.")
        expect.that(distinct == 40, "Some seeds draw the same images: each seed should draw its own.")
        drawn = [sum(i in share for share in shares.values()) for i in range(60)]
        expect.that(
            min(drawn) > 0,
            "Some images are in no share, whatever the seed: shuffle the whole class, and then take the beginning.",
        )
        expect.that(max(drawn) < 40, "Some images are in every share, whatever the seed: shuffle the whole class.")
    with cases("repeatable", weight=2):
        _repeatable(plain, sizes, seeds)
    with cases("global generators"):
        for meddle in ("", "changes"):
            calm = plain.run(sizes, seeds, meddle)["calm"]
            expect.that(
                calm == [True] * 3,
                "Your function draws from a global generator or seeds it: use a torch.Generator() of your own.",
            )
    with cases("classes with gaps, not equally frequent", weight=2):
        uneven = _Curve(student, cases, {7: 12, 2: 5, 9: 8, 4: 6})
        sizes, seeds = [4, 20, 8], [3, 1]
        wanted = uneven.draw_scores(sizes, seeds)
        told = "The classes are the numbers that occur in targets: there may be gaps, and unequal numbers of images."
        with expect.explained(told):
            found = uneven.run(sizes, seeds)
        _balanced(uneven, found)
        _nested(uneven, found, sizes, seeds)
        expect.close(found["result"], wanted, told, what="The table", **COUNTED)
    with cases("inputs keep their values"):
        hint = "Your function changes its inputs: index makes copies, in-place functions and sorting do not."
        expect.that(plain.run([6, 30], [1])["kept"] == [True] * 4, hint)
        small = _Curve(student, cases, {0: 4, 1: 4})
        found = small.run([2, 8], [0, 1], "changes")
        expect.that(
            found["kept"] == [True] * 4,
            "fit changed what it got, and your inputs changed, too: hand out copies (indexing by rows makes one).",
        )
        _balanced(small, found)
    with cases("bad sizes"):
        _sizes(uneven)


def _repeatable(curve: _Curve, sizes: Sequence[int], seeds: Sequence[int]) -> None:
    """Expect the same shares whatever else is asked or drawn."""
    first = curve.shares(curve.run(sizes, seeds))

    def same(hint: str, sizes: Sequence[int], seeds: Sequence[int], meddle: str = "", before: str = "") -> None:
        shares = curve.shares(curve.run(sizes, seeds, meddle, before))
        expect.that(all(share == first[key] for key, share in shares.items()), hint)

    same("A second call draws other images: make a generator from the seed.", sizes, seeds)
    global_state = "import random, torch\nimport numpy as np\ntorch.manual_seed(5)\nnp.random.seed(5)\nrandom.seed(5)\n"
    own = "use a torch.Generator() of your own, seeded by the seed."
    same(f"The shares depend on the global generators: {own}", sizes, seeds, before=global_state)
    same(f"fit seeds the global generators, and the shares change: {own}", sizes, seeds, "global")
    same(f"fit draws from the global generators, and the shares change: {own}", sizes, seeds, "draws")
    same("The shares of a seed depend on the other seeds: make a new generator for each.", sizes, seeds[2:])
    same("The shares of a seed depend on the order of the seeds: a new generator for each.", sizes, seeds[::-1])
    alone = (
        "The share of a size depends on the other sizes: shuffle each class once and whole, then take its beginning."
    )
    for some in (sizes[:1], sizes[1:], sizes[::-1], [3, *sizes, 60]):
        wanted = {key: share for key, share in first.items() if key[1] in some}
        shares = curve.shares(curve.run(some, seeds))
        expect.that(all(shares[key] == share for key, share in wanted.items()), alone)


def _sizes(curve: _Curve) -> None:
    """Expect a ValueError, before the first call of fit, for sizes that are impossible; and none for those that are."""
    code = """
    import torch
    outcomes = []
    for sizes in tried:
        calls = []
        def fit(images, targets, seed):
            calls.append(len(targets))
            return lambda new: torch.zeros(len(new), 12)
        name = None
        try:
            data_efficiency_curve(fit, images, targets, images, targets, sizes, [0, 1])
        except NotImplementedError:
            raise
        except Exception as error:
            name = "ValueError" if isinstance(error, ValueError) else type(error).__name__
        outcomes.append([name, len(calls)])
    """
    tried = [
        ([0], "A size of 0"),
        ([-4], "A size of -4"),
        ([4, 10], "10 images of 4 classes"),
        ([3], "3 images of 4 classes"),
        ([24], "24 images of 4 classes, of which one has only 5 images,"),
        ([4, 8, 44], "44 images, when there are 31,"),
        ([4, 20, 8], "These sizes"),
    ]
    outcomes = curve.student.run(
        dedent(code), "outcomes", images=curve.images, targets=curve.targets, tried=[sizes for sizes, _ in tried]
    )
    expect.sequence(outcomes, len(tried))
    for outcome in outcomes:
        expect.sequence(outcome, 2)
    for (name, calls), (_, what) in zip(outcomes[:-1], tried[:-1], strict=True):
        expect.that(name == "ValueError", f"{what} should raise a ValueError. Yours raised {name or 'nothing'}.")
        expect.that(calls == 0, "The ValueError comes too late: look at all sizes before the first call of fit.")
    name = outcomes[-1][0]
    expect.that(name is None, f"20 images of 4 classes are possible when each has 5: yours raised {name}.")
