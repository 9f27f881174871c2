#!/bin/sh
# Brings the schemas of Temporal's two databases to this version of the server; safe to repeat. Run from
# the admin-tools image of the server's own version, before the server is started.
set -eu

schemas=/etc/temporal/schema/postgresql/v12

set_up() {
    database=$1
    schema=$2
    set -- temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_HOST" -p 5432 -u temporal --db "$database"
    echo "Setting up $database"
    # Does nothing where a version is recorded already. The password comes from SQL_PASSWORD.
    "$@" setup-schema -v 0.0
    "$@" update-schema -d "$schemas/$schema/versioned"
}

set_up temporal temporal
set_up temporal_visibility visibility
echo "The schemas are up to date"
