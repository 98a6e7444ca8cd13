"""`cent`, the server library for Python, as it is published."""

import pytest
from cent import (
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    CentUnauthorizedError,
    ChannelsRequest,
    Client,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)


@pytest.fixture
def client(demo):
    return Client(demo.api, demo.key)


def test_publishes_and_reads_what_was_published(client):
    first = client.publish(PublishRequest(channel="cent", data={"a": 1}, tags={"t": "v"}))
    again = client.publish(PublishRequest(channel="cent", data={"a": 2}, idempotency_key="once"))
    assert client.publish(PublishRequest(channel="cent", data={"a": 2}, idempotency_key="once")) == again
    assert (first.offset, again.offset) == (1, 2)
    past = client.history(HistoryRequest(channel="cent", limit=10))
    assert [publication.data for publication in past.publications] == [{"a": 1}, {"a": 2}]
    assert (past.offset, past.epoch, past.publications[0].tags) == (2, first.epoch, {"t": "v"})
    since = StreamPosition(offset=1, epoch=first.epoch)
    assert len(client.history(HistoryRequest(channel="cent", limit=10, since=since)).publications) == 1
    backwards = client.history(HistoryRequest(channel="cent", limit=1, reverse=True))
    assert backwards.publications[0].offset == 2
    client.history_remove(HistoryRemoveRequest(channel="cent"))
    assert client.history(HistoryRequest(channel="cent", limit=10)).publications == []


def test_broadcasts_and_batches(client):
    responses = client.broadcast(BroadcastRequest(channels=["b1", "two words"], data=1)).responses
    assert responses[0].result.offset == 1
    assert responses[1].error.code == 107
    batch = client.batch(
        BatchRequest(requests=[PublishRequest(channel="b1", data=2), HistoryRequest(channel="b1", limit=9)])
    )
    assert batch.replies[0].offset == 2
    assert len(batch.replies[1].publications) == 2


def test_looks_around(client):
    client.presence(PresenceRequest(channel="nobody"))
    assert client.presence_stats(PresenceStatsRequest(channel="nobody")).num_clients == 0
    assert client.channels(ChannelsRequest(pattern="nobody*")).channels == {}
    (node,) = client.info(InfoRequest()).nodes
    assert node.version and node.num_clients >= 0


def test_reaches_users(client):
    client.subscribe(SubscribeRequest(user="ann", channel="news"))
    client.unsubscribe(UnsubscribeRequest(user="ann", channel="news"))
    client.disconnect(DisconnectRequest(user="ann"))
    client.refresh(RefreshRequest(user="ann", expired=True))


def test_errors_have_their_codes(client, closed, demo):
    with pytest.raises(CentApiResponseError) as error:
        client.history(HistoryRequest(channel="cent", limit=1, since=StreamPosition(offset=9, epoch="x")))
    assert error.value.code == 112
    with pytest.raises(CentApiResponseError) as error:
        Client(closed.api, closed.key).publish(PublishRequest(channel="nowhere:x", data=1))
    assert error.value.code == 102
    with pytest.raises(CentUnauthorizedError):
        Client(demo.api, "wrong").info(InfoRequest())
