"""Card bureaux: orders out, requests and results in, letters to those who get the cards."""
