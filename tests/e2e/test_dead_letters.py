"""A turn its destination refuses is put aside, can be looked at, and sent again."""

import turnspan
from turnspan.delivery.health import FlushReport


def test_what_a_runtime_put_aside_the_command_line_finds_and_retries(turns_api, dead):
    """It is listed with its reason, and arrives once the destination takes it."""
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    turns_api.be("status", status=422, body="no")
    with turnspan.turn(agent="a", input="hello") as turn:
        turn_id = turn.id
    report = turnspan.flush()
    turnspan.close()
    [letter] = dead("list")
    turns_api.be("ok")
    dead("retry", "--all")

    assert report == FlushReport(refused=1)
    assert (letter["id"], letter["exporter"]) == (turn_id, turns_api.url)
    assert letter["reason"].startswith("422")
    assert turns_api.ids == [turn_id]
    assert dead("list") == []
