"""What code that applies, exports, tiles, studies or trains a network must know of it, and nothing else. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from hashigo.errors import ModelError


@dataclass(frozen=True)
class Contract:
    """What a network says of its inputs and answers; saved in a model's config.json.

    Raises:
        ModelError: a value that no network can have.
    """

    multiple: int = 1
    """Heights and widths that are multiples of this need no padding."""
    answer_scale: int = 1
    """The answer's height and width are the input's divided by this, rounded up."""
    fixed_size: tuple[int, int] | None = None
    """The only (H, W) that the network takes, or None."""
    context_pixels: int | None = None
    """How many pixels around a block of `multiple` × `multiple` decide on its answer; None: the whole picture, which then
    must not be cut into tiles."""

    def __post_init__(self) -> None:
        sides = () if self.fixed_size is None else tuple(self.fixed_size)
        if self.fixed_size is not None and len(sides) != 2:
            raise ModelError(f"contract: fixed_size: expected height and width, got {self.fixed_size!r}")
        numbers = {
            "multiple": self.multiple,
            "answer_scale": self.answer_scale,
            "context_pixels": self.context_pixels or 0,
        }
        for name, value in (*numbers.items(), *(("fixed_size", side) for side in sides)):
            least = 0 if name == "context_pixels" else 1
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
                raise ModelError(
                    f"contract: {name}: expected a whole number from {least} to {LARGEST:,}, got {value!r}"
                )

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


LARGEST = 1 << 20
"""No side of a picture is larger."""


def contract_of(values: Mapping[str, object]) -> Contract:
    """The contract that `Contract.as_dict` gave, read from JSON.

    Raises:
        ModelError: an unknown key, or a value that cannot be.
    """
    known = {"multiple", "answer_scale", "fixed_size", "context_pixels"}
    if wrong := sorted(set(values) - known):
        raise ModelError(f"contract: expected {', '.join(sorted(known))}, got {', '.join(wrong)}")
    given = dict(values)
    if isinstance(size := given.get("fixed_size"), list):
        given["fixed_size"] = tuple(size)
    return Contract(**given)  # type: ignore[arg-type]  # checked when it is made


def unet_contract(options: Mapping[str, object]) -> Contract:
    """The contract of a U-Net with these options, for model folders from before it was stored.

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
    return Contract(multiple, stem, fixed, None if whole else UNET_REACH * multiple)


UNET_REACH = 6
"""Around a block of `multiple` × `multiple` a plain U-Net looks less than so many times `multiple` far: two 3×3 convolutions
on each level on the way down, two in the middle and two on each level on the way up, 6·2**depth - 4 pixels in all."""
