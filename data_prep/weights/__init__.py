"""From moving vertices to the weights of named shapes, for heads that have such shapes."""
