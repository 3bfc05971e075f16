"""Latents: what a layer of a network makes of pictures, as rows of numbers (`hashigo.latents.extract`)."""
