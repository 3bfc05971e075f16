"""Films: frames through a model with colours that stay steady, picture by picture of the `ffmpeg` program."""
