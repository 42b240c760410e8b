"""Tiny models of every kind, random weights, saved in the genuine formats by the genuine libraries."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from dermaxai.encoders.cards import EncoderCard, read_card
from dermaxai.types import SkinImage

TEXTS = ["a dark mole", "benign Keratosis, raised", "skin"]
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "dark",
    "mole",
    "benign",
    "keratosis",
    "raised",
    "skin",
    ",",
]
BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 24,
    "pad_token_id": 0,
}
VISION = {"image_size": 64, "layers": 3, "width": 64, "head_width": 16, "patch_size": 16}
BERT_TEXT = {
    "hf_model_name": "somewhere/bert",
    "hf_tokenizer_name": "somewhere/bert",
    "hf_proj_type": "mlp",
    "hf_pooler_type": "cls_last_hidden_state_pooler",
    "context_length": 24,
}
CLIP_TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}


@dataclass
class Tiny:
    """What `load_encoder` takes, and what the genuine library answers."""

    name: str | Path | EncoderCard
    source: Path | None
    image: Callable[[torch.Tensor], torch.Tensor]
    text: Callable[[list[str]], torch.Tensor] | None
    """Embeddings, not unit length."""
    model: nn.Module


def photo(height: int, width: int, seed: int = 0) -> SkinImage:
    """Smooth noise, so that resizing has something to do."""
    generator = np.random.default_rng(seed)
    coarse = torch.from_numpy(generator.random((1, 3, 6, 8), dtype=np.float32))
    fine = nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return SkinImage(pixels=(fine[0].permute(1, 2, 0) * 255).byte().numpy(), sha256="0" * 64)


def stir(make: Callable[[], nn.Module]) -> nn.Module:
    """A model with random values in every parameter, layer scales and biases included; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = make()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.3 if parameter.ndim < 2 else parameter.shape[-1] ** -0.5
            parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)
    return model.eval()


def write(folder: Path, state: dict[str, torch.Tensor], config: dict | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.contiguous().clone() for key, value in state.items()},
        folder / "open_clip_model.safetensors",
    )
    if config:
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def word_tokenizer(folder: Path) -> None:
    """A BERT tokenizer of a dozen words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))


def bert_ids(texts: list[str], length: int = 24) -> torch.Tensor:
    """What `word_tokenizer` must give."""
    rows = torch.zeros(len(texts), length, dtype=torch.long)
    for row, text in zip(rows, texts, strict=True):
        words = text.lower().replace(",", " ,").split()
        ids = [2, *(WORDS.index(word) for word in words), 3]
        row[: len(ids)] = torch.tensor(ids)
    return rows


def open_clip_folder(folder: Path, **vision: object) -> Tiny:
    import open_clip

    quick = bool(vision.pop("quick_gelu", False))
    config = {"embed_dim": 24, "vision_cfg": {**VISION, **vision}, "text_cfg": CLIP_TEXT, "quick_gelu": quick}
    model = stir(lambda: open_clip.CLIP(**config))
    write(
        folder,
        model.state_dict(),
        {"model_cfg": config, "preprocess_cfg": {"mean": 0.4, "std": [0.2, 0.3, 0.25]}},
    )
    return Tiny(
        folder,
        None,
        model.encode_image,
        lambda texts: model.encode_text(open_clip.tokenize(texts, 16)),
        model,
    )


def bert_model(vision: dict, *, quick_gelu: bool = False) -> nn.Module:
    import open_clip
    from open_clip.hf_model import HFTextEncoder
    from transformers import BertConfig

    values = {key: value for key, value in BERT.items() if key != "model_type"}

    def make() -> nn.Module:
        model = open_clip.CustomTextCLIP(24, vision, {**CLIP_TEXT, "layers": 1}, quick_gelu=quick_gelu)
        model.text = HFTextEncoder(
            "x", 24, BertConfig(**values), "cls_last_hidden_state_pooler", "mlp", pretrained=False
        )
        model.text.transformer.pooler = None
        return model

    return stir(make)


def biomed_folder(folder: Path) -> Tiny:
    vision = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 64}
    model = bert_model(vision)
    write(
        folder,
        model.state_dict(),
        {"model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": BERT_TEXT}},
    )
    word_tokenizer(folder)
    card = replace(read_card("biomedclip"), width=64, embed=24, image_size=64, text_config=BERT, resize_to=64)
    return Tiny(card, folder, model.encode_image, lambda texts: model.encode_text(bert_ids(texts)), model)


def unimed_file(folder: Path) -> Tiny:
    """A training checkpoint with another prefix and no configuration beside it."""
    model = bert_model(VISION, quick_gelu=True)
    state = {
        f"module.{key}".replace("module.text.", "module.text_encoder."): v
        for key, v in model.state_dict().items()
    }
    state["module.text_encoder.transformer.embeddings.position_ids"] = torch.arange(24)[None]
    folder.mkdir(parents=True)
    torch.save({"epoch": 3, "name": "unimed", "state_dict": state}, folder / "unimed-clip-vit-b16.pt")
    word_tokenizer(folder)
    config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": BERT_TEXT}
    card = replace(
        read_card("unimed-clip-b16"),
        config=config,
        text_config=BERT,
        width=64,
        embed=24,
        image_size=64,
        resize_to=64,
    )
    source = folder / "unimed-clip-vit-b16.pt"
    return Tiny(card, source, model.encode_image, lambda texts: model.encode_text(bert_ids(texts)), model)


def beit(outputs: int) -> nn.Module:
    from timm.models.beit import Beit

    return stir(
        lambda: Beit(
            img_size=64,
            patch_size=16,
            num_classes=outputs,
            global_pool="token",
            embed_dim=64,
            depth=3,
            num_heads=4,
            init_values=0.1,
            qkv_bias=True,
            use_abs_pos_emb=True,
        )
    )


def panderm_file(folder: Path) -> Tiny:
    model = beit(0)
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / "panderm_bb_data6_checkpoint-499.pth")
    config = {"vision_cfg": {"image_size": 64, "head_width": 16}}
    card = replace(
        read_card("panderm-base"), config=config, width=64, embed=64, image_size=64, resize_to=72, sha256=""
    )
    return Tiny(card, folder, lambda pixels: model.forward_features(pixels)[:, 0], None, model)


def dermlip_panderm_folder(folder: Path) -> Tiny:
    from dermaxai.encoders.panderm import TwoTowers

    text = {**BERT_TEXT, "hf_pooler_type": "mean_pooler"}
    language = bert_model(VISION).text
    from open_clip.hf_model import MeanPooler

    language.pooler = MeanPooler()
    model = TwoTowers(beit(24), language).eval()
    vision = {**VISION, "pretrain_path": None}
    write(
        folder, model.state_dict(), {"model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}}
    )
    (folder / "text_config.json").write_text(json.dumps(BERT))
    word_tokenizer(folder)

    def image(pixels: torch.Tensor) -> torch.Tensor:
        tower = model.visual
        return tower.head(tower.norm(tower.forward_features(pixels)[:, 1:].mean(dim=1)))

    return Tiny(folder, None, image, lambda texts: model.text(bert_ids(texts)), model)


def siglip_folder(folder: Path, *, second: bool = False) -> Tiny:
    """70 pixels in patches of 16: a rim of 6 pixels is not covered, as 384 in patches of 14."""
    from transformers import AutoTokenizer, SiglipConfig, SiglipModel

    shared = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = SiglipConfig(
        text_config={**shared, "vocab_size": 300, "max_position_embeddings": 12, "projection_size": 64},
        vision_config={**shared, "image_size": 70, "patch_size": 16},
    )
    model = stir(lambda: SiglipModel(config))
    model.save_pretrained(folder)
    (gemma_tokenizer if second else sentence_pieces)(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def text(texts: list[str]) -> torch.Tensor:
        texts = [text.lower() for text in texts]
        found = tokenizer(texts, padding="max_length", max_length=12, truncation=True, return_tensors="pt")
        return model.get_text_features(input_ids=found["input_ids"]).pooler_output

    return Tiny(folder, None, lambda pixels: model.get_image_features(pixels).pooler_output, text, model)


def sentence_pieces(folder: Path) -> None:
    import sentencepiece
    from transformers import SiglipTokenizer

    options = {"pad_id": 1, "eos_id": 2, "bos_id": -1, "unk_id": 0, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text.lower() for text in TEXTS] * 20),
        model_prefix=str(folder / "made"), vocab_size=30, hard_vocab_limit=False, **options,
    )  # fmt: skip
    SiglipTokenizer(str(folder / "made.model")).save_pretrained(folder)


def gemma_tokenizer(folder: Path) -> None:
    from transformers import GemmaTokenizer

    letters = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", ",", *"abcdefghijklmnopqrstuvwxyz"]
    GemmaTokenizer({letter: index for index, letter in enumerate(letters)}, merges=[]).save_pretrained(folder)


def clip_folder(folder: Path) -> Tiny:
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    shared = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    letters = "abcdefghijklmnopqrstuvwxyz,"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    end = len(pieces) - 1
    config = CLIPConfig(
        text_config={**shared, "vocab_size": len(pieces), "max_position_embeddings": 30,
                     "bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end},
        vision_config={**shared, "image_size": 64, "patch_size": 16, "hidden_act": "quick_gelu"},
        projection_dim=24,
    )  # fmt: skip
    model = stir(lambda: CLIPModel(config))
    model.save_pretrained(folder)
    tokenizer = CLIPTokenizer({piece: index for index, piece in enumerate(pieces)}, merges=[])
    tokenizer.save_pretrained(folder)

    def text(texts: list[str]) -> torch.Tensor:
        found = tokenizer(texts, padding=True, max_length=30, truncation=True, return_tensors="pt")
        return model.get_text_features(**found).pooler_output

    return Tiny(folder, None, lambda pixels: model.get_image_features(pixels).pooler_output, text, model)


BUILDERS: dict[str, Callable[[Path], Tiny]] = {
    "openclip": open_clip_folder,
    "openclip-quickgelu-layerscale": lambda folder: open_clip_folder(
        folder, quick_gelu=True, ls_init_value=0.2
    ),
    "openclip-mean-ln-after": lambda folder: open_clip_folder(
        folder, pool_type="avg", final_ln_after_pool=True
    ),
    "biomedclip": biomed_folder,
    "unimed": unimed_file,
    "panderm": panderm_file,
    "dermlip-panderm": dermlip_panderm_folder,
    "siglip": siglip_folder,
    "siglip2": lambda folder: siglip_folder(folder, second=True),
    "clip-hf": clip_folder,
}
