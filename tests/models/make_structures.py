# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny models of every structure that the configs can ask for, and what diffusers makes of them: tests/models/structures/.

usage: make_structures.py OUT              the chosen ones
       make_structures.py OUT --random N   N random ones instead (W2W_STRUCTURES=OUT lets the test run on them)

OUT/<name>/ is a folder of config.json and float16 weights; arrays.safetensors holds "<name>.<input or output>", tolerances.json
10 times what float32 and float64 differ by, as in the golden folders.
"""
import json, os, random, sys
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from safetensors.torch import save_file
from diffusers import AutoencoderKL, UNet2DConditionModel
torch.set_num_threads(int(os.environ.get("THREADS", "1"))); torch.use_deterministic_algorithms(True); torch.set_grad_enabled(False)
out = sys.argv[1]; n_random = int(sys.argv[3]) if len(sys.argv) > 2 else 0
C, D, U, X = "CrossAttnDownBlock2D", "DownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"
base = dict(sample_size=8, in_channels=3, out_channels=3, norm_num_groups=2, cross_attention_dim=6, attention_head_dim=2, layers_per_block=1)
UNETS = {
    "unet_one_level": dict(block_out_channels=(4,), down_block_types=(C,), up_block_types=(X,)),
    "unet_two_levels_swapped": dict(block_out_channels=(4, 8), down_block_types=(D, C), up_block_types=(X, U), downsample_padding=0, attention_head_dim=(1, 4)),
    "unet_five_levels": dict(block_out_channels=(4, 4, 4, 4, 6), down_block_types=(D, D, C, D, D), up_block_types=(U, U, X, U, U), attention_head_dim=2),
    "unet_linear_projections": dict(block_out_channels=(4, 6), down_block_types=(C, C), up_block_types=(X, X), use_linear_projection=True, transformer_layers_per_block=(2, 1), layers_per_block=(1, 2), upcast_attention=True),
    "unet_no_transformer_blocks": dict(block_out_channels=(4, 4), down_block_types=(C, C), up_block_types=(X, X), transformer_layers_per_block=(0, 1)),
    "unet_only_cross_attention": dict(block_out_channels=(4, 6), down_block_types=(C, C), up_block_types=(X, X), only_cross_attention=(True, False)),
    "unet_only_cross_attention_everywhere": dict(block_out_channels=(4, 6), down_block_types=(C, D), up_block_types=(U, X), only_cross_attention=True),
    "unet_resnet_in_the_middle": dict(block_out_channels=(4, 6), down_block_types=(C, D), up_block_types=(U, X), mid_block_type="UNetMidBlock2D", act_fn="gelu"),
    "unet_nothing_in_the_middle": dict(block_out_channels=(4, 6), down_block_types=(D, D), up_block_types=(U, U), mid_block_type=None, flip_sin_to_cos=False, freq_shift=1),
    "unet_pointwise_ends": dict(block_out_channels=(4, 4), down_block_types=(C, D), up_block_types=(U, X), conv_in_kernel=1, conv_out_kernel=1, time_embedding_dim=10, norm_eps=1e-3),
}
VAES = {
    "vae_one_level": dict(block_out_channels=(4,), layers_per_block=1),
    "vae_three_levels": dict(block_out_channels=(4, 6, 4), layers_per_block=2, act_fn="gelu", latent_channels=5),
    "vae_bare": dict(block_out_channels=(4, 4), layers_per_block=1, use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False),
    "vae_half_bare": dict(block_out_channels=(6, 4), layers_per_block=1, use_quant_conv=False),
}
def random_unet(r):
    n = r.randint(1, 4); ints = lambda lo, hi: r.choice([r.randint(lo, hi), [r.randint(lo, hi) for _ in range(n)]]); widths = [r.choice([4, 8, 12]) for _ in range(n)]
    return dict(block_out_channels=widths, down_block_types=[r.choice([C, D]) for _ in range(n)], up_block_types=[r.choice([X, U]) for _ in range(n)], layers_per_block=ints(1, 3), transformer_layers_per_block=ints(0, 2),
                attention_head_dim=r.choice([1, 2, 4, [r.choice([1, 2, 4]) for _ in range(n)]]), use_linear_projection=r.random() < 0.5, only_cross_attention=r.choice([False, True, [r.random() < 0.5 for _ in range(n)]]),
                mid_block_type=r.choice(["UNetMidBlock2DCrossAttn"] * 3 + ["UNetMidBlock2D", None]), downsample_padding=r.choice([1, 1, 0]), flip_sin_to_cos=r.random() < 0.5, freq_shift=r.choice([0, 1]), norm_eps=r.choice([1e-5, 1e-3]),
                act_fn=r.choice(["silu", "swish", "gelu"]), norm_num_groups=r.choice([1, 2, 4]), conv_in_kernel=r.choice([1, 3]), conv_out_kernel=r.choice([1, 3]), time_embedding_dim=r.choice([None, 10]), cross_attention_dim=r.choice([5, 6]))
def random_vae(r):
    n = r.randint(1, 4)
    return dict(block_out_channels=[r.choice([4, 8]) for _ in range(n)], layers_per_block=r.randint(1, 2), latent_channels=r.randint(1, 5), norm_num_groups=r.choice([1, 2, 4]), act_fn=r.choice(["silu", "gelu"]), use_quant_conv=r.random() < 0.5,
                use_post_quant_conv=r.random() < 0.5, mid_block_add_attention=r.random() < 0.5)
if n_random:
    r = random.Random(n_random); UNETS = {f"unet_random_{i}": random_unet(r) for i in range(n_random)}; VAES = {f"vae_random_{i}": random_vae(r) for i in range(n_random // 3)}

arrays, tolerances = {}, {}
def disturbed(net, name):
    """Random weights, as make.py of the golden folders disturbs them."""
    g = torch.Generator().manual_seed(sum(map(ord, name))); noise = lambda p: torch.randn(p.shape, generator=g)
    for k, p in sorted(net.named_parameters()):
        if p.ndim == 1 and "norm" in k and k.endswith("weight"): p.copy_(1 + 0.2 * noise(p))
        elif p.ndim == 1: p.copy_(0.1 * noise(p))
        else: p.copy_(noise(p) / p[0].numel() ** 0.5)
        p.copy_(p.half().float())
    return net.eval()
def store(name, net):
    folder = f"{out}/{name}"; os.makedirs(folder, exist_ok=True); save_file({k: w.half().contiguous() for k, w in net.state_dict().items()}, folder + "/diffusion_pytorch_model.safetensors")
    json.dump({"_class_name": type(net).__name__, **{k: w for k, w in net.config.items() if not k.startswith("_")}}, open(folder + "/config.json", "w"), indent=0)
def keep(name, inputs, call, net):
    torch.set_default_dtype(torch.float64); double = call(net.double(), {k: x.double() if x.is_floating_point() else x for k, x in inputs.items()}); torch.set_default_dtype(torch.float32); single = call(net.float(), inputs)
    for k, x in inputs.items(): arrays[f"{name}.{k}"] = x
    for k, x in single.items():
        e, unit = (x.double() - double[k]).abs(), x.double().std().item(); arrays[f"{name}.{k}"] = x.contiguous()
        tolerances[f"{name}.{k}"] = {"unit": unit, "rms": max(10 * e.pow(2).mean().sqrt().item() / unit, 1e-6), "max": max(10 * e.max().item() / unit, 1e-5)}
for name, change in UNETS.items():
    net = disturbed(UNet2DConditionModel(**base | change), name); store(name, net); g = torch.Generator().manual_seed(1); c = net.config
    keep(name, {"latents": torch.randn(2, c.in_channels, 9, 14, generator=g), "text_embedding": torch.randn(2, 7, c.cross_attention_dim, generator=g), "timestep": torch.tensor(437)},
         lambda net, x: {"noise_pred": net(x["latents"], x["timestep"], x["text_embedding"]).sample}, net)
for name, change in VAES.items():
    net = disturbed(AutoencoderKL(**dict(norm_num_groups=2, down_block_types=("DownEncoderBlock2D",) * len(change["block_out_channels"]), up_block_types=("UpDecoderBlock2D",) * len(change["block_out_channels"])) | change), name); store(name, net)
    g = torch.Generator().manual_seed(2); scale = 2 ** (len(change["block_out_channels"]) - 1)
    keep(name, {"picture": torch.randn(2, 3, 3 * scale + scale // 2, 2 * scale, generator=g), "latents": torch.randn(2, net.config.latent_channels, 3, 4, generator=g)},
         lambda net, x: {"moments": net.encode(x["picture"]).latent_dist.parameters, "image": net.decode(x["latents"]).sample}, net)
json.dump({"arrays": tolerances}, open(out + "/tolerances.json", "w"), indent=0); save_file(arrays, out + "/arrays.safetensors")
