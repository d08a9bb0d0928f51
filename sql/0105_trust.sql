-- warehouse.trust_campaign_statistics: a company's campaign figures of a day, or of the seven days
-- up to a moment where the vendor answers no other question. ops.range_proof: which of the two.

SET ROLE warehouse_owner;

CREATE TABLE warehouse.trust_campaign_statistics (
    stats_on date NOT NULL,
    company_id bigint NOT NULL,
    window_from date NOT NULL,
    window_to date NOT NULL,
    is_daily boolean NOT NULL,
    asked_at timestamptz NOT NULL,
    total bigint CHECK (total >= 0),
    sent bigint CHECK (sent >= 0),
    pending bigint CHECK (pending >= 0),
    failed bigint CHECK (failed >= 0),
    received bigint CHECK (received >= 0),
    pressed bigint CHECK (pressed >= 0),
    closed bigint CHECK (closed >= 0),
    unknown bigint CHECK (unknown >= 0),
    campaigns bigint CHECK (campaigns >= 0),
    extra json,
    content_hash bigint NOT NULL,
    first_loaded_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (stats_on, company_id),
    CONSTRAINT window_ends_on_its_day CHECK (window_from <= window_to AND window_to = stats_on),
    CONSTRAINT daily_means_one_day CHECK (is_daily = (window_from = window_to))
) PARTITION BY RANGE (stats_on);
COMMENT ON TABLE warehouse.trust_campaign_statistics IS 'Campaign statistics of a company, one row a day, monthly partitions by stats_on. Only rows with is_daily are figures of one day; the others cover a rolling week and must never be added up. Source: Trust, statistics by company.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.stats_on IS 'Day of the figures in the account''s time zone (TRUST_TIMEZONE); where is_daily is false, the day of asking.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.company_id IS 'Trust company.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.window_from IS 'First day that the figures cover. Where is_daily is false it is assumed, not told by the vendor: the day of asking and the six days before it.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.window_to IS 'Last day that the figures cover, included; where is_daily is false, only up to the moment of asking.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.is_daily IS 'Whether the figures are those of stats_on alone: the server was proved to honour a date range (ops.range_proof). False: the vendor''s rolling 7 days.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.asked_at IS 'When the vendor was asked for the answer that first carried these figures, instant. The same figures answered again leave it alone.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.total IS 'Notifications programmed up to the moment of asking (vendor''s total). May be cumulative: not known to add up over days. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.sent IS 'Notifications sent successfully (vendor''s sended); says nothing of their arrival. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.pending IS 'Notifications that could not be sent yet, for whatever reason. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.failed IS 'Notifications that could not be sent and will not be tried again (vendor''s fails), mostly because the app was uninstalled. NULL: the vendor said null, or left it out.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.received IS 'Messages that arrived on the device (RECEIVED); seen or not is unknown. 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.pressed IS 'Messages seen whose action button was pressed (PRESS_ACTION). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.closed IS 'Messages seen that were closed with the button (CLOSED). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.unknown IS 'Messages that failed to render on the device, or another unknown error on arrival (UNKNOWN). 0 where the vendor''s actions leave the key out. NULL: the vendor said null, or told no actions.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.campaigns IS 'Vendor''s campaign, probably the number of distinct campaigns: does not add up over days. NULL: not reported.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.extra IS 'Keys of the answer that have no column, as the vendor wrote them; NULL: none.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.content_hash IS 'xxh3 hash of the row''s columns but asked_at: tells a rerun whether the row changed.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.first_loaded_at IS 'When the row was first loaded, UTC instant.';
COMMENT ON COLUMN warehouse.trust_campaign_statistics.changed_at IS 'When the row last changed, UTC instant.';
GRANT SELECT, INSERT, UPDATE, DELETE ON warehouse.trust_campaign_statistics TO warehouse_loader;

CREATE TABLE ops.range_proof (
    source text NOT NULL,
    server text NOT NULL,
    params text NOT NULL,
    state text NOT NULL CHECK (state IN ('honoured', 'ignored', 'unproven')),
    account text NOT NULL,
    asked_at timestamptz NOT NULL,
    reason text NOT NULL,
    evidence json NOT NULL,
    PRIMARY KEY (source, server, params, state)
);
COMMENT ON TABLE ops.range_proof IS 'Whether a vendor''s server was seen to honour a date range whose parameter names are not documented: the latest proof of each state. Source: the pipeline.';
COMMENT ON COLUMN ops.range_proof.source IS 'Source asked.';
COMMENT ON COLUMN ops.range_proof.server IS 'Base URL of the server.';
COMMENT ON COLUMN ops.range_proof.params IS 'Names of the two range parameters, separated by a comma.';
COMMENT ON COLUMN ops.range_proof.state IS 'honoured or ignored (both conclusive: the later one stands), or unproven (tried, without a conclusion).';
COMMENT ON COLUMN ops.range_proof.account IS 'Account that was asked; its proof serves all accounts of the server.';
COMMENT ON COLUMN ops.range_proof.asked_at IS 'When the proof was made, UTC instant by the client''s clock.';
COMMENT ON COLUMN ops.range_proof.reason IS 'What was concluded, and from what.';
COMMENT ON COLUMN ops.range_proof.evidence IS 'The figures that were compared.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.range_proof TO warehouse_loader;

RESET ROLE;
