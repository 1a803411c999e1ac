"""Small networks for the checks of functions that visit any model: all of `comparison`, `layer_table` of `resnet`.

Checks import this module, and send its source to the student's process ahead of what they ask there. So both sides
make the same models, and the source needs little but PyTorch. Most are made from four small numbers, `(a, b, c, k)`:
the channels of an image, two widths, and the classes.
"""

# ruff: noqa: D102 (what `forward` is, PyTorch says)

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from autograde.shapes import on_meta


class Convolutions(nn.Module):
    """Every setting of a convolution, registered in another order than that of use."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, c, k = s
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 4 * c, k))
        self.stem = nn.Conv2d(a, 3 * b, (3, 5), stride=(2, 1), padding=(1, 0))
        self.norm = nn.BatchNorm2d(3 * b)
        self.grouped = nn.Conv2d(3 * b, 3 * c, 3, groups=3, dilation=2, bias=False)
        self.depthwise = nn.Conv2d(3 * c, 3 * c, 3, stride=2, padding=1, groups=3 * c)
        self.pointwise = nn.Conv2d(3 * c, 4 * c, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.spare = nn.Linear(3, 3)  # never used

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.stem(x)))
        x = self.pool(self.grouped(x))
        x = F.relu(self.pointwise(self.depthwise(x)))
        return self.head(x)


class Decoder(nn.Module):
    """Down, and up again by transposed convolutions with groups, strides and output padding."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, c, k = s
        self.down = nn.Conv2d(a, 2 * b, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2 * b, 2 * c, (4, 3), stride=2, padding=1, groups=2)
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.more = nn.ConvTranspose2d(2 * c, k, 3, stride=3, output_padding=1, dilation=2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.more(self.act(self.up(self.down(x))))


class Sides(nn.Module):
    """Kernels of one side and of three."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, c, k = s
        self.volume = nn.Conv3d(a, 2 * b, (2, 3, 1), stride=(1, 2, 1), groups=1)
        self.spread = nn.ConvTranspose3d(2 * b, c, (2, 1, 2))
        self.line = nn.Conv1d(c, 2 * c, 3, padding=1, dilation=2)
        self.back = nn.ConvTranspose1d(2 * c, k, 4, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.spread(self.volume(x)).flatten(2)
        return self.back(self.line(x))


class Twice(nn.Module):
    """A ReLU, a linear layer and a convolution that are used more than once; one module with two names."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, _, _ = s
        self.mix = nn.Conv2d(b, b, 3, padding=1)
        self.act = nn.ReLU()
        self.first = nn.Conv2d(a, b, 1)
        self.again = self.mix
        self.dense = nn.Linear(b, b)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.first(x))
        x = self.act(self.mix(x))
        x = F.avg_pool2d(x, 2)
        x = self.act(self.again(x)).mean((2, 3))
        return self.dense(self.act(self.dense(x)))


class Tied(nn.Module):
    """Two layers that share a weight, one that is frozen and has two names, and parameters of the model's own."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, c, k = s
        self.token = nn.Parameter(torch.zeros(1, c, b))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.encoder = nn.Linear(b, b)
        self.decoder = nn.Linear(b, b)
        self.decoder.weight = self.encoder.weight
        self.frozen = nn.Linear(b, k).requires_grad_(False)
        self.both = nn.Sequential(self.frozen, nn.BatchNorm1d(k))
        self.norm = nn.BatchNorm1d(k)
        # So large that no number of buffers is one that shared parameters give.
        self.register_buffer("table", torch.zeros(11, a))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.frozen(self.decoder(self.encoder(x))))


class Words(nn.Module):
    """Linear layers on tokens, a normalization without running statistics, and an empty Sequential."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, _, k = s
        self.up = nn.Linear(a, 4 * b, bias=False)
        self.norm = nn.LayerNorm(4 * b)
        self.nothing = nn.Sequential()
        self.down = nn.Linear(4 * b, k)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.nothing(self.norm(self.up(x)))
        return self.down(x)


class Patches(nn.Module):
    """The four quarters of an image become four examples, and then one again."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, _, k = s
        self.look = nn.Conv2d(a, b, 3)
        self.shrink = nn.AdaptiveAvgPool2d(1)
        self.sum_up = nn.Linear(4 * b, k)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, w = x.shape[2] // 2, x.shape[3] // 2
        x = torch.cat([x[..., :h, :w], x[..., :h, -w:], x[..., -h:, :w], x[..., -h:, -w:]])
        x = self.shrink(self.look(x))
        return self.sum_up(x.reshape(len(x) // 4, -1))


class Modes(nn.Module):
    """Another way in training; a batch of one image could not be normalized there."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, _, k = s
        self.body = nn.Sequential(nn.Conv2d(a, b, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(b), nn.Flatten())
        self.drop = nn.Dropout(0.5)
        self.side = nn.Linear(b, 2)
        self.main = nn.Linear(b, k)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        if self.training:
            self.side(x)
        return self.main(self.drop(x))


class Wide(nn.Conv2d):
    """A class of its own, and still a convolution."""


class Cast(nn.Module):
    """A leaf without parameters whose output has another dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.dtype)


class Pair(nn.Module):
    """A leaf whose output is no tensor."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


class First(nn.Module):
    """A leaf whose input is no tensor."""

    def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return pair[0]


class Layers(nn.Module):
    """Layers of all kinds, some shared, some never used; weights of three dtypes."""

    def __init__(self, s: Sequence[int]) -> None:
        super().__init__()
        a, b, c, k = s
        self.images = nn.Sequential(nn.Conv2d(a, b, 3, bias=False), nn.BatchNorm2d(b), nn.ConvTranspose2d(b, b, 2))
        self.lines = nn.ModuleList([nn.Conv1d(b, c, 3).half(), nn.ConvTranspose1d(c, b, 2), nn.Conv3d(a, b, 1)])
        self.wide = Wide(b, b, 1)
        self.same = self.wide
        self.words = nn.Embedding(5, b)
        self.spare = nn.Linear(3, 3)
        self.heads = nn.ModuleList(nn.Linear(b, k).double() for _ in range(c))
        self.tied = nn.Linear(b, k).double()
        self.tied.weight = self.heads[0].weight
        self.heads[1].requires_grad_(False)
        self.token = nn.Parameter(torch.zeros(k))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.images(x)


class AlexNet(nn.Sequential):
    """The course's: Krizhevsky et al. (2012), on one processor or two."""

    def __init__(self, groups: int) -> None:
        pool = nn.MaxPool2d(3, 2)
        super().__init__(
            *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), nn.LocalResponseNorm(5), pool),
            *(nn.Conv2d(96, 256, 5, padding=2, groups=groups), nn.ReLU(), nn.LocalResponseNorm(5), pool),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 384, 3, padding=1, groups=groups), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1, groups=groups), nn.ReLU(), pool),
            *(nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU()),
            *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)),
        )


#: What makes a model from its four numbers, by the model's name.
makers: dict[str, Callable[[Sequence[int]], nn.Module]] = {
    "convolutions": Convolutions,
    "decoder": Decoder,
    "sides": Sides,
    "twice": Twice,
    "tied": Tied,
    "words": Words,
    "patches": Patches,
    "modes": Modes,
    "wide": lambda s: nn.Sequential(Wide(s[0], s[1], 3, stride=3), nn.BatchNorm2d(s[1])),
    "casts": lambda s: nn.Sequential(nn.Conv2d(s[0], s[1], 3), Cast(torch.float16), Cast(torch.int64), nn.Flatten()),
    "pairs": lambda s: nn.Sequential(nn.Linear(s[0], s[1]), Pair(), First(), nn.Linear(s[1], s[3])),
    "layers": Layers,
    "bare": lambda s: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Sequential(nn.Flatten(), nn.Softmax(1))),
    "itself": lambda s: nn.Linear(s[0], s[1]),
}


def whole(name: str) -> nn.Module:
    """Make a whole network on the meta device: one of torchvision's, or "alexnet in one group" or "... two groups"."""
    import torchvision  # not every check needs it

    if name.startswith("alexnet in"):
        return on_meta(lambda: AlexNet(1 if name.endswith("one group") else 2))
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return on_meta(lambda: getattr(torchvision.models, name)(weights=None, **options))


def made(name: str, settings: Sequence[int], dtype: torch.dtype | None = None, device: str | None = None) -> nn.Module:
    """Make a model of `makers` from its four numbers, or a whole network on the meta device."""
    if name not in makers:
        return whole(name)
    with torch.device(device or "cpu"):  # moved to another device, shared parameters would come apart
        model = makers[name](settings)
    return model if dtype is None else model.to(dtype)
