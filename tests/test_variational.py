"""Variational autoencoders: their mathematics against Monte Carlo, quadrature and enumeration, and generation without an encoder."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hashigo.data import open_dataset
from hashigo.errors import RecipeError
from hashigo.networks.ladder import Ladder
from hashigo.networks.noise import drawing_from
from hashigo.networks.registry import make_network
from hashigo.networks.vae import VAE
from hashigo.networks.variational import Likelihood, Noise, Normal, Variational, importance_bound

TINY: dict[str, Any] = {"width": 8, "depth": 1, "units": 1, "size": (2, 2)}
"""A network for pictures of four pixels, which have 16 binary values, with a single latent value: everything can be enumerated."""


def digits(count: int) -> torch.Tensor:
    """Real digits at 28×28, 0..1: (N, 1, 28, 28)."""
    array = open_dataset("digits", size=28, limit=count).array()[..., :1]
    return torch.from_numpy(array.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def prepared(network: Variational) -> Variational:
    """With weights that use every level, and settled batch statistics."""
    torch.manual_seed(1)
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.add_(
                0.3 * torch.randn_like(parameter) / max(1.0, parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 1.0)
            )
    return network.eval()


@pytest.mark.parametrize("levels", [1, 3])
def test_kl_is_the_mean_of_the_samples_log_ratios(levels: int) -> None:
    network = prepared(Ladder(rungs=levels - 1))
    x = digits(4)
    torch.manual_seed(0)
    with torch.no_grad():
        first = network.infer(x)
        assert first.kl.shape == first.log_ratio.shape == (levels, 4)
        # the levels below depend on what is drawn above, so their divergences are averaged as well
        made = network.infer(x, draws=1000)
    assert torch.equal(network.infer(x, mean=True, draws=2).kl[0, :4], first.kl[0])
    ratios, kls = (values.reshape(levels, 1000, 4) for values in (made.log_ratio, made.kl))
    error = (ratios - kls).std(dim=1) / math.sqrt(1000)
    assert ((ratios - kls).mean(dim=1).abs() < 5 * error + 1e-4).all()
    assert (kls.mean(dim=1) > 0.01).all(), "the test is worth something only if every level is used"


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(-2, 2), st.floats(-3, 3), st.floats(-2, 2))
def test_kl_between_normals_is_torchs(mean: float, log_std: float, other: float, log_other: float) -> None:
    q, p = (
        Normal(torch.tensor([[a]], dtype=torch.float64), torch.tensor([[b]], dtype=torch.float64))
        for a, b in ((mean, log_std), (other, log_other))
    )
    theirs = [torch.distributions.Normal(one.mean, one.log_std.exp()) for one in (q, p)]
    assert float(q.kl(p)) == pytest.approx(float(torch.distributions.kl_divergence(*theirs)), rel=1e-9, abs=1e-12)
    assert float(q.log_prob(p.mean)) == pytest.approx(float(theirs[0].log_prob(p.mean)), rel=1e-9, abs=1e-12)


def log_likelihoods(network: VAE) -> torch.Tensor:
    """log p(x) of all 16 pictures of four binary pixels, by quadrature over the single latent value."""
    pictures = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 1, 2, 2)
    grid = torch.linspace(-8, 8, 4001)[:, None]
    with torch.no_grad():
        answers = network.generate([grid], len(grid))
        log_prior = Normal.standard(grid).log_prob(grid) + math.log(float(grid[1] - grid[0]))
        return torch.stack(
            [
                torch.logsumexp(log_prior - network.likelihood(answers, picture.expand_as(answers)), dim=0)
                for picture in pictures
            ]
        )


def test_a_tiny_models_probabilities_add_up_and_the_bounds_reach_them() -> None:
    network = prepared(VAE(**TINY))
    exact = log_likelihoods(network)
    assert float(exact.exp().sum()) == pytest.approx(1, abs=1e-4)
    pictures = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 1, 2, 2)
    torch.manual_seed(0)
    weights = network.log_weights(pictures, pictures, 20_000)
    elbo, bound = weights.mean(dim=0), importance_bound(weights)
    assert (elbo < exact + 0.02).all()
    assert (elbo - exact).abs().max() > 0.02, "the posterior is not exact, so the first bound is not tight"
    torch.testing.assert_close(bound, exact, atol=0.02, rtol=0)


def test_the_bound_rises_with_the_number_of_samples() -> None:
    network, x = prepared(Ladder()), digits(8)
    torch.manual_seed(0)
    weights = network.log_weights(x, x, 400)
    bounds = [
        float(torch.stack([importance_bound(part) for part in weights.split(count)]).mean())
        for count in (1, 5, 25, 100, 400)
    ]
    assert bounds == sorted(bounds)
    assert bounds[-1] > bounds[0] + 0.1


def test_a_ladder_without_rungs_is_the_vae() -> None:
    vae, ladder = prepared(VAE(free_bits=0.1)), Ladder(rungs=0, free_bits=0.1).eval()
    ladder.load_state_dict(vae.state_dict())
    x = digits(6)
    for run in (lambda network: network(x), lambda network: network.own_loss(x)[1], lambda network: network.log_weights(x, x, 3),
                lambda network: network.sample(4)):  # fmt: skip
        torch.manual_seed(0)
        first = run(vae)
        torch.manual_seed(0)
        torch.testing.assert_close(run(ladder), first)


@pytest.mark.parametrize("name", ["vae", "ladder"])
def test_pictures_are_generated_without_the_encoder(name: str) -> None:
    network = prepared(make_network(name))
    torch.manual_seed(0)
    with torch.no_grad():
        before = network.sample(5)
    assert before.shape == (5, 1, 28, 28)
    network.encoder = nn.Identity()
    if isinstance(network, Ladder):
        for rung in network.rungs:
            rung.posterior = nn.Identity()
    del network.posterior
    torch.manual_seed(0)
    with torch.no_grad():
        assert torch.equal(network.sample(5), before)


def test_a_ladders_posterior_starts_as_its_prior() -> None:
    kl = Ladder().eval().infer(digits(3)).kl
    assert kl[1:].abs().max() < 1e-5
    assert kl[0].min() > 0


def test_a_level_can_be_drawn_again_while_others_stay() -> None:
    network, x = prepared(Ladder()), digits(3)
    with torch.no_grad():
        made = network.infer(x)
        torch.testing.assert_close(network.generate(made.latents, 3), made.answer)
        for level in range(len(network.levels)):
            other = network.generate([None if at == level else z for at, z in enumerate(made.latents)], 3)
            assert not torch.allclose(other, made.answer)
        latent, others = network.encode(x)
        torch.testing.assert_close(network.decode(latent, others), network(x))
        assert [tuple(z.shape[1:]) for z in (latent, *others)] == [(16,), (2, 14, 14), (2, 28, 28)]
    assert network.levels == ("bottleneck", "14×14", "28×28")


def test_noise_stands_for_a_latent_under_any_prior() -> None:
    network = prepared(Ladder())
    with torch.no_grad():
        noise = [Noise(torch.randn(4, *shape)) for shape in ((16,), (2, 14, 14), (2, 28, 28))]
        picture, latents = network.drawn(noise, 4)
        torch.testing.assert_close(network.generate(noise, 4), picture)
        torch.testing.assert_close(network.generate(latents, 4), picture)
        torch.testing.assert_close(latents[0], noise[0].values)  # the uppermost prior is the standard one
        lower = network.drawn([*noise[:2], None], 4)[1]
        torch.testing.assert_close(lower[1], latents[1])
        above = network.drawn([None, *noise[1:]], 4)[1]
        assert not torch.allclose(above[1], latents[1])  # it follows what is above


def test_drawing_does_not_depend_on_torchs_generator() -> None:
    network, x = prepared(Ladder()), digits(2)

    def drawn(seed: int) -> torch.Tensor:
        with drawing_from(torch.Generator().manual_seed(seed)), torch.no_grad():
            return network.infer(x).answer

    first = drawn(3)
    torch.randn(7)
    assert torch.equal(drawn(3), first)
    assert not torch.equal(drawn(4), first)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "logistic"])
def test_likelihoods_are_distributions(kind: str) -> None:
    """Summed over levels, or integrated over values, the probabilities of a pixel add up to 1."""
    likelihood = Likelihood(kind, 1).double()
    if likelihood.log_width is not None:
        nn.init.constant_(likelihood.log_width, -2.5)
    values = {
        "bernoulli": torch.tensor([0.0, 1.0]), "gaussian": torch.linspace(-2, 3, 20001, dtype=torch.float64), "logistic": torch.arange(256) / 255,
    }[kind].double().reshape(-1, 1, 1, 1)  # fmt: skip
    step = float(values[1] - values[0]) if kind == "gaussian" else 1.0
    for answer in (0.0, 0.02, 0.3, 0.98, 1.0):
        with torch.no_grad():
            total = step * float((-likelihood(torch.full_like(values, answer), values)).exp().sum())
        assert total == pytest.approx(1, abs=1e-6), answer


def test_the_logistics_probabilities_are_differences_of_its_distribution() -> None:
    likelihood, values = Likelihood("logistic", 1).double(), torch.arange(256).double().reshape(-1, 1, 1, 1) / 255
    width = math.exp(-2.0)
    with torch.no_grad():
        ours = (-likelihood(torch.full_like(values, 0.37), values)).exp()
    edges = torch.sigmoid((torch.arange(257).double() - 0.5 - 255 * 0.37) / 255 / width)
    edges[0], edges[-1] = 0, 1
    torch.testing.assert_close(ours, edges.diff())


def test_free_bits_and_warmup_count_in_training_only() -> None:
    x = digits(4)
    plain, eased = (VAE(free_bits=bits, warmup=steps) for bits, steps in ((0.0, 0), (1e6, 4)))
    eased.load_state_dict(plain.state_dict())
    torch.manual_seed(0)
    real = plain.eval().own_loss(x)[1]
    torch.manual_seed(0)
    torch.testing.assert_close(eased.eval().own_loss(x)[1], real)
    eased.train()
    with torch.no_grad():
        costs = [float(eased.own_loss(x)[1]) for _ in range(6)]  # type: ignore[arg-type]
    assert costs == pytest.approx([0.25e6, 0.5e6, 0.75e6, 1e6, 1e6, 1e6])


def test_skips_carry_what_the_latent_need_not() -> None:
    network = prepared(VAE(skips="concat"))
    x = digits(3)
    with torch.no_grad():
        latent, skips = network.encode(x)
        torch.testing.assert_close(network.decode(latent, skips), network(x))
        alone = network.generate([latent], 3)
        zeroed = network.generate([latent], 3, skips=[torch.zeros_like(skip) for skip in skips])
        assert torch.equal(alone, zeroed)
        assert not torch.allclose(alone, network(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vae", {"size": (30, 28)}), ("vae", {"units": 0}), ("vae", {"skips": "gated"}), ("vae", {"likelihood": "poisson"}),
        ("vae", {"output_activation": "linear"}), ("vae", {"free_bits": -1}), ("vae", {"warmup": "long"}), ("ladder", {"rungs": 3}),
        ("ladder", {"channels": 0}), ("dense", {"units": []}), ("dense", {"size": 28}), ("conv", {"channels": [0]}),
    ],
)  # fmt: skip
def test_options_that_cannot_be(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(options))):
        make_network(name, **options)


@pytest.mark.parametrize("name", ["vae", "ladder", "dense"])
def test_pictures_of_another_size_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"\(N, 1, 28, 28\)"):
        make_network(name)(torch.zeros(1, 1, 32, 32))


def test_the_keras_blogs_sizes() -> None:
    """The numbers of parameters follow from its layers."""
    dense, simple, conv = make_network("dense"), make_network("dense", units=[32]), make_network("conv")
    count = [sum(parameter.numel() for parameter in network.parameters()) for network in (dense, simple, conv)]
    assert count == [222_384, 50_992, 4_385]
    assert conv.latent(torch.zeros(1, 1, 28, 28)).shape == (1, 8, 4, 4)
    assert dense.latent(torch.zeros(1, 1, 28, 28)).shape == (1, 32)


def test_the_convolutional_one_takes_any_size() -> None:
    conv = make_network("conv").eval()
    for height, width in ((1, 1), (28, 28), (33, 50)):
        assert conv(torch.zeros(2, 1, height, width)).shape == (2, 1, height, width)
