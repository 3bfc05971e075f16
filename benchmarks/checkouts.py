"""What differs between checkouts that are compared."""

from __future__ import annotations

from pathlib import Path


def digits_recipe(checkout: Path) -> str:
    """The recipe `digits` of a checkout: within the package, or beside it, where recipes were before."""
    places = (checkout.resolve() / folder / "digits.yaml" for folder in ("src/hashigo/recipes", "recipes"))
    return str(next(path for path in places if path.is_file()))
