"""Sources: what is elsewhere, onto topics, each record once."""
