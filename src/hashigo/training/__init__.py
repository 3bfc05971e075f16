"""Training: a recipe and a folder in, a model out. Prints nothing; progress is shown by callbacks that callers pass in.

Nothing heavy is imported here, since a recipe needs no torch: training itself is `hashigo.training.run`.
"""

from __future__ import annotations

from hashigo.training.recipe import (
    DataRecipe,
    MachineRecipe,
    NetworkRecipe,
    OptimizerRecipe,
    Recipe,
    TaskRecipe,
)

__all__ = ["DataRecipe", "MachineRecipe", "NetworkRecipe", "OptimizerRecipe", "Recipe", "TaskRecipe"]
