"""The built-in probes, one module each, named by the probe."""
