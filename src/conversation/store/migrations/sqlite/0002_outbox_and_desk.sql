-- Events of a conversation have an order of their own.
ALTER TABLE events ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN reason TEXT NOT NULL DEFAULT '';
DROP INDEX events_by_conversation;
CREATE INDEX events_by_conversation ON events (channel, shop, conversation_id, seq);
CREATE INDEX events_by_time ON events (shop, received_at);
CREATE INDEX events_by_customer ON events (channel, shop, customer_id);

-- What is looked for among conversations; the rest are facts.
ALTER TABLE conversations ADD COLUMN phase TEXT NOT NULL DEFAULT 'bot';
ALTER TABLE conversations ADD COLUMN audience TEXT;
ALTER TABLE conversations ADD COLUMN agent TEXT;
ALTER TABLE conversations ADD COLUMN queued_at INTEGER;
ALTER TABLE conversations ADD COLUMN human_at INTEGER;
ALTER TABLE conversations ADD COLUMN due_at INTEGER;
-- The hour of updated_at: an index over the moment itself would be written with every message.
ALTER TABLE conversations ADD COLUMN active_hour INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET active_hour = updated_at / 3600000;
CREATE INDEX conversations_due ON conversations (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX conversations_queued ON conversations (shop, queued_at) WHERE queued_at IS NOT NULL;
CREATE INDEX conversations_assigned ON conversations (shop, agent) WHERE agent IS NOT NULL;
CREATE INDEX conversations_active ON conversations (shop, active_hour);

UPDATE conversations SET facts = json_set(facts, '$.phase', json_object(
    'name', 'queued', 'handed_over', json('true'),
    'since', coalesce(json_extract(facts, '$.waiting_for_human_since'), json_extract(facts, '$.last_customer_at'))
)), phase = 'queued', queued_at = updated_at
WHERE json_extract(facts, '$.handed_over') AND json_extract(facts, '$.last_customer_at') IS NOT NULL;
UPDATE conversations SET facts = json_set(facts, '$.phase', json_object('name', 'bot'))
WHERE json_extract(facts, '$.phase') IS NULL;

UPDATE events SET seq = numbered.seq FROM (
    SELECT rowid AS place, row_number() OVER (PARTITION BY channel, shop, conversation_id ORDER BY received_at, rowid) AS seq
    FROM events) AS numbered
WHERE events.rowid = numbered.place;
UPDATE conversations SET facts = json_set(facts, '$.events', (SELECT count(*) FROM events e
    WHERE e.channel = conversations.channel AND e.shop = conversations.shop AND e.conversation_id = conversations.id));

ALTER TABLE incidents ADD COLUMN closed_at INTEGER;

-- Who was told of an incident: to be told when it is over.
CREATE TABLE told (
    incident        TEXT NOT NULL,
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    customer_id     TEXT NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (incident, channel, shop, conversation_id)
) STRICT;

CREATE TABLE agents (
    shop  TEXT NOT NULL,
    id    TEXT NOT NULL,
    agent TEXT NOT NULL,              -- JSON of conversation::desk::Agent
    PRIMARY KEY (shop, id)
) STRICT;

-- Pushes, in the order in which they were made.
CREATE TABLE outbox (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    endpoint        TEXT NOT NULL,
    kind            TEXT NOT NULL,
    channel         TEXT,
    shop            TEXT,
    conversation_id TEXT,
    body            TEXT NOT NULL,    -- JSON
    state           TEXT NOT NULL,    -- pending, sent, dead, dropped
    attempts        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    due_at          INTEGER NOT NULL, -- next attempt; while one runs, when it counts as lost
    error           TEXT
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'pending';
CREATE INDEX outbox_order ON outbox (channel, shop, conversation_id, endpoint, seq) WHERE state = 'pending';
CREATE INDEX outbox_by_state ON outbox (state, seq);

-- Endpoints that are switched off.
CREATE TABLE endpoints (
    name        TEXT PRIMARY KEY,
    disabled_at INTEGER NOT NULL,
    reason      TEXT NOT NULL
) STRICT;

-- Waits of customers: from a message to the reply that ends it.
CREATE TABLE rounds (
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    clock           TEXT NOT NULL,    -- any, human
    started_at      INTEGER NOT NULL,
    replied_at      INTEGER,
    PRIMARY KEY (channel, shop, conversation_id, clock, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX rounds_by_start ON rounds (shop, started_at);

CREATE TABLE digests (
    shop TEXT NOT NULL,
    day  TEXT NOT NULL,
    PRIMARY KEY (shop, day)
) STRICT;
