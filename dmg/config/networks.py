"""Networks between data and physics, and what each can give."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dmg.config.base import Section

Precision = Literal["float32", "bfloat16"]
PRECISION = "Arithmetic of the recurrent layer; bfloat16 is quicker, and coarser"


class NetworkSection(Section):
    """What every network has."""

    gives: ClassVar[Literal["parameters", "static", "flow"]] = "parameters"
    """Parameters of both kinds (or the flow), static parameters only, or the flow only."""
    parameters: tuple[str, ...] | None = Field(
        None, description="Parameters that it gives; none: those that no other network names"
    )


class Lstm(NetworkSection):
    """LSTM over forcings and attributes; heads for dynamic and static parameters."""

    name: Literal["lstm"] = "lstm"
    hidden_size: int = Field(256, ge=1, description="Hidden units")
    dropout: float = Field(0.5, ge=0, lt=1, description="Variational dropout of the weights [1]")
    precision: Precision = Field("float32", description=PRECISION)


class PlainLstm(NetworkSection):
    """LSTM on forcings and attributes as they are, in the convention of Kratzert et al. (2019)."""

    name: Literal["plain_lstm"] = "plain_lstm"
    hidden_size: int = Field(256, ge=1, description="Hidden units")
    dropout: float = Field(0.4, ge=0, lt=1, description="Dropout of the outputs, by window [1]")
    forget_bias: float = Field(5.0, description="First bias of the forget gate")
    precision: Precision = Field("float32", description=PRECISION)


class Mlp(NetworkSection):
    """Multi-layer perceptron over attributes; static parameters only."""

    gives = "static"
    name: Literal["mlp"] = "mlp"
    hidden_sizes: tuple[int, ...] = Field((256, 256, 256), description="Units of hidden layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout after each hidden layer [1]")


class LstmMlp(NetworkSection):
    """LSTM for dynamic parameters beside a perceptron over attributes for static ones."""

    name: Literal["lstm_mlp"] = "lstm_mlp"
    hidden_size: int = Field(64, ge=1, description="Hidden units of the LSTM")
    dropout: float = Field(0.5, ge=0, lt=1, description="Variational dropout of its weights [1]")
    precision: Precision = Field("float32", description=PRECISION)
    mlp_hidden_sizes: tuple[int, ...] = Field(
        (256, 256, 256), description="Units of the perceptron's hidden layers"
    )
    mlp_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout after each of them [1]")


class EaLstm(NetworkSection):
    """Entity-aware LSTM: attributes open the input gate, forcings do the rest."""

    name: Literal["ea_lstm"] = "ea_lstm"
    hidden_size: int = Field(256, ge=1, description="Hidden units")
    dropout: float = Field(0.4, ge=0, lt=1, description="Dropout of the outputs, by window [1]")
    forget_bias: float = Field(5.0, description="First bias of the forget gate")
    precision: Precision = Field("float32", description=PRECISION)


class McLstm(NetworkSection):
    """Mass-conserving LSTM: cells hold the precipitation, their outflow is the flow."""

    gives = "flow"
    name: Literal["mc_lstm"] = "mc_lstm"
    hidden_size: int = Field(64, ge=2, description="Cells; the outflow of the first is lost")


class Transformer(NetworkSection):
    """Causal transformer encoder over forcings and attributes."""

    name: Literal["transformer"] = "transformer"
    hidden_size: int = Field(64, ge=2, description="Width, a multiple of twice num_heads")
    num_heads: int = Field(4, ge=1, description="Attention heads")
    num_layers: int = Field(2, ge=1, description="Layers")
    context: int = Field(365, ge=1, description="Days that a layer attends to [d]")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of units [1]")
    precision: Precision = Field("float32", description="Arithmetic of the layers")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Transformer:
        if self.hidden_size % (2 * self.num_heads):
            raise ValueError(
                f"hidden_size must be a multiple of twice num_heads, found {self.hidden_size} for"
                f" {self.num_heads} heads"
            )
        return self


class Encoder(NetworkSection):
    """Pretrained encoder of the forcings, frozen or fine-tuned, that feeds a small head."""

    name: Literal["encoder"] = "encoder"
    source: str = Field(
        description="File of a torch.export program (.pt2), or module:function of a package"
    )
    context: int = Field(365, ge=2, description="Days that the encoder sees [d]")
    hidden_size: int = Field(64, ge=1, description="Units of the head")
    frozen: bool = Field(True, description="Keep the encoder's weights; else they learn too")
    precision: Precision = Field("float32", description="Arithmetic of the encoder")


class Table(NetworkSection):
    """One free parameter set per basin: calibration by gradient descent, without any input."""

    gives = "static"
    name: Literal["table"] = "table"
    shared: bool = Field(False, description="One parameter set for all basins together")


Network = Annotated[
    Lstm | PlainLstm | Mlp | LstmMlp | EaLstm | McLstm | Transformer | Encoder | Table,
    Field(discriminator="name"),
]
