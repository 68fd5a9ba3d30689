"""What each release wrote: later ones must read it."""
