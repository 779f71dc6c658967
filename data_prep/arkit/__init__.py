"""Tables of ARKit's weights with a sound, from phones and other programs, as data sets on any head with such shapes."""
