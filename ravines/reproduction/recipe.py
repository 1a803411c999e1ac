"""Recipes: how a paper trained its network, as a small file with its source.

    recipe = load("resnet2015", epochs=1, batch_size=64)

Each file in `recipes/` says where its numbers are from, and which of them the paper does not give.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "recipes"

OPTIMIZERS = ("sgd", "adamw", "rmsprop")
SCHEDULES = ("constant", "step", "exponential", "plateau", "cosine")
CROPS = ("corner", "jitter", "area")


class RecipeError(ValueError):
    """A recipe is unknown or says something that makes no sense; the message says what."""


@dataclass(frozen=True)
class Recipe:
    """Everything about a training run but the network, the data and the machine.

    Attributes:
        name: of the recipe.
        source: paper and section.
        note: what the source leaves open, and what was chosen.
        epochs: passes over the training images.
        batch_size: images per update, over all processes and accumulated parts.
        optimizer: one of :data:`OPTIMIZERS`.
        lr: learning rate for ``batch_size`` images; with another batch size it stays what it is.
        momentum: of SGD and RMSProp.
        nesterov: whether SGD looks ahead.
        weight_decay: lambda; SGD and RMSProp add it to the gradient, AdamW takes it from the weights.
        decay_norm_and_bias: whether parameters with one dimension decay, too.
        schedule: one of :data:`SCHEDULES`.
        milestones: of ``step``: epochs at which the rate is multiplied by ``factor``.
        factor: of ``step``, ``exponential`` (every ``every`` epochs) and ``plateau``.
        every: of ``exponential``, in epochs.
        patience: of ``plateau``: epochs without a lower validation error before the rate falls.
        drops: of ``plateau``: how often it may fall.
        warmup_epochs: with a rate that rises linearly from ``warmup_from`` of it.
        warmup_from: share of the rate at the first update.
        train_size: height and width of a training crop, in pixels.
        test_size: height and width of a test crop, in pixels.
        test_resize: shorter side of a test image before the crop, in pixels.
        crop: ``corner`` (a place anywhere in the image whose shorter side is ``resize``), ``jitter`` (that side is
            drawn between ``resize`` and ``resize_to``), or ``area`` (a share of the area from ``area`` on, with an
            aspect from 3/4 to 4/3).
        resize: in pixels.
        resize_to: in pixels.
        area: the smallest share of the image that a crop may have.
        flip: whether images are mirrored half of the time.
        colour: standard deviation of the shift along the colours' principal components.
        label_smoothing: share of the target that goes to all classes.
        mixup: parameter of the beta distribution of the weights of two images; 0 for none.
        ema: decay per update of an average of the weights that is evaluated beside them; 0 for none.
        clip: largest norm of the gradient; 0 for none.
    """

    name: str
    source: str
    note: str = ""
    epochs: int = 90
    batch_size: int = 256
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_norm_and_bias: bool = True
    schedule: str = "step"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    every: int = 1
    patience: int = 5
    drops: int = 3
    warmup_epochs: float = 0.0
    warmup_from: float = 0.01
    train_size: int = 224
    test_size: int = 224
    test_resize: int = 256
    crop: str = "corner"
    resize: int = 256
    resize_to: int = 256
    area: float = 0.08
    flip: bool = True
    colour: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    ema: float = 0.0
    clip: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for key, value, known in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("schedule", self.schedule, SCHEDULES),
            ("crop", self.crop, CROPS),
        ):
            if value not in known:
                raise RecipeError(f"{self.name}: {key} should be one of {', '.join(known)}, but it is {value!r}.")
        for key in ("epochs", "batch_size", "lr", "train_size", "test_size", "test_resize", "every"):
            if not getattr(self, key) > 0:
                raise RecipeError(f"{self.name}: {key} should be above 0, but it is {getattr(self, key)}.")
        for key in ("momentum", "label_smoothing", "ema"):
            if not 0 <= getattr(self, key) < 1:
                raise RecipeError(f"{self.name}: {key} should be from 0 to below 1, but it is {getattr(self, key)}.")
        for key in ("weight_decay", "mixup", "clip", "colour", "warmup_epochs"):
            if not getattr(self, key) >= 0:
                raise RecipeError(f"{self.name}: {key} should not be negative, but it is {getattr(self, key)}.")
        if self.test_resize < self.test_size:
            raise RecipeError(f"{self.name}: test_resize ({self.test_resize}) is below test_size ({self.test_size}).")
        if self.crop != "area" and self.resize < self.train_size:
            raise RecipeError(f"{self.name}: resize ({self.resize}) is below train_size ({self.train_size}).")

    def changed(self, **settings: Any) -> Recipe:
        """Return this recipe with other values for those settings that are not None.

        Raises:
            RecipeError: for an unknown setting, or a value that makes no sense.
        """
        given = {k: v for k, v in settings.items() if v is not None}
        known = [f.name for f in dataclasses.fields(self)]
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                raise RecipeError(f"A recipe has no {key!r}.{f' Did you mean {near[0]!r}?' if near else ''}")
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Recipe(**{**kept, **given})

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}


def _files() -> dict[str, Path]:
    """Return the recipes that come with the course: a file's name and its year, such as ``resnet2015``."""
    found = {}
    for path in FOLDER.glob("*.toml"):
        year = tomllib.loads(path.read_text(encoding="utf-8")).get("year", "")
        found[f"{path.stem}{year}"] = path
    return found


def names() -> list[str]:
    """Return the names of the recipes that come with the course."""
    return sorted(_files())


def load(name: str | Path, **settings: Any) -> Recipe:
    """Return a recipe by name or from a file, with some settings changed.

    Raises:
        RecipeError: when there is no such recipe, or it says something that makes no sense.
    """
    path = Path(name) if str(name).endswith(".toml") else _files().get(str(name), FOLDER / str(name))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"There is no recipe {str(name)!r}: use {', '.join(names())}, or a .toml file.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}.") from None
    year = values.pop("year", "")
    values.pop("name", None)
    if "milestones" in values:
        values["milestones"] = tuple(values["milestones"])
    known = {f.name: f for f in dataclasses.fields(Recipe)}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise RecipeError(f"{path.name} says {key!r}.{f' Did you mean {near[0]!r}?' if near else ''}")
        wanted = {"int": int, "float": (int, float), "str": str, "bool": bool}.get(str(known[key].type), tuple)
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise RecipeError(f"{path.name}: {key} should be of type {known[key].type}, but it is {value!r}.")
    if "source" not in values:
        raise RecipeError(f"{path.name} does not say its source.")
    return Recipe(name=f"{path.stem}{year}", **values).changed(**settings)
