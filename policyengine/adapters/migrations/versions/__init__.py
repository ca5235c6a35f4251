"""One module per step, never changed after its release."""
