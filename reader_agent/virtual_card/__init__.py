"""The software card: a PIV card in a file, put on virtual readers of a real pcscd."""
