#!/bin/sh
# A billing service reports a failed payment and, later, a new card, over HTTP.
# DUNWELL is the web side's address, KEY one of DUNWELL_API_KEYS, INVOICE the failed invoice.
set -eu
: "${DUNWELL:?}" "${KEY:?}" "${INVOICE:?}" "${PROCESSOR:=stripe}" "${CUSTOMER:?}" "${METHOD:?}"

curl --fail --silent --show-error "$DUNWELL/v1/cases" \
  --header "Authorization: Bearer $KEY" --header "Idempotency-Key: failed-$INVOICE" \
  --json "{\"processor\": \"$PROCESSOR\", \"invoice\": \"$INVOICE\", \"customer\": \"$CUSTOMER\"}"

curl --fail --silent --show-error "$DUNWELL/v1/customers/$PROCESSOR/$CUSTOMER/card-updated" \
  --header "Authorization: Bearer $KEY" --header "Idempotency-Key: card-$METHOD" \
  --json "{\"method\": \"$METHOD\"}"
