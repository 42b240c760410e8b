"""Proof that a model was left as it was: bits, flags, modes, hooks, gradients."""

import hashlib

from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def snapshot(*modules: nn.Module) -> list[object]:
    seen: list[object] = []
    for module in modules:
        for name, part in module.named_modules():
            seen.append((name, type(part), part.training, [list(getattr(part, kind)) for kind in HOOKS]))
            seen.append(sorted(key for key in vars(part) if not key.startswith("_")))
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            bits = hashlib.sha256(value.detach().cpu().numpy().tobytes()).hexdigest()
            seen.append((name, bits, value.requires_grad, value.grad is None))
    return seen
