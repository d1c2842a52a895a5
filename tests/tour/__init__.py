"""The five-minute tour of the README, driven through the pages of a running demonstration in Chromium."""
