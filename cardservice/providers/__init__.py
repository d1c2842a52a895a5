"""Who sells: the service providers whom the scheme pays."""
