"""Who is to have which card: applications, proofs that were seen, and what a card may say of its holder."""
