"""Pretrained encoders: files, packages, windows, fine-tuning, checkpoints."""

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dmg.nn import Encoder, Inputs
from tests.nn.test_every_network import A, B, F, T, inputs, pretrained
from tests.pretrain_encoder import CONTEXT, CausalEncoder, pretrain


class Summary(nn.Module):
    """Mean and last value of a window, `[B, 2 F]`."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(0), x[-1]], dim=-1)


class Ahead(nn.Module):
    """Tomorrow's values."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[1:], x[-1:]])


class Running(nn.Module):
    """Mean of all days so far."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(0) / torch.arange(1, len(x) + 1).view(-1, 1, 1)


class Flat(nn.Module):
    """A single number per feature."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((0, 1))


def small() -> nn.Module:
    torch.manual_seed(0)
    return CausalEncoder(F)


def number() -> int:
    return 3


def network(source: str = "", num_dynamic: int = 2, **options: object) -> Encoder:
    torch.manual_seed(0)
    context = options.pop("context", CONTEXT)
    source = source or pretrained()
    return Encoder(F, A, num_dynamic, 5, source=source, context=context, **options)


def given() -> Inputs:
    some = inputs()
    return some._replace(forcing=some.forcing.float(), attributes=some.attributes.float())


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_or_fine_tuned(frozen: bool) -> None:
    net = network(frozen=frozen).train()
    scores, _ = net(given())
    (scores.dynamic.square().sum() + scores.static.square().sum()).backward()
    assert net.backbone is not None
    learns = [
        p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.backbone.parameters()
    ]
    assert learns == [not frozen] * 4
    assert all(p.grad is not None for p in net.head.parameters())


def test_features_are_the_modules() -> None:
    net, x = network(f"{__name__}:small").eval(), given()
    padded = torch.cat([torch.zeros(CONTEXT - 1, B, F), x.forcing])
    features = small()(padded)[CONTEXT - 1 :]
    both = torch.cat([features, x.attributes.expand(T, -1, -1)], dim=-1)
    assert net.dynamic_head is not None
    expected = net.dynamic_head(torch.relu(net.head(both)))
    torch.testing.assert_close(net(x)[0].dynamic, expected)


def test_a_trained_model_needs_the_file_no_more(tmp_path: Path) -> None:
    net = network(frozen=False)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.01
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    again = network(str(tmp_path / "gone.pt2"), frozen=False)
    with pytest.raises(ValueError, match=r"expected an encoder at .*gone\.pt2, found no such file"):
        again(given())
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(again(given())[0].dynamic, net(given())[0].dynamic)


class TestSummary:
    def test_gives_static_scores_of_the_last_days(self) -> None:
        net = network(f"{__name__}:Summary", num_dynamic=0).eval()
        scores, state = net(given())
        assert scores.dynamic.shape == (T, B, 0)
        first, memory = net(given()._replace(forcing=given().forcing[:8]))
        assert not torch.equal(first.static, scores.static)
        second, end = net(given()._replace(forcing=given().forcing[8:]), memory)
        torch.testing.assert_close(second.static, scores.static)
        assert torch.equal(end[0], state[0])

    def test_cannot_give_dynamic_scores(self) -> None:
        with pytest.raises(ValueError, match=r"gives one summary \[B, D\], which cannot give dyn"):
            network(f"{__name__}:Summary")


class TestMistakes:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("Ahead", "its outputs depend on the future; it must be causal"),
            ("Running", f"depend on more than the last {CONTEXT} steps"),
            ("Flat", r"expected outputs \[T, B, D\] or \[B, D\] for inputs \(20, 2, 2\)"),
            ("number", "must return a torch module, found int"),
            ("nothing", "expected module:function of an installed package or a file, found"),
        ],
    )
    def test_of_the_module(self, name: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            network(f"{__name__}:{name}")

    def test_context_that_is_too_short(self) -> None:
        with pytest.raises(ValueError, match=r"more than the last 9 steps, .*; raise context"):
            network(context=9)

    def test_a_file_of_something_else(self, tmp_path: Path) -> None:
        path = tmp_path / "e.pt2"
        torch.save(pretrain(F, steps=1).state_dict(), path)
        with pytest.raises(ValueError, match=r"expected a program of torch\.export"):
            network(str(path))
        path.write_text("no archive")
        with pytest.raises(ValueError, match=r"expected a program of torch\.export"):
            network(str(path))

    @pytest.mark.parametrize("member", ["sample_inputs/model.pt", "constants/custom_obj_0"])
    def test_a_file_that_could_run_code(self, member: str, tmp_path: Path) -> None:
        path, content = tmp_path / "e.pt2", io.BytesIO(Path(pretrained()).read_bytes())
        with zipfile.ZipFile(content) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                if not name.endswith(member):
                    new.writestr(name, old.read(name))
            new.writestr(f"archive/data/{member}", b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(ValueError, match="could run code; export the encoder without pickled"):
            network(str(path))
