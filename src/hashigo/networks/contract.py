"""What code that applies, exports, tiles, studies or trains a network must know about it. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from hashigo.errors import ModelError, RecipeError


@dataclass(frozen=True)
class Contract:
    """A network's requirements for inputs and properties of its answers; saved in a model's config.json.

    Raises:
        ModelError: an impossible value.
    """

    multiple: int = 1
    """Heights and widths that are multiples of this need no padding."""
    answer_scale: int = 1
    """The answer's height and width are the input's divided by this, rounded up."""
    fixed_size: tuple[int, int] | None = None
    """The only (H, W) that the network accepts, or None."""
    enlarges: int = 1
    """Photos that are smaller than a network should see them are enlarged by at most this; networks that reduce photos themselves need it."""
    features: int = 0
    """Channels of a second answer (`Network.answer_and_features`), by which places of the picture can be compared; 0: there is none."""
    context_pixels: int | None = None
    """How many pixels around a block of `multiple` × `multiple` influence its answer; None: the whole picture, which then
    must not be cut into tiles."""

    def __post_init__(self) -> None:
        sides = () if self.fixed_size is None else tuple(self.fixed_size)
        if self.fixed_size is not None and len(sides) != 2:
            raise ModelError(f"contract: fixed_size: expected height and width, got {self.fixed_size!r}")
        numbers = {
            "multiple": self.multiple,
            "answer_scale": self.answer_scale,
            "enlarges": self.enlarges,
            "features": self.features,
            "context_pixels": self.context_pixels or 0,
        }
        for name, value in (*numbers.items(), *(("fixed_size", side) for side in sides)):
            least = 0 if name in ("context_pixels", "features") else 1
            most = LARGEST_STEP if name in ("multiple", "answer_scale", "enlarges") else LARGEST
            if not is_whole(value, least, most):
                raise ModelError(
                    f"contract: {name}: expected a whole number from {least} to {most:,}, got {_shown(value)}"
                )

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


LARGEST = 1 << 20
"""No side of a picture is larger."""

LARGEST_SIDE = 1 << 14
"""The largest side at which a network may see a picture; no network has enough memory for more."""

LARGEST_STEP = 1 << 12
"""The largest `multiple`."""


def contract_of(values: Mapping[str, object]) -> Contract:
    """The contract from the values of `Contract.as_dict`, read from JSON.

    Raises:
        ModelError: an unknown key or an invalid value.
    """
    known = {"multiple", "answer_scale", "fixed_size", "enlarges", "features", "context_pixels"}
    if wrong := sorted(set(values) - known):
        raise ModelError(f"contract: expected {', '.join(sorted(known))}, got {', '.join(wrong)}")
    given = dict(values)
    if isinstance(size := given.get("fixed_size"), list):
        given["fixed_size"] = tuple(size)
    return Contract(**given)  # type: ignore[arg-type]  # checked when it is made


_NUMBERS = {"in_channels": 4096, "out_channels": 4096, "width": 4096, "depth": 12, "stem": 64}
_WORDS = ("latent_activation", "output_activation")
MOST_CHANNELS = 1 << 16
MOST_BOTTLENECK = 1 << 31


def check_unet_options(options: Mapping[str, object]) -> None:
    """Checks types and (very wide) limits of a U-Net's options before anything is built; needs no torch.

    Raises:
        RecipeError: an option of the wrong type, or beyond any memory.
    """
    for name, most in _NUMBERS.items():
        if name in options and not is_whole(options[name], 1, most):
            raise RecipeError(f"{name}: expected a whole number from 1 to {most:,}, got {_shown(options[name])}")
    for name in ("residual", "context", "add_input"):
        if not isinstance(options.get(name, False), bool):
            raise RecipeError(f"{name}: expected true or false, got {_shown(options[name])}")
    for name in _WORDS:
        if not isinstance(options.get(name, ""), str):
            raise RecipeError(f"{name}: expected a name, got {_shown(options[name])}")
    width, depth = (int(str(options.get(name, usual))) for name, usual in (("width", 64), ("depth", 4)))
    if width << depth > MOST_CHANNELS:
        raise RecipeError(
            f"width and depth: expected at most {MOST_CHANNELS:,} channels in the middle (width × 2^depth), got {width << depth:,}"
        )
    coarse = options.get("coarse")
    if coarse is not None and not is_whole(coarse, 0, depth - 1):
        raise RecipeError(f"coarse: expected a skip's level, from 0 to {depth - 1}, or none, got {_shown(coarse)}")
    for name, largest in (("skip_dropout", 0.999), ("alone", 1e6)):
        value = options.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
            raise RecipeError(f"{name}: expected a number from 0 to {largest:g}, got {_shown(value)}")
    if not is_whole(steps := options.get("skip_steps", 0), 0, LARGEST):
        raise RecipeError(f"skip_steps: expected a whole number from 0 to {LARGEST:,}, got {_shown(steps)}")
    if not isinstance(fade := options.get("skip_fade", "none"), str):
        raise RecipeError(f"skip_fade: expected a name, got {_shown(fade)}")
    _check_middle(options, width << depth, depth)
    _check_skips(options.get("skips", "concat"))


CHECKS: dict[str, Callable[[Mapping[str, object]], None]] = {"unet": check_unet_options}
"""Checks of options before anything is built, by the network's name, for networks that have one."""


def _check_middle(options: Mapping[str, object], channels: int, depth: int) -> None:
    size, bottleneck = options.get("size"), options.get("bottleneck")
    sides = list(size) if isinstance(size, list | tuple) else []
    if size is not None and (len(sides) != 2 or not all(is_whole(side, 1, LARGEST_SIDE) for side in sides)):
        raise RecipeError(
            f"size: expected height and width, two whole numbers from 1 to {LARGEST_SIDE:,}, got {_shown(size)}"
        )
    if bottleneck is None:
        return
    if not is_whole(bottleneck, 1, 1 << 20):
        raise RecipeError(
            f"bottleneck: expected a whole number of units from 1 to {1 << 20:,}, or none, got {_shown(bottleneck)}"
        )
    values = channels * math.prod(side >> depth for side in sides)
    if values * int(str(bottleneck)) > MOST_BOTTLENECK:
        raise RecipeError(
            f"bottleneck: expected at most {MOST_BOTTLENECK:,} weights, got {values:,} values times {bottleneck} units; "
            "take a smaller size, fewer units or more depth"
        )


def _check_skips(skips: object) -> None:
    kinds = [skips] if isinstance(skips, str) else list(skips) if isinstance(skips, list | tuple) else [None]
    if not all(isinstance(kind, str) for kind in kinds) or len(kinds) > 12:
        raise RecipeError(f"skips: expected a name, or one for each level, got {_shown(skips)}")


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether an untrusted value is a whole number (not a bool) from `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def unet_contract(options: Mapping[str, object]) -> Contract:
    """The contract of a U-Net with these options, for model folders older than the stored contract.

    Raises:
        ModelError: options that no U-Net can have.
    """
    stem, depth, size = options.get("stem", 1), options.get("depth", 4), options.get("size")
    if not (isinstance(stem, int) and isinstance(depth, int) and 1 <= stem <= LARGEST and 1 <= depth <= 20):
        raise ModelError(f"expected a U-Net's stem and depth, whole numbers of at least 1, got {stem!r} and {depth!r}")
    multiple, fixed = stem * 2**depth, None
    if options.get("bottleneck") and isinstance(size, list | tuple) and len(size) == 2:
        fixed = (int(size[0]), int(size[1]))
    whole = bool(options.get("context") or fixed) or options.get("encoder", "plain") != "plain"
    reach = None if whole else UNET_REACH * multiple
    encoder = str(options.get("encoder"))
    return Contract(multiple, stem, fixed, ENLARGES.get(encoder, 1), FEATURES.get(encoder, 0), reach)


ENLARGES = {"dinov2-lite0": 2}
"""The contract's `enlarges` of encoders: this one's convolutions see means of 2×2 pixels."""

FEATURES = {"dinov2-lite0": 384}
"""The contract's `features` of encoders: this one's are the tokens of the transformer's last block."""


UNET_REACH = 6
"""A plain U-Net sees less than this many times `multiple` around a block of `multiple` × `multiple`: two 3×3 convolutions
on each level on the way down, two in the middle and two on each level on the way up, 6·2**depth - 4 pixels in all."""
