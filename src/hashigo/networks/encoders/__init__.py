"""Encoders of the U-Net. To add one: a file with a subclass of `base.FixedEncoder`, and one line in `ENCODERS` (`networks/unet.py`)."""
