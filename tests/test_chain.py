import numpy as np
import torch

from avatars.tracking.chain import solve_chain, tie_forces


def test_the_chain_is_the_solution_of_the_whole_system(generator: torch.Generator) -> None:
    frames, size = 7, 4
    root = torch.randn(frames, size, size + 2, generator=generator, dtype=torch.float64)
    blocks = root @ root.transpose(1, 2)
    ties = 5 * torch.rand(frames - 1, size, generator=generator, dtype=torch.float64)
    ties[2] = 0  # a cut between two shots
    right = torch.randn(frames, size, generator=generator, dtype=torch.float64)
    whole = np.zeros((frames * size, frames * size))
    for t in range(frames):
        here = slice(t * size, (t + 1) * size)
        whole[here, here] += blocks[t].numpy()
    for t in range(frames - 1):
        for p in range(size):
            pair = np.zeros(frames * size)
            pair[t * size + p], pair[(t + 1) * size + p] = -1, 1
            whole += float(ties[t, p]) * np.outer(pair, pair)
    expected = np.linalg.solve(whole, right.reshape(-1).numpy()).reshape(frames, size)
    np.testing.assert_allclose(solve_chain(blocks, ties, right).numpy(), expected, rtol=1e-9)


def test_forces_are_minus_the_gradient(generator: torch.Generator) -> None:
    values = torch.randn(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    ties = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    energy = (ties * (values[1:] - values[:-1]) ** 2).sum() / 2
    (gradient,) = torch.autograd.grad(energy, values)
    torch.testing.assert_close(tie_forces((values[1:] - values[:-1]).detach(), ties), -gradient)


def test_one_frame_is_a_chain_too() -> None:
    block = torch.tensor([[[4.0, 1.0], [1.0, 3.0]]])
    right = torch.tensor([[1.0, 2.0]])
    solution = solve_chain(block, torch.zeros(0, 2), right)
    torch.testing.assert_close(block[0] @ solution[0], right[0])


def test_nothing_pulls_at_a_frame_alone() -> None:
    assert torch.equal(tie_forces(torch.zeros(0, 4), torch.zeros(0, 4)), torch.zeros(1, 4))
