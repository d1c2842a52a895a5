"""pki's certificate store in the service's own database."""
