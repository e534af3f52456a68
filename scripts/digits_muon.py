"""The optimiser for digits: Muon for the matrices, AdamW for the embedding and the norms.

Muon (Jordan and others, "Muon: an optimizer for hidden layers in neural networks", 2024) makes every update of a
matrix nearly orthogonal. torch.optim.Muon works on one matrix at a time and in bfloat16, which few CPUs multiply
fast: here matrices of one shape go together, in float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import nn

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the quintic of the paper


class Muon:
    """Momentum 0.95 (Nesterov), orthogonalised, for two-dimensional parameters."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float = 0.01) -> None:
        self.decay = decay
        self.groups: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            self.groups[parameter.shape].append(parameter)
        self.momentum = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update with this learning rate; every parameter must have a gradient."""
        for shape, group in self.groups.items():
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            momentum = self.momentum[shape].lerp_(gradient, 0.05)
            update = orthogonalise(gradient.lerp(momentum, 0.95))
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.mul_(1 - rate * self.decay).sub_(change, alpha=rate * scale)


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest nearly orthogonal matrices, shape (n, rows, columns): singular values of about 1."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Optimiser:
    """Both optimisers under one schedule: `step(share)` with the share of the full learning rates."""

    def __init__(self, model: nn.Module, muon_rate: float = 0.02, adam_rate: float = 3e-3) -> None:
        self.muon_rate, self.adam_rate = muon_rate, adam_rate
        matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.0)

    def step(self, share: float) -> None:
        """Apply the gradients and clear them."""
        self.muon.step(self.muon_rate * share)
        for group in self.adam.param_groups:
            group["lr"] = self.adam_rate * share
        self.adam.step()
        for group in (*self.muon.groups.values(), self.adam.param_groups[0]["params"]):
            for parameter in group:
                parameter.grad = None
