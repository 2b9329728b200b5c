"""Over Redis everything is as over LMDB: the main tests once more."""

import pytest

from stores import Redis
# pylint: disable=wildcard-import,unused-wildcard-import
from test_erasure import *  # noqa: F403
from test_identity import *  # noqa: F403
from test_login import *  # noqa: F403
from test_rotation import *  # noqa: F403
from test_rotation import fixture_rotating  # noqa: F401


@pytest.fixture(scope="module", name="redis")
def fixture_redis(tmp_path_factory):
    redis = Redis(tmp_path_factory.mktemp("redis")).start()
    yield redis
    redis.kill()


@pytest.fixture(scope="module")
def store(redis):
    return redis.url


@pytest.fixture(autouse=True)
def emptied(redis):
    """Some tests look at all that is stored."""
    assert redis.say("FLUSHALL") == "+OK"
