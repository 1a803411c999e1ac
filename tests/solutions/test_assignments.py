"""The course's own assignments: every answer on file, every cell that shows a result, every text."""

import os
import re
from pathlib import Path

import pytest
from nbclient import NotebookClient

from autograde.course import Course
from autograde.release import reference_notebook, student_notebook
from autograde.verify import preload, verify

ROOT = Path(__file__).resolve().parents[2]
COURSE = Course(ROOT)
by_name = pytest.mark.parametrize("name", COURSE.assignments)

#: What a student is asked to build, chapter by chapter.
EXERCISES = {
    "conditioning": [
        "classify_critical_point",
        "condition_number",
        "best_gradient_descent",
        "newton_step",
        "hessian_vector_product",
        "power_iteration",
    ],
    "momentum": ["momentum_step", "nesterov_step", "best_heavy_ball", "momentum_schedule", "SGD"],
    "input_normalization": [
        "fit_standardizer",
        "standardize",
        "streaming_channel_stats",
        "least_squares_condition_number",
        "zca_whitening",
    ],
    "initialization": [
        "fan_in_fan_out",
        "gain",
        "xavier_uniform_",
        "kaiming_normal_",
        "sparse_init_",
        "initialize",
        "signal_profile",
    ],
    "dropout": ["dropout_classic", "Dropout", "Dropout2d", "monte_carlo_predict"],
    "batch_normalization": [
        "batch_norm_forward",
        "batch_norm_backward",
        "BatchNorm1d",
        "BatchNorm2d",
        "fold_batch_norm",
    ],
    "layer_normalization": ["layer_norm", "layer_norm_backward", "LayerNorm", "group_norm", "rms_norm"],
    "residual_connections": [
        "BasicBlock",
        "Bottleneck",
        "shortcut_a",
        "zero_init_residual_",
        "filter_normalized_direction",
        "loss_surface",
    ],
    "adam": ["bias_correction", "rmsprop_step", "adam_step", "Adam"],
    "weight_decay": [
        "sgd_step_with_decay",
        "adam_l2_step",
        "adamw_step",
        "AdamW",
        "decay_parameter_groups",
        "effective_learning_rate",
    ],
    "alexnet": [
        "local_response_norm",
        "AlexNet",
        "TorchvisionAlexNet",
        "fancy_pca",
        "ten_crop",
        "top_k_error",
    ],
    "vgg": ["receptive_field", "stack_parameters", "VGG", "to_fully_convolutional"],
    "googlenet": [
        "global_average_pool",
        "global_max_pool",
        "reduction_savings",
        "Inception",
        "AuxiliaryHead",
        "GoogLeNet",
        "TorchvisionGoogLeNet",
    ],
    "resnet": ["depth_of", "parameters_of", "ResNet", "small_resnet", "layer_table"],
    "comparison": ["count_parameters", "count_macs", "activation_memory", "comparison_row", "pareto_front"],
    "imagenet": ["top_k_accuracy", "real_accuracy", "patch_embed", "linear_probe", "data_efficiency_curve"],
}


@pytest.mark.parametrize("name", EXERCISES)
def test_the_exercises_are_those_that_the_chapter_promises(name):
    assert [e.name for e in COURSE.assignments[name].exercises] == EXERCISES[name]


@pytest.fixture(scope="session")
def preloaded():
    preload(COURSE)


@pytest.mark.slow
@by_name
def test_every_answer_on_file_is_judged_as_it_says(name, preloaded):
    # Other assignments are verified beside it. `autograde verify` takes three seeds, and once a week it gets ten.
    rows = verify(COURSE, [name], seeds=1, jobs=1)
    kinds = [row.kind for row in rows]
    exercises = len(COURSE.assignments[name].exercises)
    assert kinds.count("wrong") >= 6 * exercises and kinds.count("right") >= 3 * exercises
    assert [f"{row.exercise}, {row.variant}: {row.problem}" for row in rows if row.problem] == []


@by_name
def test_an_exercise_says_how_hard_it_is_how_long_it_takes_and_what_it_is_worth(name):
    """The text above each answer has a number, an equation or a table, difficulty, minutes, and its points."""
    assignment = COURSE.assignments[name]
    cells = assignment.source.cells
    points = {e.name: e.points for e in assignment.exercises}
    minutes = 0
    for number, exercise in enumerate(assignment.exercises, start=1):
        (index,) = [i for i, c in enumerate(cells) if c.metadata.get("nbgrader", {}).get("grade_id") == exercise.name]
        text = cells[index - 1].source
        assert text.startswith(f"## {number}. "), exercise.name
        said = re.search(r"^\*(easy|medium|hard)\b.*?(\d+) minutes, (\d+) points?\*$", text, re.M)
        assert said, f"{exercise.name}: no line with difficulty, minutes and points"
        assert int(said[3]) == points[exercise.name], exercise.name
        minutes += int(said[2])
        defined = text.count("$$") >= 2 or "\n|---|" in text or "\\kappa" in text
        assert defined or exercise.name == "power_iteration", exercise.name
        doc = cells[index].source
        assert '"""' in doc and "->" in doc and ("Args:" in doc), exercise.name
    assert 60 <= minutes <= 120
    intro = " ".join(c.source for c in cells[:2])
    assert f"{sum(points.values()):g} points" in " ".join(intro.split())


def run(notebook, folder):
    """Run all cells as a student without a GPU would, and return the notebook; errors are outputs.

    The kernel is forked from one that has imported PyTorch, as the book's are.
    """
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        resources = {"metadata": {"path": str(folder)}}
        client = NotebookClient(notebook, timeout=120, allow_errors=True, kernel_name="warm", resources=resources)
        return client.execute()
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def payoffs(notebook):
    return [c for c in notebook.cells if "payoff" in c.metadata.get("tags", [])]


def printed(cell):
    return "".join(o.get("text", "") for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")


@pytest.mark.slow
@by_name
def test_the_reward_at_the_end_waits_kindly_for_the_answers(name):
    notebook = run(student_notebook(COURSE.assignments[name]), ROOT / "notebooks" / name)
    assert payoffs(notebook)
    for cell in payoffs(notebook):
        assert not any(o.output_type == "error" for o in cell.outputs), cell.source[:60]
    assert any("Finish exercise" in printed(c) for c in payoffs(notebook))


def test_momentum_rewards_agree_with_the_page():
    """The race in the notebook is the ledger's claim M05: the same ravine, the same counts."""
    from ravines.claims import ledger

    values = {k: v[0] for k, v in ledger()["M05"].values.items()}
    namespace = {}
    for cell in reference_notebook(COURSE.assignments["momentum"]).cells:
        marks = cell.metadata.get("nbgrader", {}).get("grade_id")
        if marks in ("imports", "momentum_step", "best_heavy_ball", "race"):
            exec(cell.source, namespace)
    counts = [int(n.replace(",", "")) for n in re.findall(r"([\d,]+) steps", namespace["picture"].alt)]
    assert counts == [values["gd"], values["heavy_ball"]]
