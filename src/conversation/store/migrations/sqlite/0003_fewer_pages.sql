-- Each page that a message touches somewhere else costs a write to the log and one to the file.
DROP INDEX events_by_customer;

-- Waits in the order of time: that is how they are read, and so they are written side by side.
ALTER TABLE rounds RENAME TO old_rounds;
CREATE TABLE rounds (
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    clock           TEXT NOT NULL,    -- any, human
    started_at      INTEGER NOT NULL,
    replied_at      INTEGER,
    PRIMARY KEY (shop, started_at, channel, conversation_id, clock)
) STRICT, WITHOUT ROWID;
INSERT INTO rounds SELECT * FROM old_rounds;
DROP TABLE old_rounds;

-- Who wrote in a conversation that somebody else began, and when last.
CREATE TABLE writers (
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    customer_id     TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (channel, shop, customer_id, conversation_id)
) STRICT, WITHOUT ROWID;
INSERT INTO writers SELECT e.channel, e.shop, e.customer_id, e.conversation_id, max(e.received_at)
    FROM events e LEFT JOIN conversations c ON c.channel = e.channel AND c.shop = e.shop AND c.id = e.conversation_id
    WHERE e.customer_id NOT IN ('', coalesce(c.customer_id, '')) GROUP BY 1, 2, 3, 4;

-- The latest conversations are found by their last events; an index of their own would move with every message.
DROP INDEX conversations_active;
ALTER TABLE conversations DROP COLUMN active_hour;
ALTER TABLE conversations ADD COLUMN events INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET events = coalesce(json_extract(facts, '$.events'), 0);

-- A customer is looked for with and without a channel.
DROP INDEX conversations_by_customer;
CREATE INDEX conversations_by_customer ON conversations (customer_id, shop, channel);

-- What tells most comes first, as above: nothing else is then found through this index by its first columns.
DROP INDEX events_by_conversation;
CREATE INDEX events_by_conversation ON events (conversation_id, channel, shop, seq);

-- What is forgotten is found without reading all that is kept.
CREATE INDEX outbox_by_age ON outbox (shop, created_at);
CREATE INDEX outbox_by_conversation ON outbox (conversation_id, channel, shop);
CREATE INDEX told_by_age ON told (shop, at);
