"""The mini-program on one device, written as each back-end's documentation or
article has it: what it sends, what it keeps, what it does about a refusal."""

import asyncio
import itertools
import time
from dataclasses import dataclass

LOGINS = 3  # tries in a row that nobody is asked about
names = itertools.count(1)


@dataclass
class Answer:
    """What a back-end said: opened (with the number), or what to do now."""
    ok: bool
    number: str = None
    action: str = None
    data: dict = None


@dataclass
class Login:
    """A code on its way to the back-end."""
    client: object
    began: float
    ended: float = None


class Client:
    """One device in the hands of a person.  A subclass knows a back-end: its
    name, path(call), post_code(code) and send(sealed, code=None), where a code
    is one that was got beside the data."""
    kept = None   # token or code
    login = None  # the latest

    def __init__(self, person):
        self.person, self.storm = person, person.storm
        self.device = f"device-{next(names)}"

    # ---- the platform's side

    async def code(self):
        """wx.login, tt.login"""
        return (await self.person.platform_does("login"))["code"]

    # ---- the way to the back-end

    async def post(self, call, body, **headers):
        """Posts, and where a gateway delivers it twice, hears the second
        answer only."""
        await asyncio.sleep(self.person.delays.pop(call, 0))
        if call not in self.person.twice:
            return await self.post_once(call, body, **headers)
        self.person.twice.remove(call)
        first = asyncio.create_task(self.post_once(call, body, **headers))
        await asyncio.sleep(self.person.jitter())
        second = await self.post_once(call, body, **headers)
        await first
        return second

    async def post_once(self, call, body, **headers):
        name = f"{self.person.name}-{self.device}-{next(names)}"
        _, answer = await self.storm.backend.post(
            self.path(call), body, X_Request_Id=name, **headers)
        if answer["code"] != 0:
            self.person.refusals.append((name, call, answer))
        return answer

    # ---- the mini-program's side

    async def log_in(self, code=None, **along):
        """Logs in, or waits for the login that is under way."""
        if not self.logging_in():
            self.login = asyncio.create_task(self.try_codes(code, along))
        return await self.login

    async def log_in_for(self, _):
        """Logs in because sealed data was refused."""
        return await self.log_in()

    def logging_in(self):
        return self.login is not None and not self.login.done()

    async def try_codes(self, code, along):
        """Hands over a code, and where it is refused, fresh ones: nobody
        sees that."""
        for _ in range(LOGINS):
            answer = await self.hand_over(code or await self.code(), along)
            if answer.ok:
                return answer
            code = None
        return answer

    async def hand_over(self, code, along):
        login = Login(self, time.time())
        self.person.logins.append(login)
        answer = await self.post_code(code, **along)
        login.ended = time.time()
        return answer

    def forget(self):
        """The user, or the system, clears the mini-program's storage."""
        self.kept = None


class Plain(Client):
    """None of the articles tells the client what to do: it logs in again and
    asks the user for another tap."""

    def path(self, call):
        return f"/{self.name}/{self.person.platform}/{call}"

    async def send(self, sealed, code=None):
        """Sends sealed data, with a code that was got beside it."""
        if code or self.kept is None:
            logged_in = await self.log_in(code)
            if not logged_in.ok:
                return logged_in
        return await self.post_data(sealed)

    async def ask(self, call, **body):
        answer = await self.post(call, body)
        if answer["code"] == 0:
            data = answer["data"]
            return Answer(True, data.get("purePhoneNumber"), data=data)
        return Answer(False, action="login")


class OneKey(Plain):
    name = "one-key"

    async def post_code(self, code):
        answer = await self.ask("login", code=code)
        if answer.ok:
            self.kept = answer.data["token"]
        return answer

    async def post_data(self, sealed):
        return await self.ask("phone", token=self.kept, **sealed)


class HalfHour(Plain):
    """The code is the handle."""
    name = "half-hour"

    async def post_code(self, code):
        answer = await self.ask("login", code=code)
        if answer.ok:
            self.kept = code
        return answer

    async def post_data(self, sealed):
        return await self.ask("phone", code=self.kept, **sealed)


class ThreeDays(HalfHour):
    name = "three-days"


class OnArrival(Plain):
    """A login is a code kept for the data to come; a spent one is replaced
    before the next tap."""
    name = "on-arrival"

    async def post_code(self, code):
        self.kept = code
        return Answer(True)

    async def post_data(self, sealed):
        code = self.kept
        answer = await self.ask("phone", code=code, **sealed)
        if self.kept == code:
            await self.log_in()
        return answer


class Latchkey(Client):
    name = "latchkey"

    def path(self, call):
        return f"/v1/storm-{self.person.platform}/{call}"

    async def ask(self, call, **body):
        headers = {"Authorization": "Bearer " + self.kept} if self.kept else {}
        answer = await self.post(call, body, **headers)
        if answer["code"]:
            return Answer(False, action=answer["action"])
        data = answer["data"]
        if "token" in data:  # a login, perhaps with the phone number
            self.kept = data["token"]
            self.person.owners[data["user_id"]] = self.person.account
            phone = data.get("phone") or {}
        else:
            phone = data
        return Answer(True, phone.get("purePhoneNumber"), data=data)

    async def post_code(self, code, **along):
        """With what a tap gave along; where that is refused, without."""
        if along:
            answer = await self.ask("login", code=code, device=self.device,
                                    **along)
            if answer.ok:
                return answer
        return await self.ask("login", code=code, device=self.device)

    async def log_in_for(self, sealed):
        """As the client file does: a login under way may bring the key; one
        that begins takes everything along."""
        if self.logging_in():
            await self.log_in()
            answer = await self.send(sealed)
            if answer.ok:
                return answer
        return await self.log_in(**sealed)

    async def send(self, sealed, code=None):
        """A code may come along: it is spent where no stored key opens the
        data, or where there is no token."""
        if self.kept is None:
            code = code or await self.code()
        more = {"code": code} if code else {}
        return await self.ask("phone", device=self.device, **sealed, **more)


CLIENTS = {client.name: client for client in
           (Latchkey, OneKey, HalfHour, ThreeDays, OnArrival)}
