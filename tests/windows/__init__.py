"""The package on Windows' CPython under Wine: `make windows`. Never a part of continuous integration."""
