"""Cards, their states, and the orders to personalise them."""
