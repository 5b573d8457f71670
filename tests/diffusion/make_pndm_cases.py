# SPDX-License-Identifier: GPL-3.0-or-later
"""What diffusers' PNDMScheduler does with many scheduler configs: writes pndm_cases.json.

usage: make_pndm_cases.py OUT     (needs torch and diffusers; the file beside this script was made with the versions it names)

Each case: a config as scheduler_config.json would hold it, a number of steps, and what came out: timesteps,
alphas_cumprod at some indices, and the (last 51 values of the) trajectory of one number that starts at 1 with the stand-in model
eps = 0.3 x + 0.1 sin(timestep). The noise schedule is float32 as ever, everything that follows from it float64:
the error of diffusers' own float32 coefficients grows to 1e-5 over hundreds of steps.
"""
import json
import sys

import diffusers
import torch
from diffusers import PNDMScheduler

SD = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", trained_betas=None,
          skip_prk_steps=True, set_alpha_to_one=False, prediction_type="epsilon", timestep_spacing="leading", steps_offset=1)


def run(config, n_steps):
    scheduler = PNDMScheduler.from_config(config)
    scheduler.alphas_cumprod, scheduler.final_alpha_cumprod = scheduler.alphas_cumprod.double(), scheduler.final_alpha_cumprod.double()
    scheduler.set_timesteps(n_steps)
    timesteps = scheduler.timesteps.tolist()
    x = torch.tensor([1.0], dtype=torch.float64)
    trajectory = [1.0]
    for t in scheduler.timesteps:
        x = scheduler.step(0.3 * x + 0.1 * torch.sin(t.double()), t, x).prev_sample
        trajectory.append(x.item())
    alphas = scheduler.alphas_cumprod
    at = sorted({0, 1, len(alphas) // 3, len(alphas) // 2, len(alphas) - 1} & set(range(len(alphas))))
    return {"config": {"_class_name": "PNDMScheduler"} | config, "n_steps": n_steps, "timesteps": timesteps,
            "alphas_cumprod": {str(i): alphas[i].item() for i in at}, "trajectory": trajectory[-51:]}


def without(*names):
    return {k: v for k, v in SD.items() if k not in names}


changes = [{}, {"num_train_timesteps": 500}, {"num_train_timesteps": 37, "beta_end": 0.2}, {"beta_start": 0.0001}, {"beta_end": 0.02},
           {"beta_schedule": "linear"}, {"set_alpha_to_one": True}, {"set_alpha_to_one": True, "steps_offset": 0}, {"steps_offset": 0},
           {"steps_offset": 7}, {"timestep_spacing": "linspace"}, {"timestep_spacing": "trailing"},
           {"timestep_spacing": "trailing", "steps_offset": 0, "set_alpha_to_one": True},
           {"num_train_timesteps": 24, "trained_betas": [0.001 + 0.01 * (i * 7 % 24) / 24 for i in range(24)]}]
cases = []
for change in changes:
    for n_steps in (1, 2, 3, 4, 5, 7, 13):
        cases.append(run(SD | change, n_steps))
for spacing in ("leading", "linspace", "trailing"):
    for n_steps in (30, 333, 600):
        cases.append(run(SD | {"timestep_spacing": spacing}, n_steps))
for name in SD:
    if name != "skip_prk_steps":
        cases.append(run(without(name), 5))
json.dump({"made_with": {"diffusers": diffusers.__version__, "torch": torch.__version__}, "cases": cases}, open(sys.argv[1], "w"), separators=(",", ":"))
