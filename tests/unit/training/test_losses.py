import pytest
import torch

from dass.training.losses import distillation_loss, label_loss

LOG2 = 0.6931471805599453
LOG3 = 1.0986122886681098


def test_distillation_loss_of_a_case_worked_out_by_hand() -> None:
    # One image, two classes, T = 2, alpha = 0.25, label 0.
    #   student logits (2 ln 3, 0)  -> softmax: e^(2 ln 3) = 9, e^0 = 1          -> (9/10, 1/10)
    #                                 at T = 2: e^(ln 3)   = 3, e^0 = 1          -> (3/4, 1/4)
    #   teacher logits (2 ln 2, 0)  -> at T = 2: e^(ln 2)   = 2, e^0 = 1          -> (2/3, 1/3)
    # hard: H(label, student)   = -ln(9/10)                        = 0.105360515657826
    # soft: H(teacher, student) = -(2/3) ln(3/4) - (1/3) ln(1/4)
    #                           = (2/3)(0.287682072451781) + (1/3)(1.386294361119891) = 0.653886168674484
    # loss = 0.25 * hard + 0.75 * 2^2 * soft = 0.026340128914457 + 1.961658506023452  = 1.987998634937909
    student = torch.tensor([[2 * LOG3, 0.0]], dtype=torch.float64)
    teacher = torch.tensor([[2 * LOG2, 0.0]], dtype=torch.float64)
    loss = distillation_loss(student, torch.tensor([0]), teacher, alpha=0.25, temperature=2.0)
    assert loss.item() == pytest.approx(1.987998634937909, abs=1e-12)


def test_distillation_loss_averages_over_the_batch_and_leaves_the_teacher_alone() -> None:
    student = torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]], requires_grad=True)
    teacher = torch.tensor([[0.2, 0.1, 3.0], [1.0, 1.0, 1.0]], requires_grad=True)
    labels = torch.tensor([0, 2])
    whole = distillation_loss(student, labels, teacher, 0.5, 6.0)
    parts = [distillation_loss(student[i : i + 1], labels[i : i + 1], teacher[i : i + 1], 0.5, 6.0) for i in range(2)]
    assert whole.item() == pytest.approx(sum(part.item() for part in parts) / 2, rel=1e-6)
    whole.backward()
    assert student.grad is not None and teacher.grad is None


def test_soft_gradient_vanishes_at_the_teacher_and_keeps_its_size_over_temperatures() -> None:
    teacher = torch.tensor([[1.0, -2.0, 0.3]])
    at_teacher = teacher.clone().requires_grad_()
    distillation_loss(at_teacher, torch.tensor([1]), teacher, alpha=0.0, temperature=6.0).backward()
    assert at_teacher.grad is not None and at_teacher.grad.abs().max() < 1e-6
    sizes = []
    for temperature in (20.0, 40.0):  # for large T the gradient of T^2 H tends to (student - teacher) / classes
        student = torch.zeros(1, 3, requires_grad=True)
        distillation_loss(student, torch.tensor([1]), teacher, alpha=0.0, temperature=temperature).backward()
        assert student.grad is not None
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_smoothed_labels_of_a_case_worked_out_by_hand() -> None:
    # Two classes, logits (ln 3, 0) -> probabilities (3/4, 1/4); label 0, smoothing 0.2 -> target (0.9, 0.1).
    # loss = -0.9 ln(3/4) - 0.1 ln(1/4) = 0.9 * 0.287682072451781 + 0.1 * 1.386294361119891 = 0.397543301318592
    logits = torch.tensor([[LOG3, 0.0]], dtype=torch.float64)
    assert label_loss(logits, torch.tensor([0]), 0.2).item() == pytest.approx(0.397543301318592, abs=1e-12)
    assert label_loss(logits, torch.tensor([0]), 0.0).item() == pytest.approx(0.287682072451781, abs=1e-12)
