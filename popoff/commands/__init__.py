"""The groups of `popoff` commands, one module each."""
