"""What the whole service comes through: programs that are killed, reloads under load, a restored backup."""
