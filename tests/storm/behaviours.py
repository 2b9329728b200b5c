"""What people and networks do to a login: each takes a person and the
mini-program on their first device.  The order and the pauses are the
person's own, drawn from the seed: the same with every back-end."""

import asyncio

from clients import CLIENTS


async def by_the_book(p, c):
    """A login, later the button."""
    await c.log_in()
    await p.think()
    await p.deliver(c, await p.tap())


async def login_in_callback(p, c):
    """The button's callback logs in before it sends what it was given, or
    sends the fresh code along."""
    along = p.coin()
    await c.log_in()
    await p.think()
    sealed = await p.tap()
    code = await c.code()
    if along:
        await p.deliver(c, sealed, code)
    else:
        await c.log_in(code)
        await p.deliver(c, sealed)


async def login_races_popup(p, c):
    """A login goes on while the popup is open: begun as it opened (the data
    is sealed with a key that is on its way), or as it closed.  Some data
    overtakes its login."""
    before, overtakes = p.coin(), p.draw.random() < 0.25
    await c.log_in()
    await p.think()
    code = await c.code() if before else None
    sealed = await p.tap()
    p.delays["login" if overtakes else "phone"] = p.jitter()
    await asyncio.gather(c.log_in(code), p.deliver(c, sealed))


async def double_tap(p, c):
    """The same data twice, or the popup twice."""
    popups = p.coin()
    await c.log_in()
    await p.think()
    first = await p.tap()
    second = await p.tap() if popups else first
    again = asyncio.create_task(p.deliver(c, first))
    await asyncio.sleep(p.jitter())
    await p.deliver(c, second)
    await again


async def two_devices(p, c):
    """Another device of the same person logs in: before the tap, between the
    tap and its delivery, or at that moment."""
    when = p.draw.randrange(3)
    other = CLIENTS[c.name](p)
    await c.log_in()
    await p.think()
    if when == 0:
        await other.log_in()
        await p.deliver(c, await p.tap())
        return
    sealed = await p.tap()
    login = asyncio.create_task(other.log_in())
    if when == 1:
        await login
    else:
        await asyncio.sleep(p.jitter())
    await p.deliver(c, sealed)
    await login


async def cleared_cache(p, c):
    """What the mini-program had stored is gone: before the tap, or between
    the tap and its delivery."""
    between = p.coin()
    await c.log_in()
    await p.think()
    sealed = await p.tap() if between else None
    c.forget()
    if not sealed:
        await c.log_in()
        sealed = await p.tap()
    await p.deliver(c, sealed)


async def late_code(p, c):
    """A code leaves the phone only when its life is over; half of the people
    were here before, half tap before that."""
    known, first = p.coin(), p.coin()
    if known:
        await c.log_in()
        await p.think()
    code = await c.code()
    await asyncio.sleep(1.1 * p.storm.code_life[p.platform])
    sealed = await p.tap() if first else None
    await c.log_in(code)
    await p.deliver(c, sealed or await p.tap())


async def delivered_twice(p, c):
    """A gateway sends the first login and the first data twice, and passes on
    the second answer; some of those codes are dead."""
    p.twice, dead = {"login", "phone"}, p.draw.random() < 0.25
    code = await c.code()
    if dead:
        await asyncio.sleep(1.1 * p.storm.code_life[p.platform])
    await c.log_in(code)
    await p.think()
    await p.deliver(c, await p.tap())


async def asleep(p, c):
    """The app sleeps for an hour between login and tap."""
    await c.log_in()
    await asyncio.sleep(60 * p.storm.minute)
    await p.deliver(c, await p.tap())


async def all_at_once(p, c):
    """Two devices log in while popups are open on both, behind a gateway that
    delivers twice."""
    other = CLIENTS[c.name](p)
    await c.log_in()
    await p.think()
    p.twice = {"login", "phone"}
    code = await c.code()
    first = await p.tap()
    logins = [asyncio.create_task(one) for one in
              (c.log_in(code), other.log_in())]
    second = await p.tap()
    await asyncio.sleep(p.jitter())
    await p.deliver(c, first)
    await asyncio.gather(*logins)
    await p.deliver(other, second)


async def account_switch(p, c):
    """Another account logs in to the platform on the same phone; the token in
    the storage is still the first one's."""
    await c.log_in()
    await p.think()
    p.switch_account()
    await c.code()  # it goes to another mini-program: its key stays unknown
    await p.think()
    await p.deliver(c, await p.tap())


BEHAVIOURS = {
    "by the book": by_the_book,
    "login in the phone callback": login_in_callback,
    "login racing the popup": login_races_popup,
    "double tap": double_tap,
    "two devices": two_devices,
    "cleared cache": cleared_cache,
    "code sent too late": late_code,
    "delivered twice": delivered_twice,
    "asleep for an hour": asleep,
    "all at once": all_at_once,
    "account switch": account_switch,
}
