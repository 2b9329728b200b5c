"""What a storm amounts to, as tables, and the rules that latchkey broke."""

import re

from behaviours import BEHAVIOURS

TITLES = {
    "latchkey": "latchkey",
    "one-key": "one key per openid",
    "half-hour": "code → key, 30 minutes",
    "three-days": "code → key, 3 days",
    "on-arrival": "code exchanged with the data",
}

FIGURES = ("first tap", "key was there, tap failed", "after `action`",
           "tapped again", "calls per tap", "refusals explained", "wrong person")


def share(part, whole):
    if not whole:
        return "–"
    percent = 100 * part / whole
    text = f"{percent:.1f}"
    if part != whole and text == "100.0":
        text = "99.9"
    return text + " %"


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def table(*heads):
    return [row(*heads), row("---", *["---:"] * (len(heads) - 1))]


def explained_by(log):
    """Request id -> the line that says why it was refused."""
    lines = {}
    for line in log.splitlines():
        found = re.search(r"request_id=(\S+)", line)
        cause = re.search(r"cause=\w", line)
        reason = re.search(r"reason=(\w+)", line)
        if found and (cause or reason and reason[1] != "open_data_rejected"):
            lines[found[1]] = line
    return lines


class Sum:
    """Figures of a number of people."""

    def __init__(self, people, lines):
        taps = [tap for person in people for tap in person.taps]
        names = [refusal[0] for person in people for refusal in person.refusals]
        self.taps = len(taps)
        self.first = sum(tap.first for tap in taps)
        self.after = sum(tap.after for tap in taps)
        self.again = sum(tap.again for tap in taps)
        self.due = sum(tap.due for tap in taps)
        self.lost = sum(tap.due and not tap.first for tap in taps)
        self.calls = sum(person.exchanges for person in people)
        self.wrong = sum(person.wrong for person in people)
        self.refusals = len(names)
        self.explained = sum(name in lines for name in names)

    def figures(self):
        return (share(self.first, self.taps), self.lost,
                share(self.after, self.taps), share(self.again, self.taps),
                f"{self.calls / max(self.taps, 1):.2f}",
                share(self.explained, self.refusals), self.wrong)


class Report:
    def __init__(self, world):
        self.world = world
        self.lines = explained_by(world.log)

    def sum(self, name, **wanted):
        people = self.world.people[name]
        return Sum([person for person in people if all(
            getattr(person, key) == value for key, value in wanted.items())],
            self.lines)

    def totals(self):
        lines = table("back-end", *FIGURES, "bytes per user",
                      "first tap, WeChat", "Douyin")
        for name, title in TITLES.items():
            by = [self.sum(name, platform=platform)
                  for platform in ("wechat", "douyin")]
            people = len(self.world.people[name])
            lines.append(row(
                title, *self.sum(name).figures(),
                round(self.world.bytes[name] / people),
                *(share(one.first, one.taps) for one in by)))
        return "\n".join(lines)

    def first_taps(self):
        lines = table("first tap", *TITLES.values())
        for behaviour in BEHAVIOURS:
            sums = [self.sum(name, behaviour=behaviour) for name in TITLES]
            lines.append(row(behaviour, *(share(s.first, s.taps)
                                          for s in sums)))
        return "\n".join(lines)

    def details(self):
        lines = table("behaviour, back-end", *FIGURES)
        for behaviour in BEHAVIOURS:
            for name, title in TITLES.items():
                s = self.sum(name, behaviour=behaviour)
                lines.append(row(f"{behaviour}, {title}", *s.figures()))
        return "\n".join(lines)

    def broken(self):
        """What latchkey promises and did not keep, a line each."""
        found = []
        for person in self.world.people["latchkey"]:
            found += [f"{person.name} ({person.behaviour}, {person.platform}): "
                      + what for what in self.faults(person)]
        return found

    def faults(self, person):
        for tap in person.taps:
            if tap.due and not tap.first:
                yield "the server had the key, and the first tap failed"
            if not tap.first and tap.action != "login":
                yield f"a refusal asked for {tap.action}"
            if tap.missed:
                yield "the login that followed had the key, and gave no number"
            if not tap.after:
                yield "what the refusal asked for did not help"
        for name, call, answer in person.refusals:
            line = self.lines.get(name, "")
            if not line:
                yield f"no cause in the log: {call} {answer}"
            if "open_data_rejected" in line and \
                    not re.search(r" cause=(no_key|key_stale)\b", line):
                yield f"a cause that is not true: {line}"
        if person.kept_wrong:
            yield "somebody else's number was kept"
        if person.beside and any(tap.again for tap in person.taps):
            yield "a second tap, though the popup had given a code"
        if person.billed > sum(not tap.due for tap in person.taps):
            yield "billed, though a key opened the data"
        if person.wrong:
            yield "somebody else's number"
        if not person.taps:
            yield "no tap"
