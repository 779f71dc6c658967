"""How the bundled encoder is made and what its features are worth."""
