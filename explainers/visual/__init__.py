"""Maps as pictures and figures."""
