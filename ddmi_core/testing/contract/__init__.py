"""The checks of the plugin contract, one module per subject."""
