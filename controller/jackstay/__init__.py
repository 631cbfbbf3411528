"""jackstay: container images and containers on many Linux hosts, over SSH."""
