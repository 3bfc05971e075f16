"""The study `purity`: do clusters of the latents agree with labels?"""
