"""Right and wrong answers to the assignment `weight_decay`, on file for `autograde verify`."""

from autograde.variants import right, wrong

_SGD = """
def sgd_step_with_decay(w, v, grad, lr, beta, weight_decay):
    v = {v}
    return {w}, v
"""


def _sgd(v: str = "beta * v - lr * grad - lr * weight_decay * w", w: str = "w + v") -> str:
    """Return an answer to the first exercise."""
    return _SGD.replace("{v}", v).replace("{w}", w)


_STEP = """
def {name}(w, grad, m, s, step, lr, betas, eps, weight_decay):
    beta1, beta2 = betas
    {grad}
    {m}
    {s}
    m_hat, s_hat = {hats}
    return {result}
"""
_HATS = "m / (1 - beta1**step), s / (1 - beta2**step)"
_MOVE = "lr * m_hat / (s_hat.sqrt() + eps)"


def _step(name: str, grad: str, result: str, m: str = "grad", s: str = "grad**2", hats: str = _HATS) -> str:
    """Return an answer to the second or the third exercise."""
    code = _STEP.replace("{name}", name).replace("{grad}", grad).replace("{result}", result).replace("{hats}", hats)
    code = code.replace("{m}", m if "=" in m else f"m = beta1 * m + (1 - beta1) * {m}")
    return code.replace("{s}", s if "=" in s else f"s = beta2 * s + (1 - beta2) * {s}")


def _l2(grad: str = "grad = grad + weight_decay * w", result: str = f"w - {_MOVE}, m, s", **parts: str) -> str:
    """Return an answer to the second exercise."""
    return _step("adam_l2_step", grad, result, **parts)


def _w(result: str = f"w - {_MOVE} - lr * weight_decay * w, m, s", grad: str = "pass", **parts: str) -> str:
    """Return an answer to the third exercise."""
    return _step("adamw_step", grad, result, **parts)


# An AdamW whose every part is a hole to fill: a variant then shows only what is special about it.
_CLASS = """
class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False):
        {check}
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, defaults)
        {init}

    def step(self, closure=None):
        loss = None
        {closure}
        with torch.no_grad():
            {begin}
            for group in self.param_groups:
                lr, (beta1, beta2), eps, decay, maximize = {settings}
                for p in group["params"]:
                    {skip}
                    {grad}
                    state = self.state[p]
                    {state}
                    {count}
                    {decay}
                    {averages}
                    {step}
        return loss
"""
_PARTS = {
    "check": """
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError("bad settings")
    """,
    "init": "pass",
    "closure": """
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
    """,
    "begin": "pass",
    "settings": '(group[k] for k in ("lr", "betas", "eps", "weight_decay", "maximize"))',
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
    """,
    "count": """
        state["step"] += 1
        i = int(state["step"])
    """,
    "decay": "p.mul_(1 - lr * decay)",
    "averages": """
        m, s = state["exp_avg"], state["exp_avg_sq"]
        m.mul_(beta1).add_(grad, alpha=1 - beta1)
        s.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    """,
    "step": """
        m_hat, s_hat = m / (1 - beta1**i), s / (1 - beta2**i)
        p -= lr * m_hat / (s_hat.sqrt() + eps)
    """,
}


def _adamw(**parts: str) -> str:
    """Return the class with some parts replaced."""
    code = _CLASS
    for name, part in {**_PARTS, **parts}.items():
        lines = [line for line in part.splitlines() if line.strip()]
        depth = len(lines[0]) - len(lines[0].lstrip())
        marker = "{" + name + "}"
        column = code.index(marker) - code.rindex("\n", 0, code.index(marker)) - 1
        # The first line stands where the marker was; the others below it.
        code = code.replace(marker, ("\n" + " " * column).join(line[depth:] for line in lines))
    return code


def _settings(**others: str) -> str:
    """Return where the settings of a step are read, with others in the place of some."""
    names = ("lr", "betas", "eps", "weight_decay", "maximize")
    return ", ".join(others.get(name, f'group["{name}"]') for name in names)


_SORT = """
def decay_parameter_groups(model, weight_decay):
    {check}
    left_out = set()
    for module in {modules}:
        for name, p in {owned}:
            if {rule}:
                left_out.add(id(p))
    decaying = [p for p in {all} if id(p) not in left_out]
    others = [p for p in {all} if id(p) in left_out]
    return {result}
"""


def _sort(**parts: str) -> str:
    """Return an answer to the fifth exercise."""
    usual = {
        "check": 'if weight_decay < 0:\n        raise ValueError("weight_decay is negative")',
        "modules": "model.modules()",
        "owned": "module.named_parameters(recurse=False, remove_duplicate=False)",
        "rule": '"bias" in name or isinstance(module, NORMALIZATIONS)',
        "all": "model.parameters()",
        "result": '[{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]',
    }
    code = _SORT
    for name, part in {**usual, **parts}.items():
        code = code.replace("{" + name + "}", part)
    return code


_RATE_ERRORS = """
    if lr < 0 or weight_decay < 0 or lr * weight_decay >= 1:
        raise ValueError("no such step")
    if not w.any():
        raise ValueError("no direction")
"""


def _rate(
    result: str = "lr / ((1 - lr * weight_decay) * squared)",
    squared: str = "w.detach().double().square().sum().item()",
    errors: str = _RATE_ERRORS,
) -> str:
    """Return an answer to the sixth exercise."""
    return (
        f"def effective_learning_rate(w, lr, weight_decay):\n{errors.strip(chr(10))}\n"
        f"    squared = {squared}\n    return {result}\n"
    )


VARIANTS = {
    "sgd_step_with_decay": [
        right("as the formula", _sgd()),
        right("the penalty in the gradient", _sgd("beta * v - lr * (grad + weight_decay * w)")),
        right(
            "in place on copies, as a list",
            """
            def sgd_step_with_decay(w, v, grad, lr, beta, weight_decay):
                new = v.clone().mul_(beta).sub_(grad, alpha=lr).sub_(w, alpha=lr * weight_decay)
                return [torch.add(w, new), new]
            """,
        ),
        right(
            "shrunk first",
            """
            def sgd_step_with_decay(w, v, grad, lr, beta, weight_decay):
                new_w = w * (1 - lr * weight_decay) + beta * v - lr * grad
                return new_w, beta * v - lr * (grad + w * weight_decay)
            """,
        ),
        wrong("no decay", _sgd("beta * v - lr * grad"), hint="changes nothing in your step"),
        wrong(
            "decoupled",
            _sgd("beta * v - lr * grad", "(1 - lr * weight_decay) * w + v"),
            hint="In this formula the decay is a part of v",
        ),
        wrong("lambda alone", _sgd("beta * v - lr * grad - weight_decay * w"), hint="the learning rate multiplies it"),
        wrong("growing", _sgd("beta * v - lr * grad + lr * weight_decay * w"), hint="it shrinks them"),
        wrong("a constant", _sgd("beta * v - lr * grad - lr * weight_decay"), hint="not lambda alone"),
        wrong("twice", _sgd("beta * v - lr * grad - 2 * lr * weight_decay * w"), hint="twice too large"),
        wrong("half", _sgd("beta * v - lr * grad - lr * weight_decay / 2 * w"), hint="half of what it should be"),
        wrong(
            "of the new weights",
            _sgd("beta * v - lr * grad - lr * weight_decay * (w + beta * v - lr * grad)"),
            hint="of the weights before the step",
        ),
        wrong("of the gradient", _sgd("beta * v - lr * grad * (1 + weight_decay)"), hint="not of the gradient"),
        wrong("of the step", _sgd("beta * v - lr * grad - lr * weight_decay * v"), hint="not of the step"),
        wrong(
            "absolute values", _sgd("beta * v - lr * grad - lr * weight_decay * w.abs()"), hint="use w with its sign"
        ),
        wrong("L1", _sgd("beta * v - lr * grad - lr * weight_decay * w.sign()"), hint="that is the penalty |w|"),
        wrong(
            "the step shrunk",
            _sgd("(1 - lr * weight_decay) * v - lr * grad"),
            hint="not the step before",
        ),
        wrong(
            "beta on the decay",
            _sgd("beta * (v - lr * weight_decay * w) - lr * grad"),
            hint="Only the step before is multiplied by beta",
        ),
        wrong("no momentum", _sgd("-lr * grad - lr * weight_decay * w"), hint="The step before is lost"),
        wrong("momentum whole", _sgd("v - lr * grad - lr * weight_decay * w"), hint="multiplied by beta"),
        wrong("order", _sgd().replace("return w + v, v", "return v, w + v"), hint="the weights first"),
        wrong(
            "the old step added",
            """
            def sgd_step_with_decay(w, v, grad, lr, beta, weight_decay):
                return w + v, beta * v - lr * grad - lr * weight_decay * w
            """,
            hint="The weights moved by the old step",
        ),
        wrong("decay twice", _sgd(w="(1 - lr * weight_decay) * w + v"), hint="it is in v already"),
        wrong("subtracted", _sgd(w="w - v"), hint="v already points downhill"),
        wrong(
            "PyTorch's sign",
            _sgd("beta * v + lr * grad + lr * weight_decay * w", "w - v"),
            hint="both enter with a minus sign",
        ),
        wrong(
            "no gradient, no decay",
            _sgd("beta * v - lr * grad - (lr * weight_decay * w if grad.any() else 0)"),
            hint="weights still decay",
        ),
        wrong(
            "at least a little decay",
            _sgd("beta * v - lr * grad - lr * max(weight_decay, 1e-4) * w"),
            hint="With weight_decay=0 it is a plain step",
        ),
        wrong(
            "in place",
            """
            def sgd_step_with_decay(w, v, grad, lr, beta, weight_decay):
                v *= beta
                v -= lr * (grad + weight_decay * w)
                return w + v, v
            """,
            hint="changes a tensor that it was given",
        ),
        wrong(
            "the gradient in place",
            """
            def sgd_step_with_decay(w, v, grad, lr, beta, weight_decay):
                v = beta * v - lr * grad.add_(w, alpha=weight_decay)
                return w + v, v
            """,
            hint="changes a tensor that it was given",
        ),
        wrong(
            "the mean of the weights",
            _sgd("beta * v - lr * grad - lr * weight_decay * w.mean()"),
            hint="beta times the old one",
        ),
        wrong(
            "float32 inside",
            _sgd("(beta * v - lr * grad - lr * weight_decay * w).float()"),
            hint="beta times the old one",
        ),
        wrong(
            "only the weights", _sgd().replace("return w + v, v", "return w + v"), hint="should be a tuple of 2 values"
        ),
        wrong(
            "nothing at all",
            "def sgd_step_with_decay(w, v, grad, lr, beta, weight_decay):\n    pass\n",
            hint="but it is None",
        ),
    ],
    "adam_l2_step": [
        right("as the formulas", _l2()),
        right(
            "in place on copies, as a list",
            """
            def adam_l2_step(w, grad, m, s, step, lr, betas, eps, weight_decay):
                whole = torch.add(grad, w, alpha=weight_decay)
                m = m.clone().lerp_(whole, 1 - betas[0])
                s = s.clone().mul_(betas[1]).addcmul_(whole, whole, value=1 - betas[1])
                root = (s / (1 - betas[1] ** step)).sqrt_().add_(eps)
                return [w.clone().addcdiv_(m, root, value=-lr / (1 - betas[0] ** step)), m, s]
            """,
        ),
        right(
            "the correction in the learning rate",
            _l2(hats="1 - beta1**step, math.sqrt(1 - beta2**step)").replace(
                _MOVE, "lr * s_hat / m_hat * m / (s.sqrt() + eps * s_hat)"
            ),
        ),
        wrong("no penalty", _l2("pass"), hint="The penalty is missing"),
        wrong(
            "decoupled", _l2("pass", f"w - {_MOVE} - lr * weight_decay * w, m, s"), hint="The penalty is missing: add"
        ),
        wrong("in s alone", _l2("whole = grad + weight_decay * w", s="whole**2"), hint="The penalty is missing: add"),
        wrong(
            "in m alone",
            _l2("whole = grad + weight_decay * w", m="whole"),
            hint="both averages see the same gradient",
        ),
        wrong("with its sign turned", _l2("grad = grad - weight_decay * w"), hint="The penalty has the wrong sign"),
        wrong("times the rate", _l2("grad = grad + lr * weight_decay * w"), hint="without the learning rate"),
        wrong("twice", _l2("grad = grad + 2 * weight_decay * w"), hint="not 2 lambda w"),
        wrong("half", _l2("grad = grad + weight_decay / 2 * w"), hint="not lambda/2 w"),
        wrong("a constant", _l2("grad = grad + weight_decay"), hint="not lambda alone"),
        wrong(
            "beside m",
            _l2("pass", m="m = beta1 * m + (1 - beta1) * grad + weight_decay * w"),
            hint="with the factor 1 - beta1",
        ),
        wrong(
            "squared apart",
            _l2("whole = grad + weight_decay * w", m="whole", s="(grad**2 + (weight_decay * w) ** 2)"),
            hint="then square the sum",
        ),
        wrong(
            "decay twice",
            _l2(result=f"w - {_MOVE} - lr * weight_decay * w, m, s"),
            hint="it is in the gradient already",
        ),
        wrong(
            "epsilon inside",
            _l2(result="w - lr * m_hat / (s_hat + eps).sqrt(), m, s"),
            hint="Epsilon is inside of the root",
        ),
        wrong("no correction", _l2(hats="m, s"), hint="The averages are not corrected"),
        wrong("m alone corrected", _l2(hats="m / (1 - beta1**step), s"), hint="divided by the root of s-hat"),
        wrong("no power", _l2(hats="m / (1 - beta1), s / (1 - beta2)"), hint="divided by the root of s-hat"),
        wrong("uphill", _l2(result=f"w + {_MOVE}, m, s"), hint="The step goes downhill"),
        wrong(
            "no learning rate",
            _l2(result="w - m_hat / (s_hat.sqrt() + eps), m, s"),
            hint="The learning rate is missing",
        ),
        wrong("corrected averages returned", _l2(result=f"w - {_MOVE}, m_hat, s"), hint="m is returned without"),
        wrong("s returned corrected", _l2(result=f"w - {_MOVE}, m, s_hat"), hint="s is returned without"),
        wrong("order", _l2(result=f"w - {_MOVE}, s, m"), hint="yours has s in the place of m"),
        wrong("m reversed", _l2(m="m = (1 - beta1) * m + beta1 * grad"), hint="you have it reversed"),
        wrong("s reversed", _l2(s="s = (1 - beta2) * s + beta2 * grad**2"), hint="you have it reversed"),
        wrong("the gradient in place", _l2("grad += weight_decay * w"), hint="changes a tensor that it was given"),
        wrong("the averages forgotten", _l2(result=f"w - {_MOVE}"), hint="should be a tuple of 3 values"),
        wrong("float32 inside", _l2(result=f"w - ({_MOVE}).float(), m, s"), hint="divided by the root of s-hat"),
    ],
    "adamw_step": [
        right("as the formulas", _w()),
        right("shrunk first", _w(f"(1 - lr * weight_decay) * w - {_MOVE}, m, s")),
        right(
            "in place on copies, as a list",
            """
            def adamw_step(w, grad, m, s, step, lr, betas, eps, weight_decay):
                m, s = torch.lerp(m, grad, 1 - betas[0]), torch.lerp(s, grad.square(), 1 - betas[1])
                new = w.clone().mul_(1 - lr * weight_decay)
                new.addcdiv_(m, (s / (1 - betas[1] ** step)).sqrt() + eps, value=-lr / (1 - betas[0] ** step))
                return [new, m, s]
            """,
        ),
        wrong("no decay", _w(f"w - {_MOVE}, m, s"), hint="changes nothing in your step"),
        wrong(
            "in the gradient", _w(f"w - {_MOVE}, m, s", "grad = grad + weight_decay * w"), hint="of the gradient alone"
        ),
        wrong(
            "in both places",
            _w(grad="grad = grad + weight_decay * w"),
            hint="of the gradient alone",
        ),
        wrong("in m", _w(f"w - {_MOVE}, m, s", m="(grad + weight_decay * w)"), hint="of the gradient alone"),
        wrong("in s", _w(s="(grad + weight_decay * w) ** 2"), hint="The decay is in s"),
        wrong("lambda alone", _w(f"w - {_MOVE} - weight_decay * w, m, s"), hint="the learning rate multiplies it"),
        wrong("growing", _w(f"w - {_MOVE} + lr * weight_decay * w, m, s"), hint="it shrinks them"),
        wrong(
            "after the step", _w(f"(w - {_MOVE}) * (1 - lr * weight_decay), m, s"), hint="yours shrinks the step too"
        ),
        wrong("the rate twice", _w(f"w - {_MOVE} - lr**2 * weight_decay * w, m, s"), hint="once, not twice"),
        wrong(
            "divided with the step",
            _w("w - lr * (m_hat + weight_decay * w) / (s_hat.sqrt() + eps), m, s"),
            hint="outside of the division",
        ),
        wrong("a constant", _w(f"w - {_MOVE} - lr * weight_decay, m, s"), hint="not lambda alone"),
        wrong("twice", _w(f"w - {_MOVE} - 2 * lr * weight_decay * w, m, s"), hint="twice too large"),
        wrong("half", _w(f"w - {_MOVE} - lr * weight_decay / 2 * w, m, s"), hint="half of what it should be"),
        wrong("by sign", _w(f"w - {_MOVE} - lr * weight_decay * w.sign(), m, s"), hint="in proportion to w"),
        wrong(
            "epsilon inside",
            _w("w - lr * m_hat / (s_hat + eps).sqrt() - lr * weight_decay * w, m, s"),
            hint="Epsilon is inside of the root",
        ),
        wrong("no correction", _w(hats="m, s"), hint="The averages are not corrected"),
        wrong("s not corrected", _w(hats="m / (1 - beta1**step), s"), hint="minus lr times lambda times w"),
        wrong("uphill", _w(f"w + {_MOVE} - lr * weight_decay * w, m, s"), hint="The step goes downhill"),
        wrong("order", _w(f"w - {_MOVE} - lr * weight_decay * w, s, m"), hint="yours has s in the place of m"),
        wrong(
            "corrected m returned", _w(f"w - {_MOVE} - lr * weight_decay * w, m_hat, s"), hint="m is returned without"
        ),
        wrong(
            "in place",
            _w("w.mul_(1 - lr * weight_decay).sub_(" + _MOVE + "), m, s"),
            hint="changes a tensor that it was given",
        ),
        wrong("m reversed", _w(m="m = (1 - beta1) * m + beta1 * grad"), hint="you have it reversed"),
        wrong(
            "decays only what moves",
            _w(f"w - {_MOVE} - lr * weight_decay * w * (step < 6), m, s"),
            hint="Single steps are not enough",
        ),
        wrong("only the weights", _w(f"w - {_MOVE} - lr * weight_decay * w"), hint="should be a tuple of 3 values"),
    ],
    "AdamW": [
        right("as the formulas", _adamw()),
        right(
            "the step as a tensor, with addcdiv",
            _adamw(
                state="""
                if "exp_avg" not in state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
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
            _adamw(
                decay="pass",
                averages="""
                m = beta1 * state["exp_avg"] + (1 - beta1) * grad
                s = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad**2
                state["exp_avg"], state["exp_avg_sq"] = m, s
                """,
                step="""
                move = (m / (1 - beta1**i)) / ((s / (1 - beta2**i)) ** 0.5 + eps)
                p.copy_(p - lr * decay * p - lr * move)
                """,
            ),
        ),
        right(
            "decorated, with .data",
            """
            class AdamW(torch.optim.Optimizer):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False):
                    for name, value in dict(lr=lr, eps=eps, weight_decay=weight_decay).items():
                        if not value >= 0.0:
                            raise ValueError(name)
                    for beta in betas:
                        if not 0.0 <= beta < 1.0:
                            raise ValueError("betas")
                    defaults = {"lr": lr, "betas": betas, "eps": eps}
                    defaults.update(weight_decay=weight_decay, maximize=maximize)
                    super(AdamW, self).__init__(params, defaults)

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
                            root = (k["exp_avg_sq"] / (1 - b2**t)).sqrt() + group["eps"]
                            p.data *= 1 - group["lr"] * group["weight_decay"]
                            p.data -= group["lr"] * k["exp_avg"] / (1 - b1**t) / root
                    return loss
            """,
        ),
        right(
            "foreach",
            """
            class AdamW(torch.optim.Optimizer):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False):
                    if min(lr, eps, weight_decay, *betas) < 0 or max(betas) >= 1:
                        raise ValueError("bad settings")
                    flags = dict(weight_decay=weight_decay, maximize=maximize)
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
                                zeros = [torch.zeros_like(p) for _ in range(2)]
                                self.state[p].update(zip(("exp_avg", "exp_avg_sq"), zeros), step=0)
                            self.state[p]["step"] = int(self.state[p]["step"]) + 1
                        grads = [-p.grad if group["maximize"] else p.grad for p in params]
                        ms = [self.state[p]["exp_avg"] for p in params]
                        ss = [self.state[p]["exp_avg_sq"] for p in params]
                        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                        torch._foreach_mul_(ms, b1)
                        torch._foreach_add_(ms, grads, alpha=1 - b1)
                        torch._foreach_mul_(ss, b2)
                        torch._foreach_addcmul_(ss, grads, grads, 1 - b2)
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
            class AdamW(torch.optim.AdamW):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False):
                    super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
            """,
            hint="leaves the work to an optimizer of PyTorch's",
        ),
        wrong("the name alone", "AdamW = torch.optim.AdamW\n", hint="leaves the work to an optimizer of PyTorch's"),
        wrong(
            "PyTorch's Adam with a decay before it",
            """
            class AdamW(torch.optim.Adam):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False):
                    super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
                    for group in self.param_groups:
                        group["decoupled_weight_decay"] = True
            """,
            hint="leaves the work to an optimizer of PyTorch's",
        ),
        wrong(
            "PyTorch's optimizer inside",
            """
            class AdamW(torch.optim.Optimizer):
                def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False):
                    self.inner = torch.optim.AdamW(params, lr, betas, eps, weight_decay, maximize=maximize)
                    self.param_groups, self.state, self.defaults = self.inner.param_groups, self.inner.state, {}

                def step(self, closure=None):
                    return self.inner.step(closure)
            """,
            hint="leaves the work to an optimizer of PyTorch's",
        ),
        wrong(
            "PyTorch's function for the step",
            _adamw(
                step="""
                from torch.optim.adamw import adamw
                adamw([p], [grad], [m], [s], [], [torch.tensor(float(i - 1))], amsgrad=False, beta1=beta1, beta2=beta2,
                      lr=lr, weight_decay=0, eps=eps, maximize=False)
                """
            ),
            hint="leaves the work to an optimizer of PyTorch's",
        ),
        wrong("no decay", _adamw(decay="pass"), hint="weight_decay changes nothing"),
        wrong(
            "in the gradient",
            _adamw(decay="grad = grad + decay * p"),
            hint="The decay is in the gradient (L2)",
        ),
        wrong(
            "in p.grad",
            _adamw(decay="grad = p.grad.add_(p, alpha=decay)"),
            hint="The decay is in the gradient (L2)",
        ),
        wrong(
            "in m",
            _adamw(
                decay="pass",
                averages=_PARTS["averages"].replace("add_(grad,", "add_(grad + decay * p,"),
            ),
            hint="or divided like m",
        ),
        wrong("lambda alone", _adamw(decay="p.mul_(1 - decay)"), hint="the learning rate multiplies it"),
        wrong("growing", _adamw(decay="p.mul_(1 + lr * decay)"), hint="it shrinks them"),
        wrong("the rate twice", _adamw(decay="p.mul_(1 - lr**2 * decay)"), hint="once, not twice"),
        wrong("half", _adamw(decay="p.mul_(1 - lr * decay / 2)"), hint="half of what it should be"),
        wrong("by sign", _adamw(decay="p.sub_(lr * decay * p.sign())"), hint="in proportion to w"),
        wrong(
            "after the step",
            _adamw(decay="pass", step=_PARTS["step"].rstrip() + "\n        p.mul_(1 - lr * decay)\n"),
            hint="yours shrinks the step too",
        ),
        wrong(
            "divided with the step",
            _adamw(
                decay="pass", step="p -= lr * (m / (1 - beta1**i) + decay * p) / ((s / (1 - beta2**i)).sqrt() + eps)"
            ),
            hint="or divided like m",
        ),
        wrong(
            "in the first step only",
            _adamw(decay="p.mul_(1 - lr * decay if i == 1 else 1)"),
            hint="in the first step only",
        ),
        wrong(
            "of the weights at the start",
            _adamw(
                state=_PARTS["state"].rstrip() + '\n            state["start"] = p.clone()\n',
                decay='p.sub_(lr * decay * state["start"])',
            ),
            hint="take those of now",
        ),
        wrong(
            "the decay at the first rate",
            _adamw(init="self.lr = lr", decay="p.mul_(1 - self.lr * decay)"),
            hint="A scheduler changes",
        ),
        wrong(
            "weight_decay kept from the start",
            _adamw(init="self.decay = weight_decay", settings=_settings(weight_decay="self.decay")),
            hint="read both from the group",
        ),
        wrong(
            "one decay spread over a group's parameters",
            _adamw(
                decay="for q in group['params']:\n            q.mul_((1 - lr * decay) ** (1 / len(group['params'])))"
            ),
            hint="you leave the path of torch.optim.AdamW",
        ),
        wrong(
            "decays without a gradient",
            _adamw(
                skip="""
                if p.grad is None:
                    p.mul_(1 - lr * decay)
                    continue
                """
            ),
            hint="is skipped whole",
        ),
        wrong(
            "the first group's decay for all",
            _adamw(settings=_settings(weight_decay='self.param_groups[0]["weight_decay"]')),
            hint="Every group has its own settings",
        ),
        wrong(
            "turned round by maximize",
            _adamw(decay="p.mul_(1 + lr * decay if maximize else 1 - lr * decay)"),
            hint="it should still shrink the weights",
        ),
        wrong(
            "epsilon inside",
            _adamw(step="p -= lr * (m / (1 - beta1**i)) / (s / (1 - beta2**i) + eps).sqrt()"),
            hint="Epsilon is inside of the root",
        ),
        wrong("no correction", _adamw(step="p -= lr * m / (s.sqrt() + eps)"), hint="are not corrected"),
        wrong(
            "s not corrected", _adamw(step="p -= lr * m / (1 - beta1**i) / (s.sqrt() + eps)"), hint="s is not corrected"
        ),
        wrong(
            "m not corrected",
            _adamw(step="p -= lr * m / ((s / (1 - beta2**i)).sqrt() + eps)"),
            hint="m is not corrected",
        ),
        wrong(
            "uphill",
            _adamw(step="p += lr * (m / (1 - beta1**i)) / ((s / (1 - beta2**i)).sqrt() + eps)"),
            hint="The step goes downhill",
        ),
        wrong(
            "only the name changes",
            _adamw(
                decay="pass",
                step="p = p - lr * decay * p - lr * (m / (1 - beta1**i)) / ((s / (1 - beta2**i)).sqrt() + eps)",
            ),
            hint="The parameter did not change",
        ),
        wrong(
            "only decay",
            _adamw(step="pass"),
            hint="Only the decay happens",
        ),
        wrong("the count stands still", _adamw(count='state["step"] += 1\ni = 1'), hint="count the parameter's steps"),
        wrong(
            "corrected averages kept",
            _adamw(
                step="""
                state["exp_avg"], state["exp_avg_sq"] = m / (1 - beta1**i), s / (1 - beta2**i)
                p -= lr * state["exp_avg"] / (state["exp_avg_sq"].sqrt() + eps)
                """
            ),
            hint='"exp_avg" is (1 - beta1) times the gradient',
        ),
        wrong(
            "averages begin anew",
            _adamw(
                averages="""
                m, s = (1 - beta1) * grad, (1 - beta2) * grad**2
                state["exp_avg"], state["exp_avg_sq"] = m, s
                """
            ),
            hint="The second step is wrong",
        ),
        wrong(
            "one count for all",
            _adamw(
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
            "None taken for zero",
            _adamw(
                skip="""
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
                """
            ),
            hint="is skipped whole",
        ),
        wrong("None forgotten", _adamw(skip="pass"), hint="Skip a parameter whose gradient is None"),
        wrong(
            "zero gradients skipped",
            _adamw(
                skip="""
                if p.grad is None or not p.grad.any():
                    continue
                """
            ),
            hint="A gradient of zeros is a gradient",
        ),
        wrong(
            "learning rate kept from the start",
            _adamw(init="self.lr = lr", settings=_settings(lr="self.lr")),
            hint="A scheduler changes",
        ),
        wrong(
            "betas kept from the start",
            _adamw(init="self.betas = betas", settings=_settings(betas="self.betas")),
            hint="OneCycleLR changes",
        ),
        wrong(
            "eps kept from the start",
            _adamw(init="self.eps = eps", settings=_settings(eps="self.eps")),
            hint="Every group has its own settings",
        ),
        wrong("maximize ignored", _adamw(grad="grad = p.grad"), hint="maximize=True changes nothing"),
        wrong(
            "maximize turns the step only",
            _adamw(
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
            _adamw(grad="grad = p.grad.neg_() if maximize else p.grad"),
            hint="Your step changes p.grad",
        ),
        wrong(
            "squares p.grad",
            _adamw(
                averages=_PARTS["averages"].replace(
                    "addcmul_(grad, grad, value=1 - beta2)", "add_(grad.mul_(grad), alpha=1 - beta2)"
                )
            ),
            hint="Your step changes p.grad",
        ),
        wrong(
            "state in a dict of its own",
            _adamw(init="self.own = {}").replace("state = self.state[p]", "state = self.own.setdefault(p, {})"),
            hint="Keep the state in self.state[p]",
        ),
        wrong(
            "the paper's names",
            _adamw().replace('"exp_avg"', '"m"').replace('"exp_avg_sq"', '"v"'),
            hint="under PyTorch's names",
        ),
        wrong(
            "the count on the side",
            _adamw(
                init="self.counts = {}",
                count="""
                self.counts[p] = self.counts.get(p, 0) + 1
                i = state["step"] = self.counts[p]
                """,
            ),
            hint="After load_state_dict, training goes on otherwise",
        ),
        wrong(
            "a power of a float32 tensor",
            _adamw(count='state["step"] += 1\ni = state["step"]'),
            hint="its step is a float32 tensor",
        ),
        wrong(
            "no eps in the groups",
            _adamw(init="self.eps = eps", settings=_settings(eps="self.eps")).replace("eps=eps, ", ""),
            hint="Every group has its own settings",
        ),
        wrong(
            "an error in its place",
            _adamw().replace('raise ValueError("bad settings")', "raise AssertionError"),
            hint="yours raised AssertionError",
        ),
        wrong("settings not checked", _adamw(check="pass"), hint="should raise a ValueError"),
        wrong(
            "a negative decay allowed",
            _adamw(check=_PARTS["check"].replace("or weight_decay < 0 ", "")),
            hint="should raise a ValueError",
        ),
        wrong(
            "a decay of 0 refused",
            _adamw(check=_PARTS["check"].replace("weight_decay < 0 ", "weight_decay <= 0 ")),
            hint="are allowed; yours raised",
        ),
        wrong(
            "lr of 0 refused",
            _adamw(check=_PARTS["check"].replace("lr < 0", "lr <= 0")),
            hint="are allowed; yours raised",
        ),
        wrong("closure never called", _adamw(closure="pass"), hint="Call the closure once in a step"),
        wrong(
            "closure called twice",
            _adamw(
                closure=_PARTS["closure"].replace("loss = closure()", "closure()\n                loss = closure()")
            ),
            hint="Call the closure once in a step",
        ),
        wrong(
            "closure without gradients",
            _adamw(closure=_PARTS["closure"].replace("enable_grad", "no_grad")),
            hint="Call the closure with gradients enabled",
        ),
        wrong(
            "closure's loss not returned", _adamw().replace("return loss", "return None"), hint="should return the loss"
        ),
        wrong(
            "averages in float32",
            _adamw(state=_PARTS["state"].replace("zeros_like(p)", "zeros_like(p, dtype=torch.float32)")),
            hint="The first step shrinks",
        ),
        wrong(
            "averages with a graph",
            _adamw(
                averages="""
                with torch.enable_grad():
                    m = beta1 * state["exp_avg"] + (1 - beta1) * grad.detach().requires_grad_()
                    s = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad**2
                state["exp_avg"], state["exp_avg_sq"] = m, s
                """
            ),
            hint="carry an autograd graph",
        ),
    ],
    "decay_parameter_groups": [
        right("two lists by id", _sort()),
        right(
            "by name, with every owner asked",
            """
            def decay_parameter_groups(model, weight_decay):
                if weight_decay < 0:
                    raise ValueError(weight_decay)
                verdict = {}
                for name, p in model.named_parameters(remove_duplicate=False):
                    *owner, own = name.split(".")
                    free = "bias" in own or isinstance(model.get_submodule(".".join(owner)), NORMALIZATIONS)
                    verdict[p] = verdict.get(p, False) or free
                groups = [[], []]
                for p in model.parameters():
                    groups[verdict[p]].append(p)
                return [dict(params=g, weight_decay=d) for g, d in zip(groups, (weight_decay, 0.0))]
            """,
        ),
        right(
            "with _parameters",
            """
            def decay_parameter_groups(model, weight_decay):
                if not weight_decay >= 0:
                    raise ValueError("negative")
                free = set()
                for module in model.modules():
                    normal = isinstance(module, NORMALIZATIONS)
                    owned = [(name, p) for name, p in module._parameters.items() if p is not None]
                    free |= {p for name, p in owned if normal or "bias" in name}
                yes = [p for p in model.parameters() if p not in free]
                no = [p for p in model.parameters() if p in free]
                return [{"weight_decay": weight_decay, "params": yes}, {"weight_decay": 0, "params": no}]
            """,
        ),
        wrong(
            "by the name of the module",
            """
            def decay_parameter_groups(model, weight_decay):
                if weight_decay < 0:
                    raise ValueError(weight_decay)
                groups = [[], []]
                for name, p in model.named_parameters():
                    groups["bias" in name or "norm" in name or "bn" in name].append(p)
                return [{"params": g, "weight_decay": d} for g, d in zip(groups, (weight_decay, 0.0))]
            """,
            hint="Neither a bias decays nor what a normalization owns",
        ),
        wrong(
            "by shape",
            """
            def decay_parameter_groups(model, weight_decay):
                if weight_decay < 0:
                    raise ValueError(weight_decay)
                flat = [p for p in model.parameters() if p.ndim < 2]
                rest = [p for p in model.parameters() if p.ndim >= 2]
                return [{"params": rest, "weight_decay": weight_decay}, {"params": flat, "weight_decay": 0.0}]
            """,
            hint="should not decay",
        ),
        wrong(
            "by shape, or in a normalization",
            _sort(rule="p.ndim < 2 or isinstance(module, NORMALIZATIONS)"),
            hint="The rule does not ask for the shape",
        ),
        wrong(
            "bias anywhere in the path",
            """
            def decay_parameter_groups(model, weight_decay):
                if weight_decay < 0:
                    raise ValueError(weight_decay)
                groups = [[], []]
                owners = {}
                for name, p in model.named_parameters(remove_duplicate=False):
                    module = model.get_submodule(name.rpartition(".")[0])
                    owners[p] = owners.get(p, False) or "bias" in name or isinstance(module, NORMALIZATIONS)
                for p in model.parameters():
                    groups[owners[p]].append(p)
                return [{"params": g, "weight_decay": d} for g, d in zip(groups, (weight_decay, 0.0))]
            """,
            hint="a layer called `debiased`",
        ),
        wrong(
            "biases by their exact name",
            _sort(rule='name == "bias" or isinstance(module, NORMALIZATIONS)'),
            hint="an LSTM has bias_ih_l0",
        ),
        wrong("biases only", _sort(rule='"bias" in name'), hint="Neither a bias decays nor what a normalization owns"),
        wrong(
            "biases decay",
            _sort(rule="isinstance(module, NORMALIZATIONS)"),
            hint="Neither a bias decays nor what a normalization owns",
        ),
        wrong(
            "batch normalization only",
            _sort(rule='"bias" in name or isinstance(module, nn.modules.batchnorm._BatchNorm)'),
            hint="Every class in NORMALIZATIONS counts",
        ),
        wrong(
            "no RMS normalization",
            _sort(rule='"bias" in name or isinstance(module, NORMALIZATIONS[:-1])'),
            hint="Every class in NORMALIZATIONS counts",
        ),
        wrong(
            "by the name of the class",
            _sort(rule='"bias" in name or "Norm" in type(module).__name__'),
            hint="use isinstance, not type()",
        ),
        wrong(
            "a list of exact classes",
            _sort(
                rule='"bias" in name or type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, '
                "nn.SyncBatchNorm, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.RMSNorm)"
            ),
            hint="use isinstance, not type()",
        ),
        wrong(
            "weight and bias of a normalization only",
            _sort(rule='"bias" in name or (name == "weight" and isinstance(module, NORMALIZATIONS))'),
            hint="all that it owns stays without decay",
        ),
        wrong(
            "names that begin with bias only",
            _sort(rule='name.startswith("bias") or isinstance(module, NORMALIZATIONS)'),
            hint="attention in_proj_bias",
        ),
        wrong(
            "direct children only",
            _sort(modules="[model, *model.children()]"),
            hint="Neither a bias decays nor what a normalization owns",
        ),
        wrong(
            "without the model itself",
            _sort(modules="list(model.modules())[1:]"),
            hint="owned by the model itself",
        ),
        wrong(
            "the first owner decides",
            """
            def decay_parameter_groups(model, weight_decay):
                if weight_decay < 0:
                    raise ValueError(weight_decay)
                groups, seen = [[], []], set()
                for module in model.modules():
                    for name, p in module.named_parameters(recurse=False):
                        if id(p) not in seen:
                            seen.add(id(p))
                            groups["bias" in name or isinstance(module, NORMALIZATIONS)].append(p)
                return [{"params": g, "weight_decay": d} for g, d in zip(groups, (weight_decay, 0.0))]
            """,
            hint="does not decay when one of its owners says so",
        ),
        wrong(
            "shared parameters twice",
            _sort(all="[p for _, p in model.named_parameters(remove_duplicate=False)]"),
            hint="appears more than once",
        ),
        wrong(
            "only what is trained",
            _sort(all="[p for p in model.parameters() if p.requires_grad]"),
            hint="Frozen parameters are sorted too",
        ),
        wrong(
            "linear and convolution weights only",
            """
            def decay_parameter_groups(model, weight_decay):
                if weight_decay < 0:
                    raise ValueError(weight_decay)
                yes = {m.weight for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
                return [
                    {"params": [p for p in model.parameters() if p in yes], "weight_decay": weight_decay},
                    {"params": [p for p in model.parameters() if p not in yes], "weight_decay": 0.0},
                ]
            """,
            hint="should decay.",
        ),
        wrong(
            "generators",
            _sort(
                result='[{"params": (p for p in decaying), "weight_decay": weight_decay}, '
                '{"params": (p for p in others), "weight_decay": 0.0}]'
            ),
            hint="should be lists",
        ),
        wrong(
            "the other way round",
            _sort(
                result='[{"params": others, "weight_decay": 0.0}, {"params": decaying, "weight_decay": weight_decay}]'
            ),
            hint="The groups are the other way round",
        ),
        wrong(
            "the decays swapped",
            _sort(
                result='[{"params": decaying, "weight_decay": 0.0}, {"params": others, "weight_decay": weight_decay}]'
            ),
            hint="The groups are the other way round",
        ),
        wrong(
            "copies",
            _sort(
                result='[{"params": [p.clone() for p in decaying], "weight_decay": weight_decay}, '
                '{"params": others, "weight_decay": 0.0}]'
            ),
            hint="copy nothing",
        ),
        wrong(
            "detached copies",
            _sort(
                result='[{"params": [nn.Parameter(p.detach()) for p in decaying], "weight_decay": weight_decay}, '
                '{"params": others, "weight_decay": 0.0}]'
            ),
            hint="copy nothing",
        ),
        wrong(
            "names beside the parameters",
            _sort(
                result='[{"params": decaying, "weight_decay": weight_decay, "name": "decays"}, '
                '{"params": others, "weight_decay": 0.0, "name": "others"}]'
            ),
            hint="with the keys params and weight_decay",
        ),
        wrong(
            "no empty group",
            _sort(
                result='[g for g in ({"params": decaying, "weight_decay": weight_decay}, '
                '{"params": others, "weight_decay": 0.0}) if g["params"]]'
            ),
            hint="a list of two dicts",
        ),
        wrong(
            "sorted by size",
            _sort(all="sorted(model.parameters(), key=torch.numel)"),
            hint="the order is that of model.parameters()",
        ),
        wrong("no error", _sort(check="pass"), hint="should raise a ValueError"),
        wrong(
            "a decay of 0 refused",
            _sort(check='if weight_decay <= 0:\n        raise ValueError("weight_decay is negative")'),
            hint="A weight_decay of 0 or above 1 is allowed",
        ),
        wrong(
            "thaws what is frozen",
            _sort(check="model.requires_grad_(True)\n    if weight_decay < 0:\n        raise ValueError"),
            hint="Your function changes the model",
        ),
        wrong(
            "the model in training",
            _sort(check="model.train()\n    if weight_decay < 0:\n        raise ValueError"),
            hint="Your function changes the model",
        ),
        wrong(
            "nothing at all", "def decay_parameter_groups(model, weight_decay):\n    pass\n", hint="a list of two dicts"
        ),
    ],
    "effective_learning_rate": [
        right("as the formula", _rate()),
        right(
            "by the norm",
            """
            def effective_learning_rate(w, lr, weight_decay):
                length = torch.linalg.vector_norm(w.detach().to(torch.float64)).item()
                if length == 0 or min(lr, weight_decay) < 0 or lr * weight_decay >= 1:
                    raise ValueError("no rate")
                return lr / (1 - lr * weight_decay) / length / length
            """,
        ),
        right(
            "by math.fsum",
            """
            def effective_learning_rate(w, lr, weight_decay):
                numbers = w.detach().double().flatten().tolist()
                if not any(numbers):
                    raise ValueError("all zeros")
                if lr < 0 or weight_decay < 0 or not lr * weight_decay < 1:
                    raise ValueError("bad settings")
                return float(lr / math.fsum(x * x for x in numbers) / (1 - lr * weight_decay))
            """,
        ),
        wrong("no decay", _rate("lr / squared"), hint="The decay is missing: it shrinks w"),
        wrong(
            "the length",
            _rate("lr / ((1 - lr * weight_decay) * squared**0.5)"),
            hint="once for the gradient, once for the step",
        ),
        wrong("times the length", _rate("lr * squared / (1 - lr * weight_decay)"), hint="long weights turn slowly"),
        wrong(
            "multiplied",
            _rate("lr * (1 - lr * weight_decay) / squared"),
            hint="the shorter w, the more a step turns it",
        ),
        wrong("lambda alone", _rate("lr / ((1 - weight_decay / 2) * squared)"), hint="divided by 1 - lr * lambda"),
        wrong(
            "the weights grow", _rate("lr / (abs(1 + lr * weight_decay) * squared)"), hint="The decay makes w shorter"
        ),
        wrong("twice", _rate("lr / ((1 - lr * weight_decay) ** 2 * squared)"), hint="1 - lr * lambda counts once"),
        wrong(
            "to first order",
            _rate("lr * (1 + 2 * lr * weight_decay) / squared"),
            hint="divided by 1 - lr * lambda",
        ),
        wrong("the mean", _rate(squared="w.detach().double().square().mean().item()"), hint="not their mean"),
        wrong(
            "the square of the sum",
            _rate(squared="w.detach().double().sum().item() ** 2 or 1"),
            hint="not the square of the sum",
        ),
        wrong(
            "the largest singular value",
            _rate(
                squared="(torch.linalg.matrix_norm(w.detach().double(), 2) ** 2).item() "
                "if w.ndim == 2 else w.detach().double().square().sum().item()"
            ),
            hint="not the largest singular value",
        ),
        wrong(
            "one rate per row",
            _rate("lr / ((1 - lr * weight_decay) * squared)", "w.detach().double().square().sum(-1)"),
            hint="should be a number",
        ),
        wrong(
            "no learning rate", _rate("1 / ((1 - lr * weight_decay) * squared)"), hint="The learning rate is missing"
        ),
        wrong("a tensor", _rate(squared="w.detach().double().square().sum()"), hint="Return a Python number"),
        wrong(
            "in float32", _rate(squared="w.detach().float().square().sum().item()"), hint="divided by 1 - lr * lambda"
        ),
        wrong("in the dtype of w", _rate(squared="w.detach().square().sum().item()"), hint="Compute in float64"),
        wrong("a graph", _rate(squared="w.double().square().sum()"), hint="Return a Python number"),
        wrong(
            "normalizes w",
            _rate(squared="w.data.double().square().sum().item()\n    w.data /= w.data.norm()"),
            hint="Your function changes w",
        ),
        wrong("no errors", _rate(errors="    pass"), hint="There is no such rate"),
        wrong(
            "zeros not refused",
            _rate(errors=_RATE_ERRORS.replace("not w.any()", "False")),
            hint="weights that are all zeros",
        ),
        wrong(
            "a product of 1 allowed",
            _rate(errors=_RATE_ERRORS.replace(">= 1", "> 1")),
            hint="There is no such rate for lr * weight_decay = 1",
        ),
        wrong(
            "negative signs cancel",
            _rate(errors=_RATE_ERRORS.replace("lr < 0 or weight_decay < 0", "lr * weight_decay < 0")),
            hint="There is no such rate for a negative lr and weight_decay",
        ),
        wrong(
            "a decay above 1 refused",
            _rate(errors=_RATE_ERRORS.replace("lr * weight_decay >= 1", "weight_decay > 1 or lr * weight_decay >= 1")),
            hint="raise nothing",
        ),
        wrong("nothing at all", "def effective_learning_rate(w, lr, weight_decay):\n    pass\n", hint="but it is None"),
    ],
}
