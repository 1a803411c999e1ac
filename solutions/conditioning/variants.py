"""Right and wrong answers to the assignment `conditioning`, on file for `autograde verify`."""

from autograde.variants import right, wrong

VARIANTS = {
    "classify_critical_point": [
        right(
            "a loop over NumPy's eigenvalues",
            """
            import numpy as np

            def classify_critical_point(hessian):
                values = np.linalg.eigvalsh(np.asarray(hessian))
                limit = 1e-6 * max(abs(value) for value in values)
                kinds = set()
                for value in values:
                    kinds.add("zero" if abs(value) <= limit else "up" if value > 0 else "down")
                if {"up", "down"} <= kinds:
                    return "saddle"
                if "zero" in kinds:
                    return "degenerate"
                return "minimum" if kinds == {"up"} else "maximum"
            """,
        ),
        right(
            "only the two ends of the spectrum",
            """
            def classify_critical_point(hessian):
                values = torch.linalg.eigvalsh(hessian.double())
                low, high = values[0].item(), values[-1].item()
                limit = max(abs(low), abs(high)) * 1e-6
                if low < -limit and high > limit:
                    return "saddle"
                if low > limit:
                    return "minimum"
                if high < -limit:
                    return "maximum"
                return "degenerate"
            """,
        ),
        right(
            "rounded signs in a table",
            """
            def classify_critical_point(hessian):
                values = torch.linalg.eigh(hessian)[0]
                size = values.abs()
                signs = torch.where(size <= size.max() * 1e-6, torch.zeros_like(values), values.sign())
                found = tuple(sorted(set(signs.int().tolist())))
                words = {(1,): "minimum", (-1,): "maximum", (-1, 1): "saddle", (-1, 0, 1): "saddle"}
                return words.get(found, "degenerate")
            """,
        ),
        right(
            "match and general eigenvalues",
            """
            def classify_critical_point(hessian):
                values = torch.linalg.eigvals(hessian).real
                limit = 1e-6 * values.abs().max()
                match (bool((values > limit).any()), bool((values < -limit).any()), bool((abs(values) <= limit).any())):
                    case (True, True, _):
                        return "saddle"
                    case (_, _, True):
                        return "degenerate"
                    case (True, _, _):
                        return "minimum"
                return "maximum"
            """,
        ),
        wrong(
            "minimum and maximum swapped",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                t = 1e-6 * e.abs().max()
                if (e > t).any() and (e < -t).any():
                    return "saddle"
                if (e.abs() <= t).any():
                    return "degenerate"
                return "maximum" if (e > 0).all() else "minimum"
            """,
            hint="Positive eigenvalues bend the loss up",
        ),
        wrong(
            "the diagonal instead of eigenvalues",
            """
            def classify_critical_point(hessian):
                e = hessian.diagonal()
                t = 1e-6 * e.abs().max()
                if (e > t).any() and (e < -t).any():
                    return "saddle"
                if (e.abs() <= t).any():
                    return "degenerate"
                return "minimum" if (e > 0).all() else "maximum"
            """,
            hint="not at the entries on the diagonal",
        ),
        wrong(
            "determinant and trace, as for two variables",
            """
            def classify_critical_point(hessian):
                n = len(hessian)
                scale = torch.linalg.eigvalsh(hessian).abs().max()
                det, trace = torch.linalg.det(hessian), hessian.trace()
                if abs(det) <= 1e-6 * scale**n:
                    return "degenerate"
                if n % 2 == 0 and det < 0:
                    return "saddle"
                return "minimum" if trace > 0 else "maximum"
            """,
            hint="A determinant and a trace",
        ),
        wrong(
            "zero before the signs",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                t = 1e-6 * e.abs().max()
                if (e.abs() <= t).any():
                    return "degenerate"
                if (e > 0).all():
                    return "minimum"
                return "maximum" if (e < 0).all() else "saddle"
            """,
            hint="Rule 1 comes before rule 2",
        ),
        wrong(
            "exactly zero",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                if (e > 0).any() and (e < 0).any():
                    return "saddle"
                if (e == 0).any():
                    return "degenerate"
                return "minimum" if (e > 0).all() else "maximum"
            """,
            hint="a tiny number of either sign",
        ),
        wrong(
            "an absolute tolerance",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                if (e > 1e-6).any() and (e < -1e-6).any():
                    return "saddle"
                if (e.abs() <= 1e-6).any():
                    return "degenerate"
                return "minimum" if (e > 0).all() else "maximum"
            """,
            hint="relative to the largest absolute eigenvalue",
        ),
        wrong(
            "a tolerance of one percent",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                t = 1e-2 * e.abs().max()
                if (e > t).any() and (e < -t).any():
                    return "saddle"
                if (e.abs() <= t).any():
                    return "degenerate"
                return "minimum" if (e > 0).all() else "maximum"
            """,
            hint="small, but above the text's tolerance",
        ),
        wrong(
            "the largest eigenvalue without its absolute value",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                t = 1e-6 * e.max().abs()
                if (e > t).any() and (e < -t).any():
                    return "saddle"
                if (e.abs() <= t).any():
                    return "degenerate"
                return "minimum" if (e > 0).all() else "maximum"
            """,
            hint="belongs to the lowest eigenvalue",
        ),
        wrong(
            "a strict comparison",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                t = 1e-6 * e.abs().max()
                if (e > t).any() and (e < -t).any():
                    return "saddle"
                if (e.abs() < t).any():
                    return "degenerate"
                return "minimum" if (e > 0).all() else "maximum"
            """,
            hint="is your comparison with the tolerance strict",
        ),
        wrong(
            "words of its own",
            """
            def classify_critical_point(hessian):
                e = torch.linalg.eigvalsh(hessian)
                t = 1e-6 * e.abs().max()
                if (e > t).any() and (e < -t).any():
                    return "saddle point"
                if (e.abs() <= t).any():
                    return "flat"
                return "Minimum" if (e > 0).all() else "Maximum"
            """,
            hint="one of the four words of the text",
        ),
    ],
    "condition_number": [
        right(
            "singular values",
            """
            def condition_number(hessian):
                s = torch.linalg.svdvals(hessian)
                return float("inf") if s[-1] == 0 else float(s[0] / s[-1])
            """,
        ),
        right(
            "a tensor without dimensions, whose division by zero is inf",
            """
            def condition_number(hessian):
                size = torch.linalg.eigvalsh(hessian).abs()
                return size.amax() / size.amin()
            """,
        ),
        right(
            "a sorted list",
            """
            def condition_number(hessian):
                sizes = sorted(abs(value) for value in torch.linalg.eigvalsh(hessian).tolist())
                try:
                    return sizes[-1] / sizes[0]
                except ZeroDivisionError:
                    return math.inf
            """,
        ),
        right(
            "NumPy's own",
            """
            import numpy as np

            def condition_number(hessian):
                return np.linalg.cond(hessian.numpy(), 2)
            """,
        ),
        wrong(
            "signed eigenvalues",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian)
                return math.inf if e[0] == 0 else (e[-1] / e[0]).abs().item()
            """,
            hint="Take absolute values",
        ),
        wrong(
            "entries on the diagonal",
            """
            def condition_number(hessian):
                d = hessian.diagonal().abs()
                return math.inf if d.min() == 0 else (d.max() / d.min()).item()
            """,
            hint="not the entries on the diagonal",
        ),
        wrong(
            "upside down",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian).abs()
                return (e.min() / e.max()).item()
            """,
            hint="never below 1",
        ),
        wrong(
            "no answer for a flat direction",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian).abs().tolist()
                return max(e) / min(e)
            """,
            hint="ZeroDivisionError",
        ),
        wrong(
            "the largest eigenvalue alone",
            """
            def condition_number(hessian):
                return torch.linalg.eigvalsh(hessian).abs().max().item()
            """,
            hint="take a ratio of two eigenvalues",
        ),
        wrong(
            "the Frobenius norm",
            """
            def condition_number(hessian):
                return (hessian.norm() * torch.linalg.inv(hessian).norm()).item()
            """,
            hint="has condition number 1, however steep",
        ),
        wrong(
            "singular values squared",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian.T @ hessian)
                return math.inf if e[0] == 0 else (e[-1] / e[0]).item()
            """,
            hint="square of the condition number",
        ),
        wrong(
            "rounded",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian).abs()
                return math.inf if e.min() == 0 else round((e.max() / e.min()).item())
            """,
            hint="Do not round",
        ),
        wrong(
            "infinite for what is only small",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian).abs()
                return math.inf if e.min() < 1e-6 * e.max() else (e.max() / e.min()).item()
            """,
            hint="A tiny eigenvalue is not 0",
        ),
        wrong(
            "in float32",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian.float()).abs()
                return math.inf if e.min() == 0 else (e.max() / e.min()).item()
            """,
            hint="in the precision of the input",
        ),
    ],
    "best_gradient_descent": [
        right(
            "through the condition number, as a list",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                kappa = lambda_max / lambda_min
                return [2.0 / (lambda_min + lambda_max), (kappa - 1) / (kappa + 1)]
            """,
        ),
        right(
            "the rate from its definition",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                middle = (lambda_min + lambda_max) / 2
                lr = 1 / middle
                return lr, max(abs(1 - lr * lambda_min), abs(1 - lr * lambda_max))
            """,
        ),
        right(
            "bisection on where the two terms meet",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                low, high = 1 / lambda_max, 1 / lambda_min
                for _ in range(200):
                    lr = (low + high) / 2
                    if lr * lambda_max - 1 < 1 - lr * lambda_min:
                        low = lr
                    else:
                        high = lr
                return lr, abs(1 - lr * lambda_max)
            """,
        ),
        right(
            "float64 tensors",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                ends = torch.tensor([lambda_min, lambda_max], dtype=torch.float64)
                lr = 1 / ends.mean()
                return lr, (1 - lr * ends).abs().max()
            """,
        ),
        wrong(
            "1 / lambda_max",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                lr = 1 / lambda_max
                return lr, 1 - lr * lambda_min
            """,
            hint="With 1/lambda_max nothing bounces",
        ),
        wrong(
            "2 / lambda_max, the limit",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                return 2 / lambda_max, (lambda_max - lambda_min) / (lambda_max + lambda_min)
            """,
            hint="that is the limit, not the best",
        ),
        wrong(
            "the mean of 1/lambda, not 1/mean",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                lr = (1 / lambda_min + 1 / lambda_max) / 2
                return lr, max(abs(1 - lr * lambda_min), abs(1 - lr * lambda_max))
            """,
            hint="is the same for the smallest and the largest eigenvalue",
        ),
        wrong(
            "half the best learning rate",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                return 1 / (lambda_max + lambda_min), (lambda_max - lambda_min) / (lambda_max + lambda_min)
            """,
            hint="You are off by a factor",
        ),
        wrong(
            "the geometric mean",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                lr = 1 / math.sqrt(lambda_min * lambda_max)
                return lr, max(abs(1 - lr * lambda_min), abs(1 - lr * lambda_max))
            """,
            hint="The geometric mean of the eigenvalues",
        ),
        wrong(
            "the rate first",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                total = lambda_max + lambda_min
                return (lambda_max - lambda_min) / total, 2 / total
            """,
            hint="The learning rate comes first",
        ),
        wrong(
            "the factor on the loss",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                kappa = lambda_max / lambda_min
                return 2 / (lambda_max + lambda_min), ((kappa - 1) / (kappa + 1)) ** 2
            """,
            hint="That is the factor on the loss",
        ),
        wrong(
            "the rate with momentum",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                root = math.sqrt(lambda_max / lambda_min)
                return 2 / (lambda_max + lambda_min), (root - 1) / (root + 1)
            """,
            hint="That is the rate with momentum",
        ),
        wrong(
            "the rate of another learning rate",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                return 2 / (lambda_max + lambda_min), 1 - lambda_min / lambda_max
            """,
            hint="the rate of the learning rate 1/lambda_max",
        ),
        wrong(
            "a whole condition number",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                kappa = lambda_max // lambda_min
                return 2 / (lambda_max + lambda_min), (kappa - 1) / (kappa + 1)
            """,
            hint="need not be an integer",
        ),
        wrong(
            "lambda_min taken for 1",
            """
            def best_gradient_descent(lambda_min, lambda_max):
                return 2 / (lambda_max + 1), (lambda_max - 1) / (lambda_max + 1)
            """,
            hint="is the same for the smallest and the largest eigenvalue",
        ),
    ],
    "newton_step": [
        right(
            "the inverse",
            """
            def newton_step(w, grad, hessian):
                return w - torch.linalg.inv(hessian) @ grad
            """,
        ),
        right(
            "the eigenvectors",
            """
            def newton_step(w, grad, hessian):
                values, vectors = torch.linalg.eigh(hessian)
                return w - vectors @ ((vectors.T @ grad) / values)
            """,
        ),
        right(
            "NumPy and back",
            """
            import numpy as np

            def newton_step(w, grad, hessian):
                return torch.from_numpy(w.numpy() - np.linalg.solve(hessian.numpy(), grad.numpy()))
            """,
        ),
        right(
            "elimination by hand, on copies",
            """
            def newton_step(w, grad, hessian):
                a = [[*row, g] for row, g in zip(hessian.tolist(), grad.tolist())]
                n = len(a)
                for i in range(n):
                    pivot = max(range(i, n), key=lambda r: abs(a[r][i]))
                    a[i], a[pivot] = a[pivot], a[i]
                    for j in range(n):
                        if j != i:
                            factor = a[j][i] / a[i][i]
                            a[j] = [x - factor * y for x, y in zip(a[j], a[i])]
                step = [a[i][n] / a[i][i] for i in range(n)]
                return w - torch.tensor(step, dtype=w.dtype)
            """,
        ),
        right(
            "a copy changed in place",
            """
            def newton_step(w, grad, hessian):
                new = w.clone()
                new -= torch.linalg.solve(hessian, grad[:, None])[:, 0]
                return new
            """,
        ),
        wrong(
            "with the gradient",
            """
            def newton_step(w, grad, hessian):
                return w + torch.linalg.solve(hessian, grad)
            """,
            hint="The sign is wrong",
        ),
        wrong(
            "the step alone",
            """
            def newton_step(w, grad, hessian):
                return -torch.linalg.solve(hessian, grad)
            """,
            hint="Return the new weights, not the step",
        ),
        wrong(
            "times the Hessian",
            """
            def newton_step(w, grad, hessian):
                return w - hessian @ grad
            """,
            hint="You multiplied by the Hessian",
        ),
        wrong(
            "the diagonal alone",
            """
            def newton_step(w, grad, hessian):
                return w - grad / hessian.diagonal()
            """,
            hint="The diagonal is not the whole Hessian",
        ),
        wrong(
            "a gradient step",
            """
            def newton_step(w, grad, hessian):
                return w - grad
            """,
            hint="That is a gradient step",
        ),
        wrong(
            "w changed in place",
            """
            def newton_step(w, grad, hessian):
                w -= torch.linalg.solve(hessian, grad)
                return w
            """,
            hint="Your function changed `w`",
        ),
        wrong(
            "the Hessian changed in place",
            """
            def newton_step(w, grad, hessian):
                hessian.diagonal().add_(1e-12)
                return w - torch.linalg.solve(hessian, grad)
            """,
            hint="Your function changed `hessian`",
        ),
        wrong(
            "absolute eigenvalues, away from saddles",
            """
            def newton_step(w, grad, hessian):
                values, vectors = torch.linalg.eigh(hessian)
                return w - vectors @ ((vectors.T @ grad) / values.abs())
            """,
            hint="Use the eigenvalues with their signs",
        ),
        wrong(
            "Cholesky, for bowls only",
            """
            def newton_step(w, grad, hessian):
                factor = torch.linalg.cholesky(hessian)
                return w - torch.cholesky_solve(grad[:, None], factor)[:, 0]
            """,
            hint="linalg.cholesky",
        ),
        wrong(
            "a pseudo-inverse that drops small eigenvalues",
            """
            def newton_step(w, grad, hessian):
                return w - torch.linalg.pinv(hessian, rtol=1e-4) @ grad
            """,
            hint="drop no small eigenvalue",
        ),
        wrong(
            "a column that broadcasts",
            """
            def newton_step(w, grad, hessian):
                return w - torch.linalg.solve(hessian, grad[:, None])
            """,
            hint="should have the shape",
        ),
    ],
    "hessian_vector_product": [
        right(
            "torch.func: forward over reverse",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.func.jvp(torch.func.grad(loss_fn), (w.detach(),), (v,))[1].detach()
            """,
        ),
        right(
            "torch.func: reverse over reverse",
            """
            from torch.func import grad, vjp

            def hessian_vector_product(loss_fn, w, v):
                _, pull = vjp(grad(loss_fn), w.detach())
                return pull(v)[0]
            """,
        ),
        right(
            "autograd.functional",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.autograd.functional.vhp(loss_fn, w.detach(), v)[1].detach()
            """,
        ),
        right(
            "autograd.functional, the double-backward trick",
            """
            from torch.autograd.functional import hvp

            def hessian_vector_product(loss_fn, w, v):
                _, product = hvp(loss_fn, w.detach().clone(), v)
                return product.detach()
            """,
        ),
        right(
            "the gradient as the vector of a backward pass",
            """
            def hessian_vector_product(loss_fn, w, v):
                x = w.clone().detach()
                x.requires_grad = True
                g = torch.autograd.grad(loss_fn(x), x, create_graph=True)[0]
                if g.grad_fn is None:
                    return torch.zeros_like(v)
                hv = torch.autograd.grad(g, x, grad_outputs=v, allow_unused=True)[0]
                return torch.zeros_like(v) if hv is None else hv
            """,
        ),
        right(
            "backward into a copy's grad",
            """
            def hessian_vector_product(loss_fn, w, v):
                x = w.detach().clone().requires_grad_(True)
                (g,) = torch.autograd.grad(loss_fn(x), x, create_graph=True)
                total = (g * v).sum() + 0 * x.sum()
                total.backward()
                return x.grad
            """,
        ),
        right(
            "the derivative along a line",
            """
            def hessian_vector_product(loss_fn, w, v):
                w = w.detach()
                t = torch.zeros((), dtype=w.dtype)
                along = lambda t: torch.func.grad(loss_fn)(w + t * v)
                return torch.func.jvp(along, (t,), (torch.ones_like(t),))[1]
            """,
        ),
        wrong(
            "a finite difference",
            """
            def hessian_vector_product(loss_fn, w, v):
                gradient = torch.func.grad(loss_fn)
                w = w.detach()
                eps = 1e-6
                return (gradient(w + eps * v) - gradient(w - eps * v)) / (2 * eps)
            """,
            hint="not a difference of two gradients",
        ),
        wrong(
            "the whole Hessian, by torch.func",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.func.hessian(loss_fn)(w.detach()) @ v
            """,
            hint="builds the n x n Hessian",
        ),
        wrong(
            "the whole Hessian, by autograd.functional",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.autograd.functional.hessian(loss_fn, w.detach()) @ v
            """,
            hint="builds the n x n Hessian",
        ),
        wrong(
            "a loop over the rows",
            """
            def hessian_vector_product(loss_fn, w, v):
                w = w.detach().requires_grad_()
                (g,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
                if not g.requires_grad:
                    return torch.zeros_like(v)
                rows = [torch.autograd.grad(entry, w, retain_graph=True)[0] @ v for entry in g]
                return torch.stack(rows)
            """,
            hint="goes through its rows",
        ),
        wrong(
            "multiplied after the second derivative",
            """
            def hessian_vector_product(loss_fn, w, v):
                w = w.detach().requires_grad_()
                (g,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
                if not g.requires_grad:
                    return torch.zeros_like(v)
                return torch.autograd.grad(g.sum(), w)[0] * v
            """,
            hint="before you differentiate it again",
        ),
        wrong(
            "the gradient times v",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.func.grad(loss_fn)(w.detach()) * v
            """,
            hint="That is the gradient times v",
        ),
        wrong(
            "the gradient times w",
            """
            def hessian_vector_product(loss_fn, w, v):
                w = w.detach().requires_grad_()
                (g,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
                return torch.autograd.grad(g @ w, w)[0]
            """,
            hint="Multiply the gradient by v, which is constant",
        ),
        wrong(
            "the point and the direction swapped",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.func.jvp(torch.func.grad(loss_fn), (v,), (w.detach(),))[1].detach()
            """,
            hint="you have the two mixed up",
        ),
        wrong(
            "no graph of the first gradient",
            """
            def hessian_vector_product(loss_fn, w, v):
                w = w.detach().requires_grad_()
                (g,) = torch.autograd.grad(loss_fn(w), w)
                return torch.autograd.grad(g @ v, w)[0]
            """,
            hint="the first gradient must keep its graph",
        ),
        wrong(
            "no zeros for a linear loss",
            """
            def hessian_vector_product(loss_fn, w, v):
                w = w.detach().requires_grad_()
                (g,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
                return torch.autograd.grad(g @ v, w)[0]
            """,
            hint="When the gradient does not depend on w",
        ),
        wrong(
            "None for a linear loss",
            """
            def hessian_vector_product(loss_fn, w, v):
                w = w.detach().requires_grad_()
                (g,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
                return torch.autograd.grad(g @ v, w, allow_unused=True)[0] if g.requires_grad else None
            """,
            hint="When the gradient does not depend on w",
        ),
        wrong(
            "attached when w requires grad",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.func.jvp(torch.func.grad(loss_fn), (w,), (v,))[1]
            """,
            hint="The result still carries a graph",
        ),
        wrong(
            "backward into w.grad",
            """
            def hessian_vector_product(loss_fn, w, v):
                flag = w.requires_grad
                w.requires_grad_(True)
                (g,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
                ((g * v).sum() + 0 * w.sum()).backward()
                w.requires_grad_(flag)
                return w.grad.clone()
            """,
            hint="left something in `w.grad`",
        ),
        wrong(
            "requires_grad switched on",
            """
            def hessian_vector_product(loss_fn, w, v):
                w.requires_grad_()
                (g,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
                if not g.requires_grad:
                    return torch.zeros_like(v)
                return torch.autograd.grad(g @ v, w, materialize_grads=True)[0]
            """,
            hint="switched `w.requires_grad`",
        ),
        wrong(
            "the loss along with the product",
            """
            def hessian_vector_product(loss_fn, w, v):
                return torch.autograd.functional.vhp(loss_fn, w.detach(), v)
            """,
            hint="should be a tensor, but it is a tuple",
        ),
        wrong(
            "in float32",
            """
            def hessian_vector_product(loss_fn, w, v):
                hv = torch.func.jvp(torch.func.grad(loss_fn), (w.detach(),), (v,))[1]
                return hv.detach().float().to(w.dtype)
            """,
            hint="Digits are lost",
        ),
    ],
    "power_iteration": [
        right(
            "the Rayleigh quotient of each step",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.nn.functional.normalize(torch.randn(dim, generator=generator), dim=0)
                value = 0.0
                for _ in range(steps):
                    product = hvp(v)
                    value = torch.dot(v, product)
                    if not product.any():
                        break
                    v = torch.nn.functional.normalize(product, dim=0)
                return value, v
            """,
        ),
        right(
            "in float64, the quotient divided by v @ v",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator, dtype=torch.float64)
                for _ in range(steps):
                    step = hvp(v)
                    largest = step.abs().max()
                    if largest == 0:
                        return 0.0, v / v.norm()
                    v = step / largest
                value = float((v @ hvp(v)) / (v @ v))
                return [value, v / v.norm()]
            """,
        ),
        right(
            "NumPy inside",
            """
            import numpy as np

            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator).numpy()
                v = v / np.linalg.norm(v)
                for _ in range(steps):
                    u = hvp(torch.from_numpy(v)).numpy()
                    if not np.any(u):
                        return 0.0, torch.from_numpy(v)
                    v = u / np.linalg.norm(u)
                return float(v @ hvp(torch.from_numpy(v)).numpy()), torch.from_numpy(v)
            """,
        ),
        right(
            "the sign from the turn of the vector",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.empty(dim).normal_(generator=generator)
                v /= v.norm()
                value = 0.0
                for _ in range(steps):
                    u = hvp(v)
                    length = u.norm().item()
                    if length == 0.0:
                        return 0.0, v
                    value = math.copysign(length, (u @ v).item())
                    v = u / length
                return value, v
            """,
        ),
        wrong(
            "a length for the eigenvalue",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                v = v / v.norm()
                for _ in range(steps):
                    u = hvp(v)
                    if u.norm() == 0:
                        return 0.0, v
                    v = u / u.norm()
                return u.norm().item(), v
            """,
            hint="The sign is lost",
        ),
        wrong(
            "never normalised",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                for _ in range(steps):
                    v = hvp(v)
                return ((v @ hvp(v)) / (v @ v)).item(), v / v.norm()
            """,
            hint="The numbers overflow",
        ),
        wrong(
            "normalised at the end, in float64",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator, dtype=torch.float64)
                for _ in range(steps):
                    u = hvp(v)
                    if not u.any():
                        break
                    v = u
                v = v / v.norm()
                return (v @ hvp(v)).item(), v
            """,
            hint="bring v back to length 1 in every step",
        ),
        wrong(
            "an eigenvector of another length",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                v = v / v.norm()
                for _ in range(steps):
                    u = hvp(v)
                    if u.norm() == 0:
                        return 0.0, v
                    value = (v @ u).item()
                    v = u / u.norm()
                return value, u
            """,
            hint="The eigenvector should have the length 1",
        ),
        wrong(
            "a quotient of a vector that is not of length 1",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                for _ in range(steps):
                    u = hvp(v)
                    if not u.any():
                        break
                    v = u / u.abs().max()
                return (v @ hvp(v)).item(), v / v.norm()
            """,
            hint="with v of length 1, once v has settled",
        ),
        wrong(
            "a start of ones",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.ones(dim) / dim**0.5
                for _ in range(steps):
                    u = hvp(v)
                    if u.norm() == 0:
                        return 0.0, v
                    v = u / u.norm()
                return (v @ hvp(v)).item(), v
            """,
            hint="start from a random vector",
        ),
        wrong(
            "the global generator",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim)
                v = v / v.norm()
                for _ in range(steps):
                    u = hvp(v)
                    if u.norm() == 0:
                        return 0.0, v
                    v = u / u.norm()
                return (v @ hvp(v)).item(), v
            """,
            hint="Draw the start with `generator=generator`",
        ),
        wrong(
            "a generator with a seed of its own",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator.manual_seed(0))
                v = v / v.norm()
                for _ in range(steps):
                    u = hvp(v)
                    if u.norm() == 0:
                        return 0.0, v
                    v = u / u.norm()
                return (v @ hvp(v)).item(), v
            """,
            hint="do not seed it",
        ),
        wrong(
            "fifty steps, whatever is asked",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                v = v / v.norm()
                for _ in range(50):
                    u = hvp(v)
                    if u.norm() == 0:
                        return 0.0, v
                    v = u / u.norm()
                return (v @ hvp(v)).item(), v
            """,
            hint="should follow `steps`",
        ),
        wrong(
            "stopped early",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                v = v / v.norm()
                value = 0.0
                for _ in range(steps):
                    u = hvp(v)
                    if u.norm() == 0:
                        return 0.0, v
                    before, value = value, (v @ u).item()
                    v = u / u.norm()
                    if abs(value - before) < 3e-7 * abs(value):
                        break
                return value, v
            """,
            hint="Take all the `steps`",
        ),
        wrong(
            "two products in each step",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                v = v / v.norm()
                for _ in range(steps):
                    if hvp(v).norm() == 0:
                        return 0.0, v
                    v = hvp(v) / hvp(v).norm()
                return (v @ hvp(v)).item(), v
            """,
            hint="calls hvp more than steps + 1 times",
        ),
        wrong(
            "the whole matrix, column by column",
            """
            def power_iteration(hvp, dim, steps, generator):
                start = torch.randn(dim, generator=generator)
                matrix = torch.stack([hvp(column) for column in torch.eye(dim)])
                values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
                best = values.abs().argmax()
                return values[best].item(), vectors[:, best]
            """,
            hint="builds the whole matrix",
        ),
        wrong(
            "divided by zero on a flat loss",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                v = v / v.norm()
                for _ in range(steps):
                    v = hvp(v)
                    v = v / v.norm()
                return (v @ hvp(v)).item(), v
            """,
            hint="do not divide by its length",
        ),
        wrong(
            "the eigenvector first",
            """
            def power_iteration(hvp, dim, steps, generator):
                v = torch.randn(dim, generator=generator)
                v = v / v.norm()
                for _ in range(steps):
                    u = hvp(v)
                    if u.norm() == 0:
                        return v, 0.0
                    v = u / u.norm()
                return v, (v @ hvp(v)).item()
            """,
            hint="The eigenvalue comes first",
        ),
    ],
}
