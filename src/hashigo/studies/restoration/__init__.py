"""The studies `autoencode` and `colorize`: networks that restore pictures, with and without skip connections."""
