"""The models that a worker has loaded: late, and not more than a few at a time."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

from dermaxai.errors import DermaXAIError, NotSupported
from dermaxai.jobs.patience import State
from dermaxai.jobs.queue import error_view
from dermaxai.registry import check_name

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.types import Case

KEPT = 2
"""Models in memory at once."""


@final
class Models:
    """Loads models by the names that photos are sent with, and keeps the latest ones."""

    def __init__(
        self,
        served: Mapping[str, Mapping[str, str]],
        settings: Mapping[str, str],
        announce: Callable[[State], None],
    ) -> None:
        """`served`: name and further options of `pipeline.load`. `announce` hears every change of state."""
        self.served = dict(served)
        self.settings = dict(settings)
        self._announce = announce
        self._state: State = {"state": "starting", "model": ""}
        self._loaded: OrderedDict[str, Model] = OrderedDict()

    def named(self, name: str) -> Model:
        """A model by name, the first one for ''. Raises: UnknownName; as `pipeline.load`."""
        wanted = name or next(iter(self.served), "")
        check_name("served model", wanted, list(self.served))
        if wanted in self._loaded:
            self._loaded.move_to_end(wanted)
            return self._loaded[wanted]
        self._make_room()
        self.tell({"state": "loading", "model": wanted})
        try:
            self._loaded[wanted] = self._load(wanted)
        except Exception as error:
            self.tell({"state": "failed", "model": wanted, **error_view(error)})
            raise
        self.tell({"state": "ready", "model": wanted})
        return self._loaded[wanted]

    def _make_room(self) -> None:
        while len(self._loaded) >= KEPT:
            self._loaded.popitem(last=False)
            frozen = gc.get_freeze_count()
            gc.unfreeze()
            gc.collect()
            if frozen:
                gc.freeze()

    def tell(self, state: State | None) -> None:
        """Announce a state of the worker; None says again how it stands with the models."""
        if state is None:
            self._announce(self._state)
            return
        if state["model"]:
            self._state = state
        self._announce(state)

    def of(self, case: Case) -> Model:
        """The model that made a case, by the hash of its encoder.

        Raises: NotSupported where it is not among those that are served; as `pipeline.load`.
        """
        made = case.made_by
        names = [made.encoder, *reversed(self._loaded), *self.served]
        for name in dict.fromkeys(name for name in names if name in self.served):
            try:
                model = self.named(name)
            except DermaXAIError:
                if name == made.encoder:
                    raise
                continue
            if model.encoder.sha256 == made.encoder_sha256:
                return model
        raise NotSupported(
            f"The case was made by the encoder '{made.encoder}', which is not among the models here.",
            hint="Start the server with that model, or describe the photo anew.",
        )

    def _load(self, name: str) -> Model:
        from dermaxai.pipeline import load
        from dermaxai.settings import read_settings

        options: Any = self.served[name]
        return load(name, settings=read_settings(**self.settings), **options)
