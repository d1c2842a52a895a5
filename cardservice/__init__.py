"""The card service: ledger, authorisation, cards, terminals, providers, tariffs, and the HTTP API."""
