# Starts PostgreSQL; makes the cluster and its database first where there is none yet.
set -eu

if [ ! -e "$PGDATA" ]; then
  # Under another name until it is whole: a start that is cut short begins anew.
  rm -rf "$PGDATA.new"
  initdb --pgdata="$PGDATA.new" --username="$PGUSER" --pwfile=/run/secrets/db-password \
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
  echo 'host all all samenet scram-sha-256' >>"$PGDATA.new/pg_hba.conf"
  echo "CREATE DATABASE $PGDATABASE" | postgres --single -D "$PGDATA.new" postgres
  mv "$PGDATA.new" "$PGDATA"
fi

exec postgres -c listen_addresses='*' -c unix_socket_directories="$PGHOST"
