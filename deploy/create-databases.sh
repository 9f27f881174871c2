#!/bin/bash
# Run by the postgres image when its volume is first made: two roles that cannot see each other's databases.
set -euo pipefail

psql --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres --no-psqlrc --quiet <<'SQL'
\getenv temporal_password TEMPORAL_POSTGRES_PASSWORD
\getenv application_password APPLICATION_POSTGRES_PASSWORD

CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE ROLE dunwell LOGIN PASSWORD :'application_password';

CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE dunwell OWNER dunwell;

-- Otherwise every role may connect to every database.
REVOKE CONNECT ON DATABASE temporal, temporal_visibility, dunwell FROM PUBLIC;
SQL
