"""hashigo.networks: shapes and wiring, any picture size, Keras's initialization, saving (counts: test_parameters)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from hashigo.errors import RecipeError
from hashigo.networks import ARTICLE_SMALL_UNET, NETWORKS, UNet, make_network
from hashigo.networks.skips import SKIPS
from photos import batch
from tiny import as_trained

# --- shapes and wiring ----------------------------------------------------------------------------------


def small(**options: Any) -> UNet:
    """A small network as after training: BatchNorms that do something, evaluation mode."""
    torch.manual_seed(0)
    network = UNet(**{"width": 2, "depth": 3, "output_activation": "linear", **options})
    return as_trained(network)


def photos(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.from_numpy(batch(height, width))[:, :channels]


def test_levels_halve_the_size_and_double_the_channels() -> None:
    latent, skips = small(width=2, depth=4).encode(photos(96, 48))
    assert [tuple(s.shape) for s in skips] == [(4, 2, 96, 48), (4, 4, 48, 24), (4, 8, 24, 12), (4, 16, 12, 6)]
    assert tuple(latent.shape) == (4, 32, 6, 3)


@pytest.mark.parametrize("skips", SKIPS)
def test_the_small_networks_latents(skips: str) -> None:
    x = photos(28, 28, 1)
    for units, shape in ((None, (4, 16, 7, 7)), (16, (4, 16))):
        network = UNet(skips=skips, bottleneck=units, **ARTICLE_SMALL_UNET).eval()
        latent, maps = network.encode(x)
        assert tuple(latent.shape) == shape
        assert latent.abs().max() <= 1  # tanh
        assert latent.min() < 0
        assert [tuple(m.shape) for m in maps] == [(4, 4, 28, 28), (4, 8, 14, 14)]
        output = network.decode(latent, maps)
        assert output.shape == x.shape
        assert 0 <= output.min() <= output.max() <= 1  # sigmoid
        torch.testing.assert_close(network(x), output)


def written_out(network: UNet, x: Tensor) -> Tensor:
    """The forward pass from the paper's diagram, with torch's functions and the network's weights only."""

    def conv_norm_relu(x: Tensor, conv: Any, norm: Any) -> Tensor:
        x = functional.conv2d(x, conv.weight, conv.bias, padding=1)
        scale = norm.weight / torch.sqrt(norm.running_var + 1e-3)
        return functional.relu((x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None])

    def two(x: Tensor, block: Any) -> Tensor:
        return conv_norm_relu(conv_norm_relu(x, block.conv1, block.norm1), block.conv2, block.norm2)

    kept = []
    for block_ in network.encoder.down:
        kept.append(two(x, block_))
        x = functional.max_pool2d(kept[-1], 2)
    x = two(x, network.encoder.middle)
    for up, fuse, skip in list(zip(network.up, network.fuse, kept, strict=True))[::-1]:
        x = functional.conv_transpose2d(x, up.weight, up.bias, stride=2)
        x = two(torch.cat([skip, x], dim=1), fuse)
    return functional.conv2d(x, network.head.weight, network.head.bias)


def test_forward_is_the_diagram() -> None:
    network, x = small(), photos(24, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x), written_out(network, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "skips", ["concat", "none", "zeroed", ("concat", "none", "zeroed"), ("zeroed", "concat", "none"), ["none"] * 3]
)
def test_only_concatenated_levels_reach_the_output(skips: str | tuple[str, ...]) -> None:
    network = small(skips=skips)
    levels = [skips] * 3 if isinstance(skips, str) else list(skips)
    with torch.no_grad():
        latent, maps = network.encode(photos(16, 24))
        output = network.decode(latent, maps)
        for level, kind in enumerate(levels):
            changed = [m + (i == level) for i, m in enumerate(maps)]
            assert torch.equal(network.decode(latent, changed), output) == (kind != "concat")
        assert not torch.equal(network.decode(latent + 1, maps), output)


def test_zeroed_has_concats_parameters_to_the_last_shape() -> None:
    concat, zeroed, none = (small(skips=skips) for skips in ("concat", "zeroed", "none"))
    shapes = [{name: tuple(v.shape) for name, v in network.state_dict().items()} for network in (concat, zeroed, none)]
    assert shapes[0] == shapes[1]
    assert shapes[0] != shapes[2]
    # with concat's weights, it answers what concat answers when the skips bring nothing
    zeroed.load_state_dict(concat.state_dict())
    with torch.no_grad():
        latent, maps = concat.encode(photos(16, 16))
        silent = concat.decode(latent, [torch.zeros_like(m) for m in maps])
        torch.testing.assert_close(zeroed(photos(16, 16)), silent)


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh"])
def test_activations(activation: str) -> None:
    plain = small(latent_activation="linear")
    for place in ("latent_activation", "output_activation"):
        network = small(**{"latent_activation": "linear", place: activation})
        network.load_state_dict(plain.state_dict())
        function = {"linear": lambda x: x}.get(activation) or getattr(torch, activation)
        with torch.no_grad():
            x = photos(16, 16)
            if place == "latent_activation":
                torch.testing.assert_close(network.encode(x)[0], function(plain.encode(x)[0]))
            else:
                torch.testing.assert_close(network(x), function(plain(x)))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_coarse_answer_is_enlarged_and_added(level: int) -> None:
    plain, network = small(output_activation="linear"), small(output_activation="linear", coarse=level)
    network.load_state_dict(plain.state_dict(), strict=False)
    x = photos(16, 24)
    with torch.no_grad():
        _, skips = network.encode(x)
        coarse = network.coarse(skips[level])
        assert coarse.shape[-2:] == (16 >> level, 24 >> level)
        added = functional.interpolate(coarse, (16, 24), mode="bilinear", align_corners=False)
        torch.testing.assert_close(network(x), plain(x) + added)
        assert added.std() > 0.01


def test_residual_adds_a_projection_of_the_input() -> None:
    block_ = small(residual=True).encoder.down[0]
    with torch.no_grad():
        x = photos(8, 8)
        inner = block_.norm2(block_.conv2(functional.relu(block_.norm1(block_.conv1(x)))))
        torch.testing.assert_close(block_(x), functional.relu(inner + block_.shortcut(x)))


# --- sizes ----------------------------------------------------------------------------------------------

ANY_SIZE = small()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70))
def test_any_size_goes_through_and_comes_back(height: int, width: int) -> None:
    x = photos(height, width)[:2]
    down, right = -height % 8, -width % 8
    padded = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (0, down), (0, right)), mode="edge"))
    with torch.no_grad():
        output = ANY_SIZE(x)
        latent, skips = ANY_SIZE.encode(padded)
        torch.testing.assert_close(output, ANY_SIZE.decode(latent, skips)[:, :, :height, :width])
    assert output.shape == x.shape


@pytest.mark.parametrize(
    "options", [{}, {"stem": 2}, {"stem": 3}, {"skips": "none"}, {"context": True}, {"coarse": 1}], ids=str
)
@pytest.mark.parametrize("size", [(25, 25), (1, 40), (24, 32)])
def test_decode_of_encode_is_forward_at_every_size(options: dict[str, Any], size: tuple[int, int]) -> None:
    network, x = small(**options), photos(*size)
    with torch.no_grad():
        answer = network(x)
        torch.testing.assert_close(network.decode(*network.encode(x)), answer, rtol=0, atol=0)
    assert answer.shape[-2:] == tuple(-(-side // network.answer_scale) for side in size)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_answer_looks_farther_than_the_contract_says(depth: int) -> None:
    network = small(depth=depth, residual=True)
    reach, step = network.context_pixels, network.multiple
    assert reach is not None
    side = 2 * reach + 3 * step
    x = photos(side, side)[:1]
    changed = x.clone()
    first = reach + step  # the block that is looked at
    outside = torch.ones(side, side, dtype=torch.bool)
    outside[first - reach : first + step + reach, first - reach : first + step + reach] = False
    changed[:, :, outside] = 1 - changed[:, :, outside]
    block = slice(first, first + step)
    with torch.no_grad():
        torch.testing.assert_close(network(changed)[:, :, block, block], network(x)[:, :, block, block])


def test_a_bottleneck_fixes_the_size() -> None:
    network = small(bottleneck=5, size=(16, 24))
    with torch.no_grad():
        assert tuple(network.encode(photos(16, 24))[0].shape) == (4, 5)
        assert tuple(network(photos(16, 24)).shape) == (4, 3, 16, 24)
        for height, width in ((24, 16), (16, 25), (32, 48)):
            with pytest.raises(RecipeError, match=rf"\(16, 24\).*\({height}, {width}\)"):
                network(photos(height, width))


def test_the_bottleneck_is_two_dense_layers() -> None:
    network = small(bottleneck=5, size=(16, 24))
    with torch.no_grad():
        nn.init.normal_(network.bottleneck.narrow.bias)
        nn.init.normal_(network.bottleneck.widen.bias)
        x, (narrow, widen) = photos(16, 24), (network.bottleneck.narrow, network.bottleneck.widen)
        latent, skips = network.encode(x)
        network.bottleneck, kept = None, network.bottleneck
        middle, _ = network.encode(x)
        torch.testing.assert_close(latent, torch.tanh(middle.reshape(4, -1) @ narrow.weight.T + narrow.bias))
        wide = torch.relu(latent @ widen.weight.T + widen.bias).reshape(middle.shape)
        expected = network.decode(wide, skips)
        network.bottleneck = kept
        torch.testing.assert_close(network.decode(latent, skips), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bottleneck": 4}, "size"),
        ({"bottleneck": 4, "size": (28, 30)}, "8"),
        ({"bottleneck": 0, "size": (16, 16)}, "bottleneck: .* from 1"),
        ({"width": 0}, "width: .* from 1"),
        ({"depth": 0}, "depth: .* from 1"),
        ({"depth": -1}, "depth: .* from 1"),
        ({"skips": "concatt"}, "did you mean 'concat'"),
        ({"skips": ["concat", "none"]}, "3 levels"),
        ({"skips": ["concat", "none", None]}, "None"),
        ({"coarse": 3}, "coarse: .* from 0 to 2"),
        ({"coarse": True}, "coarse: .* from 0 to 2"),
        ({"latent_activation": "tahn"}, "did you mean 'tanh'"),
        ({"output_activation": "softmax"}, "linear, relu, sigmoid, tanh"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make_network("unet", **{"width": 2, "depth": 3, **options})


def test_wrong_names() -> None:
    with pytest.raises(RecipeError, match="did you mean 'unet'"):
        make_network("unett")
    with pytest.raises(RecipeError, match="widht"):
        make_network("unet", widht=3)


# --- Keras's habits -------------------------------------------------------------------------------------


def test_weights_are_glorot_uniform_and_biases_zero() -> None:
    torch.manual_seed(0)
    network = UNet(width=16, depth=2, bottleneck=32, size=(16, 16), residual=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-3, 0.01)
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight = module.weight.detach()
            field = weight[0, 0].numel() if weight.ndim == 4 else 1
            limit = math.sqrt(6 / (field * (weight.shape[0] + weight.shape[1])))
            assert weight.abs().max() <= limit
            assert (module.bias == 0).all()
            if weight.numel() > 1000:
                assert float(weight.abs().max()) > 0.98 * limit
                assert float(weight.std()) == pytest.approx(limit / math.sqrt(3), rel=0.05)
                assert float((weight.abs() < limit / 2).float().mean()) == pytest.approx(0.5, abs=0.06)


def test_batch_norm_forgets_as_keras_does() -> None:
    network, x = UNet(width=2, depth=1).train(), photos(8, 8)
    with torch.no_grad():
        mean = network.encoder.down[0].conv1(x).mean(dim=(0, 2, 3))
        network(x)
    torch.testing.assert_close(network.encoder.down[0].norm1.running_mean, 0.01 * mean)  # 0.99 × 0 + 0.01 × mean


def test_every_parameter_learns() -> None:
    network = small(residual=True, bottleneck=4, size=(16, 16), coarse=1).train()
    network(photos(16, 16)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


# --- saving as on the hub, without a network connection ---------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"in_channels": 1, "out_channels": 2, "width": 3, "depth": 2, "skips": ["none", "concat"], "residual": True},
        {"skips": "zeroed", "bottleneck": 6, "size": (16, 24), "latent_activation": "tanh"},
        {"stem": 2, "coarse": 2},
    ],
)
def test_save_pretrained_and_back(options: dict[str, Any], tmp_path: Path) -> None:
    network = small(**options)
    network.save_pretrained(tmp_path / "model")
    assert not list((tmp_path / "model").glob("*.bin"))  # that would be a pickle
    again = UNet.from_pretrained(tmp_path / "model").eval()
    x = photos(16, 24, options.get("in_channels", 3))
    with torch.no_grad():
        torch.testing.assert_close(again(x), network(x), rtol=0, atol=0)
    assert (again.skips, again.depth, again.size) == (network.skips, network.depth, network.size)


def test_the_registry_makes_what_it_names() -> None:
    small: dict[str, dict[str, Any]] = {"unet": {"width": 1, "depth": 1}}
    for name, kind in NETWORKS.items():
        assert type(make_network(name, **small.get(name, {}))) is kind


# --- remedies against skip connections that bypass the latent -----------------------------------------------


def test_gates_are_closed_at_first_and_open_with_training() -> None:
    torch.manual_seed(0)
    gated, zeroed = UNet(width=2, depth=2, skips="gated").eval(), UNet(width=2, depth=2, skips="zeroed").eval()
    zeroed.load_state_dict({name: value for name, value in gated.state_dict().items() if "gates" not in name})
    x = photos(16, 16)
    torch.testing.assert_close(gated(x), zeroed(x))
    gated(x).sum().backward()
    gates = [parameter for name, parameter in gated.named_parameters() if "gates" in name]
    assert len(gates) == 2
    assert all(gate.grad is not None and gate.grad.abs().max() > 0 for gate in gates)


def test_dropped_skips_carry_zeros_in_training_only() -> None:
    network = small(skip_dropout=0.5)
    connections, features = network.connections, torch.ones(400, 2, 3, 3)
    assert connections(0, features) is features
    connections.train()
    kept = connections(0, features)
    assert kept is not None
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(kept.amax(dim=(1, 2, 3)), kept.amin(dim=(1, 2, 3))), "a picture's skip is dropped as a whole"
    assert 150 < kept.amax(dim=(1, 2, 3)).sum() < 250


@pytest.mark.parametrize(
    ("fade", "strengths"), [("in", [0, 0.25, 0.5, 0.75, 1, 1]), ("out", [1, 0.75, 0.5, 0.25, 0, 0])]
)
def test_skips_fade_over_training_steps(fade: str, strengths: list[float], tmp_path: Path) -> None:
    network = UNet(width=2, depth=2, skip_fade=fade, skip_steps=4).train()
    seen, features = [], torch.ones(1, 2, 1, 1)
    for _ in strengths:
        passed = network.connections(0, features)
        assert passed is not None
        seen.append(float(passed.mean()))
        network.own_loss(photos(8, 8))
    assert seen == pytest.approx(strengths)
    network.save_pretrained(tmp_path)
    again = UNet.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(photos(8, 8)), network.eval()(photos(8, 8)))


def test_the_latent_alone_leaves_the_running_statistics_as_they_are() -> None:
    """Else they are a mixture, and right neither with skip connections nor without: the answers of a trained network are blurred."""
    plain, network, x = small(), small(alone=2.0), photos(16, 24)
    network.load_state_dict(plain.state_dict())
    plain.train()(x)
    loss = network.train().own_loss(x)[1]
    assert loss is not None
    for name, value in plain.named_buffers():
        if "running" in name:
            torch.testing.assert_close(dict(network.named_buffers())[name], value)
    assert all(module.momentum == 0.01 for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))


def test_the_latent_alone_is_compared_with_the_answer() -> None:
    network, x = small(alone=2.0), photos(16, 24)
    with torch.no_grad():
        answer, loss = network.own_loss(x)
        latent, skips = network.encode(x)
        alone = network.decode(latent, [torch.zeros_like(skip) for skip in skips])
    torch.testing.assert_close(answer, network(x))
    assert loss is not None
    torch.testing.assert_close(loss, 2 * (alone[..., :16, :24] - answer).square().mean(dim=1).sum(dim=(1, 2)).mean())
    assert small().own_loss(x)[1] is None


@pytest.mark.parametrize(
    "options",
    [
        {"skip_dropout": 1.0},
        {"skip_fade": "away"},
        {"skip_steps": -1},
        {"skip_steps": 0, "skip_fade": "in"},
        {"alone": "much"},
    ],
)
def test_remedies_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(options))):
        UNet(**options)
