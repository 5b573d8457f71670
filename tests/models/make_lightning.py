#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""lightning.ckpt, lightning_legacy.ckpt: what lies around the weights in the checkpoints of a training, as torch writes it.
The released checkpoints of Stable Diffusion 1.x name the class ModelCheckpoint as a key of "callbacks"."""
import collections
import pathlib
import sys
import types

import numpy
import torch

HERE = pathlib.Path(__file__).parent
NAME = "pytorch_lightning.callbacks.model_checkpoint"


class ModelCheckpoint:
    """Stands for the real one: only its name goes into the file."""


ModelCheckpoint.__module__ = NAME
for i in range(1, NAME.count(".") + 2):
    module = ".".join(NAME.split(".")[:i])
    sys.modules[module] = types.ModuleType(module)
sys.modules[NAME].ModelCheckpoint = ModelCheckpoint

weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
optimizer = torch.optim.AdamW([weight], lr=1e-4)
weight.grad = torch.ones_like(weight)
optimizer.step()
score = torch.tensor(0.25)
checkpoint = {
    "epoch": 7,
    "global_step": 840000,
    "pytorch-lightning_version": "1.4.2",
    "state_dict": collections.OrderedDict(weight=torch.arange(6.0).reshape(2, 3).half(), logit_scale=torch.tensor(4.5)),
    "callbacks": {ModelCheckpoint: {"monitor": "val/loss", "best_model_score": score, "current_score": None,
                                    "best_k_models": {"last.ckpt": score}, "last": numpy.float64(0.5)}},
    "optimizer_states": [optimizer.state_dict()],
    "lr_schedulers": [{"base_lrs": [1e-4], "last_epoch": 3, "verbose": False}],
    "NativeMixedPrecisionScalingState": None,
}
torch.save(checkpoint, HERE / "lightning.ckpt")
torch.save(checkpoint, HERE / "lightning_legacy.ckpt", _use_new_zipfile_serialization=False)
