"""The networks: features and a template in, vertices out."""
