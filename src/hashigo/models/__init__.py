"""Models on disk: the model folder, and the network as ONNX."""

from __future__ import annotations

from hashigo.models.folder import BUNDLED, MODELS, ModelFolder, load_network, open_model, save_model

__all__ = ["BUNDLED", "MODELS", "ModelFolder", "load_network", "open_model", "save_model"]
