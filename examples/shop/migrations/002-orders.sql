CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  product text NOT NULL REFERENCES products,
  quantity integer NOT NULL CHECK (quantity > 0),
  state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'packed', 'sold out')),
  placed timestamptz NOT NULL DEFAULT now()
);
