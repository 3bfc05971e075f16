"""The article's U-Net in Keras, as the article writes it, taking turns for article_unet.py. Runs in Keras's environment.

Usage: keras_unet.py JSON, with contender, channels, size, width, depth, batch, warmup (article_unet.py writes it).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from turns import Turns

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def block(x: Any, channels: int) -> Any:
    """Two 3×3 convolutions, each with BatchNormalization and ReLU."""
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    return x


def unet(size: int, channels: int, width: int, depth: int) -> keras.Model:
    """(N, size, size, channels) → (N, size, size, 3), with skip connections."""
    inputs = x = keras.Input((size, size, channels))
    skips = []
    for level in range(depth):
        x = block(x, width * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = block(x, width * 2**depth)
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(width * 2**level, 2, strides=2)(x)
        x = layers.concatenate([skips[level], x])
        x = block(x, width * 2**level)
    return keras.Model(inputs, layers.Conv2D(3, 1, activation="sigmoid")(x))


def loss(target: Any, output: Any) -> Any:
    """Squared error, mean over channels, sum over height and width: one value per picture."""
    return keras.ops.sum(keras.ops.mean(keras.ops.square(target - output), axis=-1), axis=(1, 2))


def main(options: dict[str, Any]) -> None:
    """Builds the contender and takes turns."""
    turns = Turns()
    kind, precision, way = options["contender"].removeprefix("keras-").split("-")
    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy({"fp32": "float32", "bf16": "mixed_bfloat16"}[precision])
    model = unet(options["size"], options["channels"], options["width"], options["depth"])
    rng = np.random.default_rng(0)
    shape = (options["batch"], options["size"], options["size"])
    x = rng.random((*shape, options["channels"]), dtype=np.float32)
    y = x if options["channels"] == 3 else rng.random((*shape, 3), dtype=np.float32)
    step: Callable[[], Any]
    if kind == "train":
        jit: Any = True if way == "xla" else "auto"
        model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=jit)
        step = lambda: model.train_on_batch(x, y)  # noqa: E731
    elif way == "predict":
        step = lambda: model.predict_on_batch(x)  # noqa: E731
    else:
        run = tf.function(lambda pictures: model(pictures, training=False), jit_compile=way == "xla")
        pictures = tf.constant(x)
        step = lambda: run(pictures).numpy()  # noqa: E731
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    turns.serve(step, options["warmup"], parameters=model.count_params(), versions=versions)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
