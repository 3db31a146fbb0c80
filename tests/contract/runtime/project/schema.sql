CREATE TABLE notes (id bigint PRIMARY KEY, said text NOT NULL DEFAULT 'hello');
INSERT INTO notes (id) SELECT generate_series(1, 100);
