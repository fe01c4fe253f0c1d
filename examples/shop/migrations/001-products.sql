CREATE TABLE products (
  name text PRIMARY KEY,
  stock integer NOT NULL CHECK (stock >= 0)
);

INSERT INTO products VALUES ('teapot', 10), ('cup', 40), ('saucer', 40);
