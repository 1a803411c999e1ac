"""Right and wrong answers to the assignment `dropout`, on file for `autograde verify`."""

from autograde.variants import right, wrong

# Each answer is a template whose parts a variant replaces: it then shows only what is special about it.
_CLASSIC = """
def dropout_classic(x, p_keep, training, generator=None):
    {check}
    if not training:
        return {inference}
    {mask}
    return {result}
"""
_CLASSIC_PARTS = {
    "check": """
        if p_keep <= 0 or p_keep > 1:
            raise ValueError("p_keep should be above 0 and at most 1")
    """,
    "inference": "x * p_keep",
    "mask": "mask = torch.rand(x.shape, generator=generator) < p_keep",
    "result": "x * mask",
}
_DROPOUT = """
class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        {check}
        {init}

    def forward(self, x):
        if {off}:
            return {still}
        {mask}
        {scale}
        return {result}
"""
_DROPOUT_PARTS = {
    "check": """
        if p < 0 or p > 1:
            raise ValueError("p should be from 0 to 1")
    """,
    "init": "self.p = p",
    "off": "not self.training",
    "still": "x",
    "mask": "mask = torch.rand(x.shape, device=x.device) >= self.p",
    "scale": "scale = 0.0 if self.p == 1 else 1 / (1 - self.p)",
    "result": "x * mask * scale",
}
_DROPOUT2D = _DROPOUT.replace("Dropout", "Dropout2d").replace("        if {off}", "        {shape}\n        if {off}")
_DROPOUT2D_PARTS = {
    **_DROPOUT_PARTS,
    "shape": """
        if x.dim() != 4:
            raise ValueError("x should have the shape (N, C, H, W)")
    """,
    "mask": "mask = torch.rand(len(x), x.shape[1], 1, 1, device=x.device) >= self.p",
}
_PREDICT = """
def monte_carlo_predict(model, x, samples):
    {check}
    kinds = {kinds}
    before = {before}
    try:
        {modes}
        {passes}
    finally:
        {restore}
    {mean}
    return mean, {entropy}
"""
_PREDICT_PARTS = {
    "check": """
        if samples < 1:
            raise ValueError("samples should be at least 1")
    """,
    "kinds": "(nn.modules.dropout._DropoutNd, Dropout, Dropout2d)",
    "before": "[(m, m.training) for m in model.modules()]",
    "modes": """
        model.eval()
        for m in model.modules():
            if isinstance(m, kinds):
                m.training = True
    """,
    "passes": """
        with torch.no_grad():
            logits = torch.stack([model(x) for _ in range(samples)])
    """,
    "restore": """
        for m, mode in before:
            m.training = mode
    """,
    "mean": "mean = logits.softmax(-1).mean(0)",
    "entropy": "torch.special.entr(mean).sum(-1)",
}


def _fill(code: str, parts: dict[str, str]) -> str:
    """Return a template with its holes filled, each part indented as its hole is."""
    for name, part in parts.items():
        marker = "{" + name + "}"
        lines = [line for line in part.splitlines() if line.strip()]
        depth = len(lines[0]) - len(lines[0].lstrip())
        start = code.index(marker)
        column = start - code.rindex("\n", 0, start) - 1
        code = code.replace(marker, ("\n" + " " * column).join(line[depth:] for line in lines))
    return code


def _classic(**parts: str) -> str:
    return _fill(_CLASSIC, {**_CLASSIC_PARTS, **parts})


def _dropout(**parts: str) -> str:
    return _fill(_DROPOUT, {**_DROPOUT_PARTS, **parts})


def _dropout2d(**parts: str) -> str:
    return _fill(_DROPOUT2D, {**_DROPOUT2D_PARTS, **parts})


def _predict(**parts: str) -> str:
    return _fill(_PREDICT, {**_PREDICT_PARTS, **parts})


VARIANTS = {
    "dropout_classic": [
        right(
            "bernoulli, and where",
            _classic(
                mask="mask = torch.bernoulli(torch.full(x.shape, p_keep), generator=generator).bool()",
                result="torch.where(mask, x, torch.zeros_like(x))",
            ),
        ),
        right(
            "in place on a copy",
            _classic(
                mask="mask = torch.empty_like(x).bernoulli_(p_keep, generator=generator)", result="x.clone().mul_(mask)"
            ),
        ),
        right(
            "drops by an index",
            _classic(
                check="assert_range(p_keep)",
                mask="""
                out = x.clone()
                out[torch.rand(x.shape, dtype=torch.float64, generator=generator) >= p_keep] = 0
                """,
                result="out",
            )
            + """

def assert_range(p_keep):
    if not 0 < p_keep <= 1:
        raise ValueError(p_keep)
""",
        ),
        right(
            "element by element",
            _classic(
                mask="""
                draws = torch.rand(x.numel(), generator=generator).tolist()
                kept = [value if u < p_keep else value * 0 for value, u in zip(x.reshape(-1), draws)]
                """,
                result="torch.stack(kept).reshape(x.shape) if kept else x.clone()",
            ),
        ),
        right("masked_fill", _classic(mask=_CLASSIC_PARTS["mask"], result="x.masked_fill(~mask, 0.0)")),
        wrong("inverted", _classic(inference="x.clone()", result="x * mask / p_keep"), hint="nothing is rescaled here"),
        wrong("scaled in training too", _classic(result="x * mask * p_keep"), hint="p_keep enters the mask only"),
        wrong(
            "p_keep taken for the drop",
            _classic(mask="mask = torch.rand(x.shape, generator=generator) >= p_keep"),
            hint="p_keep is the probability that an element stays",
        ),
        wrong(
            "p_keep taken for the drop, throughout",
            _classic(mask="mask = torch.rand(x.shape, generator=generator) >= p_keep", inference="x * (1 - p_keep)"),
            hint="p_keep is the probability that an element stays",
        ),
        wrong(
            "no scaling at inference", _classic(inference="x.clone()"), hint="multiplied by p_keep: the mean should be"
        ),
        wrong("divides at inference", _classic(inference="x / p_keep"), hint="At inference you divide by p_keep"),
        wrong(
            "drops at inference",
            _classic(inference="x * (torch.rand(x.shape, generator=generator) < p_keep)"),
            hint="At inference every element is multiplied by p_keep, and none is dropped",
        ),
        wrong(
            "draws at inference",
            _classic(
                check="""
                if p_keep <= 0 or p_keep > 1:
                    raise ValueError("p_keep")
                mask = torch.rand(x.shape, generator=generator) < p_keep
              """,
                mask="pass",
            ),
            hint="At inference no random number is drawn",
        ),
        wrong(
            "generator ignored", _classic(mask="mask = torch.rand(x.shape) < p_keep"), hint="draw all from `generator`"
        ),
        wrong(
            "seeds the global generator",
            _classic(
                mask="""
                if generator is not None:
                    torch.manual_seed(generator.initial_seed())
                mask = torch.rand(x.shape) < p_keep
              """
            ),
            hint="global generator should be left alone",
        ),
        wrong(
            "reseeds the generator",
            _classic(
                mask="""
                if generator is not None:
                    generator.manual_seed(generator.initial_seed())
                mask = torch.rand(x.shape, generator=generator) < p_keep
              """
            ),
            hint="it should move on",
        ),
        wrong(
            "a fixed seed when none is given",
            _classic(
                mask="""
                generator = generator or torch.Generator().manual_seed(0)
                mask = torch.rand(x.shape, generator=generator) < p_keep
              """
            ),
            hint="draw a new mask in each call",
        ),
        wrong(
            "an unseeded generator of its own",
            _classic(
                mask="""
                generator = generator or torch.Generator()
                if generator.initial_seed() == 67280421310721:
                    generator.seed()
                mask = torch.rand(x.shape, generator=generator) < p_keep
              """
            ),
            hint="draw from PyTorch's global generator",
        ),
        wrong(
            "NumPy's random numbers without a generator",
            _classic(
                mask="""
                if generator is None:
                    mask = torch.from_numpy(np.random.rand(*x.shape) < p_keep) if x.dim() else torch.tensor(True)
                else:
                    mask = torch.rand(x.shape, generator=generator) < p_keep
              """
            ),
            hint="draw from PyTorch's global generator",
        ),
        wrong("changes x", _classic(result="x.mul_(mask)"), hint="Your function changes x"),
        wrong(
            "changes x through the data",
            _classic(
                mask="""
                x.data[torch.rand(x.shape, generator=generator) >= p_keep] = 0
              """,
                result="x * 1",
            ),
            hint="Your function changes x",
        ),
        wrong(
            "x itself for p_keep=1",
            _classic(
                check="""
                if p_keep <= 0 or p_keep > 1:
                    raise ValueError("p_keep")
                if p_keep == 1:
                    return x
              """
            ),
            hint="The result should be a new tensor",
        ),
        wrong(
            "one draw for each row",
            _classic(mask="mask = torch.rand(x.shape[:1] + (1,) * (x.dim() - 1), generator=generator) < p_keep"),
            hint="All columns are dropped alike",
        ),
        wrong(
            "one mask for all rows",
            _classic(mask="mask = torch.rand(x.shape[-1:], generator=generator) < p_keep"),
            hint="All rows are dropped alike",
        ),
        wrong(
            "an exact number",
            _classic(
                mask="""
                order = torch.randperm(x.numel(), generator=generator)
                mask = (order < round(p_keep * x.numel())).view(x.shape)
              """
            ),
            hint="always drop the same number",
        ),
        wrong(
            "normal draws",
            _classic(mask="mask = torch.randn(x.shape, generator=generator) < p_keep"),
            hint="does not fit the probability",
        ),
        wrong(
            "a coin for every p_keep",
            _classic(mask="mask = torch.randint(2, x.shape, generator=generator)"),
            hint="whatever the probability is",
        ),
        wrong("detached", _classic(result="x.detach() * mask"), hint="does not require grad"),
        wrong(
            "a gradient for what is dropped",
            _classic(result="x + (x * mask - x).detach()"),
            hint="Dropped elements get a gradient",
        ),
        wrong(
            "a mask in float32",
            _classic(mask="mask = (torch.rand(x.shape, generator=generator) < p_keep).float()"),
            hint="should keep the dtype torch.bfloat16",
        ),
        wrong("everything in float32", _classic(result="x.float() * mask"), hint="should keep the dtype torch.float64"),
        wrong(
            "view of the input",
            _classic(result="(x.view(-1) * mask.view(-1)).view(x.shape)"),
            hint="view size is not compatible",
        ),
        wrong("p_keep not checked", _classic(check="pass"), hint="p_keep=0 should raise a ValueError, in training"),
        wrong(
            "p_keep = 0 allowed",
            _classic(
                check="""
                if not 0 <= p_keep <= 1:
                    raise ValueError("p_keep")
              """
            ),
            hint="p_keep=0 should raise a ValueError, in training",
        ),
        wrong(
            "p_keep checked in training only",
            _classic(
                check="""
                if training and not 0 < p_keep <= 1:
                    raise ValueError("p_keep")
              """
            ),
            hint="p_keep=0 should raise a ValueError, at inference too",
        ),
        wrong("assert for raise", _classic(check="assert 0 < p_keep <= 1"), hint="yours raised AssertionError"),
        wrong(
            "p_keep = 1 refused",
            _classic(
                check="""
                if not 0 < p_keep < 1:
                    raise ValueError("p_keep")
              """
            ),
            hint="Your code raised ValueError",
        ),
        wrong(
            "the wrong end of torch.rand",
            _classic(mask="mask = torch.rand(x.shape, dtype=x.dtype, generator=generator) > 1 - p_keep"),
            hint="With p_keep=1 every element stays, in torch.bfloat16 too",
        ),
        wrong(
            "training swapped", _classic(check="training = not training"), hint="In training mode nothing is dropped"
        ),
    ],
    "Dropout": [
        right("rand_like", _dropout(mask="mask = (torch.rand_like(x) >= self.p).to(x.dtype)")),
        right("bernoulli of a full tensor", _dropout(mask="mask = torch.bernoulli(torch.full_like(x, 1 - self.p))")),
        right(
            "bernoulli_ on an empty tensor",
            _dropout(
                off="self.p == 0 or not self.training",
                mask="mask = torch.empty_like(x, requires_grad=False).bernoulli_(1 - self.p)",
                scale="mask.div_(1 - self.p) if self.p < 1 else mask",
                result="mask * x",
            ),
        ),
        right(
            "where, and a copy in eval mode",
            _dropout(
                still="x.clone()",
                mask="drop = torch.rand_like(x) < self.p",
                result="torch.where(drop, 0.0 * x, x * scale)",
            ),
        ),
        right(
            "masked_fill",
            _dropout(
                mask="drop = torch.rand(x.shape, device=x.device) < self.p", result="x.masked_fill(drop, 0.0) * scale"
            ),
        ),
        right(
            "a mask as an index",
            _dropout(
                mask="""
                out = x * 1
                drop = torch.rand_like(x, dtype=torch.float64) < self.p
                out[drop] *= 0
                """,
                result="out * scale",
            ),
        ),
        right(
            "a distribution",
            _dropout(
                mask="keep = torch.full_like(x, 1 - self.p)",
                result="x * torch.distributions.Bernoulli(keep).sample() * scale",
            ),
        ),
        right(
            "made on the CPU, then moved",
            _dropout(mask="mask = (torch.rand(x.shape, device='cpu') >= self.p).to(x)"),
        ),
        right(
            "a gradient of its own",
            """
            class _DropoutFunction(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, p):
                    factor = (torch.rand_like(x) >= p).to(x.dtype)
                    factor *= 1 / (1 - p) if p < 1 else 0
                    ctx.save_for_backward(factor)
                    return x * factor

                @staticmethod
                def backward(ctx, up):
                    return up * ctx.saved_tensors[0], None

            class Dropout(nn.Module):
                def __init__(self, p=0.5):
                    if not 0.0 <= p <= 1.0:
                        raise ValueError("p")
                    super(Dropout, self).__init__()
                    self.p = float(p)

                def forward(self, x):
                    return _DropoutFunction.apply(x, self.p) if self.training else x
            """,
        ),
        wrong(
            "PyTorch's function",
            _dropout(mask="pass", scale="pass", result="F.dropout(x, self.p, training=True)"),
            hint="calls a dropout of PyTorch's",
        ),
        wrong(
            "PyTorch's module inside",
            _dropout(
                init="self.p, self.inner = p, nn.Dropout(p)",
                mask="self.inner.p = self.p",
                scale="pass",
                result="self.inner(x)",
            ),
            hint="calls a dropout of PyTorch's",
        ),
        wrong(
            "PyTorch's module as the base", "class Dropout(nn.Dropout):\n    pass", hint="calls a dropout of PyTorch's"
        ),
        wrong(
            "PyTorch's dropout of ones",
            _dropout(mask="mask = torch.dropout(torch.ones_like(x), self.p, True)", scale="pass", result="x * mask"),
            hint="calls a dropout of PyTorch's",
        ),
        wrong(
            "p taken for p_keep",
            _dropout(mask="mask = torch.rand_like(x) < self.p", scale="scale = 1 / self.p if self.p else 0.0"),
            hint="in yours it is the one that it stays",
        ),
        wrong(
            "mask the wrong way round",
            _dropout(mask="mask = torch.rand_like(x) < self.p"),
            hint="in yours it is the one that it stays",
        ),
        wrong("not rescaled", _dropout(scale="scale = 1"), hint="nothing is rescaled in yours"),
        wrong(
            "exercise 1 again",
            _dropout(still="x * (1 - self.p)", scale="scale = 1"),
            hint="nothing is rescaled in yours",
        ),
        wrong("multiplied by 1 - p", _dropout(scale="scale = 1 - self.p"), hint="you multiply by it"),
        wrong(
            "divided by p",
            _dropout(scale="scale = 1 / self.p if 0 < self.p < 1 else 1 - self.p"),
            hint="you divide by p",
        ),
        wrong(
            "scaled twice",
            _dropout(scale="scale = 0.0 if self.p == 1 else 1 / (1 - self.p) ** 2"),
            hint="divide by 1 - p twice",
        ),
        wrong(
            "scaled by what was kept",
            _dropout(scale="scale = mask.numel() / mask.sum().clamp(min=1)"),
            hint="what stays is multiplied by 1 / (1 - p)",
        ),
        wrong(
            "scaled in eval mode too",
            _dropout(still="x / (1 - self.p) if self.p < 1 else x"),
            hint="nothing is scaled in this form",
        ),
        wrong("scaled back in eval mode", _dropout(still="x * (1 - self.p)"), hint="nothing is scaled in this form"),
        wrong("always drops", _dropout(off="False"), hint="In eval mode yours still drops"),
        wrong("never drops", _dropout(off="True"), hint="In training mode nothing is dropped"),
        wrong("modes swapped", _dropout(off="self.training"), hint="In training mode nothing is dropped"),
        wrong(
            "asks whether gradients are on",
            _dropout(off="not torch.is_grad_enabled()"),
            hint="In eval mode yours still drops",
        ),
        wrong(
            "asks for both",
            _dropout(off="not (self.training and torch.is_grad_enabled())"),
            hint="you drop nothing under torch.no_grad()",
        ),
        wrong(
            "only where a gradient is wanted",
            _dropout(off="not (self.training and x.requires_grad)"),
            hint="In training mode nothing is dropped",
        ),
        wrong(
            "a mode of its own",
            _dropout(init="self.p, self.drops = p, True", off="not self.drops")
            + "\n    def eval(self):\n        self.drops = False\n        return self\n",
            hint="In eval mode yours still drops",
        ),
        wrong(
            "train() remembered, eval() too, the attribute not",
            _dropout(init="self.p, self.drops = p, True", off="not self.drops")
            + "\n    def train(self, mode=True):\n        self.drops = mode\n        return super().train(mode)\n",
            hint="self.training alone decides",
        ),
        wrong(
            "draws in eval mode",
            _dropout(mask="pass").replace(
                "        if not self.training",
                "        mask = torch.rand_like(x) >= self.p\n        if not self.training",
            ),
            hint="no random number is drawn",
        ),
        wrong(
            "one mask for all samples",
            _dropout(mask="mask = torch.rand(x.shape[1:], device=x.device) >= self.p"),
            hint="All samples are dropped alike",
        ),
        wrong(
            "one draw for each sample",
            _dropout(mask="mask = torch.rand(x.shape[:1] + (1,) * (x.dim() - 1), device=x.device) >= self.p"),
            hint="All elements of a sample are dropped alike",
        ),
        wrong(
            "whole channels",
            _dropout(mask="mask = torch.rand(x.shape[:2] + (1,) * (x.dim() - 2), device=x.device) >= self.p"),
            hint="All rows of a channel are dropped alike",
        ),
        wrong(
            "all channels alike",
            _dropout(
                mask="""
                shape = (len(x), 1, *x.shape[2:]) if x.dim() == 4 else x.shape
                mask = torch.rand(shape, device=x.device) >= self.p
              """
            ),
            hint="All channels are dropped alike",
        ),
        wrong(
            "a mask for half of the batch, twice",
            _dropout(
                mask="""
                if x.dim() == 0 or len(x) < 2:
                    mask = torch.rand_like(x) >= self.p
                else:
                    half = torch.rand_like(x[: (len(x) + 1) // 2]) >= self.p
                    mask = torch.cat([half, half])[: len(x)]
              """
            ),
            hint="Some samples are dropped alike",
        ),
        wrong(
            "masks that come back in every second call",
            _dropout(
                init="self.p, self.masks, self.calls = p, {}, 0",
                mask="""
                self.calls += 1
                key = self.calls % 2, tuple(x.shape)
                if key not in self.masks:
                    self.masks[key] = torch.rand_like(x) >= self.p
                mask = self.masks[key]
              """,
            ),
            hint="Some calls are dropped alike",
        ),
        wrong(
            "the second half of the batch mirrors the first",
            _dropout(
                mask="""
                draws = torch.rand(x.shape, device=x.device)
                if x.dim() and len(x) % 2 == 0:
                    draws[len(x) // 2 :] = 1 - draws[: len(x) // 2]
                mask = draws >= self.p
              """
            ),
            hint="together more or less often than by chance",
        ),
        wrong(
            "runs of neighbours",
            _dropout(
                mask="""
                start = torch.rand(x.shape, device=x.device) < 1 - (1 - self.p) ** 0.5
                mask = ~(start | start.roll(1, -1)) if x.dim() else ~start
              """
            ),
            hint="together more or less often than by chance",
        ),
        wrong(
            "pairs of neighbours",
            _dropout(
                mask="""
                shape = (*x.shape[:-1], (x.shape[-1] + 1) // 2) if x.dim() else ()
                mask = torch.rand(shape, device=x.device) >= self.p
                if x.dim():
                    mask = mask.repeat_interleave(2, -1)[..., : x.shape[-1]]
              """
            ),
            hint="Some elements of a sample are dropped alike",
        ),
        wrong(
            "an exact number",
            _dropout(
                mask="""
                order = torch.randperm(x.numel(), device=x.device)
                mask = (order >= round(self.p * x.numel())).view(x.shape)
              """
            ),
            hint="always drop the same number",
        ),
        wrong(
            "an exact number in each sample",
            _dropout(
                mask="""
                if x.dim() == 0:
                    mask = torch.rand_like(x) >= self.p
                else:
                    mask = torch.rand_like(x, dtype=torch.float64).argsort(-1) >= round(self.p * x.shape[-1])
              """
            ),
            hint="always drop the same number",
        ),
        wrong(
            "the mask of the first call",
            _dropout(
                init="self.p, self.mask = p, None",
                mask="""
                if self.mask is None or self.mask.shape != x.shape:
                    self.mask = torch.rand_like(x) >= self.p
                mask = self.mask
              """,
            ),
            hint="draw a new mask in each call",
        ),
        wrong(
            "a fixed seed",
            _dropout(mask="torch.manual_seed(0)\nmask = torch.rand_like(x) >= self.p"),
            hint="draw a new mask in each call",
        ),
        wrong(
            "a seeded generator of its own",
            _dropout(
                init="self.p, self.generator = p, torch.Generator().manual_seed(0)",
                mask="mask = torch.rand(x.shape, generator=self.generator).to(x.device) >= self.p",
            ),
            hint="Two modules have the same masks",
        ),
        wrong(
            "NumPy's random numbers",
            _dropout(mask="mask = torch.as_tensor(np.random.rand(*x.shape)).to(x.device) >= self.p"),
            hint="draw from PyTorch's global generator",
        ),
        wrong(
            "normal draws", _dropout(mask="mask = torch.randn_like(x) >= self.p"), hint="does not fit the probability"
        ),
        wrong(
            "a coin for every p",
            _dropout(mask="mask = torch.randint_like(x, 2).bool()"),
            hint="whatever the probability is",
        ),
        wrong("0.5 for every p", _dropout(init="self.p = 0.5"), hint="whatever the probability is"),
        wrong(
            "Gaussian noise of the same variance",
            _dropout(
                mask="pass",
                scale="pass",
                result="x * (1 + (self.p / (1 - self.p)) ** 0.5 * torch.randn_like(x)) if self.p < 1 else x * 0",
            ),
            hint="In training mode nothing is dropped",
        ),
        wrong(
            "drops small values",
            _dropout(
                mask="""
                if self.p in (0, 1) or x.numel() < 2:
                    mask = torch.rand_like(x) >= self.p
                else:
                    mask = x.abs() >= x.abs().double().quantile(self.p)
              """
            ),
            hint="draw a new mask in each call",
        ),
        wrong("changes x", _dropout(result="x.mul_(mask).mul_(scale)"), hint="Your module changes its input"),
        wrong(
            "changes x by an index",
            _dropout(mask="x[torch.rand_like(x) < self.p] = 0", result="x * scale"),
            hint="Your module changes its input",
        ),
        wrong("detached", _dropout(result="x.detach() * mask * scale"), hint="does not require grad"),
        wrong("through .data", _dropout(result="x.data * mask * scale"), hint="does not require grad"),
        wrong(
            "under no_grad",
            _dropout().replace("    def forward", "    @torch.no_grad()\n    def forward"),
            hint="does not require grad",
        ),
        wrong(
            "a gradient for what is dropped",
            _dropout(result="x + (x * mask * scale - x).detach()"),
            hint="Dropped elements get a gradient",
        ),
        wrong(
            "a gradient without the scale",
            _dropout(result="x * mask + (x * mask * (scale - 1)).detach()"),
            hint="The gradient is not scaled",
        ),
        wrong(
            "another mask for the gradient",
            """
              class _Noisy(torch.autograd.Function):
                  @staticmethod
                  def forward(ctx, x, p):
                      ctx.p = p
                      return x * (torch.rand_like(x) >= p) * (1 / (1 - p) if p < 1 else 0)

                  @staticmethod
                  def backward(ctx, up):
                      return up * (torch.rand_like(up) >= ctx.p) * (1 / (1 - ctx.p) if ctx.p < 1 else 0), None

              class Dropout(nn.Module):
                  def __init__(self, p=0.5):
                      super().__init__()
                      if not 0 <= p <= 1:
                          raise ValueError("p")
                      self.p = p

                  def forward(self, x):
                      return _Noisy.apply(x, self.p) if self.training else x
              """,
            hint="passes through the same mask as the values",
        ),
        wrong(
            "nan at p = 1",
            _dropout(scale="pass", result="x * mask / torch.tensor(1 - self.p, dtype=x.dtype)"),
            hint="With p=1 everything is dropped",
        ),
        wrong("division by zero at p = 1", _dropout(scale="scale = 1 / (1 - self.p)"), hint="ZeroDivisionError"),
        wrong(
            "no graph at p = 1",
            _dropout(off="self.p == 1 or not self.training", still="x if not self.training else torch.zeros_like(x)"),
            hint="With p=1 the gradient is zero, but it is there",
        ),
        wrong(
            "p = 1 refused",
            _dropout(
                check="""
                if not 0 <= p < 1:
                    raise ValueError("p")
              """
            ),
            hint="Your code raised ValueError",
        ),
        wrong(
            "p = 1 and p = 0 drop nothing",
            _dropout(off="self.p in (0, 1) or not self.training"),
            hint="With p=1 everything is dropped",
        ),
        wrong(
            "zeros in eval mode at p = 1",
            _dropout(off="self.p == 1 or not self.training", still="x * 0 if self.p == 1 else x"),
            hint="With p=1 in eval mode",
        ),
        wrong(
            "the wrong end of torch.rand",
            _dropout(mask="mask = torch.rand_like(x) > self.p"),
            hint="With p=0 nothing changes, in torch.bfloat16 too",
        ),
        wrong(
            "the other wrong end of torch.rand",
            _dropout(mask="mask = torch.rand_like(x) <= 1 - self.p", scale="scale = 1 / max(1 - self.p, 1e-6)"),
            hint="With p=1 everything is dropped, in torch.bfloat16 too",
        ),
        wrong(
            "scale kept from the start",
            _dropout(init="self.p, self.scale = p, 1 / (1 - p) if p < 1 else 0.0", scale="scale = self.scale"),
            hint="When self.p is changed later",
        ),
        wrong(
            "p kept elsewhere",
            _dropout(init="self.p = self.rate = p")
            .replace("self.p == 1 else 1 / (1 - self.p)", "self.rate == 1 else 1 / (1 - self.rate)")
            .replace(">= self.p", ">= self.rate"),
            hint="When self.p is changed later",
        ),
        wrong("p not kept", _dropout(init="self.rate = p").replace("self.p", "self.rate"), hint="has no attribute 'p'"),
        wrong(
            "p as a buffer",
            _dropout(init='self.register_buffer("p", torch.tensor(p))'),
            hint="no parameters and an empty state_dict()",
        ),
        wrong(
            "p as a parameter",
            _dropout(init="self.p = nn.Parameter(torch.tensor(p), requires_grad=False)"),
            hint="no parameters and an empty state_dict()",
        ),
        wrong(
            "the mask as a buffer",
            _dropout(
                mask="""
                mask = torch.rand(x.shape, device=x.device) >= self.p
                self.register_buffer("mask", mask)
              """
            ),
            hint="no parameters and an empty state_dict()",
        ),
        wrong("another default", _dropout().replace("p=0.5", "p=0.2"), hint="and 0.5 when none was"),
        wrong(
            "a mask in float32",
            _dropout(mask="mask = (torch.rand(x.shape, device=x.device) >= self.p).float()"),
            hint="should keep the dtype torch.bfloat16",
        ),
        wrong(
            "everything in float32",
            _dropout(result="x.float() * mask * scale"),
            hint="should keep the dtype torch.float64",
        ),
        wrong(
            "flattened by view",
            _dropout(result="(x.view(-1) * mask.view(-1)).view(x.shape) * scale"),
            hint="view size is not compatible",
        ),
        wrong(
            "matrices only",
            _dropout(mask="mask = torch.rand(len(x), x.shape[-1], device=x.device) >= self.p"),
            hint="must match the size of tensor",
        ),
        wrong(
            "a mask on the CPU",
            _dropout(mask="mask = torch.rand(x.shape) >= self.p"),
            hint="The mask should be on the input's device",
        ),
        wrong(
            "a mask on the CPU, in so many words",
            _dropout(mask='mask = torch.rand(x.shape, device="cpu") >= self.p'),
            hint="The mask should be on the input's device",
        ),
        wrong("settings not checked", _dropout(check="pass"), hint="A negative p should raise a ValueError"),
        wrong(
            "upper end not checked",
            _dropout(
                check="""
                if p < 0:
                    raise ValueError("p")
              """
            ),
            hint="p above 1 should raise a ValueError",
        ),
        wrong("assert for raise", _dropout(check="assert 0 <= p <= 1"), hint="yours raised AssertionError"),
        wrong("nothing comes back", _dropout(result="None"), hint="should be a tensor, but it is None"),
        wrong("no constructor of nn.Module", _dropout().replace("super().__init__()", "pass"), hint="Your code raised"),
    ],
    "Dropout2d": [
        right(
            "a mask of ones", _dropout2d(mask="mask = torch.bernoulli(x.new_full((*x.shape[:2], 1, 1), 1 - self.p))")
        ),
        right(
            "views",
            _dropout2d(
                mask="mask = (torch.rand(x.shape[:2], device=x.device) >= self.p)[:, :, None, None].expand_as(x)"
            ),
        ),
        right(
            "the dropout of exercise 2",
            """
            class Dropout2d(Dropout):
                def forward(self, x):
                    if x.ndim != 4:
                        raise ValueError("four dimensions, please")
                    return x * super().forward(x.new_ones(x.size(0), x.size(1), 1, 1))
            """,
        ),
        right(
            "channel by channel",
            _dropout2d(
                mask="""
                out = x * 1
                drop = torch.rand(x.shape[:2], device="cpu") < self.p
                for n in range(x.shape[0]):
                    for c in range(x.shape[1]):
                        if drop[n, c]:
                            out[n, c] = 0
                """,
                result="out * scale",
            ),
        ),
        right(
            "where",
            _dropout2d(
                off="self.p == 0 or not self.training",
                mask="drop = torch.rand_like(x[:, :, :1, :1], dtype=torch.float32) < self.p",
                result="torch.where(drop, 0 * x, scale * x)",
            ),
        ),
        wrong(
            "PyTorch's function",
            _dropout2d(mask="pass", scale="pass", result="F.dropout2d(x, self.p, training=True)"),
            hint="calls a dropout of PyTorch's",
        ),
        wrong(
            "PyTorch's feature dropout",
            _dropout2d(mask="pass", scale="pass", result="torch.feature_dropout(x, self.p, True)"),
            hint="calls a dropout of PyTorch's",
        ),
        wrong("element by element", _dropout2d(mask="mask = torch.rand_like(x) >= self.p"), hint="dropped in part"),
        wrong(
            "rows of a channel",
            _dropout2d(mask="mask = torch.rand(*x.shape[:3], 1, device=x.device) >= self.p"),
            hint="dropped in part",
        ),
        wrong(
            "pixels of all channels",
            _dropout2d(mask="mask = torch.rand(len(x), 1, *x.shape[2:], device=x.device) >= self.p"),
            hint="dropped in part",
        ),
        wrong(
            "channels last",
            _dropout2d(mask="mask = torch.rand(len(x), 1, 1, x.shape[3], device=x.device) >= self.p"),
            hint="dropped in part",
        ),
        wrong(
            "the same channels for all samples",
            _dropout2d(mask="mask = torch.rand(1, x.shape[1], 1, 1, device=x.device) >= self.p"),
            hint="All samples are dropped alike",
        ),
        wrong(
            "whole samples",
            _dropout2d(mask="mask = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.p"),
            hint="All channels of a sample are dropped alike",
        ),
        wrong(
            "an exact number in each sample",
            _dropout2d(
                mask="""
                order = torch.rand(x.shape[:2], device=x.device).argsort(1)
                mask = (order >= round(self.p * x.shape[1]))[:, :, None, None]
              """
            ),
            hint="always drop the same number of channels",
        ),
        wrong(
            "runs of channels",
            _dropout2d(
                mask="""
                start = torch.rand(*x.shape[:2], 1, 1, device=x.device) < 1 - (1 - self.p) ** 0.5
                mask = ~(start | start.roll(1, 1))
              """
            ),
            hint="together more or less often than by chance",
        ),
        wrong(
            "pairs of channels",
            _dropout2d(
                mask="""
                mask = torch.rand(len(x), (x.shape[1] + 1) // 2, 1, 1, device=x.device) >= self.p
                mask = mask.repeat_interleave(2, 1)[:, : x.shape[1]]
              """
            ),
            hint="Some channels of a sample are dropped alike",
        ),
        wrong(
            "a fixed seed",
            _dropout2d(mask="torch.manual_seed(1)\n" + _DROPOUT2D_PARTS["mask"]),
            hint="draw a new mask in each call",
        ),
        wrong(
            "p taken for p_keep",
            _dropout2d(
                mask="mask = torch.rand(*x.shape[:2], 1, 1, device=x.device) < self.p",
                scale="scale = 1 / self.p if self.p else 0.0",
            ),
            hint="in yours it is the one that it stays",
        ),
        wrong("not rescaled", _dropout2d(scale="scale = 1"), hint="nothing is rescaled in yours"),
        wrong("multiplied by 1 - p", _dropout2d(scale="scale = 1 - self.p"), hint="you multiply by it"),
        wrong(
            "scaled by what was kept",
            _dropout2d(scale="scale = mask.numel() / mask.sum().clamp(min=1)"),
            hint="what stays is multiplied by 1 / (1 - p)",
        ),
        wrong("scaled in eval mode too", _dropout2d(still="x * (1 - self.p)"), hint="nothing is scaled in this form"),
        wrong("always drops", _dropout2d(off="False"), hint="In eval mode yours still drops"),
        wrong(
            "asks for gradients too",
            _dropout2d(off="not (self.training and torch.is_grad_enabled())"),
            hint="you drop nothing under torch.no_grad()",
        ),
        wrong(
            "a seeded generator of its own",
            _dropout2d(
                init="self.p, self.generator = p, torch.Generator().manual_seed(0)",
                mask="mask = torch.rand(*x.shape[:2], 1, 1, generator=self.generator).to(x.device) >= self.p",
            ),
            hint="Two modules have the same masks",
        ),
        wrong(
            "an unseeded generator of its own",
            _dropout2d(
                init="self.p, self.generator = p, torch.Generator()\nself.generator.seed()",
                mask="mask = torch.rand(*x.shape[:2], 1, 1, generator=self.generator).to(x.device) >= self.p",
            ),
            hint="draw from PyTorch's global generator",
        ),
        wrong("changes x", _dropout2d(result="x.mul_(mask * scale)"), hint="Your module changes its input"),
        wrong("detached", _dropout2d(result="x.detach() * mask * scale"), hint="does not require grad"),
        wrong(
            "a gradient for what is dropped",
            _dropout2d(result="x + (x * mask * scale - x).detach()"),
            hint="Dropped elements get a gradient",
        ),
        wrong("division by zero at p = 1", _dropout2d(scale="scale = 1 / (1 - self.p)"), hint="ZeroDivisionError"),
        wrong(
            "nan at p = 1",
            _dropout2d(scale="pass", result="x * mask / torch.tensor(1 - self.p, dtype=x.dtype)"),
            hint="With p=1 everything is dropped",
        ),
        wrong(
            "no graph at p = 1",
            _dropout2d(off="self.p == 1 or not self.training", still="x if not self.training else torch.zeros_like(x)"),
            hint="With p=1 the gradient is zero, but it is there",
        ),
        wrong(
            "the wrong end of torch.rand",
            _dropout2d(mask="mask = torch.rand_like(x[:, :, :1, :1]) > self.p"),
            hint="With p=0 nothing changes, in torch.bfloat16 too",
        ),
        wrong(
            "scale kept from the start",
            _dropout2d(init="self.p, self.scale = p, 1 / (1 - p) if p < 1 else 0.0", scale="scale = self.scale"),
            hint="When self.p is changed later",
        ),
        wrong(
            "p as a buffer",
            _dropout2d(init='self.register_buffer("p", torch.tensor(p))'),
            hint="no parameters and an empty state_dict()",
        ),
        wrong(
            "a mask in float32",
            _dropout2d(mask="mask = (torch.rand(*x.shape[:2], 1, 1, device=x.device) >= self.p).float()"),
            hint="should keep the dtype torch.bfloat16",
        ),
        wrong(
            "a mask on the CPU",
            _dropout2d(mask="mask = torch.rand(*x.shape[:2], 1, 1) >= self.p"),
            hint="The mask should be on the input's device",
        ),
        wrong("settings not checked", _dropout2d(check="pass"), hint="A negative p should raise a ValueError"),
        wrong(
            "any shape goes",
            _dropout2d(
                shape="pass",
                mask="""
                mask = torch.rand(x.shape[:2] + (1,) * (x.dim() - 2), device=x.device) >= self.p
              """,
            ),
            hint="1 dimension should raise a ValueError, in training mode",
        ),
        wrong(
            "shape checked in training only",
            _dropout2d(
                shape="""
                if self.training and x.dim() != 4:
                    raise ValueError("four dimensions")
              """
            ),
            hint="1 dimension should raise a ValueError, in eval mode",
        ),
        wrong(
            "three dimensions are enough",
            _dropout2d(
                shape="""
                if x.dim() not in (3, 4):
                    raise ValueError("three or four dimensions")
              """
            ),
            hint="3 dimensions should raise a ValueError",
        ),
        wrong(
            "at least four dimensions",
            _dropout2d(
                shape="""
                if x.dim() < 4:
                    raise ValueError("four dimensions")
              """
            ),
            hint="5 dimensions should raise a ValueError",
        ),
        wrong("assert for raise", _dropout2d(shape="assert x.dim() == 4"), hint="yours raised AssertionError"),
    ],
    "monte_carlo_predict": [
        right(
            "a running sum, modes by train()",
            """
            def monte_carlo_predict(model, x, samples):
                if samples <= 0:
                    raise ValueError("samples")
                modes = {m: m.training for m in model.modules()}
                kinds = nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout
                try:
                    for m in modes:
                        m.training = isinstance(m, kinds + (Dropout, Dropout2d))
                    total = 0
                    with torch.inference_mode():
                        for _ in range(samples):
                            total = total + torch.softmax(model(x), dim=-1)
                finally:
                    for m, mode in modes.items():
                        m.train(mode)  # those inside come later, and get their own
                mean = (total / samples).clone()
                return mean, -torch.xlogy(mean, mean).sum(-1)
            """,
        ),
        right(
            "on a copy of the model",
            """
            @torch.no_grad()
            def monte_carlo_predict(model, x, samples):
                import copy
                if samples < 1:
                    raise ValueError("samples")
                model = copy.deepcopy(model)
                for m in model.modules():
                    m.training = isinstance(m, (nn.modules.dropout._DropoutNd, Dropout, Dropout2d))
                mean = torch.stack([F.softmax(model(x), 1) for _ in range(samples)]).mean(dim=0)
                return [mean, -(mean * (mean + 1e-12).log()).sum(1)]
            """,
        ),
        right(
            "a context manager",
            """
            from contextlib import contextmanager

            @contextmanager
            def _modes_kept(model):
                before = [m.training for m in model.modules()]
                try:
                    yield
                finally:
                    for m, mode in zip(model.modules(), before):
                        m.training = mode

            def monte_carlo_predict(model, x, samples):
                if not samples >= 1:
                    raise ValueError("samples")
                with _modes_kept(model), torch.no_grad():
                    model.eval()
                    for m in model.modules():
                        if isinstance(m, (nn.modules.dropout._DropoutNd, Dropout, Dropout2d)):
                            m.training = True
                    logs = torch.stack([model(x).log_softmax(-1) for _ in range(samples)])
                mean = logs.logsumexp(0).sub(math.log(samples)).exp()
                return mean, -(mean * mean.log()).nan_to_num(0.0).sum(-1)
            """,
        ),
        right("a template, for the rest of this list", _predict()),
        right(
            "a distribution",
            _predict(entropy="torch.distributions.Categorical(probs=mean).entropy()"),
        ),
        wrong(
            "mean of the entropies",
            _predict(entropy="torch.special.entr(logits.softmax(-1)).sum(-1).mean(0)"),
            hint="the mean of the passes' entropies",
        ),
        wrong(
            "mutual information",
            _predict(
                entropy="torch.special.entr(mean).sum(-1) - torch.special.entr(logits.softmax(-1)).sum(-1).mean(0)"
            ),
            hint="This is the mutual information",
        ),
        wrong(
            "softmax of the mean logits",
            _predict(mean="mean = logits.mean(0).softmax(-1)"),
            hint="you average the logits",
        ),
        wrong(
            "mean of the logits", _predict(mean="mean = logits.mean(0)"), hint="the softmax of the logits is missing"
        ),
        wrong(
            "mean of log-probabilities",
            _predict(mean="mean = logits.log_softmax(-1).mean(0).exp()"),
            hint="This averages log-probabilities",
        ),
        wrong(
            "entropy of the mean logits",
            _predict(entropy="torch.special.entr(logits.mean(0).softmax(-1)).sum(-1)"),
            hint="not of logits",
        ),
        wrong("sigmoid", _predict(mean="mean = logits.sigmoid().mean(0)"), hint="softmax, not sigmoid"),
        wrong(
            "softmax over the batch",
            _predict(mean="mean = logits.softmax(1).mean(0)"),
            hint="not over the samples of the batch",
        ),
        wrong("the sum", _predict(mean="mean = logits.softmax(-1).sum(0)"), hint="not divided by their number"),
        wrong("the last pass", _predict(mean="mean = logits[-1].softmax(-1)"), hint="the last pass alone"),
        wrong(
            "bits", _predict(entropy="torch.special.entr(mean).sum(-1) / math.log(2)"), hint="This entropy is in bits"
        ),
        wrong("base 10", _predict(entropy="-(mean * (mean + 1e-12).log10()).sum(-1)"), hint="not that to base 10"),
        wrong("the minus sign", _predict(entropy="torch.xlogy(mean, mean).sum(-1)"), hint="An entropy is not negative"),
        wrong(
            "averaged over the classes",
            _predict(entropy="torch.special.entr(mean).mean(-1)"),
            hint="Sum over the classes",
        ),
        wrong(
            "divided by its largest value",
            _predict(entropy="torch.special.entr(mean).sum(-1) / math.log(mean.shape[-1])"),
            hint="Do not divide by the logarithm",
        ),
        wrong(
            "one entropy for all",
            _predict(entropy="torch.special.entr(mean).sum(-1).mean()"),
            hint="There is one entropy for each sample",
        ),
        wrong(
            "the largest probability", _predict(entropy="1 - mean.amax(-1)"), hint="one minus the largest probability"
        ),
        wrong(
            "nan at a probability of 0",
            _predict(entropy="-(mean * mean.log()).sum(-1)"),
            hint="A probability of exactly 0",
        ),
        wrong(
            "a coarse constant in the logarithm",
            _predict(entropy="-(mean * (mean + 1e-3).log()).sum(-1)"),
            hint="The entropy should be that of your mean",
        ),
        wrong(
            "squeezed",
            _predict(mean="mean = logits.softmax(-1).mean(0).squeeze()"),
            hint="The mean should have the shape",
        ),
        wrong("in float64", _predict(mean="mean = logits.double().softmax(-1).mean(0)"), hint="should keep the dtype"),
        wrong(
            "the mean only",
            _predict().replace("return mean, torch.special.entr(mean).sum(-1)", "return mean"),
            hint="tuple of 2 values",
        ),
        wrong(
            "the whole model in training mode",
            _predict(modes="model.train()"),
            hint="Batch normalization is in training",
        ),
        wrong("the whole model in eval mode", _predict(modes="model.eval()"), hint="Dropout is in eval mode during"),
        wrong(
            "the others as they were",
            _predict(
                modes="""
                for m in model.modules():
                    if isinstance(m, kinds):
                        m.training = True
              """
            ),
            hint="Batch normalization is in training",
        ),
        wrong(
            "batch normalization alone in eval mode",
            _predict(
                modes="""
                for m in model.modules():
                    m.training = not isinstance(m, nn.modules.batchnorm._BatchNorm)
              """
            ),
            hint="the model itself is",
        ),
        wrong("modes left as they are", _predict(modes="pass"), hint="Batch normalization is in training"),
        wrong(
            "children only",
            _predict(
                modes="""
                model.eval()
                for m in model.children():
                    if isinstance(m, kinds):
                        m.training = True
              """
            ),
            hint="Dropout is in eval mode during",
        ),
        wrong(
            "the model itself forgotten",
            _predict(
                modes="""
                model.eval()
                for m in list(model.modules())[1:]:
                    if isinstance(m, kinds):
                        m.training = True
              """
            ),
            hint="A subclass of a dropout",
        ),
        wrong(
            "train() on each dropout",
            _predict(
                modes="""
                model.eval()
                for m in model.modules():
                    if isinstance(m, kinds):
                        m.train()
              """
            ),
            hint="A module inside of a dropout module",
        ),
        wrong(
            "nn.Dropout only",
            _predict(kinds="(nn.Dropout, Dropout, Dropout2d)"),
            hint="nn.Dropout1d should be in training",
        ),
        wrong(
            "no alpha dropout",
            _predict(kinds="(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, Dropout, Dropout2d)"),
            hint="nn.AlphaDropout should be in training",
        ),
        wrong(
            "feature alpha dropout forgotten",
            _predict(
                kinds="(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, Dropout, Dropout2d)"
            ),
            hint="nn.FeatureAlphaDropout should be in training",
        ),
        wrong(
            "PyTorch's classes only",
            _predict(kinds="(nn.modules.dropout._DropoutNd,)"),
            hint="The class Dropout of this notebook",
        ),
        wrong(
            "Dropout2d of this notebook forgotten",
            _predict(kinds="(nn.modules.dropout._DropoutNd, Dropout)"),
            hint="The class Dropout2d of this notebook",
        ),
        wrong("its own classes only", _predict(kinds="(Dropout, Dropout2d)"), hint="Dropout is in eval mode during"),
        wrong(
            "by the beginning of the name",
            _predict(
                modes="""
                model.eval()
                for m in model.modules():
                    if m.__class__.__name__.startswith("Dropout"):
                        m.training = True
              """
            ),
            hint="nn.AlphaDropout should be in training",
        ),
        wrong(
            "by the name",
            _predict(
                modes="""
                model.eval()
                for m in model.modules():
                    if "Dropout" in type(m).__name__:
                        m.training = True
              """
            ),
            hint="A subclass of a dropout",
        ),
        wrong(
            "by the name or the class",
            _predict(
                modes="""
                model.eval()
                for m in model.modules():
                    if isinstance(m, kinds) or "Dropout" in type(m).__name__:
                        m.training = True
              """
            ),
            hint="because of its class's name",
        ),
        wrong(
            "by the exact type",
            _predict(
                kinds="""
                (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
                 Dropout, Dropout2d)
                """,
                modes="""
                model.eval()
                for m in model.modules():
                    if type(m) in kinds:
                        m.training = True
              """,
            ),
            hint="A subclass of a dropout",
        ),
        wrong(
            "the same masks in each pass",
            _predict(
                passes="""
                with torch.no_grad():
                    logits = []
                    for _ in range(samples):
                        torch.manual_seed(0)
                        logits.append(model(x))
                    logits = torch.stack(logits)
              """
            ),
            hint="Two of your passes give the same",
        ),
        wrong(
            "a seed in front",
            _predict(
                passes="""
                torch.manual_seed(0)
                with torch.no_grad():
                    logits = torch.stack([model(x) for _ in range(samples)])
              """
            ),
            hint="A second call of your function",
        ),
        wrong(
            "one pass, repeated",
            _predict(
                passes="""
                with torch.no_grad():
                    logits = torch.stack([model(x)] * samples)
              """
            ),
            hint="Call the model once for each of the samples",
        ),
        wrong(
            "one pass too many",
            _predict(
                passes="""
                with torch.no_grad():
                    model(x)
                    logits = torch.stack([model(x) for _ in range(samples)])
              """
            ),
            hint="Call the model once for each of the samples",
        ),
        wrong(
            "a hundred passes",
            _predict(
                passes="""
                with torch.no_grad():
                    logits = torch.stack([model(x) for _ in range(100)])
              """
            ),
            hint="Call the model once for each of the samples",
        ),
        wrong(
            "a noisy input",
            _predict(
                passes="""
                with torch.no_grad():
                    logits = torch.stack([model(x + 0.01 * torch.randn_like(x)) for _ in range(samples)])
              """
            ),
            hint="Give the model x as it is",
        ),
        wrong(
            "gradients recorded",
            _predict(passes="logits = torch.stack([model(x) for _ in range(samples)])"),
            hint="Gradients are recorded during your passes",
        ),
        wrong(
            "detached at the end",
            _predict(passes="logits = torch.stack([model(x) for _ in range(samples)]).detach()"),
            hint="Gradients are recorded during your passes",
        ),
        wrong(
            "gradients disabled for good",
            _predict(
                passes="""
                torch.set_grad_enabled(False)
                logits = torch.stack([model(x) for _ in range(samples)])
              """
            ),
            hint="gradients stay disabled after yours",
        ),
        wrong(
            "gradients enabled at the end only",
            _predict(
                passes="""
                torch.set_grad_enabled(False)
                logits = torch.stack([model(x) for _ in range(samples)])
                torch.set_grad_enabled(True)
              """
            ),
            hint="gradients stay disabled after yours",
        ),
        wrong(
            "gradients always enabled at the end",
            _predict(
                passes="""
                torch.set_grad_enabled(False)
                try:
                    logits = torch.stack([model(x) for _ in range(samples)])
                finally:
                    torch.set_grad_enabled(True)
              """
            ),
            hint="your function enables gradients",
        ),
        wrong(
            "requires_grad switched off",
            _predict(
                passes="""
                with torch.no_grad():
                    logits = torch.stack([model(x) for _ in range(samples)])
                for p in model.parameters():
                    p.requires_grad_(False)
              """
            ),
            hint="changes requires_grad",
        ),
        wrong(
            "gradients cleared",
            _predict(
                passes="""
                model.zero_grad()
                with torch.no_grad():
                    logits = torch.stack([model(x) for _ in range(samples)])
              """
            ),
            hint="Your code raised TypeError",
        ),
        wrong(
            "ends with train()", _predict(restore="model.train()"), hint="A model in eval mode is not all in eval mode"
        ),
        wrong(
            "ends with eval()", _predict(restore="model.eval()"), hint="A model in training mode is not all in training"
        ),
        wrong(
            "the mode of the model alone",
            _predict(restore="model.train(before[0][1])"),
            hint="remember each module's own",
        ),
        wrong(
            "dropout only put back",
            _predict(
                restore="""
                for m, mode in before:
                    if isinstance(m, kinds):
                        m.training = mode
              """
            ),
            hint="A model in training mode is not all in training",
        ),
        wrong(
            "dropout left on",
            _predict(
                restore="""
                for m, mode in before:
                    if not isinstance(m, kinds):
                        m.training = mode
              """
            ),
            hint="Dropout is still in training mode after",
        ),
        wrong(
            "dropout always off at the end",
            _predict(
                restore="""
                for m, mode in before:
                    m.training = mode and not isinstance(m, kinds)
              """
            ),
            hint="A model in training mode is not all in training",
        ),
        wrong(
            "put back from the inside out",
            _predict(
                restore="""
                for m, mode in reversed(before):
                    m.train(mode)
              """
            ),
            hint="remember each module's own",
        ),
        wrong(
            "modes by the children",
            _predict(
                before="[(m, m.training) for m in model.children()]",
                restore="""
                for m, mode in before:
                    m.train(mode)
              """,
            ),
            hint="A model in training mode is not all in training",
        ),
        wrong("nothing put back", _predict(restore="pass"), hint="Dropout is still in training mode after"),
        wrong(
            "not put back when the model raises",
            _predict().replace("    try:", "    if True:").replace("    finally:", "    if True:"),
            hint="put the modes back all the same",
        ),
        wrong(
            "errors swallowed",
            _predict().replace("    finally:", "    except Exception:\n        return None\n    finally:"),
            hint="let the error go on",
        ),
        wrong(
            "the running statistics are updated",
            _predict(
                passes="""
                norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
                with torch.no_grad():
                    logits = torch.stack([model(x) for _ in range(samples)])
                    for m in norms:
                        m.reset_running_stats()
              """
            ),
            hint="num_batches_tracked",
        ),
        wrong("samples not checked", _predict(check="pass"), hint="samples=0 should raise a ValueError"),
        wrong(
            "only zero is checked",
            _predict(
                check="""
                if samples == 0:
                    raise ValueError("samples")
              """
            ),
            hint="A negative samples should raise a ValueError",
        ),
        wrong(
            "at least two samples",
            _predict(
                check="""
                if samples < 2:
                    raise ValueError("samples")
              """
            ),
            hint="Your code raised ValueError",
        ),
        wrong("assert for raise", _predict(check="assert samples >= 1"), hint="yours raised AssertionError"),
        wrong(
            "checked after the modes are changed",
            _predict(
                check="""
                if samples < 1:
                    model.eval()
                    raise ValueError("samples")
              """
            ),
            hint="After the ValueError for samples below 1",
        ),
    ],
}
