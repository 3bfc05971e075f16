"""Latents: the output of a network's layer for each picture, as rows of numbers (`hashigo.latents.extract`)."""
