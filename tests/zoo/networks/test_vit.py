from __future__ import annotations

from typing import Any

import torch

from axsim.zoo.networks.vit import VisionTransformer


def test_against_the_formula_written_out() -> None:
    torch.manual_seed(0)
    network: Any = VisionTransformer(4, 2, 6, 1, 3, classes=5, channels=1).eval()
    network.double()
    image = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    block = network.blocks[0]
    patches = [image[0, 0, r : r + 2, c : c + 2] for r in (0, 2) for c in (0, 2)]
    x = torch.stack([p.flatten() for p in patches]) @ network.stem.weight.flatten(1).T
    x = x + network.stem.bias + network.positions[0]

    y = block.norm1(x)
    attention = block.attention
    q, k, v = (y @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, 1)
    heads = [
        torch.softmax(q[:, s] @ k[:, s].T / 2**0.5, 1) @ v[:, s]
        for s in (slice(0, 2), slice(2, 4), slice(4, 6))
    ]
    x = x + attention.out_proj(torch.cat(heads, 1))
    y = block.norm2(x) @ block.mlp.fc1.weight.T + block.mlp.fc1.bias
    gelu = y * 0.5 * (1 + torch.erf(y / 2**0.5))
    x = x + gelu @ block.mlp.fc2.weight.T + block.mlp.fc2.bias
    expected = network.head(network.norm(x).mean(0))
    assert torch.allclose(network(image)[0], expected, atol=1e-12)
