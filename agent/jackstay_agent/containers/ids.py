"""Ids and names for new containers, as docker has them: 64 hexadecimal digits, ``adjective_noun``."""

from __future__ import annotations

import secrets
from collections.abc import Container

_ADJECTIVES = (
    "able agile amber ample astute balmy blithe bold brave breezy bright brisk calm candid canny cheery civil "
    "clear clever cosy crisp daring deft eager early earnest easy fair fleet fluent fond frank fresh gentle glad "
    "golden grand hale handy hardy hearty honest humble jolly keen kind lively loyal lucid lucky mellow merry "
    "mild modest neat nimble noble patient placid plucky polite prompt proud quick quiet ready robust sage sharp "
    "shrewd silver smooth snug sober solid spry stable staunch steady stout sturdy sunny sure swift tidy tranquil "
    "trim trusty upbeat vivid warm wary wise witty zesty"
)
_NOUNS = (
    "anchor anvil astrolabe ballast barge barque beacon berth bight binnacle boom bosun bowline bowsprit breeze "
    "brig buoy cabin cable capstan cargo channel chart clipper compass cove cutter davit deck delta dinghy dock "
    "dory estuary fathom ferry fjord foresail frigate galleon galley gangway gunwale halyard harbour haven hawser "
    "headland helm hold horizon hull inlet isle jetty jib keel ketch lagoon lantern lighter lock lugger mainsail "
    "mast mooring narrows oar packet pennant pier pilot pinnace port prow quay reef rigging rudder sail schooner "
    "sextant shoal skiff sloop sound spar spinnaker stern strait tackle tender tide tiller topsail trawler tug "
    "wharf windlass yawl"
)
_TRIES = 6


def new_id() -> str:
    """A new random id, for a container or an exec session."""
    return secrets.token_hex(32)


def new_name(taken: Container[str]) -> str:
    """A random name that is not in *taken*; after some tries one with digits."""
    for attempt in range(_TRIES):
        name = f"{secrets.choice(_ADJECTIVES.split())}_{secrets.choice(_NOUNS.split())}"
        if attempt >= 2:
            name += str(secrets.randbelow(10**attempt))
        if name not in taken:
            return name
    return new_id()
