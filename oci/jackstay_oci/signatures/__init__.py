"""Signatures of images by keys, as cosign, skopeo and podman make them.

A signature is a blob beside the image in its repository: a *payload* that names the image's digest and what it is
called, and the signature of the payload's bytes. ``keys`` checks those bytes, ``simple_signing`` reads what they say,
``judging`` decides, ``policy`` says for which images it must, all without input and output; ``finding`` asks a registry
for what there is. What a registry gives is untrusted until a key has confirmed it. Certificates and transparency logs
are not looked at.
"""
