"""The pages in Chromium on the whole stack: the tour, faults at the worst moment, accessibility, privacy."""
