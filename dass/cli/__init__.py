"""The command line `dass`."""
