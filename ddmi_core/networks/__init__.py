"""Network blocks that autoencoders and denoisers share: convolutions, attention, and exchange between planes."""
