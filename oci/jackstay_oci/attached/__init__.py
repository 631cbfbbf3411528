"""What is attached to images: signatures, attestations, bills of materials, as manifests in the image's repository.

Clients attach by two ways: with a ``subject`` in the manifest (OCI 1.1, *referrers*), or by a tag that is made of the
image's digest (cosign, ``sha256-HEX.sig``). ``offer`` has the values, ``gathering`` finds all of it within bounds,
whoever says what there is; ``asking`` asks a registry, ``putting`` puts it into one. What somebody else says is
attached is untrusted: it is bounded, and believed as far as its manifest says the same.
"""
