# SPDX-License-Identifier: GPL-3.0-or-later
"""What diffusers' schedulers do with many scheduler configs: writes scheduler_cases.json.

usage: make_scheduler_cases.py OUT     (needs torch and diffusers; the file beside this script was made with the versions it names)

Each case: the kind of sampler (as the program names it), what its config has differently from "config", a number of steps, for
image-to-image a strength, and what came out: the number of calls (0: nothing is left to do), the sum of their timesteps and of their
sigmas, and at a few calls the timestep, the sigma (neither after the last call) and one latent before it. That latent is 1 times the initial sigma at first, or
image and noise mixed; the model is a stand-in, eps = 0.3 scaled x + 0.1 sin(timestep). The noise schedule and the
sigmas are float32 as ever, everything that follows from them float64: the error of diffusers' own float32 grows to 1e-5 over hundreds
of steps. "inverse" goes the other way, from 1 with DDIMInverseScheduler: how many timesteps, their sum, and the latent at the end.
"""
import json
import sys
from types import SimpleNamespace

import diffusers
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, PNDMScheduler, StableDiffusionImg2ImgPipeline

SD = dict(_class_name="PNDMScheduler", num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", trained_betas=None,
          skip_prk_steps=True, set_alpha_to_one=False, prediction_type="epsilon", timestep_spacing="leading", steps_offset=1, clip_sample=False)
KINDS = {"pndm": (PNDMScheduler, {}), "ddim": (DDIMScheduler, {}), "euler": (EulerDiscreteScheduler, {}),
         "dpmpp-2m": (DPMSolverMultistepScheduler, {"use_karras_sigmas": False}),
         "dpmpp-2m-karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True})}
IMAGE, NOISE = 0.5, -1.2
FLOAT32, FLOAT64 = torch.float32, torch.float64
SPACINGS = ("leading", "linspace", "trailing")
cases, left_out = [], []


def sample(scheduler, timesteps, x):
    latents = [x.item()]
    for t in timesteps:
        torch.float32 = FLOAT64             # their steps turn the sample to torch.float32
        try:
            x = scheduler.step(0.3 * scheduler.scale_model_input(x, t) + 0.1 * torch.sin(t.double()), t, x).prev_sample
        finally:
            torch.float32 = FLOAT32
        latents.append(x.item())
    return latents


def run(kind, change, n_steps, strength):
    cls, forced = KINDS[kind]
    scheduler = cls.from_config({k: v for k, v in (SD | change).items() if v != "absent"}, **forced)
    if kind in ("pndm", "ddim"):
        scheduler.alphas_cumprod, scheduler.final_alpha_cumprod = scheduler.alphas_cumprod.double(), scheduler.final_alpha_cumprod.double()
    scheduler.set_timesteps(n_steps)
    timesteps = scheduler.timesteps
    if timesteps[-1] < 0:
        return "diffusers ends at timestep -1"
    first = 0
    if kind not in ("pndm", "ddim"):
        scheduler.sigmas = scheduler.sigmas.double()
    if strength is None:
        x = torch.ones(1, dtype=FLOAT64) * scheduler.init_noise_sigma
        if len(timesteps) > 1 and timesteps[0] == timesteps[1] and hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)    # without, they begin at the second call and end beyond the last
    else:
        timesteps, _ = StableDiffusionImg2ImgPipeline.get_timesteps(SimpleNamespace(scheduler=scheduler), n_steps, strength, "cpu")
        if len(timesteps) == 0 or int(n_steps * strength) == 0:
            return {"n": 0}
        first = len(scheduler.timesteps) - len(timesteps)
        x = scheduler.add_noise(torch.full((1,), IMAGE, dtype=FLOAT64), torch.full((1,), NOISE, dtype=FLOAT64), timesteps[:1])
    try:
        latents = sample(scheduler, timesteps, x)
    except IndexError:
        return "diffusers ends with an IndexError"
    n = len(timesteps)
    sigmas = scheduler.sigmas[first:].tolist() if kind not in ("pndm", "ddim") else [0] * (n + 1)
    if not torch.tensor(latents).isfinite().all():
        return "diffusers ends with NaN"
    short = lambda *values: [json.loads(f"{v:.8g}") for v in values]
    at = sorted({0, 1, n // 2, n} if strength is not None else {n // 2, n})
    return {"n": n, "sums": short(timesteps.double().sum().item(), sum(sigmas)),
            "at": [[i] + short(*([timesteps[i].item(), sigmas[i]] if i < n else []), latents[i]) for i in at if i <= n]}


def invert(change, n_steps):
    """From 1 back to noise: the number of timesteps, their sum, and the latent at the end."""
    scheduler = DDIMInverseScheduler.from_config({k: v for k, v in (SD | change).items() if v != "absent"})
    scheduler.alphas_cumprod, scheduler.initial_alpha_cumprod = scheduler.alphas_cumprod.double(), scheduler.initial_alpha_cumprod.double()
    scheduler.set_timesteps(n_steps)
    x = torch.ones(1, dtype=FLOAT64)
    for t in scheduler.timesteps:
        x = scheduler.step(0.3 * x + 0.1 * torch.sin(t.double()), t, x).prev_sample
    return {"steps": n_steps} | ({"change": change} if change else {}) | {
        "n": len(scheduler.timesteps), "sum": scheduler.timesteps.double().sum().item(), "latent": json.loads(f"{x.item():.8g}")}


def case(kind, n_steps, change={}, strength=None):
    change = {k: v for k, v in change.items() if k not in SD or SD[k] != v}
    what = {"kind": kind, "steps": n_steps} | ({"change": change} if change else {}) | ({"strength": strength} if strength is not None else {})
    result = run(kind, change, n_steps, strength)
    if isinstance(result, str):
        left_out.append(what | {"why": result})
    elif what not in [{k: v for k, v in c.items() if k not in ("n", "sums", "at")} for c in cases]:
        cases.append(what | result)


TRAINED = {"num_train_timesteps": 24, "trained_betas": [0.001 + 0.01 * (i * 7 % 24) / 24 for i in range(24)]}
COMMON = [{}, {"num_train_timesteps": 500}, {"num_train_timesteps": 37, "beta_end": 0.2}, {"beta_start": 0.0001}, {"beta_end": 0.02}, {"beta_schedule": "linear"},
          {"steps_offset": 0}, {"steps_offset": 7}, TRAINED] + [{k: "absent"} for k in SD if k not in ("_class_name", "skip_prk_steps", "clip_sample")] + [
          {"_use_default_values": ["beta_end", "steps_offset"]}]
FOREIGN = {"pndm": {"thresholding": True, "clip_sample": True, "rescale_betas_zero_snr": True, "use_karras_sigmas": True, "solver_order": 3},
           "ddim": {"use_karras_sigmas": True, "sigma_min": 3.0, "final_sigmas_type": "sigma_min", "skip_prk_steps": False, "interpolation_type": "log_linear"},
           "euler": {"clip_sample": True, "thresholding": True, "set_alpha_to_one": True, "solver_order": 3, "algorithm_type": "dpmsolver", "use_lu_lambdas": True},
           "dpmpp-2m": {"clip_sample": True, "set_alpha_to_one": True, "interpolation_type": "log_linear", "timestep_type": "continuous", "skip_prk_steps": False}}
FOREIGN["dpmpp-2m-karras"] = FOREIGN["dpmpp-2m"]
ALPHA = [{"set_alpha_to_one": True}, {"set_alpha_to_one": True, "steps_offset": 0}]
END = [{"final_sigmas_type": "sigma_min"}, {"final_sigmas_type": "sigma_min", "timestep_spacing": "trailing"}]
KARRAS = [{"sigma_min": 0.05}, {"sigma_max": 9.0}, {"sigma_min": 0.001, "sigma_max": 80.0}]
DPMPP = END + [{"solver_type": "heun"}, {"solver_type": "heun", "final_sigmas_type": "sigma_min"}, {"solver_type": "bh2"}, {"lower_order_final": False},
               {"lower_order_final": False, "final_sigmas_type": "sigma_min"}, {"euler_at_final": True, "lower_order_final": False, "final_sigmas_type": "sigma_min"}] + [
               {"lambda_min_clipped": v, "timestep_spacing": s} for v in (-5.1, -1.0) for s in SPACINGS]
OWN = {"pndm": ALPHA, "ddim": ALPHA + [{"clip_sample": True}, {"clip_sample": "absent"}, {"clip_sample": True, "clip_sample_range": 0.4}],
       "euler": END + [{"use_karras_sigmas": True} | k | s for k in [{}] + KARRAS + END for s in ({}, {"timestep_spacing": "linspace"})] + [{"timestep_type": "continuous"}],
       "dpmpp-2m": DPMPP, "dpmpp-2m-karras": DPMPP + KARRAS}

for i, kind in enumerate(KINDS):
    for j, spacing in enumerate(SPACINGS):
        for n_steps in (1, 2, 3, 7, 15, 50, 999):
            if kind != "dpmpp-2m-karras" or j == 0 or n_steps == 7:
                case(kind, n_steps, {"timestep_spacing": spacing})
        case(kind, 999, {"timestep_spacing": spacing, "steps_offset": 0})
    for j, change in enumerate(COMMON + OWN[kind] + [FOREIGN[kind]]):
        for n_steps in ((5,) if j < len(COMMON) else (4, 17)):
            case(kind, n_steps, change)
    for j, n_steps in enumerate((1, 2, 7, 20, 50)):
        for k, strength in enumerate((0.1, 0.3, 0.75, 1.0)):
            case(kind, n_steps, {"timestep_spacing": SPACINGS[(i + j + k) % 3]}, strength)
    case(kind, 20, {}, 0.6)
    case(kind, 13, {"final_sigmas_type": "sigma_min"}, 0.6)
    for n_steps in (14, 15):                # lower_order_final counts below 15
        case(kind, n_steps, {"final_sigmas_type": "sigma_min"})
case("dpmpp-2m-karras", 17, {"final_sigmas_type": "sigma_min", "sigma_min": 0.01, "solver_type": "heun"})  # its last step goes up
case("dpmpp-2m", 8, {"num_train_timesteps": 8, "timestep_spacing": "linspace", "lambda_min_clipped": -2.2}, 0.157)  # equal sigmas, but before
inverse = [invert(change, n_steps) for change in ({}, {"timestep_spacing": "trailing"}, {"steps_offset": 0}, {"set_alpha_to_one": True}, {"set_alpha_to_one": True, "steps_offset": 0},
                                                  {"clip_sample": True}, {"clip_sample": True, "clip_sample_range": 0.4}, {"beta_schedule": "linear"}) for n_steps in (1, 2, 7, 20, 50, 999)]
for what in left_out:
    print(what)
json.dump({"made_with": {"diffusers": diffusers.__version__, "torch": torch.__version__}, "config": SD, "image": IMAGE, "noise": NOISE, "inverse": inverse, "cases": cases},
          open(sys.argv[1], "w"), separators=(",", ":"))
print(len(cases), "cases")
