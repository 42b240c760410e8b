"""The library's own attention weights, with a graph, from a copy of a captioner."""

import copy
from contextlib import ExitStack

from dermaxai.captioner.decoder import T5Base, build_t5
from tests.captioner import tiny

FORMS = {
    "plain": lambda: tiny.captioner(),
    "encoder, gated": lambda: tiny.captioner(skip_encoder=False, base=tiny.demo_base(gated=True)),
    "prompts": lambda: tiny.captioner(
        skip_encoder=False, languages=dict.fromkeys(("en", "ru"), tiny.PROMPTED), adapters={}
    ),
    "umt5": lambda: tiny.captioner(base=umt5_base(), bridge=tiny.bridge_config(cross_attention_frequency=1)),
}


def umt5_base():
    import transformers

    size = len(tiny.fast_tokenizer())
    names = {"architectures": ["UMT5ForConditionalGeneration"]}
    table = tiny.t5_table("umt5", gated=True, vocabulary=size, **names)
    model = build_t5(transformers.AutoConfig.for_model(**table), tiny.t5_state(table, untied=True))
    return T5Base(model, tiny.fast_tokenizer(), "tiny")


def eager_pass(made, patches, ids, language="en"):
    """(attention weights in the order of the forward pass, log-probability of each token), one graph."""
    twin = copy.deepcopy(made)
    twin.bridge.use_attention("eager")
    twin.t5.set_attn_implementation("eager")
    twin.requires_grad_(True).eval()
    seen, passed = [], ExitStack()
    kinds = ("Blip2QFormerMultiHeadAttention", "T5Attention", "UMT5Attention")
    for module in twin.modules():
        if type(module).__name__ in kinds:
            hook = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output[-1]))
            passed.callback(hook.remove)
    with passed:
        logits = twin.logits(patches[None], ids[None], language).float()
    return seen, logits.log_softmax(-1).gather(2, ids[None, :, None])[0, :, 0]
