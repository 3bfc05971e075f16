"""The study `generate`: can a U-Net's skip connections be used in a variational autoencoder?"""
