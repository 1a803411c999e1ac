"""How many images does a Vision Transformer need? A small one and a small ResNet on growing shares of the data.

Both have about 19,000 parameters, see the same images of Fashion-MNIST at 14 x 14 pixels, and are trained in the same
way: AdamW, batches of 64, a warm-up over the first tenth of the updates and a cosine to zero, 12 passes over the images
but at least 500 updates. Each gets its own learning rate, the best of four on 2,000 images that are used for nothing
else, once with 1,000 training images (for shares up to 2,000) and once with 4,000 (for larger ones). Then each share
is trained on with several seeds, which draw the weights, the images and their order; the test images are looked at
once, at the end. A second recipe adds shifts by up to one pixel and mirror images to the training of both.

The page `book/imagenet.md` draws what this writes. About eight minutes of one core; a run that was stopped goes on
where it was.

    python experiments/data_hunger.py
    python experiments/data_hunger.py --sizes 100 200 --seeds 1 --updates 5 --tuned-with 64 64 --out /tmp/try.json
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the script runs from a checkout without an installation, too

from experiments.loss_surface import network  # noqa: E402
from ravines.data import device, fashion_mnist, seed_everything  # noqa: E402
from ravines.training import evaluate  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "data_hunger.json"
POOL = 8000  # training images that shares are drawn from; the other 2,000 choose the learning rate
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
TUNED_WITH = (1000, 4000)  # images; the first is for shares up to 2,000
WEIGHT_DECAY, BATCH = 0.05, 64
TUNING_SEED = 1000


class EncoderBlock(nn.Module):
    """Self-attention and an MLP, each behind its layer normalization and beside its shortcut.

    Source: Dosovitskiy et al. 2021, Eq. 2 and 3; the MLP is twice as wide as the tokens, not four times.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (n, tokens, width) to the same shape."""
        n, t, width = tokens.shape
        split = self.query_key_value(self.first_norm(tokens)).view(n, t, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(heads.transpose(1, 2).reshape(n, t, width))
        return tokens + self.mlp(self.second_norm(tokens))


class VisionTransformer(nn.Module):
    """A Vision Transformer whose classifier reads the mean of the tokens.

    Args:
        side: of the images, in pixels.
        patch: side of a patch; it must divide the image's.
        width: numbers per token.
        depth: encoder blocks.
        heads: of the self-attention; they must divide the width.
        classes: how many.

    Raises:
        ValueError: when the patch does not divide the image, or the heads the width.

    Source: Dosovitskiy et al. 2021, section 3.1; the mean in place of the class token as in its appendix D.3.
    """

    def __init__(
        self, side: int = 14, patch: int = 2, width: int = 32, depth: int = 2, heads: int = 2, classes: int = 10
    ) -> None:
        super().__init__()
        if side % patch or width % heads:
            raise ValueError(f"{patch} must divide {side}, and {heads} heads a width of {width}.")
        self.embed = nn.Conv2d(1, width, patch, patch)  # a linear map of each patch
        self.positions = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2, width))
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, 1, side, side) to logits (n, classes)."""
        tokens = self.embed(images).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def make(name: str) -> nn.Module:
    """Return an untrained "vit" or "resnet" for images of 14 x 14 pixels."""
    return VisionTransformer() if name == "vit" else network(8, shortcut=True)


def data() -> dict[str, tuple[Tensor, Tensor]]:
    """Return the pool, validation and test images (n, 1, 14, 14), values from 0 to 1, and their labels."""
    images, labels = fashion_mnist()
    test_images, test_labels = fashion_mnist(train=False)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images, test_images = F.avg_pool2d(images, 2), F.avg_pool2d(test_images, 2)
    pool, rest = order[:POOL], order[POOL:]
    return {
        "pool": (images[pool], labels[pool]),
        "validation": (images[rest], labels[rest]),
        "test": (test_images, test_labels),
    }


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to one pixel in either direction, empty pixels being 0, and mirror about half of them."""
    n, side = len(images), images.shape[-1]
    down, right = (torch.randint(0, 3, (n,), generator=generator).to(images.device) for _ in range(2))
    mirrored = (torch.rand(n, generator=generator) < 0.5).to(images.device)
    windows = F.pad(images, (1, 1, 1, 1)).unfold(2, side, 1).unfold(3, side, 1)
    shifted = windows[torch.arange(n, device=images.device), :, down, right]
    return torch.where(mirrored[:, None, None, None], shifted.flip(3), shifted)


def updates_for(size: int, passes: int, at_least: int) -> int:
    """How many updates a training run has on so many images."""
    return max(at_least, passes * math.ceil(size / BATCH))


def rate_at(update: int, updates: int) -> float:
    """The share of the full learning rate: a line up over the first tenth, then half a cosine down to nearly 0."""
    warm = max(1, updates // 10)
    if update < warm:
        return (update + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (update - warm) / (updates - warm)))


def fit(
    name: str, training: tuple[Tensor, Tensor], lr: float, updates: int, seed: int, *, augmented: bool = False
) -> tuple[nn.Module, float]:
    """Train a network.

    Args:
        name: "vit" or "resnet".
        training: images with values from 0 to 1, and labels.
        lr: the largest learning rate.
        updates: of 64 images, or of all of them where there are fewer.
        seed: of the weights, the order and the variations.
        augmented: whether each batch is shifted and mirrored.

    Returns:
        The network, and the mean loss of the last tenth of its updates.
    """
    seed_everything(seed)
    model = make(name).to(training[0].device)
    generator = torch.Generator().manual_seed(seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=WEIGHT_DECAY)
    images, labels = training
    losses: list[Tensor] = []
    batches: list[Tensor] = []
    model.train()
    for update in range(updates):
        if not batches:
            batches = list(torch.randperm(len(labels), generator=generator).split(BATCH))
        rows = batches.pop().to(labels.device)
        adamw.param_groups[0]["lr"] = lr * rate_at(update, updates)
        x = varied(images[rows], generator) if augmented else images[rows]
        loss = F.cross_entropy(model(standardized(x)), labels[rows])
        adamw.zero_grad()
        loss.backward()
        adamw.step()
        losses.append(loss.detach())
    last = torch.stack(losses[-max(1, updates // 10) :]).mean().item()
    return model, last


def standardized(images: Tensor) -> Tensor:
    """Subtract Fashion-MNIST's mean at 14 x 14 pixels and divide by its standard deviation."""
    return (images - 0.286) / 0.331


def accuracy(model: nn.Module, pair: tuple[Tensor, Tensor]) -> float:
    """The share of these images that the network classifies correctly, in eval mode."""
    return round(evaluate(model, (standardized(pair[0]), pair[1]), loss_fn=F.cross_entropy)[1], 5)


def share(pool: tuple[Tensor, Tensor], size: int, seed: int) -> tuple[Tensor, Tensor]:
    """The first images of the pool in an order that the seed draws: a smaller share is a part of a larger one."""
    order = torch.randperm(len(pool[1]), generator=torch.Generator().manual_seed(10_000 + seed))[:size]
    return pool[0][order], pool[1][order]


def tuned(name: str, size: int, tuning: dict[str, float], tuned_with: Sequence[int] = TUNED_WITH) -> float:
    """The learning rate with the best validation accuracy for a network and so many images; the smallest of equals."""
    images = tuned_with[0] if size <= 2000 else tuned_with[1]
    return max(RATES, key=lambda lr: (tuning[f"{name}-{images}-{lr:g}"], -lr))


def run(options: argparse.Namespace, record: dict, save) -> None:
    """Tune, then train each network that the record does not have yet, calling `save` after each."""
    place = device()
    sets = {name: tuple(t.to(place) for t in pair) for name, pair in data().items()}
    tuning, runs = record["tuning"], record["runs"]
    trials = [(name, size, lr) for size in options.tuned_with for name in ("vit", "resnet") for lr in RATES]
    for name, size, lr in tqdm(trials, desc="learning rates", disable=None):
        key = f"{name}-{size}-{lr:g}"
        if key not in tuning:
            updates = updates_for(size, options.passes, options.updates)
            model, _ = fit(name, share(sets["pool"], size, TUNING_SEED), lr, updates, TUNING_SEED)
            tuning[key] = accuracy(model, sets["validation"])
            save()
    wanted = [
        (name, recipe, size, seed)
        for seed in range(options.seeds)
        for recipe, sizes in (("plain", options.sizes), ("augmented", options.augmented))
        for size in sizes
        for name in ("vit", "resnet")
    ]
    for name, recipe, size, seed in tqdm(wanted, desc="networks", disable=None):
        key = f"{name}-{recipe}-{size}-{seed}"
        if key in runs:
            continue
        start = time.process_time()
        training, lr = share(sets["pool"], size, seed), tuned(name, size, tuning, options.tuned_with)
        updates = updates_for(size, options.passes, options.updates)
        model, last = fit(name, training, lr, updates, seed, augmented=recipe == "augmented")
        runs[key] = {
            "lr": lr,
            "updates": updates,
            "last_loss": round(last, 5),
            "train_accuracy": accuracy(model, training),
            "test_accuracy": accuracy(model, sets["test"]),
            "cpu_seconds": round(time.process_time() - start, 1),
        }
        save()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [500, 1000, 2000, 4000, 8000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="training images (default 500 to 8000)")
    parser.add_argument(
        "--augmented", type=int, nargs="*", default=[500, 2000, 8000], help="shares with the second recipe"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default 3)")
    parser.add_argument("--updates", type=int, default=500, help="at least so many updates (default 500)")
    parser.add_argument("--passes", type=int, default=12, help="at least so many passes (default 12)")
    parser.add_argument("--tuned-with", type=int, nargs=2, default=list(TUNED_WITH), help="images for learning rates")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default: beside this script)")
    options = parser.parse_args(arguments)
    for name in ("seeds", "updates", "passes"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1.")
    if bad := [n for n in (*options.sizes, *options.augmented, *options.tuned_with) if not 1 <= n <= POOL]:
        parser.error(f"a share must have from 1 to {POOL} images, not {bad[0]}.")

    settings = {key: value for key, value in vars(options).items() if key != "out"}
    settings |= {"rates": list(RATES), "weight_decay": WEIGHT_DECAY, "batch": BATCH}
    place, threads = device(), torch.get_num_threads()
    record = {
        "what": "A small Vision Transformer and a small ResNet on growing shares of Fashion-MNIST",
        "command": shlex.join(["python", "experiments/data_hunger.py", *(arguments or sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name(place)
        if place.type == "cuda"
        else f"CPU, {threads} thread{'s' * (threads > 1)}",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "settings": settings,
        "parameters": {name: sum(p.numel() for p in make(name).parameters()) for name in ("vit", "resnet")},
        "tuning": {},
        "runs": {},
    }
    part = options.out.with_suffix(".part")
    if part.exists():
        before = json.loads(part.read_text(encoding="utf-8"))
        if before["settings"] == settings:
            record["tuning"], record["runs"] = before["tuning"], before["runs"]
            print(f"{len(record['runs'])} networks are in {part} already: going on.", file=sys.stderr)

    def save() -> None:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(record), encoding="utf-8")

    run(options, record, save)
    record["runs"] = dict(sorted(record["runs"].items()))
    save()
    part.replace(options.out)
    print(f"Wrote {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
