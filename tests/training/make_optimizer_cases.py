#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the tables of test_optimizer.c: what torch's optimizers and clipping make of given numbers."""
import torch

PARAMETERS = torch.tensor([-1.125, 0.25, 0.0, 1.5, -0.03125, 2.0])
GRADIENTS = torch.tensor([[0.5, -0.0078125, 3.0, 1e-5, 0.0, -40.0],
                          [-0.25, 0.5, 2.0, -2e-5, 0.125, 60.0],
                          [1.0, 0.0625, -1.0, 3e-5, -0.5, -7.0]])


def row(values):
    return "{" + ", ".join(f"{v:.9g}f" if "." in f"{v:.9g}" or "e" in f"{v:.9g}" else f"{v:.9g}.0f" for v in values) + "}"


for decoupled, lr, decay, eps in ((True, 1e-3, 1e-2, 1e-8), (True, 1e-4, 0.0, 1e-8), (False, 0.1, 1e-10, 1e-8),
                                  (False, 0.01, 0.5, 1e-3)):
    parameters = PARAMETERS.clone().requires_grad_()
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizer = kind([parameters], lr=lr, weight_decay=decay, eps=eps)
    print(f"{{{{.lr = {lr}, .weight_decay = {decay}, .eps = {eps}, .decoupled = {str(decoupled).upper()}}}, {{")
    for gradient in GRADIENTS:
        parameters.grad = gradient.clone()
        optimizer.step()
        print("    " + row(parameters.tolist()) + ",")
    print("}},")

for max_norm in (1.0, 100.0):
    parts = [torch.nn.Parameter(p.clone()) for p in PARAMETERS.split([2, 1, 3])]
    for part, gradient in zip(parts, GRADIENTS[0].split([2, 1, 3])):
        part.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parts, max_norm).item()
    print(f"{{{max_norm}, {norm:.9g}, {row(torch.cat([p.grad for p in parts]).tolist())}}},")
