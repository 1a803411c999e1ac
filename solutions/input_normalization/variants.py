"""Right and wrong answers to the assignment `input_normalization`, on file for `autograde verify`."""

from textwrap import dedent

from autograde.variants import right, wrong


def _fill(template: str, defaults: dict[str, str], parts: dict[str, str]) -> str:
    """Return a template with its holes filled, each on the line where it stands."""
    code = dedent(template).strip("\n")
    for name, part in {**defaults, **parts}.items():
        code = code.replace("{" + name + "}", part)
    return code


def _fit(**parts: str) -> str:
    """Return exercise 1 with some parts replaced."""
    template = """
        def fit_standardizer(x):
            if {empty}:
                raise {error}
            dtype = {dtype}
            y = {exact}
            mean = {mean}
            std = {std}
            {constant}
            return {result}
    """
    defaults = {
        "empty": "len(x) == 0",
        "error": 'ValueError("no rows")',
        "dtype": "x.dtype if x.is_floating_point() else torch.float32",
        "exact": "x.double()",
        "mean": "y.mean(0)",
        "std": "((y - mean) ** 2).mean(0).sqrt()",
        "constant": "std = torch.where((x == x[:1]).all(0), torch.ones_like(std), std)",
        "result": "mean.to(dtype), std.to(dtype)",
    }
    return _fill(template, defaults, parts)


def _apply(expression: str, before: str = "pass") -> str:
    """Return exercise 2 with this expression for the result."""
    template = """
        def standardize(x, mean, std):
            dtype = x.dtype if x.is_floating_point() else torch.float32
            {before}
            return ({expression}).to(dtype)
    """
    return _fill(template, {}, {"expression": expression, "before": before})


def _stream(**parts: str) -> str:
    """Return exercise 3, with shifted sums, with some parts replaced."""
    template = """
        def streaming_channel_stats(batches):
            n, shift, total, squares = 0, None, 0, 0
            {start}
            for batch in batches:
                x = {rows}
                if {first}:
                    shift = {shift}
                d = x - shift
                total = total + {total}
                squares = squares + {squares}
                n += {count}
                {keep}
            if n == 0:
                raise {error}
            m = total / n
            var = {var}
            return {result}
    """
    defaults = {
        "start": "pass",
        "rows": "batch.double().permute(1, 0, 2, 3).flatten(1)",
        "first": "shift is None",
        "shift": "x[:, :1].clone()",
        "total": "d.sum(1)",
        "squares": "(d * d).sum(1)",
        "count": "x.shape[1]",
        "keep": "pass",
        "error": 'ValueError("no batch")',
        "var": "(squares / n - m * m).clamp(min=0)",
        "result": "m + shift.flatten(), var.sqrt()",
    }
    return _fill(template, defaults, parts)


def _merge(**parts: str) -> str:
    """Return exercise 3 from each batch's own count, mean and std after a shift, with some parts replaced."""
    template = """
        def streaming_channel_stats(batches):
            counts, means, stds = [], [], []
            for batch in batches:
                x = batch.double().permute(1, 0, 2, 3).flatten(1)
                if not counts:
                    shift = {shift}
                x = x - shift
                counts.append(x.shape[1])
                means.append(x.mean(1))
                stds.append({one})
            if not counts:
                raise ValueError("no batch")
            weight = torch.tensor(counts, dtype=torch.float64)[:, None] / sum(counts)
            means, stds = torch.stack(means), torch.stack(stds)
            mean = {mean}
            return shift.flatten() + mean, {std}
    """
    defaults = {
        "shift": "x[:, :1].clone()",
        "one": "x.std(1, correction=0)",
        "mean": "(weight * means).sum(0)",
        "std": "(weight * (stds**2 + (means - mean) ** 2)).sum(0).sqrt()",
    }
    return _fill(template, defaults, parts)


def _kappa(**parts: str) -> str:
    """Return exercise 4 with some parts replaced."""
    template = """
        def least_squares_condition_number(x):
            n, d = x.shape
            if {few}:
                return math.inf
            x = {exact}
            {scale}
            A = {design}
            s = {singular}
            if {flat}:
                return math.inf
            return {result}
    """
    defaults = {
        "few": "n < d + 1",
        "exact": "x.double()",
        "scale": "pass",
        "design": "torch.cat([x, torch.ones(n, 1, dtype=x.dtype)], dim=1)",
        "singular": "torch.linalg.svdvals(A)",
        "flat": "s.min() <= s.max() * max(n, d + 1) * torch.finfo(torch.float64).eps",
        "result": "((s.max() / s.min()) ** 2).item()",
    }
    return _fill(template, defaults, parts)


def _zca(**parts: str) -> str:
    """Return exercise 5 with some parts replaced."""
    template = """
        def zca_whitening(x, eps):
            dtype = {dtype}
            y = {exact}
            n = len(y)
            mean = y.mean(0)
            c = {centred}
            lam, U = torch.linalg.eigh({covariance})
            {clamp}
            scale = {scale}
            W = {matrix}
            return {result}
    """
    defaults = {
        "dtype": "x.dtype if x.is_floating_point() else torch.float32",
        "exact": "x.double()",
        "centred": "y - mean",
        "covariance": "c.T @ c / n",
        "clamp": "lam = lam.clamp(min=0)",
        "scale": "1 / torch.sqrt(lam + eps)",
        "matrix": "U @ torch.diag(scale) @ U.T",
        "result": "mean.to(dtype), W.to(dtype)",
    }
    return _fill(template, defaults, parts)


VARIANTS = {
    "fit_standardizer": [
        right(
            "numpy",
            """
            def fit_standardizer(x):
                if x.shape[0] < 1:
                    raise ValueError("x has no rows")
                values = x.numpy().astype(np.float64)
                std = values.std(axis=0)
                std[values.min(axis=0) == values.max(axis=0)] = 1.0
                dtype = x.dtype if x.dtype.is_floating_point else torch.float32
                return torch.tensor(values.mean(axis=0), dtype=dtype), torch.tensor(std, dtype=dtype)
            """,
        ),
        right(
            "a loop over features, and math.fsum",
            """
            def fit_standardizer(x):
                n, d = x.shape
                if n == 0:
                    raise ValueError("x has no rows")
                means, stds = [], []
                for column in x.T.tolist():
                    m = math.fsum(column) / n
                    s = math.sqrt(math.fsum((v - m) ** 2 for v in column) / n)
                    means.append(m)
                    stds.append(1.0 if len(set(column)) == 1 else s)
                dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
                return [torch.tensor(means).to(dtype), torch.tensor(stds, dtype=torch.float64).to(dtype)]
            """.replace("torch.tensor(means)", "torch.tensor(means, dtype=torch.float64)"),
        ),
        right(
            "torch.std_mean",
            _fit(
                mean="torch.std_mean(y, 0, correction=0)[1]",
                std="torch.std_mean(y, 0, correction=0)[0]",
                constant="std = std.masked_fill((x.amax(0) == x.amin(0)), 1)",
            ),
        ),
        right(
            "in place on a copy, in float64",
            """
            def fit_standardizer(x):
                if not len(x):
                    raise ValueError
                dtype = torch.promote_types(x.dtype, torch.float32)
                y = x.clone().double()
                mean = y.sum(0) / len(y)
                constant = (y == y[0]).all(0)
                y -= mean
                y *= y
                std = y.mean(0).sqrt()
                std[constant] = 1
                return mean.to(dtype), std.to(dtype)
            """,
        ),
        wrong("n - 1", _fit(std="y.std(0)"), hint="Divide by n, not by n - 1"),
        wrong("the variance", _fit(std="((y - mean) ** 2).mean(0)"), hint="This is the variance"),
        wrong("not centred", _fit(std="(y**2).mean(0).sqrt()"), hint="Subtract the mean before you square"),
        wrong("mean absolute distance", _fit(std="(y - mean).abs().mean(0)"), hint="mean absolute distance"),
        wrong("the range", _fit(std="y.amax(0) - y.amin(0)"), hint="This is the range of each feature"),
        wrong(
            "along the rows",
            _fit(mean="y.mean(1)", std="y.std(1, correction=0)", constant="pass"),
            hint="Average over the rows, dimension 0",
        ),
        wrong(
            "one for all features",
            _fit(mean="y.mean()", std="y.std(correction=0)", constant="pass"),
            hint="Average over the rows, dimension 0",
        ),
        wrong(
            "kept dimensions", _fit(result="mean[None].to(dtype), std[None].to(dtype)"), hint="should have the shape"
        ),
        wrong("swapped", _fit(result="std.to(dtype), mean.to(dtype)"), hint="Return (mean, std) in this order"),
        wrong("std only", _fit(result="std.to(dtype)"), hint="should be a tuple of 2 values"),
        wrong("0 for constant features", _fit(constant="pass"), hint="A constant feature has the std 1 here"),
        wrong(
            "asks whether std is 0",
            _fit(constant="std[std == 0] = 1"),
            hint="a computed std may be tiny",
        ),
        wrong(
            "asks whether the rounded std is 0",
            _fit(constant="std = std.to(dtype); std[std == 0] = 1"),
            hint="a computed std may be tiny",
        ),
        wrong("a limit of 1e-8", _fit(constant="std[std < 1e-8] = 1"), hint="a small unit is not constant"),
        wrong(
            "a relative limit",
            _fit(constant="std[std <= 1e-6 * mean.abs()] = 1"),
            hint="compute in float64, round at the end",
        ),
        wrong("torch.isclose for equal", _fit(constant="std[torch.isclose(y, y[0]).all(0)] = 1"), hint="a small unit"),
        wrong("eps added", _fit(constant="std = std + 1e-8"), hint="a computed std may be tiny"),
        wrong("a lower limit", _fit(constant="std = std.clamp(min=1e-12)"), hint="a computed std may be tiny"),
        wrong(
            "first and last value only",
            _fit(constant="std[x[0] == x[-1]] = 1"),
            hint="a small unit is not constant",
        ),
        wrong("ones everywhere", _fit(constant="std = torch.ones_like(std)"), hint="1 replaces the std of a constant"),
        wrong(
            "float32 inside",
            _fit(exact="x.float()"),
            hint="compute in float64",
        ),
        wrong(
            "in x's own dtype",
            _fit(exact="x.to(dtype)"),
            hint="compute in float64, round at the end",
        ),
        wrong(
            "mean of squares minus square of the mean",
            _fit(std="((y**2).mean(0) - mean**2).clamp(min=0).sqrt()"),
            hint="compute in float64",
        ),
        wrong("float64 out", _fit(dtype="torch.float64"), hint="should keep the dtype torch.float32"),
        wrong("float32 out", _fit(dtype="torch.float32"), hint="should keep the dtype"),
        wrong(
            "integers through float32",
            _fit(exact="x.double() if x.is_floating_point() else x.float()"),
            hint="Time stamps differ in digits",
        ),
        wrong("no error for no row", _fit(empty="False"), hint="Without rows, raise a ValueError"),
        wrong("assert for raise", _fit(error="AssertionError"), hint="yours raised AssertionError"),
        wrong("one row refused", _fit(empty="len(x) < 2"), hint="raised ValueError: no rows"),
        wrong(
            "one row with n - 1",
            _fit(std="y.std(0) * ((len(y) - 1) / len(y)) ** 0.5", constant="std[(y == y[0]).all(0) & (std < 1)] = 1"),
            hint="With one row",
        ),
        wrong(
            "changes x",
            _fit(exact="x if x.dtype == torch.float64 else x.double()", std="(y.sub_(mean) ** 2).mean(0).sqrt()"),
            hint="Your function changes x",
        ),
        wrong(
            "the median",
            _fit(mean="y.median(0).values", std="y.std(0, correction=0)"),
            hint="This is the median of each feature",
        ),
        wrong(
            "flat memory",
            _fit(exact="torch.as_strided(x, x.shape, (x.shape[1], 1)).double()"),
            hint="do not rely on how it lies in memory",
        ),
    ],
    "standardize": [
        right(
            "numpy",
            """
            def standardize(x, mean, std):
                z = (x.double().numpy() - mean.numpy().astype("float64")) / std.numpy().astype("float64")
                return torch.from_numpy(z).to(x.dtype if x.is_floating_point() else torch.float32)
            """,
        ),
        right(
            "a loop over features, in place on a copy",
            """
            def standardize(x, mean, std):
                z = x.clone().double()
                for j in range(x.shape[1]):
                    z[:, j] -= mean[j]
                    z[:, j] /= std[j]
                return z.to(torch.promote_types(x.dtype, torch.float32))
            """,
        ),
        right(
            "by rows",
            """
            def standardize(x, mean, std):
                dtype = x.dtype if x.is_floating_point() else torch.float32
                return torch.stack([(row.to(dtype) - mean.to(dtype)) / std.to(dtype) for row in x])
            """,
        ),
        right(
            "a matrix product",
            """
            def standardize(x, mean, std):
                dtype = x.dtype if torch.is_floating_point(x) else torch.float32
                return torch.sub(x.double(), mean).matmul(torch.diag(1 / std.double())).to(dtype)
            """,
        ),
        wrong(
            "fits on x",
            _apply("(x.to(dtype) - x.to(dtype).mean(0)) / x.to(dtype).std(0, correction=0)"),
            hint="You compute statistics from x",
        ),
        wrong("mean of x", _apply("(x.to(dtype) - x.to(dtype).mean(0)) / std"), hint="You compute statistics from x"),
        wrong(
            "fits on x when there are enough rows",
            _apply(
                "(x - mean) / std", "if len(x) > 2: mean, std = x.double().mean(0), x.double().std(0, correction=0)"
            ),
            hint="You compute statistics from x",
        ),
        wrong(
            "std of x when there are enough rows",
            _apply("(x - mean) / std", "if len(x) > 2: std = x.double().std(0, correction=0)"),
            hint="You compute statistics from x",
        ),
        wrong(
            "centred once more",
            _apply("z - z.mean(0) if len(z) > 2 else z", "z = (x - mean) / std"),
            hint="You compute statistics from x",
        ),
        wrong(
            "a row of its own kind",
            _apply("(x - mean) / std", "mean = x.double().mean(0) if len(x) == 1 else mean"),
            hint="Your single row becomes 0",
        ),
        wrong("the mean only", _apply("x - mean"), hint="Divide by std too"),
        wrong("the std only", _apply("x / std"), hint="Subtract the mean too"),
        wrong("no brackets", _apply("x - mean / std"), hint="Put brackets around x - mean"),
        wrong("multiplied", _apply("(x - mean) * std"), hint="Divide by std, do not multiply"),
        wrong("the square of std", _apply("(x - mean) / std**2"), hint="Divide by std, not by its square"),
        wrong("eps added", _apply("(x - mean) / (std + 1e-8)"), hint="Use std as it is"),
        wrong("a lower limit", _apply("(x - mean) / std.clamp(min=1e-6)"), hint="Use std as it is"),
        wrong("cut at 50", _apply("((x - mean) / std).clamp(-50, 50)"), hint="do not cut or shift them back"),
        wrong(
            "changes x",
            """
            def standardize(x, mean, std):
                if not x.is_floating_point():
                    x = x.float()
                mean, std = mean.to(x.dtype), std.to(x.dtype)
                x -= mean
                x /= std
                return x
            """,
            hint="Your function changes a tensor that it was given",
        ),
        wrong(
            "changes x when it is float64",
            """
            def standardize(x, mean, std):
                dtype = x.dtype if x.is_floating_point() else torch.float32
                return x.double().sub_(mean).div_(std).to(dtype)
            """,
            hint="Your function changes a tensor that it was given",
        ),
        wrong(
            "changes std",
            _apply("(x - mean) / std.add_(1e-30).mul_(1 + 1e-12)"),
            hint="Your function changes a tensor that it was given",
        ),
        wrong(
            "x itself when there is nothing to do",
            _apply("x if (mean == 0).all() and (std == 1).all() else (x - mean) / std"),
            hint="shares its memory with x",
        ),
        wrong(
            "promoted",
            """
            def standardize(x, mean, std):
                return (x - mean) / std
            """,
            hint="should keep the dtype",
        ),
        wrong(
            "always float32",
            """
            def standardize(x, mean, std):
                return ((x - mean) / std).float()
            """,
            hint="should keep the dtype",
        ),
        wrong(
            "back to integers",
            """
            def standardize(x, mean, std):
                return ((x - mean) / std).to(x.dtype)
            """,
            hint="should keep the dtype torch.float32",
        ),
        wrong(
            "the mean as an integer",
            _apply("(x - mean.to(x.dtype)) / std"),
            hint="For x of torch.uint8",
        ),
        wrong(
            "rounded to float32 on the way",
            _apply("(x.float() - mean.float()) / std.float()"),
            hint="where are they converted?",
        ),
        wrong(
            "broadcast over rows",
            _apply("(x - mean[:, None]) / std[:, None] if len(x) == len(mean) else (x - mean) / std"),
            hint="as many rows as features",
        ),
        wrong(
            "broadcast over rows when there are three",
            _apply("(x - mean[:, None]) / std[:, None] if len(x) == len(mean) == 3 else (x - mean) / std"),
            hint="as many rows as features",
        ),
    ],
    "streaming_channel_stats": [
        right("shifted sums", _stream()),
        right("a shift by the first batch's mean", _stream(shift="x.mean(1, keepdim=True)")),
        right(
            "a view of the first batch for the shift",
            """
            def streaming_channel_stats(batches):
                shift = None
                for batch in batches:
                    if shift is None:
                        shift, n = batch[0, :, 0, 0], 0
                        total = squares = 0
                    for channel_image in batch:
                        d = channel_image.double() - shift.double()[:, None, None]
                        total, squares = total + d.sum((1, 2)), squares + d.pow(2).sum((1, 2))
                        n += d[0].numel()
                if shift is None:
                    raise ValueError("empty stream")
                var = squares / n - (total / n) ** 2
                return shift.double() + total / n, torch.sqrt(torch.clamp(var, min=0))
            """,
        ),
        right("a shift, and batch statistics combined at the end", _merge()),
        right(
            "a shift, and merging batch by batch",
            """
            def streaming_channel_stats(batches):
                n = 0
                for batch in batches:
                    x = batch.to(torch.float64)
                    if n == 0:
                        origin = x[:1, :, :1, :1].clone()
                    x = x - origin
                    k = x.shape[0] * x.shape[2] * x.shape[3]
                    m = x.mean(dim=(0, 2, 3))
                    ss = ((x - m.view(1, -1, 1, 1)) ** 2).sum(dim=(0, 2, 3))
                    if n == 0:
                        n, mean, m2 = k, m, ss
                    else:
                        delta = m - mean
                        m2 = m2 + ss + delta**2 * (n * k / (n + k))
                        mean = mean + delta * (k / (n + k))
                        n = n + k
                if n == 0:
                    raise ValueError("no batch")
                return mean + origin.flatten(), (m2 / n).sqrt()
            """,
        ),
        right(
            "a shift, and Welford pixel by pixel",
            """
            def streaming_channel_stats(batches):
                n, mean, m2 = 0, 0.0, 0.0
                for batch in batches:
                    pixels = batch.double().permute(0, 2, 3, 1).reshape(-1, batch.shape[1])
                    if not n:
                        origin = pixels[0].clone()
                    for x in pixels - origin:
                        n += 1
                        delta = x - mean
                        mean = mean + delta / n
                        m2 = m2 + delta * (x - mean)
                if not n:
                    raise ValueError("no batch")
                return [origin + mean, (m2 / n).sqrt()]
            """,
        ),
        right(
            "numpy, with an iterator",
            """
            def streaming_channel_stats(batches):
                stream = iter(batches)
                try:
                    batch = next(stream)
                except StopIteration:
                    raise ValueError("no batch") from None
                shift = batch.numpy()[0, :, 0, 0].astype(np.float64).reshape(1, -1, 1, 1)
                n, total, squares = 0, 0.0, 0.0
                while batch is not None:
                    d = batch.numpy().astype(np.float64) - shift
                    n += d.size // d.shape[1]
                    total = total + d.sum(axis=(0, 2, 3))
                    squares = squares + (d**2).sum(axis=(0, 2, 3))
                    batch = next(stream, None)
                mean, var = total / n, squares / n - (total / n) ** 2
                return torch.tensor(shift.ravel() + mean), torch.tensor(np.sqrt(np.maximum(var, 0)))
            """,
        ),
        wrong(
            "nothing returned",
            """
            def streaming_channel_stats(batches):
                count = sum(len(batch) for batch in batches)
                if not count:
                    raise ValueError("no batch")
            """,
            hint="should be a tuple of 2 values",
        ),
        wrong(
            "merging without a shift",
            _merge(shift="torch.zeros_like(x[:, :1])"),
            hint="Shift first, then merge",
        ),
        wrong(
            "Welford without a shift",
            """
            def streaming_channel_stats(batches):
                n, mean, m2 = 0, 0.0, 0.0
                for batch in batches:
                    for x in batch.double().permute(0, 2, 3, 1).reshape(-1, batch.shape[1]):
                        n += 1
                        delta = x - mean
                        mean = mean + delta / n
                        m2 = m2 + delta * (x - mean)
                if not n:
                    raise ValueError("no batch")
                return mean, (m2 / n).sqrt()
            """,
            hint="Shift first, then merge",
        ),
        wrong(
            "sums of x and of x squared",
            _stream(shift="torch.zeros(x.shape[0], 1, dtype=torch.float64)"),
            hint="The std loses digits when the mean is large",
        ),
        wrong(
            "sums of x and of x squared, unless one batch is all",
            """
            def streaming_channel_stats(batches):
                n = total = squares = 0
                for batch in batches:
                    x = batch.double()
                    single = x.std((0, 2, 3), correction=0)
                    n += x[:, 0].numel()
                    total, squares = total + x.sum((0, 2, 3)), squares + (x * x).sum((0, 2, 3))
                if n == 0:
                    raise ValueError("no batch")
                std = (squares / n - (total / n) ** 2).clamp(min=0).sqrt()
                return total / n, single if n == x[:, 0].numel() else std
            """,
            hint="The std loses digits when the mean is large",
        ),
        wrong(
            "a guess for the shift",
            _stream(shift="torch.full((x.shape[0], 1), 0.5 if x.max() < 1e8 else 1e9, dtype=torch.float64)"),
            hint="The std loses digits when the mean is large",
        ),
        wrong(
            "one shift for all channels",
            _stream(shift="x[:1, :1]", result="m + shift.flatten(), var.sqrt()"),
            hint="The std loses digits when the mean is large",
        ),
        wrong(
            "a shift for each batch",
            _stream(first="True"),
            hint="Keep one shift for the whole stream",
        ),
        wrong(
            "the shift not added back",
            _stream(result="m, var.sqrt()"),
            hint="Add the shift back",
        ),
        wrong(
            "mean squared distance to the shift",
            _stream(var="squares / n"),
            hint="not to the mean",
        ),
        wrong("the variance", _stream(result="m + shift.flatten(), var"), hint="This is the variance"),
        wrong(
            "N - 1",
            _stream(var="(squares - n * m * m).clamp(min=0) / (n - 1)"),
            hint="not by N - 1",
        ),
        wrong("divided by the number of images", _stream(count="batch.shape[0]"), hint="not by the number of images"),
        wrong(
            "images taken for square",
            _stream(count="batch.shape[0] * batch.shape[3] ** 2"),
            hint="Images need not be square",
        ),
        wrong(
            "divided by the number of batches",
            _stream(total="d.mean(1)", squares="(d * d).mean(1)", count="1"),
            hint="average of the batches' means",
        ),
        wrong(
            "float32 sums",
            _stream(
                rows="batch.float().permute(1, 0, 2, 3).flatten(1)",
                result="(m + shift.flatten()).double(), var.double().sqrt()",
            ),
            hint="The result differs from the statistics of all pixels",
        ),
        wrong(
            "float32 out",
            _stream(result="(m + shift.flatten()).float(), var.sqrt().float()"),
            hint="should keep the dtype torch.float64",
        ),
        wrong(
            "in the batch's own dtype until the end",
            _stream(
                rows="batch.permute(1, 0, 2, 3).flatten(1)",
                total="d.sum(1).double()",
                squares="(d.double() ** 2).sum(1)",
                result="m + shift.flatten().double(), var.sqrt()",
            ),
            hint="Less than ten digits are right on float32 batches",
        ),
        wrong(
            "uint8 wraps",
            _stream(
                rows="(batch if batch.dtype == torch.uint8 else batch.double()).permute(1, 0, 2, 3).flatten(1)",
                total="d.sum(1).double()",
                squares="(d.double() ** 2).sum(1)",
                result="m + shift.flatten().double(), var.sqrt()",
            ),
            hint="uint8 wraps around at 255",
        ),
        wrong(
            "mean of means",
            _merge(mean="means.mean(0)"),
            hint="average of the batches' means",
        ),
        wrong("mean of stds", _merge(std="stds.mean(0)"), hint="not the average of the batches' std"),
        wrong("weighed mean of stds", _merge(std="(weight * stds).sum(0)"), hint="not the average of the batches' std"),
        wrong(
            "pooled variance without the means",
            _merge(std="(weight * stds**2).sum(0).sqrt()"),
            hint="misses that the batches' means differ",
        ),
        wrong("std of means", _merge(std="means.std(0, correction=0)"), hint="You measure how the batches' means vary"),
        wrong(
            "batch statistics with n - 1",
            _merge(one="x.std(1)"),
            hint="and so in each batch",
        ),
        wrong(
            "batch statistics with n - 1, corrected",
            _merge(one="x.std(1) * ((x.shape[1] - 1) / x.shape[1]) ** 0.5"),
            hint="Batches of one image with one pixel are allowed",
        ),
        wrong(
            "means not weighed in the variance",
            _merge(std="((weight * stds**2).sum(0) + (means - mean).square().mean(0)).sqrt()"),
            hint="Weigh the batches by their size",
        ),
        wrong(
            "one for all channels",
            """
            def streaming_channel_stats(batches):
                n = total = squares = 0
                for batch in batches:
                    x = batch.double()
                    n += x.numel()
                    total, squares = total + x.sum(), squares + (x * x).sum()
                if n == 0:
                    raise ValueError("no batch")
                return total / n, (squares / n - (total / n) ** 2).sqrt()
            """,
            hint="Every channel has its own mean",
        ),
        wrong(
            "the whole set in a list",
            """
            def streaming_channel_stats(batches):
                batches = list(batches)
                if not batches:
                    raise ValueError("no batch")
                x = torch.cat(batches).double()
                return x.mean((0, 2, 3)), x.std((0, 2, 3), correction=0)
            """,
            hint="You keep the batches that you have read",
        ),
        wrong(
            "the whole set in one growing tensor",
            """
            def streaming_channel_stats(batches):
                whole = None
                for batch in batches:
                    whole = batch.double().clone() if whole is None else torch.cat([whole, batch.double()])
                if whole is None:
                    raise ValueError("no batch")
                return whole.mean((0, 2, 3)), whole.std((0, 2, 3), correction=0)
            """,
            hint="You keep the batches that you have read",
        ),
        wrong(
            "copies of all pixels in numpy",
            """
            def streaming_channel_stats(batches):
                pixels = [b.numpy().astype(np.float64).transpose(1, 0, 2, 3).reshape(b.shape[1], -1) for b in batches]
                if not pixels:
                    raise ValueError("no batch")
                whole = np.concatenate(pixels, axis=1)
                return torch.tensor(whole.mean(axis=1)), torch.tensor(whole.std(axis=1))
            """,
            hint="You keep the batches that you have read",
        ),
        wrong(
            "all pixels in Python lists",
            """
            def streaming_channel_stats(batches):
                channels = []
                for batch in batches:
                    rows = batch.double().transpose(0, 1).flatten(1).tolist()
                    channels = [old + new for old, new in zip(channels, rows)] if channels else rows
                if not channels:
                    raise ValueError("no batch")
                x = torch.tensor(channels, dtype=torch.float64)
                return x.mean(1), x.std(1, correction=0)
            """,
            hint="You keep the batches that you have read",
        ),
        wrong(
            "itertools.tee",
            """
            def streaming_channel_stats(batches):
                import itertools
                first, second = itertools.tee(batches)
                n = total = squares = 0
                for batch in first:
                    n, total = n + batch[:, 0].numel(), total + batch.double().sum((0, 2, 3))
                if not n:
                    raise ValueError("no batch")
                mean = total / n
                for batch in second:
                    squares = squares + (batch.double() - mean[:, None, None]).square().sum((0, 2, 3))
                return mean, (squares / n).sqrt()
            """,
            hint="You keep the batches that you have read",
        ),
        wrong(
            "two loops",
            """
            def streaming_channel_stats(batches):
                n = total = 0
                for batch in batches:
                    n, total = n + batch[:, 0].numel(), total + batch.double().sum((0, 2, 3))
                if not n:
                    raise ValueError("no batch")
                mean = total / n
                squares = torch.zeros_like(mean)
                for batch in batches:
                    squares = squares + (batch.double() - mean[:, None, None]).square().sum((0, 2, 3))
                return mean, (squares / n).sqrt()
            """,
            hint="a generator can be read only once",
        ),
        wrong(
            "two loops over all but a generator",
            """
            def streaming_channel_stats(batches):
                again = batches if not hasattr(batches, "__next__") else None
                n = total = squares = 0
                for batch in batches:
                    x = batch.double().permute(1, 0, 2, 3).flatten(1)
                    shift = x[:, :1].clone() if n == 0 else shift
                    n, total = n + x.shape[1], total + (x - shift).sum(1)
                    squares = squares + (x - shift).square().sum(1)
                if not n:
                    raise ValueError("no batch")
                m = total / n
                if again is not None:
                    squares = torch.zeros_like(m)
                    for batch in again:
                        x = batch.double().permute(1, 0, 2, 3).flatten(1)
                        squares = squares + (x - shift - m[:, None]).square().sum(1)
                    return shift[:, 0] + m, (squares / n).sqrt()
                return shift[:, 0] + m, (squares / n - m * m).clamp(min=0).sqrt()
            """,
            hint="You read the stream twice",
        ),
        wrong(
            "len of the stream",
            _stream(start="assert len(batches) >= 0"),
            hint="has no len()",
        ),
        wrong(
            "next of a list",
            """
            def streaming_channel_stats(batches):
                n = total = squares = 0
                batch = next(batches, None)
                while batch is not None:
                    x = batch.double().permute(1, 0, 2, 3).flatten(1)
                    shift = x[:, :1].clone() if n == 0 else shift
                    n, total = n + x.shape[1], total + (x - shift).sum(1)
                    squares = squares + (x - shift).square().sum(1)
                    batch = next(batches, None)
                if not n:
                    raise ValueError("no batch")
                return shift[:, 0] + total / n, (squares / n - (total / n) ** 2).clamp(min=0).sqrt()
            """,
            hint="'list' object is not an iterator",
        ),
        wrong(
            "strides taken for granted",
            _stream(
                rows="batch.double().view(-1, batch[0, 0].numel())"
                ".view(*batch.shape[:2], -1).transpose(0, 1).flatten(1)"
            ),
            hint="is not compatible with input tensor",
        ),
        wrong(
            "1 for a constant channel",
            _stream(result="m + shift.flatten(), torch.where(var == 0, torch.ones_like(var), var.sqrt())"),
            hint="A constant channel has the std 0",
        ),
        wrong(
            "eps under the root",
            _stream(result="m + shift.flatten(), (var + 1e-12).sqrt()"),
            hint="A constant channel has the std 0",
        ),
        wrong(
            "no error without a batch",
            _stream(error="StopIteration"),
            hint="Without any batch, raise a ValueError",
        ),
        wrong(
            "nan without a batch",
            """
            def streaming_channel_stats(batches):
                n, shift, total, squares = 0, torch.zeros(1, 1), torch.zeros(1), torch.zeros(1)
                for batch in batches:
                    x = batch.double().permute(1, 0, 2, 3).flatten(1)
                    shift = x[:, :1].clone() if n == 0 else shift
                    n += x.shape[1]
                    total, squares = total + (x - shift).sum(1), squares + (x - shift).square().sum(1)
                m = total / max(n, 1)
                return shift[:, 0] + m, (squares / max(n, 1) - m * m).clamp(min=0).sqrt()
            """,
            hint="yours raised nothing",
        ),
        wrong(
            "changes the batches",
            """
            def streaming_channel_stats(batches):
                n = total = squares = 0
                for batch in batches:
                    x = batch.double()
                    if n == 0:
                        shift = x[0, :, 0, 0].clone()[:, None, None]
                    x -= shift
                    n, total = n + x[:, 0].numel(), total + x.sum((0, 2, 3))
                    squares = squares + x.square().sum((0, 2, 3))
                if n == 0:
                    raise ValueError("no batch")
                return shift.flatten() + total / n, (squares / n - (total / n) ** 2).clamp(min=0).sqrt()
            """,
            hint="Your function changes the batches",
        ),
        wrong(
            "only the last batch",
            _stream(first="True", total="d.sum(1) - total", squares="(d * d).sum(1) - squares", count="x.shape[1] - n"),
            hint="that of the last batch only",
        ),
        wrong(
            "a running average of batch statistics",
            """
            def streaming_channel_stats(batches):
                mean = None
                for batch in batches:
                    m, v = batch.double().mean((0, 2, 3)), batch.double().var((0, 2, 3), correction=0)
                    mean, var = (m, v) if mean is None else (0.9 * mean + 0.1 * m, 0.9 * var + 0.1 * v)
                if mean is None:
                    raise ValueError("no batch")
                return mean, var.sqrt()
            """,
            hint="statistics of all pixels of a channel in one row",
        ),
    ],
    "least_squares_condition_number": [
        right("singular values", _kappa()),
        right(
            "numpy",
            """
            def least_squares_condition_number(x):
                n, d = x.shape
                A = np.hstack([x.numpy().astype(np.float64), np.ones((n, 1))])
                s = np.linalg.svd(A, compute_uv=False)
                if n <= d or s[-1] <= s[0] * max(A.shape) * np.finfo(np.float64).eps:
                    return float("inf")
                return float((s[0] / s[-1]) ** 2)
            """,
        ),
        right(
            "QR first, bias column first",
            """
            def least_squares_condition_number(x):
                n, d = x.shape
                A = torch.ones(n, d + 1, dtype=torch.float64)
                A[:, 1:] = x
                R = torch.linalg.qr(A, mode="r").R
                s = torch.linalg.svdvals(R)
                limit = s[0] * max(n, d + 1) * 2.0**-52
                return (s[0] / s[-1]).item() ** 2 if n > d and s[-1] > limit else math.inf
            """,
        ),
        right(
            "rank and condition number of numpy",
            """
            def least_squares_condition_number(x):
                A = np.column_stack([x.double().numpy(), np.ones(len(x))])
                if np.linalg.matrix_rank(A) < A.shape[1]:
                    return math.inf
                return torch.tensor(np.linalg.cond(A) ** 2)
            """,
        ),
        wrong("no bias", _kappa(design="x", few="n < d"), hint="The bias is missing"),
        wrong(
            "zeros for ones",
            _kappa(design="torch.cat([x, torch.zeros(n, 1, dtype=x.dtype)], dim=1)"),
            hint="singular value of x with a column of ones",
        ),
        wrong("not squared", _kappa(result="(s.max() / s.min()).item()"), hint="Square the ratio"),
        wrong("squared twice", _kappa(result="((s.max() / s.min()) ** 4).item()"), hint="You squared once too often"),
        wrong("upside down", _kappa(result="((s.min() / s.max()) ** 2).item()"), hint="The largest goes on top"),
        wrong(
            "the largest eigenvalue",
            _kappa(result="(s.max() ** 2 / n).item()"),
            hint="Take the squared ratio of the largest",
        ),
        wrong("centred first", _kappa(scale="x = x - x.mean(0)"), hint="Do not centre x"),
        wrong(
            "centred first when there are many rows",
            _kappa(scale="x = x - x.mean(0) if n > 3 else x"),
            hint="Do not centre x",
        ),
        wrong(
            "bias forgotten when there are many rows",
            _kappa(scale="few_rows = n < 4", design="torch.cat([x, torch.ones(n, 1).double()], 1) if few_rows else x"),
            hint="The bias is missing",
        ),
        wrong(
            "standardised when there are many rows",
            _kappa(scale="x = (x - x.mean(0)) / x.std(0, correction=0) if n > 3 else x"),
            hint="Do not scale x",
        ),
        wrong(
            "bias scaled to unit length",
            _kappa(design="torch.cat([x, torch.full((n, 1), n**-0.5, dtype=x.dtype)], dim=1)"),
            hint="singular value of x with a column of ones",
        ),
        wrong(
            "Gram matrix in float64",
            _kappa(singular="torch.linalg.eigvalsh(A.T @ A).clamp(min=0).sqrt()"),
            hint="in A^T A rounding buries",
        ),
        wrong(
            "Gram matrix and its condition number",
            _kappa(
                singular="torch.linalg.svdvals(A.T @ A / n)",
                flat="s.min() == 0",
                result="(s.max() / s.min()).item()",
            ),
            hint="in A^T A rounding buries",
        ),
        wrong(
            "the limit on eigenvalues",
            _kappa(
                singular="torch.linalg.svdvals(A) ** 2",
                result="(s.max() / s.min()).item()",
            ),
            hint="for the limit too",
        ),
        wrong(
            "Gram matrix, and the limit on its eigenvalues",
            _kappa(singular="torch.linalg.eigvalsh(A.T @ A)", result="(s.max() / s.min()).item()"),
            hint="for the limit too",
        ),
        wrong(
            "Gram matrix in float32",
            _kappa(singular="torch.linalg.eigvalsh((A.T @ A).float()).clamp(min=0).sqrt()"),
            hint="Convert x to float64 before anything else",
        ),
        wrong(
            "float32",
            _kappa(exact="x.float()", flat="s.min() <= s.max() * 1e-15"),
            hint="Convert x to float64 before anything else",
        ),
        wrong(
            "x's own precision",
            _kappa(exact="x if x.is_floating_point() else x.double()"),
            hint="Convert x to float64 before anything else",
        ),
        wrong(
            "no limit",
            _kappa(flat="s.min() == 0"),
            hint="so there is a flat direction",
        ),
        wrong(
            "torch.linalg.cond",
            _kappa(singular="s = torch.linalg.cond(A)", flat="False", result="(s**2).item()").replace(
                "s = s = ", "s = "
            ),
            hint="A constant feature does what the bias does",
        ),
        wrong("a limit of 1e-10", _kappa(flat="s.min() < 1e-10 * s.max()"), hint="There is no other tolerance"),
        wrong("an absolute limit", _kappa(flat="s.min() < 1e-8"), hint="There is no other tolerance"),
        wrong(
            "float32's eps",
            _kappa(flat="s.min() <= s.max() * max(n, d + 1) * torch.finfo(torch.float32).eps"),
            hint="take float64's eps for the limit",
        ),
        wrong("few rows forgotten", _kappa(few="False"), hint="there is always a flat direction"),
        wrong("n < d for few rows", _kappa(few="n < d"), hint="there is always a flat direction"),
        wrong("n = d + 1 refused", _kappa(few="n <= d + 1"), hint="With n = d + 1 rows"),
        wrong("n = d + 1 refused for d > 1", _kappa(few="n < d + 1 or n == d + 1 > 2"), hint="With n = d + 1 rows"),
        wrong(
            "integers refused",
            _kappa(exact="x + 0.0 * x.norm() + 0 * x.double()"),
            hint="PyTorch has no such function for integers",
        ),
        wrong(
            "uint8 through int8",
            _kappa(exact="x.to(torch.int8).double() if x.dtype == torch.uint8 else x.double()"),
            hint="Integers are allowed",
        ),
        wrong("changes x", _kappa(exact="x.double().mul_(1 + 2**-40)"), hint="Your function changes x"),
        wrong("the eigenvalues too", _kappa(result="(s.max() ** 2, s.min() ** 2)"), hint="should be a number"),
    ],
    "zca_whitening": [
        right("eigh of the covariance", _zca()),
        right(
            "torch.cov, scaling the columns",
            """
            def zca_whitening(x, eps):
                dtype = torch.promote_types(x.dtype, torch.float32)
                data = x.to(torch.float64)
                covariance = torch.atleast_2d(torch.cov(data.T, correction=0))
                eigenvalues, U = torch.linalg.eigh(covariance)
                W = (U * (eigenvalues.clamp(min=0) + eps) ** -0.5) @ U.mT
                return data.mean(0).to(dtype), W.to(dtype)
            """,
        ),
        right(
            "singular values of the data",
            """
            def zca_whitening(x, eps):
                dtype = x.dtype if x.is_floating_point() else torch.float32
                data = x.double()
                mean = data.sum(0) / len(data)
                _, s, Vh = torch.linalg.svd(data - mean, full_matrices=True)
                eigenvalues = torch.zeros(x.shape[1], dtype=torch.float64)
                eigenvalues[: len(s)] = s**2 / len(data)
                return mean.to(dtype), (Vh.T @ torch.diag(1 / (eigenvalues + eps).sqrt()) @ Vh).to(dtype)
            """,
        ),
        right(
            "numpy, a sum of outer products",
            """
            def zca_whitening(x, eps):
                values = x.numpy().astype(float)
                n, d = values.shape
                mean = values.mean(axis=0)
                covariance = sum(np.outer(row - mean, row - mean) for row in values) / n
                lam, U = np.linalg.eigh(covariance)
                W = sum(np.outer(U[:, i], U[:, i]) / math.sqrt(max(lam[i], 0.0) + eps) for i in range(d))
                dtype = x.dtype if x.is_floating_point() else torch.float32
                return [torch.tensor(mean).to(dtype), torch.tensor(W).to(dtype)]
            """,
        ),
        right(
            "svd of the covariance",
            """
            def zca_whitening(x, eps):
                dtype = x.dtype if x.is_floating_point() else torch.float32
                y = x.double()
                mean = y.mean(0, keepdim=True)
                sigma = (y - mean).T @ (y - mean) / y.shape[0]
                sigma_root = torch.linalg.eigh(sigma + 0.0)
                lam = torch.maximum(sigma_root.eigenvalues, torch.zeros(()).double())
                W = sigma_root.eigenvectors @ torch.diag_embed(torch.rsqrt(lam + eps)) @ sigma_root.eigenvectors.T
                return mean.squeeze(0).to(dtype), ((W + W.T) / 2).to(dtype)
            """,
        ),
        wrong("PCA whitening", _zca(matrix="U @ torch.diag(scale)"), hint="it also turns the data"),
        wrong(
            "PCA whitening unless there are two features",
            _zca(matrix="U @ torch.diag(scale) @ (U.T if len(lam) == 2 else torch.eye(len(lam)).double())"),
            hint="it also turns the data",
        ),
        wrong(
            "PCA whitening, transposed",
            _zca(matrix="torch.diag(scale) @ U.T"),
            hint="it also turns the data",
        ),
        wrong(
            "Cholesky",
            _zca(matrix="torch.linalg.cholesky(torch.linalg.inv(c.T @ c / n + eps * torch.eye(len(lam)).double()))"),
            hint="it also turns the data",
        ),
        wrong(
            "Cholesky unless there are two features",
            _zca(
                matrix="U @ torch.diag(scale) @ U.T if len(lam) == 2 else "
                "torch.linalg.inv(torch.linalg.cholesky(c.T @ c / n + eps * torch.eye(len(lam)).double()))"
            ),
            hint="it also turns the data",
        ),
        wrong(
            "eigenvectors taken for rows",
            _zca(matrix="U.T @ torch.diag(scale) @ U"),
            hint="it is U diag U^T, not U^T diag U",
        ),
        wrong(
            "eigenvectors taken for rows, unless there are two features",
            _zca(matrix="U @ torch.diag(scale) @ U.T if len(lam) == 2 else U.T @ torch.diag(scale) @ U"),
            hint="it is U diag U^T, not U^T diag U",
        ),
        wrong("no eigenvectors", _zca(matrix="torch.diag(scale)"), hint="The eigenvectors are missing"),
        wrong(
            "each feature on its own",
            _zca(matrix="torch.diag((c.square().mean(0) + eps).rsqrt())"),
            hint="This standardizes each feature on its own",
        ),
        wrong("eps outside the root", _zca(scale="1 / (torch.sqrt(lam) + eps)"), hint="inside the square root"),
        wrong("eps ignored", _zca(scale="1 / torch.sqrt(lam)"), hint="eps is not used"),
        wrong("eps squared", _zca(scale="1 / torch.sqrt(lam + eps**2)"), hint="as it is, not squared"),
        wrong("eps as a lower limit", _zca(scale="1 / torch.sqrt(lam.clamp(min=eps))"), hint="it is not a lower limit"),
        wrong(
            "eps relative to the largest eigenvalue",
            _zca(scale="1 / torch.sqrt(lam + eps * lam.max() / 16)"),
            hint="With eps, each direction is divided",
        ),
        wrong(
            "eps outside the root when it is small",
            _zca(scale="1 / torch.sqrt(lam + eps) if eps > 1 else 1 / (lam.sqrt() + eps)"),
            hint="eps is added to the eigenvalue, inside",
        ),
        wrong("small eps forgotten", _zca(scale="(lam + (eps if eps > 0.01 else 0)).rsqrt()"), hint="eps is not used"),
        wrong("n - 1", _zca(covariance="c.T @ c / (n - 1)"), hint="Divide by n in the covariance"),
        wrong(
            "n - 1 when there are many rows",
            _zca(covariance="c.T @ c / (n - 1 if n > 4 else n)"),
            hint="Divide by n in the covariance, not by n - 1",
        ),
        wrong(
            "not divided by n when there are many rows",
            _zca(covariance="c.T @ c / (1 if n > 4 else n)"),
            hint="The covariance is a mean over the rows",
        ),
        wrong("not centred", _zca(centred="y"), hint="Subtract the mean before"),
        wrong(
            "not centred when there are many rows",
            _zca(centred="y if n > 4 else y - mean"),
            hint="Subtract the mean before you compute the covariance",
        ),
        wrong("multiplied by the roots", _zca(scale="torch.sqrt(lam + eps)"), hint="you multiply by them"),
        wrong("no root", _zca(scale="1 / (lam + eps)"), hint="this is the inverse of the covariance"),
        wrong(
            "no root when there are more than two features",
            _zca(scale="(lam + eps) ** (-0.5 if len(lam) == 2 else -1.0)"),
            hint="this is the inverse of the covariance",
        ),
        wrong(
            "multiplied by the roots when there are more than two features",
            _zca(scale="(lam + eps) ** (-0.5 if len(lam) == 2 else 0.5)"),
            hint="you multiply by them",
        ),
        wrong("negative eigenvalues kept", _zca(clamp="pass"), hint="Take 0 for those"),
        wrong(
            "eps and then clamp at 0",
            _zca(clamp="pass", scale="1 / torch.sqrt((lam + eps).clamp(min=0))"),
            hint="The matrix has nan or inf",
        ),
        wrong(
            "a pseudo-inverse of flat directions",
            _zca(scale="torch.where(lam > 1e-10, 1 / torch.sqrt(lam + eps), torch.zeros_like(lam))"),
            hint="divided by the root of eps alone",
        ),
        wrong(
            "fewer rows than features",
            """
            def zca_whitening(x, eps):
                dtype = x.dtype if x.is_floating_point() else torch.float32
                y = x.double()
                mean = y.mean(0)
                _, s, Vh = torch.linalg.svd(y - mean, full_matrices=False)
                scale = 1 / torch.sqrt(s**2 / len(y) + eps)
                return mean.to(dtype), (Vh.T @ torch.diag(scale) @ Vh).to(dtype)
            """,
            hint="divided by the root of eps alone",
        ),
        wrong("float32 inside", _zca(exact="x.float()"), hint="right to a few digits only"),
        wrong(
            "x's own precision",
            _zca(exact="x.to(dtype)"),
            hint="compute in float64, round at the end",
        ),
        wrong("float64 out", _zca(dtype="torch.float64"), hint="should keep the dtype torch.float32"),
        wrong("float32 out", _zca(dtype="torch.float32"), hint="should keep the dtype"),
        wrong("integers back", _zca(dtype="x.dtype"), hint="should keep the dtype torch.float32"),
        wrong("integers refused", _zca(centred="(x - x.mean(0)).double()"), hint="Integers are allowed"),
        wrong(
            "integers cut",
            _zca(centred="(x - mean.to(x.dtype)).double()"),
            hint="For integers the result is wrong",
        ),
        wrong("swapped", _zca(result="W.to(dtype), mean.to(dtype)"), hint="Return (mean, matrix) in this order"),
        wrong("the matrix only", _zca(result="W.to(dtype)"), hint="should be a tuple of 2 values"),
        wrong(
            "the mean as a row", _zca(result="mean[None].to(dtype), W.to(dtype)"), hint="The mean should have the shape"
        ),
        wrong(
            "white data for the matrix",
            _zca(matrix="c @ U @ torch.diag(scale) @ U.T"),
            hint="The matrix should have the shape",
        ),
        wrong("changes x", _zca(centred="y.sub_(mean)"), hint="Your function changes x"),
        wrong(
            "changes x when there are many rows",
            _zca(centred="y.sub_(mean) if n > 4 else y - mean"),
            hint="Your function changes x",
        ),
        wrong(
            "zero for the mean",
            _zca(result="(mean if n == 4 else 0 * mean).to(dtype), W.to(dtype)"),
            hint="The first result is the mean of each feature",
        ),
    ],
}
