#!/usr/bin/env python3
"""Every zone of the system against Python's zoneinfo: each change of the clocks in the next three
years, a second before it and at it, and midsummer and midwinter. zoneinfo_oracle.py PROGRAM"""
import datetime
import subprocess
import sys
import zoneinfo

# Morocco's law changes with the moon: its rule says what is so but for Ramadan.
BY_THE_MOON = {"Africa/Casablanca", "Africa/El_Aaiun"}
DAY = 86400  # no two changes are so near


def clock(zone, at):
    local = datetime.datetime.fromtimestamp(at, zone)
    return f"{int(local.utcoffset().total_seconds())} {local.tzname()}"


def changes(zone, at, end):
    while at < end:
        then = at + DAY
        if clock(zone, at) != clock(zone, then):
            low, high = at, then
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if clock(zone, middle) == clock(zone, low) else (low, middle)
            yield high
        at = then


def main():
    year = datetime.datetime.now(datetime.timezone.utc).year + 1
    begin, end = (int(datetime.datetime(y, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
                  for y in (year, year + 3))
    asked = []
    seen = {}
    for name in sorted(zoneinfo.available_timezones() - BY_THE_MOON):
        zone = zoneinfo.ZoneInfo(name)
        key = open(f"/usr/share/zoneinfo/{name}", "rb").read()
        if key not in seen:  # many names are one zone
            moments = {begin + 15 * 86400, begin + 196 * 86400}
            for at in changes(zone, begin, end):
                moments |= {at - 1, at}
            seen[key] = sorted(moments)
        asked += [(name, at, clock(zone, at)) for at in seen[key]]
    answer = subprocess.run([sys.argv[1]], input="".join(f"{n} {at}\n" for n, at, _ in asked),
                            capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(answer) == len(asked), (len(answer), len(asked))
    wrong = [(n, at, want, got) for (n, at, want), got in zip(asked, answer) if want != got]
    for row in wrong[:20]:
        print("%s at %d: %s, but %s" % row)
    print(f"{len({n for n, _, _ in asked})} zones, {len(asked)} moments, {len(wrong)} wrong")
    return bool(wrong) or len(asked) < 1000


if __name__ == "__main__":
    sys.exit(main())
