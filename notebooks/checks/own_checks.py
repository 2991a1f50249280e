"""The pieces of `my_codec.py`: what each is tried on, and the mistakes that are recognised."""

from vqlab.lessons.own_bytes import PIECES as BYTES
from vqlab.lessons.own_layer import PIECES as LAYER
from vqlab.lessons.own_network import PIECES as NETWORK
from vqlab.lessons.own_prior import PIECES as PRIOR
from vqlab.lessons.own_sound import PIECES as SOUND

PIECES = SOUND | LAYER | NETWORK | BYTES | PRIOR
