-- The tables of a ledger from before there were steps, as that version made them on both databases, with a row in each.
CREATE TABLE attempts (
	id TEXT NOT NULL, 
	source_offset TEXT NOT NULL, 
	delivery TEXT NOT NULL, 
	run TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	workspace TEXT NOT NULL, 
	event TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	started_at BIGINT NOT NULL, 
	duration FLOAT NOT NULL, 
	status INTEGER, 
	error TEXT, 
	response TEXT, 
	next_at BIGINT, 
	PRIMARY KEY (id, source_offset)
);
CREATE INDEX attempts_by_age ON attempts (started_at);
CREATE INDEX attempts_of_event ON attempts (workspace, event);
CREATE TABLE contracts (
	delivery TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	event TEXT NOT NULL, 
	contract TEXT NOT NULL, 
	place INTEGER NOT NULL, 
	routed_at BIGINT NOT NULL, 
	PRIMARY KEY (delivery)
);
CREATE INDEX contracts_by_age ON contracts (routed_at);
CREATE INDEX contracts_of_event ON contracts (workspace, event);
CREATE TABLE deliveries (
	id TEXT NOT NULL, 
	run TEXT NOT NULL, 
	source_offset TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	event TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	subscriptions TEXT DEFAULT '' NOT NULL, 
	routed_at BIGINT, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	outcome TEXT, 
	status INTEGER, 
	error TEXT, 
	next_at BIGINT, 
	dead_reason TEXT, 
	changed_at BIGINT NOT NULL, 
	PRIMARY KEY (id, run, source_offset)
);
CREATE INDEX deliveries_by_age ON deliveries (changed_at);
CREATE INDEX deliveries_of_event ON deliveries (workspace, event);
CREATE TABLE events (
	workspace TEXT NOT NULL, 
	id TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	source_offset TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	code TEXT NOT NULL, 
	source TEXT NOT NULL, 
	subject TEXT, 
	time BIGINT NOT NULL, 
	received_at BIGINT NOT NULL, 
	channel TEXT, 
	identifiers TEXT NOT NULL, 
	data TEXT NOT NULL, 
	producer_id TEXT, 
	PRIMARY KEY (workspace, id)
);
CREATE INDEX events_by_age ON events (received_at);
CREATE INDEX events_by_time ON events (workspace, received_at, id);
CREATE INDEX events_by_type ON events (topic, received_at, id);
CREATE TABLE executions (
	id TEXT NOT NULL, 
	source_offset TEXT NOT NULL, 
	delivery TEXT NOT NULL, 
	execution TEXT NOT NULL, 
	started_at BIGINT NOT NULL, 
	PRIMARY KEY (id, source_offset)
);
CREATE INDEX executions_by_age ON executions (started_at);
CREATE INDEX executions_of_delivery ON executions (delivery);
CREATE TABLE requests (
	workspace TEXT NOT NULL, 
	event TEXT NOT NULL, 
	request TEXT NOT NULL, 
	retry_of TEXT, 
	received_at BIGINT NOT NULL, 
	PRIMARY KEY (workspace, event)
);
CREATE INDEX requests_by_age ON requests (received_at);
CREATE INDEX requests_by_retry ON requests (retry_of);
INSERT INTO events VALUES ('acme', 'e1', 'events.acme.events.Order', 'events.acme.events.Order/0/7', 'events', 'Order', 'shop-1', NULL, 1700000000000000, 1700000000000005, 'till', '[]', '{"total":1}', 'theirs');
INSERT INTO deliveries VALUES ('d1', 'r1', 'events.acme.events.Order/0/7', 'acme', 'e1', 'hook', 's1', 1700000000000006, 1, 'delivered', 200, NULL, NULL, NULL, 1700000000000007);
INSERT INTO attempts VALUES ('a1', 'events.acme.events.Order/0/7', 'd1', 'r1', 1, 'acme', 'e1', 'hook', 'delivered', 1700000000000006, 0.5, 200, NULL, 'ok', NULL);
INSERT INTO requests VALUES ('acme', 'e1', '{}', NULL, 1700000000000005);
INSERT INTO contracts VALUES ('d1', 'acme', 'e1', 's1', 0, 1700000000000006);
INSERT INTO executions VALUES ('a1', 'events.acme.events.Order/0/7', 'd1', 'sealed', 1700000000000006);
