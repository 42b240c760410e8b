"""LoRA on the T5 through PEFT: named, switchable, merged and unmerged without a trace."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dermaxai.captioner.config import LoraSettings
from dermaxai.encoders.weights import read_json, read_state_dict
from dermaxai.errors import NotSupported, SettingError, WeightsMismatch, WeightsMissing
from dermaxai.registry import check_name

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import T5ForConditionalGeneration

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"


@final
class Adapters:
    """The LoRA adapters of one T5, which they change in place; at most one is active.

    Source: LoRA (arXiv:2106.09685), equation 3; implemented by PEFT.
    """

    def __init__(self, model: T5ForConditionalGeneration) -> None:
        self._model = model
        self._peft: PeftModel | None = None
        self._set_aside: list[tuple[nn.Module, str, Any, Tensor]] = []
        self.settings: dict[str, LoraSettings] = {}
        self.active: str | None = None

    @property
    def merged(self) -> bool:
        """Whether the active adapter is added into the base weights at the moment."""
        return bool(self._set_aside)

    def add(self, name: str, settings: LoraSettings) -> None:
        """Put a fresh adapter (no effect yet) on the T5 and make it active. Raises: SettingError."""
        if name in self.settings or not name.isidentifier():
            raise SettingError(
                f"'{name}' cannot name a new adapter; taken: {', '.join(self.settings) or 'none'}."
            )
        from peft import get_peft_model

        self.unmerge()
        with warnings.catch_warnings():
            # PEFT asks transformers 5.23 for an attribute under its old name.
            warnings.simplefilter("ignore", FutureWarning)
            if self._peft is None:
                self._peft = get_peft_model(self._model, _peft_config(settings), adapter_name=name)
            else:
                self._peft.add_adapter(name, _peft_config(settings))
        self.settings[name] = settings
        self.use(name)

    def use(self, name: str | None) -> None:
        """Make one adapter active, or none. Raises: UnknownName."""
        self.unmerge()
        if name is not None:
            check_name("adapter", name, self.settings)
        if self._peft is not None:
            self._peft.base_model.enable_adapter_layers()
            if name is None:
                self._peft.base_model.disable_adapter_layers()
            else:
                self._peft.set_adapter(name)
            self._model.requires_grad_(False)
        self.active = name

    def merge(self) -> None:
        """Add the active adapter into the base weights: same output within rounding, no extra cost."""
        if self.merged or self.active is None:
            return
        for parent, name, layer in self._layers():
            base = layer.base_layer
            weight = base.weight.data
            self._set_aside.append((parent, name, layer, weight))
            if self.active in layer.lora_A:
                base.weight.data = (weight + layer.get_delta_weight(self.active).detach()).to(weight.dtype)
            setattr(parent, name, base)

    def unmerge(self) -> None:
        """Take a merged adapter out again; base and adapter are bit for bit what they were.

        Where the model was moved or cast in between, they are what they were, moved and cast likewise.
        """
        for parent, name, layer, weight in self._set_aside:
            # While merged, neither is part of the model, and `.to()` passes them by.
            merged = layer.base_layer.weight
            if (merged.device, merged.dtype) != (weight.device, weight.dtype):
                layer.to(merged.device, merged.dtype)
            layer.base_layer.weight.data = weight.to(merged.device, merged.dtype)
            setattr(parent, name, layer)
        self._set_aside.clear()

    def parameters(self) -> list[nn.Parameter]:
        """Of the active adapter. Raises: SettingError without one."""
        if self.active is None:
            raise SettingError(
                "The captioner has no active LoRA adapter.", hint="Add one, or choose mode 'bridge'."
            )
        self.unmerge()
        mark = f".{self.active}."
        return [value for key, value in self._model.named_parameters() if "lora_" in key and mark in key]

    def state(self, name: str) -> dict[str, Tensor]:
        """One adapter's tensors under PEFT's names. Raises: UnknownName."""
        check_name("adapter", name, self.settings)
        self.unmerge()
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self._peft, adapter_name=name, save_embedding_layers=False)
        return {key: tensor.detach().contiguous() for key, tensor in state.items()}

    def load(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Fill an adapter that was added. Raises: WeightsMismatch, UnknownName."""
        own = {key: tensor.shape for key, tensor in self.state(name).items()}
        wrong = sorted(key for key in own.keys() | state.keys() if own.get(key) != _shape(state.get(key)))
        if wrong:
            raise WeightsMismatch(
                f"Adapter '{name}': {len(wrong)} tensors do not fit this T5; first '{wrong[0]}': expected "
                f"{own.get(wrong[0], 'nothing')}, came {_shape(state.get(wrong[0])) or 'nothing'}.",
                hint="The adapter was made for another base or with other settings.",
            )
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(self._peft, dict(state), adapter_name=name)

    def _layers(self) -> list[tuple[nn.Module, str, Any]]:
        found = []
        for path, module in list(self._model.named_modules()):
            if hasattr(module, "base_layer") and hasattr(module, "lora_A"):
                parent, _, name = path.rpartition(".")
                found.append((self._model.get_submodule(parent), name, module))
        return found


def write_adapter(adapters: Adapters, name: str, folder: Path, *, base: str, revision: str = "") -> None:
    """One adapter as PEFT writes it; `base` is what its config calls the base model, never a path."""
    folder.mkdir(parents=True, exist_ok=True)
    config = _peft_config(adapters.settings[name])
    config.base_model_name_or_path, config.revision = base, revision or None
    config.task_type, config.inference_mode = "SEQ_2_SEQ_LM", True
    config.save_pretrained(str(folder))
    state = {key: tensor.cpu() for key, tensor in adapters.state(name).items()}
    save_file(state, folder / _WEIGHTS, {"format": "pt"})


def read_adapter(adapters: Adapters, name: str, folder: Path) -> None:
    """Add the adapter stored in a PEFT folder and make it active.

    Raises: WeightsMissing, WeightsCorrupt, WeightsMismatch, NotSupported for what is not plain LoRA.
    """
    for file in (_CONFIG, _WEIGHTS):
        if not (folder / file).is_file():
            raise WeightsMissing(
                f"No '{file}' in '{folder}'.", hint="A PEFT adapter in safetensors is expected."
            )
    settings = _settings_of(read_json(folder / _CONFIG))
    state = read_state_dict(folder / _WEIGHTS)
    adapters.add(name, settings)
    adapters.load(name, state)


def _shape(tensor: Tensor | None) -> torch.Size | None:
    return None if tensor is None else tensor.shape


def _peft_config(settings: LoraSettings) -> LoraConfig:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target,
        bias="none",
    )


def _settings_of(table: Mapping[str, Any]) -> LoraSettings:
    plain = table.get("peft_type") == "LORA" and table.get("bias", "none") == "none"
    special = [key for key in ("use_dora", "use_rslora", "modules_to_save", "rank_pattern", "alpha_pattern")]
    if not plain or any(table.get(key) for key in special):
        raise NotSupported(
            "Only plain LoRA without bias is supported.", hint="Merge the adapter with PEFT first."
        )
    target = table.get("target_modules")
    for encoder in (False, True):
        layers = tuple(str(target).rpartition("(")[2].rstrip(")").split("|"))
        settings = LoraSettings(
            int(table["r"]), int(table["lora_alpha"]), float(table["lora_dropout"]), layers, encoder
        )
        if settings.target == target:
            return settings
    raise NotSupported(f"Adapter target '{target}' is not of the form '{LoraSettings().target}'.")
