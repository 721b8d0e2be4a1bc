"""Parts for data sources: files in folders and archives, decoding with a cache, classes, and stable splits."""
