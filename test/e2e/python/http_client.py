"""A client that was generated from /v1/openapi.json: python http_client.py URL OTHER_NODE SOCKET"""

import sys

from carillon_client.client import AuthenticatedClient
from carillon_client.api.events import emit, emit_with_ack
from carillon_client.api.sockets import get_room, join_sockets, leave_rooms, list_sockets
from carillon_client.models import Emit, EmitWithAck, Join, Leave, ListSockets, Problem, ProblemCode

url, other, socket = sys.argv[1:]
here = AuthenticatedClient(base_url=url, token="key-of-the-test")
there = AuthenticatedClient(base_url=other, token="key-of-the-test")

joined = join_sockets.sync_detailed(client=there, body=Join(rooms=[socket], join=["room/1"]))
assert joined.status_code == 200 and joined.parsed.sockets == 1, joined

counted = get_room.sync(client=there, room="room/1")
assert counted.sockets == 1 and counted.missing == [], counted

page = list_sockets.sync(client=there, body=ListSockets(rooms=["room/1"], limit=10))
assert [s.id for s in page.sockets] == [socket] and "room/1" in page.sockets[0].rooms, page

news = Emit(rooms=["room/1"], event="news", args=[{"text": "hello"}, {"$bytes": "AAE="}])
for node in (here, there):  # the same key: published once
    done = emit.sync_detailed(client=node, body=news, idempotency_key="key-1")
    assert done.status_code == 202 and done.parsed.accepted == 1, done

again = emit.sync_detailed(client=here, body=Emit(all_=True, event="other"), idempotency_key="key-1")
assert again.status_code == 422 and again.parsed.code == ProblemCode.OTHER_BODY, again

answers = emit_with_ack.sync(client=there, body=EmitWithAck(rooms=["room/1"], event="question", timeout="30s"))
assert answers.answers == [{"ok": True}] and answers.asked == 1 and answers.missing == [], answers

left = leave_rooms.sync(client=here, body=Leave(rooms=["room/1"], leave=["room/1"]))
assert left.sockets == 1, left

typo = emit.sync_detailed(client=here, body=Emit(rooms=[], event="news"))
assert typo.status_code == 400 and isinstance(typo.parsed, Problem), typo

stranger = emit.sync_detailed(client=AuthenticatedClient(base_url=url, token="wrong"), body=Emit(all_=True, event="news"))
assert stranger.status_code == 401 and stranger.parsed.code == ProblemCode.UNAUTHORIZED, stranger
