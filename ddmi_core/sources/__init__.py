"""Parts of data sources: file search, decoding, array cache, captions, splits and random draws."""
