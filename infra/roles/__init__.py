"""The long-running processes of a pipeline. A module each, so that none waits for what only another imports."""
