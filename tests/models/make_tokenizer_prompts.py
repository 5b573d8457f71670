# SPDX-License-Identifier: GPL-3.0-or-later
"""What transformers' CLIPTokenizer makes of hundreds of odd prompts: writes tokenizer_prompts.json.

usage: make_tokenizer_prompts.py OUT TOKENIZER…    (folders; needs transformers, without ftfy)

Ids without start and end token and without a limit, by size of the vocabulary. Characters that came to
Unicode after version 13 are left out: programs disagree on whether they exist.
"""
import importlib.util
import json
import random
import sys
import unicodedata

import transformers
from transformers import CLIPTokenizer

assert importlib.util.find_spec("ftfy") is None, "ftfy changes what the tokenizer sees"
R = random.Random(1)
BLOCKS = [(0x20, 0x7F), (0xA0, 0x250), (0x250, 0x370), (0x370, 0x400), (0x400, 0x530), (0x5D0, 0x5EB), (0x620, 0x64B), (0x905, 0x93A), (0xE01, 0xE3A), (0x1100, 0x1113),
          (0x1E00, 0x1F16), (0x1F80, 0x1FB5), (0x2010, 0x2028), (0x2070, 0x2072), (0x2100, 0x218A), (0x2190, 0x2200), (0x2460, 0x2500), (0x3041, 0x3097), (0x3400, 0x3410),
          (0x4E00, 0x4F00), (0xAC00, 0xAC80), (0xF900, 0xF920), (0xFB00, 0xFB07), (0xFF01, 0xFF60), (0x1D400, 0x1D420), (0x1F130, 0x1F18A), (0x1F600, 0x1F640), (0x20000, 0x20010), (0x2F800, 0x2F810)]
CHARACTERS = [chr(c) for first, end in BLOCKS for c in range(first, end) if unicodedata.category(chr(c)) != "Cn"]
MARKS = [chr(c) for c in (*range(0x300, 0x370), 0x483, 0x5B0, 0x5B4, 0x64B, 0x651, 0x93C, 0x94D, 0x3099, 0x1DC0, 0x20D0, 0x1D165)]
ODD = [chr(c) for c in (1, 9, 10, 11, 12, 13, 28, 31, 127, 0x85, 0xA0, 0xAD, 0x1680, 0x180E, 0x2000, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x202E, 0x3000, 0xE000, 0xFEFF, 0xFFFD, 0xFFFF,
                        0x130, 0x131, 0x17F, 0x1E9E, 0x3A3, 0x3C2, 0x345, 0x212A, 0x212B, 0x2160, 0x24B6, 0x340, 0x344, 0x37E, 0x387, 0x1D15E)]
WORDS = ["a photo of", "sks person", "glasses", "<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "<|endoftext", "!<|endoftext|>", "don't", "I'LL", "we'VE", "'\u017f", "'\u017fs", "<|\u017ftartoftext|>", "you're",
         "'d", "''m", "!!", "...", "ΣΑΣ", "ΑΣ.", "ΑΣ'Σ", "Σ", "12345", "½", "日本語", "한국어", "naïve", "emoji🙂", "👩‍🚀", "</w>", "a</w>", "\u0120", "http://x.y/z?q=1&r=2", "Ⅷ", "ⒶⒷ", "ＡＢＣ", "ﬁ"]


def piece():
    return R.choice((lambda: R.choice(WORDS), lambda: R.choice(WORDS), lambda: "".join(R.choices(CHARACTERS, k=R.randint(1, 5))), lambda: R.choice(ODD),
                     lambda: R.choice(CHARACTERS) + "".join(R.choices(MARKS, k=R.choice((1, 2, 3, 20)))), lambda: unicodedata.normalize(R.choice(("NFD", "NFC")), "".join(R.choices(CHARACTERS, k=4))),
                     lambda: "".join(R.choices("abcdefghijklmnopqrstuvwxyz'ABC.,!<|>", k=R.randint(1, 25))), lambda: R.choice("ab") * R.randint(1, 40)))()


prompts = [*WORDS, *ODD, *("a" + c + "b" for c in ODD), *("".join(piece() + R.choice(("", " ")) for _ in range(R.randint(2, 6))) for _ in range(400))]
transformers.logging.set_verbosity_error()
tokenizers = [CLIPTokenizer.from_pretrained(folder) for folder in sys.argv[2:]]
cases = [{"prompt": p, "ids": {str(len(t)): t(p, add_special_tokens=False).input_ids for t in tokenizers}} for p in prompts]
json.dump({"made_with": {"transformers": transformers.__version__, "unicode": unicodedata.unidata_version}, "cases": cases}, open(sys.argv[1], "w"), separators=(",", ":"))
