"""Network blocks of the autoencoders and denoisers: convolutions, attention, and exchange between planes."""
