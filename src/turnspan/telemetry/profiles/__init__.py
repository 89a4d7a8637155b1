"""Profiles: what one vendor's tool wants on spans beside the standard. One module each."""
