"""POST /v1/messages: mail as JSON, counted like all other mail, and taken once per key."""
import base64
import email
import email.policy
import http.client
import json
import time

from harness import LOGIN, free_port, wait_for, without_trace

OTHER = "bert@example.com"


class Api:
    """The API over TCP, with a token."""

    def __init__(self, server, port, scope):
        self.port = port
        self.token = server.ask("token", "add", scope)["token"]

    def post(self, body, key=None, path="/v1/messages"):
        """(status, answer, headers)"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json",
                   **({"Idempotency-Key": key} if key else {})}
        text = body if isinstance(body, (bytes, str)) else json.dumps(body)
        c.request("POST", path, text, headers)
        answer = c.getresponse()
        result = answer.status, json.loads(answer.read()), answer.headers
        c.close()
        return result

    def sent(self, body, key=None):
        status, answer, _ = self.post(body, key)
        assert status == 202, (status, answer)
        return answer


def service(case, scope=f"account:{LOGIN}", sections=None, **options):
    port = free_port()
    server = case.utpost(sections={"api": {"listen": f"127.0.0.1:{port}"}, **(sections or {})},
                         **options)
    return server, Api(server, port, scope)


def mail(**more):
    return {"from": f"Anna Å <{LOGIN}>", "to": "bo@example.net", "subject": "Hej på dig",
            "text": "Räksmörgås\n.\nFrom here\n", **more}


def parsed(message):
    return email.message_from_bytes(without_trace(message), policy=email.policy.default)


def test_all_parts(case):
    server, api = service(case)
    photo = bytes(range(256)) * 40
    answer = api.sent(mail(
        to=["Bo Ek <bo@example.net>", {"address": "cy@example.net", "name": "Cy, \"C\" Söder"}],
        cc="di@example.net", bcc=["hidden@example.net"], reply_to=f"Svar <{LOGIN}>",
        html="<p>Räksmörgås <img src=\"cid:foto\"></p>", headers={"X-Kampanj": "hösten"},
        subject="Ett ämne som är så långt att det inte får plats på en enda rad, hur man än gör",
        attachments=[
            {"name": "Årsredovisning 2026, slutlig version.pdf", "type": "application/pdf",
             "content": base64.b64encode(photo).decode()},
            {"name": "foto.png", "type": "image/png", "id": "foto",
             "content": base64.encodebytes(photo).decode()}]))
    assert answer["recipients"] == 4 and not answer["repeated"], answer
    got = server.captured()[0]
    for name in (b"bo", b"cy", b"di", b"hidden"):
        assert b"Delivered-To: " + name + b"@example.net\n" in got, got[:500]
    m = parsed(got)
    assert not m.defects
    assert str(m["from"]) == f"Anna Å <{LOGIN}>"
    assert [(a.display_name, a.addr_spec) for a in m["to"].addresses] == [
        ("Bo Ek", "bo@example.net"), ("Cy, \"C\" Söder", "cy@example.net")], m["to"]
    assert str(m["cc"]) == "di@example.net" and m["bcc"] is None
    assert str(m["reply-to"]) == f"Svar <{LOGIN}>" and m["x-kampanj"] == "hösten"
    assert m["subject"] == ("Ett ämne som är så långt att det inte får plats på en enda rad, "
                            "hur man än gör")
    assert m["date"] and m["message-id"] and m["mime-version"] == "1.0"
    assert [p.get_content_type() for p in m.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related",
        "text/html", "image/png", "application/pdf"]
    parts = {p.get_content_type(): p for p in m.walk()}
    assert parts["text/plain"].get_content().replace("\r\n", "\n") == "Räksmörgås\n.\nFrom here\n"
    assert parts["text/html"].get_content() == "<p>Räksmörgås <img src=\"cid:foto\"></p>"
    assert parts["image/png"].get_content() == photo and parts["image/png"]["content-id"] == "<foto>"
    assert parts["application/pdf"].get_content() == photo
    assert parts["application/pdf"].get_filename() == "Årsredovisning 2026, slutlig version.pdf"
    wait_for("the ledger to know it", lambda: server.cli("trace", answer["id"], check=False).returncode == 0)
    record = server.ask("trace", answer["id"])
    assert "127.0.0.1" in json.dumps(record), record


def test_a_raw_message(case):
    server, api = service(case)
    raw = f"From: {LOGIN}\nTo: x@example.net\nDate: Sun, 22 Nov 2026 12:00:00 +0100\n" \
          "Message-ID: <a@example.com>\nSubject: raw\n\nblåbär\n.\n\n"
    for text in (raw, raw.replace("\n", "\r\n")):
        api.sent({"sender": LOGIN, "recipients": ["bo@example.net"],
                  "raw": base64.b64encode(text.encode()).decode()})
    for got in server.captured(2):
        assert without_trace(got) == raw.encode(), got


def test_once_per_key(case):
    server, api = service(case, sections={"delivery": {"hold": "yes"}})
    server.cli("rule", "add", "account messages 1/1h defer", "--account", LOGIN)
    first = api.sent(mail(), "order-17")
    again = api.sent(mail(), "order-17")
    assert again == {**first, "repeated": True}
    server.kill_all()
    server.start()
    assert api.sent(mail(), "order-17")["id"] == first["id"]
    assert len(server.ask("queue", "list")["messages"]) == 1
    status, answer, headers = api.post(mail(), "order-18")
    error = answer["error"]
    assert status == 429 and error["code"] == "refused", answer
    assert error["smtp"] == {"code": 450, "enhanced": "4.7.1"}, answer
    assert error["limit"]["rule"] == "account messages 1/1h defer" and error["limit"]["used"] == 1 \
        and error["limit"]["max"] == 1, answer
    assert "Message rate exceeded, 1/1h (max 1). Works again " in error["message"], answer
    assert "XLIMIT" not in error["message"], answer
    left = int(headers["Retry-After"])
    assert 3500 < left <= 3600 + 3600 // 256 + 1, left
    at = time.mktime(time.strptime(error["limit"]["retry_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert abs(at - time.time() - left) < 5, (error, left)


def test_with_a_user_per_role(case):
    """control is another user than smtpd, and knows no more than the secret between them."""
    import os
    if os.getuid() != 0:
        return
    users = {"smtpd-user": "daemon", "delivery-user": "mail", "control-user": "www-data"}
    server, api = service(case, sections={"server": users})
    api.sent(mail(), "1")
    server.captured(1)
    os.kill(server.pids()["control"], 9)
    os.kill(server.pids()["smtpd"], 9)
    server.wait_ready()
    assert api.sent(mail(), "1")["repeated"]
    os.kill(server.process.pid, 1)  # a reload leaves it as it is
    wait_for("the reload", lambda: "reloaded" in server.log())
    api.sent(mail(), "2")
    server.captured(2)


def test_who_may_send(case):
    server, api = service(case)
    server.add_account(OTHER, None, "example", "--senders", "exact", "--sender", OTHER)
    status, answer, _ = api.post(mail(account=OTHER))
    assert status == 403 and answer["error"]["code"] == "out-of-scope", answer
    reader = Api(server, api.port, "read")
    status, answer, _ = reader.post(mail(account=LOGIN))
    assert status == 403, answer
    admin = Api(server, api.port, "admin")
    status, answer, _ = admin.post(mail())
    assert status == 400 and "account" in answer["error"]["message"], answer
    status, answer, _ = admin.post(mail(account=OTHER))  # from LOGIN's address
    assert status == 403 and answer["error"]["smtp"]["code"] == 553, answer
    admin.sent(mail(account=OTHER, **{"from": OTHER}))
    server.cli("account", "lock", OTHER, "--reason", "spam")

    def refused():
        status, answer, _ = admin.post(mail(account=OTHER, **{"from": OTHER}))
        return status != 202 and (status, answer)
    status, answer = wait_for("the lock", refused)
    assert status == 403 and "locked: spam" in answer["error"]["message"], (status, answer)


def test_what_is_wrong(case):
    server, api = service(case)
    for change, code, word in [
            ({"to": "nobody"}, "bad-value", "to"),
            ({"to": None}, "bad-value", "to"),
            ({"to": []}, "missing-value", "nobody"),
            ({"from": "x"}, "bad-value", "from"),
            ({"subject": "a\r\nBcc: x@y.z"}, "bad-value", "subject"),
            ({"headers": {"Bcc": "x@y.z"}}, "bad-value", "headers"),
            ({"headers": {"X-A": "1\r\nBcc: x@y.z"}}, "bad-value", "headers"),
            ({"attachments": [{"content": "#"}]}, "bad-value", "attachments"),
            ({"attachments": [{"name": "x"}]}, "bad-value", "attachments"),
            ({"attachments": [{"content": "", "type": "message/rfc822"}]}, "bad-value", "attachments"),
            ({"raw": "#"}, "bad-value", "raw"),
            ({"nonsense": 1}, "unknown-key", "nonsense")]:
        status, answer, _ = api.post({**mail(), **change})
        error = answer["error"]
        assert status == 400 and error["code"] == code and word in error["message"], (change, answer)
    status, answer, _ = api.post(mail(), "ö".encode("latin-1").decode("latin-1"))
    assert status == 400 and "Idempotency-Key" in answer["error"]["message"], answer
    status, answer, _ = api.post("{" + " " * (2 << 20), path="/v1/erase")
    assert status in (403, 413), answer
    big = {"content": base64.b64encode(bytes(20 << 20)).decode()}
    assert api.sent(mail(attachments=[big]))
    status, answer, _ = api.post(mail(attachments=[big, big, big]))
    assert status == 413, answer
