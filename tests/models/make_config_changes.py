# SPDX-License-Identifier: GPL-3.0-or-later
"""What diffusers and transformers make of changed config.json files: tests/models/config_changes/.

usage: make_config_changes.py WORLD OUT     WORLD holds model/ (the embedded world), OUT is config_changes/

Every field of the three files, and every other field that the three classes know, is changed to null, to wrong
types, to senseless numbers, to other plausible values, and removed. For each change cases.json says what the
original framework does with the same weights:
  "fails"  it raises, or the weights do not fit (loaded strictly): so must we, naming the field;
  "same"   the outputs are those of the unchanged file, bit for bit;
  "array"  other outputs, kept in outputs.safetensors under the case's number.
Values are JSON text, so that NaN and Infinity can be among them. "required" marks changes that this program has to get right; of all others it may also refuse, naming the field.
tolerances.json has the form of the golden folders': 10 times what float32 and float64 differ by.
"""
import copy, inspect, json, logging, os, sys, warnings
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from safetensors.torch import load_file, save_file
import diffusers, transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel
warnings.filterwarnings("ignore"); diffusers.logging.set_verbosity_error(); transformers.logging.set_verbosity_error(); logging.disable(logging.CRITICAL)
torch.set_num_threads(int(os.environ.get("THREADS", "1"))); torch.use_deterministic_algorithms(True); torch.set_grad_enabled(False)
world, out = sys.argv[1:3]
read = lambda d: json.load(open(f"{world}/model/{d}/config.json"))
weights = {"unet": load_file(f"{world}/model/unet/diffusion_pytorch_model.safetensors"), "vae": load_file(f"{world}/model/vae/diffusion_pytorch_model.safetensors"),
           "text_encoder": load_file(f"{world}/model/text_encoder/model.safetensors")}
configs = {d: read(d) for d in weights}
random = lambda seed, *shape: torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
u, v, t = configs["unet"], configs["vae"], configs["text_encoder"]
inputs = {"unet.latents": random(1, 1, u["in_channels"], 6, 8), "unet.text_embedding": random(2, 1, 5, u["cross_attention_dim"]), "unet.timestep": torch.tensor(321),
          "vae.image": torch.tanh(random(3, 1, 3, 16, 24)), "vae.latents": random(4, 1, v["latent_channels"], 2, 3),
          "text_encoder.input_ids": torch.randint(0, t["vocab_size"], (1, t["max_position_embeddings"]), generator=torch.Generator().manual_seed(5))}

def run(model, config, dtype):
    """The outputs of the changed model in that precision; raises where the original does."""
    if model == "text_encoder":
        c = CLIPTextConfig.from_dict(copy.deepcopy(config)); c._attn_implementation = "eager"; net = CLIPTextModel(c); net.text_model.eos_token_id = 2   # of the pooled output, which nobody uses
    else:
        cls = UNet2DConditionModel if model == "unet" else AutoencoderKL; net = cls.from_config(copy.deepcopy(config))
    net.load_state_dict({k: w.float() for k, w in weights[model].items()}, strict=True); net.eval().to(dtype)
    x = {k.split(".")[1]: i.to(dtype) if i.is_floating_point() else i for k, i in inputs.items() if k.startswith(model + ".")}
    torch.set_default_dtype(dtype)
    try:
        if model == "unet": return {"noise_pred": net(x["latents"], x["timestep"], x["text_embedding"]).sample}, {"sample_size": net.config.sample_size}
        if model == "vae": return {"moments": net.encode(x["image"]).latent_dist.parameters, "image": net.decode(x["latents"]).sample}, {"scaling_factor": float(net.config.scaling_factor)}
        return {"text_embedding": net(x["input_ids"])[0][:, ::16]}, {}      # every 16th token: each sees all before it
    finally: torch.set_default_dtype(torch.float32)

# ---------------------------------------------------------------- the changes
REMOVED = object()
WRONG = [None, REMOVED, True, False, "a string", "", -1, 0, 0.5, [], [1], ["a string"], {}, {"a": 1}, [None]]
HUGE = 10 ** 9                                     # for counts and sizes: the original would work on it for days
# Plausible values that have to come out right.
n = len(u["block_out_channels"])
REQUIRED = {
    "unet": {"norm_eps": [1e-3, 1e-6, 0, 0.0, 1], "act_fn": ["swish", "gelu"], "attention_head_dim": [1, 2, 8, [2, 4, 8], [1, 1, 1]], "norm_num_groups": [16, 8, 1], "flip_sin_to_cos": [False, None],
             "freq_shift": [1, 0.5, 1.0], "downsample_padding": [0], "layers_per_block": [[1] * n], "cross_attention_dim": [[u["cross_attention_dim"]] * n], "transformer_layers_per_block": [[1] * n],
             "only_cross_attention": [[False] * n], "upcast_attention": [True, None], "sample_size": [32, [16, 16], None], "dropout": [0.1, 0], "mid_block_scale_factor": [1.0], "resnet_out_scale_factor": [1],
             "addition_embed_type_num_heads": [8], "mid_block_only_cross_attention": [False, True], "time_embedding_dim": [256, None, 0], "center_input_sample": [None], "dual_cross_attention": [None],
             "use_linear_projection": [None], "class_embeddings_concat": [None], "resnet_skip_time_act": [None], "attention_type": [None], "_diffusers_version": ["0.1.0", None], "_name_or_path": ["x"],
             "_use_default_values": [["norm_eps", "dropout"], []], "only_cross_attention": [[False] * n]},
    "vae": {"act_fn": ["swish", "gelu"], "norm_num_groups": [16, 4, 1], "scaling_factor": [1, 0.13025], "force_upcast": [False, None], "sample_size": [512, [64, 64]], "_diffusers_version": ["0.1.0"],
            "_use_default_values": [["scaling_factor"]]},
    "text_encoder": {"hidden_act": ["gelu"], "layer_norm_eps": [1e-3, 0, 1e-12], "num_attention_heads": [1, 2, 8], "bos_token_id": [0, None], "eos_token_id": [2, None], "pad_token_id": [0, None], "attention_dropout": [0.1],
                     "dropout": [0.0], "initializer_range": [1.0], "initializer_factor": [2.0], "projection_dim": [7], "dtype": ["float32", None], "torch_dtype": ["float16"], "transformers_version": ["4.0", None],
                     "architectures": [None, ["CLIPTextModelWithProjection"]], "gradient_checkpointing": [False], "_name_or_path": ["x"]},
}
# Plausible values that may be refused.
OTHER = {
    "unet": {"in_channels": [4, 9], "out_channels": [4], "block_out_channels": [[64, 128], [64, 128, 256], [32, 128, 192], [64, 96, 192], [64, 128, 192, 192], [63, 128, 192], 64], "layers_per_block": [2, 3, [1, 1, 2], [1, 1]],
             "cross_attention_dim": [64, 768, [128, 128, 64], [128]], "transformer_layers_per_block": [2, 0, [1, 1, 2], [[1], [1], [1]]], "reverse_transformer_layers_per_block": [[1, 1, 1]], "attention_head_dim": [3, 5, 7, [4, 4], HUGE],
             "norm_num_groups": [5, 48, HUGE], "norm_eps": [-1e-5, 10.0, float("nan"), float("inf"), 1e-300], "act_fn": ["mish", "relu", "SiLU", "tanh"], "freq_shift": [31, 32, 33, -1], "downsample_padding": [2, 3],
             "down_block_types": [["DownBlock2D"] * 3, ["CrossAttnDownBlock2D"] * 3, ["CrossAttnDownBlock2D", "DownBlock2D"], ["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"], ["AttnDownBlock2D"] * 3, ["SimpleCrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]],
             "up_block_types": [["UpBlock2D"] * 3, ["CrossAttnUpBlock2D"] * 3, ["UpBlock2D"], ["AttnUpBlock2D"] * 3], "mid_block_type": ["UNetMidBlock2D", "UNetMidBlock2DSimpleCrossAttn"], "only_cross_attention": [True, [True, False, False], [False, False]],
             "center_input_sample": [True], "mid_block_scale_factor": [2, 0.5], "resnet_out_scale_factor": [2.0], "resnet_time_scale_shift": ["scale_shift", "spatial", "ada_group"], "resnet_skip_time_act": [True], "use_linear_projection": [True],
             "dual_cross_attention": [True], "class_embed_type": ["timestep", "identity", "projection", "simple_projection"], "addition_embed_type": ["text", "image", "text_time"], "addition_time_embed_dim": [256], "num_class_embeds": [10],
             "encoder_hid_dim": [128], "encoder_hid_dim_type": ["text_proj", "image_proj"], "time_embedding_type": ["fourier", "learned"], "time_embedding_dim": [64, 512, 255], "time_embedding_act_fn": ["silu", "gelu"], "timestep_post_act": ["silu"],
             "time_cond_proj_dim": [256], "conv_in_kernel": [1, 5], "conv_out_kernel": [1, 5, 2], "projection_class_embeddings_input_dim": [128], "attention_type": ["gated", "gated-text-image"], "class_embeddings_concat": [True],
             "cross_attention_norm": ["layer_norm", "group_norm"], "num_attention_heads": [4, 8, [4, 4, 4]], "sample_size": [HUGE, [16, 24], [16]], "_class_name": ["UNet2DModel", "AutoencoderKL", None, "SomethingElse"], "_use_default_values": [["block_out_channels"], ["flip_sin_to_cos", "attention_head_dim"], "norm_eps", None],
             "a_field_of_another_version": [1, None, False], "quantization_config": [{"load_in_8bit": True}]},
    "vae": {"in_channels": [1, 4], "out_channels": [1, 4], "block_out_channels": [[16, 32, 64], [16, 32, 64, 128], [16, 32, 64, 96, 96], [15, 32, 64, 96], 16], "layers_per_block": [2, 3, [1, 1, 1, 1]], "latent_channels": [4, 16], "norm_num_groups": [3, 32, HUGE],
            "act_fn": ["mish", "relu", "SiLU"], "down_block_types": [["DownEncoderBlock2D"] * 3, ["AttnDownEncoderBlock2D"] * 4], "up_block_types": [["UpDecoderBlock2D"] * 3, ["AttnUpDecoderBlock2D"] * 4],
            "scaling_factor": [-1.0, float("inf"), float("nan")], "shift_factor": [0.1, 0.0], "latents_mean": [[0.0] * 8], "latents_std": [[1.0] * 8], "use_quant_conv": [False, None], "use_post_quant_conv": [False, None], "mid_block_add_attention": [False, None],
            "_class_name": ["AutoencoderTiny", "VQModel", None], "a_field_of_another_version": [1, None], "_use_default_values": [["block_out_channels"]]},
    "text_encoder": {"vocab_size": [49408, 100, HUGE], "hidden_size": [64, 768], "intermediate_size": [512, 2048], "num_hidden_layers": [2, 4, 12, HUGE], "num_attention_heads": [3, 5, HUGE], "max_position_embeddings": [76, 78, 512],
                     "hidden_act": ["relu", "silu", "gelu_new", "gelu_pytorch_tanh"], "layer_norm_eps": [-1.0, float("nan"), float("inf")], "model_type": ["clip", "bert", "clip_vision_model"], "architectures": [["RobertaSeriesModelWithTransformation"], "CLIPTextModel"],
                     "a_field_of_another_version": [1, None], "text_config": [{"hidden_size": 64}], "tie_word_embeddings": [False], "output_hidden_states": [True], "pruned_heads": [{"0": [1]}]},
}
COUNTS = {"unet": {"in_channels", "out_channels", "layers_per_block", "cross_attention_dim", "transformer_layers_per_block", "downsample_padding", "conv_in_kernel", "conv_out_kernel", "time_embedding_dim"},
          "vae": {"in_channels", "out_channels", "layers_per_block", "latent_channels"}, "text_encoder": {"hidden_size", "intermediate_size", "max_position_embeddings"}}
signature = lambda f: [p for p in inspect.signature(f).parameters if p not in ("self", "kwargs")]
known = {"unet": signature(UNet2DConditionModel.__init__), "vae": signature(AutoencoderKL.__init__), "text_encoder": signature(CLIPTextConfig.__init__)}
def changes(model):
    """(changed fields and values, required?) of one model."""
    fields = dict.fromkeys([*configs[model], *known[model], *REQUIRED[model], *OTHER[model]])
    for f in fields:
        required = REQUIRED[model].get(f, []); seen = []
        for value in [*required, *OTHER[model].get(f, []), *([HUGE] if f in COUNTS[model] else []), *WRONG]:
            if value is REMOVED:
                if f not in configs[model]: continue
            elif any(type(value) is type(s) and repr(value) == repr(s) for s in seen) or (f in configs[model] and repr(value) == repr(configs[model][f])): continue
            seen.append(value); yield {f: value}, any(repr(value) == repr(r) for r in required)
    sparse = {"unet": ("_class_name", "act_fn", "attention_head_dim", "block_out_channels", "cross_attention_dim", "down_block_types", "in_channels", "layers_per_block", "out_channels", "sample_size", "up_block_types"),
              "vae": ("_class_name", "block_out_channels", "down_block_types", "latent_channels", "norm_num_groups", "up_block_types"), "text_encoder": ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")}[model]
    yield {f: REMOVED for f in configs[model] if f not in sparse}, True       # as old folders are

cases, outputs, tolerances = [], dict(inputs), {}
def keep(name, single, double):
    e = (single.double() - double.double()).abs(); unit = single.double().std().item()
    outputs[name] = single.float().contiguous(); tolerances[name] = {"unit": unit, "rms": max(10 * e.pow(2).mean().sqrt().item() / unit, 1e-6), "max": max(10 * e.max().item() / unit, 1e-5)}
for model in configs:
    base, _ = run(model, configs[model], torch.float32); base64, _ = run(model, configs[model], torch.float64)
    for k, x in base.items(): keep(f"{model}.unchanged.{k}", x, base64[k])
    for change, required in changes(model):
        config = {k: x for k, x in (configs[model] | change).items() if x is not REMOVED}
        case = {"model": model, "fields": list(change), "values": {k: json.dumps(x) for k, x in change.items() if x is not REMOVED}, "required": required}
        absurd = any(x == HUGE and type(x) is int and k in COUNTS[model] | {"norm_num_groups", "attention_head_dim", "num_attention_heads", "num_hidden_layers", "vocab_size"} for k, x in change.items())
        try:
            if absurd: raise ValueError("too large to try")
            got, facts = run(model, config, torch.float32)
            finite = all(x.isfinite().all() for x in got.values())
            if not finite: raise ValueError("not finite")
            case |= {k: x for k, x in facts.items()}
            if all(x.shape == base[k].shape and torch.equal(x, base[k]) for k, x in got.items()): case["original"] = "same"
            else:
                case["original"] = "array"; got64, _ = run(model, config, torch.float64)
                for k, x in got.items(): keep(f"{len(cases)}.{k}", x, got64[k])
        except Exception as e: case["original"] = "fails"; print(model, change if REMOVED not in change.values() else list(change), type(e).__name__, str(e)[:100].replace("\n", " "))
        assert not (required and case["original"] == "fails"), case
        cases.append(case)
os.makedirs(out, exist_ok=True)
with open(out + "/cases.json", "w") as f: f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
json.dump({"outputs": tolerances}, open(out + "/tolerances.json", "w"), indent=0); save_file(outputs, out + "/outputs.safetensors")
json.dump({"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__}, open(out + "/versions.json", "w"), indent=0)
from collections import Counter
print(Counter((c["model"], c["original"], c["required"]) for c in cases))
