"""Over Redis phone codes are as over LMDB."""

# pylint: disable=wildcard-import,unused-wildcard-import
from test_phone_code import *  # noqa: F403
from test_redis import emptied, fixture_redis, store  # noqa: F401
