# Applies the migrations that the database does not have yet: in order, each in a transaction of its own.
set -eu
PGPASSWORD=$(cat /run/secrets/db-password)
export PGPASSWORD
sql() {
  psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"
}

sql -c 'SET client_min_messages = warning' \
  -c 'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())'

for file in /migrations/*.sql; do
  name=$(basename "$file" .sql)
  if [ "$(sql -c "SELECT count(*) FROM migrations WHERE name = '$name'")" = 0 ]; then
    sql --single-transaction -f "$file" -c "INSERT INTO migrations VALUES ('$name')"
    echo "applied $name"
  fi
done
echo 'the tables are up to date'
