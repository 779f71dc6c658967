"""The built-in corpus: sentences, voices, articulation."""
