-- What a channel account must remember: cursors of mailboxes, access tokens.
CREATE TABLE account_state (
    account TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (account, name)
);

-- Why a push did not go out: retry, given_up, window_closed, quota, gone.
ALTER TABLE outbox ADD COLUMN failure TEXT;
