"""The command line: `ravines train`, `ravines evaluate`, `ravines count`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from ravines import counting, models
from ravines.data import DataError

DATA_HELP = "fashion-mnist, cifar10, imagenette, imagenet:PATH, or a folder with train/ and val/"


class Trouble(click.ClickException):
    """A problem of the user's: one sentence on standard error, exit code 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print the sentence."""
        click.echo(f"ravines: {self.format_message()}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ravines")
def main() -> None:
    """Count, train and evaluate networks: torchvision's, the course's, or your own from a notebook."""


@main.command(epilog="Example: ravines count notebooks/alexnet/alexnet.ipynb:AlexNet --size 227 --layers")
@click.argument("model")
@click.option("--size", default=224, show_default=True, help="Height and width of an image, in pixels.")
@click.option("--channels", default=3, show_default=True, help="Channels of an image.")
@click.option("--num-classes", default=None, type=int, help="Classes, where the network takes that setting.")
@click.option("--layers", is_flag=True, help="Every layer, not the sums alone.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for machines.")
def count(model: str, size: int, channels: int, num_classes: int | None, layers: bool, as_json: bool) -> None:
    """Count a network's parameters, multiply-accumulates and activations, without making it.

    MODEL is torchvision:resnet50, or a network that a file or a notebook defines:
    notebooks/resnet/resnet.ipynb:resnet50.
    """
    try:
        with torch.device("meta"):
            network = models.make(model, num_classes=num_classes)
        rows = counting.layers(network.eval(), (channels, size, size))
    except (models.ModelError, ValueError) as error:
        raise Trouble(str(error)) from None
    macs = sum(r.macs for r in rows)
    found = {
        "model": model,
        "input": [channels, size, size],
        "parameters": counting.parameters(network),
        "layers": counting.depth(rows),
        "macs": macs,
        "flops": 2 * macs,
        "activations": sum(r.activations for r in rows),
    }
    if as_json:
        if layers:
            found["rows"] = [
                {"name": r.name, "kind": r.kind, "shape": r.shape, "parameters": r.parameters, "macs": r.macs}
                for r in rows
            ]
        click.echo(json.dumps(found))
        return
    if layers:
        width = max(len(r.name) for r in rows)
        click.echo(f"{'layer':{width}}  {'kind':18}  {'output':>16}  {'parameters':>12}  {'MACs':>14}")
        for r in rows:
            shape = "x".join(map(str, r.shape)) if r.shape else "-"
            click.echo(f"{r.name:{width}}  {r.kind:18}  {shape:>16}  {r.parameters:12,}  {r.macs:14,}")
        click.echo()
    click.echo(f"{model} for {channels} x {size} x {size}")
    click.echo(f"  parameters          {found['parameters']:,}")
    click.echo(f"  layers with weights {found['layers']}")
    click.echo(f"  MACs                {macs:,}   ({2 * macs / 1e9:.2f} GFLOPs: a multiply-accumulate is two)")
    click.echo(
        f"  activations         {found['activations']:,}   ({4 * found['activations'] / 2**20:.1f} MiB in float32)"
    )


def explained(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function; turn the errors that users can mend into one sentence each."""
    from ravines.pretrained import WeightsError
    from ravines.reproduction.checkpoint import CheckpointError
    from ravines.reproduction.recipe import RecipeError
    from ravines.reproduction.trainer import TrainingError

    known = (models.ModelError, WeightsError, DataError, RecipeError, CheckpointError, TrainingError)
    try:
        return function(*args, **kwargs)
    except known as error:
        raise Trouble(str(error)) from None


@main.command(
    epilog="Examples: ravines train notebooks/vgg/vgg.ipynb:VGG --data fashion-mnist --recipe vgg2014 --epochs 1 "
    "--limit 1000   |   torchrun --nproc-per-node 8 -m ravines train torchvision:resnet50 --data imagenet:/data   |   "
    "on each of two machines, N being 0 and 1: torchrun --nnodes 2 --node-rank N --nproc-per-node 8 --master-addr HOST "
    "--master-port 29500 -m ravines train ... (--out in a folder that both see)"
)
@click.argument("model")
@click.option("--data", required=True, help=DATA_HELP)
@click.option(
    "--recipe",
    default="resnet2015",
    show_default=True,
    help="alexnet2012, vgg2014, googlenet2014, resnet2015, modern, or a .toml file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/latest"),
    show_default=True,
    help="Folder for checkpoints, log and report.",
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@click.option("--full", is_flag=True, help="All 70,000 images of fashion-mnist, downloaded on first use.")
@click.option("--limit", type=click.IntRange(1), help="Use so many images of each split: a smoke run.")
@click.option("--epochs", type=int, help="Passes over the images, in place of the recipe's.")
@click.option("--batch-size", type=int, help="Images per update over all processes, in place of the recipe's.")
@click.option("--lr", type=float, help="Learning rate, in place of the recipe's.")
@click.option("--size", type=click.IntRange(8), help="Height and width of train and test crops, in pixels.")
@click.option("--mixup", type=float, help="Parameter of mixup, in place of the recipe's.")
@click.option("--ema", type=float, help="Decay of the average of the weights, in place of the recipe's.")
@click.option("--clip", type=float, help="Largest norm of the gradient.")
@click.option("--seed", default=0, show_default=True, help="Of weights, order, crops and dropout.")
@click.option("--device", help="Such as cpu or cuda (default: a GPU where there is one).")
@click.option(
    "--amp",
    type=click.Choice(["auto", "off", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="Half precision for products; auto: bf16 on a GPU that has it.",
)
@click.option("--channels-last/--channels-first", default=None, help="Order in memory (default: last on a GPU).")
@click.option(
    "--compile/--eager",
    "compile_",
    default=None,
    help="torch.compile the network (default: on a GPU, in runs of 10,000 updates or more).",
)
@click.option("--tf32/--no-tf32", default=True, show_default=True, help="Let a GPU round float32 products to 10 bits.")
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Parts of a batch, one after another, to fit into memory.",
)
@click.option("--sync-norm", is_flag=True, help="Batch normalization over all GPUs' shares of a batch; slower.")
@click.option("--deterministic", is_flag=True, help="The same numbers in every run, on a GPU too; slower.")
@click.option("--workers", type=click.IntRange(0), help="Processes that read files (default: one a core, up to 8).")
@click.option(
    "--save-every", type=float, default=600.0, show_default=True, help="Seconds between checkpoints within an epoch."
)
@click.option(
    "--log-every", type=click.IntRange(1), default=10, show_default=True, help="Updates between lines of the log."
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def train(model: str, data: str, recipe: str, out: Path, **options: Any) -> None:
    """Train a network by a recipe, on one CPU, one GPU or many.

    MODEL is torchvision:resnet50, or a network that a file or a notebook defines:
    notebooks/resnet/resnet.ipynb:resnet50. A run that was stopped, however, goes on with --resume to the same losses.
    """
    from ravines.reproduction.session import train as run

    explained(run, model, data, recipe, out, command=" ".join(sys.argv[1:]), **options)


@main.command(
    name="evaluate",
    epilog="Examples: ravines evaluate torchvision:resnet50 --data imagenet:/data --weights torchvision:IMAGENET1K_V1"
    "   |   ravines evaluate notebooks/vgg/vgg.ipynb:VGG --data cifar10 --weights runs/latest --protocol ten-crop",
)
@click.argument("model")
@click.option("--data", required=True, help=DATA_HELP)
@click.option(
    "--weights", help="torchvision:IMAGENET1K_V1, torchvision:ResNet50_Weights.IMAGENET1K_V1, or a run's folder."
)
@click.option("--average", is_flag=True, help="The run's averaged weights (--ema).")
@click.option("--protocol", type=click.Choice(["center", "ten-crop", "dense"]), default="center", show_default=True)
@click.option("--size", type=click.IntRange(8), help="Height and width of a crop (default: the weights' own, or 224).")
@click.option("--scales", help="Shorter sides of the image to average over, such as 224,256,288.")
@click.option("--real", type=click.Path(path_type=Path, dir_okay=False), help="real.json: also count ReaL labels.")
@click.option("--full", is_flag=True, help="All test images of fashion-mnist, downloaded on first use.")
@click.option("--limit", type=click.IntRange(1), help="Use so many images.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images at once.")
@click.option("--device", help="Such as cpu or cuda (default: a GPU where there is one).")
@click.option("--amp", type=click.Choice(["off", "bf16", "fp16"]), default="off", show_default=True)
@click.option("--workers", type=click.IntRange(0), help="Processes that read files (default: one a core, up to 8).")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for machines.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def evaluate_command(model: str, data: str, as_json: bool, **options: Any) -> None:
    """Measure a network's top-1 and top-5 accuracy by a protocol, beside what is published.

    MODEL is torchvision:resnet50, or a network that a file or a notebook defines.
    """
    from ravines.reproduction.session import evaluate as run

    found = explained(run, model, data, **options)
    if int(os.environ.get("RANK", 0)):
        return
    if not options["weights"] and model.startswith("torchvision:"):
        click.echo(
            f"Without --weights {model} has random ones. For published ones add --weights torchvision:IMAGENET1K_V1, "
            "for your own --weights and a run's folder.",
            err=True,
        )
    if as_json:
        click.echo(json.dumps(found))
        return
    sides = ", ".join(map(str, found["scales"]))
    click.echo(f"{found['model']} on {found['data']}, {found['images']:,} images")
    click.echo(f"  protocol {found['protocol']}, crops of {found['size']} pixels, images of {sides}")
    for key in ("top1", "top2", "top5", "real"):
        if key in found:
            off = (
                f"   torchvision says {found['published'][key]:.3%}: {found[f'{key}_off']:+.3%} off"
                if f"{key}_off" in found
                else ""
            )
            of = f" of {found['real_images']:,} images with a label" if key == "real" else ""
            click.echo(f"  {key.replace('top', 'top-'):6} {found[key]:.3%}{of}{off}")


if __name__ == "__main__":
    main()
