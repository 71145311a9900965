"""The simulated OpenAI, as it is on the wire."""
