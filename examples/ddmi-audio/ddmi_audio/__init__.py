"""The audio domain: sounds as functions of time."""
