import pytest
import torch
from torch import nn

from ssl_kit.nn import Teacher, cosine_momentum, create_encoder, ema_, frozen_copy, mlp


def test_frozen_copy_is_apart_and_takes_no_gradient():
    student = nn.Linear(2, 2)
    teacher = frozen_copy(student)
    assert torch.equal(teacher.weight, student.weight)
    assert teacher.weight.data_ptr() != student.weight.data_ptr()
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in student.parameters())


@pytest.mark.parametrize(("momentum", "expected"), [(0.0, 5.0), (0.75, 2.0), (1.0, 1.0)])
def test_ema_moves_the_teacher_by_its_momentum(momentum, expected):
    student, teacher = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(student.weight, 5.0)
    nn.init.constant_(teacher.weight, 1.0)
    ema_(teacher, student, momentum)
    assert teacher.weight.item() == expected
    assert student.weight.item() == 5.0


def test_ema_copies_buffers():
    student = mlp(3, 4, 2)
    teacher = frozen_copy(student)
    student(torch.randn(8, 3) + 7)
    ema_(teacher, student, 0.9)
    for t, s in zip(teacher.buffers(), student.buffers(), strict=True):
        assert torch.equal(t, s)


def test_momentum_rises_along_half_a_cosine():
    found = [cosine_momentum(step, 100, 0.9) for step in (0, 50, 100)]
    assert found == pytest.approx([0.9, 0.95, 1.0])


@pytest.fixture
def student():
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, 32)
    return encoder, mlp(encoder.num_features, 8, 4)


def test_a_teacher_starts_as_the_student(student):
    encoder, projector = student
    x = torch.randn(6, 3, 32, 32)
    expected = projector(encoder(x)).detach()
    torch.testing.assert_close(Teacher(encoder, projector)(x), expected)
    torch.testing.assert_close(Teacher(encoder)(x), encoder(x).detach())


def test_a_teacher_gives_no_gradient(student):
    teacher = Teacher(*student)
    assert not teacher(torch.randn(2, 3, 32, 32, requires_grad=True)).requires_grad
    assert not any(p.requires_grad for p in teacher.parameters())


def test_update_moves_encoder_and_projector(student):
    teacher = Teacher(*student)
    before = [p.clone() for p in teacher.parameters()]
    with torch.no_grad():
        for module in student:
            for parameter in module.parameters():
                parameter += 1
    teacher.update(*student, momentum=0.75)
    for old, new in zip(before, teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)


def test_a_teacher_without_a_projector_updates_its_encoder(student):
    encoder, _ = student
    teacher = Teacher(encoder)
    with torch.no_grad():
        next(encoder.parameters()).add_(1)
    teacher.update(encoder, momentum=0.0)
    assert torch.equal(next(teacher.parameters()), next(encoder.parameters()))


def test_a_teacher_has_no_dropout_and_no_stochastic_depth():
    encoder = create_encoder("test_vit", 3, 32, drop_path_rate=0.5, proj_drop_rate=0.5)
    teacher, x = Teacher(encoder).train(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(teacher(x), teacher(x))
    assert not torch.allclose(encoder.train()(x), encoder(x))
