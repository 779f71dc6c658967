"""From a recording to features at mesh frames."""
