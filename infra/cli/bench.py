"""``riverrun bench``."""
