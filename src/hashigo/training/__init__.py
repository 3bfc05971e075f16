"""Training: a recipe and a folder in, a model out. Prints nothing; callers pass callbacks to show progress.

Nothing heavy is imported here, because recipes need no torch; training itself is in `hashigo.training.run`.
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
