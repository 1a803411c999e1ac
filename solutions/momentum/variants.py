"""Right and wrong answers to the assignment `momentum`, on file for `autograde verify`."""

from autograde.variants import right, wrong

# An SGD whose every part is a hole to fill: a variant then shows only what is special about it.
_SGD = """
class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.0, nesterov=False):
        if lr < 0 or momentum < 0 or (nesterov and momentum == 0):
            raise ValueError("bad settings")
        super().__init__(params, dict(lr=lr, momentum=momentum, nesterov=nesterov))
        {init}

    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                lr, momentum, nesterov = {settings}
                for p in group["params"]:
                    {skip}
                    grad = p.grad
                    if momentum:
                        {buffer}
                    {step}
        return loss
"""
_PARTS = {
    "init": "pass",
    "settings": 'group["lr"], group["momentum"], group["nesterov"]',
    "skip": """
        if p.grad is None:
            continue
    """,
    "buffer": """
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p)
        buf = state["momentum_buffer"]
        buf.mul_(momentum).add_(grad)
        grad = grad + momentum * buf if nesterov else buf
    """,
    "step": "p.sub_(lr * grad)",
}


def _sgd(**parts: str) -> str:
    """Return the class with some parts replaced."""
    code = _SGD
    for name, part in {**_PARTS, **parts}.items():
        lines = [line for line in part.splitlines() if line.strip()]
        depth = len(lines[0]) - len(lines[0].lstrip())
        marker = "{" + name + "}"
        column = code.index(marker) - code.rindex("\n", 0, code.index(marker)) - 1
        # The first line stands where the marker was; the others below it.
        code = code.replace(marker, ("\n" + " " * column).join(line[depth:] for line in lines))
    return code


VARIANTS = {
    "momentum_step": [
        right(
            "in place on copies",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = v.clone().mul_(beta).sub_(grad, alpha=lr)
                return w.clone().add_(v), v
            """,
        ),
        right(
            "a list, and PyTorch's buffer inside",
            """
            def momentum_step(w, v, grad, lr, beta):
                buffer = beta * (v / -lr) + grad
                return [w - lr * buffer, -lr * buffer]
            """,
        ),
        right(
            "torch functions",
            """
            def momentum_step(w, v, grad, lr, beta):
                new_v = torch.sub(torch.mul(v, beta), torch.mul(grad, lr))
                new_w = torch.add(w, new_v)
                return new_w, new_v
            """,
        ),
        right(
            "element by element",
            """
            def momentum_step(w, v, grad, lr, beta):
                new_v = torch.empty_like(v)
                for i in range(v.numel()):
                    new_v.view(-1)[i] = beta * v.reshape(-1)[i] - lr * grad.reshape(-1)[i]
                return w + new_v, new_v
            """,
        ),
        wrong(
            "uphill",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v + lr * grad
                return w + v, v
            """,
            hint="the gradient enters with a minus sign",
        ),
        wrong(
            "an average",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v - (1 - beta) * lr * grad
                return w + v, v
            """,
            hint="added up, not averaged: nothing multiplies",
        ),
        wrong(
            "moves by the old step",
            """
            def momentum_step(w, v, grad, lr, beta):
                return w + v, beta * v - lr * grad
            """,
            hint="moved by the old step",
        ),
        wrong(
            "beta forgotten",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = v - lr * grad
                return w + v, v
            """,
            hint="at full length",
        ),
        wrong(
            "no memory",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = -lr * grad
                return w + v, v
            """,
            hint="The step before is lost",
        ),
        wrong(
            "beta on both terms",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * (v - lr * grad)
                return w + v, v
            """,
            hint="Only the step before is multiplied by beta",
        ),
        wrong(
            "learning rate on both terms",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = lr * (beta * v - grad)
                return w + v, v
            """,
            hint="multiplies the gradient only",
        ),
        wrong(
            "PyTorch's buffer returned",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v + grad
                return w - lr * v, v
            """,
            hint="neither the learning rate nor the minus sign",
        ),
        wrong(
            "subtracts the step",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v - lr * grad
                return w - v, v
            """,
            hint="add it to w, do not subtract",
        ),
        wrong(
            "learning rate twice",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v - lr * grad
                return w + lr * v, v
            """,
            hint="already inside v",
        ),
        wrong(
            "beta as what is lost",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = (1 - beta) * v - lr * grad
                return w + v, v
            """,
            hint="not the part lost",
        ),
        wrong(
            "changes its inputs",
            """
            def momentum_step(w, v, grad, lr, beta):
                v *= beta
                v -= lr * grad
                w += v
                return w, v
            """,
            hint="changes a tensor that it was given",
        ),
        wrong(
            "scales the gradient in place",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v - grad.mul_(lr)
                return w + v, v
            """,
            hint="changes a tensor that it was given",
        ),
        wrong(
            "swapped",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v - lr * grad
                return v, w + v
            """,
            hint="Return (w, v) in this order",
        ),
        wrong(
            "weights only",
            """
            def momentum_step(w, v, grad, lr, beta):
                return w + beta * v - lr * grad
            """,
            hint="should be a tuple of 2 values",
        ),
        wrong(
            "everything to float64",
            """
            def momentum_step(w, v, grad, lr, beta):
                v = beta * v.double() - lr * grad.double()
                return w + v, v
            """,
            hint="should keep the dtype",
        ),
    ],
    "nesterov_step": [
        right(
            "from the look-ahead point on",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                ahead = w + beta * v
                correction = lr * grad_fn(ahead.clone())
                return ahead - correction, beta * v - correction
            """,
        ),
        right(
            "by exercise 1",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                g = grad_fn(torch.add(w, v, alpha=beta))
                def step(w, v, g):
                    v = beta * v - lr * g
                    return [w + v, v]
                return step(w, v, g)
            """,
        ),
        right(
            "in place on copies, without gradients",
            """
            @torch.no_grad()
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = v.detach().clone()
                v *= beta
                point = (w + v).requires_grad_()
                g = grad_fn(point)
                v -= lr * g
                w = w.detach().clone()
                w += v
                return w, v
            """,
        ),
        wrong(
            "gradient at w",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = beta * v - lr * grad_fn(w)
                return w + v, v
            """,
            hint="You ask for the gradient at w",
        ),
        wrong(
            "a whole step ahead",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = beta * v - lr * grad_fn(w + v)
                return w + v, v
            """,
            hint="a whole old step ahead",
        ),
        wrong(
            "looks back",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = beta * v - lr * grad_fn(w - beta * v)
                return w + v, v
            """,
            hint="You look back, not ahead",
        ),
        wrong(
            "gradient at the step",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = beta * v - lr * grad_fn(beta * v)
                return w + v, v
            """,
            hint="you asked at the step alone",
        ),
        wrong(
            "two gradients",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                ahead = w + beta * v - lr * grad_fn(w)
                v = beta * v - lr * grad_fn(ahead)
                return w + v, v
            """,
            hint="Call grad_fn exactly once",
        ),
        wrong(
            "the same gradient computed twice",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                ahead = w + beta * v
                return ahead - lr * grad_fn(ahead), beta * v - lr * grad_fn(ahead)
            """,
            hint="Call grad_fn exactly once",
        ),
        wrong(
            "steps from the look-ahead point",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                w = w + beta * v
                v = beta * v - lr * grad_fn(w)
                return w + v, v
            """,
            hint="beta * v counts twice",
        ),
        wrong(
            "uphill",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = beta * v + lr * grad_fn(w + beta * v)
                return w + v, v
            """,
            hint="the gradient enters with a minus sign",
        ),
        wrong(
            "looks ahead, then forgets the step",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = -lr * grad_fn(w + beta * v)
                return w + v, v
            """,
            hint="The step before is lost",
        ),
        wrong(
            "an average",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = beta * v - (1 - beta) * lr * grad_fn(w + beta * v)
                return w + v, v
            """,
            hint="nothing multiplies lr * gradient",
        ),
        wrong(
            "beta twice",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v = beta * v
                v = beta * v - lr * grad_fn(w + v)
                return w + v, v
            """,
            hint="beta multiplies the old v once",
        ),
        wrong(
            "changes its inputs",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                v.mul_(beta)
                v.sub_(lr * grad_fn(w + v))
                return w.add_(v), v
            """,
            hint="changes a tensor that it was given",
        ),
        wrong(
            "keeps the gradient in the caller's tensor",
            """
            def nesterov_step(w, v, grad_fn, lr, beta):
                g = grad_fn(w + beta * v)
                g *= lr
                return w + beta * v - g, beta * v - g
            """,
            hint="changes a tensor that it was given",
        ),
    ],
    "best_heavy_ball": [
        right(
            "through kappa",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                root = (lambda_max / lambda_min) ** 0.5
                rate = (root - 1) / (root + 1)
                lr = (1 + rate) ** 2 / lambda_max
                return lr, rate * rate, rate
            """,
        ),
        right(
            "tensors in float64, and a list",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = torch.tensor([lambda_min, lambda_max], dtype=torch.float64).sqrt()
                s = 2 / (low + high)
                rate = 1 - s * low
                return [s**2, rate**2, rate]
            """,
        ),
        right(
            "bisection, without a formula",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = 0.0, 1.0
                for _ in range(100):
                    q = (low + high) / 2
                    if (1 - q) ** 2 / lambda_min <= (1 + q) ** 2 / lambda_max:
                        high = q
                    else:
                        low = q
                return (1 + high) ** 2 / lambda_max, high**2, high
            """,
        ),
        right(
            "float32",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = torch.tensor(lambda_min).sqrt(), torch.tensor(lambda_max).sqrt()
                rate = (high - low) / (high + low)
                return (4 / (high + low) ** 2).item(), (rate**2).item(), rate.item()
            """,
        ),
        wrong(
            "gradient descent",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                kappa = lambda_max / lambda_min
                return 2 / (lambda_min + lambda_max), 0.0, (kappa - 1) / (kappa + 1)
            """,
            hint="This is the rate of gradient descent",
        ),
        wrong(
            "beta not squared",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                rate = (high - low) / (high + low)
                return 4 / (high + low) ** 2, rate, rate
            """,
            hint="Your equations give sqrt(beta)",
        ),
        wrong(
            "rate squared",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                beta = ((high - low) / (high + low)) ** 2
                return 4 / (high + low) ** 2, beta, beta
            """,
            hint="squared once too often",
        ),
        wrong(
            "ratio upside down",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                root = math.sqrt(lambda_min / lambda_max)
                rate = (root - 1) / (root + 1)
                return 4 / (lambda_min**0.5 + lambda_max**0.5) ** 2, rate**2, rate
            """,
            hint="A rate is never negative",
        ),
        wrong(
            "no roots in beta",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                beta = ((lambda_max - lambda_min) / (lambda_max + lambda_min)) ** 2
                return 4 / (high + low) ** 2, beta, (high - low) / (high + low)
            """,
            hint="Take square roots of the curvatures",
        ),
        wrong(
            "gradient descent's learning rate",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                rate = (high - low) / (high + low)
                return 2 / (lambda_min + lambda_max), rate**2, rate
            """,
            hint="the best learning rate of gradient descent",
        ),
        wrong(
            "learning rate not squared",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                rate = (high - low) / (high + low)
                return 2 / (high + low), rate**2, rate
            """,
            hint="give the square root of lr",
        ),
        wrong(
            "square of a sum as a sum of squares",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                rate = (high - low) / (high + low)
                return 4 / (lambda_max + lambda_min), rate**2, rate
            """,
            hint="is not the sum of the curvatures",
        ),
        wrong(
            "only for lambda_min = 1",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                root = math.sqrt(lambda_max / lambda_min)
                rate = (root - 1) / (root + 1)
                return 4 / (root + 1) ** 2, rate**2, rate
            """,
            hint="Twice the curvatures need half the lr",
        ),
        wrong(
            "another order",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                rate = (high - low) / (high + low)
                return rate, rate**2, 4 / (high + low) ** 2
            """,
            hint="Return (lr, beta, rate) in this order",
        ),
        wrong(
            "fails on a round bowl",
            """
            def best_heavy_ball(lambda_min, lambda_max):
                low, high = lambda_min**0.5, lambda_max**0.5
                q = 1 / ((high + low) / (high - low))
                return 4 / (high + low) ** 2, q**2, q
            """,
            hint="raised ZeroDivisionError",
        ),
    ],
    "momentum_schedule": [
        right(
            "closed form",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 0.5 / (t // 250 + 1), mu_max)
            """,
        ),
        right(
            "tensors in float32",
            """
            def momentum_schedule(t, mu_max):
                stair = torch.floor(torch.tensor(t / 250)) + 1
                mu = 1 - torch.pow(torch.tensor(2.0), -1 - torch.log2(stair))
                return torch.clamp(mu, max=mu_max).item()
            """,
        ),
        right(
            "natural logarithms and an if",
            """
            def momentum_schedule(t, mu_max):
                mu = 1 - math.exp(-math.log(2) - math.log(math.floor(t / 250) + 1))
                if mu > mu_max:
                    return mu_max
                return mu
            """,
        ),
        right(
            "a tensor without dimensions",
            """
            def momentum_schedule(t, mu_max):
                stair = torch.tensor(int(t / 250) + 1, dtype=torch.float64)
                return torch.minimum(1 - 2 ** (-1 - stair.log2()), torch.tensor(mu_max, dtype=torch.float64))
            """,
        ),
        wrong(
            "no floor",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 - math.log2(t / 250 + 1)), mu_max)
            """,
            hint="stays the same for the first 250 updates",
        ),
        wrong(
            "rounded to nearest",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 - math.log2(round(t / 250) + 1)), mu_max)
            """,
            hint="Round t / 250 down, never up",
        ),
        wrong(
            "counted from one",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 - math.log2((t + 1) // 250 + 1)), mu_max)
            """,
            hint="start to count at t = 0",
        ),
        wrong(
            "a stair late",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 - math.log2(max(t - 1, 0) // 250 + 1)), mu_max)
            """,
            hint="The stairs come too late",
        ),
        wrong(
            "natural logarithm",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 - math.log(t // 250 + 1)), mu_max)
            """,
            hint="yours is the natural one",
        ),
        wrong(
            "logarithm of base 10",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 - math.log10(t // 250 + 1)), mu_max)
            """,
            hint="yours has base 10",
        ),
        wrong(
            "no limit",
            """
            def momentum_schedule(t, mu_max):
                return 1 - 2 ** (-1 - math.log2(t // 250 + 1))
            """,
            hint="The momentum passes mu_max",
        ),
        wrong(
            "max for min",
            """
            def momentum_schedule(t, mu_max):
                return max(1 - 2 ** (-1 - math.log2(t // 250 + 1)), mu_max)
            """,
            hint="min takes the smaller",
        ),
        wrong(
            "logarithm outside the exponent",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2**-1 - math.log2(t // 250 + 1), mu_max)
            """,
            hint="The logarithm belongs to the exponent",
        ),
        wrong(
            "the -1 forgotten",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** -math.log2(t // 250 + 1), mu_max)
            """,
            hint="Look at the exponent at t = 0",
        ),
        wrong(
            "+ 1 outside the logarithm",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 - math.log2(t // 250) + 1), mu_max)
            """,
            hint="math domain error",
        ),
        wrong(
            "falls",
            """
            def momentum_schedule(t, mu_max):
                return min(1 - 2 ** (-1 + math.log2(t // 250 + 1)), mu_max)
            """,
            hint="The logarithm is subtracted",
        ),
    ],
    "SGD": [
        right(
            "gradient cloned at the first step",
            _sgd(
                buffer="""
                state = self.state[p]
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = grad.clone()
                else:
                    state["momentum_buffer"].mul_(momentum).add_(grad)
                grad = grad.add(state["momentum_buffer"], alpha=momentum) if nesterov else state["momentum_buffer"]
            """,
                step="p.add_(grad, alpha=-lr)",
            ),
        ),
        right(
            "a new buffer each step",
            _sgd(
                buffer="""
                old = self.state[p].get("momentum_buffer", 0)
                new = momentum * old + grad
                self.state[p]["momentum_buffer"] = new
                if nesterov:
                    grad = grad + momentum * new
                else:
                    grad = new
            """,
                step="p.copy_(p - lr * grad)",
            ),
        ),
        right(
            "a buffer with or without momentum",
            _sgd(
                buffer="pass",
                step="""
                buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buf.copy_(momentum * buf + grad)
                p -= lr * (grad + momentum * buf if nesterov else buf)
            """,
            ),
        ),
        right(
            "decorated, with .data",
            """
            class SGD(torch.optim.Optimizer):
                def __init__(self, params, lr, momentum=0.0, nesterov=False):
                    if not lr >= 0:
                        raise ValueError("lr")
                    if not momentum >= 0:
                        raise ValueError("momentum")
                    if nesterov and momentum <= 0:
                        raise ValueError("nesterov")
                    defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
                    super(SGD, self).__init__(params, defaults)

                @torch.no_grad()
                def step(self, closure=None):
                    loss = None if closure is None else torch.enable_grad()(closure)()
                    for group in self.param_groups:
                        for p in filter(lambda p: p.grad is not None, group["params"]):
                            d = p.grad.data
                            if group["momentum"] != 0:
                                s = self.state[p]
                                s["momentum_buffer"] = (
                                    d.clone()
                                    if "momentum_buffer" not in s
                                    else s["momentum_buffer"] * group["momentum"] + d
                                )
                                b = s["momentum_buffer"]
                                d = d + group["momentum"] * b if group["nesterov"] else b
                            p.data = p.data - group["lr"] * d
                    return loss
            """,
        ),
        right(
            "foreach",
            """
            class SGD(torch.optim.Optimizer):
                def __init__(self, params, lr, momentum=0.0, nesterov=False):
                    if min(lr, momentum) < 0 or nesterov > (momentum > 0):
                        raise ValueError("lr and momentum should not be negative, and nesterov needs momentum")
                    super().__init__(params, dict(lr=lr, momentum=momentum, nesterov=nesterov))

                @torch.no_grad()
                def step(self, closure=None):
                    loss = None
                    if closure:
                        with torch.enable_grad():
                            loss = closure()
                    for group in self.param_groups:
                        params = [p for p in group["params"] if p.grad is not None]
                        if not params:
                            continue
                        moves = [p.grad for p in params]
                        if group["momentum"]:
                            for p in params:
                                if "momentum_buffer" not in self.state[p]:
                                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
                            buffers = [self.state[p]["momentum_buffer"] for p in params]
                            torch._foreach_mul_(buffers, group["momentum"])
                            torch._foreach_add_(buffers, moves)
                            if group["nesterov"]:
                                moves = torch._foreach_add(moves, buffers, alpha=group["momentum"])
                            else:
                                moves = buffers
                        torch._foreach_add_(params, moves, alpha=-group["lr"])
                    return loss
            """,
        ),
        wrong("uphill", _sgd(step="p.add_(lr * grad)"), hint="subtract lr times the gradient"),
        wrong(
            "only the name changes",
            _sgd(step="p = p - lr * grad"),
            hint="The parameter did not change",
        ),
        wrong(
            "recorded by autograd",
            _sgd(
                step="""
                with torch.enable_grad():
                    p -= lr * grad
            """
            ),
            hint="leaf Variable that requires grad",
        ),
        wrong(
            "the lecture's v in the buffer",
            _sgd(
                buffer="""
                    state = self.state[p]
                    v = momentum * state.get("momentum_buffer", 0) - lr * grad
                    state["momentum_buffer"] = v
                    grad = grad + momentum * v / -lr if nesterov else v / -lr
                """
            ),
            hint="The learning rate is outside the buffer",
        ),
        wrong(
            "an average",
            _sgd(
                buffer="""
                    buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    buf.mul_(momentum).add_((1 - momentum) * grad)
                    grad = grad + momentum * buf if nesterov else buf
                """
            ),
            hint="a sum, not an average",
        ),
        wrong(
            "an average after the first step",
            _sgd(
                buffer="""
                    state = self.state[p]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = grad.clone()
                    else:
                        state["momentum_buffer"].mul_(momentum).add_(grad, alpha=1 - momentum)
                    buf = state["momentum_buffer"]
                    grad = grad + momentum * buf if nesterov else buf
                """
            ),
            hint="a sum, not an average",
        ),
        wrong(
            "the buffer does not fade",
            _sgd(
                buffer="""
                    buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    buf.add_(grad)
                    grad = grad + momentum * buf if nesterov else buf
                """
            ),
            hint="multiplied by momentum before the new gradient",
        ),
        wrong(
            "steps with the old buffer",
            _sgd(
                buffer="""
                    state = self.state[p]
                    old = state.get("momentum_buffer", grad)
                    state["momentum_buffer"] = momentum * state.get("momentum_buffer", 0) + grad
                    grad = grad + momentum * old if nesterov else old
                """
            ),
            hint="The step uses the old buffer",
        ),
        wrong(
            "buffers in a list of its own",
            _sgd(
                init="self.buffers = {}",
                buffer="""
                    buf = self.buffers.setdefault(p, torch.zeros_like(p))
                    buf.mul_(momentum).add_(grad)
                    grad = grad + momentum * buf if nesterov else buf
                """,
            ),
            hint='Keep each buffer in self.state[p]["momentum_buffer"]',
        ),
        wrong(
            "one buffer per shape",
            _sgd(
                init="self.shared = {}",
                buffer="""
                    buf = self.shared.setdefault(p.shape, torch.zeros_like(p))
                    self.state[p]["momentum_buffer"] = buf
                    buf.mul_(momentum).add_(grad)
                    grad = grad + momentum * buf if nesterov else buf
                """,
            ),
            hint="Each parameter needs a buffer of its own",
        ),
        wrong(
            "nesterov ignored",
            _sgd(settings='group["lr"], group["momentum"], False'),
            hint="nesterov=True changes nothing",
        ),
        wrong(
            "nesterov with the old buffer",
            _sgd(
                buffer="""
                    buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    ahead = grad + momentum * buf
                    buf.mul_(momentum).add_(grad)
                    grad = ahead if nesterov else buf
                """
            ),
            hint="times the new buffer, not the old one",
        ),
        wrong(
            "nesterov without the gradient",
            _sgd(
                buffer="""
                    buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    buf.mul_(momentum).add_(grad)
                    grad = momentum * buf if nesterov else buf
                """
            ),
            hint="The gradient itself is missing",
        ),
        wrong(
            "nesterov with momentum on the gradient",
            _sgd(
                buffer="""
                    buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    buf.mul_(momentum).add_(grad)
                    grad = buf + momentum * grad if nesterov else buf
                """
            ),
            hint="momentum multiplies the buffer, not the grad",
        ),
        wrong(
            "nesterov added to p.grad",
            _sgd(
                buffer="""
                    buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    buf.mul_(momentum).add_(grad)
                    grad = grad.add_(buf, alpha=momentum) if nesterov else buf
                """
            ),
            hint="Your step changes p.grad",
        ),
        wrong(
            "learning rate kept from the start",
            _sgd(init="self.lr = lr", settings='self.lr, group["momentum"], group["nesterov"]'),
            hint="A scheduler changes",
        ),
        wrong(
            "momentum kept from the start",
            _sgd(init="self.momentum = momentum", settings='group["lr"], self.momentum, group["nesterov"]'),
            hint='does not follow a change of group["momentum"]',
        ),
        wrong(
            "every group takes the first one's settings",
            _sgd(settings='(self.param_groups[0][k] for k in ("lr", "momentum", "nesterov"))'),
            hint="Every group has its own",
        ),
        wrong(
            "None forgotten",
            _sgd(
                skip="pass",
                buffer="""
                buf = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buf.mul_(momentum).add_(grad)
                grad = grad + momentum * buf if nesterov else buf
            """,
            ),
            hint="Skip a parameter whose gradient is None",
        ),
        wrong(
            "None taken for zero",
            _sgd(
                skip="""
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
            """
            ),
            hint="its old buffer must not move it",
        ),
        wrong(
            "stops at the first None",
            _sgd(
                skip="""
                if any(q.grad is None for q in group["params"]):
                    break
            """
            ),
            hint="and only those",
        ),
        wrong(
            "a buffer for everyone from the start",
            _sgd(
                skip="""
                if momentum:
                    self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                if p.grad is None:
                    continue
            """
            ),
            hint="never had a gradient should have no buffer",
        ),
        wrong(
            "the gradient kept as the buffer",
            _sgd(
                buffer="""
                    state = self.state[p]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = grad
                    else:
                        state["momentum_buffer"].mul_(momentum).add_(grad)
                    buf = state["momentum_buffer"]
                    grad = grad + momentum * buf if nesterov else buf
                """
            ),
            hint="Your buffer is the tensor p.grad itself",
        ),
        wrong(
            "scales p.grad",
            _sgd(step="p.sub_(grad.clone().mul_(lr)); p.grad.mul_(lr)"),
            hint="Your step changes p.grad",
        ),
        wrong(
            "a flag for the first step",
            _sgd(
                init="self.started = set()",
                buffer="""
                    state = self.state[p]
                    if p not in self.started:
                        state["momentum_buffer"] = grad.clone()
                        self.started.add(p)
                    else:
                        state["momentum_buffer"].mul_(momentum).add_(grad)
                    buf = state["momentum_buffer"]
                    grad = grad + momentum * buf if nesterov else buf
                """,
            ),
            hint="After load_state_dict, training goes on otherwise",
        ),
        wrong(
            "closure never called",
            _sgd().replace("if closure is not None:", "if False:"),
            hint="Call the closure once in a step",
        ),
        wrong(
            "closure without gradients",
            _sgd().replace("with torch.enable_grad():", "with torch.no_grad():"),
            hint="Call the closure with gradients enabled",
        ),
        wrong(
            "closure's loss not returned",
            _sgd().replace("return loss", "return None"),
            hint="should return the loss",
        ),
        wrong(
            "settings not checked",
            _sgd().replace("lr < 0 or momentum < 0 or (nesterov and momentum == 0)", "False"),
            hint="A negative lr should raise a ValueError",
        ),
        wrong(
            "nesterov not checked",
            _sgd().replace(" or (nesterov and momentum == 0)", ""),
            hint="nesterov=True without momentum should raise",
        ),
        wrong(
            "assert for raise",
            _sgd().replace('raise ValueError("bad settings")', "raise AssertionError"),
            hint="yours raised AssertionError",
        ),
        wrong(
            "beta for the name of momentum",
            _sgd(settings='group["lr"], group["beta"], group["nesterov"]').replace(
                "momentum=momentum,", "beta=momentum,"
            ),
            hint="read it from the group in each step too",
        ),
        wrong(
            "no optimizer at all",
            _sgd()
            .replace("torch.optim.Optimizer", "object")
            .replace(
                "super().__init__(params, dict(lr=lr, momentum=momentum, nesterov=nesterov))",
                "self.params, self.lr = list(params), lr",
            ),
            hint="object has no attribute",
        ),
    ],
}
