-- An inbound event and what was decided, word for word. The primary key is what makes a redelivery harmless.
CREATE TABLE events (
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    customer_id     TEXT NOT NULL,
    received_at     INTEGER NOT NULL, -- milliseconds since 1970
    identity        TEXT NOT NULL,    -- hash of what a redelivery must repeat
    event           TEXT NOT NULL,    -- JSON
    decision        TEXT NOT NULL,    -- JSON
    PRIMARY KEY (channel, shop, message_id)
) STRICT;

CREATE INDEX events_by_conversation ON events (channel, shop, conversation_id, received_at);

CREATE TABLE conversations (
    channel     TEXT NOT NULL,
    shop        TEXT NOT NULL,
    id          TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    facts       TEXT NOT NULL,        -- JSON of conversation::model::Conversation
    updated_at  INTEGER NOT NULL,     -- milliseconds since 1970
    PRIMARY KEY (channel, shop, id)
) STRICT;

CREATE INDEX conversations_by_customer ON conversations (channel, shop, customer_id);

CREATE TABLE incidents (
    id       TEXT PRIMARY KEY,
    incident TEXT NOT NULL            -- JSON of conversation::incident::Incident
) STRICT;
