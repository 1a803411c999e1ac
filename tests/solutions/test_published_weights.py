"""Weights that torchvision publishes run in the students' networks: the same names, the same outputs.

Nothing can be downloaded here. So torchvision's networks, with random weights, are saved where torch.hub keeps the
published ones, under their names and in their format, and are loaded by torchvision's own loader.
"""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from autograde.course import Course
from autograde.release import reference_notebook
from ravines import pretrained

COURSE = Course(Path(__file__).resolve().parents[2])

#: weights -> the assignment, the student's network that takes them, and its weights by torchvision's count.
NETWORKS = {
    "AlexNet_Weights.IMAGENET1K_V1": ("alexnet", "TorchvisionAlexNet()", 61_100_840),
    "VGG11_Weights.IMAGENET1K_V1": ("vgg", 'VGG("A", batch_norm=False)', 132_863_336),
    "VGG13_Weights.IMAGENET1K_V1": ("vgg", 'VGG("B", batch_norm=False)', 133_047_848),
    "VGG16_Weights.IMAGENET1K_V1": ("vgg", 'VGG("D", batch_norm=False)', 138_357_544),
    "VGG19_BN_Weights.IMAGENET1K_V1": ("vgg", 'VGG("E", batch_norm=True)', 143_678_248),
    "GoogLeNet_Weights.IMAGENET1K_V1": ("googlenet", "TorchvisionGoogLeNet(transform_input=True)", 13_004_888),
    "ResNet18_Weights.IMAGENET1K_V1": ("resnet", "resnet18()", 11_689_512),
    "ResNet34_Weights.IMAGENET1K_V1": ("resnet", "resnet34()", 21_797_672),
    "ResNet50_Weights.IMAGENET1K_V2": ("resnet", "resnet50()", 25_557_032),
    "ResNet101_Weights.IMAGENET1K_V2": ("resnet", "resnet101()", 44_549_160),
    "ResNet152_Weights.IMAGENET1K_V2": ("resnet", "resnet152()", 60_192_808),
}


@pytest.fixture(scope="module")
def names():
    """What the cells of an assignment's reference leave behind, by assignment."""
    made = {}

    def of(assignment):
        if assignment not in made:
            namespace = {}
            for cell in reference_notebook(COURSE.assignment(assignment)).cells:
                is_test = cell.metadata.get("nbgrader", {}).get("grade")
                if cell.cell_type == "code" and not is_test and "payoff" not in cell.metadata.get("tags", []):
                    exec(cell.source, namespace)
            made[assignment] = namespace
        return made[assignment]

    return of


def theirs(name):
    """Return torchvision's network for some weights, with random ones of the size that keeps signals alive."""
    settings = {"init_weights": False, "transform_input": True} if name.startswith("GoogLeNet") else {}
    with torch.device("meta"):
        network = models.get_model(name.split("_Weights")[0].lower(), **settings)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if not tensor.is_floating_point():
                tensor.fill_(7)
            elif tensor.dim() > 1:
                bound = (6 / tensor[0].numel()) ** 0.5
                tensor.uniform_(-bound, bound, generator=generator)
            else:
                centre = 1.0 if key.endswith(("weight", "running_var")) else 0.0
                tensor.uniform_(centre - 0.2, centre + 0.2, generator=generator)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_published_weights_run_in_the_students_network(name, names, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assignment, make, count = NETWORKS[name]
    network = theirs(name)
    file = pretrained.cache_file(name)
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)

    state = models.get_weight(name).get_state_dict(progress=False, check_hash=True)
    file.unlink()  # half a gigabyte
    with torch.device("meta"):
        mine: nn.Module = eval(make, dict(names(assignment)))
    mine.load_state_dict(state, strict=True, assign=True)
    assert sum(p.numel() for p in mine.parameters()) == count

    x = torch.rand(2, 3, 96, 80, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for network_ in (network, mine):
        network_.double().eval()
    with torch.no_grad():
        wanted, seen = network(x), mine(x)
    assert wanted.shape == seen.shape == (2, 1000) and wanted.std() > 0.1
    assert torch.allclose(seen, wanted, rtol=1e-10, atol=1e-10 * wanted.abs().max().item())
