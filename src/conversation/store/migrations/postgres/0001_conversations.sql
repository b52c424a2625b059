-- The same tables as SQLite's, whose migrations tell what each is for.
CREATE TABLE events (
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    customer_id     TEXT NOT NULL,
    received_at     BIGINT NOT NULL, -- milliseconds since 1970
    seq             BIGINT NOT NULL,
    reason          TEXT NOT NULL,
    identity        TEXT NOT NULL,
    event           TEXT NOT NULL,   -- JSON, as text: what was acknowledged is kept to the letter
    decision        TEXT NOT NULL,   -- JSON
    PRIMARY KEY (channel, shop, message_id)
);
CREATE INDEX events_by_conversation ON events (channel, shop, conversation_id, seq);
CREATE INDEX events_by_time ON events (shop, received_at);
CREATE INDEX events_by_customer ON events (channel, shop, customer_id);

CREATE TABLE conversations (
    channel     TEXT NOT NULL,
    shop        TEXT NOT NULL,
    id          TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    facts       TEXT NOT NULL,       -- JSON of conversation::model::Conversation
    updated_at  BIGINT NOT NULL,
    phase       TEXT NOT NULL,
    audience    TEXT,
    agent       TEXT,
    queued_at   BIGINT,
    human_at    BIGINT,
    due_at      BIGINT,
    active_hour BIGINT NOT NULL,
    PRIMARY KEY (channel, shop, id)
) WITH (fillfactor = 70);            -- room for the next version of a row beside it
CREATE INDEX conversations_by_customer ON conversations (channel, shop, customer_id);
CREATE INDEX conversations_due ON conversations (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX conversations_queued ON conversations (shop, queued_at) WHERE queued_at IS NOT NULL;
CREATE INDEX conversations_assigned ON conversations (shop, agent) WHERE agent IS NOT NULL;
CREATE INDEX conversations_active ON conversations (shop, active_hour);

CREATE TABLE incidents (
    id        TEXT PRIMARY KEY,
    incident  TEXT NOT NULL,         -- JSON of conversation::incident::Incident
    closed_at BIGINT
);

CREATE TABLE told (
    incident        TEXT NOT NULL,
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    customer_id     TEXT NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (incident, channel, shop, conversation_id)
);

CREATE TABLE agents (
    shop  TEXT NOT NULL,
    id    TEXT NOT NULL,
    agent TEXT NOT NULL,             -- JSON of conversation::desk::Agent
    PRIMARY KEY (shop, id)
);

CREATE TABLE outbox (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    endpoint        TEXT NOT NULL,
    kind            TEXT NOT NULL,
    channel         TEXT,
    shop            TEXT,
    conversation_id TEXT,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL,
    attempts        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    due_at          BIGINT NOT NULL,
    error           TEXT
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'pending';
CREATE INDEX outbox_order ON outbox (channel, shop, conversation_id, endpoint, seq) WHERE state = 'pending';
CREATE INDEX outbox_by_state ON outbox (state, seq);

CREATE TABLE endpoints (
    name        TEXT PRIMARY KEY,
    disabled_at BIGINT NOT NULL,
    reason      TEXT NOT NULL
);

CREATE TABLE rounds (
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    clock           TEXT NOT NULL,
    started_at      BIGINT NOT NULL,
    replied_at      BIGINT,
    PRIMARY KEY (channel, shop, conversation_id, clock, started_at)
);
CREATE INDEX rounds_by_start ON rounds (shop, started_at);

CREATE TABLE digests (
    shop TEXT NOT NULL,
    day  TEXT NOT NULL,
    PRIMARY KEY (shop, day)
);
