"""The studies `autoencode` and `colorize`: networks that give pictures back, with and without skip connections."""
