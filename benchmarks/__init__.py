"""Speed, memory and cost, measured."""
