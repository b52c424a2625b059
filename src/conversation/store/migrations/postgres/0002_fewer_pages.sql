-- The same change as SQLite's, whose migration tells why.
LOCK TABLE conversations, events, rounds, outbox, told IN ACCESS EXCLUSIVE MODE;
DROP INDEX events_by_customer;

DROP INDEX rounds_by_start;
ALTER TABLE rounds DROP CONSTRAINT rounds_pkey;
ALTER TABLE rounds ADD PRIMARY KEY (shop, started_at, channel, conversation_id, clock);

CREATE TABLE writers (
    channel         TEXT NOT NULL,
    shop            TEXT NOT NULL,
    customer_id     TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (channel, shop, customer_id, conversation_id)
);
INSERT INTO writers SELECT e.channel, e.shop, e.customer_id, e.conversation_id, max(e.received_at)
    FROM events e LEFT JOIN conversations c ON c.channel = e.channel AND c.shop = e.shop AND c.id = e.conversation_id
    WHERE e.customer_id NOT IN ('', coalesce(c.customer_id, '')) GROUP BY 1, 2, 3, 4;

DROP INDEX conversations_active;
ALTER TABLE conversations DROP COLUMN active_hour;
ALTER TABLE conversations ADD COLUMN events BIGINT NOT NULL DEFAULT 0;
UPDATE conversations SET events = coalesce((facts::json ->> 'events')::bigint, 0);

DROP INDEX conversations_by_customer;
CREATE INDEX conversations_by_customer ON conversations (customer_id, shop, channel);

-- A planner without statistics took this index for the key's and walked a whole channel for each message.
DROP INDEX events_by_conversation;
CREATE INDEX events_by_conversation ON events (conversation_id, channel, shop, seq);

CREATE INDEX outbox_by_age ON outbox (shop, created_at);
CREATE INDEX outbox_by_conversation ON outbox (conversation_id, channel, shop);
CREATE INDEX told_by_age ON told (shop, at);
