"""The hidden checks of the assignment `input_normalization`.

Statistics are compared with Python's `statistics`, which computes in exact fractions. Condition numbers come from
how the data were made, from a Hessian that autograd took, or from a closed form in exact fractions. Whitening is
compared with a singular value decomposition of the data by NumPy, so no covariance matrix is formed.
"""

import contextlib
import math
import statistics
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import Student, StudentError

FLOAT = torch.float64

#: A float32 result that was computed in float64 and rounded once is within 6e-8 of the exact one.
ROUNDED = {"rtol": 1e-6, "atol": 0.0}


def _column_statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and population standard deviation of each column, from exact fractions."""
    columns = [[Fraction(value) for value in column] for column in x.T.tolist()]
    means = [float(statistics.mean(column)) for column in columns]
    return torch.tensor(means, dtype=FLOAT), torch.tensor([statistics.pstdev(c) for c in columns], dtype=FLOAT)


def _unchanged(student: Student, code: str, hint: str, **inputs: torch.Tensor) -> None:
    """Expect the tensors that a snippet was given to be after it what they were before."""
    after = student.run(f"{code}\nafter = [{', '.join(inputs)}]", returns="after", **inputs)
    expect.sequence(after, len(inputs))
    for seen, was in zip(after, inputs.values(), strict=True):
        expect.dtype(seen, was.dtype, "An input")
        expect.close(seen, was, hint, what="An input", rtol=0, atol=0)


# --- 1. fit_standardizer ---------------------------------------------------------------------------------------------


def _fit(student: Student, x: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the fitted (mean, std), both of the right kind, shape and dtype."""
    result = student.call("fit_standardizer", x)
    expect.sequence(result, 2)
    for value, what in zip(result, ("The mean", "The std"), strict=True):
        expect.kind(value, torch.Tensor, what)
        expect.shape(value, (x.shape[1],), what)
        expect.dtype(value, dtype, what)
    return tuple(result)


@check
def fit_standardizer(student: Student, cases: Cases) -> None:
    """Compare with exact fractions: plain data first, then each trap of the text in a case of its own."""
    with cases("plain data", weight=2):
        n, d = cases.integer(5, 9), 3
        x = cases.randn(n, d) * torch.tensor([0.3, 2.0, 7.0], dtype=FLOAT) + torch.tensor([1.0, -2.0, 5.0], dtype=FLOAT)
        result = student.call("fit_standardizer", x)
        expect.sequence(result, 2)
        mean, std = result
        true_mean, true_std = _column_statistics(x)
        swapped = "Return (mean, std) in this order."
        rows = "Average over the rows, dimension 0: every feature, a column, has a mean and std of its own."
        expect.no_mistake(mean, [(x.mean(1), rows), (x.mean(), rows), (true_std, swapped)])
        expect.kind(mean, torch.Tensor, "The mean")
        expect.shape(mean, (d,), "The mean")
        expect.dtype(mean, FLOAT, "The mean")
        expect.close(
            mean,
            true_mean,
            "The mean of a feature is the sum of its column over the number of rows.",
            [(x.median(0).values, "This is the median of each feature; the text asks for the mean.")],
            what="The mean",
            rtol=1e-6,
            atol=1e-6,
        )
        expect.kind(std, torch.Tensor, "The std")
        expect.shape(std, (d,), "The std")
        expect.dtype(std, FLOAT, "The std")
        expect.close(
            std,
            true_std,
            "The std of a feature is the root of its mean squared distance to its mean.",
            [
                (x.std(0), "Divide by n, not by n - 1: torch.std does the latter unless you tell it otherwise."),
                (true_std**2, "This is the variance: take its square root."),
                (x.square().mean(0).sqrt(), "Subtract the mean before you square."),
                ((x - true_mean).abs().mean(0), "This is the mean absolute distance: square, average, take the root."),
                (x.amax(0) - x.amin(0), "This is the range of each feature, not its standard deviation."),
                (torch.ones(d, dtype=FLOAT), "1 replaces the std of a constant feature only."),
                (true_std * n**0.5, "The squared distances are averaged, not added up."),
            ],
            what="The std",
            rtol=1e-6,
            atol=1e-6,
        )
    with cases("constant features", weight=2):
        # Not all of these means are exact in float32 or float64, so a computed std need not be 0.
        for dtype, count in ((torch.float32, 7), (torch.float32, 100), (FLOAT, 49), (FLOAT, 1000)):
            values = [0.1, cases.uniform(0.2, 0.9), -cases.uniform(100, 900), 0.0, cases.uniform(1, 9) * 1e5]
            x = torch.tensor(values, dtype=FLOAT).to(dtype).expand(count, 5).clone()
            x = torch.cat([x, cases.randn(count, 1, dtype=dtype)], dim=1)
            mean, std = _fit(student, x, dtype)
            expect.that(
                not bool((std[:5] == 0).all()), "A constant feature has the std 1 here, so that you can divide by it."
            )
            hint = (
                "When all values of a feature are equal, its std is 1. Compare the values: a computed std may be tiny."
            )
            expect.close(std[:5], torch.ones(5), hint, what="The std", rtol=0, atol=0)
            hint = "The mean of a constant feature is that constant."
            expect.close(mean[:5], x[0, :5], hint, what="The mean", rtol=1e-6, atol=1e-6)
            expect.close(
                std[5:],
                _column_statistics(x[:, 5:])[1],
                "A constant feature beside it should not change a feature's own std.",
                what="The std",
                rtol=1e-6,
                atol=1e-6,
            )
    with cases("small features"):
        # One column differs from constant in a single entry, not the first or last; the others have tiny units.
        for dtype in (torch.float32, FLOAT):
            x = cases.randn(8, 4) * torch.tensor([1e-5, 1e-9, 1e-13, 0.0], dtype=FLOAT)
            x[cases.integer(1, 6), 3] = 1e-10
            x = x.to(dtype)
            _, std = _fit(student, x, dtype)
            true_std = _column_statistics(x)[1]
            expect.close(
                std / true_std,
                torch.ones(4, dtype=FLOAT),
                "A feature with a small unit is not constant: its std is small, and is neither replaced nor added to.",
                what="The std, relative to the right one,",
                rtol=1e-6,
                atol=0,
            )
    with cases("a large offset", weight=2):
        for offset in (1e6, -3e6):
            x = (cases.randn(60, 3) * 2 + offset).to(torch.float32)
            mean, std = _fit(student, x, torch.float32)
            true_mean, true_std = _column_statistics(x)
            hint = "Far from zero, float32 has too few digits for these sums: compute in float64, round at the end."
            expect.close(mean, true_mean, hint, what="The mean", rtol=1.5e-7, atol=0)
            expect.close(std, true_std, hint, what="The std", **ROUNDED)
        x = cases.randn(60, 3) * 2 + 1e6
        hint = "For float64 data the results have float32's precision: nothing may be rounded to float32 on the way."
        for seen, wanted in zip(_fit(student, x, FLOAT), _column_statistics(x), strict=True):
            expect.close(seen, wanted, hint, rtol=1e-9, atol=0)
    with cases("integers"), _integers():
        for dtype, low, high in ((torch.uint8, 150, 255), (torch.int16, -9000, 9000), (torch.int64, -50, 50)):
            x = torch.tensor([[cases.integer(low, high) for _ in range(2)] for _ in range(300)]).to(dtype)
            mean, std = _fit(student, x, torch.float32)
            true_mean, true_std = _column_statistics(x)
            hint = f"For {dtype} the statistics are wrong: convert the values before you add, subtract or square them."
            expect.close(mean, true_mean, hint, what="The mean", rtol=1e-6, atol=1e-5)
            expect.close(std, true_std, hint, what="The std", **ROUNDED)
        stamps = torch.tensor([[1_700_000_000 + cases.integer(0, 90)] for _ in range(40)])
        _, std = _fit(student, stamps, torch.float32)
        hint = "Time stamps differ in digits that float32 does not have: convert integers to float64."
        expect.close(std, _column_statistics(stamps)[1], hint, what="The std", **ROUNDED)
    with cases("one row"):
        x = cases.randn(1, 4)
        mean, std = _fit(student, x, FLOAT)
        hint = "With one row the mean is that row, and every feature is constant: its std is 1."
        expect.close(mean, x[0], hint, what="The mean")
        expect.close(std, torch.ones(4), hint, what="The std")
    with cases("no row"):
        raised = student.run(
            "raised = 'nothing'\n"
            "try:\n"
            "    fit_standardizer(x)\n"
            "except NotImplementedError:\n"
            "    raise\n"
            "except Exception as error:\n"
            "    raised = 'ValueError' if isinstance(error, ValueError) else type(error).__name__",
            returns="raised",
            x=torch.zeros(0, 3),
        )
        expect.equal(raised, "ValueError", f"Without rows, raise a ValueError; yours raised {_word(raised)}.")
    with cases("inputs keep their values"):
        hint = "Your function changes x: compute with a copy."
        _unchanged(student, "fit_standardizer(x)", hint, x=cases.randn(4, 3))
        _unchanged(student, "fit_standardizer(x)", hint, x=torch.ones(3, 2))
    with cases("a view of other data"):
        whole = cases.randn(3, 12)
        mean, std = student.run("mean, std = fit_standardizer(whole.T[::2])", ["mean", "std"], whole=whole)
        hint = "A transposed, strided x is a matrix as any other: do not rely on how it lies in memory."
        for seen, wanted in zip((mean, std), _column_statistics(whole.T[::2]), strict=True):
            expect.close(seen, wanted, hint)


@contextlib.contextmanager
def _integers() -> Iterator[None]:
    """Say that integers are allowed when PyTorch refuses one of its own functions for them.

    It raises a NotImplementedError then, which otherwise reads as if no answer were written. That one has no message.
    """
    try:
        yield
    except StudentError as error:
        if error.kind == "NotImplementedError" and not error.message:
            raise
        known = error.kind == "NotImplementedError"
        told = "PyTorch has no such function for integers." if known else error.sentence()
        raise expect.Unmet(f"Integers are allowed: convert the values first. {told}") from None


def _word(value: Any) -> str:
    """Return a name that came back, if it is a plain one."""
    return value if isinstance(value, str) and value.isidentifier() and len(value) < 60 else "something else"


# --- 2. standardize --------------------------------------------------------------------------------------------------


@check
def standardize(student: Student, cases: Cases) -> None:
    """Compare with NumPy's broadcasting in float64, on data whose own statistics are not those given."""
    mean, std = cases.randn(4) * 3, cases.randn(4).exp() + 0.5
    x = cases.randn(6, 4) * 2 + 1
    expected = torch.from_numpy((x.numpy() - mean.numpy()) / std.numpy())
    with cases("new data", weight=2):
        own_mean, own_std = x.mean(0), x.std(0, correction=0)
        refit = "You compute statistics from x. Use the mean and std that are given, also when they do not fit x."
        expect.close(
            student.call("standardize", x, mean, std),
            expected,
            "Subtract the given mean of each feature, then divide by its given std.",
            [
                ((x - own_mean) / own_std, refit),
                ((x - own_mean) / x.std(0), refit),
                ((x - own_mean) / std, refit),
                ((x - mean) / own_std, refit),
                ((expected - expected.mean(0)) / expected.std(0, correction=0), refit),
                (x - mean, "Divide by std too."),
                (x / std, "Subtract the mean too."),
                (x / std - mean, "Subtract the mean before you divide."),
                (x - mean / std, "Put brackets around x - mean: the whole difference is divided."),
                ((x - mean) / std**2, "Divide by std, not by its square."),
                ((x - mean) / std.sqrt(), "std is the standard deviation already: take no root of it."),
                ((x - mean) * std, "Divide by std, do not multiply."),
                ((x + mean) / std, "Subtract the mean, do not add it."),
            ],
            # Coarse here: precision and small features have cases of their own.
            rtol=1e-6,
            atol=1e-6,
        )
    with cases("a single row"):
        for k in range(3):
            expect.close(
                student.call("standardize", x[k : k + 1], mean, std),
                expected[k : k + 1],
                "A single row gets the same shift and scale as all others: nothing is computed from x.",
                [(torch.zeros(1, 4), "Your single row becomes 0: you subtract the mean of x, not the given one.")],
                rtol=1e-6,
                atol=1e-6,
            )
    with cases("data that have moved"):
        moved = x + 1000
        expect.close(
            student.call("standardize", moved, mean, std),
            torch.from_numpy((moved.numpy() - mean.numpy()) / std.numpy()),
            "Data that lie far from the training data should still lie far from 0: do not cut or shift them back.",
            rtol=1e-6,
            atol=1e-6,
        )
    with cases("small features"):
        small = torch.tensor([1e-4, 1e-8, 1e-12, 1.0], dtype=FLOAT)
        expect.close(
            student.call("standardize", small * x, small * mean, small * std),
            expected,
            "Use std as it is: a feature with a small unit comes out otherwise than the same feature in a larger unit.",
            rtol=1e-5,
            atol=1e-5,
        )
    with cases("dtypes"), _integers():
        for dtype, statistics_dtype, wanted in (
            (FLOAT, FLOAT, FLOAT),
            (torch.float32, torch.float32, torch.float32),
            (torch.float32, FLOAT, torch.float32),
            (FLOAT, torch.float32, FLOAT),
            (torch.uint8, torch.float32, torch.float32),
            (torch.uint8, FLOAT, torch.float32),
            (torch.int64, FLOAT, torch.float32),
        ):
            if dtype.is_floating_point:
                data = cases.randn(3, 2, dtype=dtype)
            else:
                data = torch.tensor([[cases.integer(0, 255) for _ in range(2)] for _ in range(3)]).to(dtype)
            given = (
                torch.tensor([100.5, -20.25], dtype=statistics_dtype),
                torch.tensor([70.0, 3.5]).to(statistics_dtype),
            )
            result = student.call("standardize", data, *given)
            expect.dtype(result, wanted)
            truth = (data.numpy().astype(float) - given[0].double().numpy()) / given[1].double().numpy()
            hint = (
                f"For x of {dtype} and statistics of {statistics_dtype} the values are wrong: where are they converted?"
            )
            tolerance = 1e-12 if wanted is FLOAT else 1e-5
            expect.close(result, torch.from_numpy(truth), hint, rtol=tolerance, atol=tolerance)
    with cases("inputs keep their values"):
        hint = "Your function changes a tensor that it was given: no `-=`, `/=`, `sub_` or `div_` on the inputs."
        _unchanged(student, "standardize(x, mean, std)", hint, x=x, mean=mean, std=std)
        hint = "The result shares its memory with x: return a new tensor, also when there is nothing to change."
        code = "import torch\ntorch.as_tensor(standardize(x, mean, std)).add_(1)"
        _unchanged(student, code, hint, x=x, mean=torch.zeros_like(mean), std=torch.ones_like(std))
    with cases("other shapes"):
        hint = "Any number of rows and features is allowed, also as many rows as features."
        for n, d in ((3, 3), (1, 1), (2, 5)):
            data, center, scale = cases.randn(n, d), cases.randn(d), cases.randn(d).exp()
            seen = student.run("z = standardize(xT.T, mean, std)", "z", xT=data.T, mean=center, std=scale)
            expect.close(seen, torch.from_numpy((data.numpy() - center.numpy()) / scale.numpy()), hint)


# --- 3. streaming_channel_stats --------------------------------------------------------------------------------------


def _exact(batches: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and std of each channel of the whole set, from exact fractions."""
    return _column_statistics(_rows(batches))


def _rows(batches: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the whole set as float64, one column for each channel."""
    return torch.cat([batch.double().permute(0, 2, 3, 1).reshape(-1, batch.shape[1]) for batch in batches])


#: A generator over the batches. Text before the call runs first.
_STREAM = "pair = streaming_channel_stats(batch.clone() for batch in batches)"


def _stats(student: Student, batches: Sequence[torch.Tensor], code: str = _STREAM) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the student's (mean, std) for a stream, both float64 of shape (C,)."""
    values = student.run(code, "pair", batches=list(batches))
    expect.sequence(values, 2)
    for value, what in zip(values, ("The mean", "The std"), strict=True):
        expect.kind(value, torch.Tensor, what)
        expect.shape(value, (batches[0].shape[1],), what)
        expect.dtype(value, FLOAT, what)
    return values


def _compare(seen: Sequence[torch.Tensor], batches: Sequence[torch.Tensor], hint: str, digits: float = 1e-10) -> None:
    """Expect mean and std of the whole set: the mean to 1e-10 of its size or of the std, the std to ``digits``."""
    mean, std = _exact(batches)
    unit = torch.maximum(mean.abs(), std)
    unit[unit == 0] = 1
    scale = torch.where(std == 0, unit, std)
    expect.close(seen[0] / unit, mean / unit, hint, what="The mean", rtol=0, atol=1e-10)
    expect.close(seen[1] / scale, std / scale, hint, what="The std", rtol=0, atol=digits)


#: Counts, while the stream is read, how many batches and how many bytes the reader keeps. The bytes are those of all
#: live tensors (each memory once), and those that Python and NumPy have taken.
_MEMORY = """
import gc, tracemalloc, weakref
import torch
def held():
    gc.collect()
    memory = {}
    for thing in gc.get_objects():
        if type(thing) is torch.Tensor and thing.layout is torch.strided:
            storage = thing.untyped_storage()
            memory[storage.data_ptr()] = storage.nbytes()
    return sum(memory.values()) + tracemalloc.get_traced_memory()[0]
alive, levels, most = [], {}, 0
def stream():
    global most
    for i in range(count):
        batch = torch.full(shape, float(i), dtype=torch.float64)
        batch[0, 0, 0, 0] += 1
        alive.append(weakref.ref(batch))
        yield batch
        del batch
        if i in marks:
            levels[i] = held()
            most = max(most, sum(ref() is not None for ref in alive))
frozen, tracing = gc.get_freeze_count(), tracemalloc.is_tracing()
gc.freeze()  # what was there before is not looked at again: a tenth of the time
if not tracing:
    tracemalloc.start()
try:
    mean, std = streaming_channel_stats(stream())
finally:
    if not frozen:
        gc.unfreeze()
    if not tracing:
        tracemalloc.stop()
growth = levels.get(marks[1], 0) - levels.get(marks[0], 0)
read = len(alive)
"""


@check
def streaming_channel_stats(student: Student, cases: Cases) -> None:
    """Compare with exact fractions over the whole set, and watch what a reader of the stream keeps."""

    def draw(sizes: Sequence[int], shape: Sequence[int], offset: Sequence[float], scale: Sequence[float]) -> list:
        """Return batches of channels with these offsets and scales; their level drifts from batch to batch."""
        return [
            torch.tensor(scale, dtype=FLOAT)[:, None, None]
            * (cases.randn(n, len(offset), *shape) + cases.uniform(-1, 1))
            + torch.tensor(offset, dtype=FLOAT)[:, None, None]
            for n in sizes
        ]

    with cases("a stream of float64", weight=2):
        batches = draw((4, 4, cases.integer(1, 2)), (3, 5), (0.5, -2.0, 3.0), (1.0, 0.4, 2.0))
        rows = _rows(batches)
        parts = [_rows([batch]) for batch in batches]
        images = [_rows([image[None]]) for batch in batches for image in batch]
        count, pixels = torch.tensor([len(p) for p in parts], dtype=FLOAT), torch.tensor(len(rows), dtype=FLOAT)
        means, deviations = (
            torch.stack([p.mean(0) for p in parts]),
            torch.stack([p.std(0, correction=0) for p in parts]),
        )
        share = (count / pixels)[:, None]
        mean, std = _exact(batches)
        first = batches[0][0, :, 0, 0]
        images_only = "Divide by the number of pixels, not by the number of images."
        square = "Images need not be square: count height times width."
        unbiased = "Divide by the number N of values, not by N - 1, and so in each batch."
        seen = student.run(_STREAM, "pair", batches=batches)
        expect.sequence(seen, 2)
        expect.no_mistake(
            seen[0],
            [
                (means.mean(0), "Your mean is the average of the batches' means, though the batches differ in size."),
                (rows.mean(), "Every channel has its own mean: do not average over the channels."),
                (mean * 15, images_only),
                (first + (mean - first) * 15, images_only),
                (mean * 15 / 25, square),
                (first + (mean - first) * 15 / 25, square),
                (std, "Return (mean, std) in this order."),
                (means[-1], "Your mean is that of the last batch only."),
                (means[0], "Your mean is that of the first batch only."),
                (mean - first, "Add the shift back: what you return is the mean distance to it."),
                (
                    parts[-1][0] + sum((p - p[0]).sum(0) for p in parts) / pixels,
                    "Keep one shift for the whole stream: yours changes with each batch.",
                ),
            ],
        )
        expect.no_mistake(
            seen[1],
            [
                (std**2, "This is the variance: take its square root."),
                (rows.std(0), "Divide by the number N of values, not by N - 1."),
                (rows.std(correction=0), "Every channel has its own std: do not average over the channels."),
                (deviations.mean(0), "The std of the whole is not the average of the batches' std."),
                ((share * deviations).sum(0), "The std of the whole is not the average of the batches' std."),
                (
                    torch.stack([p.std(0) for p in parts]).mean(0),
                    "The std of the whole is not the average of the batches' std.",
                ),
                (
                    torch.stack([p.std(0, correction=0) for p in images]).mean(0),
                    "The std of the whole is not the average of the images' std.",
                ),
                (
                    deviations.square().mean(0).sqrt(),
                    "Averaging the batches' variances misses that the batches' means differ.",
                ),
                (
                    (share * deviations**2).sum(0).sqrt(),
                    "Averaging the batches' variances misses that the batches' means differ.",
                ),
                ((share * torch.stack([p.var(0) + (p.mean(0) - mean) ** 2 for p in parts])).sum(0).sqrt(), unbiased),
                (
                    ((share * deviations**2).sum(0) + (means - mean).square().mean(0)).sqrt(),
                    "Weigh the batches by their size, also where their means differ.",
                ),
                (means.std(0, correction=0), "You measure how the batches' means vary, not how the pixels do."),
                (rows.square().mean(0).sqrt(), "Subtract the square of the mean before you take the root."),
                (
                    (rows - first).square().mean(0).sqrt(),
                    "Subtract (A / N) ** 2: Q / N is the mean squared distance to the shift, not to the mean.",
                ),
                (torch.zeros(3), "Your std is 0: a generator can be read only once, so a second loop finds nothing."),
                (0.0, "Your std is 0: a generator can be read only once, so a second loop finds nothing."),
                (std * (pixels / len(batches)).sqrt(), "Divide the squares by the number of pixels, not of batches."),
            ],
        )
        seen = _stats(student, batches)
        _compare(seen, batches, "The result differs from the statistics of all pixels of a channel in one row.")
    with cases("float32 images"):
        batches = [b.to(torch.float32) for b in draw((5, 3, 5, 2), (4, 3), (0.3, 30.0), (0.2, 0.7))]
        hint = "Less than ten digits are right on float32 batches: convert each batch to float64 before you compute."
        _compare(_stats(student, batches), batches, hint)
    with cases("uint8 images"), _integers():
        batches = [torch.randint(0, 256, (n, 3, 4, 6), generator=cases.generator).to(torch.uint8) for n in (2, 6, 6, 1)]
        hint = "uint8 wraps around at 255: convert each batch to float64 before you subtract, square or add."
        _compare(_stats(student, batches), batches, hint)
    far = (
        "The std loses digits when the mean is large against it: add up distances to a value near the data, one for "
        "each channel."
    )
    with cases("a mean far from zero"):
        # Measured on such streams, relative to the std: shifted sums 1e-15; merged batches 7e-13 at 1e4 times the std
        # and 8e-8 at 1e9; Welford pixel by pixel 5e-12 and 3e-7. Sums of x and x^2: 4e-8 at 1e4; at 1e9 float64
        # near 1e18 has steps of 128, so that their variance of 1 comes out as 0 or at least 128.
        for _ in range(3):  # rounding may be kind once
            batches = draw((3, 5, 5, 2), (4, 4), (5e3, -2e3, 0.0), (1.0, 0.7, 2.0))
            _compare(_stats(student, batches), batches, far)
    with cases("a constant channel"):
        batches = draw((4, 2), (3, 3), (0.0, 2.0), (1.0, 0.5))
        for batch in batches:
            batch[:, 1] = 0.1
        hint = "A constant channel has the std 0, neither nan nor 1: look at what rounding may leave below the root."
        _compare(_stats(student, batches), batches, hint)
        black = [torch.zeros(2, 1, 2, 2, dtype=torch.uint8)] * 2
        _compare(_stats(student, black), black, hint)
    with cases("uneven batches"):
        batches = draw((1, 12, 1, 3, 1), (2, 3), (1.0, -1.0), (1.0, 3.0))
        hint = (
            "With batches of very unlike sizes the result is off: weigh what each batch adds by its number of pixels."
        )
        _compare(_stats(student, batches), batches, hint)
        batches = draw((1, 1), (1, 1), (1.0, -1.0), (1.0, 3.0))
        hint = "Batches of one image with one pixel are allowed: what does yours divide by there?"
        _compare(_stats(student, batches), batches, hint)
        batches = draw((3,), (2, 7), (2.0, -1.0, 4.0, 0.1), (1.0, 3.0, 0.2, 0.5))
        _compare(_stats(student, batches), batches, "One batch may be all there is, and any number of channels.")
    with cases("kinds of streams"):
        batches = draw((2, 3, 1), (2, 2), (1.0, -1.0), (1.0, 3.0))
        with expect.explained("A list of batches, and any other iterable, is allowed too."):
            hint = "A list of batches gives another result than a generator of the same batches."
            _compare(_stats(student, batches, "pair = streaming_channel_stats(batches)"), batches, hint)
        code = (
            "class Once:\n"
            "    def __init__(self):\n"
            "        self.readers = 0\n"
            "    def __iter__(self):\n"
            "        self.readers += 1\n"
            "        return iter(batches if self.readers == 1 else [])\n"
            "once = Once()\n"
            "pair = streaming_channel_stats(once)\n"
        )
        with expect.explained("Read the stream with one loop: it need not have a length, an index or a second pass."):
            seen = _stats(student, batches, code)
        _compare(seen, batches, "You read the stream twice, and the second time it is empty: one loop must do.")
        channels_last = [batch.permute(0, 2, 3, 1).contiguous() for batch in batches]
        code = "pair = streaming_channel_stats(batch.permute(0, 3, 1, 2) for batch in batches)"
        seen = student.run(code, "pair", batches=channels_last)
        expect.sequence(seen, 2)
        expect.shape(seen[0], (2,), "The mean")
        expect.shape(seen[1], (2,), "The std")
        _compare(seen, batches, "A batch may lie in memory channels last: do not rely on its strides.")
    with cases("memory", weight=2):
        # 24 batches of 8 KiB: keeping them grows by 128 KiB from the 8th to the 24th, sums and per-batch statistics by
        # at most about 20 KiB. Of the batches, the last, the one being read and the first (for the shift) may live.
        shape, total = [2, 2, 16, 16], 24
        most, growth, read = student.run(
            _MEMORY, ["most", "growth", "read"], count=total, shape=shape, marks=[7, total - 1]
        )
        for value in (most, growth, read):
            expect.kind(value, int)
        expect.that(read == total, "You did not read the stream to its end.")
        keeps = "You keep the batches that you have read, but a stream may be larger than memory: keep sums instead."
        expect.that(most <= 4, keeps)
        expect.that(growth <= 4 * 8 * math.prod(shape), keeps)
    with cases("no batch"):
        raised = student.run(
            "raised = []\n"
            "for empty in ([], iter(())):\n"
            "    try:\n"
            "        streaming_channel_stats(empty)\n"
            "        raised.append('nothing')\n"
            "    except NotImplementedError:\n"
            "        raise\n"
            "    except Exception as error:\n"
            "        raised.append('ValueError' if isinstance(error, ValueError) else type(error).__name__)",
            returns="raised",
        )
        expect.sequence(raised, 2)
        for name in raised:
            expect.equal(name, "ValueError", f"Without any batch, raise a ValueError; yours raised {_word(name)}.")
    with cases("inputs keep their values"):
        batches = draw((2, 3), (2, 2), (1.0, -1.0), (1.0, 3.0))
        after = student.run("streaming_channel_stats(batches)\nafter = batches", "after", batches=batches)
        expect.sequence(after, 2)
        for seen, was in zip(after, batches, strict=True):
            expect.close(seen, was, "Your function changes the batches: no `-=` or `sub_` on them.", rtol=0, atol=0)
    with cases("a mean of 1e9"):
        batches = draw((3, 5, 5, 2), (4, 4), (1e9, -3e8, 0.0), (1.0, 2.0, 0.5))
        seen = _stats(student, batches)
        # What loses all digits there has lost some in the case above too; what loses half of them has a mean near 1e9.
        merged = "Near 1e9 a mean is known to 1e-7 only, and so is what you merge. Shift first, then merge."
        _compare(seen, batches, far, digits=1e-5)
        _compare(seen, batches, merged)


# --- 4. least_squares_condition_number -------------------------------------------------------------------------------


def _kappa(student: Student, x: torch.Tensor) -> float:
    result = student.call("least_squares_condition_number", x)
    expect.number(result, "The condition number")
    expect.that(
        not isinstance(result, int) or abs(result) < 2**1000, "The condition number is too large for a float64 number."
    )
    return float(result)


def _one_feature(x: torch.Tensor) -> float:
    """Return the condition number for one feature in closed form.

    A^T A / n is [[q, m], [m, 1]] with the mean m and the mean square q. Its eigenvalues have the sum q + 1 and the
    product q - m^2, so kappa = lambda_max^2 / (q - m^2), and the difference is taken in fractions.
    """
    values = [Fraction(value) for value in x.flatten().tolist()]
    m, q = sum(values) / len(values), sum(v * v for v in values) / len(values)
    largest = (float(q + 1) + math.sqrt(float((q - 1) ** 2 + 4 * m * m))) / 2
    return largest * largest / float(q - m * m)


def _made(cases: Cases, n: int, curvatures: Sequence[float]) -> torch.Tensor:
    """Return centred data whose covariance has these eigenvalues: A^T A / n has them too, and 1 for the bias."""
    d = len(curvatures)
    columns, _ = torch.linalg.qr(torch.cat([torch.ones(n, 1, dtype=FLOAT), cases.randn(n, d)], dim=1))
    turn, _ = torch.linalg.qr(cases.randn(d, d))
    scale = (n * torch.tensor(curvatures, dtype=FLOAT)).sqrt()
    return (columns[:, 1:] * scale) @ turn.T


def _hessian(x: torch.Tensor) -> torch.Tensor:
    """Return the Hessian of the mean squared error in (w, b), by autograd; it does not depend on the targets."""

    def loss(parameters: torch.Tensor) -> torch.Tensor:
        return ((x @ parameters[:-1] + parameters[-1]) ** 2).mean()

    return torch.autograd.functional.hessian(loss, torch.zeros(x.shape[1] + 1, dtype=FLOAT))


@check
def least_squares_condition_number(student: Student, cases: Cases) -> None:
    """Compare with autograd's Hessian, with data made to measure, and with a closed form in fractions."""
    with cases("several features", weight=2):
        # Coarse here: precision has cases of its own.
        # All features vary more than the bias, so that a missing bias and centring give different values.
        x = cases.randn(20, 3) * torch.tensor([3.0, 5.0, 12.0], dtype=FLOAT)
        x = x + torch.tensor([4.0, -9.0, 7.0], dtype=FLOAT)
        eigenvalues = np.linalg.eigvalsh(_hessian(x).numpy())
        kappa = float(eigenvalues[-1] / eigenvalues[0])
        centred = x - x.mean(0)
        features = "The bias is missing: give x a column of ones before you take singular values."
        center = "Do not centre x: the ravine between weights and bias is part of the question."
        scaled = "Do not scale x: its scales are the ravine."
        ones = torch.ones(20, 1, dtype=FLOAT)
        standard = torch.cat([centred / x.std(0, correction=0), ones], 1).numpy()
        expect.close(
            _kappa(student, x),
            kappa,
            "Take the squared ratio of the largest to the smallest singular value of x with a column of ones.",
            [
                (math.sqrt(kappa), "Square the ratio: eigenvalues of the Hessian are squared singular values."),
                (kappa**2, "You squared once too often: the eigenvalues of A^T A are squares of A's singular values."),
                (1 / kappa, "The largest goes on top: a condition number is never below 1."),
                (np.linalg.cond(x.numpy()) ** 2, features),
                (np.linalg.cond(x.numpy()), features),
                (np.linalg.cond(centred.numpy()) ** 2, features + " Centring does not replace it."),
                (np.linalg.cond(centred.numpy()), features + " Centring does not replace it."),
                (np.linalg.cond(torch.cat([centred, ones], 1).numpy()) ** 2, center),
                (np.linalg.cond(standard) ** 2, scaled),
                (float(eigenvalues[-1]), "Divide the largest eigenvalue by the smallest."),
            ],
            what="The condition number",
            rtol=1e-2,
            atol=0,
        )
    with cases("float32 data"):
        # Measured on 4,000 such draws: singular values in float32 give kappa to 0.2 % in 16 % of them, so in all twelve
        # with a chance of 3e-10; A^T A in float64 is never off by more than 0.06 %, and has a case of its own.
        for _ in range(12):
            x = _made(cases, 40, [1.0, 0.3, 1e-12]).to(torch.float32)
            right = np.linalg.cond(np.hstack([x.double().numpy(), np.ones((40, 1))])) ** 2
            hint = (
                "Convert x to float64 before anything else, and take float64's eps for the limit: in float32 the "
                "smallest singular value is noise."
            )
            expect.close(_kappa(student, x), float(right), hint, what="The condition number", rtol=2e-3, atol=0)
    with cases("features far from zero"):
        x = cases.randn(30, 1) + cases.uniform(50, 90)
        hint = "A feature with a large mean makes a ravine with the bias, which yours does not show."
        expect.close(_kappa(student, x), _one_feature(x), hint, what="The condition number", rtol=1e-3, atol=0)
    with cases("made to measure"):
        low, high = cases.uniform(0.01, 0.1), cases.uniform(20, 90)
        x = _made(cases, 25, [high, 0.5, low])
        hint = "The eigenvalues are made to be known here, and the ratio of the largest to the smallest is another."
        expect.close(_kappa(student, x), high / low, hint, what="The condition number", rtol=1e-4, atol=0)
        x = _made(cases, 25, [high, 2 * high])
        hint = "Here the bias itself has the smallest curvature: its column of ones counts as any other."
        expect.close(_kappa(student, x), 2 * high, hint, what="The condition number", rtol=1e-4, atol=0)
        x = _made(cases, 25, [low, 2 * low])
        hint = "Here the bias itself has the largest curvature: its column of ones counts as any other."
        expect.close(_kappa(student, x), 1 / low, hint, what="The condition number", rtol=1e-4, atol=0)
    with cases("a very deep ravine", weight=2):
        # Rounding in x and in the singular values is relative to s_max: 1e-16 * 1e9 of s_min, so 1e-6 of kappa. In
        # A^T A it is 1e-16 * 1e17 of lambda_min: nothing is left.
        deep = (
            "This ravine is deep but not flat: in A^T A rounding buries the smallest eigenvalue, so use the singular "
            "values of A, for the limit too."
        )
        for curvature in (1e-17, 3e-18):
            x = _made(cases, 40, [1.0, cases.uniform(0.3, 1) * 1e-2, curvature])
            found = _kappa(student, x)
            expect.that(found != math.inf, deep)
            expect.close(found, 1 / curvature, deep, what="The condition number", rtol=1e-3, atol=0)
        # s_max / s_min of 1e12 is still far from the limit, which is 1e14 for 40 rows.
        x = _made(cases, 40, [1.0, 1e-24])
        found = _kappa(student, x)
        hint = "There is no other tolerance than the text's: a ratio of singular values of 1e12 is finite."
        expect.that(1e23 < found < 1e25, hint)
        # The same where the bias is the flattest: large numbers, none of them flat.
        x = _made(cases, 40, [1e20, 3e20])
        expect.close(_kappa(student, x), 3e20, hint, what="The condition number", rtol=1e-3, atol=0)
    with cases("flat directions", weight=2):
        x = cases.randn(30, 3)
        constant, twice, zero, total = x.clone(), x.clone(), x.clone(), x.clone()
        constant[:, 1] = cases.uniform(0.5, 2)
        twice[:, 2] = 4 * x[:, 0]
        zero[:, 0] = 0
        total[:, 2] = x[:, 0] + x[:, 1]
        for data, what in (
            (constant, "A constant feature does what the bias does"),
            (twice, "One feature is another one times 4"),
            (zero, "One feature is always 0"),
            (total, "One feature is the sum of two others, up to rounding"),
        ):
            hint = f"{what}, so there is a flat direction: return math.inf, by the limit of the text."
            expect.close(_kappa(student, data), math.inf, hint, what="The condition number")
    with cases("few rows"):
        hint = "With fewer rows than weights and bias, n < d + 1, there is always a flat direction: return math.inf."
        for n, d in ((3, 3), (2, 5), (1, 1), (1, 4)):
            expect.close(_kappa(student, cases.randn(n, d)), math.inf, hint, what="The condition number")
        x = torch.tensor([[1.0, 0.0], [0.0, cases.uniform(1, 2)], [-1.0, -1.0]], dtype=FLOAT)
        right = np.linalg.eigvalsh(_hessian(x).numpy())
        hint = "With n = d + 1 rows there need not be a flat direction."
        expect.close(_kappa(student, x), float(right[-1] / right[0]), hint, what="The condition number", rtol=1e-8)
    with cases("integers"), _integers():
        x = torch.tensor([[cases.integer(0, 255) for _ in range(2)] for _ in range(20)])
        eigenvalues = np.linalg.eigvalsh(_hessian(x.double()).numpy())
        for dtype in (torch.uint8, torch.int64):
            found = _kappa(student, x.to(dtype))
            hint = "Integers are allowed: convert x to float64 first."
            expect.close(found, float(eigenvalues[-1] / eigenvalues[0]), hint, what="The condition number", rtol=1e-6)
    with cases("inputs keep their values"):
        code = "least_squares_condition_number(x)"
        _unchanged(student, code, "Your function changes x: compute with a copy.", x=cases.randn(6, 2))


# --- 5. zca_whitening ------------------------------------------------------------------------------------------------


class _Spectrum:
    """The covariance of some data, known by a singular value decomposition of the centred data."""

    def __init__(self, x: torch.Tensor) -> None:
        exact = x.double().numpy()
        self.mean = exact.mean(0)
        n, d = exact.shape
        _, singular, transposed = np.linalg.svd(exact - self.mean, full_matrices=True)
        self.eigenvalues = np.zeros(d)
        self.eigenvalues[: len(singular)] = singular**2 / n
        self.vectors = transposed.T

    def matrix(self, values: np.ndarray) -> torch.Tensor:
        """Return U diag(values) U^T."""
        return torch.from_numpy((self.vectors * values) @ self.vectors.T)

    def whitening(self, eps: float) -> torch.Tensor:
        """Return the ZCA matrix."""
        return self.matrix(1 / np.sqrt(self.eigenvalues + eps))


def _whitening(student: Student, x: torch.Tensor, eps: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the student's (mean, matrix), both of the right kind, shape and dtype."""
    result = student.call("zca_whitening", x, eps)
    expect.sequence(result, 2)
    d = x.shape[1]
    shapes = [tuple(value.shape) if isinstance(value, torch.Tensor) else None for value in result]
    expect.that(shapes != [(d, d), (d,)], "Return (mean, matrix) in this order.")
    for value, shape, what in zip(result, ((d,), (d, d)), ("The mean", "The matrix"), strict=True):
        expect.kind(value, torch.Tensor, what)
        expect.shape(value, shape, what)
        expect.dtype(value, dtype, what)
    return tuple(result)


def _symmetric(matrix: torch.Tensor, truth: torch.Tensor) -> None:
    """Expect a symmetric matrix; one that whitens but is turned gets its own hint."""
    size = matrix.double()
    if torch.allclose(size, size.T, rtol=0, atol=1e-6 * float(truth.abs().max())):
        return
    turned = (
        "Your matrix whitens, but it also turns the data: multiply by the eigenvectors' transpose on the right, so "
        "that the matrix becomes symmetric."
    )
    for product in (size @ size.T, size.T @ size):
        expect.no_mistake(product, [(truth @ truth, turned)])
    raise expect.Unmet("The ZCA matrix is symmetric, and yours is not: U on the left, its transpose on the right.")


@check
def zca_whitening(student: Student, cases: Cases) -> None:
    """Compare with NumPy's singular value decomposition of the centred data."""

    def ravine(n: int, scales: Sequence[float]) -> torch.Tensor:
        """Return correlated data around a random point."""
        turn, _ = torch.linalg.qr(cases.randn(len(scales), len(scales)))
        return cases.randn(n, len(scales)) * torch.tensor(scales, dtype=FLOAT) @ turn.T + 5 * cases.randn(len(scales))

    def mistakes(x: torch.Tensor, spectrum: _Spectrum, eps: float) -> list[tuple[Any, str]]:
        """Return the matrices that usual mistakes give."""
        n, values, x = len(x), spectrum.eigenvalues, x.double()
        moments = np.linalg.eigh(x.numpy().T @ x.numpy() / n)
        uncentred = (moments[1] / np.sqrt(moments[0] + eps)) @ moments[1].T
        ascending, vectors = np.linalg.eigh(np.cov(x.numpy().T, bias=True))
        table = [
            (1 / np.sqrt(values * n / (n - 1) + eps), "Divide by n in the covariance, not by n - 1."),
            (1 / np.sqrt(values * n + eps), "The covariance is a mean over the rows: divide by n."),
            (np.sqrt(values + eps), "Divide by the roots of the eigenvalues; you multiply by them."),
            (1 / (values + eps), "Take the square root of the eigenvalues: this is the inverse of the covariance."),
            (values + eps, "This is the covariance itself: divide by the roots of its eigenvalues."),
        ]
        if eps:
            table += [
                (1 / np.sqrt(values), "eps is not used: it is added to each eigenvalue."),
                (1 / (np.sqrt(values) + eps), "eps is added to the eigenvalue, inside the square root."),
                (1 / np.sqrt(values) + eps, "eps is added to the eigenvalue, inside the square root."),
                (1 / np.sqrt(values + eps**2), "eps is added as it is, not squared."),
                (1 / np.sqrt(values + math.sqrt(eps)), "eps is added as it is, without a root."),
                (1 / np.sqrt(np.maximum(values, eps)), "eps is added to every eigenvalue; it is not a lower limit."),
            ]
        return [
            *((spectrum.matrix(diagonal), hint) for diagonal, hint in table),
            (torch.from_numpy(uncentred), "Subtract the mean before you compute the covariance."),
            (
                torch.from_numpy(np.diag(1 / np.sqrt(np.diag(spectrum.matrix(values).numpy()) + eps))),
                "This standardizes each feature on its own: whitening needs the whole covariance matrix.",
            ),
            (
                torch.from_numpy(np.diag(1 / np.sqrt(ascending + eps))),
                "The eigenvectors are missing: U on the left, its transpose on the right.",
            ),
            # The sign of each eigenvector is free, so this one is only like the student's in absolute values.
            (
                torch.from_numpy(np.abs((vectors.T / np.sqrt(ascending + eps)) @ vectors)),
                "The eigenvectors are the columns of U: it is U diag U^T, not U^T diag U.",
            ),
        ]

    def compare(seen: torch.Tensor, x: torch.Tensor, eps: float, hint: str) -> None:
        spectrum = _Spectrum(x)
        truth = spectrum.whitening(eps)
        expect.that(
            bool(torch.isfinite(seen).all()), "The matrix has nan or inf: look at what you take roots of and divide by."
        )
        _symmetric(seen, truth)
        try:
            expect.close(seen, truth, hint, what="The matrix", rtol=0, atol=1e-8 * float(truth.abs().max()))
        except expect.Unmet:
            with np.errstate(all="ignore"):  # where eigenvalues are 0, some mistakes have no value
                known = mistakes(x, spectrum, eps)
            expect.no_mistake(seen, known[:-1])
            expect.no_mistake(seen.abs(), known[-1:])
            few = "Your matrix is right to a few digits only: compute in float64, and round at the end."
            expect.that(not torch.allclose(seen, truth, rtol=0, atol=1e-4 * float(truth.abs().max())), few)
            raise

    with cases("the mean"):
        x = ravine(12, [3.0, 1.0, 0.5, 2.0])
        mean, _ = _whitening(student, x, 0.1, FLOAT)
        hint = "The first result is the mean of each feature over the rows, to be subtracted from new data."
        expect.close(mean, _column_statistics(x)[0], hint, what="The mean", rtol=1e-5, atol=1e-5)
    with cases("full rank, eps = 0", weight=2):
        x = ravine(cases.integer(9, 12), [3.0, 1.0, 0.5, 2.0])
        _, matrix = _whitening(student, x, 0.0, FLOAT)
        hint = (
            "W @ W should be the inverse of the covariance: check U, the roots of the eigenvalues, and the mean over n."
        )
        compare(matrix, x, 0.0, hint)
        exact = x.double() - torch.from_numpy(_Spectrum(x).mean)
        white = exact @ matrix
        hint = "The covariance of the whitened data should be the identity."
        expect.close(white.T @ white / len(x), torch.eye(4, dtype=FLOAT), hint, atol=1e-8)
    with cases("eps", weight=2):
        for eps in (cases.uniform(0.2, 0.6), cases.uniform(2, 4), 1e-3):
            x = ravine(10, [3.0, 1.0, 0.5, 2.0])
            _, matrix = _whitening(student, x, eps, FLOAT)
            hint = "With eps, each direction is divided by the root of its eigenvalue plus eps."
            compare(matrix, x, eps, hint)
    with cases("rank below d", weight=2):
        wide, constant, one = ravine(4, [3.0, 1.0, 0.5, 2.0, 1.0, 0.3]), ravine(15, [3.0, 1.0, 0.5]), cases.randn(1, 3)
        constant[:, 1] = 7.0
        for x, what in (
            (wide, "With fewer rows than features"),
            (constant, "With a constant feature"),
            (one, "With one row"),
        ):
            eps = cases.uniform(0.05, 0.4)
            _, matrix = _whitening(student, x, eps, FLOAT)
            hint = f"{what} some eigenvalues are 0, and their directions are divided by the root of eps alone."
            compare(matrix, x, eps, hint)
    with cases("eigenvalues below zero"):
        # 21 of 24 eigenvalues are 0 up to rounding, which here is about 1e-11, ten times eps: it is hardly possible
        # that none of them falls below -eps in all three draws. Their directions hold only rounding errors, so what can
        # be compared is the whitened data.
        for _ in range(3):
            x = 100 * cases.randn(50, 3) @ cases.randn(3, 24)
            _, matrix = _whitening(student, x, 1e-12, FLOAT)
            expect.that(
                bool(torch.isfinite(matrix).all()),
                "The matrix has nan or inf: rounding makes eigenvalues that should be 0 negative. Take 0 for those.",
            )
            centred = x - x.mean(0)
            kept = centred @ matrix
            spectrum = _Spectrum(x)
            directions = torch.from_numpy(spectrum.vectors[:, :3])
            covariance = (kept @ directions).T @ (kept @ directions) / len(x)
            hint = "Along the directions that do vary, the whitened data should have variance 1, also beside flat ones."
            expect.close(covariance, torch.eye(3, dtype=FLOAT), hint, rtol=0, atol=1e-3)
    with cases("float32 data"):
        x = (ravine(40, [1.0, 30.0, 0.03]) + 1000).to(torch.float32)
        mean, matrix = _whitening(student, x, 0.0, torch.float32)
        truth = _Spectrum(x).whitening(0.0)
        hint = "In float32 a ravine with an offset loses its smallest eigenvalue: compute in float64, round at the end."
        expect.close(mean, _column_statistics(x)[0], hint, what="The mean", **ROUNDED)
        expect.close(matrix, truth, hint, what="The matrix", rtol=0, atol=1e-5 * float(truth.abs().max()))
    with cases("integers"), _integers():
        x = torch.tensor([[cases.integer(0, 255) for _ in range(3)] for _ in range(12)]).to(torch.uint8)
        mean, matrix = _whitening(student, x, 2.0, torch.float32)
        hint = "For integers the result is wrong: convert x to float64 before you add, subtract or multiply."
        expect.close(mean, _column_statistics(x)[0], hint, what="The mean", rtol=1e-6)
        truth = _Spectrum(x).whitening(2.0)
        expect.close(matrix, truth, hint, what="The matrix", rtol=0, atol=1e-6 * float(truth.abs().max()))
    with cases("inputs keep their values"):
        hint = "Your function changes x: compute with a copy."
        _unchanged(student, "zca_whitening(x, 0.1)", hint, x=cases.randn(6, 3))
        whole = cases.randn(3, 12)
        seen = student.run("mean, matrix = zca_whitening(whole.T[::2], 0.5)", "matrix", whole=whole)
        hint = "A transposed, strided x is a matrix as any other: do not rely on how it lies in memory."
        expect.close(seen, _Spectrum(whole.T[::2]).whitening(0.5), hint, what="The matrix")
