"""A pretrained encoder (foundation model) of forcings that feeds a small head.

Shape legend: T time, B basins, F forcings, A attributes, C context, D features.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from dmg.nn.backbone import as_tensor, check_window, open_backbone, unpack
from dmg.nn.base import Inputs, NetworkState, Scores
from dmg.nn.heads import Headed, embed


class Encoder(Headed):
    """Features of a pretrained module, and a small perceptron over them and the attributes.

    The module maps normalised forcings `[T, B, F]` to features `[T, B, D]`, each a function of the
    last C steps, or to one summary `[B, D]` of the last C steps, which gives static scores only.
    It always runs in evaluation mode, fine-tuned or not: its dropout would not follow the seed.
    Before the first step its inputs are at their mean, 0.

    Parameters
    ----------
    num_forcings, num_attributes
        F and A.
    num_dynamic, num_static
        Numbers of scores per step and per basin.
    source
        File of an exported program, or `module:function`, see `open_backbone`. The program is
        kept with the weights: a trained model needs the file no more.
    context
        C.
    hidden_size
        Units of the head.
    frozen
        Whether the module keeps its weights; else it learns with the head.
    bfloat16
        Whether the module computes in bfloat16 (weights and results keep their type).

    Raises
    ------
    ValueError
        If the module does not map inputs as said above.
    """

    def __init__(
        self,
        num_forcings: int,
        num_attributes: int,
        num_dynamic: int,
        num_static: int,
        *,
        source: str,
        context: int = 365,
        hidden_size: int = 64,
        frozen: bool = True,
        bfloat16: bool = False,
    ) -> None:
        super().__init__(num_dynamic, num_static)
        self.num_forcings, self.num_attributes = num_forcings, num_attributes
        self.source, self.context, self.hidden_size = source, context, hidden_size
        self.frozen, self.in_bfloat16 = frozen, bfloat16
        self.backbone: nn.Module | None = None
        backbone, self.program = open_backbone(source)
        if backbone is not None:
            self._take(backbone)

    def _take(self, backbone: nn.Module) -> None:
        """Take the module, and add the layers over its features."""
        num_features, self.is_summary = check_window(backbone, self.context, self.num_forcings)
        if self.is_summary and self.num_dynamic:
            raise ValueError(
                f"encoder: {self.source} gives one summary [B, D], which cannot give dynamic"
                " scores; leave phy.dynamic empty"
            )
        self.backbone = backbone.requires_grad_(not self.frozen)
        self.head = nn.Linear(num_features + self.num_attributes, self.hidden_size)
        self._add_heads(self.hidden_size)

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        x = inputs.forcing
        before = self.context - 1
        (memory,) = state or (x.new_zeros(before, *x.shape[1:]),)
        known = torch.cat([memory, x])
        only_last = last_only or (self.backbone is not None and self.is_summary)
        features = self._features(known[-self.context :] if only_last else known)
        features = features if features.ndim == 3 else features.unsqueeze(0)
        features = features[-1:] if only_last else features[before:]
        hidden = torch.relu(embed(self.head, features, inputs.attributes))
        scores = self._read(hidden, only_last)
        if not last_only and self.is_summary:
            scores = self._static(scores.static, inputs, last_only)
        return scores, (known[len(known) - before :],)

    def _features(self, x: Tensor) -> Tensor:
        if self.backbone is None:
            raise ValueError(f"encoder: expected an encoder at {self.source}, found no such file")
        learns = torch.is_grad_enabled() and not self.frozen
        autocast = torch.autocast(x.device.type, torch.bfloat16, enabled=self.in_bfloat16)
        with torch.set_grad_enabled(learns), autocast:
            features: Tensor = self.backbone(x)
        return features.to(x.dtype)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the head; the module stays in evaluation."""
        self.training = mode
        return self

    def get_extra_state(self) -> Tensor:
        """Program of the module, for a checkpoint."""
        return as_tensor(self.program).to(next(self.parameters()).device)

    def set_extra_state(self, state: Tensor) -> None:
        """Build the module of a checkpoint, where its file is not at hand."""
        if self.backbone is None and state.numel():
            self.program = state.to(torch.uint8).numpy(force=True).tobytes()
            self._take(unpack(self.program, self.source))
