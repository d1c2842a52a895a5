"""Coverage-guided fuzzing (`make fuzz`): bytes that nobody thought of, at what reads bytes of strangers.

The targets are ordinary functions. `make test` runs them under hypothesis, so that they cannot rot; atheris,
which `make fuzz` installs, looks for the inputs that reach new code.
"""
