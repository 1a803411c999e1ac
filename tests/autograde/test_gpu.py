"""Students' code on the GPU, in the sandbox."""

import asyncio

import handin
import pytest
import torch
import toy
from click.testing import CliRunner

from autograde.grade import command
from autograde.host import BUBBLEWRAP, Host, Limits
from autograde.kernel import Kernel, KernelStudent

CODE = """
import torch
x = {"available": torch.cuda.is_available(), "sum": 0.0}
if x["available"]:
    a = torch.ones(256, 256, device="cuda")
    x["sum"] = (a @ a).sum().item()
"""


def ask(gpu: bool):
    async def main(host):
        async with Kernel(host) as kernel:
            student = KernelStudent(kernel, {}, asyncio.get_running_loop())
            return await asyncio.to_thread(student.run, CODE, "x")

    with Host(Limits(cell=120, start=300), BUBBLEWRAP, gpu=gpu) as host:
        return asyncio.run(main(host))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_sandbox_has_the_gpu_only_when_asked():
    assert ask(gpu=True) == {"available": True, "sum": 256.0**3}
    assert ask(gpu=False)["available"] is False


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_asking_for_a_gpu_that_is_not_there_is_misuse(tmp_path):
    handin.put(tmp_path / "in", "ada", handin.notebook())
    course = toy.make(tmp_path / "course")
    arguments = [tmp_path / "in", "--out", tmp_path / "out", "--course", course, "--gpu"]
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    assert result.exit_code == 2 and "There is no NVIDIA device here" in result.stderr
