"""Right and wrong answers to the assignment `adam`, on file for `autograde verify`."""

from autograde.variants import right, wrong

# An Adam whose every part is a hole to fill: a variant then shows only what is special about it.
_ADAM = """
class Adam(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, maximize=False):
        {check}
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=0, amsgrad=amsgrad, maximize=maximize)
        super().__init__(params, defaults)
        {init}

    def step(self, closure=None):
        loss = None
        {closure}
        with torch.no_grad():
            {begin}
            for group in self.param_groups:
                lr, (beta1, beta2), eps, amsgrad, maximize = {settings}
                for p in group["params"]:
                    {skip}
                    {grad}
                    state = self.state[p]
                    {state}
                    {count}
                    {averages}
                    {largest}
                    {step}
        return loss
"""
_PARTS = {
    "check": """
        if lr < 0 or eps < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError("bad settings")
    """,
    "init": "pass",
    "closure": """
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
    """,
    "begin": "pass",
    "settings": 'group["lr"], group["betas"], group["eps"], group["amsgrad"], group["maximize"]',
    "skip": """
        if p.grad is None:
            continue
    """,
    "grad": "grad = -p.grad if maximize else p.grad",
    "state": """
        if len(state) == 0:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
            if amsgrad:
                state["max_exp_avg_sq"] = torch.zeros_like(p)
    """,
    "count": """
        state["step"] += 1
        i = int(state["step"])
    """,
    "averages": """
        m, s = state["exp_avg"], state["exp_avg_sq"]
        m.mul_(beta1).add_(grad, alpha=1 - beta1)
        s.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    """,
    "largest": """
        if amsgrad:
            state["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], s)
            s = state["max_exp_avg_sq"]
    """,
    "step": """
        m_hat, s_hat = m / (1 - beta1**i), s / (1 - beta2**i)
        p -= lr * m_hat / (s_hat.sqrt() + eps)
    """,
}


def _adam(**parts: str) -> str:
    """Return the class with some parts replaced."""
    code = _ADAM
    for name, part in {**_PARTS, **parts}.items():
        lines = [line for line in part.splitlines() if line.strip()]
        depth = len(lines[0]) - len(lines[0].lstrip())
        marker = "{" + name + "}"
        column = code.index(marker) - code.rindex("\n", 0, code.index(marker)) - 1
        # The first line stands where the marker was; the others below it.
        code = code.replace(marker, ("\n" + " " * column).join(line[depth:] for line in lines))
    return code


_ERRORS = """
    if step < 1:
        raise ValueError("step counts from 1")
    if not 0 <= beta < 1:
        raise ValueError("beta should be at least 0 and below 1")
"""


def _correction(line: str, errors: str = _ERRORS) -> str:
    """Return an answer to the first exercise."""
    return f"def bias_correction(beta, step):\n{errors.strip(chr(10))}\n    {line}\n"


def _rmsprop(average: str = "beta * s + (1 - beta) * grad**2", step: str = "lr * grad / (s.sqrt() + eps)") -> str:
    """Return an answer to the second exercise."""
    return f"def rmsprop_step(w, grad, s, lr, beta, eps):\n    s = {average}\n    return w - {step}, s\n"


_STEP = """
def adam_step(w, grad, m, s, step, lr, betas, eps):
    beta1, beta2 = betas
    {m}
    {s}
    {hats}
    return w - {move}, m, s
"""


def _step(
    m: str = "m = beta1 * m + (1 - beta1) * grad",
    s: str = "s = beta2 * s + (1 - beta2) * grad**2",
    hats: str = "m_hat, s_hat = m / (1 - beta1**step), s / (1 - beta2**step)",
    move: str = "lr * m_hat / (s_hat.sqrt() + eps)",
) -> str:
    """Return an answer to the third exercise."""
    return _STEP.replace("{m}", m).replace("{s}", s).replace("{hats}", hats).replace("{move}", move)


VARIANTS = {
    "bias_correction": [
        right("as a sum", _correction("return sum((1 - beta) * beta**k for k in range(step))")),
        right("by logarithms", _correction("return -math.expm1(step * math.log(beta)) if beta else 1.0")),
        right(
            "by the average of ones",
            """
            def bias_correction(beta, step):
                if step <= 0 or beta < 0 or beta >= 1:
                    raise ValueError("no such average")
                average = 0.0
                for _ in range(step):
                    average = beta * average + (1 - beta)
                return average
            """,
        ),
        right("as a tensor", _correction("return 1 - torch.tensor(beta, dtype=torch.float64) ** step")),
        wrong("one divided by it", _correction("return 1 / (1 - beta**step)"), hint="not one divided by it"),
        wrong("counts from 0", _correction("return 1 - beta ** (step - 1)"), hint="yours is one less"),
        wrong("counts one more", _correction("return 1 - beta ** (step + 1)"), hint="yours is one more"),
        wrong("what is missing", _correction("return beta**step"), hint="subtract it from 1"),
        wrong("times the step", _correction("return 1 - beta * step"), hint="not multiplied by it"),
        wrong("the step ignored", _correction("return 1 - beta"), hint="The step does not enter"),
        wrong("base and power swapped", _correction("return 1 - step**beta"), hint="not the other way round"),
        wrong("nothing returned", _correction("1 - beta**step"), hint="but it is None"),
        wrong("the visible cases", _correction("return 0.5 if step == 1 else 0.271"), hint="add up to it"),
        wrong("no errors", _correction("return 1 - beta**step", "    pass"), hint="A step below 1 should raise"),
        wrong(
            "0 allowed",
            _correction("return 1 - beta**step", _ERRORS.replace("step < 1", "step < 0")),
            hint="A step below 1 should raise",
        ),
        wrong(
            "beta 1 allowed",
            _correction("return 1 - beta**step", _ERRORS.replace("beta < 1", "beta <= 1")),
            hint="of 1 or above should raise",
        ),
        wrong(
            "beta 0 refused",
            _correction("return 1 - beta**step", _ERRORS.replace("0 <= beta", "0 < beta")),
            hint="beta should be at least 0",
        ),
        wrong("in float32", _correction("return (1 - torch.tensor(beta) ** step).item()"), hint="add up to it"),
    ],
    "rmsprop_step": [
        right("as the formula", _rmsprop()),
        right(
            "in place on copies",
            """
            def rmsprop_step(w, grad, s, lr, beta, eps):
                s = s.clone().mul_(beta).addcmul_(grad, grad, value=1 - beta)
                return w.clone().addcdiv_(grad, s.sqrt().add_(eps), value=-lr), s
            """,
        ),
        right(
            "with lerp, as a list",
            """
            def rmsprop_step(w, grad, s, lr, beta, eps):
                s = torch.lerp(s, grad * grad, 1 - beta)
                return [w - grad * (lr / (torch.sqrt(s) + eps)), s]
            """,
        ),
        wrong("epsilon inside", _rmsprop(step="lr * grad / (s + eps).sqrt()"), hint="Epsilon is inside of the root"),
        wrong("reversed beta", _rmsprop("(1 - beta) * s + beta * grad**2"), hint="you have it reversed"),
        wrong("a sum", _rmsprop("s + grad**2"), hint="that is Adagrad"),
        wrong("the square whole", _rmsprop("beta * s + grad**2"), hint="an average, not a sum"),
        wrong("the old average whole", _rmsprop("s + (1 - beta) * grad**2"), hint="in yours it stays whole"),
        wrong(
            "no square",
            _rmsprop("beta * s + (1 - beta) * grad", "lr * grad / (s.abs().sqrt() + eps)"),
            hint="The gradient is squared",
        ),
        wrong("absolute values", _rmsprop("beta * s + (1 - beta) * grad.abs()"), hint="not its absolute value"),
        wrong(
            "one average for all", _rmsprop("beta * s + (1 - beta) * (grad**2).mean()"), hint="take no mean over them"
        ),
        wrong(
            "the old average below",
            """
            def rmsprop_step(w, grad, s, lr, beta, eps):
                return w - lr * grad / (s.sqrt() + eps), beta * s + (1 - beta) * grad**2
            """,
            hint="The step uses the old s",
        ),
        wrong("no root", _rmsprop(step="lr * grad / (s + eps)"), hint="Divide by the root of s"),
        wrong("no epsilon", _rmsprop(step="lr * grad / s.sqrt()"), hint="Epsilon is missing"),
        wrong("uphill", _rmsprop(step="-lr * grad / (s.sqrt() + eps)"), hint="The step goes downhill"),
        wrong("no learning rate", _rmsprop(step="grad / (s.sqrt() + eps)"), hint="The learning rate is missing"),
        wrong(
            "corrected", _rmsprop(step="lr * grad / ((s / (1 - beta)).sqrt() + eps)"), hint="RMSProp has no correction"
        ),
        wrong(
            "the average gradient",
            _rmsprop(step="lr * (1 - beta) * grad / (s.sqrt() + eps)"),
            hint="the gradient enters whole",
        ),
        wrong(
            "swapped",
            _rmsprop().replace("(s.sqrt() + eps), s", "(s.sqrt() + eps)").replace("return w", "return s, w"),
            hint="the new weights come first",
        ),
        wrong(
            "the old average returned",
            """
            def rmsprop_step(w, grad, s, lr, beta, eps):
                new = beta * s + (1 - beta) * grad**2
                return w - lr * grad / (new.sqrt() + eps), s
            """,
            hint="return the new average",
        ),
        wrong(
            "only the weights",
            """
            def rmsprop_step(w, grad, s, lr, beta, eps):
                s = beta * s + (1 - beta) * grad**2
                return w - lr * grad / (s.sqrt() + eps)
            """,
            hint="should be a tuple of 2 values",
        ),
        wrong(
            "in place",
            """
            def rmsprop_step(w, grad, s, lr, beta, eps):
                s.mul_(beta).addcmul_(grad, grad, value=1 - beta)
                return w - lr * grad / (s.sqrt() + eps), s
            """,
            hint="changes a tensor that it was given",
        ),
        wrong(
            "squares the gradient in place",
            """
            def rmsprop_step(w, grad, s, lr, beta, eps):
                g = grad.clone()
                s = beta * s + (1 - beta) * grad.pow_(2)
                return w - lr * g / (s.sqrt() + eps), s
            """,
            hint="changes a tensor that it was given",
        ),
        wrong("nothing at all", "def rmsprop_step(w, grad, s, lr, beta, eps):\n    pass\n", hint="but it is None"),
    ],
    "adam_step": [
        right("as the formulas", _step()),
        right(
            "in place on copies",
            """
            def adam_step(w, grad, m, s, step, lr, betas, eps):
                m = m.clone().lerp_(grad, 1 - betas[0])
                s = s.clone().mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
                denominator = (s / (1 - betas[1] ** step)).sqrt_().add_(eps)
                return torch.addcdiv(w, m, denominator, value=-lr / (1 - betas[0] ** step)), m, s
            """,
        ),
        right(
            "the correction in the learning rate",
            _step(
                hats="c1, c2 = 1 - beta1**step, math.sqrt(1 - beta2**step)",
                move="lr * c2 / c1 * m / (s.sqrt() + eps * c2)",
            ),
        ),
        right(
            "with a function inside, as a list",
            """
            def adam_step(w, grad, m, s, step, lr, betas, eps):
                def mixed(old, new, beta):
                    return old * beta + new * (1.0 - beta)

                m, s = mixed(m, grad, betas[0]), mixed(s, grad.square(), betas[1])
                m_hat, s_hat = (a / (1.0 - b ** float(step)) for a, b in zip((m, s), betas))
                return [w - m_hat.mul(lr).div(s_hat.sqrt().add(eps)), m, s]
            """,
        ),
        wrong("epsilon inside", _step(move="lr * m_hat / (s_hat + eps).sqrt()"), hint="Epsilon is inside of the root"),
        wrong("no correction", _step(hats="m_hat, s_hat = m, s"), hint="Neither average is corrected"),
        wrong("m alone corrected", _step(hats="m_hat, s_hat = m / (1 - beta1**step), s"), hint="s is not corrected"),
        wrong("s alone corrected", _step(hats="m_hat, s_hat = m, s / (1 - beta2**step)"), hint="m is not corrected"),
        wrong(
            "the power of the step before",
            _step(hats="m_hat, s_hat = m / (1 - beta1 ** max(step - 1, 1)), s / (1 - beta2 ** max(step - 1, 1))"),
            hint="not step - 1",
        ),
        wrong(
            "the power of the next step",
            _step(hats="m_hat, s_hat = m / (1 - beta1 ** (step + 1)), s / (1 - beta2 ** (step + 1))"),
            hint="m-hat is the gradient",
        ),
        wrong(
            "no power",
            _step(hats="m_hat, s_hat = m / (1 - beta1), s / (1 - beta2)"),
            hint="yours is that of the first step",
        ),
        wrong(
            "times the step",
            _step(hats="m_hat, s_hat = m / (1 - beta1 * step), (s / (1 - beta2 * step)).abs()"),
            hint="not beta times step",
        ),
        wrong(
            "betas swapped in the correction",
            _step(hats="m_hat, s_hat = m / (1 - beta2**step), s / (1 - beta1**step)"),
            hint="m-hat is the gradient",
        ),
        wrong(
            "betas swapped",
            _step().replace("beta1, beta2 = betas", "beta2, beta1 = betas"),
            hint="m takes the first of the two betas",
        ),
        wrong("m reversed", _step(m="m = (1 - beta1) * m + beta1 * grad"), hint="you have it reversed"),
        wrong("s reversed", _step(s="s = (1 - beta2) * s + beta2 * grad**2"), hint="you have it reversed"),
        wrong("m a sum", _step(m="m = beta1 * m + grad"), hint="m is an average, not a sum"),
        wrong("s a sum", _step(s="s = beta2 * s + grad**2"), hint="s is an average, not a sum"),
        wrong(
            "s without the square",
            _step(s="s = beta2 * s + (1 - beta2) * grad.abs()"),
            hint="that is its absolute value",
        ),
        wrong("s of m", _step(s="s = beta2 * s + (1 - beta2) * m**2"), hint="of the gradient, not of m"),
        wrong("centered", _step(s="s = beta2 * s + (1 - beta2) * (grad - m) ** 2"), hint="s is uncentered"),
        wrong(
            "one s for all",
            _step(s="s = beta2 * s + (1 - beta2) * (grad**2).mean()"),
            hint="take no mean over the weights",
        ),
        wrong(
            "one divisor for all", _step(move="lr * m_hat / (s_hat.mean().sqrt() + eps)"), hint="m-hat is the gradient"
        ),
        wrong(
            "the norm of the whole", _step(move="lr * m_hat / (s_hat.sum().sqrt() + eps)"), hint="m-hat is the gradient"
        ),
        wrong(
            "corrected averages returned",
            _step(hats="m, s = m / (1 - beta1**step), s / (1 - beta2**step)", move="lr * m / (s.sqrt() + eps)"),
            hint="m is returned without the correction",
        ),
        wrong(
            "s returned corrected",
            _step(
                hats="m_hat = m / (1 - beta1**step)\n    s = s / (1 - beta2**step)",
                move="lr * m_hat / (s.sqrt() + eps)",
            ),
            hint="s is returned without the correction",
        ),
        wrong(
            "epsilon before the correction",
            _step(hats="c2 = math.sqrt(1 - beta2**step)", move="lr * m / (1 - beta1**step) / ((s.sqrt() + eps) / c2)"),
            hint="m-hat is the gradient",
        ),
        wrong("the gradient above", _step(move="lr * grad / (s_hat.sqrt() + eps)"), hint="m-hat takes its place"),
        wrong("no root", _step(move="lr * m_hat / (s_hat + eps)"), hint="m-hat is the gradient"),
        wrong("no epsilon", _step(move="lr * m_hat / s_hat.sqrt()"), hint="m-hat is the gradient"),
        wrong("uphill", _step(move="-lr * m_hat / (s_hat.sqrt() + eps)"), hint="The step goes downhill"),
        wrong("no learning rate", _step(move="m_hat / (s_hat.sqrt() + eps)"), hint="The learning rate is missing"),
        wrong(
            "order",
            _step().replace(
                "return w - lr * m_hat / (s_hat.sqrt() + eps), m, s",
                "return w - lr * m_hat / (s_hat.sqrt() + eps), s, m",
            ),
            hint="yours has s in the place of m",
        ),
        wrong(
            "in place",
            _step(m="m.mul_(beta1).add_((1 - beta1) * grad)", s="s.mul_(beta2).add_((1 - beta2) * grad**2)"),
            hint="changes a tensor that it was given",
        ),
        wrong(
            "weights in place",
            _step().replace("return w - ", "w -= ").replace(" + eps), m, s", " + eps)\n    return w, m, s"),
            hint="changes a tensor that it was given",
        ),
        wrong(
            "float32 inside", _step(move="(lr * m_hat / (s_hat.sqrt() + eps)).float()"), hint="m-hat is the gradient"
        ),
        wrong(
            "nothing at all", "def adam_step(w, grad, m, s, step, lr, betas, eps):\n    pass\n", hint="but it is None"
        ),
        wrong("the averages forgotten", _step().replace(", m, s\n", "\n"), hint="should be a tuple of 3 values"),
    ],
    "Adam": [
        right("as the formulas", _adam()),
        right(
            "the step as a tensor, with addcdiv",
            _adam(
                state="""
                if "exp_avg" not in state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    state["max_exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                """,
                count="""
                state["step"] += 1
                i = state["step"].item()
                """,
                step="""
                denominator = (s.sqrt() / math.sqrt(1 - beta2**i)).add_(eps)
                p.addcdiv_(m, denominator, value=-lr / (1 - beta1**i))
                """,
            ),
        ),
        right(
            "new tensors in each step",
            _adam(
                averages="""
                m = beta1 * state["exp_avg"] + (1 - beta1) * grad
                s = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad**2
                state["exp_avg"], state["exp_avg_sq"] = m, s
                """,
                step="p.copy_(p - lr * (m / (1 - beta1**i)) / ((s / (1 - beta2**i)) ** 0.5 + eps))",
            ),
        ),
        right(
            "decorated, with .data",
            """
            class Adam(torch.optim.Optimizer):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, maximize=False):
                    if not lr >= 0.0:
                        raise ValueError("lr")
                    if not eps >= 0.0:
                        raise ValueError("eps")
                    for beta in betas:
                        if not 0.0 <= beta < 1.0:
                            raise ValueError("betas")
                    defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0}
                    defaults.update(amsgrad=amsgrad, maximize=maximize)
                    super(Adam, self).__init__(params, defaults)

                @torch.no_grad()
                def step(self, closure=None):
                    loss = None if closure is None else torch.enable_grad()(closure)()
                    for group in self.param_groups:
                        b1, b2 = group["betas"]
                        for p in filter(lambda p: p.grad is not None, group["params"]):
                            g, k = p.grad.data, self.state[p]
                            g = g.neg() if group["maximize"] else g
                            k["step"] = k.get("step", 0) + 1
                            t = float(k["step"])
                            k["exp_avg"] = b1 * k.get("exp_avg", 0) + (1 - b1) * g
                            k["exp_avg_sq"] = b2 * k.get("exp_avg_sq", 0) + (1 - b2) * g * g
                            v = k["exp_avg_sq"]
                            if group["amsgrad"]:
                                v = k["max_exp_avg_sq"] = torch.maximum(k.get("max_exp_avg_sq", v), v)
                            root = (v / (1 - b2**t)).sqrt() + group["eps"]
                            p.data -= group["lr"] * k["exp_avg"] / (1 - b1**t) / root
                    return loss
            """,
        ),
        right(
            "foreach",
            """
            class Adam(torch.optim.Optimizer):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, maximize=False):
                    if min(lr, eps, *betas) < 0 or max(betas) >= 1:
                        raise ValueError("bad settings")
                    flags = dict(weight_decay=0, amsgrad=amsgrad, maximize=maximize)
                    super().__init__(params, dict(lr=lr, betas=betas, eps=eps, **flags))

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
                        b1, b2 = group["betas"]
                        for p in params:
                            if not self.state[p]:
                                zeros = [torch.zeros_like(p) for _ in range(3)]
                                names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
                                self.state[p].update(zip(names, zeros), step=0)
                            self.state[p]["step"] = int(self.state[p]["step"]) + 1
                        grads = [-p.grad if group["maximize"] else p.grad for p in params]
                        ms = [self.state[p]["exp_avg"] for p in params]
                        ss = [self.state[p]["exp_avg_sq"] for p in params]
                        torch._foreach_mul_(ms, b1)
                        torch._foreach_add_(ms, grads, alpha=1 - b1)
                        torch._foreach_mul_(ss, b2)
                        torch._foreach_addcmul_(ss, grads, grads, 1 - b2)
                        if group["amsgrad"]:
                            tops = [self.state[p]["max_exp_avg_sq"] for p in params]
                            torch._foreach_maximum_(tops, ss)
                            ss = tops
                        steps = [self.state[p]["step"] for p in params]
                        roots = torch._foreach_sqrt(ss)
                        torch._foreach_div_(roots, [math.sqrt(1 - b2**i) for i in steps])
                        torch._foreach_add_(roots, group["eps"])
                        moves = torch._foreach_div(ms, roots)
                        torch._foreach_mul_(moves, [-group["lr"] / (1 - b1**i) for i in steps])
                        torch._foreach_add_(params, moves)
                    return loss
            """,
        ),
        wrong(
            "PyTorch's class as base",
            """
            class Adam(torch.optim.Adam):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, maximize=False):
                    super().__init__(params, lr=lr, betas=betas, eps=eps, amsgrad=amsgrad, maximize=maximize)
            """,
            hint="leaves the work to an optimizer of PyTorch's",
        ),
        wrong("the name alone", "Adam = torch.optim.Adam\n", hint="leaves the work to an optimizer of PyTorch's"),
        wrong(
            "PyTorch's optimizer inside",
            """
            class Adam(torch.optim.Optimizer):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, maximize=False):
                    self.inner = torch.optim.Adam(params, lr, betas, eps, amsgrad=amsgrad, maximize=maximize)
                    self.param_groups, self.state, self.defaults = self.inner.param_groups, self.inner.state, {}

                def step(self, closure=None):
                    return self.inner.step(closure)
            """,
            hint="leaves the work to an optimizer of PyTorch's",
        ),
        wrong(
            "PyTorch's function for the step",
            _adam(
                step="""
                from torch.optim.adam import adam
                adam([p], [grad], [m], [s], [], [torch.tensor(float(i - 1))], amsgrad=False, beta1=beta1, beta2=beta2,
                     lr=lr, weight_decay=0, eps=eps, maximize=False)
                """
            ),
            hint="leaves the work to an optimizer of PyTorch's",
        ),
        wrong(
            "epsilon inside",
            _adam(step="p -= lr * (m / (1 - beta1**i)) / (s / (1 - beta2**i) + eps).sqrt()"),
            hint="Epsilon is inside of the root",
        ),
        wrong("no correction", _adam(step="p -= lr * m / (s.sqrt() + eps)"), hint="are not corrected"),
        wrong(
            "s not corrected", _adam(step="p -= lr * m / (1 - beta1**i) / (s.sqrt() + eps)"), hint="s is not corrected"
        ),
        wrong(
            "m not corrected",
            _adam(step="p -= lr * m / ((s / (1 - beta2**i)).sqrt() + eps)"),
            hint="m is not corrected",
        ),
        wrong(
            "uphill",
            _adam(step="p += lr * (m / (1 - beta1**i)) / ((s / (1 - beta2**i)).sqrt() + eps)"),
            hint="The step goes downhill",
        ),
        wrong(
            "only the name changes",
            _adam(step="p = p - lr * (m / (1 - beta1**i)) / ((s / (1 - beta2**i)).sqrt() + eps)"),
            hint="The parameter did not change",
        ),
        wrong(
            "recorded by autograd",
            _adam(
                step="""
                with torch.enable_grad():
                    p -= lr * (m / (1 - beta1**i)) / ((s / (1 - beta2**i)).sqrt() + eps)
                """
            ),
            hint="leaf Variable that requires grad",
        ),
        wrong(
            "the first step counted twice",
            _adam(count='state["step"] += 1\ni = int(state["step"]) + 1'),
            hint="the powers in the correction are 1: yours are 2",
        ),
        wrong(
            "the count stands still", _adam(count='state["step"] += 1\ni = 1'), hint="count the steps of the parameter"
        ),
        wrong(
            "corrected averages kept",
            _adam(
                step="""
                state["exp_avg"], state["exp_avg_sq"] = m / (1 - beta1**i), s / (1 - beta2**i)
                p -= lr * state["exp_avg"] / (state["exp_avg_sq"].sqrt() + eps)
                """
            ),
            hint='"exp_avg" is (1 - beta1) times the gradient',
        ),
        wrong(
            "averages begin anew",
            _adam(
                averages="""
                m, s = (1 - beta1) * grad, (1 - beta2) * grad**2
                state["exp_avg"], state["exp_avg_sq"] = m, s
                """
            ),
            hint="The second step is wrong",
        ),
        wrong(
            "one count for all",
            _adam(
                init="self.i = 0",
                begin="self.i += 1",
                count="""
                state["step"] += 1
                i = self.i
                """,
            ),
            hint="its own count of steps stands still",
        ),
        wrong(
            "counts without a gradient",
            _adam(
                skip="""
                if p.grad is None:
                    if "step" in self.state[p]:
                        self.state[p]["step"] += 1
                    continue
                """
            ),
            hint="its own count of steps stands still",
        ),
        wrong(
            "None taken for zero",
            _adam(
                skip="""
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
                """
            ),
            hint="is skipped whole",
        ),
        wrong("None forgotten", _adam(skip="pass"), hint="Skip a parameter whose gradient is None"),
        wrong(
            "zero gradients skipped",
            _adam(
                skip="""
                if p.grad is None or not p.grad.any():
                    continue
                """
            ),
            hint="A gradient of zeros is a gradient",
        ),
        wrong(
            "learning rate kept from the start",
            _adam(
                init="self.lr = lr",
                settings='self.lr, group["betas"], group["eps"], group["amsgrad"], group["maximize"]',
            ),
            hint="A scheduler changes",
        ),
        wrong(
            "betas kept from the start",
            _adam(
                init="self.betas = betas",
                settings='group["lr"], self.betas, group["eps"], group["amsgrad"], group["maximize"]',
            ),
            hint="OneCycleLR changes",
        ),
        wrong(
            "every group takes the first one's settings",
            _adam(settings='(self.param_groups[0][k] for k in ("lr", "betas", "eps", "amsgrad", "maximize"))'),
            hint="Every group has its own settings",
        ),
        wrong(
            "eps kept from the start",
            _adam(
                init="self.eps = eps",
                settings='group["lr"], group["betas"], self.eps, group["amsgrad"], group["maximize"]',
            ),
            hint="Every group has its own settings",
        ),
        wrong(
            "amsgrad ignored",
            _adam(settings='group["lr"], group["betas"], group["eps"], False, group["maximize"]'),
            hint="amsgrad=True changes nothing",
        ),
        wrong(
            "amsgrad of corrected averages",
            _adam(
                largest="pass",
                step="""
                m_hat, s_hat = m / (1 - beta1**i), s / (1 - beta2**i)
                if amsgrad:
                    s_hat = state["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], s_hat)
                p -= lr * m_hat / (s_hat.sqrt() + eps)
                """,
            ),
            hint="You keep the largest corrected average",
        ),
        wrong(
            "amsgrad not corrected",
            _adam(
                step="""
                s_hat = s if amsgrad else s / (1 - beta2**i)
                p -= lr * m / (1 - beta1**i) / (s_hat.sqrt() + eps)
                """
            ),
            hint="The largest s is not corrected",
        ),
        wrong(
            "amsgrad of the last two",
            _adam(
                averages="""
                m, old = state["exp_avg"], state["exp_avg_sq"].clone()
                m.mul_(beta1).add_(grad, alpha=1 - beta1)
                s = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
                """,
                largest="""
                if amsgrad:
                    s = torch.maximum(old, s)
                """,
            ),
            hint="not over the last two",
        ),
        wrong(
            "amsgrad in the average itself",
            _adam(
                largest="""
                if amsgrad:
                    state["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], s)
                    state["exp_avg_sq"] = s = state["max_exp_avg_sq"].clone()
                """
            ),
            hint="With amsgrad=True",
        ),
        wrong("maximize ignored", _adam(grad="grad = p.grad"), hint="maximize=True changes nothing"),
        wrong(
            "maximize turns the step only",
            _adam(
                grad="grad = p.grad",
                step="""
                move = lr * (m / (1 - beta1**i)) / ((s / (1 - beta2**i)).sqrt() + eps)
                p += move if maximize else -move
                """,
            ),
            hint="the averages are of -grad",
        ),
        wrong(
            "turns p.grad round",
            _adam(grad="grad = p.grad.neg_() if maximize else p.grad"),
            hint="Your step changes p.grad",
        ),
        wrong(
            "squares p.grad",
            _adam(
                averages=_PARTS["averages"].replace(
                    "addcmul_(grad, grad, value=1 - beta2)", "add_(grad.mul_(grad), alpha=1 - beta2)"
                )
            ),
            hint="Your step changes p.grad",
        ),
        wrong(
            "the gradient kept as m",
            _adam(
                averages="""
                if i == 1:
                    state["exp_avg"] = grad.mul_(1 - beta1)
                    state["exp_avg_sq"] = (1 - beta2) * (grad / (1 - beta1)) ** 2
                else:
                    state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
                    state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
                m, s = state["exp_avg"], state["exp_avg_sq"]
                """
            ),
            hint="Your step changes p.grad",
        ),
        wrong(
            "state in a dict of its own",
            _adam(init="self.own = {}").replace("state = self.state[p]", "state = self.own.setdefault(p, {})"),
            hint="Keep the state in self.state[p]",
        ),
        wrong(
            "the paper's names",
            _adam().replace('"exp_avg"', '"m"').replace('"exp_avg_sq"', '"v"'),
            hint="under PyTorch's names",
        ),
        wrong(
            "the count on the side",
            _adam(
                init="self.counts = {}",
                count="""
                self.counts[p] = self.counts.get(p, 0) + 1
                i = state["step"] = self.counts[p]
                """,
            ),
            hint="After load_state_dict, training goes on otherwise",
        ),
        wrong(
            "the maximum on the side",
            _adam(
                init="self.largest = {}",
                largest="""
                if amsgrad:
                    s = self.largest[p] = torch.maximum(self.largest.get(p, s), s).clone()
                    state["max_exp_avg_sq"] = s.clone()
                """,
            ),
            hint="After load_state_dict, training goes on otherwise",
        ),
        wrong(
            "a power of a float32 tensor",
            _adam(count='state["step"] += 1\ni = state["step"]'),
            hint="its step is a float32 tensor",
        ),
        wrong(
            "no weight decay in the groups",
            _adam().replace("weight_decay=0, ", ""),
            hint="cannot go on from your checkpoint",
        ),
        wrong(
            "an error in its place",
            _adam().replace('raise ValueError("bad settings")', "raise AssertionError"),
            hint="yours raised AssertionError",
        ),
        wrong("settings not checked", _adam(check="pass"), hint="should raise a ValueError"),
        wrong(
            "beta of 1 allowed",
            _adam(check=_PARTS["check"].replace("beta < 1", "beta <= 1")),
            hint="should raise a ValueError",
        ),
        wrong(
            "lr of 0 refused",
            _adam(check=_PARTS["check"].replace("lr < 0", "lr <= 0")),
            hint="are allowed; yours raised",
        ),
        wrong("closure never called", _adam(closure="pass"), hint="Call the closure once in a step"),
        wrong(
            "closure called twice",
            _adam(closure=_PARTS["closure"].replace("loss = closure()", "closure()\n                loss = closure()")),
            hint="Call the closure once in a step",
        ),
        wrong(
            "closure without gradients",
            _adam(closure=_PARTS["closure"].replace("enable_grad", "no_grad")),
            hint="Call the closure with gradients enabled",
        ),
        wrong(
            "closure's loss not returned", _adam().replace("return loss", "return None"), hint="should return the loss"
        ),
        wrong(
            "averages in float32",
            _adam(state=_PARTS["state"].replace("zeros_like(p)", "zeros_like(p, dtype=torch.float32)")),
            hint="The first step is",
        ),
        wrong(
            "averages with a graph",
            _adam(
                averages="""
                with torch.enable_grad():
                    m = beta1 * state["exp_avg"] + (1 - beta1) * grad.detach().requires_grad_()
                    s = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad**2
                state["exp_avg"], state["exp_avg_sq"] = m, s
                """
            ),
            hint="carry an autograd graph",
        ),
        wrong(
            "nothing in the step",
            _adam(averages="m, s = torch.zeros_like(p), torch.zeros_like(p)"),
            hint="The parameter did not change",
        ),
    ],
}
