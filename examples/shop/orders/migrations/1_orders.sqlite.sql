CREATE TABLE stock (
    sku TEXT PRIMARY KEY,
    on_hand INTEGER NOT NULL CHECK (0 <= on_hand)
) STRICT;

INSERT INTO stock (sku, on_hand) VALUES
    ('KITE', 40), ('GLIDER', 60), ('WINDSOCK', 25),
    ('BALLOON', 12), ('PINWHEEL', 80), ('CHIME', 30);

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    sku TEXT NOT NULL REFERENCES stock (sku),
    quantity INTEGER NOT NULL CHECK (0 < quantity),
    placed_at TEXT NOT NULL,
    reserved_at TEXT,
    fulfilled_at TEXT
) STRICT;
