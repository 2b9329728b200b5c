"""A person, what becomes of their taps, and whether that is the truth."""

import asyncio
import random
import time
from dataclasses import dataclass

from behaviours import BEHAVIOURS
from clients import CLIENTS

GRACE = 0.5  # seconds; latchkey waits for twice that


@dataclass
class Tap:
    """One use of the phone button."""
    first: bool           # it gave the number at once
    due: bool             # the back-end had the key that sealed it
    action: str           # what a refusal asked for
    after: bool = True    # it gave the number in the end
    again: bool = False   # but the user had to tap once more
    missed: bool = False  # though a key was there for the login that followed


class Person:
    def __init__(self, storm, number):
        self.storm, self.number = storm, number
        names = list(BEHAVIOURS)
        self.behaviour = names[number % len(names)]
        self.platform = ("wechat", "douyin")[number // len(names) % 2]
        self.beside = number // (2 * len(names)) % 2 == 1  # a code, in popups
        self.name = self.account = f"p{storm.seed}-{number}"
        self.accounts = [self.name]  # at the platform
        self.owners = {}  # user_id -> whose account that is
        self.draw = random.Random(self.name)        # what they do
        self.chance = random.Random("w" + self.name)  # the network's delays
        self.twice = set()  # calls that a gateway will deliver so
        self.delays = {}    # call -> seconds that the next one takes longer
        self.logins, self.taps, self.refusals = [], [], []
        self.exchanges = self.wrong = self.billed = 0

    def coin(self):
        return self.draw.random() < 0.5

    async def think(self):
        """Reads and scrolls, up to three minutes: long enough that WeChat
        may replace the key at the next login, or not."""
        await asyncio.sleep(self.draw.uniform(0, 3 * self.storm.minute))

    def jitter(self):
        """A delay of the network, in the order of a platform call."""
        return self.chance.uniform(0, 2 * self.storm.latency)

    async def platform_does(self, action, **fields):
        backend = self.storm.name
        status, answer = await self.storm.sandbox.post(
            f"/sandbox/{self.platform}/storm-{backend}/{action}",
            {"user": self.account, **fields})
        assert status == 200, (action, answer)
        return answer

    def switch_account(self):
        self.account = self.name + "-other"
        self.accounts.append(self.account)

    async def tap(self):
        """The popup: sealed data, and a phone code beside it in newer ones."""
        given = await self.platform_does("phone")
        sealed = {name: given[name] for name in ("encryptedData", "iv")}
        if self.beside and self.storm.name == "latchkey":
            sealed["phone_code"] = given["code"]
        return sealed

    async def deliver(self, client, sealed, code=None):
        """Sends what a tap gave, and does what the answer asks for.

        The back-end has the key, or will have it soon: it had asked for it
        before.  Of another device's login that goes on at that moment it
        cannot know that it concerns this person."""
        sent = time.time()
        answer = await client.send(sealed, code)
        truth = await self.platform_does("truth", iv=sealed["iv"])
        due = "given" in truth and truth["asked"] <= sent \
            and truth["given"] <= sent + GRACE and not self.racing(client, sent)
        tap = Tap(self.opened(answer, truth), due, answer.action)
        self.taps.append(tap)
        if not tap.first:
            answer = await self.follow(client, tap, sealed, answer.action)
            tap.after = self.opened(answer, truth)

    async def follow(self, client, tap, sealed, action):
        if action == "retry":
            return await client.send(sealed)
        if action != "login":
            return None
        began, fresh = time.time(), not client.logging_in()
        answer = await client.log_in_for(sealed)
        if answer.ok and not answer.number:
            truth = await self.platform_does("truth", iv=sealed["iv"])
            tap.missed = fresh and "given" in truth and \
                not self.racing(client, began)
            tap.again = True
            answer = await client.send(await self.tap())
        return answer

    def racing(self, client, since):
        """Whether another device's login has been under way since then."""
        return any(login.client is not client
                   and not (login.ended and login.ended < since)
                   for login in self.logins)

    def opened(self, answer, truth):
        """Whether an answer has a number; it must be the person's own."""
        if not answer or not answer.ok or not answer.number:
            return False
        self.wrong += answer.number != truth["purePhoneNumber"]
        return True

    async def live(self):
        """A whole life; asleep ones begin early, to wake in time."""
        hour = 60 * self.storm.minute
        first = self.behaviour == "asleep for an hour"
        await asyncio.sleep(self.draw.uniform(0, hour * (0.2 if first else 1)))
        client = CLIENTS[self.storm.name](self)
        await BEHAVIOURS[self.behaviour](self, client)
        for self.account in self.accounts:
            truth = await self.platform_does("truth")
            self.exchanges += truth["exchanges"]
            self.billed += truth["billed"]
