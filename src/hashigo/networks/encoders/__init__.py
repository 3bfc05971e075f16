"""Encoders of the U-Net. To add one: a file with a class, and one line in `ENCODERS` (`networks/unet.py`)."""
